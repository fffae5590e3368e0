// SPDX-License-Identifier: MIT
// How NCCL sees the devices of a machine: what its choice among algorithms and protocols depends on
// (sim/nccl_model.h), and the few factors by which measurements may correct it. The section
// `collectives` of a machine file (docs/formats.md, "Machine files").
#ifndef CORE_PLATFORM_NCCL_CONSTANTS_H
#define CORE_PLATFORM_NCCL_CONSTANTS_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct YamlNode;

// Words of machine files, in the order of the enums.
#define NCCL_ARCHITECTURE_WORDS "volta|ampere|hopper|blackwell"
typedef enum {
    NCCL_VOLTA,
    NCCL_AMPERE,
    NCCL_HOPPER,
    NCCL_BLACKWELL,
    NCCL_ARCHITECTURES
} NcclArchitecture;

#define NCCL_WIRE_WORDS "nvlink|pcie"
typedef enum { NCCL_NVLINK, NCCL_PCIE } NcclWire;

#define NCCL_CPU_WORDS "intel|amd"
typedef enum { NCCL_INTEL, NCCL_AMD } NcclCpu;

// So many channels for a group of at least so many devices of a node.
typedef struct {
    int32_t ranks, channels;
} NcclChannels;

enum { NCCL_GROUP_SIZES = 8, NCCL_CHANNELS_MAX = 64, NCCL_UNIT = 1000000 };

typedef struct {
    NcclArchitecture architecture;
    NcclWire wire;                            // between the devices of a node
    NcclCpu cpu;                              // of the hosts
    int32_t devices;                          // of a node
    int32_t group_sizes;                      // rows of `channels`, the smallest group first
    NcclChannels channels[NCCL_GROUP_SIZES];  // rings within a node
    int64_t channel_bytes_per_s;              // of one of them
    int32_t across_channels;                  // rings across nodes, of groups of all devices;
    int64_t across_bytes_per_s;               // of one of them. 0: the file says nothing of nodes
    int32_t nvls_channels;                    // by which the switch adds; 0: it does not
    int64_t nvls_bytes_per_s;                 // of one of them
    bool collnet;                             // do the switches between nodes add?
    // What a fit may set: a latency of every operation besides NCCL's own; what one of very many
    // bytes within a node loses until links are at their best; in millionths (NCCL_UNIT: as in
    // NCCL) factors of its latencies of a hop and of bus bandwidths, and what small groups lose of
    // the latter (0: as in NCCL).
    int64_t base_latency_ps, ramp_ps;
    int32_t hop_within, hop_across, bandwidth_within, bandwidth_across;
    int32_t group_loss;  // of n devices of a node lose a bandwidth of group_loss / n within it
} NcclConstants;

// Read the section; `devices`: of a node. ERR_FORMAT with file, line, column, expected, found.
Status nccl_constants_read(NcclConstants *out, const struct YamlNode *section,
                           int32_t devices) MUST_USE;

// Write the section as it is read back equal; the caller checks the stream.
void nccl_constants_write(FILE *f, const NcclConstants *c);

// Rings within a node, of a group of so many of its devices.
int32_t nccl_constants_channels(const NcclConstants *c, int32_t ranks);

#endif
