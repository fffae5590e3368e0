// SPDX-License-Identifier: MIT
// A copied tensor is found again by its name, so programs that are copied from one have the same
// names for the same things. With an arena, names are looked up once only.
#include "core/plan/program_copy.h"

#include "core/plan/build_internal.h"
#include "core/plan/set.h"

#include <string.h>

Status program_copy_begin(ProgramCopy *c) {
    TRY(program_add_lane(c->to, "compute", LANE_COMPUTE, NONE, &c->compute));
    TRY(program_add_lane(c->to, "host", LANE_HOST, NONE, &c->host));
    return program_copy_logicals(c->to, c->from);
}

Status program_copy_plan(ProgramCopy *c, int k) {
    c->plan = &c->from->plans[k];
    TRY(program_add_plan(c->to, program_name(c->from, c->plan->name), &c->out));
    c->out->when = c->plan->when;
    return OK;
}

TensorSpec program_copy_spec(const Program *from, const Tensor *t) {
    TensorSpec spec = {.name = program_name(from, t->name),
                       .logical = t->logical,
                       .shard = t->shard,
                       .micro_batch = t->micro_batch,
                       .dtype = (Dtype)t->dtype,
                       .role = (Role)t->role,
                       .extent_times = t->extent_times,
                       .source = (ScalarSource)t->source,
                       .source_axes = t->source_axes,
                       .result = (Result)t->result};
    memcpy(spec.shape, t->shape, sizeof spec.shape);
    memcpy(spec.placement, t->placement, sizeof spec.placement);
    return spec;
}

// `from` does not grow while it is copied.
static Status remember(ProgramCopy *c) {
    if (!c->arena || c->tensors) return OK;
    c->tensors = ARENA_NEW(c->arena, int32_t, c->from->tensor_count + 1);
    c->works = ARENA_NEW(c->arena, int32_t, c->from->work_count + 1);
    if (!c->tensors || !c->works)
        FAIL(ERR_MEMORY, "out of memory for a copy of %d tensors", c->from->tensor_count);
    for (int t = 0; t < c->from->tensor_count; t++) c->tensors[t] = NONE;
    for (int w = 0; w < c->from->work_count; w++) c->works[w] = NONE;
    return OK;
}

static Status make_tensor(ProgramCopy *c, int from, int32_t *out) {
    const Tensor *t = &c->from->tensors[from];
    int index = program_find_tensor(c->to, tensor_name(c->from, from));
    int32_t other;
    *out = index;
    if (index != NONE) return OK;
    TensorSpec spec = program_copy_spec(c->from, t);
    if (t->extent != NONE) {
        TRY(program_copy_tensor(c, t->extent, &other));
        spec.extent = TENSOR_REF(other);
    }
    if (t->alias != NONE) {
        TRY(program_copy_tensor(c, t->alias, &other));
        spec.alias = TENSOR_REF(other);
    }
    if (c->place) c->place(c, &spec, t);
    TRY(program_add_tensor(c->to, &spec, &index));
    *out = index;
    return OK;
}

Status program_copy_tensor(ProgramCopy *c, int from, int32_t *out) {
    TRY(remember(c));
    if (!c->tensors) return make_tensor(c, from, out);
    if (c->tensors[from] == NONE) TRY(make_tensor(c, from, &c->tensors[from]));
    *out = c->tensors[from];
    return OK;
}

static Status take(ProgramCopy *c, int from, int32_t *out) {
    return c->take ? c->take(c, from, out) : program_copy_tensor(c, from, out);
}

// Is the work that was made of this one before that of these operands, too? It follows from their
// types and shapes.
static bool is_known(const ProgramCopy *c, const Op *op, const int32_t *operands) {
    if (!c->works || c->works[op->work] == NONE) return false;
    for (int i = 0; i < op->outputs + op->inputs; i++) {
        const Tensor *a = &c->from->tensors[op_outputs(c->plan, op)[i]];
        const Tensor *b = &c->to->tensors[operands[i]];
        if (a->dtype != b->dtype || a->dims != b->dims ||
            memcmp(a->shape, b->shape, sizeof a->shape) != 0)
            return false;
    }
    return true;
}

