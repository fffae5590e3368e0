// SPDX-License-Identifier: MIT
// The rules of placement_rules.h as an inference: from how the inputs of an operation lie follows
// how its outputs do. Begin with split_infer().
#include "core/base/text.h"
#include "core/plan/placement_rules.h"
#include "parallel/strategy/split_internal.h"

#include <string.h>

Status split_state_init(const Split *x, SplitState *s, Arena *a) {
    int n = x->from->tensor_count + 1;
    s->now = ARENA_NEW(a, Placement, n * AXES);
    s->holder = ARENA_NEW(a, int32_t, n);
    if (!s->now || !s->holder) FAIL(ERR_MEMORY, "out of memory to place %d tensors", n);
    return OK;
}

void split_state_begin(const Split *x, SplitState *s) {
    for (int t = 0; t < x->from->tensor_count; t++) {
        s->holder[t] = NONE;
        const Tensor *tensor = &x->from->tensors[t];
        if (!role_persists((Role)tensor->role))
            memcpy(&s->now[t * AXES], tensor->placement, AXES * sizeof *s->now);
        if (tensor->source == SCALAR_INDEX) *split_now(x, s, t) = x->parameter[tensor->logical];
    }
}

void split_state_copy(const Split *x, SplitState *to, const SplitState *from) {
    size_t n = (size_t)x->from->tensor_count;
    memcpy(to->now, from->now, n * AXES * sizeof *to->now);
    memcpy(to->holder, from->holder, n * sizeof *to->holder);
}

void split_state_write(const Split *x, const Plan *plan, const Op *op, SplitState *s) {
    for (int o = 0; o < op->outputs; o++) {
        int t = op_outputs(plan, op)[o];
        s->holder[program_root(x->from, t)] = t;
    }
}

// Shares of a dimension that a view has under another size are those of its memory if all ranks
// have equal ones.
static bool view_is_even(const Split *x, Placement how, const Tensor *of, const Tensor *view) {
    if (how.place != PLACE_SHARD || of->shape[how.dim] == view->shape[how.dim]) return true;
    int ranks = split_ranks(x);
    return of->shape[how.dim] % ranks == 0 && view->shape[how.dim] % ranks == 0;
}

// A name lies as what its memory was written as.
Status split_read_name(const Split *x, const Plan *plan, const Op *op, int t, SplitState *s) {
    int holder = s->holder[program_root(x->from, t)];
    if (holder == NONE || holder == t) return OK;
    const Tensor *of = &x->from->tensors[holder], *view = &x->from->tensors[t];
    Placement how = *split_now(x, s, holder);
    char text[PLACEMENT_TEXT];
    if (!placement_fits_view(how, of, view) || !view_is_even(x, how, of, view))
        FAIL(ERR_PLAN, "plan %s: %s: %s is a view of %s, which is %s along %s, in another shape",
             program_name(x->from, plan->name), op_name(x->from, op), tensor_name(x->from, t),
             tensor_name(x->from, holder), placement_text(how, text), x->from->axes[x->axis].name);
    *split_now(x, s, t) = how;
    return OK;
}

Status split_read_names(const Split *x, const Plan *plan, const Op *op, SplitState *s) {
    for (int i = 0; i < op->inputs; i++)
        TRY(split_read_name(x, plan, op, op_inputs(plan, op)[i], s));
    for (int o = 0; o < op->outputs && op->flags & OP_ACCUMULATE; o++)
        TRY(split_read_name(x, plan, op, op_outputs(plan, op)[o], s));
    return OK;
}

Status split_infer(const Split *x, const Plan *plan, const Op *op, SplitState *s) {
    TRY(split_read_names(x, plan, op, s));
    return split_judge(x, plan, op, s);
}

// The queues of experts are of all tokens of a shard: ranks with pieces of these would have queues
// of their own, which drop others.
static bool fills_queues(Kind k) {
    switch (k) {
    case KIND_ROUTE:
    case KIND_ROUTE_BACKWARD:
    case KIND_DISPATCH:
    case KIND_DISPATCH_BACKWARD:
    case KIND_COMBINE:
    case KIND_COMBINE_BACKWARD:
    case KIND_COUNT_CHOICES:
    case KIND_BALANCE: return true;
    default: return false;
    }
}

static Status check_tokens(const Split *x, const Plan *plan, const Op *op, const SplitState *s) {
    for (int i = 0; i < op->inputs && fills_queues(op_kind(x->from, op)); i++) {
        int t = op_inputs(plan, op)[i];
        if (split_now(x, s, t)->place == PLACE_SHARD)
            FAIL(ERR_PLAN, "plan %s: %s: %s is cut, and experts choose from all tokens",
                 program_name(x->from, plan->name), op_name(x->from, op), tensor_name(x->from, t));
    }
    return OK;
}

