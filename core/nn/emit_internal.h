// SPDX-License-Identifier: MIT
// What the parts of model_emit() share: emit.c makes passes and plans, emit_copies.c what these
// compute with, emit_update.c the updates.
#ifndef CORE_NN_EMIT_INTERNAL_H
#define CORE_NN_EMIT_INTERNAL_H

#include "core/nn/graph_internal.h"

enum { NAME = 256 };  // bytes of the longest name

enum { OPTIMISER_STATES = 2 };  // of one parameter, at most

// The tensors of one layer: those of the program, and of the current shard. NONE: there is none.
typedef struct {
    int32_t parameter[LAYER_PARAMETERS];
    int32_t copy[LAYER_PARAMETERS];  // what passes read: the parameter, or it in fewer digits
    int32_t state[LAYER_PARAMETERS][OPTIMISER_STATES];  // what the optimiser keeps
    int32_t gradient[LAYER_PARAMETERS], gradient_of_0[LAYER_PARAMETERS];
    int32_t joined[LAYER_PARAMETERS];   // the sum of all uses, in the update
    int32_t next[LAYER_PARAMETERS];     // of state that a skipped step leaves alone; or NONE
    int32_t squares[LAYER_PARAMETERS];  // of that, where there is a norm: a sum for each block
} LayerTensors;

typedef struct {
    Program *p;
    Plan *plan;
    const Model *m;
    const StepSpec *spec;
    LayerTensors *layers;                           // in the caller's arena
    Graph step, evaluation;                         // what a pass computes
    int32_t *tensors;                               // [value of either graph] in the current pass
    int compute, host, data;                        // lanes; the axis of that name
    int32_t learning_rate, inverse_count, updates;  // updates: how many there were, for Adam
    int32_t seed, step_number;                      // where the network draws random numbers

    int32_t factor, finite;  // of the gradients in the update; NONE: there is none
    int32_t scaled_count;    // the inverse count times the scale of the loss
    int32_t scale[2];        // that scale, and good steps since it changed; NONE: it is constant

    // The pass being emitted: one micro-batch of one shard, or an evaluation block.
    bool training;
    int shard, micro_batch;
    int64_t rows, whole_rows;  // capacity; of the whole batch
    char suffix[32];           // of its tensors: "/0.1", or "" when there is only one
    int32_t x, labels, live_rows, first_row, loss, counts;
} Emitter;

// A tensor of logical tensor `name`, which is made when it is the first; "NAME SUFFIX" is its own.
Status emit_tensor(Emitter *e, const char *name, const char *suffix, const LogicalSpec *whole,
                   const TensorSpec *piece, int32_t *out) MUST_USE;

// The logical tensor of a parameter, or of something that has its shape: its gradient, its state.
LogicalSpec emit_parameter_spec(const Emitter *e, const LayerParameter *p, Role role);

// emit_copies.c: in a plan, before its passes, what these read instead of parameters.
Status emit_copies(Emitter *e) MUST_USE;

// emit_scale.c: the scale of the loss as state; in a step, what the loss's gradient begins with;
// and how the scale follows from how the step went.
Status emit_scale_state(Emitter *e) MUST_USE;
Status emit_scaled_count(Emitter *e) MUST_USE;
Status emit_rescale(Emitter *e) MUST_USE;

// emit_update.c: what the optimiser keeps from step to step; and the updates of a step's plan.
Status emit_optimiser_state(Emitter *e) MUST_USE;
Status emit_updates(Emitter *e) MUST_USE;

// emit_state.c: with --on-nan skip the passes of a step write the state of its end, such as running
// statistics, beside that of its beginning. Replace state among the operands of one operation,
// `outputs` of which are written, and, in the update, keep what they wrote if the step counts.
Status emit_next_state(Emitter *e, const Graph *g, const GraphOp *op, int32_t *outputs,
                       int32_t *inputs) MUST_USE;
Status emit_kept_state(Emitter *e) MUST_USE;

// One operation of the update of parameter k of layer i, named "WHAT.LAYER.PARAMETER".
Status emit_update_op(Emitter *e, int i, int k, const char *what, const OpSpec *partial,
                      const int32_t *outputs, const int32_t *inputs) MUST_USE;

#endif
