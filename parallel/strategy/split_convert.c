// SPDX-License-Identifier: MIT
// Where an operation cannot take its inputs as they lie, they are converted: the candidates are
// tried, the cheapest of those that its rule takes are made. Begin with split_convert().
#include "core/base/array.h"
#include "core/plan/placement_rules.h"
#include "parallel/strategy/split_internal.h"

#include <stdio.h>
#include <string.h>

enum { CANDIDATES = 2 };

// Something that an operation reads, under the name that its memory was written as.
typedef struct {
    int tensor;
    Placement how[CANDIDATES];
    int64_t cost[CANDIDATES];  // bytes sent; the first is what there is, for nothing
    int count;
} Operand;

static void add_candidate(Operand *o, Placement how, int64_t cost) {
    o->how[o->count] = how;
    o->cost[o->count++] = cost;
}

static void find_candidates(const Split *x, Operand *o, int tensor) {
    Placement is = *split_now(x, &x->state, tensor);
    int64_t bytes = x->from->tensors[tensor].bytes, ranks = split_ranks(x);
    *o = (Operand){.tensor = tensor};
    add_candidate(o, is, 0);
    if (placement_is_partial(is))
        add_candidate(o, PLACEMENT_REPLICATED, 2 * bytes * (ranks - 1) / ranks);
}

// Each memory once; how many.
static int find_operands(const Split *x, const Op *op, Operand out[2 * OPERANDS]) {
    bool adds = op->flags & OP_ACCUMULATE;
    int count = 0, first = adds ? 0 : op->outputs;
    for (int i = first; i < op->outputs + op->inputs; i++) {
        int t = op_outputs(x->plan, op)[i], holder = x->state.holder[program_root(x->from, t)];
        bool seen = false;
        if (holder != NONE) t = holder;
        for (int k = 0; k < count; k++) seen = seen || out[k].tensor == t;
        if (!seen) find_candidates(x, &out[count++], t);
    }
    return count;
}

// Go on to the next choice of a candidate for each operand; false after the last one.
static bool next_choice(const Operand *operands, int count, int choice[]) {
    for (int i = 0; i < count; i++) {
        if (++choice[i] < operands[i].count) return true;
        choice[i] = 0;
    }
    return false;
}

static int64_t take_choice(const Split *x, const Operand *operands, int count, const int choice[],
                           SplitState *s) {
    int64_t cost = 0;
    for (int i = 0; i < count; i++) {
        *split_now(x, s, operands[i].tensor) = operands[i].how[choice[i]];
        cost += operands[i].cost[choice[i]];
    }
    return cost;
}

// The cheapest choice that the rule takes. What the rule says of the first, nothing converted, is
// the error when there is none.
static Status find_choice(Split *x, const Op *op, const Operand *operands, int count, int best[]) {
    int choice[2 * OPERANDS] = {0};
    int64_t least = INT64_MAX;
    while (next_choice(operands, count, choice)) {
        int64_t cost = take_choice(x, operands, count, choice, &x->state);
        if (cost >= least || split_infer(x, x->plan, op, &x->state) != OK) continue;
        least = cost;
        memcpy(best, choice, sizeof choice);
    }
    take_choice(x, operands, count, choice, &x->state);
    if (least == INT64_MAX) return split_infer(x, x->plan, op, &x->state);
    return OK;
}

// --- making them

// Operations of one kind that follow each other and want whole tensors get them by one collective:
// the squares of gradients, which are small.
static int find_partners(const Split *x, int at, int32_t *out) {
    Kind kind = op_kind(x->from, &x->plan->ops[at]);
    int count = 0;
    for (int i = at; i < x->plan->op_count && op_kind(x->from, &x->plan->ops[i]) == kind; i++) {
        int t = op_inputs(x->plan, &x->plan->ops[i])[0];
        if (split_now(x, &x->state, t)->place == PLACE_PARTIAL_SUM && x->used[t] != NONE)
            out[count++] = t;
    }
    return count;
}

static Status add_all_reduce(Split *x, const Op *op, const int32_t *tensors, int count) {
    char name[320];
    bool largest = split_now(x, &x->state, tensors[0])->place == PLACE_PARTIAL_MAX;
    int32_t *operands = ARENA_NEW(&x->arena, int32_t, count);
    int after = NONE;
    if (!operands) FAIL(ERR_MEMORY, "out of memory for a conversion");
    for (int i = 0; i < count; i++) {
        operands[i] = x->taken[tensors[i]];
        if (x->used[tensors[i]] > after) after = x->used[tensors[i]];
        *split_now(x, &x->state, tensors[i]) = PLACEMENT_REPLICATED;
    }
    snprintf(name, sizeof name, "all_reduce.%s", tensor_name(x->from, tensors[0]));
    const char *kept = arena_string(&x->arena, name);
    if (!kept) FAIL(ERR_MEMORY, "out of memory for a conversion");
    TRY(ARRAY_RESERVE(x->added, x->added_capacity, x->added_count + 1));
    TRY(ARRAY_RESERVE(x->after, x->after_capacity, x->added_count + 1));
    x->after[x->added_count] = after;
    x->added[x->added_count++] = (OpSpec){.name = kept,
                                          .kind = KIND_ALL_REDUCE,
                                          .phase = (Phase)op_work(x->from, op)->phase,
                                          .dtype = (Dtype)x->from->tensors[tensors[0]].dtype,
                                          .lane = x->lane,
                                          .group = x->group,
                                          .reduce = largest ? REDUCE_MAX : REDUCE_SUM,
                                          .outputs = operands,
                                          .inputs = operands,
                                          .output_count = count,
                                          .input_count = count,
                                          .shard = op->shard,
                                          .micro_batch = op->micro_batch};
    return OK;
}

static Status convert(Split *x, int at, int32_t tensor) {
    const Op *op = &x->plan->ops[at];
    if (op_kind(x->from, op) != KIND_ADD_BLOCKS) return add_all_reduce(x, op, &tensor, 1);
    int32_t *partners = ARENA_NEW(&x->arena, int32_t, x->plan->op_count);
    if (!partners) FAIL(ERR_MEMORY, "out of memory for a conversion");
    return add_all_reduce(x, op, partners, find_partners(x, at, partners));
}

Status split_convert(Split *x, int at) {
    const Op *op = &x->plan->ops[at];
    Operand operands[2 * OPERANDS];
    int best[2 * OPERANDS] = {0};
    if (split_infer(x, x->plan, op, &x->state) == OK) return OK;
    int count = find_operands(x, op, operands);
    TRY(find_choice(x, op, operands, count, best));
    for (int i = 0; i < count; i++)
        if (best[i]) TRY(convert(x, at, operands[i].tensor));
    return split_infer(x, x->plan, op, &x->state);
}
