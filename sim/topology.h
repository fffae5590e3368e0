// SPDX-License-Identifier: MIT
// Nodes of devices as links of a network. Every device has a link up to the switch of its node and
// one down from it; switches and the fabric between nodes never fill. Where a node's traffic leaves
// it, each device has a rail of its own, or all of a node share one. Nothing is looked up: a link's
// number is a formula.
#ifndef SIM_TOPOLOGY_H
#define SIM_TOPOLOGY_H

#include "core/platform/machine.h"
#include "sim/nccl_model.h"
#include "sim/network.h"

typedef struct {
    int32_t nodes, devices_per_node;
    LinkModel link;    // between a device and its node's switch, one direction
    LinkModel rail;    // to the fabric and from it; not needed for one node
    bool shared_rail;  // one for all devices of a node, behind its switch; else one for each device
    bool store_and_forward;  // links carry one message after another (sim/network.h)
    NcclPricing pricing;     // of communication; without constants it goes message by message
} TopologyOptions;

typedef struct {
    int32_t nodes, devices_per_node;
    bool shared_rail;
    int32_t first_link, first_rail;  // up and down in turn
} Topology;

// Adds the links to the network.
Status topology_init(Topology *t, Network *n, const TopologyOptions *o) MUST_USE;

int topology_devices(const Topology *t);

// From device to device, numbered node by node. Within a node: up, down. Between nodes: the rails
// of both devices; or, where a node shares one, up, both rails, down. To itself: no links.
Path topology_path(const Topology *t, int source, int destination);

// Are two devices in one node?
bool topology_within(const Topology *t, int a, int b);

// The links of two devices that stand for others (sim/fold.h), which are in one node (within) or
// are not; they may be the same device. Where devices have rails of their own.
Path topology_path_like(const Topology *t, int source, int destination, bool within);

#endif
