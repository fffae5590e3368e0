// SPDX-License-Identifier: MIT
// The split of a program: split_choose.c places the parameters, then every operation of the step
// and of the evaluation, forward and backward alike, is copied with the pieces that follow. What
// its rule does not take as it lies is converted before (split_convert.c), so that the transposed
// communication of the backward follows by itself. Read split() at the end first.
#include "parallel/strategy/split.h"

#include "core/plan/piece.h"
#include "core/plan/placement_rules.h"
#include "core/plan/program_copy.h"
#include "core/plan/set.h"
#include "parallel/strategy/split_convert.h"
#include "parallel/strategy/split_place.h"
#include "parallel/strategy/strategy_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- before

static bool cut_by(const Split *x, const Plan *plan, const Op *op, int dim) {
    int weight = op_inputs(plan, op)[1];
    return placement_is_cut(x->parameter[x->from->tensors[weight].logical], dim);
}

// Products whose weight is cut by its inputs leave a part of a sum: their bias is added after them.
static Status separate_bias(Split *x, Plan *plan, int i) {
    Op *op = &plan->ops[i];
    const Work *w = op_work(x->from, op);
    int32_t y = op_outputs(plan, op)[0];
    const int32_t operands[] = {y, op_inputs(plan, op)[2]};
    char name[320];
    snprintf(name, sizeof name, "%s.bias", program_name(x->from, w->layer));
    op->inputs = 2;
    return plan_add_op(
        x->from, plan,
        &(OpSpec){.name = name,
                  .layer = program_name(x->from, w->layer),
                  .kind = w->kind == KIND_LINEAR ? KIND_LINEAR_BIAS : KIND_CONV2D_BIAS,
                  .phase = (Phase)w->phase,
                  .dtype = (Dtype)w->dtype,
                  .lane = op->lane,
                  .outputs = &y,
                  .inputs = operands,
                  .output_count = 1,
                  .input_count = 2,
                  .shard = op->shard,
                  .micro_batch = op->micro_batch},
        NULL);
}

static Status separate_biases(Split *x, Plan *plan) {
    int count = plan->op_count, added = 0;
    int *after = ARENA_NEW(&x->arena, int, count + 1);
    if (!after) FAIL(ERR_MEMORY, "out of memory for %d operations", count);
    for (int i = 0; i < count; i++) {
        const Op *op = &plan->ops[i];
        if (!split_has_bias(x, op) || !cut_by(x, plan, op, 1)) continue;
        TRY(separate_bias(x, plan, i));
        after[added++] = i;
    }
    return strategy_place_after(plan, after, added, &x->arena);
}

static bool is_weight_gradient(Kind k) {
    return k == KIND_LINEAR_BACKWARD_WEIGHT || k == KIND_CONV2D_BACKWARD_WEIGHT;
}

// Part of the gradient of an input that will be reduced: a product, or the sum of several.
static bool leads_to_reduction(const Split *x, const Plan *plan, const Op *op) {
    Kind k = op_kind(x->from, op);
    bool product = k == KIND_LINEAR_BACKWARD_INPUT || k == KIND_CONV2D_BACKWARD_INPUT;
    bool sum = k == KIND_ADD || k == KIND_FOLD;
    return (product && cut_by(x, plan, op, 0)) ||
           (sum && op_work(x->from, op)->phase == PHASE_BACKWARD);
}

// Gradients of inputs that will be reduced come before those of weights, which are computed
// meanwhile: of a run of both, the weights' are put last.
static Status order_backward(const Split *x, Plan *plan) {
    Op *late = malloc((size_t)(plan->op_count + 1) * sizeof *late);
    if (!late) FAIL(ERR_MEMORY, "out of memory for %d operations", plan->op_count);
    for (int i = 0, end; i < plan->op_count; i = end + 1) {
        int kept = i, count = 0;
        for (end = i; end < plan->op_count; end++) {
            const Op op = plan->ops[end];
            if (is_weight_gradient(op_kind(x->from, &op)))
                late[count++] = op;
            else if (leads_to_reduction(x, plan, &op))
                plan->ops[kept++] = op;
            else
                break;
        }
        memcpy(&plan->ops[kept], late, (size_t)count * sizeof *late);
    }
    free(late);
    return OK;
}

