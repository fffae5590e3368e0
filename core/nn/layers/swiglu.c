// SPDX-License-Identifier: MIT
// y = gate s(gate) up, s being the logistic function: a linear layer whose gate is SiLU (Shazeer,
// "GLU Variants Improve Transformer", 2020). Two linear layers give gate and up.
#include "core/nn/layers/layer_internal.h"

#include <string.h>

static Status infer(const Model *m, Layer *l) {
    char first[LAYER_SHAPE], second[LAYER_SHAPE];
    int dims;
    const int64_t *shape = layer_input_shape(m, l, 1, &dims);
    if (dims != l->in_dims || memcmp(shape, l->in, (size_t)dims * sizeof *shape))
        LAYER_FAIL(ERR_SHAPE, m, l, "needs two inputs of one shape, but %s and %s",
                   layer_describe_input(m, l, 0, first), layer_describe_input(m, l, 1, second));
    layer_keep_shape(l);
    return OK;
}

static Status forward(Graph *g, int i) {
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_SWIGLU, NULL, VALUES(y),
                         VALUES(graph_input(g, i, 0), graph_input(g, i, 1)));
}

static Status backward(Graph *g, int i) {
    int dx[2];
    for (int k = 0; k < 2; k++) TRY(graph_dx_or_unused(g, i, k, &dx[k]));
    return graph_backward_input(g, i, KIND_SWIGLU_BACKWARD, NULL, VALUES(dx[0], dx[1]),
                                VALUES(g->dy[i], graph_input(g, i, 0), graph_input(g, i, 1)));
}

const LayerRow layer_swiglu = {
    .word = "swiglu",
    .stem = "glu",
    .inputs = 2,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
