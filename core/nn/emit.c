// SPDX-License-Identifier: MIT
// From a network to the untransformed program of one rank: what a strategy then splits and orders.
#include "core/base/units.h"
#include "core/nn/model_internal.h"

#include <stdio.h>
#include <string.h>

enum { DATA_AXIS = 0 };
enum { NAME = 128 };  // bytes of the longest name

// The tensors of one layer: those of the program, of the current shard, of the current micro-batch.
typedef struct {
    int32_t parameter[2], velocity[2];  // weight, bias; NONE where there is none
    int32_t gradient[2], gradient_of_0[2];
    int32_t y, index, dy;
} LayerTensors;

static const char *const parameter_names[2] = {"weight", "bias"};

typedef struct {
    Program *p;
    Plan *plan;
    const Model *m;
    const StepSpec *spec;
    LayerTensors *layers;  // in the caller's arena
    int compute, host;     // lanes
    int32_t learning_rate, inverse_count;

    // The pass being emitted: one micro-batch of one shard, or an evaluation block.
    bool training;
    int shard, micro_batch;
    int64_t rows, whole_rows;  // capacity; of the whole batch
    char suffix[32];           // of its tensors: "/0.1", or "" when there is only one
    int32_t x, labels, live_rows, first_row, loss, probability;
} Emitter;

// --- tensors

// A tensor of logical tensor `name`, which is made when it is the first.
static Status add_tensor(Emitter *e, const char *name, const char *suffix, const LogicalSpec *whole,
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
static Status add_rows(Emitter *e, const char *layer, const char *what, Dtype dtype, Role role,
                       const int64_t *sample, int dims, int alias, int32_t *out) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%s%s%s", e->training ? "" : "evaluate.", layer,
             *layer ? "." : "", what);
    LogicalSpec whole = {.shape = {e->whole_rows}, .dims = dims + 1, .dtype = dtype, .role = role};
    TensorSpec piece = {.shape = {e->rows},
                        .extent = TENSOR_REF(e->live_rows),
                        .alias = alias,
                        .shard = e->shard,
                        .micro_batch = e->micro_batch,
                        .placement = {[DATA_AXIS] = PLACEMENT_SHARD(0)}};
    for (int i = 0; i < dims; i++) whole.shape[i + 1] = piece.shape[i + 1] = sample[i];
    return add_tensor(e, name, e->suffix, &whole, &piece, out);
}

static Status add_y(Emitter *e, int i, int alias) {
    const Layer *l = &e->m->layers[i];
    return add_rows(e, l->name, "y", e->spec->dtype, ROLE_ACTIVATION, l->out, l->out_dims, alias,
                    &e->layers[i].y);
}

// The gradient of the loss with respect to the output of layer i.
static Status add_dy(Emitter *e, int i, int alias) {
    const Layer *l = &e->m->layers[i];
    return add_rows(e, l->name, "dy", e->spec->dtype, ROLE_ACTIVATION, l->out, l->out_dims, alias,
                    &e->layers[i].dy);
}

static LogicalSpec parameter_spec(const Emitter *e, const Layer *l, int which, Role role) {
    LogicalSpec s = {.shape = {l->out[0]}, .dims = 1, .dtype = e->spec->dtype, .role = role};
    if (role == ROLE_PARAMETER) s.fan_in = layer_fan_in(l);
    s.trainable = role == ROLE_PARAMETER;
    if (which == 1) return s;
    s.shape[s.dims++] = l->in[0];
    if (l->kind == LAYER_CONV2D) {
        s.shape[2] = s.shape[3] = l->kernel;
        s.dims = 4;
    }
    return s;
}

// Parameters come before everything else: a logical tensor's index keys its initial values, which
// must not depend on the optimiser or on how the batch is cut.
static Status add_parameters(Emitter *e, const char *what, Role role) {
    for (int i = 0; i < e->m->layer_count; i++) {
        const Layer *l = &e->m->layers[i];
        for (int k = 0; k < 2; k++) {
            int32_t *out =
                role == ROLE_PARAMETER ? &e->layers[i].parameter[k] : &e->layers[i].velocity[k];
            *out = NONE;
            if (!layer_has_parameters(l) || (k == 1 && !l->bias)) continue;
            char name[NAME];
            LogicalSpec whole = parameter_spec(e, l, k, role);
            snprintf(name, sizeof name, "%s.%s%s", l->name, parameter_names[k], what);
            TRY(add_tensor(e, name, "", &whole, &(TensorSpec){0}, out));
        }
    }
    return OK;
}

