// SPDX-License-Identifier: MIT
// What devices send in a step, by the class of link that it goes over: within a node, or between
// nodes. From the plan and the schedules of its collectives, message by message.
#ifndef SIM_SENT_BYTES_H
#define SIM_SENT_BYTES_H

#include "core/base/arena.h"
#include "core/plan/set.h"

// Of a device, the mean of all. NaN: there are so many messages that they are not counted.
typedef struct {
    double within_node, between_nodes;
} SentBytes;

// Of lowered programs, rank r being device r of nodes with so many each. The arena is for
// scratch. ERR_MEMORY.
Status sent_bytes_of_step(SentBytes *out, Arena *a, const ProgramSet *set,
                          int devices_per_node) MUST_USE;

#endif
