// SPDX-License-Identifier: MIT
// Attention whose scores lie in memory (unfused=true): what attention.c asks of
// attention_matrix.c.
#ifndef CORE_NN_LAYERS_ATTENTION_INTERNAL_H
#define CORE_NN_LAYERS_ATTENTION_INTERNAL_H

#include "core/nn/layers/layer_internal.h"

// ERR_SHAPE: query, key and value are not side by side in one input, dropout of everything, or
// attributes of the probabilities where these are not in memory.
Status attention_matrix_infer(const Model *m, const Layer *l) MUST_USE;

// Flops of the forward pass of one sample, as Layer's row has them; the backward takes twice those.
int64_t attention_matrix_flops(const Layer *l);

Status attention_matrix_forward(Graph *g, int layer) MUST_USE;
Status attention_matrix_backward(Graph *g, int layer) MUST_USE;

#endif
