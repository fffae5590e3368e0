// SPDX-License-Identifier: MIT
// Placements as types, one mesh axis at a time (GSPMD, Xu et al. 2021; DTensor): from how the
// inputs of an operation lie along an axis follows how its outputs do, or that it may not be done.
#include "core/plan/check_internal.h"

#include <string.h>

// Placements of the operands along one axis, in the operation's order, and where they are written.
typedef struct {
    const Program *p;
    const Plan *plan;
    const Op *op;
    int axis;
    Placement *state;
} Along;

static Placement input(const Along *a, int i) {
    return i < a->op->inputs ? a->state[op_inputs(a->plan, a->op)[i] * AXES + a->axis]
                             : PLACEMENT_REPLICATED;
}

static bool replicated(Placement p) { return p.place == PLACE_REPLICATE; }

// Is it cut along this dimension?
static bool cut_along(Placement p, int dim) {
    return p.place == PLACE_SHARD && p.cut != CUT_FLAT && p.dim == dim;
}

// The same cut of another dimension.
static Placement moved_to(Placement p, int dim) {
    p.dim = (uint8_t)dim;
    return p;
}

static Status refuse(const Along *a, int i, const char *why) {
    char text[PLACEMENT_TEXT];
    FAIL(ERR_PLAN, "plan %s: %s: %s is %s along %s: %s", program_name(a->p, a->plan->name),
         op_name(a->p, a->op), tensor_name(a->p, op_inputs(a->plan, a->op)[i]),
         placement_text(input(a, i), text), a->p->axes[a->axis].name, why);
}

static Status expect(const Along *a, int output, Placement want) {
    char text[PLACEMENT_TEXT], wanted[PLACEMENT_TEXT];
    if (output >= a->op->outputs) return OK;
    int tensor = op_outputs(a->plan, a->op)[output];
    Placement declared = a->p->tensors[tensor].placement[a->axis];
    if (!placement_equal(declared, want))
        FAIL(ERR_PLAN, "plan %s: %s: %s is declared %s along %s, but its inputs make it %s",
             program_name(a->p, a->plan->name), op_name(a->p, a->op), tensor_name(a->p, tensor),
             placement_text(declared, text), a->p->axes[a->axis].name,
             placement_text(want, wanted));
    a->state[tensor * AXES + a->axis] = want;
    return OK;
}

// y = x W' + b, and convolution: W is (K,C,...), cut along K (column parallel) or C (row parallel).
static Status rule_contraction(const Along *a) {
    Placement x = input(a, 0), w = input(a, 1), y = x;
    if (placement_is_partial(x)) return refuse(a, 0, "reduce it first");
    if (cut_along(x, 1) && cut_along(w, 1) && placement_equal(x, w))
        y = PLACEMENT_SUM;
    else if (replicated(x) && cut_along(w, 0))
        y = moved_to(w, 1);
    else if (!replicated(w))
        return refuse(a, 1, "the input does not fit");
    else if (cut_along(x, 1))
        return refuse(a, 0, "the weight is not cut alike");
    if (a->op->inputs > 2 && y.place == PLACE_PARTIAL_SUM)
        return refuse(
            a, 2,
            "a bias added to a partial sum is added once per rank; add it after the reduction");
    Placement bias = cut_along(w, 0) ? w : PLACEMENT_REPLICATED;
    if (a->op->inputs > 2 && !placement_equal(input(a, 2), bias))
        return refuse(a, 2, "the weight is not cut alike");
    return expect(a, 0, y);
}

// dx = dy W
static Status rule_backward_input(const Along *a) {
    Placement dy = input(a, 0), w = input(a, 1);
    if (placement_is_partial(dy)) return refuse(a, 0, "reduce it first");
    if (cut_along(dy, 1) && placement_equal(moved_to(dy, 0), w)) return expect(a, 0, PLACEMENT_SUM);
    if (replicated(dy) && cut_along(w, 1)) return expect(a, 0, w);
    if (!replicated(w) || cut_along(dy, 1)) return refuse(a, 1, "the gradient does not fit");
    return expect(a, 0, dy);
}

// dW = dy' x: rows on several ranks give each a part of the sum.
static Status rule_backward_weight(const Along *a) {
    Placement x = input(a, 0), dy = input(a, 1), w;
    if (placement_is_partial(x)) return refuse(a, 0, "reduce it first");
    if (placement_is_partial(dy)) return refuse(a, 1, "reduce it first");
    if (cut_along(x, 0) && placement_equal(x, dy))
        w = PLACEMENT_SUM;
    else if (replicated(x))
        w = cut_along(dy, 1) ? moved_to(dy, 0) : dy;
    else if (cut_along(x, 1) && replicated(dy))
        w = x;
    else
        return refuse(a, 1, "the input is not cut alike");
    TRY(expect(a, 0, w));
    return expect(a, 1, cut_along(w, 1) ? PLACEMENT_REPLICATED : w);
}

