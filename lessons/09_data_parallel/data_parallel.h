// SPDX-License-Identifier: MIT
// Lesson 9: what its runs fill in and its texts show.
#ifndef LESSONS_09_DATA_PARALLEL_DATA_PARALLEL_H
#define LESSONS_09_DATA_PARALLEL_DATA_PARALLEL_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>
#include <stdint.h>

enum { DP_RANKS = 6, DP_WEIGHTS = 3, DP_ROWS = 12 };

// Mistakes in a data-parallel program.
typedef enum {
    FAULT_SUM,           // mean gradients of ranks are added up, and not divided by their number
    FAULT_NO_BROADCAST,  // every rank begins with weights of its own
    FAULT_SAME_ROWS,     // all ranks take the same rows of a batch
    FAULT_NO_RESHUFFLE,  // every epoch has the order of the first
    FAULT_UNWEIGHTED,    // ranks with different numbers of rows count the same
    FAULT_COUNT,
    FAULT_NONE = FAULT_COUNT
} Fault;

// What a run of the small linear model shows, beside one rank on the same batches.
typedef struct {
    double apart;         // of two ranks' weights in the end, the largest difference
    double first_length;  // of the first step, times that of one rank
    double first_angle;   // between the two, in degrees
    double seen;          // different rows in the first epoch, of all
    double repeated;      // batches of the second epoch that had the rows of one of the first
    double local[DP_RANKS][DP_WEIGHTS];  // the mean gradient of each rank's rows in the first step
    double joined[DP_WEIGHTS];           // what the ranks made of them
} Symptoms;

typedef struct {
    int ranks;
    uint64_t seed;
    // The trainer's network, on one rank and on several.
    bool trained;
    int64_t weights, differ, differ_plain;  // of N ranks from one rank with as many shards, and
                                            // from one that takes the batch as a whole
    double most, most_plain, moved;         // largest differences; of a weight in all steps
    // Two shards of unequal size.
    int rows[2];
    float gradient[2][DP_ROWS];  // of each row
    double weighted;             // what two ranks came to; NaN: not yet
    // A sum in place of a mean.
    double rate;         // of learning
    Symptoms good, sum;  // runs without a mistake and with this one
    bool summed;
    // A mistake that is to be found.
    Fault fault;
    Symptoms found, of[FAULT_COUNT];  // the run's symptoms, and those of each mistake
    bool compared;
} DataParallel;

// Its mean gradients, and what follows from them.
double data_parallel_mean(const DataParallel *x, int rank);

// Train the linear model on the ranks with a mistake.
Status data_parallel_run_loop(Symptoms *out, const DataParallel *x, Fault fault) MUST_USE;

Status data_parallel_run_training(const LessonRun *run, void *state) MUST_USE;
Status data_parallel_run_uneven(const LessonRun *run, void *state) MUST_USE;
Status data_parallel_run_sum(const LessonRun *run, void *state) MUST_USE;
Status data_parallel_run_found(const LessonRun *run, void *state) MUST_USE;
Status data_parallel_run_faults(const LessonRun *run, void *state) MUST_USE;

// The mistake whose symptoms are those that were found.
Fault data_parallel_diagnose(const DataParallel *x);

#endif
