// SPDX-License-Identifier: MIT
// Lesson 12: what its runs fill in and its texts show. Until something is measured, and in virtual
// time, times are simulated: ranks that take what was drawn, and an all-reduce that begins when the
// last of them has arrived.
#ifndef LESSONS_12_STRAGGLERS_STRAGGLERS_H
#define LESSONS_12_STRAGGLERS_STRAGGLERS_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum { STRAGGLERS_RANKS = 4, STRAGGLERS_MOST = 8, STRAGGLERS_STEPS = 40 };

typedef struct {
    bool simulated;  // times are, and stay so
    // One step of four ranks, of which one is slow.
    int slow;
    double compute_s[STRAGGLERS_RANKS];  // that each is to compute
    double arrive_s[STRAGGLERS_RANKS];   // since the first began
    double end_s[STRAGGLERS_RANKS];      // of the all-reduce
    // Steps of ranks that all have jitter.
    int ranks;
    double least_s, jitter_s;  // of a computation: at least, and in the mean more
    double drawn_s[STRAGGLERS_MOST][STRAGGLERS_STEPS];
    double taken_s[STRAGGLERS_MOST][STRAGGLERS_STEPS];  // as it came out
    bool stepped;
    double step_s;  // the mean over the steps
} Stragglers;

// Fill in what is measured later: the all-reduce as on the described host `laptop`.
Status stragglers_simulate(const LessonRun *run, Stragglers *x) MUST_USE;
Status stragglers_run_slow(const LessonRun *run, void *state) MUST_USE;
Status stragglers_run_jitter(const LessonRun *run, void *state) MUST_USE;

extern const Question stragglers_who;  // what the run must be able to tell apart

#endif
