// SPDX-License-Identifier: MIT
// The trainer on one rank and on several; and a linear model that ranks train with the trainer's
// communicator, rightly and with each mistake.
#include "lessons/09_data_parallel/data_parallel.h"

#include "lessons/engine/ranks.h"
#include "lessons/engine/trial.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

// --- the trainer

static void compare(int64_t *differ, double *most, const Trial *a, const Trial *b) {
    for (int64_t i = 0; i < a->weight_count; i++) {
        *differ += a->weights[i] != b->weights[i];
        *most = fmax(*most, fabs(a->weights[i] - b->weights[i]));
    }
}

Status data_parallel_run_training(const LessonRun *run, void *state) {
    DataParallel *x = state;
    JobOptions o = trial_options();
    Trial ranks, shards, plain, begin;
    int64_t moved = 0;
    o.spec.model = o.info.model = "mlp:hidden=32";
    o.spec.seed = (int64_t)(run->seed % 1000);
    o.spec.ranks = x->ranks;
    TRY(trial_train(&ranks, run, &o));
    o.spec.ranks = 1;
    o.spec.shards = x->ranks;
    TRY(trial_train(&shards, run, &o));
    o.spec.shards = 0;
    TRY(trial_train(&plain, run, &o));
    o.spec.learning_rate = 0;
    o.steps = 1;
    TRY(trial_train(&begin, run, &o));
    x->differ = x->differ_plain = 0;
    x->most = x->most_plain = x->moved = 0;
    compare(&x->differ, &x->most, &ranks, &shards);
    compare(&x->differ_plain, &x->most_plain, &ranks, &plain);
    compare(&moved, &x->moved, &ranks, &begin);
    x->weights = ranks.weight_count;
    x->trained = true;
    return OK;
}

// --- two shards of unequal size

double data_parallel_mean(const DataParallel *x, int rank) {
    double sum = 0;
    for (int i = 0; i < x->rows[rank]; i++) sum += (double)x->gradient[rank][i];
    return sum / x->rows[rank];
}

// Sums of gradients and numbers of rows are added up, and divided once.
static Status join(Comm *c, void *context) {
    DataParallel *x = context;
    float *pool = c->pool;
    pool[0] = 0;
    for (int i = 0; i < x->rows[c->rank]; i++) pool[0] += x->gradient[c->rank][i];
    pool[1] = (float)x->rows[c->rank];
    TRY(ranks_all_reduce(c, ALGORITHM_DIRECT, 2));
    if (c->rank == 0) x->weighted = (double)pool[0] / (double)pool[1];
    return OK;
}

Status data_parallel_run_uneven(const LessonRun *run, void *state) {
    return ranks_run(2, 4096, join, state);
}

// --- a linear model on several ranks: y = w . x, squared error

enum { SAMPLES_A_RANK = 12, ROWS_A_RANK = 4, EPOCHS = 2, MOST_SAMPLES = DP_RANKS * SAMPLES_A_RANK };

typedef struct {
    const DataParallel *x;
    Fault fault;
    int ranks, samples, batch;
    double in[MOST_SAMPLES][DP_WEIGHTS], out[MOST_SAMPLES];
    double start[DP_RANKS][DP_WEIGHTS];  // weights that ranks begin with
    double end[DP_RANKS][DP_WEIGHTS];
    double local[DP_RANKS][DP_WEIGHTS], joined[DP_WEIGHTS];
    bool used[EPOCHS][DP_RANKS][MOST_SAMPLES / ROWS_A_RANK][MOST_SAMPLES];  // by rank and batch
} Loop;

static double uniform(Rng *r) { return 2 * (double)rng_float(r) - 1; }

static void make_samples(Loop *l) {
    Rng r;
    const double right[DP_WEIGHTS] = {1.5, -1, 0.5};
    rng_init(&r, l->x->seed, RNG_LESSON, 100, 0);
    for (int i = 0; i < l->samples; i++) {
        l->out[i] = 0.3 * uniform(&r);
        for (int k = 0; k < DP_WEIGHTS; k++) {
            l->in[i][k] = k == DP_WEIGHTS - 1 ? 1 : 2 * uniform(&r);
            l->out[i] += right[k] * l->in[i][k];
        }
    }
    for (int rank = 0; rank < DP_RANKS; rank++)
        for (int k = 0; k < DP_WEIGHTS; k++) l->start[rank][k] = uniform(&r);
}

