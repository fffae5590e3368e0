// SPDX-License-Identifier: MIT
// The numbers of lesson 16: all ways to divide a GPT over the devices of two nodes, simulated; the
// same layout with its axes in another order; two layouts of a small job that really run.
#ifndef LESSONS_16_LAYOUT_LAYOUTS_H
#define LESSONS_16_LAYOUT_LAYOUTS_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum { LAYOUT_MOST = 24, LAYOUT_CHOICES = 4, LAYOUT_RUNS = 2 };

typedef struct {
    int dp, tp, pp;
    double step_ms, memory_bytes, state_bytes;  // of a device, the fullest
    bool fits;
} Layout;

// What is offered, in the order of the options.
typedef enum { CHOICE_BEST, CHOICE_DATA, CHOICE_TENSOR, CHOICE_SMALLEST } LayoutChoice;

typedef struct {
    int devices, batch, hidden, layers;
    int counted;  // devices of the question how many layouts there are
    char model[64];
    double parameters;    // elements
    double memory_bytes;  // that a device may take
    Layout layouts[LAYOUT_MOST];
    int count;
    int choice[LAYOUT_CHOICES];  // layouts, by LayoutChoice
    int asked;                   // the layout whose states are asked for
    int ordered;                 // the layout whose axes are put in another order
    double outer_ms;             // its step with tensor parallel ranks far apart
    double inner_between,
        outer_between;  // bytes that a device sends between nodes, by either order
    double run_loss[LAYOUT_RUNS], run_sent[LAYOUT_RUNS];  // as measured
    bool ran;
} Layouts;

Status layouts_draw(const LessonRun *run, void *state) MUST_USE;
Status layouts_train(const LessonRun *run, void *state) MUST_USE;

// How much longer the step of a layout takes than that of the best: 0.1 is 10 %.
double layouts_regret(const Layouts *x, int layout);

#endif
