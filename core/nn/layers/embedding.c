// SPDX-License-Identifier: MIT
// A vector for each token: row t of the weight, which is vocabulary×out and starts from N(0, std²),
// as PyTorch's Embedding with std 1. Only the network's input is tokens, which have no gradient.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    const int64_t shape[] = {m->classes, l->attribute[ATTRIBUTE_OUT]};
    l->out[0] = l->in[0];
    l->out[1] = shape[1];
    l->out_dims = 2;
    layer_add_normal(l, "weight", 2, shape,
                     layer_gives(l, ATTRIBUTE_STD) ? l->real[ATTRIBUTE_STD] : 1);
    return OK;
}

static Status forward(Graph *g, int i) {
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_EMBEDDING, NULL, VALUES(y),
                         VALUES(graph_input(g, i, 0), g->parameters[i][0]));
}

static Status backward(Graph *g, int i) {
    return graph_backward_weight(g, i, KIND_EMBEDDING_BACKWARD, NULL, VALUES(g->gradients[i][0]),
                                 VALUES(graph_input(g, i, 0), g->dy[i]));
}

const LayerRow layer_embedding = {
    .word = "embedding",
    .stem = "emb",
    .required = LAYER_TAKES(OUT),
    .optional = LAYER_TAKES(STD) | LAYER_TAKES(TRAINABLE),
    .inputs = 1,
    .takes_tokens = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