// --- tensors

// The shape of a rank's piece: that of the whole, but for the dimension that is cut.
Status split_cut_shape(const Split *x, TensorSpec *spec, const Tensor *t) {
    Placement how = spec->placement[x->axis];
    Tensor piece = *t;
    int64_t shape[DIMS];
    int dims;
    if (how.place != PLACE_SHARD) return OK;
    piece.placement[x->axis] = how;
    TRY(piece_capacity(x->from, &piece, shape, &dims));
    spec->shape[how.dim] = shape[how.dim];
    return OK;
}

// Memory that no operation has written under its own name lies as its first view does.
static void place_memory(Split *x, int view) {
    int of = x->from->tensors[view].alias;
    if (of == NONE || x->taken[of] != NONE) return;
    Placement how = *split_now(x, &x->state, view);
    bool fits = placement_fits_view(how, &x->from->tensors[view], &x->from->tensors[of]);
    if (fits) *split_now(x, &x->state, of) = how;
}

// The gradient of a frozen weight, which its layer computes beside that of the bias, is dropped: as
// along the data, each rank has a part of it, which is never summed, so parts just differ.
static Placement declared(const Split *x, int t) {
    const Tensor *from = &x->from->tensors[t];
    Placement how = *split_now(x, &x->state, t);
    int data = mesh_find_axis(x->from, MESH_DATA);
    bool drops = from->role == ROLE_ACTIVATION && from->placement[data].place == PLACE_DIFFERS;
    return drops && placement_is_partial(how) ? PLACEMENT_DIFFERS : how;
}

Status split_take(Split *x, int t, int32_t *out) {
    const Tensor *from = &x->from->tensors[t];
    int32_t other;
    int index = x->taken[t];
    if (index == NONE) {
        TensorSpec spec = program_copy_spec(x->from, from);
        place_memory(x, t);
        if (from->extent != NONE) TRY(split_take(x, from->extent, &other));
        if (from->extent != NONE) spec.extent = TENSOR_REF(other);
        if (from->alias != NONE) TRY(split_take(x, from->alias, &other));
        if (from->alias != NONE) spec.alias = TENSOR_REF(other);
        spec.placement[x->axis] = declared(x, t);
        TRY(split_cut_shape(x, &spec, from));
        TRY(program_add_tensor(x->to, &spec, &index));
        x->taken[t] = index;
    }
    *out = index;
    return OK;
}

// What is added up to a gradient, of a weight that several layers use, shall lie as that.
static void wish_of_sums(Split *x, const Plan *plan) {
    const Program *p = x->from;
    for (int i = plan->op_count - 1; i >= 0; i--) {
        const Op *op = &plan->ops[i];
        Kind k = op_kind(p, op);
        if (k != KIND_ADD && k != KIND_FOLD && k != KIND_COPY) continue;
        Placement wish = x->wish[p->tensors[op_outputs(plan, op)[0]].logical];
        for (int n = 0; n < op->inputs && wish.place != PLACE_COUNT; n++) {
            const Tensor *t = &p->tensors[op_inputs(plan, op)[n]];
            if (t->role == ROLE_GRADIENT) x->wish[t->logical] = wish;
        }
    }
}

