// SPDX-License-Identifier: MIT
// Runs by the trainer, memory and payload by the plan, and losses of parts by a probe.
#include "lessons/23_accumulation/accumulation_runs.h"

#include "core/data/dataset.h"
#include "core/nn/model.h"
#include "lessons/engine/probe.h"

#include <math.h>
#include <stdio.h>

enum { PIXELS = 784, CLASSES = 10, MOST_ROWS = 64, WEIGHTS = PIXELS * CLASSES + CLASSES };

// --- what is planned

static Status plan(double *activations, double *payload, const LessonRun *run,
                   const JobSpec *spec) {
    Prediction p;
    TRY(trial_predict(&p, run, spec, "dgx-a100"));
    if (activations) *activations = (double)p.report.answers->memory_bytes[MEMORY_ACTIVATIONS];
    if (payload) *payload = (double)p.comm_bytes;
    return OK;
}

static Status plan_memory(const LessonRun *run, Accumulation *x) {
    JobSpec spec = job_spec_default();
    spec.model = x->model;
    spec.batch = (int64_t)x->rows * x->micro_batches;
    TRY(plan(&x->activations[0], NULL, run, &spec));
    spec.micro_batches = x->micro_batches;
    return plan(&x->activations[1], NULL, run, &spec);
}

static Status plan_statistics(const LessonRun *run, Accumulation *x) {
    JobSpec spec = job_spec_default();
    spec.model = "resnet:depth=8";
    spec.ranks = 2;
    spec.micro_batches = x->micro_batches;
    spec.batch = (int64_t)spec.ranks * x->micro_batches * x->rows;
    TRY(plan(NULL, &x->payload[0], run, &spec));
    spec.strategy.sync_batch_norm = true;
    return plan(NULL, &x->payload[1], run, &spec);
}

// --- micro-batches of unequal size

// A linear network with random weights on some digits.
typedef struct {
    Probe net;
    double *x, *weights;
    int32_t labels[MOST_ROWS], rows[MOST_ROWS];
} Parts;

static Status read_digits(Parts *out, const LessonRun *run) {
    Dataset data = {0};
    char spec[64];
    snprintf(spec, sizeof spec, "digits:count=%d,seed=%llu", MOST_ROWS,
             (unsigned long long)(run->seed % 100000 + 1));
    out->x = ARENA_NEW(run->arena, double, MOST_ROWS *PIXELS);
    out->weights = ARENA_NEW(run->arena, double, WEIGHTS);
    if (!out->x || !out->weights) FAIL(ERR_MEMORY, "out of memory for digits");
    TRY(dataset_read(&data, run->arena, spec));
    for (int i = 0; i < MOST_ROWS; i++) out->rows[i] = i;
    dataset_gather(&data, out->rows, MOST_ROWS, DTYPE_F64, (DatasetTime){0}, out->x, out->labels);
    dataset_finish(&data);
    return OK;
}

// The caller destroys out->net, also when this fails.
static Status make_parts(Parts *out, const LessonRun *run) {
    Rng r = lesson_rng(run, 1);
    TRY(read_digits(out, run));
    for (int i = 0; i < WEIGHTS; i++) out->weights[i] = 0.2 * ((double)rng_float(&r) - 0.5);
    TRY(probe_create(&out->net, run->arena,
                     &(ProbeOptions){.model = "linear",
                                     .dtype = DTYPE_F64,
                                     .rows = MOST_ROWS,
                                     .x = out->x,
                                     .labels = out->labels}));
    probe_set_weights(&out->net, out->weights);
    return OK;
}

static Status measure_parts(Accumulation *x, Parts *parts) {
    int first = 0;
    for (int k = 0; k < PARTS; k++) {
        TRY(probe_loss(&parts->net, parts->rows + first, x->part_rows[k]));
        x->part_loss[k] = parts->net.loss;
        first += x->part_rows[k];
    }
    return OK;
}

