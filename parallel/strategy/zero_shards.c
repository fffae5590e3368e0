// SPDX-License-Identifier: MIT
// Flat shards of parameters, gradients and optimiser state, and updates that work on them. A rank's
// share inside a whole tensor is a view of it (core/plan/piece.h).
#include "core/plan/build.h"
#include "core/plan/mesh.h"
#include "core/plan/piece.h"
#include "parallel/strategy/zero_internal.h"

#include <stdio.h>
#include <string.h>

static Placement flat(void) {
    return (Placement){.place = PLACE_SHARD, .cut = CUT_FLAT, .block = ZERO_BLOCK};
}

static bool is_sharded_along(const Zero *z, int tensor, int axis) {
    Placement how = z->join.p->tensors[tensor].placement[axis];
    bool piece = how.place == PLACE_SHARD && how.cut != CUT_FLAT;  // as of experts
    return z->join.axes >> axis & 1 && !piece;
}

uint16_t zero_axes(const Zero *z, int tensor) {
    uint16_t axes = 0;
    for (int a = 0; a < z->join.p->axis_count; a++)
        if (is_sharded_along(z, tensor, a)) axes |= (uint16_t)(1 << a);
    return axes;
}

int zero_group(const Zero *z, int tensor) {
    return zero_axes(z, tensor) == z->join.axes ? z->join.group : z->join.holders_group;
}

int zero_lane(const Zero *z, int tensor, bool gathers) {
    if (zero_axes(z, tensor) == z->join.axes) return gathers ? z->gather_lane : z->join.lane;
    return gathers ? z->holders_gather_lane : z->join.holders_lane;
}

// A shard beside the whole tensor: a view of this rank's share inside it, or memory of its own.
static Status add_shard(Zero *z, int whole, bool view, int32_t *out) {
    Program *p = z->join.p;
    Tensor piece = p->tensors[whole];
    char name[256];
    int dims;
    mesh_place(piece.placement, zero_axes(z, whole), flat());
    for (int a = 0; a < p->axis_count; a++)  // what is updated has been reduced along other axes
        if (placement_is_partial(piece.placement[a])) piece.placement[a] = PLACEMENT_REPLICATED;
    TensorSpec spec = {.name = name,
                       .logical = piece.logical,
                       .alias = view ? TENSOR_REF(whole) : 0,
                       .dtype = (Dtype)piece.dtype,
                       .role = (Role)piece.role};
    snprintf(name, sizeof name, "%s.shard", tensor_name(p, whole));
    memcpy(spec.placement, piece.placement, sizeof spec.placement);
    TRY(piece_capacity(p, &piece, spec.shape, &dims));
    return program_add_tensor(p, &spec, out);
}

static bool partial_elsewhere(const Zero *z, const Tensor *t) {
    for (int a = 0; a < z->join.p->axis_count; a++)
        if (!(z->join.axes >> a & 1) && placement_is_partial(t->placement[a])) return true;
    return false;
}

// A gradient of one local shard is reduced in place in stage 1: a collective that folds several
// inputs cannot leave its result in one of them. Nor can a sum over another axis have been taken
// there, since a share lies as its whole does. A parameter, or a copy, that passes read whole has a
// share inside it; a master is read by its update alone.
Status zero_shard_of(Zero *z, int tensor, int32_t *out) {
    const Tensor *t = &z->join.p->tensors[tensor];
    bool beside = t->placement[z->join.axis].place == PLACE_PARTIAL_SUM;
    bool view = z->stage == 1 && z->join.options->local_shards == 1 && !partial_elsewhere(z, t);
    uint16_t axes = zero_axes(z, tensor);
    *out = tensor < z->tensors && axes ? z->shard[tensor] : tensor;
    if (*out != NONE) return OK;
    bool parameter = t->role == ROLE_PARAMETER || t->role == ROLE_COPY;
    if (parameter && z->stage < 3 && !z->master[tensor]) beside = view = true;
    if (beside) {
        TRY(add_shard(z, tensor, view, out));
    } else {
        for (int a = 0; a < z->join.p->axis_count; a++)
            if (axes >> a & 1) TRY(program_place_tensor(z->join.p, tensor, a, flat()));
        *out = tensor;
    }
    z->shard[tensor] = *out;
    return OK;
}

