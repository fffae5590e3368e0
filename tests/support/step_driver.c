// SPDX-License-Identifier: MIT
#include "tests/support/step_driver.h"

#include "core/data/sampler.h"
#include "core/plan/check.h"
#include "tests/support/testing.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// --- values of any type

static void read_values(double *to, const void *from, int64_t n, Dtype dtype) {
    ck_assert(dtype == DTYPE_F64 || dtype == DTYPE_F32 || dtype == DTYPE_U8);
    for (int64_t i = 0; i < n; i++)
        to[i] = dtype == DTYPE_F64   ? ((const double *)from)[i]
                : dtype == DTYPE_F32 ? (double)((const float *)from)[i]
                                     : ((const uint8_t *)from)[i];
}

static void write_value(void *to, int64_t i, double value, Dtype dtype) {
    if (dtype == DTYPE_F64)
        ((double *)to)[i] = value;
    else if (dtype == DTYPE_F32)
        ((float *)to)[i] = (float)value;
    else
        ((uint8_t *)to)[i] = (uint8_t)value;
}

static int64_t row_labels(const StepOptions *o) { return o->row_labels ? o->row_labels : 1; }

// --- hooks of the executor

static void load(void *context, const LoadCall *call) {
    const StepDriver *d = context;
    const StepOptions *o = &d->options;
    int64_t first = d->step * o->batch % o->samples + call->first_row, pixels = 1;
    for (int i = 1; i < call->x.dims; i++) pixels *= call->x.shape[i];
    if (o->tokens)
        memcpy(call->x.data, &o->tokens[first * pixels], (size_t)(call->rows * pixels) * 4);
    else
        for (int64_t i = 0; i < call->rows * pixels; i++)
            write_value(call->x.data, i, (double)o->x[first * pixels + i], call->dtype);
    memcpy(call->labels.data, &o->labels[first * row_labels(o)],
           (size_t)(call->rows * row_labels(o)) * sizeof(int32_t));
}

static void look_at(const StepDriver *d, const Watched *w) {
    void *data = executor_data(&d->executors[0], w->tensor);
    Dtype dtype = (Dtype)d->program.tensors[w->tensor].dtype;
    read_values(w->values, data, w->elements, dtype);
    if (!w->correct) return;
    w->correct(w->context, w->values);
    for (int64_t i = 0; i < w->elements; i++) write_value(data, i, w->values[i], dtype);
}

static Status after(void *context, int rank, int plan, int op) {
    StepDriver *d = context;
    const Plan *p = &d->program.plans[plan];
    for (int i = 0; rank == 0 && i < p->ops[op].outputs; i++)
        for (int k = 0; k < d->watched_count; k++)
            if (op_outputs(p, &p->ops[op])[i] == d->watched[k].tensor) look_at(d, &d->watched[k]);
    return OK;
}

// --- creation

static void build_program(StepDriver *d) {
    const StepOptions *o = &d->options;
    const Device *device;
    const ProgramSet set = program_set_of_one(&d->program);
    StrategyOptions strategy = o->strategy;
    strategy.local_shards = o->shards / o->ranks;
    StepSpec spec = {.dtype = o->dtype,
                     .batch = o->batch,
                     .shards = o->shards,
                     .local_shards = strategy.local_shards,
                     .micro_batches = o->micro_batches,
                     .evaluation_rows = STEP_EVALUATION_ROWS,
                     .optimizer = o->optimizer,
                     .label_smoothing = o->label_smoothing,
                     .mesh.data = o->ranks};
    ck_assert_ok(model_read(&d->model, &d->arena, o->model));
    ck_assert_ok(model_emit(&d->program, &d->model, &spec));
    if (strategy.sync_batch_norm) ck_assert_ok(sync_batch_norm_apply(&d->program, &strategy));
    ck_assert_ok(o->ranks == 1 ? shards_apply(&d->program, &strategy)
                               : ddp_apply(&d->program, &strategy));
    ck_assert_ok(plan_check(&set));
    ck_assert_ok(device_find(&device, o->device));
    DeviceTraits traits = *device->traits;
    if (o->unfused) traits.fusions = 0;
    ck_assert_ok(program_lower(&d->program, &traits));
}

static void create_world(StepDriver *d) {
    CommRoom rooms[STEP_RANKS];
    for (int r = 0; r < d->options.ranks; r++) rooms[r] = executor_room(&d->program);
    ck_assert_ok(
        comm_world_create(&d->world, COMM_SERIAL, d->options.ranks, rooms, &(CommOptions){0}));
}

// Running statistics, alike on all ranks.
static void initialise_state(StepDriver *d) {
    for (int r = 0; r < d->options.ranks; r++)
        for (int t = 0; t < d->program.tensor_count; t++)
            if (d->program.tensors[t].role == ROLE_STATE)
                model_initialise_piece(&d->program, &d->program.tensors[t], r, 1,
                                       executor_data(&d->executors[r], t));
}

void step_driver_init(StepDriver *d, const StepOptions *options) {
    *d = (StepDriver){.options = *options};
    StepOptions *o = &d->options;
    const Device *device;
    const ExecutorHooks hooks = {.context = d, .load = load, .after = after};
    if (!o->ranks) o->ranks = 1;
    if (!o->shards) o->shards = o->ranks;
    if (!o->micro_batches) o->micro_batches = 1;
    ck_assert_int_le(o->ranks, STEP_RANKS);
    build_program(d);
    ck_assert_ok(device_find(&device, o->device));
    if (o->ranks > 1) create_world(d);
    for (int r = 0; r < o->ranks; r++) {
        if (d->world) ck_assert_ok(comm_join(&d->comms[r], d->world, r));
        ck_assert_ok(executor_create(&d->executors[r], &d->arena, &d->program, r, device,
                                     d->world ? &d->comms[r] : NULL, &hooks));
    }
    initialise_state(d);
}

