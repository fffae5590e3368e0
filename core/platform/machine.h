// SPDX-License-Identifier: MIT
// A machine to simulate: nodes of devices, links between them, or the cores of one host whose ranks
// are processes. Read from YAML (docs/formats.md, "Machine files"); some are built in.
#ifndef CORE_PLATFORM_MACHINE_H
#define CORE_PLATFORM_MACHINE_H

#include "core/base/arena.h"
#include "core/plan/kind.h"
#include "core/platform/calibration.h"
#include "core/platform/fabric.h"
#include "core/platform/kernel_model.h"
#include "core/platform/nccl_constants.h"
#include "core/platform/node_graph.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MACHINE_VERSION "machine 1"  // what a file says after "tandem:"

// One direction of a link.
typedef struct {
    int64_t bytes_per_s, latency_ps;
} LinkModel;

// "1GB/s,50us": a bandwidth and a latency. ERR_USAGE says what was found and what is accepted.
Status link_model_parse(LinkModel *out, const char *text) MUST_USE;

// What a device computes slower beside collectives: products and attention, or what moves memory.
typedef enum { SLOWED_PRODUCTS, SLOWED_OTHER, SLOWED_KINDS } SlowedKind;

typedef struct {
    const char *name;
    int64_t flops_per_s[DTYPE_COUNT];  // peak; 0: the device does not compute in this type
    int64_t memory_bytes_per_s, memory_bytes;
    int64_t launch_ps;                        // from one operation's end to the next one's start
    int64_t issue_ps;                         // the host takes so long for a launch; 0: it keeps up
    bool ahead;                               // with issue_ps: it goes on into the next step
    bool waits;                               // with issue_ps: for each message that comes
    bool graph;                               // with issue_ps: a step is launched as one,
    int64_t graph_gap_ps;                     // and this stands for launch_ps; 0: that does
    int32_t flops_permille, memory_permille;  // share of the peaks that kernels reach,
    int32_t slowed_permille[SLOWED_KINDS];    // times as long beside a collective; 0: 1000
    KernelModel kernels;                      // where their shapes do not say more
} DeviceModel;

static inline int64_t device_gap_ps(const DeviceModel *d) {
    return d->graph && d->graph_gap_ps ? d->graph_gap_ps : d->launch_ps;
}

// How ranks that are processes or threads of one host compute, wait and exchange.
typedef struct {
    int32_t cores;
    int64_t dispatch_ps;        // the executor's own time per operation
    int64_t spin_ps;            // a waiting rank spins so long, then it sleeps
    int64_t poll_ps;            // from a peer's store until a spinning rank has seen it
    int64_t wake_ps;            // from a peer's store until a rank that slept on another core runs
    int64_t wake_same_core_ps;  // the same on the core of the peer
    int64_t switch_ps;          // a core changes from one rank to another
    int64_t yield_ps;           // ranks that share cores do not spin: they offer the core
                                // to others for so long, then they sleep
    int64_t turn_ps;            // a rank's work per step besides its plan
    int64_t fold_bytes_per_s;   // bytes read and written when peers' memory is added up
    int32_t co_run_permille;    // CPU time with the other cores busy, relative to alone
    int32_t oversubscribed_permille;  // the same with more ranks than cores
} HostModel;

typedef struct {
    const char *name, *source;  // source: the file, or "built-in"
    bool is_host;               // ranks share the cores of `host`; else each has a device
    int32_t nodes, devices_per_node;
    DeviceModel device;
    LinkModel link;  // between a device and its node's switch
    LinkModel rail;  // between a device and the network of nodes
    NodeMesh mesh;   // wires within a node instead of its switch,
    NodeGraph node;  // or all of its wires, with which adapters are rails; not in files
    Fabric fabric;   // that network
    HostModel host;
    bool has_loggp;               // the file has a section `loggp`
    int64_t overhead_ps, gap_ps;  // of it: a host's time for a message, the least between two
    bool has_collectives;         // the file has a section `collectives`
    NcclConstants collectives;    // that section; without it all 0
    bool is_calibrated;           // the file has a section `calibration`
    Calibration calibration;      // that section; without it all 0
} Machine;

// For messages and help; a test compares them with what is built in.
#define MACHINE_BUILTIN_NAMES                                                               \
    "dgx-a100, dgx-h100, dgx-v100, ethernet-cluster, gb200-nvl72, h100-1, h200-1, laptop, " \
    "pcie-8"

// Read a machine: one of MACHINE_BUILTIN_NAMES or a YAML file. ERR_USAGE for an unknown name, with
// the nearest; ERR_FORMAT with file, line, column, expected, found.
Status machine_read(Machine *out, Arena *a, const char *spec) MUST_USE;

// Read a machine file from memory; `name` is its name in messages, and borrowed.
Status machine_parse(Machine *out, Arena *a, const char *text, size_t length,
                     const char *name) MUST_USE;

// Write a machine file that reads back equal; print it on a stream, whose errors the caller checks.
Status machine_write(const Machine *m, const char *path) MUST_USE;
void machine_print(const Machine *m, FILE *f);

int machine_devices(const Machine *m);  // of all nodes

// Nodes of another kind: their wires and adapters instead of the switch or the mesh and the rails,
// of which latencies stay; what NCCL reaches on the machine's own (`collectives`) does not.
// ERR_USAGE where there is no such latency, for a host, for a network between nodes that needs a
// rail for each device. *m is unchanged then.
Status machine_take_node(Machine *m, const NodeGraph *node) MUST_USE;

#endif