Status split_judge(const Split *x, const Plan *plan, const Op *op, SplitState *s) {
    Placement before[OPERANDS];
    TRY(check_tokens(x, plan, op, s));
    const int32_t *outputs = op_outputs(plan, op);
    for (int o = 0; o < op->outputs; o++) before[o] = *split_now(x, s, outputs[o]);
    const Along along = {.p = x->from,
                         .plan = plan,
                         .op = op,
                         .axis = x->axis,
                         .state = s->now,
                         .infers = true,
                         .numbers = x->numbers};
    Status judged = placement_judge(&along);
    for (int o = 0; o < op->outputs && judged != OK; o++) *split_now(x, s, outputs[o]) = before[o];
    return judged;
}

// --- products

bool split_multiplies(Kind k) {
    return k == KIND_LINEAR || k == KIND_CONV2D || k == KIND_EXPERT_LINEAR;
}

bool split_has_bias(const Split *x, const Op *op) {
    Kind k = op_kind(x->from, op);
    return op->inputs > 2 && split_multiplies(k) && k != KIND_EXPERT_LINEAR;
}

// --- heads

enum { SEQUENCE_CHANNELS = 2 };

static bool cuts_heads(const Split *x, const Plan *plan, const Op *op, const SplitState *s) {
    for (int i = 0; i < op->outputs + op->inputs; i++) {
        Placement how = *split_now(x, s, op_outputs(plan, op)[i]);
        if (placement_is_cut(how, SEQUENCE_CHANNELS)) return true;
    }
    return false;
}

static bool counts_heads(Kind k, int attribute) {
    int length, real;
    const char *name = kind_attribute(k, attribute, &length, &real);
    return (length == 5 && !strncmp(name, "heads", 5)) ||
           (length == 8 && !strncmp(name, "kv_heads", 8));
}

void split_attributes(const Split *x, const Plan *plan, const Op *op, const SplitState *s,
                      int64_t *out) {
    const Work *w = op_work(x->from, op);
    bool cut = cuts_heads(x, plan, op, s);
    for (int i = 0; i < w->attr_count; i++) {
        out[i] = x->from->attrs[w->attr_first + i];
        if (cut && counts_heads(work_kind(w), i)) out[i] /= split_ranks(x);
    }
}

static int64_t common_divisor(int64_t a, int64_t b) { return b ? common_divisor(b, a % b) : a; }

// Numbers of ranks that can share so many heads: "2 or 4"; "" where only one can.
static void sharers(int64_t heads, char *out, size_t size) {
    int64_t last = 0;
    for (int64_t n = 2; n <= heads; n++) {
        if (heads % n) continue;
        if (last) text_append(out, size, "%s%lld", *out ? ", " : "", (long long)last);
        last = n;
    }
    if (last) text_append(out, size, "%s%lld", *out ? " or " : "", (long long)last);
}

Status split_check_heads(const Split *x, const Plan *plan, const Op *op, const SplitState *s) {
    const Work *w = op_work(x->from, op);
    int64_t heads = 0, first = 0;
    char fit[128] = "";
    if (!cuts_heads(x, plan, op, s)) return OK;
    for (int i = 0; i < w->attr_count; i++) {
        int64_t n = x->from->attrs[w->attr_first + i];
        if (!counts_heads(work_kind(w), i)) continue;
        heads = heads ? common_divisor(heads, n) : n;
        if (!first) first = n;
    }
    if (heads % split_ranks(x) == 0) return OK;
    sharers(heads, fit, sizeof fit);
    if (heads != first)
        FAIL(ERR_USAGE,
             "--tp %d: the heads of %s cannot be shared equally, %lld of queries and %lld or a "
             "multiple of keys and values; %s%s",
             split_ranks(x), program_name(x->from, w->layer), (long long)first, (long long)heads,
             *fit ? fit : "leave --tp out", *fit ? " can" : "");
    FAIL(ERR_USAGE, "--tp %d: %s has %lld head%s = %d × %lld + %lld; %s%s", split_ranks(x),
         program_name(x->from, w->layer), (long long)heads, heads == 1 ? "" : "s", split_ranks(x),
         (long long)heads / split_ranks(x), (long long)heads % split_ranks(x),
         *fit ? fit : "leave --tp out", *fit ? " can share them" : "");
}
