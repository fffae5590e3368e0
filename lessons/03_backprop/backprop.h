// SPDX-License-Identifier: MIT
// What lesson 3 draws and computes; its texts and questions are in backprop.c.
#ifndef LESSONS_03_BACKPROP_BACKPROP_H
#define LESSONS_03_BACKPROP_BACKPROP_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum { INPUTS = 2, MOST_UNITS = 6, OUTPUTS = 3, SAMPLES = 6, MOST_WEIGHTS = 64 };

// x -> z = W1 x + b1 -> a = max(z, 0) -> s = W2 a + b2 -> softmax and cross-entropy.
typedef struct {
    int units, weight_count;
    double w1[MOST_UNITS][INPUTS], b1[MOST_UNITS], w2[OUTPUTS][MOST_UNITS], b2[OUTPUTS];
    double x[SAMPLES][INPUTS];
    int32_t label[SAMPLES];
    double z[SAMPLES][MOST_UNITS];
    double ds[OUTPUTS];  // of sample 0: p - y
    int unit, input;     // the weight that is asked for
    double rate;
    // By the trainer's network, in f64:
    bool ran;
    double gradient;              // of that weight, of sample 0
    int zero_units;               // whose weights all get a gradient of exactly 0, of all samples
    double norm[4];               // of the gradients of W1, b1, W2, b2
    double before, slope;         // what the gradient's memory holds before any backward; and the
                                  // slope of the loss there, as a difference
    bool checked;                 // by finite differences:
    int64_t forwards, backwards;  // passes that they took, and that one gradient takes
    double farthest;              // largest difference of a derivative
} Backprop;

// dL/da of a unit, of sample 0: what comes back from all outputs.
double backprop_arriving(const Backprop *b, int unit);

Status backprop_draw(const LessonRun *run, void *state) MUST_USE;

// The backward pass of the trainer's network; the gradient of every weight by differences.
Status backprop_run(const LessonRun *run, void *state) MUST_USE;
Status backprop_check(const LessonRun *run, void *state) MUST_USE;

#endif
