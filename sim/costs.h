// SPDX-License-Identifier: MIT
// The cost of every operation of a program on its own: CPU time of a computation, or of a rank's
// share of a communication. Beside the number stands where it comes from.
#ifndef SIM_COSTS_H
#define SIM_COSTS_H

#include "core/base/arena.h"
#include "core/platform/machine.h"
#include "core/record/timeline.h"
#include "core/record/trace.h"
#include "sim/step_costs.h"

typedef struct {
    int64_t ps;
    uint8_t source;  // SpanSource
    bool known;
} OpCost;

// Costs of one class of ranks.
typedef struct {
    const Program *program;  // borrowed
    OpCost *ops[PLANS];      // per plan, per operation, in the arena
    int64_t dispatch_ps;     // the executor's own time per operation
    int64_t turn_ps;         // a rank's own time per step, before its first operation
    StepCosts steps;         // of a replay: the plan's that is simulated
    // Times so much longer while a collective is under way on the device; 0: 1000, as long.
    int32_t slowed_permille[SLOWED_KINDS];
    int64_t *issued_ps;    // of the plan that is simulated, per operation: when the host has issued
                           // it, after the step began. In the arena; NULL: the host keeps up
    int issued;            // operations in issued_ps
    bool waits;            // with issued_ps: the host issues nothing behind a receive of the plan
                           // until its message has come, so much later all that follows
    const bool *free_ops;  // of that plan, per operation: a communication that takes no time on
                           // the network, if one of its members has it so; NULL: none
} Costs;

// Which of the steps that have costs of their own a simulated one is, from 0.
static inline int costs_step(const Costs *c, int simulated) {
    return c->steps.drawn ? c->steps.drawn[simulated] : simulated;
}

// Of an operation of a plan in the simulated step with that number, from 0. Where each step has
// costs of its own, the simulated steps are those, or are drawn from them.
static inline int64_t costs_op_ps(const Costs *c, int plan, int op, int step) {
    const StepCosts *s = &c->steps;
    return s->count ? s->ps[step_costs_at(s, op, costs_step(c, step))] : c->ops[plan][op].ps;
}
static inline int64_t costs_busy_ps(const Costs *c, int plan, int op, int step) {
    const StepCosts *s = &c->steps;
    return s->count ? s->busy_ps[step_costs_at(s, op, costs_step(c, step))] : c->ops[plan][op].ps;
}
static inline int64_t costs_dispatch_ps(const Costs *c, int op, int step) {
    const StepCosts *s = &c->steps;
    return s->count ? s->gap_ps[step_costs_at(s, op, costs_step(c, step))] : c->dispatch_ps;
}
static inline int64_t costs_notice_ps(const Costs *c, int op, int step) {
    const StepCosts *s = &c->steps;
    return s->notice_ps ? s->notice_ps[step_costs_at(s, op, costs_step(c, step))] : 0;
}
static inline int64_t costs_turn_ps(const Costs *c, int step) {
    return c->steps.count ? c->steps.turn_ps[costs_step(c, step)] : c->turn_ps;
}

Status costs_init(Costs *c, Arena *a, const Program *p) MUST_USE;

// The recorded steps that count for a plan: its complete executions but the first (the warm-up,
// unless it is the only one). Their rows go to `steps`, room for all of the timeline; how many.
int costs_steps(const Timeline *t, int plan, int *steps);

// From a recorded timeline of the same program: the median of each operation over costs_steps().
// Computations and host work: their duration, or with `cpu_time` (ranks shared cores) the CPU time
// of the thread; communication: the CPU time of the rank's share, or on a device what it takes from
// the last arrival. Start times are not read, but for how long a step takes until its first span
// begins (turn_ps) and what of it lies outside all spans otherwise, per operation (dispatch_ps), in
// the median step.
Status costs_from_timeline(Costs *c, const Timeline *t, bool cpu_time) MUST_USE;

// For operations still unknown: the cost of a computation of another program with the same key.
void costs_share(Costs *c, const Costs *from);

// For operations still unknown: flops and bytes against the peaks of a device, whichever takes
// longer, plus its launch time (Williams et al., Roofline, 2009). ERR_USAGE: it has no peak for a
// type that the program computes in.
Status costs_from_roofline(Costs *c, const DeviceModel *d) MUST_USE;

// For operations still unknown: the calibrated time under the same cost key, measured alone.
void costs_from_calibration(Costs *c, const Calibration *m);

// For operations still unknown: the calibrated time of the same operation in another size, as of a
// job that is divided otherwise, times the ratio of their work.
void costs_from_sizes(Costs *c, const Calibration *m);

// Makes computation slower, as it is while other cores work, and more so where there are more ranks
// than cores (oversubscribed): by what the calibration (NULL: none) measured for the same cost key,
// else by the host's factor.
void costs_co_run(Costs *c, const HostModel *h, const Calibration *m, bool oversubscribed);

// For communication still unknown, in the memory of a host: a fixed time, and a rank's share of the
// bytes that its schedule reads and writes, at the calibrated rate for pieces of that size, else at
// the host's (calibration NULL).
void costs_from_host(Costs *c, const HostModel *h, const Calibration *m);

// Communication takes its time from the network, and none of the rank's own.
void costs_of_network(Costs *c);

// The host issues the operations of the plan in its order, from the beginning of the step on: each
// takes the device's issue_ps, or with `graph` one launch is all of them. With `ahead` it has begun
// before: other costs must be known. With `waits` it stops at each receive. In the arena; if that
// has no room, ERR_MEMORY.
Status costs_issue(Costs *c, Arena *a, int plan, const DeviceModel *d) MUST_USE;

// All costs times so many thousandths, rounded down; when operations are issued, too.
void costs_slow_down(Costs *c, int64_t thousandths);

// Is every operation of a plan known? ERR_FAILED names the first that is not.
Status costs_complete(const Costs *c, int plan) MUST_USE;

#endif