static bool same_logical_shape(const Program *p, const Tensor *a, const Tensor *b) {
    const Logical *x = &p->logicals[a->logical], *y = &p->logicals[b->logical];
    return x->dtype == y->dtype && x->dims == y->dims &&
           !memcmp(x->shape, y->shape, x->dims * sizeof *x->shape);
}

// Does an operation work on this element by element? On parameters, gradients, and state that lies
// as one of them; a count of updates is state, too, but is not cut.
static bool is_cut(const Program *p, const Plan *plan, const Op *op, int tensor) {
    const Tensor *t = &p->tensors[tensor];
    if (t->role == ROLE_PARAMETER || t->role == ROLE_COPY || t->role == ROLE_GRADIENT) return true;
    for (int k = 0; k < op->outputs + op->inputs && t->role == ROLE_OPTIMISER; k++) {
        const Tensor *other = &p->tensors[op_outputs(plan, op)[k]];
        bool counts = other->role == ROLE_PARAMETER || other->role == ROLE_GRADIENT;
        if (counts && same_logical_shape(p, t, other)) return true;
    }
    return false;
}

// It is added behind all others and moved, so that nothing else changes its place.
Status zero_shard_op(Zero *z, Plan *plan, int i) {
    Program *p = z->join.p;
    const Op op = plan->ops[i];
    const Work w = *op_work(p, &op);
    int32_t operands[2 * OPERANDS];
    int64_t attrs[OPERANDS];
    char name[256], layer[256] = "";
    if (op.outputs + op.inputs > 2 * OPERANDS || w.attr_count > OPERANDS)
        FAIL(ERR_PLAN, "%s: an update of %d operands", op_name(p, &op), op.outputs + op.inputs);
    for (int k = 0; k < op.outputs + op.inputs; k++) {
        operands[k] = op_outputs(plan, &op)[k];
        if (is_cut(p, plan, &op, operands[k])) TRY(zero_shard_of(z, operands[k], &operands[k]));
    }
    for (int k = 0; k < w.attr_count; k++) attrs[k] = work_attr(p, &w, k);
    snprintf(name, sizeof name, "%s", program_name(p, w.name));
    if (w.layer != NONE) snprintf(layer, sizeof layer, "%s", program_name(p, w.layer));
    TRY(plan_add_op(p, plan,
                    &(OpSpec){.name = name,
                              .layer = layer,
                              .kind = work_kind(&w),
                              .phase = (Phase)w.phase,
                              .dtype = (Dtype)w.dtype,
                              .lane = op.lane,
                              .group = w.group,
                              .peer = w.peer,
                              .algorithm = (Algorithm)w.algorithm,
                              .order = (Order)w.order,
                              .attrs = attrs,
                              .outputs = operands,
                              .inputs = operands + op.outputs,
                              .output_count = op.outputs,
                              .input_count = op.inputs,
                              .guard = TENSOR_REF(op.guard),
                              .shard = op.shard,
                              .micro_batch = op.micro_batch,
                              .flags = op.flags},
                    NULL));
    Op *added = &plan->ops[--plan->op_count];
    added->dep_first = op.dep_first;
    added->dep_count = op.dep_count;
    plan->ops[i] = *added;
    return OK;
}

// A computation; or, of a weight that stages of a pipeline share, the sum of the gradients that
// they have of it.
static bool works_on_shards(const Program *p, const Plan *plan, const Op *op) {
    bool sums = op_kind(p, op) == KIND_ALL_REDUCE &&
                p->tensors[op_outputs(plan, op)[0]].role == ROLE_GRADIENT;
    return op_work(p, op)->phase == PHASE_UPDATE && (sums || !op_communicates(p, op));
}

// What ranks hold pieces of already, as of the experts that they share, stays where it is.
static bool works_on_pieces(const Zero *z, const Plan *plan, const Op *op) {
    for (int k = 0; k < op->outputs + op->inputs; k++)
        if (!zero_axes(z, op_outputs(plan, op)[k])) return true;
    return false;
}

bool zero_updates_shards(const Zero *z, const Plan *plan, const Op *op) {
    return works_on_shards(z->join.p, plan, op) && !works_on_pieces(z, plan, op);
}

Status zero_shard_updates(Zero *z, Plan *plan) {
    for (int i = 0; i < plan->op_count; i++)
        if (zero_updates_shards(z, plan, &plan->ops[i])) TRY(zero_shard_op(z, plan, i));
    return OK;
}