// The whole batch at once, against the mean of the parts' mean gradients.
static Status measure_whole(Accumulation *x, Parts *parts, double *means) {
    int first = 0;
    double error = 0, norm = 0;
    for (int k = 0; k < PARTS; k++) {
        TRY(probe_step(&parts->net, parts->rows + first, x->part_rows[k], 0));
        for (int i = 0; i < WEIGHTS; i++) means[i] += parts->net.gradient[i] / PARTS;
        first += x->part_rows[k];
    }
    TRY(probe_step(&parts->net, parts->rows, first, 0));
    for (int i = 0; i < WEIGHTS; i++) {
        error += pow(means[i] - parts->net.gradient[i], 2);
        norm += pow(parts->net.gradient[i], 2);
    }
    x->whole_loss = parts->net.loss;
    x->gradient_error = sqrt(error / norm);
    return OK;
}

Status accumulation_run_parts(const LessonRun *run, void *state) {
    Accumulation *x = state;
    Parts parts = {0};
    double *means = ARENA_NEW(run->arena, double, WEIGHTS);
    if (!means) FAIL(ERR_MEMORY, "out of memory for gradients");
    Status s = make_parts(&parts, run);
    if (s == OK) s = measure_whole(x, &parts, means);
    probe_destroy(&parts.net);
    return s;
}

// --- the draw, and runs on ranks

Status accumulation_draw(const LessonRun *run, void *state) {
    Accumulation *x = state;
    Rng r = lesson_rng(run, 0);
    Model m;
    Parts parts = {0};
    x->ranks = 2 + (int)rng_below(&r, 3);
    x->micro_batches = 3 + (int)rng_below(&r, 4);
    x->rows = 2 + (int)rng_below(&r, 4);
    snprintf(x->model, sizeof x->model, "mlp:layers=1,hidden=%d", 8 * (3 + (int)rng_below(&r, 6)));
    x->part_rows[0] = x->part_rows[1] = 12 + (int)rng_below(&r, 12);
    x->part_rows[2] = 1 + (int)rng_below(&r, 4);
    TRY(model_read(&m, run->arena, x->model));
    x->weight_bytes = (double)model_parameters(&m) * (double)sizeof(float);
    TRY(plan_memory(run, x));
    TRY(plan_statistics(run, x));
    Status s = make_parts(&parts, run);
    if (s == OK) s = measure_parts(x, &parts);
    probe_destroy(&parts.net);
    return s;
}

static Status train(Trial *out, const LessonRun *run, const Accumulation *x, int ranks, int shards,
                    int micro_batches, int passes) {
    JobOptions o = trial_options();
    o.spec.model = x->model;
    o.spec.ranks = ranks;
    o.spec.shards = shards;
    o.spec.micro_batches = micro_batches;
    o.spec.batch = (int64_t)x->ranks * x->rows * x->micro_batches / passes;
    o.steps = (int64_t)UPDATES * passes;
    o.test_fraction = 0;
    return trial_train(out, run, &o);
}

// As many rows each: a step for every micro-batch, and one for all; then the same without ranks.
Status accumulation_run_ranks(const LessonRun *run, void *state) {
    Accumulation *x = state;
    Trial each, last, one, whole;
    TRY(train(&each, run, x, x->ranks, x->ranks, 1, x->micro_batches));
    TRY(train(&last, run, x, x->ranks, x->ranks, x->micro_batches, 1));
    TRY(train(&one, run, x, 1, x->ranks, x->micro_batches, 1));
    TRY(train(&whole, run, x, 1, 1, 1, 1));
    x->bytes_each = (double)each.taken_bytes / UPDATES;
    x->bytes_last = (double)last.taken_bytes / UPDATES;
    x->hash_ranks = last.hash;
    x->hash_one = one.hash;
    for (int64_t i = 0; i < whole.weight_count; i++)
        x->apart = fmax(x->apart, fabs(whole.weights[i] - last.weights[i]));
    x->ran = true;
    return OK;
}
