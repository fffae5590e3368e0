// SPDX-License-Identifier: MIT
// The oracle of all data-parallel strategies: plain folds in shard order (docs/contract.md, 3).
#include "parallel/strategy/strategy.h"

#include "core/base/array.h"
#include "core/plan/build.h"
#include "parallel/strategy/strategy_internal.h"

#include <stdio.h>
#include <stdlib.h>

static Status fold(Program *p, Plan *plan, int compute, const Gradient *g, int shard) {
    const Tensor *sum = &p->tensors[g->part[0]];
    char name[160];
    snprintf(name, sizeof name, "fold.%s", tensor_name(p, g->part[0]));
    return plan_add_op(p, plan,
                       &(OpSpec){.name = name,
                                 .kind = KIND_FOLD,
                                 .phase = PHASE_SYNC,
                                 .dtype = (Dtype)sum->dtype,
                                 .lane = compute,
                                 .outputs = &g->part[0],
                                 .inputs = &g->part[shard],
                                 .output_count = 1,
                                 .input_count = 1,
                                 .shard = shard,
                                 .flags = OP_ACCUMULATE},
                       NULL);
}

static Status fold_all(Program *p, Plan *plan, const Role *roles, int role_count, int parts,
                       Arena *a) {
    int compute = program_find_lane(p, "compute"), placed = 0;
    if (compute == NONE) FAIL(ERR_PLAN, "the program has no lane \"compute\"");
    int *after = NULL, capacity = 0;
    Status s = OK;
    for (int r = 0; r < role_count && s == OK; r++) {
        Gradient *g;
        int count;
        s = gradients_find(p, plan, roles[r], parts, a, &g, &count);
        for (int shard = 1; shard < parts && s == OK; shard++)
            for (int i = 0; i < count && s == OK; i++) {
                s = array_reserve((void **)&after, &capacity, placed + 1, sizeof *after);
                if (s == OK) s = fold(p, plan, compute, &g[i], shard);
                if (s == OK) after[placed++] = g[i].ready[shard];
            }
    }
    if (s == OK) s = strategy_place_after(plan, after, placed, a);
    free(after);
    return s;
}

// Gradients are compressed as those of several ranks, in buckets too: that changes no bit.
static Status feed_back(Program *p, Plan *plan, const StrategyOptions *options) {
    Join j;
    Gradient *g;
    int count, original = plan->op_count;
    Status s = join_init_alone(&j, p, options);
    if (s == OK)
        s = gradients_find(p, plan, ROLE_GRADIENT, options->local_shards, &j.arena, &g, &count);
    if (s == OK) {
        gradients_sort(g, count);
        s = feedback_buckets(&j, plan, g, count, join_last_backward(p, plan), original);
    }
    if (s == OK) s = join_place(&j, plan);
    join_finish(&j);
    return s;
}

Status shards_apply(Program *p, const StrategyOptions *options) {
    static const Role roles[] = {ROLE_GRADIENT, ROLE_SCALAR};
    bool feeds_back = strategy_feeds_back(options);
    int k = program_find_when(p, WHEN_EACH_STEP, 0);
    if (k == NONE) FAIL(ERR_PLAN, "the program has no plan for each step");
    Arena scratch = {0};
    Status s = feeds_back ? feed_back(p, &p->plans[k], options) : OK;
    if (s == OK && options->local_shards > 1)
        s = fold_all(p, &p->plans[k], roles + feeds_back, 2 - feeds_back, options->local_shards,
                     &scratch);
    arena_finish(&scratch);
    return s == OK ? plan_derive_deps(p, &p->plans[k]) : s;
}