// One accumulator per parameter and local shard: joining them is the strategy's work.
static Status add_gradients(Emitter *e, int shard) {
    char suffix[16] = "";
    if (shard) snprintf(suffix, sizeof suffix, "/%d", shard);
    for (int i = 0; i < e->m->layer_count; i++) {
        LayerTensors *t = &e->layers[i];
        for (int k = 0; k < 2; k++) {
            if (t->parameter[k] == NONE) continue;
            char name[NAME];
            LogicalSpec whole = parameter_spec(e, &e->m->layers[i], k, ROLE_GRADIENT);
            TensorSpec piece = {.shard = shard, .placement = {[DATA_AXIS] = PLACEMENT_SUM}};
            snprintf(name, sizeof name, "%s.%s.grad", e->m->layers[i].name, parameter_names[k]);
            TRY(add_tensor(e, name, suffix, &whole, &piece, &t->gradient[k]));
            if (shard == 0) t->gradient_of_0[k] = t->gradient[k];
        }
    }
    return OK;
}

static Status add_loss(Emitter *e, const char *name, int shard) {
    char suffix[16] = "";
    if (shard) snprintf(suffix, sizeof suffix, "/%d", shard);
    LogicalSpec whole = {.shape = {2}, .dims = 1, .dtype = DTYPE_F64, .role = ROLE_SCALAR};
    TensorSpec piece = {.shard = shard, .placement = {[DATA_AXIS] = PLACEMENT_SUM}};
    return add_tensor(e, name, suffix, &whole, &piece, &e->loss);
}

static Status add_scalar(Emitter *e, const char *name, Dtype dtype, int32_t *out) {
    int index;
    TRY(program_add_scalar(e->p, name, dtype, 1, &index));
    *out = index;
    return OK;
}

// --- operations

// Up to four operands, ended by the first NONE: optional ones are absent from the right.
typedef struct {
    int32_t tensors[5];
} Operands;
#define TENSORS(...) ((Operands){{__VA_ARGS__, NONE}})

static int count(const Operands *o) {
    int n = 0;
    while (o->tensors[n] != NONE) n++;
    return n;
}

static Status add_op(Emitter *e, const OpSpec *partial, const char *layer, const char *what,
                     Operands outputs, Operands inputs) {
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s", layer, what);
    OpSpec s = *partial;
    s.name = name;
    s.layer = layer;
    s.dtype = e->spec->dtype;
    s.lane = e->compute;
    s.outputs = outputs.tensors;
    s.output_count = count(&outputs);
    s.inputs = inputs.tensors;
    s.input_count = count(&inputs);
    s.shard = e->shard;
    s.micro_batch = e->micro_batch;
    if (!e->training) s.phase = PHASE_EVALUATE;
    return plan_add_op(e->p, e->plan, &s, NULL);
}

// An operation of a layer, with the layer's attributes; `flops` are those of one sample.
static Status add_layer_op(Emitter *e, const Layer *l, Kind kind, Phase phase, int64_t flops,
                           int flags, const char *what, Operands outputs, Operands inputs) {
    const int64_t attrs[] = {l->kernel, l->stride, l->pad};  // max_pool has no pad
    OpSpec s = {.kind = kind, .phase = phase, .attrs = attrs, .flags = flags};
    if (__builtin_mul_overflow(flops, e->rows, &s.flops))
        FAIL(ERR_SHAPE, "%s: %lld rows are too much work to count", l->name, (long long)e->rows);
    return add_op(e, &s, l->name, what, outputs, inputs);
}

