// SPDX-License-Identifier: MIT
// y = weight x + bias, the weight being out×in.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    char input[LAYER_SHAPE];
    if (l->in_dims != 1)
        LAYER_FAIL(ERR_SHAPE, m, l, "needs a vector, but %s (add flatten before it)",
                   layer_describe_input(m, l, 0, input));
    l->out[0] = l->attribute[ATTRIBUTE_OUT];
    l->out_dims = 1;
    layer_add_weight_and_bias(l, 2, (const int64_t[]){l->out[0], l->in[0]});
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
    .optional = LAYER_TAKES(BIAS) | LAYER_TAKES(TIE) | LAYER_TAKES(STD),
    .inputs = 1,
    .infer = infer,
    .flops = layer_weighted_flops,
    .forward = forward,
    .backward = backward,
};
