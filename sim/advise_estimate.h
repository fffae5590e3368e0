// SPDX-License-Identifier: MIT
// Closed forms for a job that is divided: what its weights and states take at least, and how long a
// step takes at least. Both are bounds: what they exclude need not be planned.
#ifndef SIM_ADVISE_ESTIMATE_H
#define SIM_ADVISE_ESTIMATE_H

#include "sim/predict.h"

// Where sequences are cut, blocks wait for each other's keys and values: few blocks in a row show
// what many take but for this share.
#define ADVISE_RING_ERROR 0.08

// What the forms need of a model and a machine.
typedef struct {
    double parameters;         // elements, of all layers,
    double expert_parameters;  // of these in layers of experts
    int blocks;                // of layers, such as a transformer's
    int experts;               // of a layer; 0: none
    int layers;
    bool tokens;
    double state_bytes;    // of the optimiser, for each element
    double passes_bytes;   // of an element in the passes' type, 0: the parameters themselves
    int devices_per_node;
} EstimateModel;

// From the job's model and the setting's machine. The arena is for scratch. Fails as
// job_spec_model() does.
Status estimate_model_read(EstimateModel *out, Arena *a, const JobSpec *s,
                           const SimSetting *setting) MUST_USE;

// Weights, gradients and states of a device, at least: all divided evenly, no working set.
double estimate_model_least_bytes(const EstimateModel *m, const JobSpec *s);

// The same with what the first stage keeps of the micro-batches that have not come back to it,
// where the whole model keeps `kept` bytes of one.
double estimate_model_least_kept(const EstimateModel *m, const JobSpec *s, double kept);

// About what it is: not a bound, but good for an order.
double estimate_model_kept(const EstimateModel *m, const JobSpec *s, double kept);

// A step of a job whose tensor and context parallel ranks take `pass` for the whole model, forward
// and backward of a micro-batch: all passes, and the bubble of the pipeline's schedule. As `pass`.
double estimate_model_least_step(const JobSpec *s, double pass);

#endif
