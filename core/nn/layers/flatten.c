// SPDX-License-Identifier: MIT
// The same memory, seen as vectors: no operation.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    l->out[0] = layer_elements(l->in, l->in_dims);
    l->out_dims = 1;
    return OK;
}

static Status forward(Graph *g, int i) {
    int y;
    return graph_output(g, i, graph_input(g, i, 0), &y);
}

static Status backward(Graph *g, int i) {
    int dx;
    return graph_dx(g, i, 0, g->dy[i], &dx);
}

const LayerRow layer_flatten = {
    .word = "flatten",
    .stem = "flatten",
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
