// SPDX-License-Identifier: MIT
// A kind of layer: one row, in a file of its own. The row says everything that the rest of core/nn
// must know of the kind; linear.c is an example.
//
//     forward   reads graph_input(), adds graph_output() and the operation that writes it
//     backward  reads g->dy[layer], the gradient of the loss with respect to the output, and writes
//               the parameters' gradients, then, for each input k that graph_wants(), graph_dx().
//               What an operation reads and writes in memory follows from its operands.
#ifndef CORE_NN_LAYERS_LAYER_INTERNAL_H
#define CORE_NN_LAYERS_LAYER_INTERNAL_H

#include "core/nn/graph_internal.h"
#include "core/nn/model.h"

// Every kind of layer, in the order in which messages list them: core/nn/layers/NAME.c defines
// layer_NAME, and core/nn/meson.build compiles it.
// clang-format off
#define LAYER_LIST(X)                                                                        \
    X(conv2d) X(linear) X(relu) X(gelu) X(max_pool) X(avg_pool) X(flatten) X(add) X(attention) \
    X(rms_norm) X(rotary) X(swiglu) X(dropout) X(batch_norm) X(embedding) \
    X(positions) X(segments) X(layer_norm) X(experts)
// clang-format on

typedef struct LayerRow {
    const char *word;             // in model files: "conv2d"
    const char *stem;             // of names that are made up for it: "conv", for conv1, conv2 ...
    unsigned required, optional;  // sets of attributes, as LAYER_TAKES() makes them
    int inputs;                   // how many it takes
    bool or_one;                  // or one alone
    bool takes_tokens;            // the network's input, and nothing else
    // From the inputs' shapes and the attributes: its output's shape, its parameters, and
    // attributes that were not given. ERR_SHAPE says what does not fit (LAYER_FAIL).
    Status (*infer)(const Model *m, Layer *l);
    // Of the forward pass of one sample: 2 per multiply-add, padding included. Each of the backward
    // operations costs the same. NULL: memory alone limits it, which counts as 0.
    int64_t (*flops)(const Layer *l);
    // Of the whole backward, where it is no multiple of that.
    int64_t (*flops_backward)(const Layer *l);
    Status (*forward)(Graph *g, int layer);
    // What it adds to the loss of training, and counts for its report. NULL: nothing.
    Status (*loss)(Graph *g, int layer);
    Status (*backward)(Graph *g, int layer);
} LayerRow;

#define LAYER_TAKES(attribute) (1u << ATTRIBUTE_##attribute)

#define X(name) extern const LayerRow layer_##name;
LAYER_LIST(X)
#undef X

extern const LayerRow *const layer_rows[];     // then NULL
const LayerRow *layer_find(const char *word);  // NULL: there is none

// Fail with ERR_SHAPE or ERR_FORMAT at a layer: "x.model:5: conv2d conv1: ...".
#define LAYER_FAIL(s, m, l, fmt, ...) \
    FAIL((s), "%s:%d: %s %s: " fmt, (m)->source, (l)->line, (l)->row->word, (l)->name, __VA_ARGS__)

// --- for rows

static inline bool layer_gives(const Layer *l, Attribute a) { return l->given >> a & 1; }

void layer_keep_shape(Layer *l);  // its output has the shape of its first input

// Windows of height × width over channels×height×width, `stride` apart, `pad` around: PyTorch's
// floor((in + 2 pad - kernel) / stride) + 1 of them, so that incomplete ones are left out. Its
// output has `channels`. ERR_SHAPE where the input is none of three dimensions or too small.
typedef struct {
    int64_t height, width, stride, pad;
} LayerWindow;
Status layer_slide(const Model *m, Layer *l, int64_t channels, const LayerWindow *w) MUST_USE;

// Its input is positions×channels. ERR_SHAPE says what it is instead.
Status layer_needs_positions(const Model *m, const Layer *l) MUST_USE;

// A parameter of this shape, whose initial values are uniform in ±1/sqrt(fan_in), or zeros if that
// is 0; normal, of this standard deviation; or constant. State is not trained, and starts constant.
void layer_add_parameter(Layer *l, const char *name, int dims, const int64_t *shape,
                         int64_t fan_in);
void layer_add_normal(Layer *l, const char *name, int dims, const int64_t *shape, double std);
void layer_add_constant(Layer *l, const char *name, int dims, const int64_t *shape, double value);
void layer_add_state(Layer *l, const char *name, int dims, const int64_t *shape, double value);

// A weight whose dimension 0 is the outputs, and a bias unless bias=false; fan_in is the size of
// the other dimensions, the number of inputs that one output is a weighted sum of. With std= the
// weight is normal, and the bias zero.
void layer_add_weight_and_bias(Layer *l, int dims, const int64_t *shape);
int64_t layer_weighted_flops(const Layer *l);

// What is wrong with an input, for messages: "pool2 gives 20×4×4" or "the input is 1×28×28".
enum { LAYER_SHAPE = 192 };
const char *layer_describe_input(const Model *m, const Layer *l, int input, char out[LAYER_SHAPE]);
const char *layer_describe_shape(const int64_t *shape, int dims, char out[LAYER_SHAPE]);

// The output's shape of the layer behind input k, or that of the network's input; its dimensions.
const int64_t *layer_input_shape(const Model *m, const Layer *l, int k, int *dims);

// Vectors: one, or one for each position of a sequence. ERR_SHAPE where input 0 is something else.
Status layer_check_vectors(const Model *m, const Layer *l) MUST_USE;

// Has the layer behind input k, or one before it, parameters?
bool layer_input_trained(const Model *m, const Layer *l, int k);

// Elements of a shape; INT64_MAX where they are more.
int64_t layer_elements(const int64_t *shape, int dims);

#endif
