// SPDX-License-Identifier: MIT
// ZeRO (Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
// SC 2020) as a transformation of a program; read zero_apply() at the end first.
#include "core/plan/build.h"
#include "parallel/strategy/zero_internal.h"

#include <stdio.h>

// --- gradients

static Status add_reduce_scatter(Zero *z, Plan *plan, const Gradient *g, int count, int number,
                                 int after) {
    ZeroPair *pairs = ARENA_NEW(&z->join.arena, ZeroPair, count + 1);
    char name[32];
    if (!pairs) FAIL(ERR_MEMORY, "out of memory for a bucket of %d gradients", count);
    for (int i = 0; i < count; i++) {
        TRY(zero_shard_of(z, g[i].part[0], &pairs[i].share));
        pairs[i].whole = g[i].part;
    }
    snprintf(name, sizeof name, "bucket%d", number);
    return zero_add_collectives(z, plan,
                                &(ZeroCut){.kind = KIND_REDUCE_SCATTER,
                                           .phase = PHASE_SYNC,
                                           .name = name,
                                           .parts = z->join.options->local_shards},
                                pairs, count, after);
}

// The operation that writes each tensor first, or NONE.
static Status find_writers(Zero *z, const Plan *plan, int32_t **out) {
    *out = ARENA_NEW(&z->join.arena, int32_t, z->join.p->tensor_count + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for %d tensors", z->join.p->tensor_count);
    for (int t = 0; t < z->join.p->tensor_count; t++) (*out)[t] = NONE;
    for (int i = plan->op_count - 1; i >= 0; i--)
        for (int o = 0; o < plan->ops[i].outputs; o++)
            (*out)[op_outputs(plan, &plan->ops[i])[o]] = i;
    return OK;
}

typedef struct {
    int trigger;  // the operation that completes the bucket
    int last[2];  // the last ones that reduce it: of all data parallel ranks, of holders; or NONE
} Bucket;

// Whole gradients of a bucket are begun when those of the bucket before the last are reduced. They
// may have been begun before that: by another micro-batch, or by one operation that writes several.
static Status wait_for_bucket(Zero *z, const Gradient *g, int count, const int32_t *writer,
                              const Bucket *reduced, DepList *deps) {
    for (int i = 0; i < count; i++)
        for (int s = 0; s < z->join.options->local_shards; s++) {
            int begun = writer[g[i].part[s]];
            for (int k = 0; k < 2 && begun > reduced->trigger; k++)
                if (reduced->last[k] != NONE)
                    TRY(dep_list_add(deps, begun, reduced->last[k], DEP_ORDER, 0));
        }
    return OK;
}

static Status reduce_gradients(Zero *z, Plan *plan, int last_backward, DepList *deps) {
    Join *j = &z->join;
    Gradient *g;
    int32_t *writer;
    int count, buckets = 0;
    Bucket b[3];  // this, the last, the one before
    bool bounded = z->stage > 1 && !j->options->no_overlap;
    TRY(gradients_find(j->p, plan, ROLE_GRADIENT, j->options->local_shards, &j->arena, &g, &count));
    TRY(find_writers(z, plan, &writer));
    gradients_sort(g, count);
    for (int k = 0; k < 3; k++) b[k] = (Bucket){NONE, {NONE, NONE}};
    for (int first = 0, end; first < count; first = end) {
        int trigger;
        end = gradients_bucket(j->p, j->options, g, count, first, &trigger);
        trigger = join_after(j, trigger, last_backward);
        if (trigger != b[0].trigger) {  // buckets of one operation count as one
            b[2] = b[1];
            b[1] = b[0];
            b[0] = (Bucket){trigger, {NONE, NONE}};
        }
        int added = plan->op_count;
        TRY(add_reduce_scatter(z, plan, &g[first], end - first, buckets++, trigger));
        for (int i = added; i < plan->op_count; i++) b[0].last[plan->ops[i].lane != j->lane] = i;
        if (bounded && b[2].trigger != NONE)
            TRY(wait_for_bucket(z, &g[first], end - first, writer, &b[2], deps));
    }
    return OK;
}

// --- parameters after their update

static bool is_update(const Program *p, const Op *op) {
    return op_work(p, op)->phase == PHASE_UPDATE && !op_communicates(p, op);
}

static int last_update(const Program *p, const Plan *plan) {
    int last = NONE;
    for (int i = 0; i < plan->op_count; i++)
        if (is_update(p, &plan->ops[i])) last = i;
    return last;
}

// A share that an operation has updated, of a parameter that is to be whole.
typedef struct {
    int32_t share, whole;
    int updated;  // the operation
} Updated;

static Status find_updated(Zero *z, const Plan *plan, Updated **out, int *count) {
    const Program *p = z->join.p;
    *count = 0;
    *out = ARENA_NEW(&z->join.arena, Updated, plan->operand_count + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for the gathering of parameters");
    for (int i = 0; i < plan->op_count; i++) {
        if (!is_update(p, &plan->ops[i])) continue;
        for (int o = 0; o < plan->ops[i].outputs; o++) {
            int t = op_outputs(plan, &plan->ops[i])[o];
            if (p->tensors[t].role == ROLE_PARAMETER && p->tensors[t].alias != NONE)
                (*out)[(*count)++] = (Updated){t, p->tensors[t].alias, i};
        }
    }
    return OK;
}

// What every rank has updated its share of becomes whole, in place, in buckets as gradients have.
static Status gather_updated(Zero *z, Plan *plan) {
    const StrategyOptions *options = z->join.options;
    Updated *u;
    int count, buckets = 0, last = last_update(z->join.p, plan);
    TRY(find_updated(z, plan, &u, &count));
    ZeroPair *pairs = ARENA_NEW(&z->join.arena, ZeroPair, count + 1);
    if (!pairs) FAIL(ERR_MEMORY, "out of memory for the gathering of parameters");
    for (int i = 0; i < count; i++) pairs[i] = (ZeroPair){u[i].share, &u[i].whole};
    for (int first = 0, end; first < count; first = end) {
        char name[32];
        end = zero_bucket_end(z, pairs, count, first);
        snprintf(name, sizeof name, "bucket%d", buckets++);
        TRY(zero_add_collectives(
            z, plan,
            &(ZeroCut){.kind = KIND_ALL_GATHER, .phase = PHASE_UPDATE, .name = name, .parts = 1},
            &pairs[first], end - first, options->no_overlap ? last : u[end - 1].updated));
    }
    return OK;
}

// --- without overlap

// Does it make updated parameters whole?
static bool gathers_updated(const Program *p, const Plan *plan, const Op *op) {
    return op_kind(p, op) == KIND_ALL_GATHER && op_work(p, op)->phase == PHASE_UPDATE &&
           p->tensors[op_outputs(plan, op)[0]].role == ROLE_PARAMETER;
}

// Gradients travel when the backward has ended, updates begin when they have arrived, and updated
// parameters travel when all updates have ended, before the next step computes. What the updates
// exchange among themselves, the norm of the gradients, waits for what it reads alone.
static Status separate(const Zero *z, const Plan *plan, int last_backward, DepList *deps) {
    const Program *p = z->join.p;
    int updated = last_update(p, plan), reduced = NONE, gathered = NONE, first = NONE;
    for (int i = plan->op_count - 1; i >= 0; i--) {
        const Op *op = &plan->ops[i];
        Phase phase = (Phase)op_work(p, op)->phase;
        if (reduced == NONE && op_communicates(p, op) && phase == PHASE_SYNC) reduced = i;
        if (gathered == NONE && gathers_updated(p, plan, op)) gathered = i;
        if (p->lanes[op->lane].kind == LANE_COMPUTE) first = i;
    }
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        Phase phase = (Phase)op_work(p, op)->phase;
        bool communication = op_communicates(p, op);
        int after = NONE;
        if (communication && phase == PHASE_SYNC) after = last_backward;
        if (gathers_updated(p, plan, op)) after = updated;
        if (!communication && phase == PHASE_UPDATE) after = reduced;
        if (after != NONE) TRY(dep_list_add(deps, i, after, DEP_ORDER, 0));
    }
    return gathered == NONE ? OK : dep_list_add(deps, first, gathered, DEP_ORDER, 1);
}

// --- plans

static Status change_step(Zero *z, Plan *plan, DepList *deps) {
    Join *j = &z->join;
    int backward = join_last_backward(j->p, plan);
    if (z->stage < 3) TRY(zero_find_masters(z, plan));
    TRY(join_norm(j, plan, true));
    TRY(zero_shard_updates(z, plan));
    TRY(join_state(j, plan));
    TRY(join_loss(j, plan));
    if (z->stage == 3) TRY(zero_add_gathers(z, plan, deps));
    if (z->masters) TRY(zero_gather_copies(z, plan, deps));
    TRY(reduce_gradients(z, plan, backward, deps));
    if (z->stage < 3) TRY(gather_updated(z, plan));
    return j->options->no_overlap ? separate(z, plan, backward, deps) : OK;
}

// Dependencies name operations where they are before those that were added take their places.
static Status transform(Zero *z, Plan *plan, Status (*change)(Zero *, Plan *, DepList *)) {
    DepList deps = {0};
    Status s = change(z, plan, &deps);
    if (s == OK) s = plan_add_deps(plan, &deps);
    if (s == OK) s = join_place(&z->join, plan);
    dep_list_finish(&deps);
    return s == OK ? plan_derive_deps(z->join.p, plan) : s;
}

// Parameters that no operation reads, since the loss does not depend on their layers.
static Status shard_the_rest(Zero *z) {
    int32_t shard;
    for (int t = 0; t < z->tensors; t++)
        if (z->join.p->tensors[t].role == ROLE_PARAMETER) TRY(zero_shard_of(z, t, &shard));
    return OK;
}

static Status init(Zero *z, Program *p, const Model *m, const StrategyOptions *options) {
    *z = (Zero){.model = m, .stage = options->zero, .tensors = p->tensor_count};
    TRY(join_init(&z->join, p, options));
    z->gather_lane = z->join.lane;
    z->holders_gather_lane = z->join.holders_lane;
    if (z->stage == 3)
        TRY(program_add_lane(p, "gather", LANE_COMMUNICATION, z->join.group, &z->gather_lane));
    if (z->stage == 3 && z->join.holders_group != NONE)
        TRY(program_add_lane(p, "holders.gather", LANE_COMMUNICATION, z->join.holders_group,
                             &z->holders_gather_lane));
    z->shard = ARENA_NEW(&z->join.arena, int32_t, z->tensors + 1);
    z->master = ARENA_NEW(&z->join.arena, uint8_t, z->tensors + 1);
    if (!z->shard || !z->master)
        FAIL(ERR_MEMORY, "out of memory for the shards of %d tensors", z->tensors);
    for (int t = 0; t < z->tensors; t++) z->shard[t] = NONE;
    return OK;
}

Status zero_apply(Program *p, const Model *m, const StrategyOptions *options) {
    int step = program_find_when(p, WHEN_EACH_STEP, 0),
        evaluate = program_find_when(p, WHEN_EACH_EPOCH, 0);
    if (step == NONE) FAIL(ERR_PLAN, "the program has no plan for each step");
    Zero z;
    Status s = init(&z, p, m, options);
    if (s == OK) s = transform(&z, &p->plans[step], change_step);
    if (s == OK && evaluate != NONE && z.stage == 3)
        s = transform(&z, &p->plans[evaluate], zero_add_gathers);
    if (s == OK && evaluate != NONE && z.masters)
        s = transform(&z, &p->plans[evaluate], zero_gather_copies);
    if (s == OK && evaluate != NONE) s = join_evaluation(&z.join, evaluate);
    if (s == OK && z.stage == 3) s = shard_the_rest(&z);
    if (s == OK && z.stage < 3) s = join_broadcast(&z.join);
    join_finish(&z.join);
    return s;
}
