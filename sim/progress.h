// SPDX-License-Identifier: MIT
// What a rank has executed of its plan, and what it may start next: the rules of the executor
// (parallel/run/executor.c). Operations start in the order of their lanes, each when those it
// depends on have ended; a rank ends one execution of the plan before it begins the next, so that
// dependencies on the step before hold by themselves.
#ifndef SIM_PROGRESS_H
#define SIM_PROGRESS_H

#include "core/base/arena.h"
#include "core/plan/program.h"

// The lanes of a plan as lists; the same for all ranks.
typedef struct {
    const Program *program;  // borrowed
    const Plan *plan;
    int32_t *first;  // per lane: its first operation, or NONE
    int32_t *next;   // per operation: the next one on its lane, or NONE
} LaneOrder;

typedef struct {
    const LaneOrder *order;  // borrowed
    uint8_t *done;           // per operation: it has ended in this step
    int32_t *at;             // per lane: the operation that leads it, or NONE
    int left;                // operations that have not ended
} RankProgress;

// Everything is in the arena. ERR_MEMORY.
Status lane_order_init(LaneOrder *o, Arena *a, const Program *p, int plan) MUST_USE;
Status progress_init_rank(RankProgress *r, Arena *a, const LaneOrder *o) MUST_USE;

void progress_begin(RankProgress *r);  // a step: nothing has ended
bool progress_may_start(const RankProgress *r, int op);
void progress_finish(RankProgress *r, int op);

// The leaders of compute and host lanes that may start: the first of them in plan order, or NONE.
int progress_ready_work(const RankProgress *r);

// What the rank cannot go on with, appended to `text` of `size` bytes: for each lane whose leader
// was not started, the operation and the first that it waits for. `started[lane]`: the leader was
// (then its peers are missing, which the caller explains). Returns the new length.
size_t progress_explain(const RankProgress *r, int rank, const bool started[], char *text,
                        size_t size, size_t used);

#endif
