// SPDX-License-Identifier: MIT
// The mean of each window; with global=true of the whole plane, whatever its height and width; with
// out=N of N × N windows side by side, as PyTorch's AdaptiveAvgPool2d has them where N divides.
#include "core/nn/layers/layer_internal.h"

static bool is_global(const Layer *l) { return l->attribute[ATTRIBUTE_GLOBAL]; }

static LayerWindow window(const Layer *l) {
    int64_t kernel = l->attribute[ATTRIBUTE_KERNEL];
    return is_global(l) ? (LayerWindow){l->in[1], l->in[2], 1, 0}
                        : (LayerWindow){kernel, kernel, l->attribute[ATTRIBUTE_STRIDE], 0};
}

// Windows of the size that makes so many of them.
static Status divide(const Model *m, Layer *l) {
    int64_t out = l->attribute[ATTRIBUTE_OUT], height = l->in[1], width = l->in[2];
    const LayerWindow any = {1, 1, 1, 0};
    TRY(layer_slide(m, l, l->in[0], &any));  // channels×height×width
    if (height != width || height % out)
        LAYER_FAIL(ERR_SHAPE, m, l, "out=%lld must divide a square image, and this is %lld×%lld",
                   (long long)out, (long long)height, (long long)width);
    l->attribute[ATTRIBUTE_KERNEL] = l->attribute[ATTRIBUTE_STRIDE] = height / out;
    return OK;
}

static Status infer(const Model *m, Layer *l) {
    bool divides = layer_gives(l, ATTRIBUTE_OUT), sized = layer_gives(l, ATTRIBUTE_KERNEL);
    bool stride = layer_gives(l, ATTRIBUTE_STRIDE);
    if (is_global(l) + sized + divides != 1 || (stride && !sized))
        LAYER_FAIL(ERR_FORMAT, m, l, "needs %s", "either kernel=, out= or global=true");
    if (divides)
        TRY(divide(m, l));
    else if (!stride)
        l->attribute[ATTRIBUTE_STRIDE] = l->attribute[ATTRIBUTE_KERNEL];
    const LayerWindow w = window(l);
    return layer_slide(m, l, l->in[0], &w);
}

static const int64_t *attrs(const Layer *l, int64_t out[3]) {
    const LayerWindow w = window(l);
    out[0] = w.height;
    out[1] = w.width;
    out[2] = w.stride;
    return out;
}

static Status forward(Graph *g, int i) {
    int64_t a[3];
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_AVG_POOL, attrs(&g->m->layers[i], a), VALUES(y),
                         VALUES(graph_input(g, i, 0)));
}

static Status backward(Graph *g, int i) {
    int64_t a[3];
    int dx;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_AVG_POOL_BACKWARD, attrs(&g->m->layers[i], a),
                                VALUES(dx), VALUES(g->dy[i]));
}

const LayerRow layer_avg_pool = {
    .word = "avg_pool",
    .stem = "mean",
    .optional = LAYER_TAKES(KERNEL) | LAYER_TAKES(STRIDE) | LAYER_TAKES(GLOBAL) | LAYER_TAKES(OUT),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
