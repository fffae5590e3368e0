// SPDX-License-Identifier: MIT
// Nodes of devices as links of a network. Every device has a link up to the switch of its node and
// one down from it, and a switch never fills; or wires lead from device to device (NodeMesh), also
// over switches and processors (NodeGraph). Where a node's traffic leaves it, each device has a
// rail of its own, or all of a node share one, or those that are nearest to an adapter share that.
//
// Rails meet in a network that never fills, or in one whose links are here, too (Fabric). Each is
// routed the same way always, so that a run can be repeated:
//
//   mesh          the fewest wires; of several ways, by the devices with the lowest numbers; over
//                 NVLink where two wires of it do, else over the host (NodeGraph)
//   fat tree      up by the number of the device to which it goes (D-mod-k), then down
//   leaf-spine    between leaves by the spine that the destination's node has the number of
//   torus         one dimension after the other, the shorter way round; where both are as short,
//                 from even places up and from odd ones down
//   dragonfly     to the router with the link to the destination's group, over it, to its router
//
// Paths are found by formula, but for a mesh's, which are tables of one node.
#ifndef SIM_TOPOLOGY_H
#define SIM_TOPOLOGY_H

#include "core/platform/fabric.h"
#include "core/platform/machine.h"
#include "sim/closed_form.h"
#include "sim/nccl_model.h"
#include "sim/network.h"

typedef struct {
    int32_t nodes, devices_per_node;
    LinkModel link;    // between a device and its node's switch, one direction
    LinkModel rail;    // to the fabric and from it; not needed for one node
    bool shared_rail;  // one for all devices of a node, behind its switch; else one for each device
    bool store_and_forward;  // links carry one message after another (sim/network.h)
    NcclPricing pricing;     // of communication; without constants, and without a model of
    ClosedForm closed;       // closed forms (whose paths are found here), message by message
    bool levels;  // collectives over nodes go in levels (sim/levels.h); not by NCCL's model
    const NodeMesh *mesh;   // borrowed, like the next two; NULL: none, but a switch,
    const NodeGraph *node;  // instead of a mesh, with adapters as rails; NULL: none
    const Fabric *fabric;   // NULL: a network that never fills
    int32_t ports;  // devices that have links, where some stand for others (sim/fold.h); 0: all
} TopologyOptions;

typedef struct {
    int32_t nodes, devices_per_node;
    bool shared_rail;
    int32_t first_link, first_rail;  // up and down in turn; NONE: there are none
    int32_t first_wire, node_wires;  // of wires: the links of one node after the other's
    int32_t first_trunk, trunks;     // of the network between rails
    Fabric fabric;
    NodeGraph node;                                     // of wires; devices 0: a switch
    int16_t wire[NODE_PLACES][NODE_PLACES];             // from place to place; NONE: no wire
    int8_t away[WIRE_KINDS][NODE_PLACES][NODE_PLACES];  // so many wires of the kind
} Topology;

// Adds the links to the network. ERR_USAGE for no or too many devices, for links that a network
// does not take.
Status topology_init(Topology *t, Network *n, const TopologyOptions *o) MUST_USE;

int topology_devices(const Topology *t);

// From device to device, numbered node by node. Within a node: up, down; or its wires. Between
// nodes: the rails of both devices, and between them the links of a fabric; where a node shares a
// rail, up, both rails, down; over a torus up, its links, down, or its links alone where nodes are
// devices. To itself: no links.
Path topology_path(const Topology *t, int source, int destination);

// Are two devices in one node?
bool topology_within(const Topology *t, int a, int b);

// Do the links of devices and their rails describe the whole network? Else prices and formulas
// that look at these alone do not apply.
bool topology_is_ports(const Topology *t);

// The devices, switches or nodes that a wire or a trunk leads from and to: switches of a fat tree
// are numbered from the lowest level, leaves before spines, routers group by group. What a wire
// leads to besides devices is numbered, too, node by node, and k stands there as -1 - k.
void topology_ends(const Topology *t, int32_t link, int32_t *from, int32_t *to);

// The links of two devices that stand for others (sim/fold.h), which are in one node (within) or
// are not; they may be the same device. Only where ports describe the network.
Path topology_path_like(const Topology *t, int source, int destination, bool within);

#endif
