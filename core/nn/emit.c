// SPDX-License-Identifier: MIT
// From a network to the untransformed program of one rank: what a strategy then splits and orders.
#include "core/base/units.h"
#include "core/nn/emit_internal.h"
#include "core/nn/freeze.h"
#include "core/plan/expert.h"
#include "core/plan/repeat.h"

#include <stdio.h>
#include <string.h>

// --- tensors

// A tensor of logical tensor `name`, which is made when it is the first.
Status emit_tensor(Emitter *e, const char *name, const char *suffix, const LogicalSpec *whole,
                   const TensorSpec *piece, int32_t *out) {
    char local[NAME + 32];
    snprintf(local, sizeof local, "%s%s", name, suffix);
    LogicalSpec l = *whole;
    TensorSpec t = *piece;
    t.logical = program_find_logical(e->p, name);
    l.name = name;
    if (t.logical == NONE) TRY(program_add_logical(e->p, &l, &t.logical));
    t.name = local;
    t.dtype = l.dtype;
    t.role = l.role;
    int index;
    TRY(program_add_tensor(e->p, &t, &index));
    *out = index;
    return OK;
}

// Something with a row per sample: this pass's piece of the whole batch.
static Status add_rows(Emitter *e, const char *what, Dtype dtype, Role role, const int64_t *sample,
                       int dims, int alias, int32_t *out) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%s", e->training ? "" : "evaluate.", what);
    LogicalSpec whole = {.shape = {e->whole_rows}, .dims = dims + 1, .dtype = dtype, .role = role};
    TensorSpec piece = {.shape = {e->rows},
                        .extent = TENSOR_REF(e->live_rows),
                        .alias = alias,
                        .shard = e->shard,
                        .micro_batch = e->micro_batch};
    piece.placement[e->data] = PLACEMENT_SHARD(0);
    for (int i = 0; i < dims; i++) whole.shape[i + 1] = piece.shape[i + 1] = sample[i];
    return emit_tensor(e, name, e->suffix, &whole, &piece, out);
}

// Something of this pass without rows: each rank has its own.
static Status add_fixed(Emitter *e, const Value *v, int32_t *out) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%s", e->training ? "" : "evaluate.", v->name);
    LogicalSpec whole = {.dims = v->dims, .dtype = v->dtype, .role = ROLE_ACTIVATION};
    TensorSpec piece = {.shard = e->shard, .micro_batch = e->micro_batch};
    piece.placement[e->data] = PLACEMENT_DIFFERS;
    memcpy(whole.shape, v->shape, sizeof whole.shape);
    return emit_tensor(e, name, e->suffix, &whole, &piece, out);
}

// A piece of the queues of experts: those of this pass. Each rank's are one of all pieces.
static Status add_queues(Emitter *e, const Value *v, int32_t *out) {
    const Layer *l = &e->m->layers[v->layer];
    int64_t tokens = e->rows * (l->in_dims == 2 ? l->in[0] : 1);
    char name[NAME];
    snprintf(name, sizeof name, "%s%s", e->training ? "" : "evaluate.", v->name);
    LogicalSpec whole = {.dims = v->dims, .dtype = v->dtype, .role = ROLE_ACTIVATION};
    TensorSpec piece = {.shard = e->shard, .micro_batch = e->micro_batch};
    piece.placement[e->data] = PLACEMENT_SHARD(0);
    memcpy(whole.shape, v->shape, sizeof whole.shape);
    if (v->dims > 2)
        whole.shape[2] = expert_capacity(l->real[ATTRIBUTE_CAPACITY], l->attribute[ATTRIBUTE_TOP_K],
                                         tokens, l->attribute[ATTRIBUTE_COUNT_OF]);
    memcpy(piece.shape, whole.shape, sizeof piece.shape);
    whole.shape[0] = mesh_size(&e->spec->mesh, MESH_DATA);
    return emit_tensor(e, name, e->suffix, &whole, &piece, out);
}