// What outlives a step is there from the beginning, as was chosen or as its parameter lies.
static Status take_lasting(Split *x) {
    Program *p = x->from;
    int32_t any;
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].role == ROLE_PARAMETER || p->tensors[t].role == ROLE_STATE)
            *split_now(x, &x->state, t) = x->parameter[p->tensors[t].logical];
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++) {
            const Op *op = &p->plans[k].ops[i];
            const int32_t *kept = op_outputs(&p->plans[k], op);
            if (op_kind(p, op) != KIND_SGD && op_kind(p, op) != KIND_ADAM) continue;
            for (int o = 1; o < op->outputs; o++)
                *split_now(x, &x->state, kept[o]) = *split_now(x, &x->state, kept[0]);
            int gradient = op_inputs(&p->plans[k], op)[0];
            x->wish[p->tensors[gradient].logical] = *split_now(x, &x->state, kept[0]);
        }
    for (int k = 0; k < p->plan_count; k++) wish_of_sums(x, &p->plans[k]);
    for (int t = 0; t < p->tensor_count; t++)
        if (role_persists((Role)p->tensors[t].role)) TRY(split_take(x, t, &any));
    return OK;
}

// --- operations

static Status copy_op(Split *x, const Op *op) {
    const Work *w = op_work(x->from, op);
    int32_t operands[2 * OPERANDS], guard = NONE;
    int64_t attrs[ATTRIBUTES];
    int made, inputs = op->inputs;
    TRY(split_check_heads(x, x->plan, op, &x->state));
    split_attributes(x, x->plan, op, &x->state, attrs);
    for (int i = 0; i < op->outputs + op->inputs; i++)
        TRY(split_take(x, op_outputs(x->plan, op)[i], &operands[i]));
    if (op->guard != NONE) TRY(split_take(x, op->guard, &guard));
    TRY(split_index(x, op, attrs, operands + op->outputs, &inputs));
    TRY(plan_add_op(x->to, x->out,
                    &(OpSpec){.name = program_name(x->from, w->name),
                              .layer = w->layer == NONE ? NULL : program_name(x->from, w->layer),
                              .kind = work_kind(w),
                              .phase = (Phase)w->phase,
                              .dtype = (Dtype)w->dtype,
                              .lane = op->lane,
                              .group = w->group,
                              .parts = w->parts,
                              .attrs = attrs,
                              .outputs = operands,
                              .inputs = operands + op->outputs,
                              .output_count = op->outputs,
                              .input_count = inputs,
                              .guard = TENSOR_REF(guard),
                              .shard = op->shard,
                              .micro_batch = op->micro_batch,
                              .flags = op->flags},
                    &made));
    split_state_write(x, x->plan, op, &x->state);
    for (int i = 0; i < op->outputs + op->inputs; i++) {
        int t = op_outputs(x->plan, op)[i], holder = x->state.holder[program_root(x->from, t)];
        x->used[holder == NONE ? t : holder] = made;
    }
    return OK;
}

static Status place_conversions(Split *x) {
    int count = x->added_count;
    x->added_count = 0;
    for (int i = 0; i < count; i++) TRY(plan_add_op(x->to, x->out, &x->added[i], NULL));
    return strategy_place_after(x->out, x->after, count, &x->arena);
}

static Status copy_plan(Split *x, int k) {
    Plan *plan = &x->from->plans[k];
    TRY(separate_biases(x, plan));
    TRY(order_backward(x, plan));
    x->plan = plan;
    TRY(program_add_plan(x->to, program_name(x->from, plan->name), &x->out));
    x->out->when = plan->when;
    split_state_begin(x, &x->state);
    x->variant_count = 0;
    for (int t = 0; t < x->from->tensor_count; t++) x->used[t] = x->first[t] = NONE;
    for (int i = 0; i < plan->op_count; i++) {
        TRY(split_convert(x, i));
        TRY(copy_op(x, &plan->ops[i]));
        split_convert_end(x, i);
    }
    TRY(place_conversions(x));
    return plan_derive_deps(x->to, x->out);
}

static int most_operations(const Program *p) {
    int most = 0;
    for (int k = 0; k < p->plan_count; k++)
        if (p->plans[k].op_count > most) most = p->plans[k].op_count;
    return most;
}

