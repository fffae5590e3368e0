// SPDX-License-Identifier: MIT
// Shared by the files of core/nn: what a layer is called, weighs and costs.
#ifndef CORE_NN_MODEL_INTERNAL_H
#define CORE_NN_MODEL_INTERNAL_H

#include "core/nn/model.h"

const char *layer_kind_name(LayerKind k);  // "conv2d", as in model files
const char *layer_kind_stem(LayerKind k);  // "conv": a layer without a name is conv1, conv2 …

static inline bool layer_has_parameters(const Layer *l) {
    return l->kind == LAYER_CONV2D || l->kind == LAYER_LINEAR;
}

// Number of inputs that one output of a conv2d or linear layer is a weighted sum of.
int64_t layer_fan_in(const Layer *l);

// Floating-point operations of the forward pass of one sample: 2 per multiply-add of conv2d and
// linear, padding included; whatever memory alone limits (bias, relu, max_pool, the loss, the
// optimiser) counts as 0. Each of the two backward operations of the layer costs the same.
int64_t layer_flops(const Layer *l);

// Index of the first layer with parameters, where gradients stop: the input needs none.
int model_first_trained(const Model *m);

int64_t model_shape_elements(const int64_t *shape, int dims);

// The attributes of layers in model files: X(ATTRIBUTE, its word). LAYER_LIST says who has which.
#define ATTRIBUTE_LIST(X) \
    X(OUT, "out")         \
    X(KERNEL, "kernel")   \
    X(STRIDE, "stride")   \
    X(PAD, "pad")         \
    X(BIAS, "bias")

typedef enum {
#define X(attribute, ...) ATTRIBUTE_##attribute,
    ATTRIBUTE_LIST(X)
#undef X
        ATTRIBUTE_COUNT
} Attribute;

const char *layer_attribute_name(Attribute a);  // "out"
bool layer_takes(LayerKind kind, Attribute a);
bool layer_requires(LayerKind kind, Attribute a);

// Advice that follows a message about a word that is no layer, or no attribute of a layer: the word
// that was probably meant, or why there is none, and what there is. Returns `out`.
enum { LAYER_ADVICE = 256 };
const char *layer_advise(char out[LAYER_ADVICE], const char *word);
const char *layer_advise_attribute(char out[LAYER_ADVICE], LayerKind kind, const char *word);

extern const char *const model_line_words[];  // "input", "classes" …, then NULL

// Number the layers that have no name, then give every layer its shapes. ERR_SHAPE and ERR_FORMAT
// name the line, the layer and both shapes.
Status model_infer(Model *m, Arena *a) MUST_USE;

#endif
