// SPDX-License-Identifier: MIT
// What a pass over a network computes, as a graph of values and operations: once per network, for
// any number of rows. emit.c makes tensors and operations of it for every shard and micro-batch.
//
//     Graph g;
//     TRY(graph_build(&g, model, spec, training));  // forward, loss; when training, backward
//     TRY(graph_rewrite(&g));
//     ... g.values in the order of their tensors, g.ops in the order of execution
//     graph_finish(&g);
//
// The forward is what the layers' rows say, in the order of the layers. The backward is derived
// from it: layers in reverse, each by its own rule, after the gradients of all that use its output
// have been summed in the order of the layers (docs/contract.md, 3).
#ifndef CORE_NN_GRAPH_INTERNAL_H
#define CORE_NN_GRAPH_INTERNAL_H

#include "core/base/arena.h"
#include "core/nn/model.h"

// Where the tensor of a value comes from.
typedef enum {
    VALUE_ROWS,    // of each pass its own: a row per sample
    VALUE_FIXED,   // the same without rows: statistics of the pass
    VALUE_QUEUES,  // of experts (core/plan/expert.h): (1,E), or (1,E,S,C), S following from rows
    VALUE_COUNTS,  // of the choices of tokens, of the whole batch
    VALUE_X,       // the samples, and their labels
    VALUE_LABELS,
    VALUE_LOSS,  // sums over the whole batch
    VALUE_INVERSE_COUNT,
    VALUE_SCALED_COUNT,  // the same, times the scale of the loss: what its gradient begins with
    VALUE_SEED,          // what random numbers are drawn for
    VALUE_STEP,
    VALUE_FIRST_ROW,
    VALUE_PARAMETER,  // number `index` of layer `layer`, which may be state
    VALUE_GRADIENT    // of one that is trained, to which each micro-batch adds
} ValueSource;

typedef struct {
    ValueSource source;
    int layer, index;     // of a parameter and its gradient; of queues the layer
    const char *name;     // "conv1.y", in the graph's arena
    int64_t shape[DIMS];  // of one sample, or of all there is
    int dims;
    int alias;  // the value whose memory it views, or NONE
    Dtype dtype;
} Value;

enum { GRAPH_OPERANDS = 8, GRAPH_ATTRIBUTES = 4, LAYER_EXTRAS = 24 };

// Operands end with the first NONE: optional ones are absent from the right.
typedef struct {
    int of[GRAPH_OPERANDS + 1];
} Values;
#define VALUES(...) ((Values){{__VA_ARGS__, NONE}})

typedef struct {
    Kind kind;
    Phase phase;
    const char *layer, *what;  // the operation is LAYER.what: "conv1", "forward"
    int64_t attrs[GRAPH_ATTRIBUTES];
    int flags;                 // OP_ACCUMULATE: it always adds to its outputs
    bool accumulates;          // it does from the second micro-batch on
    bool of_shard_0, of_last;  // by shard 0 alone, such as state's update; by the last micro-batch
    Values outputs, inputs;
} GraphOp;

typedef struct {
    const Model *m;
    Dtype dtype;
    bool training;
    double smoothing;  // of labels
    Arena arena;       // names
    Value *values;     // owned, as the arrays below
    GraphOp *ops;
    int value_count, value_capacity, op_count, op_capacity;
    int x, labels, loss, inverse_count, scaled_count;  // values
    int seed, step, first_row, counts;  // what graph_random() and graph_counts() added, or NONE
    // Of each layer, in the arena.
    int *y, *dy;                          // its output; the gradient of that, once it is known
    int (*extra)[LAYER_EXTRAS];           // what graph_extra() added, or NONE
    int (*dx)[LAYER_INPUTS];              // what it gives of the gradient of its inputs, or NONE
    int (*parameters)[LAYER_PARAMETERS];  // values, as the next
    int (*gradients)[LAYER_PARAMETERS];
    int *use_first, *uses;  // uses[use_first[i] .. use_first[i + 1]): consumer × LAYER_INPUTS + k
} Graph;

Status graph_build(Graph *out, const Model *m, const StepSpec *spec, bool training) MUST_USE;
void graph_finish(Graph *g);  // safe on a zeroed graph
// Cheaper operations for the same bits (rewrite.c gives the reasons).
Status graph_rewrite(Graph *g) MUST_USE;

// --- for the rows of layers; `layer` is an index into the model's layers

int graph_input(const Graph *g, int layer, int k);   // the value of input k
bool graph_wants(const Graph *g, int layer, int k);  // does the gradient of input k matter?

// Is there a tensor g->gradients[layer][k]? Outputs may be absent from the right alone: where a
// parameter behind k has a gradient, k has a tensor, too, which nobody reads if it is frozen.
bool graph_writes_gradient(const Model *m, int layer, int k);

// New values: the layer's output; the gradient of input k; and, as extra[layer][k], what else the
// forward leaves for the backward: "index" and the like. A view has the memory of `alias`, which
// else is NONE. An extra value is VALUE_ROWS with the shape of one sample, or FIXED, or QUEUES.
Status graph_output(Graph *g, int layer, int alias, int *out) MUST_USE;
Status graph_extra(Graph *g, int layer, int k, ValueSource source, const char *what, Dtype dtype,
                   int dims, const int64_t *shape) MUST_USE;
Status graph_dx(Graph *g, int layer, int k, int alias, int *out) MUST_USE;
// g->counts: a row of `columns` counts for each of so many layers.
Status graph_counts(Graph *g, int layers, int64_t columns) MUST_USE;

// The gradient of input k for an operation that writes it whether anybody wants it or not.
Status graph_dx_or_unused(Graph *g, int layer, int k, int *out) MUST_USE;

// g->seed, g->step and g->first_row, for operations that draw random numbers.
Status graph_random(Graph *g) MUST_USE;

// Operations of the layer: "conv1.forward"; "conv1.backward_weight", which adds to what earlier
// micro-batches left, and is left out when it has no outputs; "conv1.backward_input". `attrs` as
// KIND_LIST has them, or NULL.
// graph_op() makes any other: of the kind, phase, name and flags of `partial`.
Status graph_forward(Graph *g, int layer, Kind kind, const int64_t *attrs, Values outputs,
                     Values inputs) MUST_USE;
Status graph_backward_weight(Graph *g, int layer, Kind kind, const int64_t *attrs, Values outputs,
                             Values inputs) MUST_USE;
Status graph_backward_input(Graph *g, int layer, Kind kind, const int64_t *attrs, Values outputs,
                            Values inputs) MUST_USE;
Status graph_op(Graph *g, int layer, const GraphOp *partial, const int64_t *attrs, Values outputs,
                Values inputs) MUST_USE;

#endif
