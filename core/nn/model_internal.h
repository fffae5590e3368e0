// SPDX-License-Identifier: MIT
// What the files of core/nn share.
#ifndef CORE_NN_MODEL_INTERNAL_H
#define CORE_NN_MODEL_INTERNAL_H

#include "core/nn/model.h"

const char *layer_kind_name(LayerKind k);  // "conv2d", as in model files

static inline bool layer_has_parameters(const Layer *l) {
    return l->kind == LAYER_CONV2D || l->kind == LAYER_LINEAR;
}

// Inputs that one output of a conv2d or linear layer is a weighted sum of.
int64_t layer_fan_in(const Layer *l);

// Of the forward pass of one sample: 2 per multiply-add of conv2d and linear, padding included;
// what is only bound by memory (bias, relu, max_pool, the loss, the optimiser) counts as 0. Each of
// the two backward operations of the layer costs the same.
int64_t layer_flops(const Layer *l);

// The first layer with parameters: gradients stop there, for the input needs none.
int model_first_trained(const Model *m);

int64_t model_shape_elements(const int64_t *shape, int dims);

// Number the layers that have no name, then give every layer its shapes. ERR_SHAPE and ERR_FORMAT
// name the line, the layer and both shapes.
Status model_infer(Model *m, Arena *a) MUST_USE;

#endif
