// SPDX-License-Identifier: MIT
// From a model to a bound executor, and what a run of `train` does around each of its turns.
#include "lessons/engine/probe.h"

#include "core/data/sampler.h"
#include "core/plan/check.h"
#include "parallel/strategy/strategy.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_SEED = 1 };

// --- values of either type

static void read_values(double *to, const void *from, int64_t count, Dtype dtype) {
    for (int64_t i = 0; i < count; i++)
        to[i] = dtype == DTYPE_F64 ? ((const double *)from)[i] : (double)((const float *)from)[i];
}

static void write_values(void *to, const double *from, int64_t count, Dtype dtype) {
    for (int64_t i = 0; i < count; i++)
        if (dtype == DTYPE_F64)
            ((double *)to)[i] = from[i];
        else
            ((float *)to)[i] = (float)from[i];
}

static bool is_parameter(const Tensor *t) { return t->role == ROLE_PARAMETER && t->alias == NONE; }

static Dtype dtype_of(const Probe *n, int tensor) {
    return (Dtype)n->program.tensors[tensor].dtype;
}

// --- hooks of the executor

static void load(void *context, const LoadCall *call) {
    const Probe *n = context;
    int64_t size = n->row_elements, bytes = dtype_bytes(call->dtype);
    for (int64_t i = 0; i < call->rows; i++) {
        int32_t sample = n->chosen[call->first_row + i];
        write_values((char *)call->x.data + i * size * bytes, &n->options.x[sample * size], size,
                     call->dtype);
        ((int32_t *)call->labels.data)[i] = n->options.labels[sample];
    }
}

// Tensors share memory: their values are taken when they have just been written.
static Status after(void *context, int rank, int plan, int op) {
    Probe *n = context;
    const Plan *p = &n->program.plans[plan];
    const Work *w = op_work(&n->program, &p->ops[op]);
    n->forwards += w->kind == KIND_CROSS_ENTROPY;
    n->backwards += w->kind == KIND_CROSS_ENTROPY_BACKWARD;
    for (int i = 0; i < p->ops[op].outputs; i++)
        for (int k = 0; k < n->watched_count; k++) {
            const ProbeWatched *t = &n->watched[k];
            if (op_outputs(p, &p->ops[op])[i] == t->tensor)
                read_values(t->values, executor_data(&n->executor, t->tensor), t->elements,
                            dtype_of(n, t->tensor));
        }
    return OK;
}

// --- creation

static Status watch(Probe *n, int tensor, double *values) {
    if (n->watched_count == PROBE_WATCHED)
        FAIL(ERR_USAGE, "more than %d tensors are watched", PROBE_WATCHED);
    n->watched[n->watched_count++] =
        (ProbeWatched){tensor, tensor_elements(&n->program.tensors[tensor]), values};
    return OK;
}

static Status watch_gradients(Probe *n) {
    const Program *p = &n->program;
    n->gradient = ARENA_NEW(n->arena, double, n->weight_count);
    if (!n->gradient) FAIL(ERR_MEMORY, "out of memory for gradients");
    double *to = n->gradient;
    for (int i = 0; i < p->tensor_count; i++) {
        char name[128];
        if (!is_parameter(&p->tensors[i])) continue;
        snprintf(name, sizeof name, "%s.grad", tensor_name(p, i));
        int gradient = program_find_tensor(p, name);
        if (gradient == NONE) FAIL(ERR_FAILED, "%s is not trained", tensor_name(p, i));
        TRY(watch(n, gradient, to));
        to += tensor_elements(&p->tensors[i]);
    }
    return OK;
}

static Status make_program(Probe *n) {
    const ProbeOptions *o = &n->options;
    const ProgramSet set = program_set_of_one(&n->program);
    const StepSpec spec = {.dtype = o->dtype,
                           .batch = o->rows,
                           .shards = 1,
                           .local_shards = 1,
                           .micro_batches = o->micro_batches,
                           .evaluation_rows = o->rows,
                           .optimizer = o->optimizer,
                           .mesh.data = 1};
    if (o->text)
        TRY(model_parse(&n->model, n->arena, o->model, "lesson", NULL));
    else
        TRY(model_read(&n->model, n->arena, o->model));
    TRY(model_emit(&n->program, &n->model, &spec));
    TRY(shards_apply(&n->program, &(StrategyOptions){.local_shards = 1}));
    TRY(plan_check(&set));
    return program_lower(&n->program, device_reference.traits);
}

