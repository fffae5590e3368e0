// SPDX-License-Identifier: MIT
// What devices send in a step, by the class of link that it goes over: within a node, or between
// nodes. From the plan: message by message, by the schedules of its collectives; or where NCCL's
// model prices them, as its algorithms send.
#ifndef SIM_SENT_BYTES_H
#define SIM_SENT_BYTES_H

#include "core/base/arena.h"
#include "core/plan/set.h"
#include "sim/topology.h"

// Of a device, the mean of all. NaN: there are so many messages that they are not counted.
typedef struct {
    double within_node, between_nodes;
} SentBytes;

// Of lowered programs, rank r being device r of those nodes. The arena is for scratch. ERR_MEMORY,
// and what nccl_price() fails with.
Status sent_bytes_of_step(SentBytes *out, Arena *a, const ProgramSet *set,
                          const TopologyOptions *place) MUST_USE;

#endif
