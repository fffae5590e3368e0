// SPDX-License-Identifier: MIT
// Ranks that all execute one plan, with costs given by hand.
#ifndef TESTS_SUPPORT_SIMULATE_CASE_H
#define TESTS_SUPPORT_SIMULATE_CASE_H

#include "core/plan/lower.h"
#include "sim/simulate.h"
#include "tests/support/plan_maker.h"

enum { RANKS_MOST = 8 };

typedef struct {
    Program p;
    Plan *plan;
    Arena arena;
    Costs costs[RANKS_MOST];
    const Costs *cost_of[RANKS_MOST];
    Timeline lines[RANKS_MOST], *line_of[RANKS_MOST];
    HostModel host;
    TopologyOptions topology;
    int ranks, steps;
} Setup;

// Lower the plan as it is; nothing has a cost yet.
static inline void prepare(Setup *s) {
    static const DeviceTraits plain = {.name = "plain"};
    ck_assert_ok(plan_derive_deps(&s->p, s->plan));
    ck_assert_ok(program_lower(&s->p, &plain));
    for (int r = 0; r < s->ranks; r++) {
        ck_assert_ok(costs_init(&s->costs[r], &s->arena, &s->p));
        ck_assert_ok(timeline_create(&s->lines[r], r, 8, 256));
        s->cost_of[r] = &s->costs[r];
        s->line_of[r] = &s->lines[r];
    }
}

static inline void cost(Setup *s, int rank, int op, int64_t ps) {
    s->costs[rank].ops[0][op] = (OpCost){ps, SOURCE_REPLAYED, true};
}

// Of the last step.
static inline int64_t end_of(const Setup *s, int rank) {
    return s->lines[rank].steps[s->lines[rank].step_count - 1].end_ps;
}

static inline void finish(Setup *s) {
    for (int r = 0; r < s->ranks; r++) timeline_destroy(&s->lines[r]);
    program_finish(&s->p);
    arena_finish(&s->arena);
}

#endif