LogicalSpec emit_parameter_spec(const Emitter *e, const LayerParameter *p, Role role) {
    LogicalSpec s = {.dims = p->dims, .dtype = dtype_wide(e->spec->dtype), .role = role};
    memcpy(s.shape, p->shape, sizeof s.shape);
    if (role != ROLE_PARAMETER) return s;
    if (p->state) s.role = ROLE_STATE;
    s.fan_in = p->fan_in;
    s.normal = p->normal;
    s.constant = p->constant;
    return s;
}

// Parameters come before everything else: the number of parameters before it keys the initial
// values of one, which must not depend on the optimiser or on how the batch is cut.
static Status add_parameters(Emitter *e) {
    for (int i = 0; i < e->m->layer_count; i++) {
        const Layer *l = &e->m->layers[i];
        for (int k = 0; k < l->parameter_count; k++) {
            int32_t *out = &e->layers[i].parameter[k];
            char name[NAME];
            LogicalSpec whole = emit_parameter_spec(e, &l->parameters[k], ROLE_PARAMETER);
            whole.trainable = model_updates(e->m, i, k);
            if (l->parameters[k].owner != i) {  // tied: the same tensor, and updated once
                *out = e->layers[l->parameters[k].owner].parameter[k];
                continue;
            }
            snprintf(name, sizeof name, "%s.%s", l->name, l->parameters[k].name);
            TRY(emit_tensor(e, name, "", &whole, &(TensorSpec){0}, out));
        }
    }
    return OK;
}

// One accumulator per use of a parameter and local shard: joining them is the strategy's work.
static Status add_gradients(Emitter *e, int shard) {
    char suffix[16] = "";
    if (shard) snprintf(suffix, sizeof suffix, "/%d", shard);
    for (int i = 0; i < e->m->layer_count; i++) {
        const Layer *l = &e->m->layers[i];
        LayerTensors *t = &e->layers[i];
        for (int k = 0; k < l->parameter_count; k++) {
            char name[NAME];
            bool kept = model_has_gradient(e->m, i, k);
            if (!graph_writes_gradient(e->m, i, k)) continue;
            LogicalSpec whole =
                emit_parameter_spec(e, &l->parameters[k], kept ? ROLE_GRADIENT : ROLE_ACTIVATION);
            TensorSpec piece = {.shard = shard};
            piece.placement[e->data] = kept ? PLACEMENT_SUM : PLACEMENT_DIFFERS;
            snprintf(name, sizeof name, "%s.%s.%s", l->name, l->parameters[k].name,
                     kept ? "grad" : "unused");
            TRY(emit_tensor(e, name, suffix, &whole, &piece, &t->gradient[k]));
            if (shard == 0) t->gradient_of_0[k] = t->gradient[k];
        }
    }
    return OK;
}

// The loss of this rank's rows; that of local shard 0 becomes the plan's result.
static Status add_loss(Emitter *e, const char *name, int shard) {
    char suffix[16] = "";
    if (shard) snprintf(suffix, sizeof suffix, "/%d", shard);
    LogicalSpec whole = {.shape = {2}, .dims = 1, .dtype = DTYPE_F64, .role = ROLE_SCALAR};
    TensorSpec piece = {.shard = shard, .result = shard ? RESULT_NONE : RESULT_LOSS};
    piece.placement[e->data] = PLACEMENT_SUM;
    return emit_tensor(e, name, suffix, &whole, &piece, &e->loss);
}

// What happened to the choices of tokens, of this rank's rows; that of shard 0 becomes a result.
static Status add_counts(Emitter *e, int shard) {
    char suffix[16] = "";
    if (e->step.counts == NONE) return OK;
    const Value *v = &e->step.values[e->step.counts];
    if (shard) snprintf(suffix, sizeof suffix, "/%d", shard);
    LogicalSpec whole = {.dims = v->dims, .dtype = v->dtype, .role = ROLE_SCALAR};
    TensorSpec piece = {.shard = shard, .result = shard ? RESULT_NONE : RESULT_CHOICES};
    piece.placement[e->data] = PLACEMENT_SUM;
    memcpy(whole.shape, v->shape, sizeof whole.shape);
    return emit_tensor(e, "choices", suffix, &whole, &piece, &e->counts);
}

