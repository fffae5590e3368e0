// SPDX-License-Identifier: MIT
// The numbers of lesson 14: a job of a split MLP as planned and as run, a small MLP that ranks
// compute rightly and wrongly, and an all-reduce within a node and across nodes.
#ifndef LESSONS_14_TENSOR_PARALLEL_TENSOR_SPLIT_H
#define LESSONS_14_TENSOR_PARALLEL_TENSOR_SPLIT_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

// What is done wrong by the ranks of the small MLP.
typedef enum {
    FAULT_BIAS,    // every rank adds the second layer's bias before the sum
    FAULT_RELU,    // the first layer is cut by its inputs, and ReLU comes before the sum
    FAULT_NO_SUM,  // the all-reduce is missing: each rank goes on with its part
    FAULT_COUNT,
    FAULT_NONE = FAULT_COUNT
} SplitFault;

enum { SPLIT_RANKS = 4, SPLIT_UNITS = 2 * SPLIT_RANKS, SPLIT_OUTPUTS = 3 };

// y = W2 relu(W1 x + b1) + b2, as many inputs as hidden units, two of each on a rank.
typedef struct {
    float x[SPLIT_UNITS], w1[SPLIT_UNITS][SPLIT_UNITS], b1[SPLIT_UNITS];
    float w2[SPLIT_OUTPUTS][SPLIT_UNITS], b2[SPLIT_OUTPUTS];
} SmallMlp;

typedef struct {
    int ranks, hidden, pairs, batch;
    char model[48];
    double weights;                   // bytes of the whole model
    double joined;                    // bytes of all results that are joined in a step
    int planned_joins;                // all-reduces of a step along "tensor"
    double dense_bytes, split_bytes;  // of hidden layers' results, on one rank and on one of N
    bool ran;
    double sent, loss, dense_loss;  // by a rank, a step; of the last step

    SmallMlp mlp;
    SplitFault fault;
    float dense[SPLIT_OUTPUTS];                        // on one rank
    float partial[SPLIT_RANKS][SPLIT_OUTPUTS];         // of each rank, before the sum
    float right[SPLIT_OUTPUTS], wrong[SPLIT_OUTPUTS];  // from rank 0, measured
    bool computed;
    int ulps;  // between dense and right, at most

    double reduced, link_rate, rail_rate, link_latency, rail_latency;  // bytes; per second; seconds
    double formula_ratio, nccl_ratio;                                  // across / within
} TensorSplit;

Status tensor_split_draw(const LessonRun *run, void *state) MUST_USE;
Status tensor_split_train(const LessonRun *run, void *state) MUST_USE;
Status tensor_split_compute(const LessonRun *run, void *state) MUST_USE;

// What the small MLP gives with a fault, or with none, in double.
void tensor_split_expect(double out[SPLIT_OUTPUTS], const TensorSplit *x, SplitFault fault);

// The fault whose outcome is nearest to these outputs.
SplitFault tensor_split_diagnose(const TensorSplit *x, const float out[SPLIT_OUTPUTS]);

#endif
