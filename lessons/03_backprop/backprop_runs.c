// SPDX-License-Identifier: MIT
// The numbers of lesson 3: a small network, by hand and as the trainer's step computes it.
#include "lessons/03_backprop/backprop.h"

#include "lessons/engine/probe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// --- by hand

static double tenth(Rng *r, double most) {
    return round(10 * most * (2 * (double)rng_float(r) - 1)) / 10;
}

static void draw_numbers(Backprop *b, Rng *r) {
    b->units = 4 + (int)rng_below(r, MOST_UNITS - 3);
    b->weight_count = b->units * (INPUTS + 1) + OUTPUTS * (b->units + 1);
    for (int u = 0; u < b->units; u++) {
        for (int i = 0; i < INPUTS; i++) b->w1[u][i] = tenth(r, 1);
        b->b1[u] = tenth(r, 1) - 0.4;
        for (int k = 0; k < OUTPUTS; k++) b->w2[k][u] = tenth(r, 1.2);
    }
    for (int k = 0; k < OUTPUTS; k++) b->b2[k] = tenth(r, 0.5);
    for (int n = 0; n < SAMPLES; n++) {
        for (int i = 0; i < INPUTS; i++) b->x[n][i] = tenth(r, 1.5);
        b->label[n] = (int32_t)rng_below(r, OUTPUTS);
    }
    b->label[0] = (int32_t)rng_below(r, OUTPUTS - 1);
    b->unit = (int)rng_below(r, (uint32_t)b->units);
    b->input = (int)rng_below(r, INPUTS);
    b->rate = (1 + rng_below(r, 3)) / 10.0;
}

static void go_forward(Backprop *b) {
    double s[OUTPUTS], sum = 0;
    for (int n = 0; n < SAMPLES; n++)
        for (int u = 0; u < b->units; u++) {
            b->z[n][u] = b->b1[u];
            for (int i = 0; i < INPUTS; i++) b->z[n][u] += b->w1[u][i] * b->x[n][i];
        }
    for (int k = 0; k < OUTPUTS; k++) {
        s[k] = b->b2[k];
        for (int u = 0; u < b->units; u++) s[k] += b->w2[k][u] * fmax(b->z[0][u], 0);
        sum += exp(s[k]);
    }
    for (int k = 0; k < OUTPUTS; k++) b->ds[k] = exp(s[k]) / sum - (k == b->label[0]);
}

double backprop_arriving(const Backprop *b, int unit) {
    double sum = 0;
    for (int k = 0; k < OUTPUTS; k++) sum += b->w2[k][unit] * b->ds[k];
    return sum;
}

// A unit that works on sample 0, an input that counts, a gradient that can be told from 0; and no
// unit so near to the edge of its ReLU that a finite difference would step over it.
static bool is_fit(const Backprop *b) {
    double x = fabs(b->x[0][b->input]);
    for (int n = 0; n < SAMPLES; n++)
        for (int u = 0; u < b->units; u++)
            if (fabs(b->z[n][u]) < 0.005) return false;
    return b->z[0][b->unit] > 0 && x > 0.25 && fabs(x - 1) > 0.15 &&
           fabs(backprop_arriving(b, b->unit)) > 0.1;
}

Status backprop_draw(const LessonRun *run, void *state) {
    Backprop *b = state;
    Rng r = lesson_rng(run, 0);
    do {
        draw_numbers(b, &r);
        go_forward(b);
    } while (!is_fit(b));
    return OK;
}

// --- as the trainer does

