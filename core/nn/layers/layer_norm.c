// SPDX-License-Identifier: MIT
// Layer normalisation of each position (Ba, Kiros and Hinton, 2016), with a weight and a bias for
// each channel that begin as 1 and 0. Its backward reads x.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    TRY(layer_needs_positions(m, l));
    if (!layer_gives(l, ATTRIBUTE_EPS)) l->real[ATTRIBUTE_EPS] = 1e-5;
    layer_keep_shape(l);
    layer_add_constant(l, "weight", 1, &l->in[1], 1);
    layer_add_constant(l, "bias", 1, &l->in[1], 0);
    return OK;
}

static Status forward(Graph *g, int i) {
    int64_t eps = build_attr_real(g->m->layers[i].real[ATTRIBUTE_EPS]);
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_LAYER_NORM, &eps, VALUES(y),
                         VALUES(graph_input(g, i, 0), g->parameters[i][0], g->parameters[i][1]));
}

static Status backward(Graph *g, int i) {
    int64_t eps = build_attr_real(g->m->layers[i].real[ATTRIBUTE_EPS]);
    int dx;
    TRY(graph_backward_weight(g, i, KIND_LAYER_NORM_BACKWARD_WEIGHT, &eps,
                              VALUES(g->gradients[i][0], g->gradients[i][1]),
                              VALUES(g->dy[i], graph_input(g, i, 0))));
    if (!graph_wants(g, i, 0)) return OK;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_LAYER_NORM_BACKWARD_INPUT, &eps, VALUES(dx),
                                VALUES(g->dy[i], graph_input(g, i, 0), g->parameters[i][0]));
}

const LayerRow layer_layer_norm = {
    .word = "layer_norm",
    .stem = "ln",
    .optional = LAYER_TAKES(EPS) | LAYER_TAKES(TRAINABLE),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
