// SPDX-License-Identifier: MIT
// y = weight x + bias, the weight being out×in, of a vector or of each position of a sequence.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    int last = l->in_dims - 1;
    TRY(layer_check_vectors(m, l));
    layer_keep_shape(l);
    l->out[last] = l->attribute[ATTRIBUTE_OUT];
    layer_add_weight_and_bias(l, 2, (const int64_t[]){l->out[last], l->in[last]});
    return OK;
}

static Status forward(Graph *g, int i) {
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_LINEAR, NULL, VALUES(y),
                         VALUES(graph_input(g, i, 0), g->parameters[i][0], g->parameters[i][1]));
}

// The weight's gradient first: communication waits for that one.
static Status backward(Graph *g, int i) {
    int dx;
    TRY(graph_backward_weight(g, i, KIND_LINEAR_BACKWARD_WEIGHT, NULL,
                              VALUES(g->gradients[i][0], g->gradients[i][1]),
                              VALUES(graph_input(g, i, 0), g->dy[i])));
    if (!graph_wants(g, i, 0)) return OK;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_LINEAR_BACKWARD_INPUT, NULL, VALUES(dx),
                                VALUES(g->dy[i], g->parameters[i][0]));
}

const LayerRow layer_linear = {
    .word = "linear",
    .stem = "fc",
    .required = LAYER_TAKES(OUT),
    .optional = LAYER_TAKES(BIAS) | LAYER_TAKES(TIE) | LAYER_TAKES(STD) | LAYER_TAKES(TRAINABLE) |
                LAYER_TAKES(PLACE),
    .inputs = 1,
    .infer = infer,
    .flops = layer_weighted_flops,
    .forward = forward,
    .backward = backward,
};
