// SPDX-License-Identifier: MIT
// Where an operation cannot take its inputs as they lie, they are converted: the candidates are
// tried, and the cheapest of those that its rule takes are made. Begin with split_convert().
#include "core/base/array.h"
#include "core/plan/placement_rules.h"
#include "parallel/strategy/split_internal.h"

#include <string.h>

enum { CANDIDATES = 6, POSITIONS = 1 };

// Something that an operation reads, under the name that its memory was written as.
typedef struct {
    int tensor;
    Placement how[CANDIDATES];
    int64_t cost[CANDIDATES];     // bytes sent; the first is what there is, for nothing
    int32_t variant[CANDIDATES];  // what there is besides; or NONE
    int count;
} Operand;

static void add_candidate(Operand *o, Placement how, int64_t cost, int32_t variant) {
    for (int i = 0; i < o->count; i++)
        if (placement_equal(o->how[i], how)) return;
    if (o->count == CANDIDATES) return;
    o->how[o->count] = how;
    o->variant[o->count] = variant;
    o->cost[o->count++] = cost;
}

// May the positions of a tensor (B,T,C) be divided?
static bool has_positions(const Split *x, const Tensor *t) {
    return x->sequence && t->role == ROLE_ACTIVATION && t->dims == 3 &&
           t->shape[POSITIONS] % split_ranks(x) == 0;
}

static void find_candidates(const Split *x, Operand *o, int tensor, bool view) {
    Placement is = *split_now(x, &x->state, tensor);
    const Tensor *t = &x->from->tensors[tensor];
    int64_t ranks = split_ranks(x), sent = t->bytes * (ranks - 1) / ranks;
    *o = (Operand){.tensor = tensor};
    add_candidate(o, is, 0, NONE);
    for (int v = x->first[tensor]; v != NONE && !view; v = x->variants[v].next)
        add_candidate(o, x->variants[v].how, 0, v);
    if (placement_is_partial(is)) add_candidate(o, PLACEMENT_REPLICATED, 2 * sent, NONE);
    if (view || !has_positions(x, t)) return;
    if (is.place == PLACE_PARTIAL_SUM) add_candidate(o, PLACEMENT_SHARD(POSITIONS), sent, NONE);
    if (placement_equal(is, PLACEMENT_SHARD(POSITIONS)))
        add_candidate(o, PLACEMENT_REPLICATED, sent, NONE);
}

// Each memory once; how many.
static int find_operands(const Split *x, const Op *op, Operand out[2 * OPERANDS]) {
    bool adds = op->flags & OP_ACCUMULATE;
    int count = 0, first = adds ? 0 : op->outputs;
    for (int i = first; i < op->outputs + op->inputs; i++) {
        int name = op_outputs(x->plan, op)[i], t = name,
            holder = x->state.holder[program_root(x->from, t)];
        bool seen = false;
        if (holder != NONE) t = holder;
        for (int k = 0; k < count; k++) seen = seen || out[k].tensor == t;
        if (!seen) find_candidates(x, &out[count++], t, t != name);
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

static bool is_reducible(const Split *x, int t) {
    return x->used[t] != NONE && split_now(x, &x->state, t)->place == PLACE_PARTIAL_SUM;
}

// The squares of all gradients, which are small, are reduced by one collective.
static int find_squares(const Split *x, int at, int32_t *out) {
    int count = 0;
    for (int i = at; i < x->plan->op_count; i++) {
        const Op *op = &x->plan->ops[i];
        if (op_kind(x->from, op) != KIND_ADD_BLOCKS) break;
        if (is_reducible(x, op_inputs(x->plan, op)[0])) out[count++] = op_inputs(x->plan, op)[0];
    }
    return count;
}

// So are the gradients that one operation made, such as those of a norm's weight and bias, with
// those of other shards.
static int find_gradients(const Split *x, int tensor, int32_t *out) {
    const Program *p = x->from;
    int writer = x->used[tensor], count = 0;
    memset(x->whole, 0, (size_t)p->logical_count);
    for (int t = 0; t < p->tensor_count; t++)
        if (x->used[t] == writer) x->whole[p->tensors[t].logical] = 1;
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].role == ROLE_GRADIENT && x->whole[p->tensors[t].logical] &&
            is_reducible(x, t))
            out[count++] = t;
    return count;
}

