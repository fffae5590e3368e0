// SPDX-License-Identifier: MIT
// Small real training runs for lessons, and predictions of the same jobs. Numbers that do not
// depend on time (losses, weights, bytes, counts) are always those of the run; times are measured,
// or in virtual time simulated on the built-in machine `laptop`: then transcripts agree everywhere.
#ifndef LESSONS_ENGINE_TRIAL_H
#define LESSONS_ENGINE_TRIAL_H

#include "core/report/report.h"
#include "lessons/engine/lesson.h"
#include "parallel/run/executor.h"
#include "parallel/run/job.h"
#include "sim/predict.h"

// What came out; arrays are in the arena of the lesson's run.
typedef struct {
    int steps;
    double *loss;                     // [steps], mean per label of the global batch
    double held_out_loss, accuracy;   // after the last step; NaN where nothing was held out
    double step_ms;                   // median over the steps after the first
    double breakdown_ms[TIME_COUNT];  // of a step
    int64_t memory[MEMORY_COUNT];     // planned on rank 0
    int64_t taken_bytes;              // by rank 0 from others in all steps, as its communicator
                                      // counted
    double *weights;                  // [weight_count], all parameters of rank 0 in plan order
    int64_t weight_count;
    uint64_t hash;   // of the weights
    bool simulated;  // step_ms and breakdown_ms are
} Trial;

// A job as lessons run it: `net` on 400 digits, 20 steps, one rank, ranks as threads, and the
// reference device, whose bits are the same everywhere. A lesson changes what it teaches.
JobOptions trial_options(void);

// Train. ERR_FAILED also where the loss is not finite.
Status trial_train(Trial *out, const LessonRun *run, const JobOptions *options) MUST_USE;

// Train, and before each operation of a rank call this in its thread: it may read and write what
// the operation is about to use, as a mistake in a program would, or a loss that train has not.
typedef struct {
    void *context;
    void (*before)(void *context, Executor *e, int plan, int op);
} TrialHook;
Status trial_train_hooked(Trial *out, const LessonRun *run, const JobOptions *options,
                          const TrialHook *hook) MUST_USE;

// The same step on a described machine, built in, by name: every rank has a device of it, or where
// it is a host shares its cores.
Status trial_predict(Prediction *out, const LessonRun *run, const JobSpec *spec,
                     const char *platform) MUST_USE;

#endif