static Status emit_load(Emitter *e) {
    const int64_t attrs[] = {e->training ? e->shard : -1, e->micro_batch};
    TRY(add_rows(e, "", "x", e->spec->dtype, ROLE_INPUT, e->m->input, e->m->input_dims, 0, &e->x));
    TRY(add_rows(e, "", "labels", DTYPE_I32, ROLE_INPUT, NULL, 0, 0, &e->labels));
    return plan_add_op(e->p, e->plan,
                       &(OpSpec){.name = "load",
                                 .kind = KIND_LOAD,
                                 .phase = e->training ? PHASE_INPUT : PHASE_EVALUATE,
                                 .dtype = e->spec->dtype,
                                 .lane = e->host,
                                 .attrs = attrs,
                                 .outputs = (int32_t[]){e->x, e->labels},
                                 .output_count = 2,
                                 .inputs = &e->first_row,
                                 .input_count = 1,
                                 .shard = e->shard,
                                 .micro_batch = e->micro_batch},
                       NULL);
}

static Status emit_forward(Emitter *e, int i) {
    const Layer *l = &e->m->layers[i];
    LayerTensors *t = &e->layers[i];
    int32_t x = i ? t[-1].y : e->x;
    TRY(add_y(e, i, l->kind == LAYER_FLATTEN ? TENSOR_REF(x) : 0));
    switch (l->kind) {
    case LAYER_FLATTEN: return OK;  // the same memory, seen as vectors
    case LAYER_RELU:
        return add_layer_op(e, l, KIND_RELU, PHASE_FORWARD, 0, 0, "forward", TENSORS(t->y),
                            TENSORS(x));
    case LAYER_MAX_POOL:
        t->index = NONE;
        if (e->training && i > model_first_trained(e->m))
            TRY(add_rows(e, l->name, "index", DTYPE_U8, ROLE_ACTIVATION, l->out, l->out_dims, 0,
                         &t->index));
        return add_layer_op(e, l, KIND_MAX_POOL, PHASE_FORWARD, 0, 0, "forward",
                            TENSORS(t->y, t->index), TENSORS(x));
    case LAYER_CONV2D:
    case LAYER_LINEAR:
    case LAYER_COUNT: break;
    }
    return add_layer_op(e, l, l->kind == LAYER_CONV2D ? KIND_CONV2D : KIND_LINEAR, PHASE_FORWARD,
                        layer_flops(l), 0, "forward", TENSORS(t->y),
                        TENSORS(x, t->parameter[0], t->parameter[1]));
}

static int accumulate(const Emitter *e) { return e->micro_batch > 0 ? OP_ACCUMULATE : 0; }

static Status emit_loss(Emitter *e) {
    int last = e->m->layer_count - 1;
    int32_t logits = e->layers[last].y;
    e->probability = NONE;
    if (e->training)
        TRY(add_rows(e, "cross_entropy", "probability", e->spec->dtype, ROLE_ACTIVATION,
                     &e->m->classes, 1, 0, &e->probability));
    TRY(add_op(
        e, &(OpSpec){.kind = KIND_CROSS_ENTROPY, .phase = PHASE_FORWARD, .flags = accumulate(e)},
        "cross_entropy", "forward", TENSORS(e->loss, e->probability),
        TENSORS(logits, e->labels, e->inverse_count)));
    if (!e->training) return OK;
    TRY(add_dy(e, last, 0));
    return add_op(e, &(OpSpec){.kind = KIND_CROSS_ENTROPY_BACKWARD, .phase = PHASE_BACKWARD},
                  "cross_entropy", "backward", TENSORS(e->layers[last].dy),
                  TENSORS(e->probability, e->labels, e->inverse_count));
}

// The weight's gradient first: communication waits for that one.
static Status emit_weighted_backward(Emitter *e, int i) {
    const Layer *l = &e->m->layers[i];
    LayerTensors *t = &e->layers[i];
    bool conv = l->kind == LAYER_CONV2D;
    TRY(add_layer_op(e, l, conv ? KIND_CONV2D_BACKWARD_WEIGHT : KIND_LINEAR_BACKWARD_WEIGHT,
                     PHASE_BACKWARD, layer_flops(l), accumulate(e), "backward_weight",
                     TENSORS(t->gradient[0], l->bias ? t->gradient[1] : NONE),
                     TENSORS(i ? t[-1].y : e->x, t->dy)));
    if (i == model_first_trained(e->m)) return OK;
    TRY(add_dy(e, i - 1, 0));
    return add_layer_op(e, l, conv ? KIND_CONV2D_BACKWARD_INPUT : KIND_LINEAR_BACKWARD_INPUT,
                        PHASE_BACKWARD, layer_flops(l), 0, "backward_input", TENSORS(t[-1].dy),
                        TENSORS(t->dy, t->parameter[0]));
}

