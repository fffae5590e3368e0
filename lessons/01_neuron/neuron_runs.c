// SPDX-License-Identifier: MIT
// The numbers of lesson 1: what is drawn, and what is computed in f32 as a trainer would.
#include "lessons/01_neuron/neuron.h"

#include <math.h>

enum { HALVINGS = 60 };

const double neuron_width[WIDTHS] = {0.3, 3e-3, 1e-7};

double neuron_error(const Neuron *n, double w, double b) { return w * n->x + b - n->y; }

double neuron_loss(const Neuron *n, double w, double b) {
    double e = neuron_error(n, w, b);
    return e * e / 2;
}

double neuron_slope(const Neuron *n, double w) { return neuron_error(n, w, n->b) * n->x; }

static double tenth(Rng *r, double low, double high) {
    return round(10 * (low + (high - low) * (double)rng_float(r))) / 10;
}

static double sign(Rng *r) { return rng_below(r, 2) ? 1 : -1; }

// dL/dw of L = (tanh(w x + b) - y)^2 / 2, and its second derivative after that, which is what the
// central difference leaves out.
double neuron_bent_slope(const Neuron *n, double w) {
    double p = tanh(w * n->x + n->b);
    return (p - n->y) * (1 - p * p) * n->x;
}

double neuron_bent_third(const Neuron *n) {
    const double h = 1e-3;
    return (neuron_bent_slope(n, n->w + h) - 2 * neuron_bent_slope(n, n->w) +
            neuron_bent_slope(n, n->w - h)) /
           (h * h);
}

static void draw_starts(Neuron *n, Rng *r) {
    const double rates[STARTS] = {0.02, 0.1, 0.5};
    double best = (n->y - n->b) / n->x;
    int32_t places[STARTS] = {0, 1, 2}, shares[STARTS] = {0, 1, 2};
    rng_shuffle(r, places, STARTS);
    rng_shuffle(r, shares, STARTS);
    for (int i = 0; i < STARTS; i++) {
        double far = 0.4 + 0.8 * places[i] + 0.2 * (double)rng_float(r);
        n->start[i] = round(100 * (best + sign(r) * far)) / 100;
        n->start_rate[i] = rates[shares[i]];
    }
}

Status neuron_draw(const LessonRun *run, void *state) {
    Neuron *n = state;
    Rng r = lesson_rng(run, 0);
    do {
        n->w = tenth(&r, -1.5, 1.5);
        n->b = tenth(&r, -1, 1);
        n->x = sign(&r) * tenth(&r, 1.3, 2.2);
        n->y = tenth(&r, -0.9, 0.9);
        n->rate = (1 + rng_below(&r, 4)) / 20.0;
    } while (fabs(neuron_error(n, n->w, n->b)) < 0.5 || fabs(n->w) < 0.2 ||
             fabs(n->w * n->x + n->b) > 1.2 || fabs(neuron_bent_third(n)) < 0.5);
    draw_starts(n, &r);
    return OK;
}

// The loss as a program computes it, in f32.
static float loss_f32(const Neuron *n, float w, bool bent) {
    float p = w * (float)n->x + (float)n->b;
    float e = (bent ? tanhf(p) : p) - (float)n->y;
    return e * e / 2;
}

static double difference_f32(const Neuron *n, double at, double h, bool bent) {
    float more = (float)(at + h), less = (float)(at - h), width = 2 * (float)h;
    return (double)((loss_f32(n, more, bent) - loss_f32(n, less, bent)) / width);
}

Status neuron_run_step(const LessonRun *run, void *state) {
    Neuron *n = state;
    float w = (float)n->w, e = w * (float)n->x + (float)n->b - (float)n->y;
    w -= (float)n->rate * (e * (float)n->x);
    n->stepped_w = (double)w;
    n->stepped_loss = (double)loss_f32(n, w, false);
    n->difference = difference_f32(n, n->w, 1e-2, false);
    for (int i = 0; i < STARTS; i++)
        n->start_difference[i] = difference_f32(n, n->start[i], 1e-2, false);
    n->stepped = true;
    return OK;
}

// The loss after a step of w and b at this rate.
static double loss_after(const Neuron *n, double rate) {
    double e = neuron_error(n, n->w, n->b);
    return neuron_loss(n, n->w - rate * e * n->x, n->b - rate * e);
}

// Halve an interval at whose ends the step lowers and raises the loss.
Status neuron_run_bisection(const LessonRun *run, void *state) {
    Neuron *n = state;
    double before = neuron_loss(n, n->w, n->b), low = 1e-3, high = 1;
    while (loss_after(n, high) < before) high *= 2;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        if (loss_after(n, middle) < before)
            low = middle;
        else
            high = middle;
    }
    n->same_loss_rate = (low + high) / 2;
    return OK;
}

Status neuron_run_widths(const LessonRun *run, void *state) {
    Neuron *n = state;
    double exact = neuron_bent_slope(n, n->w);
    for (int i = 0; i < WIDTHS; i++)
        n->width_error[i] = fabs(difference_f32(n, n->w, neuron_width[i], true) - exact);
    for (int i = 0; i < SWEEP; i++) {
        n->sweep_h[i] = pow(10, -7 + i * 0.5);
        double error = fabs(difference_f32(n, n->w, n->sweep_h[i], true) - exact);
        n->sweep_error[i] = error > 1e-9 ? error : 1e-9;
    }
    n->differenced = true;
    return OK;
}
