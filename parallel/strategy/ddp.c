// SPDX-License-Identifier: MIT
// Distributed data parallel (Li et al., "PyTorch Distributed", VLDB 2020) as a transformation of a
// program; read ddp_apply() at the end first. What ZeRO does alike is in join.c.
#include "parallel/strategy/strategy.h"

#include "core/plan/build.h"
#include "parallel/strategy/strategy_internal.h"

#include <stdio.h>

static Status add_buckets(Join *j, Plan *plan, const Gradient *g, int count, int last_backward) {
    int buckets = 0;
    for (int first = 0, end; first < count; first = end) {
        const char *of = join_is_of_experts(j, &g[first]) ? "experts." : "";
        char name[32];
        int after;
        end = gradients_bucket(j->p, j->options, g, count, first, &after);
        snprintf(name, sizeof name, "%sbucket%d", of, buckets++);
        TRY(join_all_reduce(j, plan, name, &g[first], end - first, j->options->algorithm,
                            join_after(j, after, last_backward)));
    }
    return OK;
}

static Status add_some(Join *j, Plan *plan, const Gradient *g, int count, int last_backward,
                       int original) {
    if (strategy_feeds_back(j->options))
        return feedback_buckets(j, plan, g, count, last_backward, original);
    if (j->options->compress.word)
        return compress_buckets(j, plan, g, count, last_backward, original);
    return add_buckets(j, plan, g, count, last_backward);
}

// Gradients of experts go among fewer ranks, in buckets of their own.
static Status add_all(Join *j, Plan *plan, const Gradient *g, int count, int last_backward,
                      int original) {
    for (int of_experts = 0; of_experts < 2; of_experts++) {
        Gradient *some = ARENA_NEW(&j->arena, Gradient, count + 1);
        int taken = 0;
        if (!some) FAIL(ERR_MEMORY, "out of memory for %d gradients", count);
        for (int i = 0; i < count; i++)
            if (join_is_of_experts(j, &g[i]) == of_experts) some[taken++] = g[i];
        TRY(add_some(j, plan, some, taken, last_backward, original));
    }
    return OK;
}

static Status transform_step(Join *j, Plan *plan) {
    Gradient *g;
    int count, backward = join_last_backward(j->p, plan), original = plan->op_count;
    TRY(join_state(j, plan));
    TRY(join_norm(j, plan, false));
    TRY(join_loss(j, plan));
    TRY(gradients_find_along(j->p, plan, ROLE_GRADIENT, j->sums, j->options->local_shards,
                             &j->arena, &g, &count));
    gradients_sort(g, count);
    TRY(add_all(j, plan, g, count, backward, original));
    TRY(join_place(j, plan));
    if (j->options->no_overlap) TRY(join_separate_phases(j->p, plan));
    return plan_derive_deps(j->p, plan);
}

Status ddp_apply(Program *p, const StrategyOptions *options) {
    int step = program_find_when(p, WHEN_EACH_STEP, 0),
        evaluate = program_find_when(p, WHEN_EACH_EPOCH, 0);
    if (step == NONE) FAIL(ERR_PLAN, "the program has no plan for each step");
    Join j;
    Status s = join_init(&j, p, options);
    if (s == OK) s = transform_step(&j, &p->plans[step]);
    if (s == OK && evaluate != NONE) s = join_evaluation(&j, evaluate);
    if (s == OK) s = join_broadcast(&j);
    join_finish(&j);
    return s;
}
