// SPDX-License-Identifier: MIT
// The operations of a plan by name, shard and micro-batch: what a reference such as
// "conv1.forward[0.3]" means, found without a walk through the plan.
#include "core/plan_text/op_index.h"

#include <stdlib.h>

static int compare_key(const OpKey *a, const OpKey *b) {
    if (a->name != b->name) return a->name < b->name ? -1 : 1;
    if (a->shard != b->shard) return a->shard < b->shard ? -1 : 1;
    return (a->micro_batch > b->micro_batch) - (a->micro_batch < b->micro_batch);
}

static int by_key(const void *left, const void *right) {
    const OpKey *a = left, *b = right;
    int order = compare_key(a, b);
    return order ? order : (a->op > b->op) - (a->op < b->op);
}

Status op_index_init(OpIndex *x, Arena *a, const Program *p, const Plan *plan) {
    *x = (OpIndex){.count = plan->op_count,
                   .keys = ARENA_NEW(a, OpKey, plan->op_count + 1),
                   .place = ARENA_NEW(a, int32_t, plan->op_count + 1),
                   .twins = ARENA_NEW(a, int32_t, plan->op_count + 1)};
    if (!x->keys || !x->place || !x->twins)
        FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", plan->op_count);
    for (int i = 0; i < x->count; i++) {
        const Op *op = &plan->ops[i];
        x->keys[i] = (OpKey){op_work(p, op)->name, op->shard, op->micro_batch, i};
    }
    qsort(x->keys, (size_t)x->count, sizeof *x->keys, by_key);
    for (int first = 0, end; first < x->count; first = end) {
        for (end = first + 1; end < x->count && !compare_key(&x->keys[first], &x->keys[end]);)
            end++;
        for (int i = first; i < end; i++) {
            x->place[x->keys[i].op] = i - first;
            x->twins[x->keys[i].op] = end - first;
        }
    }
    return OK;
}

// The first key that is not less.
static int lower_bound(const OpIndex *x, const OpKey *key) {
    int low = 0, high = x->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (compare_key(&x->keys[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int op_index_find(const OpIndex *x, int32_t name, const int slice[2], int place) {
    OpKey key = {name, slice ? slice[0] : INT32_MIN, slice ? slice[1] : INT32_MIN, 0};
    int at = lower_bound(x, &key) + (place == NONE ? 0 : place);
    if (at >= x->count || x->keys[at].name != name) return NONE;
    if (slice && (x->keys[at].shard != slice[0] || x->keys[at].micro_batch != slice[1]))
        return NONE;
    if (place != NONE) return x->keys[at].op;
    bool alone =
        slice ? x->twins[x->keys[at].op] == 1 : at + 1 == x->count || x->keys[at + 1].name != name;
    return alone ? x->keys[at].op : NONE;
}
