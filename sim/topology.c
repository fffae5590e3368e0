// SPDX-License-Identifier: MIT
// Links are numbered by formula: device d has link 2d up and 2d + 1 down, rails likewise. Wires of
// a node are in sim/topology_mesh.c, networks between nodes in sim/topology_fabric.c.
#include "core/plan/program.h"
#include "sim/topology_internal.h"

enum { UP, DOWN };

static Status add_pairs(Network *n, const LinkModel *model, int count, int32_t *first) {
    for (int i = 0; i < 2 * count; i++) {
        int32_t link;
        TRY(network_add_link(n, &link, model->bytes_per_s, model->latency_ps));
        if (i == 0) *first = link;
    }
    return OK;
}

// Latencies of a long path must add up.
static Status check_latency(const LinkModel *l, const char *what) {
    if (l->latency_ps <= INT64_MAX / PATH_MOST) return OK;
    FAIL(ERR_USAGE, "the latency of a %s is above 40 hours", what);
}

static Status check(const Topology *t, const TopologyOptions *o) {
    if (o->nodes < 1 || o->devices_per_node < 1 || o->nodes > INT32_MAX / 8 / o->devices_per_node)
        FAIL(ERR_USAGE, "%d nodes of %d devices: there must be between 1 and %d devices", o->nodes,
             o->devices_per_node, INT32_MAX / 8);
    if (topology_is_ports(t)) return OK;
    TRY(check_latency(&o->link, "link"));
    TRY(check_latency(&o->rail, "rail"));
    if (t->node.adapter_count && t->fabric.kind != FABRIC_RAILS)
        FAIL(ERR_USAGE, "a %s needs a rail for each device, and nodes have %d adapters",
             fabric_name(&t->fabric), t->node.adapter_count);
    if (o->node && o->nodes > 1 && !t->node.adapter_count)
        FAIL(ERR_USAGE, "%d nodes that have no network adapters", o->nodes);
    if (t->shared_rail)
        FAIL(ERR_USAGE,
             "devices of a node share a rail, and a %s or wires within a node need one "
             "for each",
             fabric_name(&t->fabric));
    if (o->nodes > fabric_nodes(&t->fabric, o->devices_per_node))
        FAIL(ERR_USAGE, "%d nodes, and the %s connects %lld", o->nodes, fabric_name(&t->fabric),
             (long long)fabric_nodes(&t->fabric, o->devices_per_node));
    return OK;
}

Status topology_init(Topology *t, Network *n, const TopologyOptions *o) {
    *t = (Topology){.nodes = o->nodes,
                    .devices_per_node = o->devices_per_node,
                    .shared_rail = o->shared_rail,
                    .first_link = NONE,
                    .first_rail = NONE,
                    .first_wire = NONE,
                    .first_trunk = NONE};
    if (o->mesh) node_graph_of_mesh(&t->node, o->mesh);
    if (o->node) t->node = *o->node;
    if (o->fabric) t->fabric = *o->fabric;
    TRY(check(t, o));
    n->store_and_forward = o->store_and_forward;
    int devices = o->ports ? o->ports : topology_devices(t);
    int rails = o->shared_rail ? o->nodes : devices;
    bool torus = t->fabric.kind == FABRIC_TORUS;
    if (t->node.devices)
        TRY(topology_add_wires(t, n, &o->link));
    else if (!torus || o->devices_per_node > 1)
        TRY(add_pairs(n, &o->link, devices, &t->first_link));
    if (t->node.adapter_count && o->nodes > 1) return topology_add_adapters(t, n, &o->rail);
    if (!torus && o->nodes > 1) TRY(add_pairs(n, &o->rail, rails, &t->first_rail));
    return t->fabric.kind == FABRIC_RAILS ? OK : topology_add_trunks(t, n, &o->rail);
}

bool topology_within(const Topology *t, int a, int b) {
    return a / t->devices_per_node == b / t->devices_per_node;
}

int topology_devices(const Topology *t) { return t->nodes * t->devices_per_node; }

bool topology_is_ports(const Topology *t) {
    return !t->node.devices && t->fabric.kind == FABRIC_RAILS;
}

Path topology_path_like(const Topology *t, int source, int destination, bool within) {
    Path p;
    p.hops = 0;
    if (within || t->shared_rail) path_add(&p, t->first_link + 2 * source + UP);
    if (!within) {
        int from = t->shared_rail ? source / t->devices_per_node : source;
        int to = t->shared_rail ? destination / t->devices_per_node : destination;
        path_add(&p, t->first_rail + 2 * from + UP);
        path_add(&p, t->first_rail + 2 * to + DOWN);
    }
    if (within || t->shared_rail) path_add(&p, t->first_link + 2 * destination + DOWN);
    return p;
}

// Over what a device is attached to: its rail, or of a torus the switch of its node.
static Path path_over_trunks(const Topology *t, int source, int destination) {
    int32_t first = t->fabric.kind == FABRIC_TORUS ? t->first_link : t->first_rail;
    Path p;
    p.hops = 0;
    if (first != NONE) path_add(&p, first + 2 * source + UP);
    topology_follow_trunks(t, &p, source, destination);
    if (first != NONE) path_add(&p, first + 2 * destination + DOWN);
    return p;
}

// From a device over wires to its adapter, and at the other end back.
static Path path_over_adapters(const Topology *t, int source, int destination) {
    const NodeGraph *g = &t->node;
    int per_node = t->devices_per_node, from = source / per_node, to = destination / per_node;
    int here = source % per_node, there = destination % per_node;
    int sends = g->adapter_of[here], receives = g->adapter_of[there];
    Path p;
    p.hops = 0;
    topology_follow_wires(t, &p, from, here, g->adapters[sends].place);
    path_add(&p, t->first_rail + 2 * (from * g->adapter_count + sends) + UP);
    path_add(&p, t->first_rail + 2 * (to * g->adapter_count + receives) + DOWN);
    topology_follow_wires(t, &p, to, g->adapters[receives].place, there);
    return p;
}

Path topology_path(const Topology *t, int source, int destination) {
    bool within = topology_within(t, source, destination);
    Path p;
    p.hops = 0;
    if (source == destination) return p;
    if (!within && t->fabric.kind != FABRIC_RAILS) return path_over_trunks(t, source, destination);
    if (!within && t->node.adapter_count) return path_over_adapters(t, source, destination);
    if (!within || !t->node.devices) return topology_path_like(t, source, destination, within);
    int32_t node = source / t->devices_per_node;
    topology_follow_wires(t, &p, node, source % t->devices_per_node,
                          destination % t->devices_per_node);
    return p;
}

// A place of a node among those of all, as topology_ends() numbers them.
static int32_t place_of(const Topology *t, int32_t node, int place) {
    int32_t devices = t->node.devices, others = t->node.places - devices;
    return place < devices ? node * devices + place : -1 - (node * others + place - devices);
}

void topology_ends(const Topology *t, int32_t link, int32_t *from, int32_t *to) {
    if (t->first_trunk != NONE && link >= t->first_trunk) {
        topology_trunk_ends(t, link - t->first_trunk, from, to);
        return;
    }
    int32_t node = (link - t->first_wire) / t->node_wires;
    int32_t number = (link - t->first_wire) % t->node_wires;
    const NodeWire *w = &t->node.wires[number / 2];
    *from = place_of(t, node, number % 2 ? w->b : w->a);
    *to = place_of(t, node, number % 2 ? w->a : w->b);
}
