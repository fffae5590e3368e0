// SPDX-License-Identifier: MIT
// Links are numbered by formula: device d has link 2d up and 2d + 1 down, rails likewise.
#include "sim/topology.h"

enum { UP, DOWN };

static Status add_pair(Network *n, const LinkModel *model, int32_t *first) {
    int32_t up, down;
    TRY(network_add_link(n, &up, model->bytes_per_s, model->latency_ps));
    TRY(network_add_link(n, &down, model->bytes_per_s, model->latency_ps));
    if (first) *first = up;
    return OK;
}

Status topology_init(Topology *t, Network *n, const TopologyOptions *o) {
    *t = (Topology){o->nodes, o->devices_per_node, o->shared_rail, 0, 0};
    if (o->nodes < 1 || o->devices_per_node < 1 || o->nodes > INT32_MAX / 8 / o->devices_per_node)
        FAIL(ERR_USAGE, "%d nodes of %d devices: there must be between 1 and %d devices", o->nodes,
             o->devices_per_node, INT32_MAX / 8);
    n->store_and_forward = o->store_and_forward;
    int devices = topology_devices(t), rails = o->shared_rail ? o->nodes : devices;
    for (int i = 0; i < devices; i++) TRY(add_pair(n, &o->link, i == 0 ? &t->first_link : NULL));
    for (int i = 0; i < rails && o->nodes > 1; i++)
        TRY(add_pair(n, &o->rail, i == 0 ? &t->first_rail : NULL));
    return OK;
}

bool topology_within(const Topology *t, int a, int b) {
    return a / t->devices_per_node == b / t->devices_per_node;
}

int topology_devices(const Topology *t) { return t->nodes * t->devices_per_node; }

Path topology_path_like(const Topology *t, int source, int destination, bool within) {
    int from = source / t->devices_per_node, to = destination / t->devices_per_node;
    int up = t->first_link + 2 * source + UP, down = t->first_link + 2 * destination + DOWN;
    if (within) return (Path){.links = {up, down}, .hops = 2};
    if (!t->shared_rail)
        return (Path){
            .links = {t->first_rail + 2 * source + UP, t->first_rail + 2 * destination + DOWN},
            .hops = 2};
    return (Path){.links = {up, t->first_rail + 2 * from + UP, t->first_rail + 2 * to + DOWN, down},
                  .hops = 4};
}

Path topology_path(const Topology *t, int source, int destination) {
    if (source == destination) return (Path){.hops = 0};
    return topology_path_like(t, source, destination, topology_within(t, source, destination));
}