// A scalar that the run writes; that of rows is of this pass's shard and micro-batch.
static Status add_scalar(Emitter *e, const char *name, ScalarSource source, int32_t *out) {
    int index;
    bool cut = scalar_source_is_cut(source);
    TRY(program_add_source(e->p, name, source, cut ? mesh_batch_axes(e->p) : 0, cut ? e->shard : 0,
                           cut ? e->micro_batch : 0, &index));
    *out = index;
    return OK;
}

// --- operations

static Status emit_load(Emitter *e) {
    const Model *m = e->m;
    Dtype dtype = m->tokens ? DTYPE_I32 : e->spec->dtype;
    int labels = m->tokens ? m->input_dims : 0;  // dimensions of those of one sample
    TRY(add_rows(e, "x", dtype, ROLE_INPUT, m->input, m->input_dims, 0, &e->x));
    TRY(add_rows(e, "labels", DTYPE_I32, ROLE_INPUT, m->input, labels, 0, &e->labels));
    return plan_add_op(e->p, e->plan,
                       &(OpSpec){.name = "load",
                                 .kind = KIND_LOAD,
                                 .phase = e->training ? PHASE_INPUT : PHASE_EVALUATE,
                                 .dtype = dtype,
                                 .lane = e->host,
                                 .outputs = (int32_t[]){e->x, e->labels},
                                 .output_count = 2,
                                 .inputs = &e->first_row,
                                 .input_count = 1,
                                 .shard = e->shard,
                                 .micro_batch = e->micro_batch},
                       NULL);
}

static int32_t find_tensor(const Emitter *e, const Value *v) {
    switch (v->source) {
    case VALUE_X: return e->x;
    case VALUE_LABELS: return e->labels;
    case VALUE_LOSS: return e->loss;
    case VALUE_INVERSE_COUNT: return e->inverse_count;
    case VALUE_SCALED_COUNT: return e->scaled_count;
    case VALUE_SEED: return e->seed;
    case VALUE_STEP: return e->step_number;
    case VALUE_FIRST_ROW: return e->first_row;
    case VALUE_COUNTS: return e->counts;
    case VALUE_PARAMETER: return e->layers[v->layer].copy[v->index];
    case VALUE_GRADIENT: return e->layers[v->layer].gradient[v->index];
    case VALUE_ROWS:
    case VALUE_FIXED:
    case VALUE_QUEUES: break;
    }
    return NONE;
}

static Status emit_value(Emitter *e, const Value *v, int32_t *out) {
    *out = find_tensor(e, v);
    if (v->source == VALUE_FIXED) return add_fixed(e, v, out);
    if (v->source == VALUE_QUEUES) return add_queues(e, v, out);
    if (v->source != VALUE_ROWS) return OK;
    return add_rows(e, v->name, v->dtype, ROLE_ACTIVATION, v->shape, v->dims,
                    v->alias == NONE ? 0 : TENSOR_REF(e->tensors[v->alias]), out);
}

static int find_operands(const Emitter *e, const Values *values, int32_t out[GRAPH_OPERANDS]) {
    int n = 0;
    for (; values->of[n] != NONE; n++) out[n] = e->tensors[values->of[n]];
    return n;
}