// relu, max_pool: the backward of the pair at (i-1, i). Usually the pool hands each gradient to
// the place that was the maximum, and relu then drops those whose value is not positive. But that
// value is the pool's output: dropping first, on the pooled values, gives the same bits (a place
// gets the sum of the same gradients or of none) for a quarter of the work at 2×2, without
// reading relu's output.
static Status emit_pooled_relu_backward(Emitter *e, int i) {
    const Layer *pool = &e->m->layers[i], *relu = pool - 1;
    LayerTensors *t = &e->layers[i];
    int32_t kept;
    TRY(add_rows(e, relu->name, "pooled_dx", e->spec->dtype, ROLE_ACTIVATION, pool->out,
                 pool->out_dims, 0, &kept));
    TRY(add_layer_op(e, relu, KIND_RELU_BACKWARD, PHASE_BACKWARD, 0, 0, "backward_input",
                     TENSORS(kept), TENSORS(t->dy, t->y)));
    TRY(add_dy(e, i - 2, 0));
    return add_layer_op(e, pool, KIND_MAX_POOL_BACKWARD, PHASE_BACKWARD, 0, 0, "backward_input",
                        TENSORS(t[-2].dy), TENSORS(kept, t->index));
}

// The backward of layer i; *i moves to the layer before what was emitted.
static Status emit_backward(Emitter *e, int *i) {
    const Layer *l = &e->m->layers[*i];
    LayerTensors *t = &e->layers[*i];
    int at = (*i)--;
    switch (l->kind) {
    case LAYER_CONV2D:
    case LAYER_LINEAR: return emit_weighted_backward(e, at);
    case LAYER_FLATTEN: return add_dy(e, at - 1, TENSOR_REF(t->dy));
    case LAYER_MAX_POOL:
        if (l[-1].kind == LAYER_RELU) {
            (*i)--;
            return emit_pooled_relu_backward(e, at);
        }
        TRY(add_dy(e, at - 1, 0));
        return add_layer_op(e, l, KIND_MAX_POOL_BACKWARD, PHASE_BACKWARD, 0, 0, "backward_input",
                            TENSORS(t[-1].dy), TENSORS(t->dy, t->index));
    case LAYER_RELU:
    case LAYER_COUNT: break;
    }
    TRY(add_dy(e, at - 1, 0));
    return add_layer_op(e, l, KIND_RELU_BACKWARD, PHASE_BACKWARD, 0, 0, "backward_input",
                        TENSORS(t[-1].dy), TENSORS(t->dy, t->y));
}

// --- passes and plans

static Status emit_pass(Emitter *e) {
    TRY(emit_load(e));
    for (int i = 0; i < e->m->layer_count; i++) TRY(emit_forward(e, i));
    TRY(emit_loss(e));
    for (int i = e->m->layer_count - 1, first = model_first_trained(e->m);
         e->training && i >= first;)
        TRY(emit_backward(e, &i));
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
    TRY(add_scalar(e, name, DTYPE_I64, &e->first_row));
    snprintf(name, sizeof name, "rows.%d.%d", shard, micro_batch);
    TRY(add_scalar(e, name, DTYPE_I64, &e->live_rows));
    return emit_pass(e);
}

// Last layer first: the order in which gradients become ready.
static Status emit_updates(Emitter *e) {
    const Sgd *sgd = &e->spec->sgd;
    const int64_t attrs[] = {build_attr_real(sgd->momentum), build_attr_real(sgd->weight_decay),
                             sgd->nesterov};
    e->shard = e->micro_batch = 0;
    for (int i = e->m->layer_count - 1; i >= 0; i--) {
        const LayerTensors *t = &e->layers[i];
        for (int k = 0; k < 2; k++) {
            if (t->parameter[k] == NONE) continue;
            int32_t outputs[] = {t->parameter[k], t->velocity[k]},
                    inputs[] = {t->gradient_of_0[k], e->learning_rate};
            char name[NAME];
            snprintf(name, sizeof name, "sgd.%s.%s", e->m->layers[i].name, parameter_names[k]);
            OpSpec s = {.name = name,
                        .layer = e->m->layers[i].name,
                        .kind = KIND_SGD,
                        .phase = PHASE_UPDATE,
                        .dtype = e->spec->dtype,
                        .lane = e->compute,
                        .attrs = attrs,
                        .outputs = outputs,
                        .output_count = t->velocity[k] == NONE ? 1 : 2,
                        .inputs = inputs,
                        .input_count = 2};
            TRY(plan_add_op(e->p, e->plan, &s, NULL));
        }
    }
    return OK;
}