// The rows [*begin, *end) of a batch that a rank takes: equal parts, but where shards are unequal
// rank 0 has all that the others, of one row each, leave.
static void part(const Loop *l, int rank, int *begin, int *end) {
    int rows = l->batch / l->ranks, first = l->batch - (l->ranks - 1);
    if (l->fault == FAULT_SAME_ROWS) rank = 0;
    *begin = l->fault != FAULT_UNWEIGHTED ? rank * rows : rank == 0 ? 0 : first + rank - 1;
    *end = l->fault != FAULT_UNWEIGHTED ? *begin + rows : rank == 0 ? first : *begin + 1;
}

// The sum of the gradients of some rows.
static void add_gradients(double sum[DP_WEIGHTS], const Loop *l, const double w[DP_WEIGHTS],
                          const int32_t *rows, int count) {
    for (int i = 0; i < count; i++) {
        const double *in = l->in[rows[i]];
        double error = -l->out[rows[i]];
        for (int k = 0; k < DP_WEIGHTS; k++) error += w[k] * in[k];
        for (int k = 0; k < DP_WEIGHTS; k++) sum[k] += 2 * error * in[k];
    }
}

// The sum of all ranks' values, in the pool, divided as the program thinks is right.
static void divide(double joined[DP_WEIGHTS], const Loop *l, const float *pool) {
    double by = l->fault == FAULT_SUM ? 1 : (double)pool[DP_WEIGHTS];
    for (int k = 0; k < DP_WEIGHTS; k++) joined[k] = (double)pool[k] / by;
}

static Status step(Loop *l, Comm *c, const CommCall *call, double w[DP_WEIGHTS],
                   const int32_t *batch, bool first) {
    float *pool = c->pool;
    int begin, end;
    double own[DP_WEIGHTS] = {0}, joined[DP_WEIGHTS];
    part(l, c->rank, &begin, &end);
    add_gradients(own, l, w, batch + begin, end - begin);
    // Every rank brings the mean of its rows and a 1; or, to be right for any shards, the sum and
    // the number of rows. The former is how the mistakes are made.
    bool means = l->fault == FAULT_SUM || l->fault == FAULT_UNWEIGHTED;
    int rows = end - begin;
    for (int k = 0; k < DP_WEIGHTS; k++) pool[k] = (float)(means ? own[k] / rows : own[k]);
    pool[DP_WEIGHTS] = (float)(means ? 1 : rows);
    TRY(ranks_do(c, call));
    divide(joined, l, pool);
    for (int k = 0; k < DP_WEIGHTS; k++) {
        w[k] -= l->x->rate * joined[k];
        if (first) l->local[c->rank][k] = own[k] / rows;
        if (first && c->rank == 0) l->joined[k] = joined[k];
    }
    return OK;
}

static void shuffle(int32_t order[MOST_SAMPLES], const Loop *l, int epoch) {
    Rng r;
    rng_init(&r, l->x->seed, RNG_LESSON, 101, l->fault == FAULT_NO_RESHUFFLE ? 0 : (uint32_t)epoch);
    for (int i = 0; i < l->samples; i++) order[i] = i;
    rng_shuffle(&r, order, l->samples);
}

static Status train(Comm *c, void *context) {
    Loop *l = context;
    double *w = l->end[c->rank];
    const CommSegment array = {0, DP_WEIGHTS + 1};
    CommCall call = ranks_all_reduce_call(ALGORITHM_DIRECT, &array);
    TRY(comm_prepare(c, &call));
    memcpy(w, l->start[l->fault == FAULT_NO_BROADCAST ? c->rank : 0], sizeof l->end[0]);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int32_t order[MOST_SAMPLES];
        shuffle(order, l, epoch);
        for (int b = 0; b < l->samples / l->batch; b++) {
            int begin, end;
            part(l, c->rank, &begin, &end);
            for (int i = begin; i < end; i++)
                l->used[epoch][c->rank][b][order[b * l->batch + i]] = true;
            TRY(step(l, c, &call, w, order + (ptrdiff_t)b * l->batch, epoch == 0 && b == 0));
        }
    }
    return OK;
}

// --- what it shows

