// SPDX-License-Identifier: MIT
// What lies between devices: the section `topology` of machine files (docs/formats.md). Within a
// node a switch, or wires from device to device; across nodes a network that never fills behind the
// devices' rails, or one of switches or nodes with links of their own (sim/topology.h).
#ifndef CORE_PLATFORM_FABRIC_H
#define CORE_PLATFORM_FABRIC_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct YamlNode;

enum { NODE_MESH_DEVICES = 16, FABRIC_DIMENSIONS = 3, FABRIC_PATH_LINKS = 64 };

// Wires between the devices of a node. Each has the bandwidth of a device's link divided by
// most_wires, and the latency of that link; a pair's wires act as one link each way.
typedef struct {
    int32_t devices;                                      // 0: a switch instead
    int32_t most_wires;                                   // that a device has
    uint8_t wires[NODE_MESH_DEVICES][NODE_MESH_DEVICES];  // of each pair, both ways round
} NodeMesh;

typedef enum {
    FABRIC_RAILS,       // they meet in a network that never fills
    FABRIC_FAT_TREE,    // of three levels of switches with `radix` ports (Al-Fares et al., 2008)
    FABRIC_LEAF_SPINE,  // a leaf switch for the n-th devices of `pod_nodes` nodes each, and spines
    FABRIC_TORUS,       // nodes, or devices without a node, with links to their neighbours
    FABRIC_DRAGONFLY    // groups of routers, all pairs of both connected (Kim et al., 2008)
} FabricKind;

typedef struct {
    FabricKind kind;
    int32_t radix;
    int32_t pods, pod_nodes, spines;
    int32_t oversubscribed_permille;  // fat tree, leaf-spine: bandwidth down to that up, from 1000
    int32_t dimensions, sizes[FABRIC_DIMENSIONS];
    int32_t groups, routers, ports, globals;  // a dragonfly's: routers of a group; of a router the
                                              // devices, and the links to other groups
} Fabric;

// The section; ERR_FORMAT for what is wrong in it, also for nodes of so many devices.
Status fabric_read(Fabric *out, NodeMesh *mesh, const struct YamlNode *n, int64_t devices) MUST_USE;
void fabric_write(FILE *f, const Fabric *fabric, const NodeMesh *mesh);

// How many nodes of so many devices it connects; rails: INT64_MAX. How many links it has, one
// direction each, besides the rails.
int64_t fabric_nodes(const Fabric *f, int64_t devices_per_node);
int64_t fabric_links(const Fabric *f, int64_t devices_per_node);

// "torus", for messages.
const char *fabric_name(const Fabric *f);

#endif