static Status init(Split *x) {
    const char *name = x->from->axes[x->axis].name;
    int tensors = x->from->tensor_count + 1;
    x->parameter = ARENA_NEW(&x->arena, Placement, x->from->logical_count + 1);
    x->taken = ARENA_NEW(&x->arena, int32_t, tensors);
    x->used = ARENA_NEW(&x->arena, int32_t, tensors);
    x->first = ARENA_NEW(&x->arena, int32_t, tensors);
    x->wish = ARENA_NEW(&x->arena, Placement, x->from->logical_count + 1);
    x->together = ARENA_NEW(&x->arena, int32_t, tensors + most_operations(x->from));
    x->whole = ARENA_NEW(&x->arena, uint8_t, x->from->logical_count + 1);
    bool got = x->parameter && x->taken && x->used && x->first && x->wish && x->together;
    if (!got || !x->whole) FAIL(ERR_MEMORY, "out of memory for a split");
    for (int t = 0; t < x->from->tensor_count; t++) x->taken[t] = x->first[t] = NONE;
    for (int l = 0; l < x->from->logical_count; l++) x->wish[l].place = PLACE_COUNT;
    TRY(split_state_init(x, &x->state, &x->arena));
    TRY(program_copy_head(x->to, x->from));
    TRY(program_add_group(x->to, name, (uint16_t)(1 << x->axis), &x->group));
    return program_add_lane(x->to, name, LANE_COMMUNICATION, x->group, &x->lane);
}

static Status split(Split *x) {
    TRY(split_read_places(x));
    TRY(split_vocabulary(x));
    TRY(init(x));
    TRY(split_choose(x));
    if (x->sequence) TRY(split_place_positions(x));
    TRY(take_lasting(x));
    for (int k = 0; k < x->from->plan_count; k++) TRY(copy_plan(x, k));
    return OK;
}

Status split_tensor(Program *p, const Model *m, bool sequence) {
    Program to = {0};
    Split x = {.from = p,
               .to = &to,
               .model = m,
               .axis = mesh_find_axis(p, MESH_TENSOR),
               .sequence = sequence,
               .numbers = sequence && mesh_axis_size(p, MESH_CONTEXT) > 1};
    if (x.axis == NONE) FAIL(ERR_PLAN, "the program has no mesh axis \"tensor\"");
    Status s = split(&x);
    free(x.added);
    free(x.variants);
    free(x.swapped);
    free(x.after);
    arena_finish(&x.arena);
    program_finish(p);
    *p = to;
    if (s != OK) program_finish(p);
    return s;
}

static Status broadcast(Program *p, int axis, Arena *a) {
    const char *along = p->axes[axis].name;
    Plan *plan;
    char name[64];
    int32_t *whole = ARENA_NEW(a, int32_t, p->tensor_count + 1);
    int count = 0;
    if (!whole) FAIL(ERR_MEMORY, "out of memory for the broadcast");
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].role == ROLE_PARAMETER && p->tensors[t].alias == NONE &&
            p->tensors[t].placement[axis].place == PLACE_REPLICATE)
            whole[count++] = t;
    if (!count) return OK;
    snprintf(name, sizeof name, "broadcast.%s", along);
    TRY(program_add_plan(p, name, &plan));
    plan->when = WHEN_ONCE;
    TRY(plan_add_op(p, plan,
                    &(OpSpec){.name = "broadcast.parameters",
                              .kind = KIND_BROADCAST,
                              .phase = PHASE_SETUP,
                              .dtype = (Dtype)p->tensors[whole[0]].dtype,
                              .lane = program_find_lane(p, along),
                              .group = program_find_group(p, along),
                              .outputs = whole,
                              .inputs = whole,
                              .output_count = count,
                              .input_count = count},
                    NULL));
    return plan_derive_deps(p, plan);
}

Status split_broadcast(Program *p, MeshAxis along) {
    Arena scratch = {0};
    Status s = broadcast(p, mesh_find_axis(p, along), &scratch);
    arena_finish(&scratch);
    return s;
}
