// SPDX-License-Identifier: MIT
// Dropout (Srivastava et al., 2014): training sets each element to 0 with probability p, and
// divides the others by 1 - p; evaluation takes them as they are. The mask follows from seed,
// step, layer and the element's place in the global batch (core/device/dropout.h), so that the
// backward can draw it again. With mask=true it is kept instead, a byte an element.
#include "core/nn/layers/layer_internal.h"

enum { MASK };  // the extra value that the backward reads, if it is kept

static Status infer(const Model *m, Layer *l) {
    if (l->real[ATTRIBUTE_P] >= 1)
        LAYER_FAIL(ERR_SHAPE, m, l, "p=%g would drop everything: it is less than 1",
                   l->real[ATTRIBUTE_P]);
    layer_keep_shape(l);
    return OK;
}

static const int64_t *attrs(const Graph *g, int i, int64_t out[4]) {
    out[0] = build_attr_real(g->m->layers[i].real[ATTRIBUTE_P]);
    out[1] = i;
    out[2] = out[3] = 0;  // rows are whole
    return out;
}

static Status forward(Graph *g, int i) {
    int64_t a[4];
    int y;
    if (!g->training) return graph_output(g, i, graph_input(g, i, 0), &y);
    TRY(graph_output(g, i, NONE, &y));
    const Layer *l = &g->m->layers[i];
    if (l->attribute[ATTRIBUTE_MASK] && l->trained)
        TRY(graph_extra(g, i, MASK, VALUE_ROWS, "mask", DTYPE_U8, l->out_dims, l->out));
    TRY(graph_random(g));
    return graph_forward(g, i, KIND_DROPOUT, attrs(g, i, a), VALUES(y, g->extra[i][MASK]),
                         VALUES(graph_input(g, i, 0), g->seed, g->step, g->first_row));
}

static Status backward(Graph *g, int i) {
    int64_t a[4];
    int dx;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    if (g->extra[i][MASK] != NONE)
        return graph_backward_input(g, i, KIND_DROPOUT_MASK_BACKWARD, attrs(g, i, a), VALUES(dx),
                                    VALUES(g->dy[i], g->extra[i][MASK]));
    return graph_backward_input(g, i, KIND_DROPOUT_BACKWARD, attrs(g, i, a), VALUES(dx),
                                VALUES(g->dy[i], g->seed, g->step, g->first_row));
}

const LayerRow layer_dropout = {
    .word = "dropout",
    .stem = "drop",
    .required = LAYER_TAKES(P),
    .optional = LAYER_TAKES(MASK),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
