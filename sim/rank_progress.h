// SPDX-License-Identifier: MIT
// What a rank has executed of its plan, and what it may start next: the rules of the executor
// (parallel/run/executor.c). Operations start in the order of their lanes, each when those it
// depends on have ended; a rank ends one execution of the plan before it begins the next, so that
// dependencies on the step before hold by themselves.
#ifndef SIM_RANK_PROGRESS_H
#define SIM_RANK_PROGRESS_H

#include "core/base/arena.h"
#include "core/plan/lane_order.h"
#include "sim/simulate.h"

// What the operation that leads a lane waits for, as far as it was looked at.
typedef struct {
    int32_t seen;    // as many of its dependencies have ended
    int32_t behind;  // the operation that the next one is on; NONE: that was not looked at
    int32_t behind_lane;
} RankWait;

typedef struct {
    const LaneOrder *order;  // borrowed
    int32_t *at;             // per lane: the operation that leads it, or NONE
    RankWait *waits;         // per lane: of that operation
    int left;                // operations that have not ended
} RankProgress;

// Its lanes are in the arena. ERR_MEMORY.
Status rank_progress_init(RankProgress *r, Arena *a, const LaneOrder *o) MUST_USE;

void rank_progress_begin(RankProgress *r);                      // a step: nothing has ended
bool rank_progress_may_start(const RankProgress *r, int lane);  // the operation that leads it
void rank_progress_finish(RankProgress *r, int op);

// Is it known to wait for an operation of another lane than the one whose operation ended now?
static inline bool rank_progress_waits_elsewhere(const RankProgress *r, int lane, int ended) {
    return r->waits[lane].behind != NONE && r->waits[lane].behind_lane != ended;
}

// The leaders of compute and host lanes that may start: the first of them in plan order, or NONE.
int rank_progress_ready_work(const RankProgress *r);

// The lanes of the plan that is simulated, one for each program that ranks execute.
typedef struct ClassOrder {
    LaneOrder lanes;
    struct ClassOrder *next;
} ClassOrder;

// *orders: those of all ranks, NULL at first; *of_rank: that of this one. In the arena. ERR_MEMORY.
Status class_order_of(const LaneOrder **of_rank, ClassOrder **orders, Arena *a,
                      const SimulateOptions *o, int rank) MUST_USE;

// Executions of operations that are simulated.
int64_t simulate_executions(const SimulateOptions *o);

// Tell the watch of the options, if there is one, that so many of `all` executions have ended.
// ERR_INTERRUPTED when it says to stop.
Status simulate_watch(const SimulateOptions *o, int64_t ended, int64_t all) MUST_USE;

// Why a simulation came to a stop, for the message: how far each rank is; whether the operation
// that leads a lane has started; and if so, for which ranks it waits, into `out` (room for all),
// and how many they are.
typedef struct {
    void *context;
    int ranks;
    const RankProgress *(*progress)(void *context, int rank);
    bool (*started)(void *context, int rank, int lane);
    int (*missing)(void *context, int rank, int lane, int *out);
} DeadlockReport;

// ERR_FAILED: who waits for whom on which operation, as far as a message has room. The
// arena is for scratch.
Status rank_progress_deadlock(const DeadlockReport *s, Arena *a);

#endif
