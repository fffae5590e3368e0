// SPDX-License-Identifier: MIT
// A network that a lesson looks into: the step that the trainer runs, by its executor on the
// reference device, in one rank of this thread, at weights and on rows that the lesson chooses.
//
//     Probe n;
//     TRY(probe_create(&n, arena, &(ProbeOptions){.model = "mlp", .dtype = DTYPE_F64, .rows = 8,
//                                                 .x = x, .labels = labels}));
//     TRY(probe_step(&n, chosen, 8, 0));  // n.loss, n.gradient; a rate of 0 changes no weight
//     probe_destroy(&n);
#ifndef LESSONS_ENGINE_PROBE_H
#define LESSONS_ENGINE_PROBE_H

#include "core/nn/model.h"
#include "parallel/run/executor.h"

#include <stdint.h>

enum { PROBE_WATCHED = 24 };

typedef struct {
    const char *model;  // as --model has it; or with `text` the lines of a model file
    bool text;
    Dtype dtype;        // DTYPE_F32 or DTYPE_F64
    int64_t rows;       // at most, of a step
    int micro_batches;  // of a step, whose gradients are added up; 0: one
    Optimizer optimizer;
    const double *x;        // borrowed: all samples, one after the other,
    const int32_t *labels;  // and what they are
} ProbeOptions;

typedef struct {
    int tensor;
    int64_t elements;
    double *values;
} ProbeWatched;

typedef struct {
    ProbeOptions options;
    Arena *arena;  // borrowed
    Model model;
    Program program;
    Executor executor;
    int64_t weight_count;
    double *gradient;             // [weight_count], of the last step, in the order of the weights
    double loss;                  // mean over the rows of the last step or loss
    int64_t right;                // rows of them whose label has the largest logit
    int64_t forwards, backwards;  // passes so far, as the executor ran them
    const int32_t *chosen;        // while it runs: which samples
    int64_t row_elements;
    ProbeWatched watched[PROBE_WATCHED];
    int watched_count;
} Probe;

// Reads the model, makes and checks its program, binds it; weights are those of seed 1. Everything
// is in the arena but what probe_destroy() frees. It stays where it is until then.
Status probe_create(Probe *n, Arena *a, const ProbeOptions *options) MUST_USE;
void probe_destroy(Probe *n);  // safe on a zeroed network

// All parameters, layer by layer, of each the weight before the bias.
void probe_set_weights(Probe *n, const double *values);
void probe_get_weights(const Probe *n, double *values);

// Initial values as `train --seed` begins with.
void probe_initialise(Probe *n, uint64_t seed);

// Where a parameter begins among the weights, by its name ("fc1.weight"); -1: there is none.
int64_t probe_find(const Probe *n, const char *name);

// What a tensor of the step holds whenever an operation has just written it ("fc1.y"); NULL: there
// is none of that name, or too many are watched.
const double *probe_watch(Probe *n, const char *tensor);

// A training step on some of the samples, `count` of them, options.rows at most: forward, backward,
// update at that rate.
Status probe_step(Probe *n, const int32_t *chosen, int64_t count, double rate) MUST_USE;

// The forward pass alone.
Status probe_loss(Probe *n, const int32_t *chosen, int64_t count) MUST_USE;

#endif
