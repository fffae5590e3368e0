// SPDX-License-Identifier: MIT
// Networks between nodes: which links they have, by number, and the way of a message over them.
// Devices of a fat tree and a dragonfly are attached in the order of their numbers.
//
//   fat tree     radix k, half = k/2: device d is at edge switch d / half; half edge and half
//                aggregation switches make a pod, half * half core switches the top. Links in
//                pairs up and down: edge e to aggregation a of its pod, number e * half + a; after
//                these aggregation g (of all) to the core number c of its column, g * half + c
//   leaf-spine   leaf = pod * devices of a node + device in its node; pairs leaf * spines + spine
//   torus        node, dimension, direction: one link from there to the neighbour
//   dragonfly    in each group from router to router; then from group to group, where the links
//                of a group to the others in their order are at its routers, `globals` at each
#include "sim/topology_internal.h"

enum { UP, DOWN };

static int32_t half_of(const Topology *t) { return t->fabric.radix / 2; }

// --- fat tree

static int32_t fat_tree_edges(const Topology *t) { return 2 * half_of(t) * half_of(t); }

static int32_t edge_link(const Topology *t, int32_t edge, int32_t column) {
    return t->first_trunk + 2 * (edge * half_of(t) + column);
}

static int32_t core_link(const Topology *t, int32_t edge, int32_t column, int32_t core) {
    int32_t half = half_of(t), aggregation = edge / half * half + column;
    return t->first_trunk + 2 * ((fat_tree_edges(t) + aggregation) * half + core);
}

static void follow_fat_tree(const Topology *t, Path *p, int source, int destination) {
    int32_t half = half_of(t), from = source / half, to = destination / half;
    int32_t column = destination % half, core = destination / half % half;
    if (from == to) return;
    path_add(p, edge_link(t, from, column) + UP);
    if (from / half != to / half) {
        path_add(p, core_link(t, from, column, core) + UP);
        path_add(p, core_link(t, to, column, core) + DOWN);
    }
    path_add(p, edge_link(t, to, column) + DOWN);
}

static void fat_tree_ends(const Topology *t, int32_t trunk, int32_t *from, int32_t *to) {
    int32_t half = half_of(t), edges = fat_tree_edges(t), pair = trunk / 2;
    int32_t below = pair / half, above = pair % half;
    if (below < edges)
        above += edges + below / half * half;
    else
        above += 2 * edges + below % half * half;
    *from = trunk % 2 == UP ? below : above;
    *to = trunk % 2 == UP ? above : below;
}

// --- leaf-spine

static int32_t leaf_of(const Topology *t, int device) {
    int32_t node = device / t->devices_per_node;
    return node / t->fabric.pod_nodes * t->devices_per_node + device % t->devices_per_node;
}

static void follow_leaf_spine(const Topology *t, Path *p, int source, int destination) {
    int32_t from = leaf_of(t, source), to = leaf_of(t, destination), spines = t->fabric.spines;
    int32_t spine = destination / t->devices_per_node % spines;
    if (from == to) return;
    path_add(p, t->first_trunk + 2 * (from * spines + spine) + UP);
    path_add(p, t->first_trunk + 2 * (to * spines + spine) + DOWN);
}

static void leaf_spine_ends(const Topology *t, int32_t trunk, int32_t *from, int32_t *to) {
    int32_t leaf = trunk / 2 / t->fabric.spines;
    int32_t spine = t->fabric.pods * t->devices_per_node + trunk / 2 % t->fabric.spines;
    *from = trunk % 2 == UP ? leaf : spine;
    *to = trunk % 2 == UP ? spine : leaf;
}

// --- torus: the first dimension is the one whose places follow each other in number

static int32_t torus_step(int32_t at, int32_t size, int direction) {
    return (at + (direction == UP ? 1 : size - 1)) % size;
}

static int torus_direction(int32_t from, int32_t to, int32_t size) {
    int32_t up = (to - from + size) % size;
    if (2 * up == size) return from % 2 == 0 ? UP : DOWN;
    return 2 * up < size ? UP : DOWN;
}

static void follow_torus(const Topology *t, Path *p, int source, int destination) {
    const Fabric *f = &t->fabric;
    int32_t node = source / t->devices_per_node, target = destination / t->devices_per_node;
    for (int d = 0, stride = 1; d < f->dimensions; stride *= f->sizes[d++]) {
        int32_t size = f->sizes[d], at = node / stride % size, to = target / stride % size;
        int direction = torus_direction(at, to, size);
        while (at != to) {
            int32_t next = torus_step(at, size, direction);
            path_add(p, t->first_trunk + 2 * (node * f->dimensions + d) + direction);
            node += (next - at) * stride;
            at = next;
        }
    }
}

