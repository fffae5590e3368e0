// SPDX-License-Identifier: MIT
// A training in f64 that makes the choices of another in f32.
//
// ReLU and max pooling choose: 0 or x, and one element of a window. The gradient goes where they
// chose. Where two candidates differ by less than rounding, f32 and f64 may choose differently, and
// so may two right orders of addition. That gradient then jumps, Adam turns the jump into a part of
// the learning rate, and weights differ by more than rounding from then on. A run in f64 that makes
// the choices of the one in f32, where they are within rounding of its own best, has no such jump:
// both must stay within rounding of each other, on any processor.
#ifndef TESTS_SUPPORT_CHOICES_H
#define TESTS_SUPPORT_CHOICES_H

#include "tests/support/step_driver.h"

enum { CHOICES_LAYERS = 4 };

// One ReLU, or a ReLU and the max pooling after it, whose windows do not overlap.
typedef struct {
    struct Choices *all;
    const char *name;     // of y
    const double *x;      // f64, before both: (planes,H,W)
    const double *y;      // f32, after both: (planes,H/stride,W/stride)
    const double *index;  // f32: the chosen element of each window; NULL: ReLU alone
    int64_t count, W, OW, stride;
} ChoiceLayer;

// Zero, then choices_follow() for each layer. It stays where it is while the drivers run.
typedef struct Choices {
    ChoiceLayer layers[CHOICES_LAYERS];
    int layer_count;
    double tie;     // the largest gap that counts as rounding
    int different;  // choices that f64 would have made otherwise, in all steps so far
    double widest;  // gap of them: f64's best less what f32 chose
} Choices;

// From now on `f64`, which is unfused, chooses in the tensors y and index (NULL: ReLU alone), which
// it computes from x, what `f32` chose in its last step: so f32 runs each step first. A choice that
// is not within `tie` of f64's best fails the test.
void choices_follow(Choices *c, StepDriver *f64, StepDriver *f32, const char *x, const char *y,
                    const char *index);

#endif
