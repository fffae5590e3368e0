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
    uint8_t *state;
} Along;

static Placement input(const Along *a, int i) {
    return i < a->op->inputs ? (Placement)a->state[op_inputs(a->plan, a->op)[i] * AXES + a->axis]
                             : PLACE_REPLICATE;
}

static bool partial(Placement p) { return p == PLACE_PARTIAL_SUM || p == PLACE_PARTIAL_MAX; }

static Status refuse(const Along *a, int i, const char *why) {
    FAIL(ERR_PLAN, "plan %s: %s: %s is %s along %s: %s", program_name(a->p, a->plan->name),
         op_name(a->p, a->op), tensor_name(a->p, op_inputs(a->plan, a->op)[i]),
         placement_name(input(a, i)), a->p->axes[a->axis].name, why);
}

static Status expect(const Along *a, int output, Placement want) {
    if (output >= a->op->outputs) return OK;
    int tensor = op_outputs(a->plan, a->op)[output];
    Placement declared = (Placement)a->p->tensors[tensor].placement[a->axis];
    if (declared != want)
        FAIL(ERR_PLAN, "plan %s: %s: %s is declared %s along %s, but its inputs make it %s",
             program_name(a->p, a->plan->name), op_name(a->p, a->op), tensor_name(a->p, tensor),
             placement_name(declared), a->p->axes[a->axis].name, placement_name(want));
    a->state[tensor * AXES + a->axis] = (uint8_t)want;
    return OK;
}

// y = x W' + b, and convolution: W is (K,C,...), cut along K (column parallel) or C (row parallel).
static Status rule_contraction(const Along *a) {
    Placement x = input(a, 0), w = input(a, 1);
    Placement y = x;
    if (partial(x)) return refuse(a, 0, "reduce it first");
    if (x == PLACE_SHARD_1 && w == PLACE_SHARD_1)
        y = PLACE_PARTIAL_SUM;
    else if (x == PLACE_REPLICATE && w == PLACE_SHARD_0)
        y = PLACE_SHARD_1;
    else if (w != PLACE_REPLICATE)
        return refuse(a, 1, "the input does not fit");
    else if (x == PLACE_SHARD_1)
        return refuse(a, 0, "the weight is not cut alike");
    if (a->op->inputs > 2 && y == PLACE_PARTIAL_SUM)
        return refuse(
            a, 2,
            "a bias added to a partial sum is added once per rank; add it after the reduction");
    if (a->op->inputs > 2 && input(a, 2) != (w == PLACE_SHARD_0 ? PLACE_SHARD_0 : PLACE_REPLICATE))
        return refuse(a, 2, "the weight is not cut alike");
    return expect(a, 0, y);
}

// dx = dy W
static Status rule_backward_input(const Along *a) {
    Placement dy = input(a, 0), w = input(a, 1);
    if (partial(dy)) return refuse(a, 0, "reduce it first");
    if (dy == PLACE_SHARD_1 && w == PLACE_SHARD_0) return expect(a, 0, PLACE_PARTIAL_SUM);
    if (dy == PLACE_REPLICATE && w == PLACE_SHARD_1) return expect(a, 0, PLACE_SHARD_1);
    if (w != PLACE_REPLICATE || dy == PLACE_SHARD_1)
        return refuse(a, 1, "the gradient does not fit");
    return expect(a, 0, dy);
}

// dW = dy' x: rows on several ranks give each a part of the sum.
static Status rule_backward_weight(const Along *a) {
    Placement x = input(a, 0), dy = input(a, 1), w;
    if (partial(x)) return refuse(a, 0, "reduce it first");
    if (partial(dy)) return refuse(a, 1, "reduce it first");
    if (x == PLACE_SHARD_0 && dy == PLACE_SHARD_0)
        w = PLACE_PARTIAL_SUM;
    else if (x == PLACE_REPLICATE)
        w = dy == PLACE_SHARD_1 ? PLACE_SHARD_0 : dy;
    else if (x == PLACE_SHARD_1 && dy == PLACE_REPLICATE)
        w = PLACE_SHARD_1;
    else
        return refuse(a, 1, "the input is not cut alike");
    TRY(expect(a, 0, w));
    return expect(a, 1, w == PLACE_SHARD_1 ? PLACE_REPLICATE : w);
}

// Everything lies alike.
static Status alike(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (input(a, i) != input(a, 0)) return refuse(a, i, "the operands do not lie alike");
    for (int o = 0; o < a->op->outputs; o++) TRY(expect(a, o, input(a, 0)));
    return OK;
}

// Element by element, and not linear: f(a + b) is not f(a) + f(b).
static Status rule_elementwise(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (partial(input(a, i))) return refuse(a, i, "not a linear operation; reduce it first");
    return alike(a);
}

// Linear: f(a + b) = f(a) + f(b), so partial sums go in and come out. A maximum does not pass.
static Status rule_linear(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (input(a, i) == PLACE_PARTIAL_MAX)
            return refuse(a, i, "a sum of maxima is no maximum of sums; reduce it first");
    return alike(a);
}

// A sum may see partial sums.
static Status rule_sum(const Along *a) { return alike(a); }

static Status rule_loss(const Along *a) {
    if (partial(input(a, 0)) || input(a, 0) == PLACE_SHARD_1)
        return refuse(a, 0, "the softmax of a row needs the whole row");
    if (input(a, 1) != input(a, 0)) return refuse(a, 1, "the logits do not lie alike");
    if (op_kind(a->p, a->op) == KIND_CROSS_ENTROPY_BACKWARD) return expect(a, 0, input(a, 0));
    TRY(expect(a, 0, input(a, 0) == PLACE_SHARD_0 ? PLACE_PARTIAL_SUM : PLACE_REPLICATE));
    return expect(a, 1, input(a, 0));
}

static Status rule_update(const Along *a) {
    Placement weight = (Placement)a->p->tensors[op_outputs(a->plan, a->op)[0]].placement[a->axis];
    if (partial(input(a, 0)))
        return refuse(a, 0, "each rank holds a part of the sum; all-reduce it first");
    if (input(a, 0) != weight) return refuse(a, 0, "the parameter does not lie alike");
    return OK;
}

// What a collective over this axis makes of its payload.
static Status rule_collective(const Along *a) {
    const Work *w = op_work(a->p, a->op);
    bool over = a->p->groups[w->group].axes >> a->axis & 1;
    bool reduces =
        w->kind == KIND_ALL_REDUCE || w->kind == KIND_REDUCE || w->kind == KIND_REDUCE_SCATTER;
    for (int i = 0; over && reduces && i < a->op->inputs; i++)
        if (input(a, i) != (w->reduce == REDUCE_MAX ? PLACE_PARTIAL_MAX : PLACE_PARTIAL_SUM))
            return refuse(a, i,
                          "reducing what is not a partial result would count it once per rank");
    for (int o = 0; o < a->op->outputs; o++) {
        int tensor = op_outputs(a->plan, a->op)[o];
        uint8_t *now = &a->state[tensor * AXES + a->axis];
        if (!over)
            *now = (uint8_t)input(a, o < a->op->inputs ? o : 0);
        else if (w->kind == KIND_REDUCE_SCATTER || w->kind == KIND_ALL_TO_ALL)
            *now = a->p->tensors[tensor].placement[a->axis];
        else
            *now = PLACE_REPLICATE;
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
Status check_placements(const Program *p, const Plan *plan, const Op *op, uint8_t *state) {
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
