// SPDX-License-Identifier: MIT
// Training steps on data and weights that a test gives: model, strategy, plan_check, lower,
// executor, as `train` has them, without its files. All ranks run in this thread (the serial
// communicator). What fails, fails the test.
#ifndef TESTS_SUPPORT_STEP_DRIVER_H
#define TESTS_SUPPORT_STEP_DRIVER_H

#include "core/nn/model.h"
#include "parallel/run/executor.h"
#include "parallel/strategy/strategy.h"

enum { STEP_RANKS = 4, STEP_WATCHED = 192, STEP_EVALUATION_ROWS = 16 };

typedef struct {
    const char *model, *device;
    Dtype dtype;
    int ranks, shards, micro_batches;  // 0: one rank, as many shards as ranks, one micro-batch
    int64_t batch;   // rows of the global batch; step i takes batch i of the samples,
    const float *x;  // and after the last the first again
    const int32_t *labels;
    const int32_t *tokens;  // in place of x, where the model reads tokens
    int64_t row_labels;     // labels of a row; 0: one
    int64_t samples;
    double learning_rate, label_smoothing;
    Optimizer optimizer;
    StrategyOptions strategy;  // local_shards is set here
    bool unfused;              // every operation by itself: all tensors can be watched
} StepOptions;

// What rank 0's piece of a tensor held when it was last written, as doubles: also of a tensor whose
// memory others use later.
typedef struct {
    int tensor;
    int64_t elements;
    double *values;
    void (*correct)(void *context, double *values);  // or NULL
    void *context;
} Watched;

typedef struct {
    StepOptions options;
    Arena arena;
    Model model;
    Program program;
    CommWorld *world;
    Comm comms[STEP_RANKS];
    Executor executors[STEP_RANKS];
    Watched watched[STEP_WATCHED];
    int watched_count;
    int64_t step;
} StepDriver;

// The driver stays where it is until step_driver_finish().
void step_driver_init(StepDriver *d, const StepOptions *options);
void step_driver_finish(StepDriver *d);

// Elements of all parameters, and all of them in table order (the order of the layers, weight
// before bias). Set on rank 0 and brought to the others by the plan "broadcast".
int64_t step_driver_parameter_count(const StepDriver *d);
void step_driver_set_parameters(StepDriver *d, const double *values);
void step_driver_get_parameters(const StepDriver *d, int rank, double *values);

const double *step_driver_watch(StepDriver *d, const char *tensor);

// Watch it, and let `correct` change what rank 0 goes on with, whenever it has been written.
const double *step_driver_correct(StepDriver *d, const char *tensor,
                                  void (*correct)(void *context, double *values), void *context);

// One step of all ranks; returns rank 0's loss.
double step_driver_run(StepDriver *d);

// Evaluate the samples from the first on, a block of STEP_EVALUATION_ROWS on each rank: the
// `block`th such round. The next step takes the first batch again.
void step_driver_evaluate(StepDriver *d, int block);

#endif
