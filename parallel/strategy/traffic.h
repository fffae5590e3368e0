// SPDX-License-Identifier: MIT
// What a rank sends in a step, by the axes of the mesh that it goes along: from the plan alone. The
// closed forms of papers, and the counters of communicators, can be held against it.
#ifndef PARALLEL_STRATEGY_TRAFFIC_H
#define PARALLEL_STRATEGY_TRAFFIC_H

#include "core/base/arena.h"
#include "core/plan/program.h"

// Communications of one kind and phase in groups whose members differ along the same axes. An
// explicit list of ranks (docs/formats.md, groups) differs along none.
typedef struct {
    uint16_t axes;  // bit i: axis i of the program
    Kind kind;
    Phase phase;
    int64_t count;  // of them in a step
    double bytes;   // that the rank sends in them, by their schedules and at full extent
} Traffic;

// Of rank `rank`, which executes the lowered program; NONE: the mean of all ranks, where all
// execute it. In the order in which they come first. Of sends and receives, both are counted, and
// bytes are the sender's. The list is in the arena. ERR_MEMORY.
Status traffic_of_step(const Program *p, int rank, Arena *a, Traffic **out, int *count) MUST_USE;

// Bytes that one communication sends, as above.
double traffic_bytes(const Program *p, const Work *w, int rank);

// The sums over those along exactly these axes.
Traffic traffic_along(const Traffic *list, int count, uint16_t axes);

#endif
