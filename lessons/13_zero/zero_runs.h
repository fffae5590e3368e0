// SPDX-License-Identifier: MIT
// The numbers of lesson 13: the job as drawn, the plans of DDP and of each stage of ZeRO, and what
// the trainer took and sent with them.
#ifndef LESSONS_13_ZERO_ZERO_RUNS_H
#define LESSONS_13_ZERO_ZERO_RUNS_H

#include "lessons/engine/lesson.h"
#include "parallel/strategy/footprint.h"

#include <stdbool.h>

enum {
    ZERO_STAGES = 4,
    ZERO_STEPS = 2,
    ZERO_LAYERS = 12,
    ZERO_NAME = 16,
    ZERO_GATHERS = 2 * ZERO_LAYERS
};

// A rank's step as planned.
typedef struct {
    double activations, flops;
} ZeroPlan;

// What a rank did.
typedef struct {
    double state_bytes;  // parameters, gradients, optimiser, and what is on its way
    double sent;         // bytes, a step
    double loss;         // of the last step
    uint64_t hash;       // of all weights
} ZeroRun;

// Weights of a layer that are whole on a rank, from operation to operation of the step.
typedef struct {
    int layer, first, last;
    bool backward;
} ZeroGather;

typedef struct {
    int ranks, hidden, layers;
    char model[48];
    double weights, first_layer;  // bytes: of all parameters, of the first layer's
    Footprint closed[ZERO_STAGES];
    ZeroPlan plan[ZERO_STAGES];
    ZeroRun run[ZERO_STAGES];
    bool ran;
    ZeroGather gathers[ZERO_GATHERS];
    int gather_count;
    char layer_names[ZERO_LAYERS][ZERO_NAME];
    int layer_count;
} Zero;

Status zero_draw(const LessonRun *run, void *state) MUST_USE;
Status zero_train(const LessonRun *run, void *state) MUST_USE;

// What the formula says of parameters, gradients and optimiser together.
double zero_state_bytes(const Footprint *f);

#endif
