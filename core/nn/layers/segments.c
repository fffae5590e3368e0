// SPDX-License-Identifier: MIT
// Segments, as BERT has them: to each position the row of the weight that belongs to its segment is
// added. The weight is types×channels and starts from N(0, std²). A sample is one segment here, the
// first, as Hugging Face has it where no token_type_ids are given: the other rows are parameters
// whose gradient is 0. The gradient of a sum is that of each of its terms.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    TRY(layer_needs_positions(m, l));
    layer_keep_shape(l);
    if (!layer_gives(l, ATTRIBUTE_TYPES)) l->attribute[ATTRIBUTE_TYPES] = 2;
    const int64_t shape[] = {l->attribute[ATTRIBUTE_TYPES], l->in[1]};
    layer_add_normal(l, "weight", 2, shape,
                     layer_gives(l, ATTRIBUTE_STD) ? l->real[ATTRIBUTE_STD] : 1);
    return OK;
}

static Status forward(Graph *g, int i) {
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_SEGMENTS, NULL, VALUES(y),
                         VALUES(graph_input(g, i, 0), g->parameters[i][0]));
}

static Status backward(Graph *g, int i) {
    if (graph_wants(g, i, 0)) g->dx[i][0] = g->dy[i];
    return graph_backward_weight(g, i, KIND_SEGMENTS_BACKWARD, NULL, VALUES(g->gradients[i][0]),
                                 VALUES(g->dy[i]));
}

const LayerRow layer_segments = {
    .word = "segments",
    .stem = "seg",
    .optional = LAYER_TAKES(TYPES) | LAYER_TAKES(STD) | LAYER_TAKES(TRAINABLE),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
