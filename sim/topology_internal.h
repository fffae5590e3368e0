// SPDX-License-Identifier: MIT
// Shared by sim/topology.c, sim/topology_mesh.c (within nodes) and sim/topology_fabric.c (between).
#ifndef SIM_TOPOLOGY_INTERNAL_H
#define SIM_TOPOLOGY_INTERNAL_H

#include "sim/topology.h"

#include <assert.h>

static inline void path_add(Path *p, int32_t link) {
    assert(p->hops < PATH_MOST);
    p->links[p->hops++] = link;
}

// The wires of all nodes; the rails of their adapters, of which the fastest is as fast as `rail`;
// the wires from one place of a node to another (NodeGraph).
Status topology_add_wires(Topology *t, Network *n, const LinkModel *link) MUST_USE;
Status topology_add_adapters(Topology *t, Network *n, const LinkModel *rail) MUST_USE;
void topology_follow_wires(const Topology *t, Path *p, int32_t node, int source, int destination);

// The links of the fabric, with the bandwidth of rails; those from device to device between rails.
Status topology_add_trunks(Topology *t, Network *n, const LinkModel *rail) MUST_USE;
void topology_follow_trunks(const Topology *t, Path *p, int source, int destination);
void topology_trunk_ends(const Topology *t, int32_t trunk, int32_t *from, int32_t *to);

#endif
