// SPDX-License-Identifier: MIT
// y = a + b, two outputs of one shape: what a residual block ends with. The gradient of a sum is
// that of each of its terms, so that the backward hands it on as it is.
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
    return graph_forward(g, i, KIND_ADD, NULL, VALUES(y),
                         VALUES(graph_input(g, i, 0), graph_input(g, i, 1)));
}

static Status backward(Graph *g, int i) {
    for (int k = 0; k < 2; k++)
        if (graph_wants(g, i, k)) g->dx[i][k] = g->dy[i];
    return OK;
}

const LayerRow layer_add = {
    .word = "add",
    .stem = "add",
    .inputs = 2,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
