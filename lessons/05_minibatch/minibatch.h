// SPDX-License-Identifier: MIT
// What lesson 5 draws and computes; its texts and questions are in minibatch.c.
#ifndef LESSONS_05_MINIBATCH_MINIBATCH_H
#define LESSONS_05_MINIBATCH_MINIBATCH_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum { ALL_SAMPLES = 400, SIDE = 7, SIZES = 3, GRADIENTS = 200, TRAINED_STEPS = 600 };

// A small network on digits of 7 x 7 pixels, trained a little.
typedef struct {
    int small, times;  // a batch of so many, and one so many times as large
    int epoch_batch;   // an epoch is cut into these; the last one is shorter
    int micro_batches;
    double rate;
    double *x, *weights;              // in the arena
    int32_t *labels;                  // in order: class by class
    double full_batches, last_batch;  // mean loss over the full batches, and in the last one
    int batches, last_rows;
    // Spread of the gradients of so many samples around the gradient of all:
    int size[SIZES];
    double spread[SIZES];
    double low, high;                    // of spread[0] / spread[last], by bootstrap: 95 %
    double off_mean, expected_off_mean;  // of the mean of the smallest batches' gradients
    bool spread_known;
    // Micro-batches, in f32:
    double farthest, largest;  // difference of an entry; the largest entry
    double farthest_ulp;       // of the former, in units of the last place of that entry
    double factor;             // of the norms
    bool accumulated;
    double epoch_loss;  // mean loss of all samples at once
    bool epoch_known;
    // Training until the loss is half of the initial one:
    int steps_small, steps_large;     // 0: not yet
    double *loss_small, *loss_large;  // [TRAINED_STEPS + 1]
} Minibatch;

Status minibatch_draw(const LessonRun *run, void *state) MUST_USE;

// Gradients of random batches; a batch in pieces, and an epoch's loss; two trainings.
Status minibatch_run_spread(const LessonRun *run, void *state) MUST_USE;
Status minibatch_run_pieces(const LessonRun *run, void *state) MUST_USE;
Status minibatch_run_training(const LessonRun *run, void *state) MUST_USE;

#endif
