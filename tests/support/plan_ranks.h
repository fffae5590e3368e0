// SPDX-License-Identifier: MIT
// A plan in text on all ranks of its mesh, over any communicator: read, checked, lowered, executed.
#ifndef TESTS_SUPPORT_PLAN_RANKS_H
#define TESTS_SUPPORT_PLAN_RANKS_H

#include "parallel/run/executor.h"

enum { PLAN_RANKS = 4 };

typedef struct {
    const char *text;
    int steps;  // of plan 0
    void *context;
    // Before a step: write what the rank brings. After it: say in failure[STATUS_TEXT] what is
    // not right.
    void (*begin)(Executor *e, int64_t step, void *context);
    void (*end)(Executor *e, int64_t step, void *context, char *failure);
    const char *fails;  // not NULL: the first step of every rank fails, and one says this
    const Device *device;  // NULL: the reference
} PlanRanks;

// Fails the test for whatever goes wrong, on whichever rank.
void plan_ranks_run(const PlanRanks *job, CommKind kind);

// Memory of a tensor, by name.
void *plan_ranks_data(const Executor *e, const char *name);

#endif
