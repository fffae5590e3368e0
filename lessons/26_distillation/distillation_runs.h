// SPDX-License-Identifier: MIT
// What lesson 26 computes: a teacher, and students that the trainer trains while a hook puts the
// gradient of the teacher's soft targets in the place of that of the labels.
#ifndef LESSONS_26_DISTILLATION_DISTILLATION_RUNS_H
#define LESSONS_26_DISTILLATION_DISTILLATION_RUNS_H

#include "lessons/engine/trial.h"

#include <stdbool.h>

enum { DISTILL_CLASSES = 3 };

// Whose runs there are.
enum { RUN_TEACHER, RUN_LABELS, RUN_SHARP, RUN_SOFT, RUNS };

typedef struct {
    double logit[DISTILL_CLASSES], student[DISTILL_CLASSES];  // of a sample, drawn
    int temperature, likeliest, asked;  // asked: the class whose probability is wanted
    double numeric;                     // the gradient by central differences; NaN: not yet
    Trial trained[RUNS];
    double parameters[RUNS];
    bool ran;
} Distillation;

// softmax(z / T), of `count` logits.
void distillation_softmax(double p[], const double z[], int count, double temperature);

// The loss of a student at temperature T: T^2 times the cross-entropy of the softened
// probabilities of the teacher and its own.
double distillation_loss(const double student[], const double teacher[], int count,
                         double temperature);

Status distillation_draw(const LessonRun *run, void *state) MUST_USE;
Status distillation_differences(const LessonRun *run, void *state) MUST_USE;
Status distillation_train(const LessonRun *run, void *state) MUST_USE;

#endif
