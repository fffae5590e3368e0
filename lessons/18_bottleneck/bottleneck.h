// SPDX-License-Identifier: MIT
// Lesson 18: what its runs leave for its texts.
#ifndef LESSONS_18_BOTTLENECK_BOTTLENECK_H
#define LESSONS_18_BOTTLENECK_BOTTLENECK_H

#include "lessons/faults/fault.h"

typedef struct {
    Fault wrong, slow;  // the fault of a run whose numbers are wrong; of one that is slow
    FaultNumbers numbers;
    bool trained, executed;
    bool pipeline;                   // the slow run is one
    int spare;                       // a rank, or a stage, that is not what the others wait for
    FaultTimes healthy, seen, with;  // simulated; with: `spare` has devices that are twice as fast
    FaultTimes mended, slowed;       // as the trainer executed them
} Bottleneck;

Status bottleneck_draw(const LessonRun *run, void *state) MUST_USE;
Status bottleneck_train(const LessonRun *run, void *state) MUST_USE;    // numbers
Status bottleneck_execute(const LessonRun *run, void *state) MUST_USE;  // mended and slowed

// Shares of the slow step.
double bottleneck_gain(const Bottleneck *x);        // of mending the fault, simulated
double bottleneck_spare_gain(const Bottleneck *x);  // of the faster devices
double bottleneck_whole(const Bottleneck *x);       // of all time that what is slow takes

extern const Question bottleneck_wrong, bottleneck_cause;
void bottleneck_show_numbers(Page *p, const void *state);
void bottleneck_show_times(Page *p, const void *state);

#endif
