// SPDX-License-Identifier: MIT
// Rotary positions (Su et al., "RoFormer", 2021): pairs of channels of each head are turned by an
// angle that grows with the position. The gradient is turned back.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    int64_t heads = l->attribute[ATTRIBUTE_HEADS];
    TRY(layer_needs_positions(m, l));
    int64_t C = l->in[1];
    if (C % (2 * heads))
        LAYER_FAIL(ERR_SHAPE, m, l,
                   "heads=%lld of pairs do not divide %lld channels: %lld = 2 × %lld × %lld + %lld",
                   (long long)heads, (long long)C, (long long)C, (long long)heads,
                   (long long)(C / (2 * heads)), (long long)(C % (2 * heads)));
    if (!layer_gives(l, ATTRIBUTE_THETA)) l->real[ATTRIBUTE_THETA] = 1e4;
    layer_keep_shape(l);
    return OK;
}

static const int64_t *attrs(const Layer *l, int64_t out[2]) {
    out[0] = l->attribute[ATTRIBUTE_HEADS];
    out[1] = build_attr_real(l->real[ATTRIBUTE_THETA]);
    return out;
}

static Status forward(Graph *g, int i) {
    int64_t a[2];
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_ROTARY, attrs(&g->m->layers[i], a), VALUES(y),
                         VALUES(graph_input(g, i, 0)));
}

static Status backward(Graph *g, int i) {
    int64_t a[2];
    int dx;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_ROTARY_BACKWARD, attrs(&g->m->layers[i], a), VALUES(dx),
                                VALUES(g->dy[i]));
}

const LayerRow layer_rotary = {
    .word = "rotary",
    .stem = "rotary",
    .required = LAYER_TAKES(HEADS),
    .optional = LAYER_TAKES(THETA),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
