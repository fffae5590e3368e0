// SPDX-License-Identifier: MIT
// In which ways the operands of an operation could lie, at which cost, and the cheapest choice that
// its rule takes. Begin with split_find_choice().
#include "core/base/array.h"
#include "core/plan/placement_rules.h"
#include "parallel/strategy/split_convert.h"

#include <string.h>

enum { POSITIONS = 1 };

// A slice of what is there sends nothing, and yet nothing at all is better; positions are the best
// slices where norms have them.
enum { SLICE_COST = 2, POSITIONS_COST = 1 };

static void add_candidate(SplitOperand *o, Placement how, int64_t cost, int32_t variant) {
    for (int i = 0; i < o->count; i++)
        if (placement_equal(o->how[i], how)) return;
    if (o->count == SPLIT_CANDIDATES) return;
    o->how[o->count] = how;
    o->variant[o->count] = variant;
    o->cost[o->count++] = cost;
}

bool split_has_positions(const Split *x, const Tensor *t) {
    return x->sequence && t->role == ROLE_ACTIVATION && t->dims == 3 &&
           t->shape[POSITIONS] % split_ranks(x) == 0;
}

static int64_t bytes_sent(const Split *x, const Tensor *t) {
    int64_t ranks = split_ranks(x);
    return t->bytes * (ranks - 1) / ranks;
}

// --- what model files without place= need

// The name under which the memory was written is converted, and views of it lie as it does. What
// all ranks have goes with pieces of positions as a slice.
static void find_few(const Split *x, const SplitState *s, SplitOperand *o) {
    Placement is = o->is = *split_now(x, s, o->tensor);
    const Tensor *t = &x->from->tensors[o->tensor];
    int64_t sent = bytes_sent(x, t);
    add_candidate(o, is, 0, NONE);
    for (int v = x->first[o->tensor]; v != NONE && !o->view; v = x->variants[v].next)
        if (x->variants[v].name == o->tensor) add_candidate(o, x->variants[v].how, 0, v);
    if (placement_is_partial(is)) add_candidate(o, PLACEMENT_REPLICATED, 2 * sent, NONE);
    if (o->view || !split_has_positions(x, t)) return;
    if (is.place == PLACE_PARTIAL_SUM) add_candidate(o, PLACEMENT_SHARD(POSITIONS), sent, NONE);
    if (placement_is_whole(is)) add_candidate(o, PLACEMENT_SHARD(POSITIONS), POSITIONS_COST, NONE);
    if (placement_equal(is, PLACEMENT_SHARD(POSITIONS)))
        add_candidate(o, PLACEMENT_REPLICATED, sent, NONE);
}

// --- all that there are

// Gradients and parameters lie as was chosen; numbers that are not real are never converted.
static bool is_convertible(const Tensor *t) {
    return (t->role == ROLE_ACTIVATION || t->role == ROLE_INPUT) && dtype_is_real((Dtype)t->dtype);
}

static bool is_plain_shard(Placement p) {
    bool cut = p.cut == CUT_CONTIGUOUS || p.cut == CUT_INTERLEAVED;
    return p.place == PLACE_SHARD && p.dim > 0 && cut && !p.shift && !p.terms && !p.inner;
}

static int64_t cost_of(const Split *x, const Tensor *t, Placement is, Placement want) {
    bool positions = x->sequence && placement_is_cut(want, POSITIONS) && t->dims == 3;
    int64_t sent = bytes_sent(x, t), slice = positions ? POSITIONS_COST : SLICE_COST;
    if (placement_is_whole(want)) return placement_is_partial(is) ? 2 * sent : sent;
    if (split_exchanges(is, want)) return sent / split_ranks(x);
    return placement_is_whole(is) ? slice : placement_is_partial(is) ? sent : sent + slice;
}

static void add_wanted(const Split *x, SplitOperand *o, Placement want) {
    const Tensor *t = &x->from->tensors[o->tensor];
    Placement is = o->is;
    bool whole = placement_is_whole(want), cut = is_plain_shard(is);
    bool reduces = is.place == PLACE_PARTIAL_SUM || (whole && placement_is_partial(is));
    if (!whole && !is_plain_shard(want)) return;
    if (!reduces && !cut && (whole || !placement_is_whole(is))) return;
    add_candidate(o, want, cost_of(x, t, is, want), NONE);
}

// As another tensor lies, or shall lie, that has a dimension of the same size.
static void add_like(const Split *x, SplitOperand *o, int other, Placement how) {
    const Logical *l = &x->from->logicals[x->from->tensors[o->tensor].logical],
                  *of = &x->from->logicals[x->from->tensors[other].logical];
    if (how.place != PLACE_SHARD) return;
    for (int d = 1; d < l->dims; d++)
        if (l->shape[d] == of->shape[how.dim]) add_wanted(x, o, placement_moved(how, d));
}