static void torus_ends(const Topology *t, int32_t trunk, int32_t *from, int32_t *to) {
    const Fabric *f = &t->fabric;
    int d = trunk / 2 % f->dimensions, stride = 1;
    for (int i = 0; i < d; i++) stride *= f->sizes[i];
    *from = trunk / 2 / f->dimensions;
    int32_t at = *from / stride % f->sizes[d];
    *to = *from + (torus_step(at, f->sizes[d], trunk % 2) - at) * stride;
}

// --- dragonfly

static int32_t before(int32_t i, int32_t left_out) { return i < left_out ? i : i - 1; }

static void add_local(const Topology *t, Path *p, int32_t group, int32_t from, int32_t to) {
    int32_t routers = t->fabric.routers;
    if (from != to)
        path_add(p, t->first_trunk + (group * routers + from) * (routers - 1) + before(to, from));
}

static void follow_dragonfly(const Topology *t, Path *p, int source, int destination) {
    const Fabric *f = &t->fabric;
    int32_t from = source / f->ports, to = destination / f->ports;
    int32_t group = from / f->routers, target = to / f->routers;
    from %= f->routers;
    to %= f->routers;
    if (group != target) {
        int32_t gate = before(target, group) / f->globals;
        add_local(t, p, group, from, gate);
        path_add(p, t->first_trunk + f->groups * f->routers * (f->routers - 1) +
                        group * (f->groups - 1) + before(target, group));
        from = before(group, target) / f->globals;
    }
    add_local(t, p, target, from, to);
}

static void dragonfly_ends(const Topology *t, int32_t trunk, int32_t *from, int32_t *to) {
    const Fabric *f = &t->fabric;
    int32_t local = f->groups * f->routers * (f->routers - 1);
    if (trunk < local) {
        int32_t other = trunk % (f->routers - 1), router = trunk / (f->routers - 1);
        *from = router;
        *to = router / f->routers * f->routers + other + (other >= router % f->routers);
        return;
    }
    int32_t group = (trunk - local) / (f->groups - 1), other = (trunk - local) % (f->groups - 1);
    int32_t target = other + (other >= group);
    *from = group * f->routers + other / f->globals;
    *to = target * f->routers + before(group, target) / f->globals;
}

// --- all of them

// Links up are slower than rails where they are oversubscribed; those of a leaf to the spines share
// what its rails bring together.
static int64_t trunk_rate(const Topology *t, int64_t rail) {
    const Fabric *f = &t->fabric;
    switch (f->kind) {
    case FABRIC_FAT_TREE: return (int64_t)((__int128)rail * 1000 / f->oversubscribed_permille);
    case FABRIC_LEAF_SPINE:
        return (int64_t)((__int128)rail * f->pod_nodes * 1000 /
                         ((__int128)f->spines * f->oversubscribed_permille));
    default: return rail;
    }
}

Status topology_add_trunks(Topology *t, Network *n, const LinkModel *rail) {
    t->trunks = (int32_t)fabric_links(&t->fabric, t->devices_per_node);
    for (int i = 0; i < t->trunks; i++) {
        int32_t link;
        TRY(network_add_link(n, &link, trunk_rate(t, rail->bytes_per_s), rail->latency_ps));
        if (i == 0) t->first_trunk = link;
    }
    return OK;
}

void topology_follow_trunks(const Topology *t, Path *p, int source, int destination) {
    switch (t->fabric.kind) {
    case FABRIC_FAT_TREE: follow_fat_tree(t, p, source, destination); return;
    case FABRIC_LEAF_SPINE: follow_leaf_spine(t, p, source, destination); return;
    case FABRIC_TORUS: follow_torus(t, p, source, destination); return;
    case FABRIC_DRAGONFLY: follow_dragonfly(t, p, source, destination); return;
    case FABRIC_RAILS: return;
    }
}

void topology_trunk_ends(const Topology *t, int32_t trunk, int32_t *from, int32_t *to) {
    switch (t->fabric.kind) {
    case FABRIC_FAT_TREE: fat_tree_ends(t, trunk, from, to); return;
    case FABRIC_LEAF_SPINE: leaf_spine_ends(t, trunk, from, to); return;
    case FABRIC_TORUS: torus_ends(t, trunk, from, to); return;
    case FABRIC_DRAGONFLY: dragonfly_ends(t, trunk, from, to); return;
    case FABRIC_RAILS: return;
    }
}