static Status emit_op(Emitter *e, const Graph *g, const GraphOp *op) {
    if (op->of_shard_0 && e->shard > 0) return OK;
    if (op->of_last && e->micro_batch + 1 < e->spec->micro_batches) return OK;
    char name[NAME];
    int32_t outputs[GRAPH_OPERANDS], inputs[GRAPH_OPERANDS];
    snprintf(name, sizeof name, "%s.%s", op->layer, op->what);
    OpSpec s = {.name = name,
                .layer = op->layer,
                .kind = op->kind,
                .phase = e->training ? op->phase : PHASE_EVALUATE,
                .dtype = e->spec->dtype,
                .lane = e->compute,
                .attrs = op->attrs,
                .outputs = outputs,
                .inputs = inputs,
                .output_count = find_operands(e, &op->outputs, outputs),
                .input_count = find_operands(e, &op->inputs, inputs),
                .shard = e->shard,
                .micro_batch = e->micro_batch,
                .flags = op->flags};
    if (op->accumulates && e->micro_batch > 0) s.flags |= OP_ACCUMULATE;
    TRY(emit_next_state(e, g, op, outputs, inputs));
    return plan_add_op(e->p, e->plan, &s, NULL);
}

// --- passes and plans

static Status emit_pass(Emitter *e, const Graph *g) {
    TRY(emit_load(e));
    for (int v = 0; v < g->value_count; v++) TRY(emit_value(e, &g->values[v], &e->tensors[v]));
    for (int i = 0; i < g->op_count; i++) TRY(emit_op(e, g, &g->ops[i]));
    return OK;
}

static Status emit_micro_batch(Emitter *e, int shard, int micro_batch) {
    const StepSpec *spec = e->spec;
    char name[NAME];
    e->training = true;
    e->shard = shard;
    e->micro_batch = micro_batch;
    e->whole_rows = spec->batch;
    e->rows = units_divide_up(units_divide_up(spec->batch, spec->shards), spec->micro_batches);
    e->suffix[0] = 0;
    if (spec->local_shards > 1 || spec->micro_batches > 1)
        snprintf(e->suffix, sizeof e->suffix, "/%d.%d", shard, micro_batch);
    snprintf(name, sizeof name, "first_row.%d.%d", shard, micro_batch);
    TRY(add_scalar(e, name, SCALAR_FIRST_ROW, &e->first_row));
    snprintf(name, sizeof name, "rows.%d.%d", shard, micro_batch);
    TRY(add_scalar(e, name, SCALAR_ROWS, &e->live_rows));
    return emit_pass(e, &e->step);
}

static Status emit_step(Emitter *e) {
    TRY(program_add_plan(e->p, "step", &e->plan));
    e->plan->when = WHEN_EACH_STEP;
    e->training = true;
    TRY(emit_copies(e));
    TRY(emit_scaled_count(e));
    for (int shard = 0; shard < e->spec->local_shards; shard++) {
        TRY(add_gradients(e, shard));
        TRY(add_loss(e, "loss", shard));
        TRY(add_counts(e, shard));
        for (int m = 0; m < e->spec->micro_batches; m++)
            if (!e->spec->repeated || repeat_makes(m, e->spec->micro_batches))
                TRY(emit_micro_batch(e, shard, m));
    }
    TRY(emit_updates(e));
    return plan_derive_deps(e->p, e->plan);
}

static Status emit_evaluation(Emitter *e) {
    TRY(program_add_plan(e->p, "evaluate", &e->plan));
    e->plan->when = WHEN_EACH_EPOCH;
    e->training = false;
    e->shard = e->micro_batch = 0;
    TRY(emit_copies(e));
    e->rows = e->spec->evaluation_rows;
    e->whole_rows =
        e->rows * mesh_size(&e->spec->mesh, MESH_DATA);  // every rank has a block of its own
    e->suffix[0] = 0;
    TRY(add_loss(e, "evaluate.loss", 0));
    e->p->tensors[e->loss].placement[e->data] = PLACEMENT_DIFFERS;  // of each rank's own block
    TRY(add_scalar(e, "evaluate.first_row", SCALAR_FIRST_ROW, &e->first_row));
    TRY(add_scalar(e, "evaluate.rows", SCALAR_ROWS, &e->live_rows));
    TRY(emit_pass(e, &e->evaluation));
    return plan_derive_deps(e->p, e->plan);
}

