// SPDX-License-Identifier: MIT
// What the two parts of program_repeat() share: repeat_alike.c compares micro-batches 1 and 2,
// repeat.c copies the second.
#ifndef CORE_PLAN_REPEAT_INTERNAL_H
#define CORE_PLAN_REPEAT_INTERNAL_H

#include "core/base/arena.h"
#include "core/plan/repeat.h"

enum { REPEAT_UNUSED = -1, REPEAT_SHARED = -2 };

// The things of one kind, such as tensors: which of them only one micro-batch of one shard has. An
// owner is 2 * shard for micro-batch 1 and one more for 2.
typedef struct {
    int count;
    int32_t *owner;         // [thing] an owner, REPEAT_UNUSED or REPEAT_SHARED
    int32_t *ordinal;       // [thing] its place among the things of its owner
    int32_t *length;        // [thing] how many of its owner lie together where it lies
    int32_t *list, *first;  // things by owner: list[first[owner] .. first[owner + 1])
    int32_t *place;         // [thing] where it goes
} RepeatTable;

typedef struct {
    Program *p;
    Plan *plan;
    Arena arena;  // of all tables
    int shards, copies;
    RepeatTable ops, tensors, logicals, works;
} Repeat;

// The same thing of micro-batch 1 as `thing` is of micro-batch 2.
static inline int repeat_twin(const RepeatTable *t, int thing) {
    return t->list[t->first[t->owner[thing] - 1] + t->ordinal[thing]];
}

// Is a thing of micro-batch 2, so that there are copies of it?
static inline bool repeat_is_copied(const RepeatTable *t, int thing) {
    return t->owner[thing] > 0 && t->owner[thing] % 2;
}

// Fill the tables but for places. *alike: micro-batches 1 and 2 of each shard differ in nothing but
// the number. ERR_MEMORY.
Status repeat_compare(Repeat *r, bool *alike) MUST_USE;

#endif