static bool uses(const Loop *l, int epoch, int batch, int sample) {
    for (int r = 0; r < l->ranks; r++)
        if (l->used[epoch][r][batch][sample]) return true;
    return false;
}

static bool same_rows(const Loop *l, int a, int b) {
    for (int i = 0; i < l->samples; i++)
        if (uses(l, 0, a, i) != uses(l, 1, b, i)) return false;
    return true;
}

static double length(const double v[DP_WEIGHTS]) {
    double sum = 0;
    for (int k = 0; k < DP_WEIGHTS; k++) sum += v[k] * v[k];
    return sqrt(sum);
}

// The gradient of the first batch on one rank, which begins with the weights of rank 0.
static void whole_gradient(double out[DP_WEIGHTS], const Loop *l) {
    int32_t order[MOST_SAMPLES];
    shuffle(order, l, 0);
    for (int k = 0; k < DP_WEIGHTS; k++) out[k] = 0;
    add_gradients(out, l, l->start[0], order, l->batch);
    for (int k = 0; k < DP_WEIGHTS; k++) out[k] /= l->batch;
}

static void look(Symptoms *out, const Loop *l) {
    double whole[DP_WEIGHTS], product = 0, seen = 0, same = 0;
    int batches = l->samples / l->batch;
    whole_gradient(whole, l);
    for (int k = 0; k < DP_WEIGHTS; k++) product += whole[k] * l->joined[k];
    out->first_length = length(l->joined) / length(whole);
    double cosine = product / length(l->joined) / length(whole);
    // Sums in f32 are a little beside the direction, by rounding.
    out->first_angle = cosine > 1 - 1e-9 ? 0 : acos(cosine) * 180 / acos(-1.0);
    out->apart = 0;
    for (int r = 1; r < l->ranks; r++)
        for (int k = 0; k < DP_WEIGHTS; k++)
            out->apart = fmax(out->apart, fabs(l->end[r][k] - l->end[0][k]));
    for (int i = 0; i < l->samples; i++) {
        bool any = false;
        for (int b = 0; b < batches; b++) any = any || uses(l, 0, b, i);
        seen += any;
    }
    for (int b = 0; b < batches; b++)
        for (int a = 0; a < batches; a++) same += same_rows(l, a, b);
    out->seen = seen / l->samples;
    out->repeated = same / batches;
    memcpy(out->local, l->local, sizeof out->local);
    memcpy(out->joined, l->joined, sizeof out->joined);
}

Status data_parallel_run_loop(Symptoms *out, const DataParallel *x, Fault fault) {
    Loop l = {.x = x,
              .fault = fault,
              .ranks = x->ranks,
              .samples = x->ranks * SAMPLES_A_RANK,
              .batch = x->ranks * ROWS_A_RANK};
    make_samples(&l);
    TRY(ranks_run(x->ranks, 4096, train, &l));
    look(out, &l);
    return OK;
}

Status data_parallel_run_sum(const LessonRun *run, void *state) {
    DataParallel *x = state;
    TRY(data_parallel_run_loop(&x->good, x, FAULT_NONE));
    TRY(data_parallel_run_loop(&x->sum, x, FAULT_SUM));
    x->summed = true;
    return OK;
}

Status data_parallel_run_found(const LessonRun *run, void *state) {
    DataParallel *x = state;
    return data_parallel_run_loop(&x->found, x, x->fault);
}

Status data_parallel_run_faults(const LessonRun *run, void *state) {
    DataParallel *x = state;
    for (int f = 0; f < FAULT_COUNT; f++) TRY(data_parallel_run_loop(&x->of[f], x, (Fault)f));
    x->compared = true;
    return OK;
}

Fault data_parallel_diagnose(const DataParallel *x) {
    int nearest = 0;
    double least = HUGE_VAL;
    for (int f = 0; f < FAULT_COUNT; f++) {
        const Symptoms *s = &x->of[f], *t = &x->found;
        double far = fabs(s->apart - t->apart) + fabs(s->first_length - t->first_length) +
                     fabs(s->first_angle - t->first_angle) + fabs(s->seen - t->seen) +
                     fabs(s->repeated - t->repeated);
        if (far < least) {
            least = far;
            nearest = f;
        }
    }
    return (Fault)nearest;
}
