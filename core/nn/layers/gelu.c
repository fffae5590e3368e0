// SPDX-License-Identifier: MIT
// y = x Φ(x), Φ being the normal distribution (Hendrycks and Gimpel, "Gaussian Error Linear Units",
// 2016), exact, as PyTorch's GELU by default, or with tanh=true its approximation by tanh, which
// GPT-2 has. Its backward reads x.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    layer_keep_shape(l);
    return OK;
}

static bool is_tanh(const Graph *g, int i) { return g->m->layers[i].attribute[ATTRIBUTE_TANH]; }

static Status forward(Graph *g, int i) {
    int y;
    TRY(graph_output(g, i, NONE, &y));
    Kind kind = is_tanh(g, i) ? KIND_GELU_TANH : KIND_GELU;
    return graph_forward(g, i, kind, NULL, VALUES(y), VALUES(graph_input(g, i, 0)));
}

static Status backward(Graph *g, int i) {
    int dx;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    Kind kind = is_tanh(g, i) ? KIND_GELU_TANH_BACKWARD : KIND_GELU_BACKWARD;
    return graph_backward_input(g, i, kind, NULL, VALUES(dx),
                                VALUES(g->dy[i], graph_input(g, i, 0)));
}

const LayerRow layer_gelu = {
    .word = "gelu",
    .stem = "gelu",
    .optional = LAYER_TAKES(TANH),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