static Status emit_step(Emitter *e) {
    TRY(program_add_plan(e->p, "step", &e->plan));
    for (int shard = 0; shard < e->spec->local_shards; shard++) {
        TRY(add_gradients(e, shard));
        TRY(add_loss(e, "loss", shard));
        for (int m = 0; m < e->spec->micro_batches; m++) TRY(emit_micro_batch(e, shard, m));
    }
    TRY(emit_updates(e));
    return plan_derive_deps(e->p, e->plan);
}

static Status emit_evaluation(Emitter *e) {
    TRY(program_add_plan(e->p, "evaluate", &e->plan));
    e->training = false;
    e->shard = e->micro_batch = 0;
    e->rows = e->spec->evaluation_rows;
    e->whole_rows = e->rows * e->spec->data_axis_size;  // every rank has a block of its own
    e->suffix[0] = 0;
    TRY(add_loss(e, "evaluate.loss", 0));
    TRY(add_scalar(e, "evaluate.first_row", DTYPE_I64, &e->first_row));
    TRY(add_scalar(e, "evaluate.rows", DTYPE_I64, &e->live_rows));
    TRY(emit_pass(e));
    return plan_derive_deps(e->p, e->plan);
}

static Status emit_program(Emitter *e) {
    const StepSpec *spec = e->spec;
    TRY(program_add_axis(e->p, "data", spec->data_axis_size, NULL));
    TRY(program_add_lane(e->p, "compute", LANE_COMPUTE, NONE, &e->compute));
    TRY(program_add_lane(e->p, "host", LANE_HOST, NONE, &e->host));
    TRY(add_parameters(e, "", ROLE_PARAMETER));
    for (int i = 0; i < e->m->layer_count; i++)
        e->layers[i].velocity[0] = e->layers[i].velocity[1] = NONE;
    if (spec->sgd.momentum != 0) TRY(add_parameters(e, ".velocity", ROLE_OPTIMISER));
    TRY(add_scalar(e, "learning_rate", DTYPE_F64, &e->learning_rate));
    TRY(add_scalar(e, "inverse_count", DTYPE_F64, &e->inverse_count));
    TRY(emit_step(e));
    return emit_evaluation(e);
}

static Status check_step(const StepSpec *s) {
    if (s->dtype != DTYPE_F32 && s->dtype != DTYPE_F64)
        FAIL(ERR_USAGE, "a model computes in f32 or f64, not %s", dtype_name(s->dtype));
    if (s->local_shards < 1 || s->micro_batches < 1 || s->data_axis_size < 1 ||
        s->shards < s->local_shards)
        FAIL(ERR_USAGE,
             "%d shards, %d of them on this rank, %d micro-batches, %d ranks: each must be at "
             "least 1",
             s->shards, s->local_shards, s->micro_batches, s->data_axis_size);
    if (s->batch < s->shards)
        FAIL(ERR_USAGE, "a batch of %lld rows is too small for %d shards: each needs at least one",
             (long long)s->batch, s->shards);
    if (s->evaluation_rows < 1 || s->evaluation_rows > INT32_MAX)
        FAIL(ERR_USAGE, "%lld rows of evaluation, expected at least 1",
             (long long)s->evaluation_rows);
    return OK;
}

Status model_emit(Program *out, const Model *m, const StepSpec *spec) {
    *out = (Program){0};
    TRY(check_step(spec));
    Arena scratch = {0};
    Emitter e = {.p = out,
                 .m = m,
                 .spec = spec,
                 .layers = ARENA_NEW(&scratch, LayerTensors, m->layer_count)};
    if (!e.layers) FAIL(ERR_MEMORY, "out of memory for %d layers", m->layer_count);
    Status s = emit_program(&e);
    arena_finish(&scratch);
    if (s != OK) program_finish(out);
    return s;
}
