// SPDX-License-Identifier: MIT
// What strategies share: finding partial results and placing new operations.
#ifndef PARALLEL_STRATEGY_STRATEGY_INTERNAL_H
#define PARALLEL_STRATEGY_STRATEGY_INTERNAL_H

#include "core/base/arena.h"
#include "parallel/strategy/strategy.h"

enum { PARTS = 4096 };  // shards of one rank

// A tensor that is a partial sum along the axis "data": its piece of each local shard, and the
// operation after which that piece is complete.
typedef struct {
    int32_t *part, *ready;  // in the arena
    int32_t complete;       // the operation after which all pieces are
} Gradient;

// The partial sums of a role that a plan computes, in table order, into the arena.
Status gradients_find(const Program *p, const Plan *plan, Role role, int parts, Arena *a,
                      Gradient **out, int *count) MUST_USE;

// Move the last `placed` operations of a plan: the k-th goes right behind operation after[k].
Status strategy_place_after(Plan *plan, const int *after, int placed, Arena *a) MUST_USE;

#endif