static void find_all(const Split *x, const Plan *plan, const Op *op, const SplitState *s,
                     SplitOperand *o) {
    const Tensor *t = &x->from->tensors[o->tensor];
    o->is = *split_now(x, s, o->fits ? o->tensor : o->holder);
    if (o->fits) add_candidate(o, o->is, 0, NONE);
    for (int v = x->first[o->holder]; v != NONE; v = x->variants[v].next)
        if (x->variants[v].name == o->tensor) add_candidate(o, x->variants[v].how, 0, v);
    if (is_convertible(t) || placement_is_partial(o->is)) add_wanted(x, o, PLACEMENT_REPLICATED);
    if (!is_convertible(t)) return;
    if (split_has_positions(x, t)) add_wanted(x, o, PLACEMENT_SHARD(POSITIONS));
    for (int i = 0; i < op->outputs + op->inputs; i++) {
        int other = op_outputs(plan, op)[i];
        int logical = x->from->tensors[other].logical;
        bool output = i < op->outputs;
        if (output && x->wish[logical].place != PLACE_COUNT)
            add_like(x, o, other, x->wish[logical]);
        if (other != o->tensor && (!output || op->flags & OP_ACCUMULATE))
            add_like(x, o, other, *split_now(x, s, other));
    }
}

// --- choosing

// Each memory once, or with `all` each name.
static int find_operands(Split *x, const Plan *plan, const Op *op, SplitState *s, bool all,
                         SplitOperand *out) {
    int count = 0, first = op->flags & OP_ACCUMULATE ? 0 : op->outputs;
    for (int i = first; i < op->outputs + op->inputs; i++) {
        int name = op_outputs(plan, op)[i], holder = s->holder[program_root(x->from, name)];
        if (holder == NONE) holder = name;
        SplitOperand o = {.tensor = all ? name : holder, .holder = holder, .view = holder != name};
        bool seen = false;
        for (int k = 0; k < count; k++) seen = seen || out[k].tensor == o.tensor;
        if (seen) continue;
        o.fits = !all || split_read_name(x, plan, op, name, s) == OK;
        out[count++] = o;
    }
    for (int i = 0; i < count; i++)
        if (all)
            find_all(x, plan, op, s, &out[i]);
        else
            find_few(x, s, &out[i]);
    return count;
}

// Go on to the next choice of a candidate for each operand; false after the last one.
static bool next_choice(const SplitOperand *operands, int count, int choice[]) {
    for (int i = 0; i < count; i++) {
        if (++choice[i] < operands[i].count) return true;
        choice[i] = 0;
    }
    return false;
}

static int64_t take_choice(const Split *x, const SplitOperand *operands, int count,
                           const int choice[], SplitState *s) {
    int64_t cost = 0;
    for (int i = 0; i < count; i++) {
        if (!operands[i].count) return INT64_MAX;
        *split_now(x, s, operands[i].tensor) = operands[i].how[choice[i]];
        cost += operands[i].cost[choice[i]];
    }
    return cost;
}

bool split_is_as_wished(const Split *x, const Plan *plan, const Op *op, const SplitState *s) {
    bool sums_uses = op_work(x->from, op)->phase == PHASE_UPDATE;
    for (int o = 0; o < op->outputs; o++) {
        int t = op_outputs(plan, op)[o];
        Placement wish = x->wish[x->from->tensors[t].logical], is = *split_now(x, s, t);
        bool whole = placement_is_partial(is) && placement_is_whole(wish) && !sums_uses;
        if (wish.place == PLACE_COUNT || placement_equal(is, wish) || whole) continue;
        if (x->from->tensors[t].role == ROLE_GRADIENT) return false;
    }
    return true;
}

static bool takes(const Split *x, const Plan *plan, const Op *op, bool all, SplitState *s) {
    if ((all ? split_judge(x, plan, op, s) : split_infer(x, plan, op, s)) != OK) return false;
    if (!split_is_as_wished(x, plan, op, s)) return false;
    return !all || split_check_heads(x, plan, op, s) == OK;
}

bool split_find_choice(Split *x, const Plan *plan, const Op *op, SplitState *s, bool all,
                       SplitOperand *operands, int *count, int *best) {
    int choice[2 * OPERANDS] = {0};
    int64_t least = INT64_MAX;
    *count = find_operands(x, plan, op, s, all, operands);
    do {
        int64_t cost = take_choice(x, operands, *count, choice, s);
        if (cost >= least || !takes(x, plan, op, all, s)) continue;
        least = cost;
        memcpy(best, choice, sizeof choice);
    } while (next_choice(operands, *count, choice));
    for (int i = 0; i < *count; i++)
        *split_now(x, s, operands[i].tensor) = all ? operands[i].is : operands[i].how[0];
    return least < INT64_MAX;
}

Status split_infer_converted(Split *x, const Plan *plan, const Op *op, SplitState *s) {
    SplitOperand operands[2 * OPERANDS];
    int best[2 * OPERANDS], count;
    if (!split_find_choice(x, plan, op, s, true, operands, &count, best))
        return split_infer(x, plan, op, s);
    take_choice(x, operands, count, best, s);
    TRY(split_judge(x, plan, op, s));
    for (int i = 0; i < count; i++) {
        bool written = false;
        for (int o = 0; o < op->outputs; o++)
            written = written || op_outputs(plan, op)[o] == operands[i].tensor;
        if (!written) *split_now(x, s, operands[i].tensor) = operands[i].is;
    }
    return OK;
}
