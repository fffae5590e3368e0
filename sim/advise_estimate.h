// SPDX-License-Identifier: MIT
// Closed forms for a job that is divided: what its weights and states take at least, and about how
// long a step takes. Good for an order in which to simulate, not for an answer.
#ifndef SIM_ADVISE_ESTIMATE_H
#define SIM_ADVISE_ESTIMATE_H

#include "sim/predict.h"

// What the forms need of a model and a machine.
typedef struct {
    double parameters;         // elements, of all layers,
    double expert_parameters;  // of these in layers of experts
    double sample_flops;       // that a training step needs for a sample
    double width;              // elements that one sample's blocks hand on
    int blocks;                // of layers, such as a transformer's
    int experts;               // of a layer; 0: none
    int layers;
    bool tokens;
    double state_bytes;    // of the optimiser, for each element
    double passes_bytes;   // of an element in the passes' type, 0: the parameters themselves
    double element_bytes;  // of activations
    double flops_per_s;    // that products may reach
    double link_bytes_per_s, rail_bytes_per_s;
    bool all_rails;  // a collective over nodes sends by those of all its members
    double layer_s;  // that a layer takes at least in a pass: launches
    int devices_per_node;
} EstimateModel;

// From the job's model and the setting's machine. The arena is for scratch. Fails as
// job_spec_model() does.
Status estimate_model_read(EstimateModel *out, Arena *a, const JobSpec *s,
                           const SimSetting *setting) MUST_USE;

// Weights, gradients and states of a device, at least: all divided evenly, no working set.
double estimate_model_least_bytes(const EstimateModel *m, const JobSpec *s);

// A step, in milliseconds: arithmetic with what is computed again, launches, the bubble, and the
// communication of each axis that the passes do not hide.
double estimate_model_step_ms(const EstimateModel *m, const JobSpec *s);

#endif