static Status reduce(Split *x, int at, int32_t tensor) {
    const Op *op = &x->plan->ops[at];
    int32_t *together = x->together;
    int count = 1;
    together[0] = tensor;
    if (op_kind(x->from, op) == KIND_ADD_BLOCKS) count = find_squares(x, at, together);
    if (x->from->tensors[tensor].role == ROLE_GRADIENT) count = find_gradients(x, tensor, together);
    TRY(split_all_reduce(x, op, together, count));
    for (int i = 0; i < count; i++) *split_now(x, &x->state, together[i]) = PLACEMENT_REPLICATED;
    return OK;
}

static Status add_variant(Split *x, int tensor, Placement how, int32_t made) {
    TRY(ARRAY_RESERVE(x->variants, x->variant_capacity, x->variant_count + 1));
    x->variants[x->variant_count] = (SplitVariant){how, made, x->first[tensor]};
    x->first[tensor] = x->variant_count++;
    return OK;
}

// From now on, or until this operation ends, the tensor is another one of `to`.
static Status stand_in(Split *x, int tensor, int32_t by, Placement how, bool returns) {
    TRY(ARRAY_RESERVE(x->swapped, x->swapped_capacity, x->swapped_count + 1));
    if (returns)
        x->swapped[x->swapped_count++] =
            (SplitSwap){tensor, x->taken[tensor], *split_now(x, &x->state, tensor)};
    x->taken[tensor] = by;
    *split_now(x, &x->state, tensor) = how;
    return OK;
}

// What was a part of a sum is of no use any more; what was cut goes on beside what it has become.
static Status make(Split *x, int at, int tensor, Placement want) {
    Placement is = *split_now(x, &x->state, tensor);
    bool partial = placement_is_partial(is);
    int32_t made;
    TRY(split_repartition(x, &x->plan->ops[at], tensor, is, want, &made));
    if (!partial) TRY(add_variant(x, tensor, want, made));
    return stand_in(x, tensor, made, want, !partial);
}

// A candidate is made, unless it is there. A sum whose positions may be divided becomes pieces
// first, which other readers take, and is put together from these: as many bytes as an all-reduce.
static Status convert(Split *x, int at, const Operand *o, int choice) {
    Placement want = o->how[choice];
    int32_t variant = o->variant[choice];
    if (variant != NONE) return stand_in(x, o->tensor, x->variants[variant].tensor, want, true);
    bool sum = o->how[0].place == PLACE_PARTIAL_SUM &&  // the loss's are few, and wanted whole
               op_kind(x->from, &x->plan->ops[at]) != KIND_VOCABULARY_LOSS;
    if (sum && placement_is_whole(want) && has_positions(x, &x->from->tensors[o->tensor]))
        TRY(make(x, at, o->tensor, PLACEMENT_SHARD(POSITIONS)));
    else if (placement_is_partial(o->how[0]) && placement_is_whole(want))
        return reduce(x, at, o->tensor);
    return make(x, at, o->tensor, want);
}

Status split_convert(Split *x, int at) {
    const Op *op = &x->plan->ops[at];
    Operand operands[2 * OPERANDS];
    int best[2 * OPERANDS] = {0};
    x->swapped_count = 0;
    if (split_infer(x, x->plan, op, &x->state) == OK) return OK;
    int count = find_operands(x, op, operands);
    TRY(find_choice(x, op, operands, count, best));
    for (int i = 0; i < count; i++)
        if (best[i]) TRY(convert(x, at, &operands[i], best[i]));
    return split_infer(x, x->plan, op, &x->state);
}

static bool writes(const Split *x, const Op *op, int tensor) {
    for (int o = 0; o < op->outputs; o++)
        if (op_outputs(x->plan, op)[o] == tensor) return true;
    return false;
}

void split_convert_end(Split *x, int at) {
    const Op *op = &x->plan->ops[at];
    for (int i = 0; i < x->swapped_count; i++) {
        const SplitSwap *s = &x->swapped[i];
        if (writes(x, op, s->tensor)) continue;
        x->taken[s->tensor] = s->taken;
        *split_now(x, &x->state, s->tensor) = s->now;
    }
    for (int o = 0; o < op->outputs; o++) x->first[op_outputs(x->plan, op)[o]] = NONE;
}
