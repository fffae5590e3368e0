// SPDX-License-Identifier: MIT
// The largest of each window, as PyTorch's MaxPool2d: what `pad` adds around the planes never is.
// Where gradients pass, one byte says which place of its window it was: the first of equal ones.
#include "core/nn/layers/layer_internal.h"

enum { KERNEL_MAX = 16 };  // so that 16 × 16 places fit into a byte

static Status infer(const Model *m, Layer *l) {
    int64_t kernel = l->attribute[ATTRIBUTE_KERNEL], pad = l->attribute[ATTRIBUTE_PAD];
    if (!layer_gives(l, ATTRIBUTE_STRIDE)) l->attribute[ATTRIBUTE_STRIDE] = kernel;
    if (pad > kernel / 2)
        LAYER_FAIL(ERR_SHAPE, m, l, "pad is %lld, it can be at most half of the kernel, %lld",
                   (long long)pad, (long long)(kernel / 2));
    const LayerWindow w = {kernel, kernel, l->attribute[ATTRIBUTE_STRIDE], pad};
    TRY(layer_slide(m, l, l->in[0], &w));
    if (layer_input_trained(m, l, 0) && kernel > KERNEL_MAX)
        LAYER_FAIL(ERR_SHAPE, m, l,
                   "kernel is %lld: behind a layer with parameters it can be at most %d",
                   (long long)kernel, KERNEL_MAX);
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
    const Layer *l = &g->m->layers[i];
    if (graph_wants(g, i, 0))
        TRY(graph_extra(g, i, 0, VALUE_ROWS, "index", DTYPE_U8, l->out_dims, l->out));
    return graph_forward(g, i, KIND_MAX_POOL, attrs(l, a), VALUES(y, g->extra[i][0]),
                         VALUES(graph_input(g, i, 0)));
}

static Status backward(Graph *g, int i) {
    int64_t a[3];
    int dx;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_MAX_POOL_BACKWARD, attrs(&g->m->layers[i], a),
                                VALUES(dx), VALUES(g->dy[i], g->extra[i][0]));
}

const LayerRow layer_max_pool = {
    .word = "max_pool",
    .stem = "pool",
    .required = LAYER_TAKES(KERNEL),
    .optional = LAYER_TAKES(STRIDE) | LAYER_TAKES(PAD),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