// Everything lies alike.
static Status alike(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (!placement_equal(input(a, i), input(a, 0)))
            return refuse(a, i, "the operands do not lie alike");
    for (int o = 0; o < a->op->outputs; o++) TRY(expect(a, o, input(a, 0)));
    return OK;
}

// Element by element, and not linear: f(a + b) is not f(a) + f(b).
static Status rule_elementwise(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (placement_is_partial(input(a, i)))
            return refuse(a, i, "not a linear operation; reduce it first");
    return alike(a);
}

// Linear: f(a + b) = f(a) + f(b), so partial sums go in and come out. A maximum does not pass.
static Status rule_linear(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (input(a, i).place == PLACE_PARTIAL_MAX)
            return refuse(a, i, "a sum of maxima is no maximum of sums; reduce it first");
    return alike(a);
}

// A sum may see partial sums.
static Status rule_sum(const Along *a) { return alike(a); }

static Status rule_loss(const Along *a) {
    Placement logits = input(a, 0);
    if (placement_is_partial(logits) || cut_along(logits, 1))
        return refuse(a, 0, "the softmax of a row needs the whole row");
    if (!placement_equal(input(a, 1), logits)) return refuse(a, 1, "the logits do not lie alike");
    if (op_kind(a->p, a->op) == KIND_CROSS_ENTROPY_BACKWARD) return expect(a, 0, logits);
    TRY(expect(a, 0, cut_along(logits, 0) ? PLACEMENT_SUM : PLACEMENT_REPLICATED));
    return expect(a, 1, logits);
}

static Status rule_update(const Along *a) {
    Placement weight = a->p->tensors[op_outputs(a->plan, a->op)[0]].placement[a->axis];
    if (placement_is_partial(input(a, 0)))
        return refuse(a, 0, "each rank holds a part of the sum; all-reduce it first");
    if (!placement_equal(input(a, 0), weight))
        return refuse(a, 0, "the parameter does not lie alike");
    return OK;
}

// What a collective over this axis makes of its payload.
static Status rule_collective(const Along *a) {
    const Work *w = op_work(a->p, a->op);
    bool over = a->p->groups[w->group].axes >> a->axis & 1;
    bool reduces =
        w->kind == KIND_ALL_REDUCE || w->kind == KIND_REDUCE || w->kind == KIND_REDUCE_SCATTER;
    PlaceKind part = w->reduce == REDUCE_MAX ? PLACE_PARTIAL_MAX : PLACE_PARTIAL_SUM;
    for (int i = 0; over && reduces && i < a->op->inputs; i++)
        if (input(a, i).place != part)
            return refuse(a, i,
                          "reducing what is not a partial result would count it once per rank");
    for (int o = 0; o < a->op->outputs; o++) {
        int tensor = op_outputs(a->plan, a->op)[o];
        Placement *now = &a->state[tensor * AXES + a->axis];
        if (!over)
            *now = input(a, o < a->op->inputs ? o : 0);
        else if (w->kind == KIND_REDUCE_SCATTER || w->kind == KIND_ALL_TO_ALL)
            *now = a->p->tensors[tensor].placement[a->axis];
        else
            *now = PLACEMENT_REPLICATED;
    }
    return OK;
}

// Rows are cut by the host as the operands say.
static Status rule_none(const Along *a) { return OK; }

// Its members were checked, one by one.
static Status rule_members(const Along *a) { return OK; }

static Status (*const rules[KIND_COUNT])(const Along *a) = {
#define X(constant, name, class, rule, attributes, operands) rule_##rule,
    KIND_LIST(X)
#undef X
};

// Along an axis of one rank every placement is the same thing. Explicit rank lists have no axis:
// their collectives are judged by their declared placements alone.
Status check_placements(const Program *p, const Plan *plan, const Op *op, Placement *state) {
    if (op_kind(p, op) == KIND_FUSED) {
        for (int i = 0; i < op->member_count; i++)
            TRY(check_placements(p, plan, &plan->members[op->member_first + i], state));
        return OK;
    }
    for (int axis = 0; axis < p->axis_count; axis++) {
        Along a = {p, plan, op, axis, state};
        if (p->axes[axis].size > 1) TRY(rules[op_kind(p, op)](&a));
    }
    return OK;
}
