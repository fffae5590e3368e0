// SPDX-License-Identifier: MIT
// Executes a plan on numbers instead of tensors, on all ranks of a program, in whatever order lanes
// and dependencies leave open: operations begin and end at random, some lanes much later than
// others. What an operation is about to write holds junk while it runs, and what it reads must be,
// when it begins and when it ends, what the plan means it to be. Of one program for all ranks, and
// of the kinds that make_op() can make: computation, loads, sends, receives, collectives.
#ifndef TESTS_SUPPORT_ADVERSARY_H
#define TESTS_SUPPORT_ADVERSARY_H

#include "core/base/arena.h"
#include "core/plan/program.h"

typedef struct {
    const Program *p;
    const Plan *plan;  // the first
    int ranks, steps;
    uint64_t *meant;  // [((rank * steps + step) * op_count + op) * 2]: hashes of inputs and outputs
    Arena arena;
} Adversary;

// Find what the plan means: one step after the other, each tensor in memory of its own. False: the
// plan cannot be executed, it is a deadlock.
bool adversary_init(Adversary *a, const Program *p, int steps);
void adversary_finish(Adversary *a);

// Execute `p`, the program itself or what lower() made of it without fusing. own_memory: each
// tensor has its own instead of its offset; overlap: a step begins before the one before has ended.
// NULL: all came out as it is meant; else what went wrong, in the arena.
const char *adversary_run(Adversary *a, const Program *p, bool own_memory, bool overlap,
                          uint64_t seed);

#endif
