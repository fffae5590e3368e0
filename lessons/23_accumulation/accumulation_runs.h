// SPDX-License-Identifier: MIT
// What lesson 23 computes: runs that synchronise every micro-batch or the last alone, the memory of
// both, losses of micro-batches of unequal size, and statistics that are synchronised.
#ifndef LESSONS_23_ACCUMULATION_ACCUMULATION_RUNS_H
#define LESSONS_23_ACCUMULATION_ACCUMULATION_RUNS_H

#include "lessons/engine/trial.h"

#include <stdbool.h>

enum { PARTS = 3, UPDATES = 4 };

typedef struct {
    int ranks, micro_batches, rows;  // rows: of a micro-batch of a rank
    char model[32];
    double weight_bytes;
    double bytes_each, bytes_last;  // that rank 0 takes for an update: all synchronise, or the last
    double apart;                   // of weights, from one pass over the whole batch
    uint64_t hash_ranks, hash_one;
    bool ran;
    double activations[2];  // planned: of one pass, of micro-batches
    int part_rows[PARTS];
    double part_loss[PARTS];  // mean of each
    double whole_loss;        // measured over all rows at once; 0: not yet
    double gradient_error;    // of the mean of means, relative to the gradient
    double payload[2];        // of a step of a residual network, without and with SyncBatchNorm
} Accumulation;

Status accumulation_draw(const LessonRun *run, void *state) MUST_USE;
Status accumulation_run_ranks(const LessonRun *run, void *state) MUST_USE;
Status accumulation_run_parts(const LessonRun *run, void *state) MUST_USE;

#endif
