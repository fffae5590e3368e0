// SPDX-License-Identifier: MIT
// Model files: a network as a graph of layers, and the work it emits into a plan.
//
//     Model m;
//     Program p;
//     TRY(model_read(&m, &arena, "mlp:hidden=256"));       // layers with their shapes
//     const StepSpec spec = {.dtype = DTYPE_F32, .batch = 64, .shards = 1, .local_shards = 1,
//                            .micro_batches = 1, .evaluation_rows = EVALUATION_ROWS,
//                            .mesh.data = 1};
//     TRY(model_emit(&p, &m, &spec));                      // what one rank does in a step
//     model_initialise(&p, logical, seed, DTYPE_F32, data);
//
// A kind of layer is a file of core/nn/layers (TOUR.md, "To change X").
#ifndef CORE_NN_MODEL_H
#define CORE_NN_MODEL_H

#include "core/base/arena.h"
#include "core/nn/attribute.h"
#include "core/nn/optimizer.h"
#include "core/plan/build.h"
#include "core/plan/mesh.h"

enum { LAYER_INPUTS = 3, LAYER_PARAMETERS = 4 };

// The tensor LAYER.name, which is trained, or is state: a step writes it, evaluation reads it.
typedef struct {
    const char *name;  // "weight"
    int64_t shape[DIMS];
    int dims;
    bool state;
    bool frozen;     // no step changes it; all uses of a tied one alike
    int64_t fan_in;  // initial values, as Logical (core/plan/program.h) has them
    double normal, constant;
    int owner;     // the layer whose parameter it is: this one, or the one that it is tied to
    int next_use;  // the next layer that is tied to it, which has it at the same place; or NONE
} LayerParameter;

typedef struct {
    const struct LayerRow *row;  // its kind (layer_internal.h)
    const char *name;            // in the arena: "conv1"; where none is given, after kind and place
    int line;                    // of the model file
    int64_t attribute[ATTRIBUTE_COUNT];
    double real[ATTRIBUTE_COUNT];  // of those that are REAL
    unsigned given;                // bit a: the file gives attribute a
    int inputs
        [LAYER_INPUTS];  // layers before it, whose outputs it takes; NONE: the network's input
    int input_count;
    int tie;                      // the layer whose weight it uses, or NONE
    int64_t in[DIMS], out[DIMS];  // shapes of one sample: of its first input, of its output
    int in_dims, out_dims;        // at most DIMS - 1: the batch is not among them
    LayerParameter parameters[LAYER_PARAMETERS];
    int parameter_count;
    bool used;        // the loss depends on its output; else no pass computes it
    bool trained;     // it, or a layer that it gets something from, has parameters to train
    Placement place;  // along "tensor", of its weight, if the file gives it
    int block;        // number of the block that it belongs to as a whole: of the innermost that is
                      // one of a list (`repeat=`, or NAME.0), else of the outermost; or NONE
} Layer;

// The loss is softmax cross-entropy on the logits, which the last layer gives.
typedef struct {
    const char *name;     // "net"
    const char *source;   // file it came from, or "built-in"
    int64_t input[DIMS];  // shape of one sample
    int input_dims;
    bool tokens;      // samples are input[0] tokens, each with a label: the one after it,
    bool masked;      // or itself, where it is masked
    int64_t classes;  // of tokens the vocabulary
    Layer *layers;    // in the arena; each after those whose outputs it takes
    int layer_count;
} Model;

// Read a model: a built-in name with parameters ("net", "mlp:hidden=256"), or a file. Format in
// docs/formats.md, "Model files". ERR_FORMAT / ERR_SHAPE with file, line, layer and both shapes;
// ERR_USAGE for an unknown name, with the nearest one.
Status model_read(Model *out, Arena *a, const char *spec) MUST_USE;
Status model_parse(Model *out, Arena *a, const char *text, const char *source,
                   const char *parameters) MUST_USE;

int64_t model_parameters(const Model *m);          // elements, of all parameters;
int64_t model_trained_parameters(const Model *m);  // of those that a step updates
int64_t model_experts(const Model *m);             // of a layer of experts; 0: it has none

// Floating-point operations of a training step, per sample: 2 per multiply-add of conv2d and linear
// in the forward pass, in the gradients of weights that are trained and, where a layer before has
// such, in the input's gradients; and of attention. Nothing else counts. INT64_MAX: or more.
int64_t model_flops(const Model *m);

// Of a sample's forward pass alone; and of a training step as model flops utilisation counts them
// (Chowdhery et al., PaLM, 2022, appendix B): a backward is twice a forward, so that scores which
// attention computes again count no more than what --recompute does.
int64_t model_forward_flops(const Model *m);
int64_t model_needed_flops(const Model *m);

enum { EVALUATION_ROWS = 256 };  // of one evaluation block, whatever the number of ranks

// The cut of a batch into shards and micro-batches, and this rank's share of it.
typedef struct {
    Dtype dtype;               // of the passes, a real one; parameters of bf16 are f32
    int64_t batch;             // rows of the global batch
    int shards, local_shards;  // of the whole run, and of this rank
    int micro_batches;         // per shard
    bool repeated;             // of these only those that program_repeat() wants
    int64_t evaluation_rows;   // rows of one evaluation block
    Optimizer optimizer;
    double label_smoothing;  // of training; an evaluation has none
    Mesh mesh;               // of all ranks
} StepSpec;

// Build the untransformed program of one rank: axes of the mesh, lanes "compute" and "host", plan
// "step" (per shard and micro-batch load, forward, loss, backward; then one update per parameter
// reading the gradient of local shard 0) and plan "evaluate" (load, forward, loss). Gradients are
// PARTIAL_SUM along "data" and kept apart per local shard; joining them is a strategy's work.
// Of a model of tokens x is i32, and labels have its shape.
// In bf16 activations and their gradients are bf16. Parameters, their gradients and what the
// optimiser keeps are f32; each plan begins with "convert.LAYER.PARAMETER", which rounds a
// parameter to its copy "LAYER.PARAMETER.bf16", and passes read that.
// Scalars: "learning_rate", "inverse_count" f64; per shard s and micro-batch m "first_row.s.m",
// "rows.s.m" i64; "evaluate.first_row", "evaluate.rows". Losses: "loss" (of local shard s >= 1
// "loss/s") f64[2] (sum of losses over the global batch size, correct answers), accumulated over
// micro-batches; "evaluate.loss".
Status model_emit(Program *out, const Model *m, const StepSpec *spec) MUST_USE;

// Initial values of a whole logical tensor, the same on every device (init.c); f64 gets f32's.
bool model_initialises(const Logical *l);  // has it initial values other than 0?
void model_initialise(const Program *p, int logical, uint64_t seed, Dtype dtype, void *data);
// The same of the elements that a tensor holds on a rank (core/plan/piece.h); the rest is zero.
void model_initialise_piece(const Program *p, const Tensor *t, int rank, uint64_t seed, void *data);

#endif
