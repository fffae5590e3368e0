// SPDX-License-Identifier: MIT
// Which operations of a plan have ended whenever another one begins, whatever happens first on
// different lanes: vector clocks over lanes (Fidge 1988, Mattern 1989).
#ifndef CORE_PLAN_ORDER_H
#define CORE_PLAN_ORDER_H

#include "core/base/arena.h"
#include "core/plan/program.h"

// The order within one step that lanes and dependencies of distance 0 make. Places count from 0.
typedef struct {
    const Program *p;
    const Plan *plan;
    int lanes;            // of the program
    int32_t *place;       // [operation] in an order that all lanes and dependencies agree with;
                          // it is plan order where plan order is such an order
    int32_t *op_at;       // [place]
    int32_t *lane_place;  // [operation] on its lane
    int32_t *latest;      // [operation] the latest place of those it waits for directly, or NONE
    int32_t *earliest;  // [operation] the earliest of those that directly wait for it, or op_count
    int32_t *ended;     // [operation * lanes + lane] how many of the lane have ended for sure
                        // when the operation begins
    int32_t *behind;    // [operation * lanes + lane] the least `ended` of the communications that
                        // wait for the operation, directly or not
} PlanOrder;

// Put the operations of a plan in such an order: op_at[place], of op_count. ERR_PLAN: there is a
// cycle, and the message names the operations on it.
Status plan_order_find(int32_t *op_at, Arena *scratch, const Program *p, const Plan *plan) MUST_USE;

// Time and memory grow with operations times lanes; the arrays are in the arena.
// ERR_PLAN: there is a cycle.
Status plan_order_init(PlanOrder *o, Arena *a, const Program *p, const Plan *plan) MUST_USE;

// Has `before` always ended when `op` begins?
bool plan_order_holds(const PlanOrder *o, int before, int op);

// Could `op` be made to wait for `before` without holding up any communication? All communications
// that wait for `op` wait for `before` already, so that no rank sees a difference, and what could
// be executed still can.
bool plan_order_may_wait(const PlanOrder *o, int op, int before);

#endif
