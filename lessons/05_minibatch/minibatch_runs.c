// SPDX-License-Identifier: MIT
// The numbers of lesson 5, by the trainer's step on rows that are chosen here (engine/probe.h).
#include "lessons/05_minibatch/minibatch.h"

#include "core/base/statistics.h"
#include "core/data/dataset.h"
#include "lessons/engine/probe.h"

#include <math.h>
#include <string.h>

enum { PIXELS = SIDE * SIDE, POOL = 4, CLASSES = 10, WARM_STEPS = 25, RESAMPLES = 1000 };
enum { USE_DRAW, USE_SPREAD, USE_BOOTSTRAP, USE_TRAINING };

static const char MODEL[] = "model digits7\ninput 49\nclasses 10\n"
                            "linear fc1 out=16\nrelu\nlinear fc2 out=10\n";

static Status open_probe(Probe *n, const LessonRun *run, const Minibatch *m, Dtype dtype,
                         int micro_batches) {
    TRY(probe_create(n, run->arena,
                     &(ProbeOptions){.model = MODEL,
                                     .text = true,
                                     .dtype = dtype,
                                     .rows = ALL_SAMPLES,
                                     .micro_batches = micro_batches,
                                     .x = m->x,
                                     .labels = m->labels}));
    if (m->weights) probe_set_weights(n, m->weights);
    return OK;
}

// --- data

// Means of 4 x 4 pixels, class by class.
static void shrink(Minibatch *m, const float *image, const int32_t *label) {
    int at = 0;
    for (int c = 0; c < CLASSES; c++)
        for (int n = 0; n < ALL_SAMPLES; n++) {
            if (label[n] != c) continue;
            for (int i = 0; i < PIXELS * POOL * POOL; i++) {
                int row = i / (SIDE * POOL), column = i % (SIDE * POOL);
                m->x[at * PIXELS + row / POOL * SIDE + column / POOL] +=
                    (double)image[n * PIXELS * POOL * POOL + i] / (POOL * POOL);
            }
            m->labels[at++] = c;
        }
}

static Status read_digits(Minibatch *m, const LessonRun *run, Rng *r) {
    Dataset data;
    char spec[64];
    int32_t rows[ALL_SAMPLES], label[ALL_SAMPLES];
    float *image = ARENA_NEW(run->arena, float, ALL_SAMPLES *PIXELS *POOL *POOL);
    m->x = ARENA_NEW(run->arena, double, ALL_SAMPLES *PIXELS);
    m->labels = ARENA_NEW(run->arena, int32_t, ALL_SAMPLES);
    if (!image || !m->x || !m->labels) FAIL(ERR_MEMORY, "out of memory for digits");
    snprintf(spec, sizeof spec, "digits:count=%d,seed=%u", ALL_SAMPLES, 1 + rng_below(r, 1000));
    TRY(dataset_read(&data, run->arena, spec));
    for (int i = 0; i < ALL_SAMPLES; i++) rows[i] = i;
    dataset_gather(&data, rows, ALL_SAMPLES, DTYPE_F32, (DatasetTime){0}, image, label);
    dataset_finish(&data);
    shrink(m, image, label);
    return OK;
}

static void first_rows(int32_t rows[], int64_t from, int64_t count) {
    for (int64_t i = 0; i < count; i++) rows[i] = (int32_t)(from + i);
}

// --- draw

// The mean loss of each batch of an epoch that is not shuffled.
static Status cut_epoch(Minibatch *m, Probe *n) {
    int32_t rows[ALL_SAMPLES];
    m->batches = (ALL_SAMPLES + m->epoch_batch - 1) / m->epoch_batch;
    m->last_rows = ALL_SAMPLES - (m->batches - 1) * m->epoch_batch;
    for (int b = 0; b < m->batches; b++) {
        int count = b + 1 < m->batches ? m->epoch_batch : m->last_rows;
        first_rows(rows, (int64_t)b * m->epoch_batch, count);
        TRY(probe_loss(n, rows, count));
        if (b + 1 < m->batches)
            m->full_batches += n->loss / (m->batches - 1);
        else
            m->last_batch = n->loss;
    }
    return OK;
}