Status program_copy_op(ProgramCopy *c, const Op *op, int shard) {
    const Work *w = op_work(c->from, op);
    int32_t operands[2 * OPERANDS], guard = NONE;
    if (op->outputs + op->inputs > 2 * OPERANDS)
        FAIL(ERR_PLAN, "%s has more operands than a computation may have", op_name(c->from, op));
    for (int i = 0; i < op->outputs + op->inputs; i++)
        TRY(take(c, op_outputs(c->plan, op)[i], &operands[i]));
    if (op->guard != NONE) TRY(take(c, op->guard, &guard));
    const OpSpec spec = {.name = program_name(c->from, w->name),
                         .layer = w->layer == NONE ? NULL : program_name(c->from, w->layer),
                         .kind = work_kind(w),
                         .phase = (Phase)w->phase,
                         .dtype = (Dtype)w->dtype,
                         .lane = kind_loads(work_kind(w)) ? c->host : c->compute,
                         .parts = w->parts,
                         .attrs = &c->from->attrs[w->attr_first],
                         .outputs = operands,
                         .inputs = operands + op->outputs,
                         .output_count = op->outputs,
                         .input_count = op->inputs,
                         .guard = TENSOR_REF(guard),
                         .shard = shard,
                         .micro_batch = op->micro_batch,
                         .flags = op->flags};
    if (is_known(c, op, operands)) return plan_add_op_of(c->to, c->out, c->works[op->work], &spec);
    TRY(plan_add_op(c->to, c->out, &spec, NULL));
    if (c->works) c->works[op->work] = c->out->ops[c->out->op_count - 1].work;
    return OK;
}

Status program_copy_communication(ProgramCopy *c, const Op *op, const int32_t *outputs,
                                  int output_count, const int32_t *inputs, int input_count) {
    const Work *w = op_work(c->from, op);
    return plan_add_op(c->to, c->out,
                       &(OpSpec){.name = program_name(c->from, w->name),
                                 .layer = w->layer == NONE ? NULL : program_name(c->from, w->layer),
                                 .kind = work_kind(w),
                                 .phase = (Phase)w->phase,
                                 .dtype = (Dtype)w->dtype,
                                 .lane = op->lane,
                                 .group = w->group,
                                 .peer = w->peer,
                                 .algorithm = (Algorithm)w->algorithm,
                                 .order = (Order)w->order,
                                 .reduce = (Reduce)w->reduce,
                                 .parts = w->parts,
                                 .unit = w->unit,
                                 .attrs = w->attr_count ? &c->from->attrs[w->attr_first] : NULL,
                                 .outputs = outputs,
                                 .inputs = inputs,
                                 .output_count = output_count,
                                 .input_count = input_count,
                                 .shard = op->shard,
                                 .micro_batch = op->micro_batch,
                                 .flags = op->flags},
                       NULL);
}

Status program_copy_load(ProgramCopy *c, const Op *op, bool x, bool labels) {
    const Work *w = op_work(c->from, op);
    Kind kind = !labels ? KIND_LOAD_X : !x ? KIND_LOAD_LABELS : KIND_LOAD;
    int32_t rows[2], inputs[OPERANDS];
    int count = 0;
    if (x) TRY(take(c, op_outputs(c->plan, op)[0], &rows[count++]));
    if (labels) TRY(take(c, op_outputs(c->plan, op)[1], &rows[count++]));
    for (int i = 0; i < op->inputs; i++) TRY(take(c, op_inputs(c->plan, op)[i], &inputs[i]));
    return plan_add_op(c->to, c->out,
                       &(OpSpec){.name = kind_name(kind),
                                 .kind = kind,
                                 .phase = (Phase)w->phase,
                                 .dtype = (Dtype)w->dtype,
                                 .lane = c->host,
                                 .outputs = rows,
                                 .inputs = inputs,
                                 .output_count = count,
                                 .input_count = op->inputs,
                                 .shard = op->shard,
                                 .micro_batch = op->micro_batch},
                       NULL);
}

Status program_copy_collective(ProgramCopy *c, const OpSpec *spec, int32_t output, int32_t input) {
    OpSpec s = *spec;
    s.dtype = (Dtype)c->to->tensors[input].dtype;
    s.outputs = &output;
    s.inputs = &input;
    s.output_count = s.input_count = 1;
    return plan_add_op(c->to, c->out, &s, NULL);
}
