// SPDX-License-Identifier: MIT
// How busy the links of a simulated network were, by kind: a device's link to its node's switch and
// from it, its rail to other nodes and from them, wires between devices, and trunks: the links of a
// network between rails (sim/topology.h).
#ifndef SIM_LINK_USE_H
#define SIM_LINK_USE_H

#include "sim/topology.h"

typedef enum {
    LINK_UP,
    LINK_DOWN,
    LINK_RAIL_UP,
    LINK_RAIL_DOWN,
    LINK_WIRE,
    LINK_TRUNK,
    LINK_KINDS
} LinkKind;

typedef struct {
    int32_t busiest;    // whose link: a device, an adapter, or a node that has one rail; the first
                        // of equals
    int32_t to;         // of a wire or trunk, which leads from `busiest` to this (topology_ends())
    int64_t bytes;      // that it carried
    double busy;        // share of the time that this would take at its rate
    double mean;        // the same of all of the kind,
    double mean_bytes;  // and their bytes
} LinkUse;

typedef struct {
    bool known;  // messages went one by one
    LinkUse of[LINK_KINDS];
} LinkUses;

// After a simulation that took time_ps, in which devices 0 to `devices` - 1 communicated.
void link_uses_find(LinkUses *out, const Topology *t, const Network *n, int devices,
                    int64_t time_ps);

#endif
