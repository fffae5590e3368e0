// SPDX-License-Identifier: MIT
// The article's program, run with our libraries, with its mistakes or without them.
#ifndef LESSONS_00_ARTICLE_ARTICLE_RUNS_H
#define LESSONS_00_ARTICLE_ARTICLE_RUNS_H

#include "lessons/engine/trial.h"

#include <stdbool.h>

enum {
    PROCESSES = 4,
    CLASSES = 10,
    STEPS = 100,
    SHOWN_STEPS = 40,
    MEND_STEPS = 12,
    DIGITS = 320,
    PILE_ROWS = 48
};

// Stages of mending: as printed; gradients cleared; no ReLU; wrapped in DDP, each its own rows.
enum { AS_PRINTED, CLEARED, NO_RELU, WRAPPED, STAGES };

typedef struct {
    double apart, taken;  // of one weight, at most; bytes by rank 0 from others
} Stage;

#define STUCK_TOLERANCE 0.02

enum { MEND_SEED, MEND_SAMPLER, MEND_DDP, MENDS };

typedef struct {
    int rows;                // that a process takes in a step
    double parameter_bytes;  // of the printed network
    Trial printed, mended;   // of process 0
    bool ran;
    int pile_steps;
    double pile_ratio;  // how many times as far weights went; 0: not yet
    double mend_apart[MENDS];
    bool mends_ran;
    Stage stages[STAGES];
    uint64_t hash_ranks, hash_shards;
    double whole_apart;  // from one process that takes all rows at once
} Article;

// Of the lesson's state, in the order of its steps.
Status article_draw(const LessonRun *run, void *state) MUST_USE;
Status article_run_printed(const LessonRun *run, void *state) MUST_USE;  // and mended
// All rows in every step, and steps so small that the gradient stays as it is: then only the rule
// by which it is used differs.
Status article_run_pile(const LessonRun *run, void *state) MUST_USE;
Status article_run_mends(const LessonRun *run, void *state) MUST_USE;
Status article_run_stages(const LessonRun *run, void *state) MUST_USE;

#endif