enum { W1, B1, W2, B2, PARTS };
static const char *const PART[PARTS] = {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"};
static const int32_t ALL[SAMPLES] = {0, 1, 2, 3, 4, 5};

static void lay_out(double *w, const Backprop *b) {
    for (int u = 0; u < b->units; u++)
        for (int i = 0; i < INPUTS; i++) *w++ = b->w1[u][i];
    for (int u = 0; u < b->units; u++) *w++ = b->b1[u];
    for (int k = 0; k < OUTPUTS; k++)
        for (int u = 0; u < b->units; u++) *w++ = b->w2[k][u];
    for (int k = 0; k < OUTPUTS; k++) *w++ = b->b2[k];
}

static Status create(Probe *n, const LessonRun *run, const Backprop *b, double w[MOST_WEIGHTS]) {
    char *model = ARENA_NEW(run->arena, char, 128);
    if (!model) FAIL(ERR_MEMORY, "out of memory for a model");
    snprintf(model, 128,
             "model ledger\ninput %d\nclasses %d\nlinear fc1 out=%d\nrelu\n"
             "linear fc2 out=%d\n",
             INPUTS, OUTPUTS, b->units, OUTPUTS);
    TRY(probe_create(n, run->arena,
                     &(ProbeOptions){.model = model,
                                     .text = true,
                                     .dtype = DTYPE_F64,
                                     .rows = SAMPLES,
                                     .x = &b->x[0][0],
                                     .labels = b->label}));
    lay_out(w, b);
    probe_set_weights(n, w);
    return OK;
}

static void sum_up(Backprop *b, const Probe *n) {
    int64_t w1 = probe_find(n, PART[W1]);
    for (int p = 0; p < PARTS; p++) {
        int64_t from = probe_find(n, PART[p]);
        int64_t to = p + 1 < PARTS ? probe_find(n, PART[p + 1]) : n->weight_count;
        double sum = 0;
        for (int64_t i = from; i < to; i++) sum += n->gradient[i] * n->gradient[i];
        b->norm[p] = sqrt(sum);
    }
    b->zero_units = 0;
    for (int u = 0; u < b->units; u++) {
        bool zero = true;
        for (int i = 0; i < INPUTS; i++) zero = zero && n->gradient[w1 + u * INPUTS + i] == 0;
        b->zero_units += zero;
    }
}

// How the loss of some samples follows one weight, by a central difference.
static Status difference(double *out, Probe *n, double w[MOST_WEIGHTS], int64_t i, int64_t count) {
    const double h = 1e-5, at = w[i];
    w[i] = at + h;
    probe_set_weights(n, w);
    TRY(probe_loss(n, ALL, count));
    *out = n->loss;
    w[i] = at - h;
    probe_set_weights(n, w);
    TRY(probe_loss(n, ALL, count));
    *out = (*out - n->loss) / (2 * h);
    w[i] = at;
    probe_set_weights(n, w);
    return OK;
}

static Status go_backward(Backprop *b, Probe *n, double w[MOST_WEIGHTS]) {
    int64_t i = probe_find(n, PART[W1]) + b->unit * INPUTS + b->input;
    b->before = n->gradient[i];
    TRY(difference(&b->slope, n, w, i, 1));
    TRY(probe_step(n, ALL, 1, 0));
    b->gradient = n->gradient[i];
    TRY(probe_step(n, ALL, SAMPLES, 0));
    sum_up(b, n);
    b->ran = true;
    return OK;
}

Status backprop_run(const LessonRun *run, void *state) {
    Backprop *b = state;
    Probe n = {0};
    double w[MOST_WEIGHTS];
    Status s = create(&n, run, b, w);
    if (s == OK) s = go_backward(b, &n, w);
    probe_destroy(&n);
    return s;
}

static Status check_all(Backprop *b, Probe *n, double w[MOST_WEIGHTS]) {
    TRY(probe_step(n, ALL, SAMPLES, 0));
    b->backwards = n->backwards;
    int64_t before = n->forwards;
    b->farthest = 0;
    for (int64_t i = 0; i < n->weight_count; i++) {
        double slope;
        TRY(difference(&slope, n, w, i, SAMPLES));
        b->farthest = fmax(b->farthest, fabs(slope - n->gradient[i]));
    }
    b->forwards = n->forwards - before;
    b->checked = true;
    return OK;
}

Status backprop_check(const LessonRun *run, void *state) {
    Backprop *b = state;
    Probe n = {0};
    double w[MOST_WEIGHTS];
    Status s = create(&n, run, b, w);
    if (s == OK) s = check_all(b, &n, w);
    probe_destroy(&n);
    return s;
}
