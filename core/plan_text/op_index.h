// SPDX-License-Identifier: MIT
// Finding operations of a plan by what a file calls them.
#ifndef CORE_PLAN_TEXT_OP_INDEX_H
#define CORE_PLAN_TEXT_OP_INDEX_H

#include "core/base/arena.h"
#include "core/plan/program.h"

// The operations of a plan by name, shard and micro-batch; those that agree in all three are twins.
typedef struct {
    int32_t name, shard, micro_batch, op;
} OpKey;
typedef struct {
    OpKey *keys;     // sorted; twins in plan order; in the arena, as the others
    int32_t *place;  // [operation] among its twins, from 0
    int32_t *twins;  // [operation] how many they are, itself included
    int count;
} OpIndex;
Status op_index_init(OpIndex *x, Arena *a, const Program *p, const Plan *plan) MUST_USE;

// The operation of that name and slice (shard, micro-batch; NULL: of any) at that place among its
// twins; with place NONE the only one there is. NONE: there is none, or it is not the only one.
int op_index_find(const OpIndex *x, int32_t name, const int slice[2], int place);

#endif
