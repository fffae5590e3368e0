// SPDX-License-Identifier: MIT
// ZeRO-1 and 2 with passes in two bytes. Only updates read the f32 weights, the masters, then: so
// ranks divide them, each converts its share, and what is gathered are the copies, in half the
// bytes, at the head of each plan. What is not updated is not divided: nobody has to send it.
#include "core/plan/build.h"
#include "parallel/strategy/zero_internal.h"

#include <stdio.h>

bool zero_writes_copy(const Program *p, const Plan *plan, const Op *op) {
    return op->outputs && p->tensors[op_outputs(plan, op)[0]].role == ROLE_COPY;
}

static bool converts_master(const Zero *z, const Plan *plan, const Op *op) {
    return zero_writes_copy(z->join.p, plan, op) && z->master[op_inputs(plan, op)[0]];
}

Status zero_find_masters(Zero *z, const Plan *step) {
    const Program *p = z->join.p;
    uint8_t *updated = ARENA_NEW(&z->join.arena, uint8_t, z->tensors + 1);
    if (!updated) FAIL(ERR_MEMORY, "out of memory for %d tensors", z->tensors);
    for (int i = 0; i < step->op_count; i++) {
        const Op *op = &step->ops[i];
        for (int o = 0; o < op->outputs && zero_updates_shards(z, step, op); o++)
            updated[op_outputs(step, op)[o]] = 1;
    }
    for (int i = 0; i < step->op_count; i++) {
        if (!zero_writes_copy(p, step, &step->ops[i])) continue;
        int master = op_inputs(step, &step->ops[i])[0];
        z->master[master] = updated[master];
        z->masters += updated[master];
    }
    return OK;
}

typedef struct {
    int32_t share, whole;
    int converted;  // the operation that writes the share
} Copy;

// Each rank converts its own shares.
static Status shard_copies(Zero *z, Plan *plan, Copy **out, int *count) {
    *count = 0;
    *out = ARENA_NEW(&z->join.arena, Copy, z->masters + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for %d copies", z->masters);
    for (int i = 0; i < plan->op_count; i++) {
        if (!converts_master(z, plan, &plan->ops[i])) continue;
        int whole = op_outputs(plan, &plan->ops[i])[0];
        TRY(zero_shard_op(z, plan, i));
        (*out)[(*count)++] = (Copy){op_outputs(plan, &plan->ops[i])[0], whole, i};
    }
    return OK;
}

// Without overlap: what is behind the conversions waits for all that was added.
static Status compute_after(const Zero *z, const Plan *plan, int last, int added, DepList *deps) {
    int first = last + 1;
    while (first < added && z->join.p->lanes[plan->ops[first].lane].kind != LANE_COMPUTE) first++;
    for (int i = added; first < added && i < plan->op_count; i++)
        TRY(dep_list_add(deps, first, i, DEP_ORDER, 0));
    return OK;
}

// A bucket has all copies of a layer, which waits for no other bucket then.
static int bucket_end(const Zero *z, const Plan *plan, const Copy *c, const ZeroPair *pairs,
                      int count, int first) {
    const Op *ops = plan->ops;
    int end = zero_bucket_end(z, pairs, count, first);
    while (end < count && op_work(z->join.p, &ops[c[end].converted])->layer ==
                              op_work(z->join.p, &ops[c[end - 1].converted])->layer)
        end++;
    return end;
}

Status zero_gather_copies(Zero *z, Plan *plan, DepList *deps) {
    const StrategyOptions *options = z->join.options;
    int count, buckets = 0, added = plan->op_count;
    Copy *c;
    TRY(shard_copies(z, plan, &c, &count));
    ZeroPair *pairs = ARENA_NEW(&z->join.arena, ZeroPair, count + 1);
    if (!pairs) FAIL(ERR_MEMORY, "out of memory for %d copies", count);
    for (int i = 0; i < count; i++) pairs[i] = (ZeroPair){c[i].share, &c[i].whole};
    for (int first = 0, end; first < count; first = end) {
        const Op *op = &plan->ops[c[first].converted];
        char name[32];
        ZeroCut cut = {.kind = KIND_ALL_GATHER,
                       .phase = (Phase)op_work(z->join.p, op)->phase,
                       .name = name,
                       .parts = 1};
        end = bucket_end(z, plan, c, pairs, count, first);
        snprintf(name, sizeof name, "copies.bucket%d", buckets++);
        TRY(zero_add_collectives(z, plan, &cut, &pairs[first], end - first,
                                 c[(options->no_overlap ? count : end) - 1].converted));
    }
    if (!count || !options->no_overlap) return OK;
    return compute_after(z, plan, c[count - 1].converted, added, deps);
}
