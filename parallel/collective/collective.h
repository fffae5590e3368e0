// SPDX-License-Identifier: MIT
// Schedules of collective communication as formulas: who passes which chunk to whom in which round.
// Communicators execute them, the simulator prices them, the viewer draws them. Nothing is stored: a
// ring over a million ranks is a formula.
#ifndef PARALLEL_COLLECTIVE_COLLECTIVE_H
#define PARALLEL_COLLECTIVE_COLLECTIVE_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    COLLECTIVE_ALL_REDUCE, COLLECTIVE_REDUCE_SCATTER, COLLECTIVE_ALL_GATHER, COLLECTIVE_BROADCAST,
    COLLECTIVE_REDUCE, COLLECTIVE_ALL_TO_ALL, COLLECTIVE_BARRIER, COLLECTIVE_COUNT
} CollectiveKind;
typedef enum { SCHEDULE_DIRECT, SCHEDULE_CHAIN, SCHEDULE_RING, SCHEDULE_COUNT } ScheduleKind;

// A collective over `ranks` members and `elements` elements (of the whole array: every member's input
// of an all-reduce, the gathered array of an all-gather, the input of a reduce-scatter or all-to-all).
typedef struct {
    CollectiveKind kind;
    ScheduleKind schedule;
    int ranks, root;   // root: of a broadcast or reduce
    int64_t elements;
} Collective;

// One step: in `round`, `destination` takes chunk `chunk` from `source` and copies it over its own
// or adds it. STEP_FOLD: the destination folds the chunk of *all* members in rank order (direct).
typedef enum { STEP_COPY, STEP_REDUCE, STEP_FOLD } StepAction;
typedef struct {
    int32_t round, source, destination;
    int64_t chunk;
    StepAction action;
} CollectiveStep;

const char *collective_name(CollectiveKind k);
const char *schedule_name(ScheduleKind s);
int schedule_find(const char *name);  // or -1

// Is this combination defined? ERR_USAGE names what is not.
Status collective_validate(const Collective *c) MUST_USE;

int64_t collective_rounds(const Collective *c);
int64_t collective_chunks(const Collective *c);
// Chunk i holds elements [*begin, *begin + *count): sizes differ by at most one and may be 0.
void collective_chunk(const Collective *c, int64_t chunk, int64_t *begin, int64_t *count);

// How many steps have `rank` as destination in `round`, and the i-th of them. Their order within a
// round is the order in which they must be applied.
int collective_steps(const Collective *c, int64_t round, int rank);
CollectiveStep collective_step(const Collective *c, int64_t round, int rank, int i);

// Bytes that the busiest member receives, and all members together, for elements of `element_bytes`.
int64_t collective_bytes_per_rank(const Collective *c, int64_t element_bytes);
int64_t collective_bytes_total(const Collective *c, int64_t element_bytes);

// Execute the schedule on symbols instead of numbers and verify it: every contribution is reduced
// exactly once into everything, in rank order where the schedule promises ORDER_RANK, and everyone
// ends with everything it should. ERR_FAILED names the step. Materialises the schedule: for tests and
// drawing, up to some hundred ranks.
Status collective_check(const Collective *c) MUST_USE;

// Does it add in rank order (((g0+g1)+g2)+…) in every element?
bool collective_in_rank_order(const Collective *c);

#endif
