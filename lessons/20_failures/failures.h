// SPDX-License-Identifier: MIT
// Lesson 20: what its runs leave for its texts.
#ifndef LESSONS_20_FAILURES_FAILURES_H
#define LESSONS_20_FAILURES_FAILURES_H

#include "lessons/engine/lesson.h"
#include "sim/failures.h"

enum {
    FAILURES_RANKS = 4,
    FAILURES_CALLS = 8,   // collectives that every rank should issue
    FAILURES_STEPS = 20,  // of training
    FAILURES_EVERY = 5    // steps between checkpoints
};

typedef struct {
    // Four ranks, of which one leaves out a collective.
    int guilty, skipped;                         // the rank; which of the collectives, from 0
    int issued[FAILURES_RANKS][FAILURES_CALLS];  // what each rank issued, in its order
    int started[FAILURES_RANKS], ended[FAILURES_RANKS];
    bool hung;
    // A run that is killed, and goes on.
    int killed_at;       // steps before it
    int done, repeated;  // steps before it was killed; steps that were computed twice
    bool restarted, equal;
    const char *lost;  // what the launcher said
    // A long run that fails now and then.
    FailureModel model;
    FailureRun best;     // simulated
    double rare, often;  // goodput at half of the mean time between failures, and at
                         // ten times what a checkpoint takes
    bool simulated;
} Failures;

Status failures_draw(const LessonRun *run, void *state) MUST_USE;
Status failures_hang(const LessonRun *run, void *state) MUST_USE;
Status failures_restart(const LessonRun *run, void *state) MUST_USE;
Status failures_long_run(const LessonRun *run, void *state) MUST_USE;

// Who has issued fewer than the others; the first number at which its collective is another one.
int failures_blamed(const Failures *x);
int failures_first_other(const Failures *x);

#endif