// An inner part of the data parallel ranks has parts of the batch as they all have.
static void lie_alike_along_expert(Emitter *e) {
    int expert = mesh_find_axis(e->p, MESH_EXPERT);
    for (int t = 0; t < e->p->tensor_count && expert != NONE; t++)
        e->p->tensors[t].placement[expert] = e->p->tensors[t].placement[e->data];
}

static Status emit_program(Emitter *e) {
    const StepSpec *spec = e->spec;
    TRY(mesh_add_axes(e->p, &spec->mesh));
    e->data = mesh_find_axis(e->p, MESH_DATA);
    TRY(program_add_lane(e->p, "compute", LANE_COMPUTE, NONE, &e->compute));
    TRY(program_add_lane(e->p, "host", LANE_HOST, NONE, &e->host));
    TRY(add_parameters(e));
    TRY(emit_optimiser_state(e));
    TRY(emit_scale_state(e));
    TRY(add_scalar(e, "learning_rate", SCALAR_LEARNING_RATE, &e->learning_rate));
    TRY(add_scalar(e, "inverse_count", SCALAR_INVERSE_COUNT, &e->inverse_count));
    if (e->step.seed != NONE) {
        TRY(add_scalar(e, "seed", SCALAR_SEED, &e->seed));
        TRY(add_scalar(e, "step", SCALAR_STEP, &e->step_number));
    }
    TRY(emit_step(e));
    TRY(emit_evaluation(e));
    lie_alike_along_expert(e);
    return OK;
}

static Status check_step(const StepSpec *s) {
    if (!dtype_is_real(s->dtype))
        FAIL(ERR_USAGE, "a model computes in f32, f64 or bf16, not %s", dtype_name(s->dtype));
    if (s->local_shards < 1 || s->micro_batches < 1 || mesh_size(&s->mesh, MESH_DATA) < 1 ||
        s->shards < s->local_shards)
        FAIL(ERR_USAGE,
             "%d shards, %d of them on this rank, %d micro-batches, %d ranks: each must be at "
             "least 1",
             s->shards, s->local_shards, s->micro_batches, mesh_size(&s->mesh, MESH_DATA));
    if (s->batch < s->shards)
        FAIL(ERR_USAGE, "a batch of %lld rows is too small for %d shards: each needs at least one",
             (long long)s->batch, s->shards);
    if (s->evaluation_rows < 1 || s->evaluation_rows > INT32_MAX)
        FAIL(ERR_USAGE, "%lld rows of evaluation, expected at least 1",
             (long long)s->evaluation_rows);
    return OK;
}

static Status init(Emitter *e, Arena *scratch) {
    const Model *m = e->m;
    TRY(graph_build(&e->step, m, e->spec, true));
    TRY(graph_rewrite(&e->step));
    TRY(graph_build(&e->evaluation, m, e->spec, false));
    e->layers = ARENA_NEW(scratch, LayerTensors, m->layer_count);
    e->tensors = ARENA_NEW(scratch, int32_t, e->step.value_count);  // the larger graph
    if (!e->layers || !e->tensors) FAIL(ERR_MEMORY, "out of memory for %d layers", m->layer_count);
    for (int i = 0; i < m->layer_count; i++)
        for (int k = 0; k < LAYER_PARAMETERS; k++)
            e->layers[i].parameter[k] = e->layers[i].next[k] = NONE;
    return OK;
}

Status model_emit(Program *out, const Model *m, const StepSpec *spec) {
    *out = (Program){0};
    TRY(check_step(spec));
    Arena scratch = {0};
    Emitter e = {.p = out, .m = m, .spec = spec};
    Status s = init(&e, &scratch);
    if (s == OK) s = emit_program(&e);
    graph_finish(&e.step);
    graph_finish(&e.evaluation);
    arena_finish(&scratch);
    if (s != OK) program_finish(out);
    return s;
}