static Status warm_up(Minibatch *m, const LessonRun *run, Probe *n, Rng *r) {
    int32_t rows[ALL_SAMPLES];
    first_rows(rows, 0, ALL_SAMPLES);
    probe_initialise(n, 1 + rng_below(r, 1000));
    for (int i = 0; i < WARM_STEPS; i++) TRY(probe_step(n, rows, ALL_SAMPLES, 0.2));
    m->weights = ARENA_NEW(run->arena, double, n->weight_count);
    if (!m->weights) FAIL(ERR_MEMORY, "out of memory for weights");
    probe_get_weights(n, m->weights);
    return cut_epoch(m, n);
}

Status minibatch_draw(const LessonRun *run, void *state) {
    Minibatch *m = state;
    Rng r = lesson_rng(run, USE_DRAW);
    const int batches[] = {48, 56, 64, 72, 96}, times[] = {4, 9, 16};
    Probe n = {0};
    m->small = 8 + 2 * (int)rng_below(&r, 5);
    m->times = times[rng_below(&r, 3)];
    m->epoch_batch = batches[rng_below(&r, 5)];
    m->micro_batches = 2 << rng_below(&r, 3);
    m->rate = (5 + rng_below(&r, 3)) / 50.0;
    TRY(read_digits(m, run, &r));
    Status s = open_probe(&n, run, m, DTYPE_F64, 1);
    if (s == OK) s = warm_up(m, run, &n, &r);
    probe_destroy(&n);
    return s;
}

// --- spread

// Gradients of batches whose samples are drawn anew each time, each sample by itself: the squared
// distance of each from the gradient of all. Their mean is added to `mean`.
static Status sample(double square[GRADIENTS], double mean[], Probe *n, const double full[],
                     int size, Rng *r) {
    int32_t rows[ALL_SAMPLES];
    for (int g = 0; g < GRADIENTS; g++) {
        for (int i = 0; i < size; i++) rows[i] = (int32_t)rng_below(r, ALL_SAMPLES);
        TRY(probe_step(n, rows, size, 0));
        square[g] = 0;
        for (int64_t i = 0; i < n->weight_count; i++) {
            double apart = n->gradient[i] - full[i];
            square[g] += apart * apart;
            mean[i] += n->gradient[i] / GRADIENTS;
        }
    }
    return OK;
}

static double root_mean(const double square[GRADIENTS], Rng *r) {
    double sum = 0;
    for (int g = 0; g < GRADIENTS; g++)
        sum += square[r ? (int)rng_below(r, GRADIENTS) : g] / GRADIENTS;
    return sqrt(sum);
}

// Efron's bootstrap: the ratio again and again, each time of gradients drawn from those at hand.
static void resample(Minibatch *m, double square[SIZES][GRADIENTS], Rng *r) {
    double ratio[RESAMPLES];
    for (int i = 0; i < RESAMPLES; i++)
        ratio[i] = root_mean(square[0], r) / root_mean(square[SIZES - 1], r);
    m->low = statistics_quantile_of(ratio, RESAMPLES, 0.025);
    m->high = statistics_quantile_of(ratio, RESAMPLES, 0.975);
}

static Status measure_spread(Minibatch *m, const LessonRun *run, Probe *n) {
    static const int root[] = {4, 2, 9, 3, 16, 4};
    double square[SIZES][GRADIENTS];
    int32_t rows[ALL_SAMPLES];
    Rng drawn = lesson_rng(run, USE_SPREAD), again = lesson_rng(run, USE_BOOTSTRAP);
    double *full = ARENA_NEW(run->arena, double, n->weight_count);
    double *mean = ARENA_NEW(run->arena, double, SIZES * n->weight_count);
    if (!full || !mean) FAIL(ERR_MEMORY, "out of memory for gradients");
    for (int i = 0; i < 6; i += 2)
        if (root[i] == m->times) m->size[1] = m->small * root[i + 1];
    m->size[0] = m->small;
    m->size[SIZES - 1] = m->small * m->times;
    first_rows(rows, 0, ALL_SAMPLES);
    TRY(probe_step(n, rows, ALL_SAMPLES, 0));
    memcpy(full, n->gradient, (size_t)n->weight_count * sizeof *full);
    for (int i = 0; i < SIZES; i++) {
        TRY(sample(square[i], &mean[i * n->weight_count], n, full, m->size[i], &drawn));
        m->spread[i] = root_mean(square[i], NULL);
    }
    double off = 0;
    for (int64_t i = 0; i < n->weight_count; i++) off += (mean[i] - full[i]) * (mean[i] - full[i]);
    m->off_mean = sqrt(off);
    m->expected_off_mean = m->spread[0] / sqrt(GRADIENTS);
    resample(m, square, &again);
    m->spread_known = true;
    return OK;
}

