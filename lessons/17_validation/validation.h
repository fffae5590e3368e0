// SPDX-License-Identifier: MIT
// The numbers of lesson 17: runs of the trainer on which a small model of step times is fitted,
// runs that it predicts, and what each number of a described machine is worth to a prediction.
#ifndef LESSONS_17_VALIDATION_VALIDATION_H
#define LESSONS_17_VALIDATION_VALIDATION_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum { VALIDATION_FITTED = 3, VALIDATION_HELD = 4, VALIDATION_NUMBERS = 4 };

// What a run differs by from those that were fitted.
typedef enum { HELD_BETWEEN, HELD_BEYOND, HELD_TWO_RANKS, HELD_CROWDED } HeldKind;

typedef struct {
    int rows, ranks;             // rows: of a rank
    double measured, predicted;  // a step, in ms; measured 0: not yet
    double spread;               // between repeats of a measurement, a share
} ValidationRun;

typedef struct {
    int hidden, cores;
    char model[40];
    bool simulated;  // times that are called measured are of the described host `laptop`
    ValidationRun fitted[VALIDATION_FITTED], held[VALIDATION_HELD];
    double constant, per_row;  // of the model: a step takes constant + rows * per_row, in ms
    double fit_error;          // mean of |error| over what was fitted
    bool calibrated, validated;

    char asked[48];        // the model of the question which number matters
    int devices, samples;  // samples: on each
    const char *number_names[VALIDATION_NUMBERS];
    double effects[VALIDATION_NUMBERS];  // of a number 10 % larger on a step, a share
    double asked_ms;                     // its step as the machine is
} Validation;

Status validation_draw(const LessonRun *run, void *state) MUST_USE;
Status validation_fit(const LessonRun *run, void *state) MUST_USE;
Status validation_hold_out(const LessonRun *run, void *state) MUST_USE;

double validation_error(const ValidationRun *r);  // predicted / measured - 1
double validation_mape(const Validation *x);      // mean of |error| over held-out runs
int validation_worst(const Validation *x);        // the held-out run with the largest |error|
int validation_most_sensitive(const Validation *x);

#endif
