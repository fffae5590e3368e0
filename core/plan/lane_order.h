// SPDX-License-Identifier: MIT
// The lanes of a plan as lists of operations: what every executor walks along, one list per lane in
// plan order. As a lane ends its operations in order, its leader says which of them have ended.
#ifndef CORE_PLAN_LANE_ORDER_H
#define CORE_PLAN_LANE_ORDER_H

#include "core/base/arena.h"
#include "core/plan/program.h"

typedef struct {
    const Program *program;  // borrowed
    const Plan *plan;
    int32_t *first;  // per lane: its first operation, or NONE
    int32_t *next;   // per operation: the next one on its lane, or NONE
} LaneOrder;

// Both lists are in the arena. ERR_MEMORY.
Status lane_order_init(LaneOrder *o, Arena *a, const Program *p, int plan) MUST_USE;

// Has an operation ended, when at[lane] is the first one that has not, or NONE?
static inline bool lane_order_ended(const LaneOrder *o, const int32_t *at, int op) {
    int32_t leader = at[o->plan->ops[op].lane];
    return leader == NONE || op < leader;
}

#endif
