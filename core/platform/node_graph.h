// SPDX-License-Identifier: MIT
// The wires of one node, when they are more than a switch or a mesh of pairs (NodeMesh): between
// its devices, the switches of NVLink and PCI, its processors and its network adapters. Read from
// the topology that NCCL writes (NCCL_TOPO_DUMP_FILE), with the bandwidths that NCCL counts.
#ifndef CORE_PLATFORM_NODE_GRAPH_H
#define CORE_PLATFORM_NODE_GRAPH_H

#include "core/platform/fabric.h"

enum { NODE_PLACES = 96, NODE_WIRES = 256, NODE_ADAPTERS = 32 };

// Devices reach each other over NVLink where two wires do, else over the host.
typedef enum { WIRE_NVLINK, WIRE_HOST, WIRE_KINDS } WireKind;

// Between two places, so much each way. Two places have one wire.
typedef struct {
    int16_t a, b;
    WireKind kind;
    int64_t bytes_per_s;
} NodeWire;

typedef struct {
    int16_t place;
    int64_t bytes_per_s;  // to the network between nodes, each way
} NodeAdapter;

// Places are numbered: first the devices, then all else. Rates are relative: a machine whose link
// has link_bytes_per_s has these, a faster one faster ones.
typedef struct {
    int32_t devices, places, wire_count, adapter_count;  // devices 0: no such graph
    NodeWire wires[NODE_WIRES];
    NodeAdapter adapters[NODE_ADAPTERS];
    int8_t adapter_of[NODE_MESH_DEVICES];  // of a device, the nearest; -1: there is none
    int64_t link_bytes_per_s;  // NVLinks of the device that has most, or without any its host wires
    int64_t rail_bytes_per_s;  // of the fastest adapter; 0: there is none
} NodeGraph;

// Read such a file: 1 to NODE_MESH_DEVICES devices, numbered in the order of their `dev`.
// ERR_INPUT; ERR_FORMAT names file, line and what to do.
Status node_graph_read(NodeGraph *out, const char *path) MUST_USE;

// The same from memory; `name` is its name in messages.
Status node_graph_parse(NodeGraph *out, const char *text, size_t length, const char *name) MUST_USE;

// The wires of a mesh of pairs.
void node_graph_of_mesh(NodeGraph *out, const NodeMesh *mesh);

#endif
