// SPDX-License-Identifier: MIT
// Learned positions: to position p of a sequence the p-th row of the weight is added, which is
// positions×channels and starts from N(0, std²), with std 1 as PyTorch's Embedding. The gradient of
// a sum is that of each of its terms, so that the backward hands it on as it is.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    TRY(layer_needs_positions(m, l));
    layer_keep_shape(l);
    layer_add_normal(l, "weight", 2, l->in,
                     layer_gives(l, ATTRIBUTE_STD) ? l->real[ATTRIBUTE_STD] : 1);
    return OK;
}

static Status forward(Graph *g, int i) {
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_POSITIONS, NULL, VALUES(y),
                         VALUES(graph_input(g, i, 0), g->parameters[i][0]));
}

static Status backward(Graph *g, int i) {
    if (graph_wants(g, i, 0)) g->dx[i][0] = g->dy[i];
    return graph_backward_weight(g, i, KIND_POSITIONS_BACKWARD, NULL, VALUES(g->gradients[i][0]),
                                 VALUES(g->dy[i]));
}

const LayerRow layer_positions = {
    .word = "positions",
    .stem = "pos",
    .optional = LAYER_TAKES(STD) | LAYER_TAKES(TRAINABLE),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
