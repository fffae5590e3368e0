// SPDX-License-Identifier: MIT
// The largest of each window. Where gradients pass, one byte says which place of its window that
// was: the first of equal ones.
#include "core/nn/layers/layer_internal.h"

enum { KERNEL_MAX = 16 };  // so that 16 × 16 places fit into a byte

static Status infer(const Model *m, Layer *l) {
    int64_t kernel = l->attribute[ATTRIBUTE_KERNEL];
    if (!layer_gives(l, ATTRIBUTE_STRIDE)) l->attribute[ATTRIBUTE_STRIDE] = kernel;
    const LayerWindow w = {kernel, kernel, l->attribute[ATTRIBUTE_STRIDE], 0};
    TRY(layer_slide(m, l, l->in[0], &w));
    if (layer_input_trained(m, l, 0) && kernel > KERNEL_MAX)
        LAYER_FAIL(ERR_SHAPE, m, l,
                   "kernel is %lld: behind a layer with parameters it can be at most %d",
                   (long long)kernel, KERNEL_MAX);
    return OK;
}

static const int64_t *attrs(const Layer *l, int64_t out[2]) {
    out[0] = l->attribute[ATTRIBUTE_KERNEL];
    out[1] = l->attribute[ATTRIBUTE_STRIDE];
    return out;
}

static Status forward(Graph *g, int i) {
    int64_t a[2];
    int y;
    TRY(graph_output(g, i, NONE, &y));
    const Layer *l = &g->m->layers[i];
    if (graph_wants(g, i, 0))
        TRY(graph_extra(g, i, 0, VALUE_ROWS, "index", DTYPE_U8, l->out_dims, l->out));
    return graph_forward(g, i, KIND_MAX_POOL, attrs(l, a), VALUES(y, g->extra[i][0]),
                         VALUES(graph_input(g, i, 0)));
}

static Status backward(Graph *g, int i) {
    int64_t a[2];
    int dx;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_MAX_POOL_BACKWARD, attrs(&g->m->layers[i], a),
                                VALUES(dx), VALUES(g->dy[i], g->extra[i][0]));
}

const LayerRow layer_max_pool = {
    .word = "max_pool",
    .stem = "pool",
    .required = LAYER_TAKES(KERNEL),
    .optional = LAYER_TAKES(STRIDE),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
