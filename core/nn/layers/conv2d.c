// SPDX-License-Identifier: MIT
// y(k) = bias(k) + sum over c of weight(k,c) * x(c), * being cross-correlation with a square
// kernel, as in PyTorch's Conv2d.
#include "core/nn/layers/layer_internal.h"

static LayerWindow window(const Layer *l) {
    int64_t kernel = l->attribute[ATTRIBUTE_KERNEL];
    return (LayerWindow){kernel, kernel, l->attribute[ATTRIBUTE_STRIDE],
                         l->attribute[ATTRIBUTE_PAD]};
}

static Status infer(const Model *m, Layer *l) {
    if (!layer_gives(l, ATTRIBUTE_STRIDE)) l->attribute[ATTRIBUTE_STRIDE] = 1;
    int64_t out = l->attribute[ATTRIBUTE_OUT], kernel = l->attribute[ATTRIBUTE_KERNEL];
    const LayerWindow w = window(l);
    TRY(layer_slide(m, l, out, &w));
    layer_add_weight_and_bias(l, 4, (const int64_t[]){out, l->in[0], kernel, kernel});
    return OK;
}

static const int64_t *attrs(const Layer *l, int64_t out[3]) {
    out[0] = l->attribute[ATTRIBUTE_KERNEL];
    out[1] = l->attribute[ATTRIBUTE_STRIDE];
    out[2] = l->attribute[ATTRIBUTE_PAD];
    return out;
}

static Status forward(Graph *g, int i) {
    int64_t a[3];
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_CONV2D, attrs(&g->m->layers[i], a), VALUES(y),
                         VALUES(graph_input(g, i, 0), g->parameters[i][0], g->parameters[i][1]));
}

// The weight's gradient first: communication waits for that one.
static Status backward(Graph *g, int i) {
    int64_t a[3];
    int dx;
    attrs(&g->m->layers[i], a);
    TRY(graph_backward_weight(g, i, KIND_CONV2D_BACKWARD_WEIGHT, a,
                              VALUES(g->gradients[i][0], g->gradients[i][1]),
                              VALUES(graph_input(g, i, 0), g->dy[i])));
    if (!graph_wants(g, i, 0)) return OK;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_CONV2D_BACKWARD_INPUT, a, VALUES(dx),
                                VALUES(g->dy[i], g->parameters[i][0]));
}

const LayerRow layer_conv2d = {
    .word = "conv2d",
    .stem = "conv",
    .required = LAYER_TAKES(OUT) | LAYER_TAKES(KERNEL),
    .optional = LAYER_TAKES(STRIDE) | LAYER_TAKES(PAD) | LAYER_TAKES(BIAS) | LAYER_TAKES(TIE) |
                LAYER_TAKES(STD) | LAYER_TAKES(TRAINABLE) | LAYER_TAKES(PLACE),
    .inputs = 1,
    .infer = infer,
    .flops = layer_weighted_flops,
    .forward = forward,
    .backward = backward,
};