Status minibatch_run_spread(const LessonRun *run, void *state) {
    Minibatch *m = state;
    Probe n = {0};
    Status s = open_probe(&n, run, m, DTYPE_F64, 1);
    if (s == OK) s = measure_spread(m, run, &n);
    probe_destroy(&n);
    return s;
}

// --- pieces

static Status compare(Minibatch *m, Probe *whole, Probe *pieces) {
    int32_t rows[ALL_SAMPLES];
    double norms[2] = {0};
    for (int i = 0; i < ALL_SAMPLES; i++) rows[i] = (int32_t)(i * 7 % ALL_SAMPLES);
    TRY(probe_step(whole, rows, m->epoch_batch, 0));
    TRY(probe_step(pieces, rows, m->epoch_batch, 0));
    m->farthest = m->largest = 0;
    for (int64_t i = 0; i < whole->weight_count; i++) {
        double apart = fabs(whole->gradient[i] - pieces->gradient[i]);
        m->largest = fmax(m->largest, fabs(whole->gradient[i]));
        norms[0] += whole->gradient[i] * whole->gradient[i];
        norms[1] += pieces->gradient[i] * pieces->gradient[i];
        if (apart <= m->farthest) continue;
        float at = (float)fabs(whole->gradient[i]);
        m->farthest = apart;
        m->farthest_ulp = apart / (double)(nextafterf(at, INFINITY) - at);
    }
    m->factor = sqrt(norms[1] / norms[0]);
    m->accumulated = true;
    first_rows(rows, 0, ALL_SAMPLES);
    TRY(probe_loss(whole, rows, ALL_SAMPLES));
    m->epoch_loss = whole->loss;
    m->epoch_known = true;
    return OK;
}

Status minibatch_run_pieces(const LessonRun *run, void *state) {
    Minibatch *m = state;
    Probe whole = {0}, pieces = {0};
    Status s = open_probe(&whole, run, m, DTYPE_F32, 1);
    if (s == OK) s = open_probe(&pieces, run, m, DTYPE_F32, m->micro_batches);
    if (s == OK) s = compare(m, &whole, &pieces);
    probe_destroy(&whole);
    probe_destroy(&pieces);
    return s;
}

// --- training

// Steps of that many samples until the loss of all is half of what it was.
static Status follow(int *steps, double *loss, const Minibatch *m, Probe *n, int size, Rng *r) {
    int32_t all[ALL_SAMPLES], rows[ALL_SAMPLES];
    first_rows(all, 0, ALL_SAMPLES);
    for (int i = 0; i <= TRAINED_STEPS; i++) {
        TRY(probe_loss(n, all, ALL_SAMPLES));
        loss[i] = n->loss;
        *steps = i;
        if (n->loss < loss[0] / 2) return OK;
        for (int k = 0; k < size; k++) rows[k] = (int32_t)rng_below(r, ALL_SAMPLES);
        TRY(probe_step(n, rows, size, m->rate));
    }
    FAIL(ERR_FAILED, "the loss has not halved in %d steps", TRAINED_STEPS);
}

static Status train(int *steps, double **loss, const Minibatch *m, const LessonRun *run, int size) {
    Probe n = {0};
    Rng r = lesson_rng(run, USE_TRAINING);
    *loss = ARENA_NEW(run->arena, double, TRAINED_STEPS + 1);
    if (!*loss) FAIL(ERR_MEMORY, "out of memory for losses");
    Status s = open_probe(&n, run, m, DTYPE_F64, 1);
    if (s == OK) {
        probe_initialise(&n, 1);
        s = follow(steps, *loss, m, &n, size, &r);
    }
    probe_destroy(&n);
    return s;
}

Status minibatch_run_training(const LessonRun *run, void *state) {
    Minibatch *m = state;
    TRY(train(&m->steps_small, &m->loss_small, m, run, m->small));
    return train(&m->steps_large, &m->loss_large, m, run, m->small * m->times);
}
