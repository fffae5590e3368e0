// SPDX-License-Identifier: MIT
// y = max(x, 0). Its backward reads y: dx = dy where y is positive.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    layer_keep_shape(l);
    return OK;
}

static Status forward(Graph *g, int i) {
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_RELU, NULL, VALUES(y), VALUES(graph_input(g, i, 0)));
}

static Status backward(Graph *g, int i) {
    int dx;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_RELU_BACKWARD, NULL, VALUES(dx),
                                VALUES(g->dy[i], g->y[i]));
}

const LayerRow layer_relu = {
    .word = "relu",
    .stem = "relu",
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