void step_driver_finish(StepDriver *d) {
    for (int r = 0; r < d->options.ranks; r++) executor_destroy(&d->executors[r]);
    comm_world_destroy(d->world);
    program_finish(&d->program);
    arena_finish(&d->arena);
    *d = (StepDriver){0};
}

// --- execution

// All ranks in turn, each as far as it gets, until all are done.
static void run_plan(StepDriver *d, const char *name) {
    int plan = program_find_plan(&d->program, name), left = d->options.ranks;
    bool done[STEP_RANKS] = {false};
    ck_assert_int_ne(plan, NONE);
    for (int r = 0; r < d->options.ranks; r++)
        ck_assert_ok(executor_begin(&d->executors[r], plan, d->step));
    while (left > 0) {
        bool any = false;
        for (int r = 0; r < d->options.ranks; r++) {
            bool moved;
            if (done[r]) continue;
            ck_assert_ok(executor_advance(&d->executors[r], &done[r], &moved));
            any = any || moved || done[r];
            left -= done[r];
        }
        ck_assert_msg(any, "plan %s: no rank can go on", name);
    }
}

static int scalar(const StepDriver *d, const char *format, int shard, int micro_batch) {
    char name[64];
    snprintf(name, sizeof name, format, shard, micro_batch);
    int tensor = program_find_tensor(&d->program, name);
    ck_assert_msg(tensor != NONE, "no scalar %s", name);
    return tensor;
}

// Labels of this step's batch that are not ignored.
static int64_t count_labels(const StepDriver *d) {
    const StepOptions *o = &d->options;
    int64_t n = o->batch * row_labels(o), count = 0;
    const int32_t *labels = &o->labels[d->step * o->batch % o->samples * row_labels(o)];
    for (int64_t i = 0; i < n; i++) count += labels[i] != LABEL_IGNORED;
    return count;
}

// Shard s of S takes rows sB/S ... (docs/contract.md, 2); its micro-batches share them alike.
static void set_scalars(StepDriver *d, int rank) {
    const StepOptions *o = &d->options;
    Executor *e = &d->executors[rank];
    int local = o->shards / o->ranks;
    for (int i = 0; i < local * o->micro_batches; i++) {
        int s = i / o->micro_batches, m = i % o->micro_batches;
        int64_t begin, end, from, to;
        sampler_part(o->batch, rank * local + s, o->shards, &begin, &end);
        sampler_part(end - begin, m, o->micro_batches, &from, &to);
        executor_set_i64(e, scalar(d, "first_row.%d.%d", s, m), begin + from);
        executor_set_i64(e, scalar(d, "rows.%d.%d", s, m), to - from);
    }
    executor_set_f64(e, scalar(d, "learning_rate", 0, 0), o->learning_rate);
    executor_set_f64(e, scalar(d, "inverse_count", 0, 0), 1.0 / (double)count_labels(d));
}

double step_driver_run(StepDriver *d) {
    for (int r = 0; r < d->options.ranks; r++) set_scalars(d, r);
    run_plan(d, "step");
    d->step++;
    return *(const double *)executor_data(&d->executors[0], scalar(d, "loss", 0, 0));
}

void step_driver_evaluate(StepDriver *d, int block) {
    d->step = 0;
    for (int r = 0; r < d->options.ranks; r++) {
        Executor *e = &d->executors[r];
        int64_t first = (int64_t)(block * d->options.ranks + r) * STEP_EVALUATION_ROWS;
        executor_set_i64(e, scalar(d, "evaluate.first_row", 0, 0), first);
        executor_set_i64(e, scalar(d, "evaluate.rows", 0, 0), STEP_EVALUATION_ROWS);
    }
    run_plan(d, "evaluate");
}

// --- parameters and other tensors

int64_t step_driver_parameter_count(const StepDriver *d) {
    int64_t n = 0;
    for (int t = 0; t < d->program.tensor_count; t++)
        if (d->program.tensors[t].role == ROLE_PARAMETER)
            n += tensor_elements(&d->program.tensors[t]);
    return n;
}

void step_driver_set_parameters(StepDriver *d, const double *values) {
    for (int t = 0; t < d->program.tensor_count; t++) {
        const Tensor *tensor = &d->program.tensors[t];
        if (tensor->role != ROLE_PARAMETER) continue;
        for (int64_t i = 0; i < tensor_elements(tensor); i++)
            write_value(executor_data(&d->executors[0], t), i, *values++, (Dtype)tensor->dtype);
    }
    if (d->options.ranks > 1) run_plan(d, "broadcast");
}

void step_driver_get_parameters(const StepDriver *d, int rank, double *values) {
    for (int t = 0; t < d->program.tensor_count; t++) {
        const Tensor *tensor = &d->program.tensors[t];
        if (tensor->role != ROLE_PARAMETER) continue;
        int64_t n = tensor_elements(tensor);
        read_values(values, executor_data(&d->executors[rank], t), n, (Dtype)tensor->dtype);
        values += n;
    }
}

const double *step_driver_watch(StepDriver *d, const char *tensor) {
    return step_driver_correct(d, tensor, NULL, NULL);
}

const double *step_driver_correct(StepDriver *d, const char *tensor,
                                  void (*correct)(void *context, double *values), void *context) {
    int t = program_find_tensor(&d->program, tensor);
    ck_assert_msg(t != NONE, "no tensor %s", tensor);
    ck_assert_int_lt(d->watched_count, STEP_WATCHED);
    int64_t elements = tensor_elements(&d->program.tensors[t]);
    double *values = ARENA_NEW(&d->arena, double, elements);
    d->watched[d->watched_count++] = (Watched){t, elements, values, correct, context};
    return values;
}
