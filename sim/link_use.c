// SPDX-License-Identifier: MIT
// Links are numbered in pairs, up and down (sim/topology.c), so that a kind is every second link.
#include "sim/link_use.h"

static LinkUse find_use(const Network *n, int32_t first, int count, int64_t time_ps) {
    LinkUse u = {0};
    for (int i = 0; i < count; i++) {
        const Link *l = &n->links[first + 2 * i];
        if (l->carried_bytes > u.bytes) {
            u.busiest = i;
            u.bytes = l->carried_bytes;
        }
        u.mean_bytes += (double)l->carried_bytes / count;
    }
    double most = 1e-12 * (double)time_ps * (double)n->links[first].bytes_per_s;
    u.busy = most > 0 ? (double)u.bytes / most : 0;
    u.mean = most > 0 ? u.mean_bytes / most : 0;
    return u;
}

void link_uses_find(LinkUses *out, const Topology *t, const Network *n, int devices,
                    int64_t time_ps) {
    *out = (LinkUses){.known = true};
    int rails =
        t->shared_rail ? (devices + t->devices_per_node - 1) / t->devices_per_node : devices;
    for (int down = 0; down < 2; down++) {
        out->of[LINK_UP + down] = find_use(n, t->first_link + down, devices, time_ps);
        if (t->nodes == 1) continue;
        out->of[LINK_RAIL_UP + down] = find_use(n, t->first_rail + down, rails, time_ps);
    }
}
