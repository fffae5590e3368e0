// SPDX-License-Identifier: MIT
// What lesson 1 draws and computes; its texts and questions are in neuron.c.
#ifndef LESSONS_01_NEURON_NEURON_H
#define LESSONS_01_NEURON_NEURON_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum { STARTS = 3, WIDTHS = 3, SWEEP = 15 };

typedef struct {
    double w, b, x, y, rate;
    double start[STARTS], start_rate[STARTS];  // three places to begin at, each with a rate
    // By the runs:
    bool stepped;
    double difference, stepped_w, stepped_loss;  // f32: dL/dw as a difference, w and L after a step
    double start_difference[STARTS];
    double same_loss_rate;       // by bisection; 0: not yet
    double width_error[WIDTHS];  // f32: of dL/dw of a neuron with tanh
    double sweep_h[SWEEP], sweep_error[SWEEP];
    bool differenced;
} Neuron;

extern const double neuron_width[WIDTHS];  // h of a finite difference

// Of p = w x + b and L = (p - y)^2 / 2: p - y, L, dL/dw.
double neuron_error(const Neuron *n, double w, double b);
double neuron_loss(const Neuron *n, double w, double b);
double neuron_slope(const Neuron *n, double w);

// Of p = tanh(w x + b): dL/dw, and the derivative of L after the second.
double neuron_bent_slope(const Neuron *n, double w);
double neuron_bent_third(const Neuron *n);

Status neuron_draw(const LessonRun *run, void *state) MUST_USE;

// A step in f32, and differences; the rate at which the loss stays; differences of many widths.
Status neuron_run_step(const LessonRun *run, void *state) MUST_USE;
Status neuron_run_bisection(const LessonRun *run, void *state) MUST_USE;
Status neuron_run_widths(const LessonRun *run, void *state) MUST_USE;

#endif
