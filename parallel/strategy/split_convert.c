// SPDX-License-Identifier: MIT
// Where an operation cannot take its inputs as they lie, they are converted: of the candidates
// (split_candidates.c) the cheapest that its rule takes are made. Begin with split_convert().
#include "parallel/strategy/split_convert.h"
#include "core/base/array.h"
#include "core/plan/placement_rules.h"

#include <string.h>

enum { POSITIONS = 1 };

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

static Status add_variant(Split *x, const SplitOperand *o, Placement how, int32_t made) {
    TRY(ARRAY_RESERVE(x->variants, x->variant_capacity, x->variant_count + 1));
    x->variants[x->variant_count] = (SplitVariant){how, o->tensor, made, x->first[o->holder]};
    x->first[o->holder] = x->variant_count++;
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
static Status make(Split *x, int at, const SplitOperand *o, Placement want) {
    Placement is = *split_now(x, &x->state, o->tensor);
    bool partial = placement_is_partial(is) && o->tensor == o->holder;
    int32_t home, made;
    TRY(split_take(x, o->tensor, &home));
    TRY(split_repartition(x, &x->plan->ops[at], o->tensor, home, is, want, &made));
    if (!partial) TRY(add_variant(x, o, want, made));
    return stand_in(x, o->tensor, made, want, !partial);
}

// Pieces of one dimension become pieces of another.
static Status exchange(Split *x, int at, const SplitOperand *o, Placement want) {
    int32_t home, made;
    TRY(split_take(x, o->tensor, &home));
    TRY(split_exchange(x, &x->plan->ops[at], o->tensor, home, o->is, want, &made));
    TRY(add_variant(x, o, want, made));
    return stand_in(x, o->tensor, made, want, true);
}

// A slice of what is whole, or has become so.
static Status make_slice(Split *x, int at, const SplitOperand *o, Placement want) {
    int32_t home, made;
    TRY(split_take(x, o->tensor, &home));
    TRY(split_slice(x, &x->plan->ops[at], o->tensor, home, want, &made));
    TRY(add_variant(x, o, want, made));
    return stand_in(x, o->tensor, made, want, true);
}

// A view of memory that is cut where the view cannot be: all of the memory, and a view of that.
static Status make_view(Split *x, int at, const SplitOperand *o) {
    Placement is = *split_now(x, &x->state, o->holder);
    int32_t home, whole, made;
    TRY(split_take(x, o->holder, &home));
    TRY(split_repartition(x, &x->plan->ops[at], o->holder, home, is, PLACEMENT_REPLICATED, &whole));
    TRY(split_view(x, o->tensor, whole, &made));
    TRY(add_variant(x, o, PLACEMENT_REPLICATED, made));
    return stand_in(x, o->tensor, made, PLACEMENT_REPLICATED, true);
}

// A candidate is made, unless it is there. A sum whose positions may be divided becomes pieces
// first, which other readers take, and is put together from these: as many bytes as an all-reduce.
static Status convert(Split *x, int at, const SplitOperand *o, int choice) {
    Placement want = o->how[choice], is = o->is;
    int32_t variant = o->variant[choice];
    const Tensor *t = &x->from->tensors[o->tensor];
    if (variant != NONE) return stand_in(x, o->tensor, x->variants[variant].tensor, want, true);
    bool sum = is.place == PLACE_PARTIAL_SUM &&  // the loss's are few, and wanted whole
               op_kind(x->from, &x->plan->ops[at]) != KIND_VOCABULARY_LOSS;
    if (placement_is_partial(is) && placement_is_whole(want)) {
        if (!sum || o->view || !split_has_positions(x, t)) {
            if (placement_is_partial(*split_now(x, &x->state, o->holder)))
                TRY(reduce(x, at, o->holder));
            *split_now(x, &x->state, o->tensor) = want;
            return OK;
        }
        TRY(make(x, at, o, PLACEMENT_SHARD(POSITIONS)));
        return make(x, at, o, want);
    }
    if (o->fits && split_exchanges(is, want)) return exchange(x, at, o, want);
    if (!o->fits) TRY(make_view(x, at, o));
    if (o->fits && is.place == PLACE_SHARD) TRY(make(x, at, o, PLACEMENT_REPLICATED));
    if (placement_is_partial(is)) return make(x, at, o, want);
    return placement_is_whole(want) ? OK : make_slice(x, at, o, want);
}

Status split_convert(Split *x, int at) {
    const Op *op = &x->plan->ops[at];
    SplitOperand operands[2 * OPERANDS];
    int best[2 * OPERANDS] = {0}, count;
    bool all = x->placed;
    x->swapped_count = 0;
    bool fits = split_infer(x, x->plan, op, &x->state) == OK;
    if (fits && split_is_as_wished(x, x->plan, op, &x->state)) return OK;
    bool found = split_find_choice(x, x->plan, op, &x->state, all, operands, &count, best);
    if (!found && !all) {
        all = true;
        found = split_find_choice(x, x->plan, op, &x->state, all, operands, &count, best);
    }
    if (!found) return split_infer(x, x->plan, op, &x->state);
    for (int i = 0; i < count; i++)
        if (!operands[i].fits || !placement_equal(operands[i].how[best[i]], operands[i].is))
            TRY(convert(x, at, &operands[i], best[i]));
    return all ? split_judge(x, x->plan, op, &x->state) : split_infer(x, x->plan, op, &x->state);
}

static bool writes(const Split *x, const Op *op, int tensor) {
    for (int o = 0; o < op->outputs; o++)
        if (op_outputs(x->plan, op)[o] == tensor) return true;
    return false;
}

void split_convert_end(Split *x, int at) {
    const Op *op = &x->plan->ops[at];
    for (int i = x->swapped_count - 1; i >= 0; i--) {
        const SplitSwap *s = &x->swapped[i];
        if (writes(x, op, s->tensor)) continue;
        x->taken[s->tensor] = s->taken;
        *split_now(x, &x->state, s->tensor) = s->now;
    }
    for (int o = 0; o < op->outputs; o++) x->first[op_outputs(x->plan, op)[o]] = NONE;
}
