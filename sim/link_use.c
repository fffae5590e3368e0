// SPDX-License-Identifier: MIT
// Ports are numbered in pairs, up and down (sim/topology.c), so that a kind is every second link.
#include "sim/link_use.h"

#include "core/plan/program.h"

static double share(const Link *l, double time_ps) {
    double most = 1e-12 * time_ps * (double)l->bytes_per_s;
    return most > 0 ? (double)l->carried_bytes / most : 0;
}

// Of `count` links from `first` on, each `stride` after the one before. `busiest` is an index.
static LinkUse find_use(const Network *n, int32_t first, int stride, int count, int64_t time_ps) {
    LinkUse u = {0};
    for (int i = 0; i < count; i++) {
        const Link *l = &n->links[first + stride * i];
        double busy = share(l, (double)time_ps);
        if (busy > u.busy) {
            u.busiest = i;
            u.bytes = l->carried_bytes;
            u.busy = busy;
        }
        u.mean_bytes += (double)l->carried_bytes / count;
        u.mean += busy / count;
    }
    return u;
}

static LinkUse find_ends(const Topology *t, const Network *n, int32_t first, int count,
                         int64_t time_ps) {
    LinkUse u = find_use(n, first, 1, count, time_ps);
    topology_ends(t, first + u.busiest, &u.busiest, &u.to);
    return u;
}

void link_uses_find(LinkUses *out, const Topology *t, const Network *n, int devices,
                    int64_t time_ps) {
    *out = (LinkUses){.known = true};
    int nodes = (devices + t->devices_per_node - 1) / t->devices_per_node;
    int rails = t->node.adapter_count ? nodes * t->node.adapter_count
                : t->shared_rail      ? nodes
                                      : devices;
    for (int down = 0; down < 2; down++) {
        if (t->first_link != NONE)
            out->of[LINK_UP + down] = find_use(n, t->first_link + down, 2, devices, time_ps);
        if (t->nodes > 1 && t->first_rail != NONE)
            out->of[LINK_RAIL_UP + down] = find_use(n, t->first_rail + down, 2, rails, time_ps);
    }
    if (t->node.devices)
        out->of[LINK_WIRE] = find_ends(t, n, t->first_wire, nodes * t->node_wires, time_ps);
    if (t->trunks) out->of[LINK_TRUNK] = find_ends(t, n, t->first_trunk, t->trunks, time_ps);
}