Status probe_create(Probe *n, Arena *a, const ProbeOptions *options) {
    const ExecutorHooks hooks = {.context = n, .load = load, .after = after};
    *n = (Probe){.options = *options, .arena = a};
    if (!n->options.micro_batches) n->options.micro_batches = 1;
    TRY(make_program(n));
    n->row_elements = 1;
    for (int i = 0; i < n->model.input_dims; i++) n->row_elements *= n->model.input[i];
    for (int i = 0; i < n->program.tensor_count; i++)
        if (is_parameter(&n->program.tensors[i]))
            n->weight_count += tensor_elements(&n->program.tensors[i]);
    TRY(watch_gradients(n));
    TRY(executor_create(&n->executor, a, &n->program, 0, &device_reference, NULL, &hooks));
    probe_initialise(n, FIRST_SEED);
    return OK;
}

void probe_destroy(Probe *n) {
    executor_destroy(&n->executor);
    program_finish(&n->program);
    *n = (Probe){0};
}

// --- weights

void probe_initialise(Probe *n, uint64_t seed) {
    for (int i = 0; i < n->program.tensor_count; i++)
        if (is_parameter(&n->program.tensors[i]))
            model_initialise_piece(&n->program, &n->program.tensors[i], 0, seed,
                                   executor_data(&n->executor, i));
}

void probe_set_weights(Probe *n, const double *values) {
    for (int i = 0; i < n->program.tensor_count; i++) {
        if (!is_parameter(&n->program.tensors[i])) continue;
        int64_t count = tensor_elements(&n->program.tensors[i]);
        write_values(executor_data(&n->executor, i), values, count, dtype_of(n, i));
        values += count;
    }
}

void probe_get_weights(const Probe *n, double *values) {
    for (int i = 0; i < n->program.tensor_count; i++) {
        if (!is_parameter(&n->program.tensors[i])) continue;
        int64_t count = tensor_elements(&n->program.tensors[i]);
        read_values(values, executor_data(&n->executor, i), count, dtype_of(n, i));
        values += count;
    }
}

int64_t probe_find(const Probe *n, const char *name) {
    int64_t at = 0;
    for (int i = 0; i < n->program.tensor_count; i++) {
        if (!is_parameter(&n->program.tensors[i])) continue;
        if (strcmp(tensor_name(&n->program, i), name) == 0) return at;
        at += tensor_elements(&n->program.tensors[i]);
    }
    return -1;
}

const double *probe_watch(Probe *n, const char *name) {
    int tensor = program_find_tensor(&n->program, name);
    if (tensor == NONE) return NULL;
    double *values = ARENA_NEW(n->arena, double, tensor_elements(&n->program.tensors[tensor]));
    return values && watch(n, tensor, values) == OK ? values : NULL;
}

// --- running

static int scalar(const Probe *n, const char *name, int part) {
    char text[64];
    snprintf(text, sizeof text, "%s.0.%d", name, part);
    return program_find_tensor(&n->program, text);
}

// One plan on these samples; micro-batches share them.
static Status run(Probe *n, const char *plan, const char *loss) {
    double result[2];
    TRY(executor_run(&n->executor, program_find_plan(&n->program, plan), 0));
    TRY(executor_read(&n->executor, program_find_tensor(&n->program, loss), result));
    n->loss = result[0];
    n->right = (int64_t)result[1];
    return OK;
}

Status probe_step(Probe *n, const int32_t *chosen, int64_t count, double rate) {
    Executor *e = &n->executor;
    n->chosen = chosen;
    for (int m = 0; m < n->options.micro_batches; m++) {
        int64_t from, to;
        sampler_part(count, m, n->options.micro_batches, &from, &to);
        executor_set_i64(e, scalar(n, "first_row", m), from);
        executor_set_i64(e, scalar(n, "rows", m), to - from);
    }
    executor_set_f64(e, program_find_tensor(&n->program, "learning_rate"), rate);
    executor_set_f64(e, program_find_tensor(&n->program, "inverse_count"), 1.0 / (double)count);
    return run(n, "step", "loss");
}

Status probe_loss(Probe *n, const int32_t *chosen, int64_t count) {
    Executor *e = &n->executor;
    n->chosen = chosen;
    executor_set_i64(e, program_find_tensor(&n->program, "evaluate.first_row"), 0);
    executor_set_i64(e, program_find_tensor(&n->program, "evaluate.rows"), count);
    executor_set_f64(e, program_find_tensor(&n->program, "inverse_count"), 1.0 / (double)count);
    return run(n, "evaluate", "evaluate.loss");
}
