// SPDX-License-Identifier: MIT
// Batch normalisation of channels (core/device/reference/batch_norm.c has the formulas). A pass
// normalises with the statistics of its own rows: those of a micro-batch of a shard. Running
// statistics are state, which the passes of shard 0 update in order; evaluation reads them.
#include "core/nn/layers/layer_internal.h"

enum { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR };  // parameters
enum { STATISTICS, SUMS };                         // extra values

static Status infer(const Model *m, Layer *l) {
    if (l->in_dims != 1 && l->in_dims != 3) {
        char from[LAYER_SHAPE];
        LAYER_FAIL(ERR_SHAPE, m, l, "%s, not channels, or channels×height×width",
                   layer_describe_input(m, l, 0, from));
    }
    if (layer_gives(l, ATTRIBUTE_MOMENTUM) && l->real[ATTRIBUTE_MOMENTUM] > 1)
        LAYER_FAIL(ERR_SHAPE, m, l,
                   "momentum=%g: it is the share of the new statistics, at most 1 (0.1 where other "
                   "frameworks say 0.9)",
                   l->real[ATTRIBUTE_MOMENTUM]);
    layer_keep_shape(l);
    layer_add_constant(l, "weight", 1, l->in, 1);
    layer_add_constant(l, "bias", 1, l->in, 0);
    layer_add_state(l, "running_mean", 1, l->in, 0);
    layer_add_state(l, "running_var", 1, l->in, 1);
    if (!layer_gives(l, ATTRIBUTE_EPS)) l->real[ATTRIBUTE_EPS] = 1e-5;
    if (!layer_gives(l, ATTRIBUTE_MOMENTUM)) l->real[ATTRIBUTE_MOMENTUM] = 0.1;
    return OK;
}

static Status evaluate(Graph *g, int i, int y) {
    const int64_t eps = build_attr_real(g->m->layers[i].real[ATTRIBUTE_EPS]);
    const int *p = g->parameters[i];
    return graph_forward(
        g, i, KIND_BATCH_NORM_INFERENCE, &eps, VALUES(y),
        VALUES(graph_input(g, i, 0), p[RUNNING_MEAN], p[RUNNING_VAR], p[WEIGHT], p[BIAS]));
}

static Status forward(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    const int64_t eps = build_attr_real(l->real[ATTRIBUTE_EPS]),
                  momentum = build_attr_real(l->real[ATTRIBUTE_MOMENTUM]);
    const int64_t shape[] = {1, 3, l->in[0]};
    const int *p = g->parameters[i];
    int y, x = graph_input(g, i, 0);
    TRY(graph_output(g, i, NONE, &y));
    if (!g->training) return evaluate(g, i, y);
    TRY(graph_extra(g, i, STATISTICS, VALUE_FIXED, "statistics", DTYPE_F64, 3, shape));
    int statistics = g->extra[i][STATISTICS];
    GraphOp op = {.kind = KIND_BATCH_NORM_STATISTICS, .phase = PHASE_FORWARD, .what = "statistics"};
    TRY(graph_op(g, i, &op, NULL, VALUES(statistics), VALUES(x)));
    TRY(graph_forward(g, i, KIND_BATCH_NORM, &eps, VALUES(y),
                      VALUES(x, statistics, p[WEIGHT], p[BIAS])));
    op = (GraphOp){.kind = KIND_BATCH_NORM_UPDATE,
                   .phase = PHASE_FORWARD,
                   .what = "update",
                   .of_shard_0 = true};
    return graph_op(g, i, &op, &momentum, VALUES(p[RUNNING_MEAN], p[RUNNING_VAR]),
                    VALUES(p[RUNNING_MEAN], p[RUNNING_VAR], statistics));
}

static Status backward(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    const int64_t eps = build_attr_real(l->real[ATTRIBUTE_EPS]), shape[] = {2, l->in[0]};
    int x = graph_input(g, i, 0), statistics = g->extra[i][STATISTICS], sums, dx;
    const GraphOp op = {
        .kind = KIND_BATCH_NORM_REDUCE, .phase = PHASE_BACKWARD, .what = "backward_reduce"};
    TRY(graph_extra(g, i, SUMS, VALUE_FIXED, "sums", DTYPE_F64, 2, shape));
    sums = g->extra[i][SUMS];
    TRY(graph_op(g, i, &op, &eps, VALUES(sums), VALUES(g->dy[i], x, statistics)));
    TRY(graph_backward_weight(g, i, KIND_BATCH_NORM_BACKWARD_WEIGHT, NULL,
                              VALUES(g->gradients[i][WEIGHT], g->gradients[i][BIAS]),
                              VALUES(sums)));
    if (!graph_wants(g, i, 0)) return OK;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_BATCH_NORM_BACKWARD_INPUT, &eps, VALUES(dx),
                                VALUES(g->dy[i], x, statistics, sums, g->parameters[i][WEIGHT]));
}

const LayerRow layer_batch_norm = {
    .word = "batch_norm",
    .stem = "bn",
    .optional = LAYER_TAKES(EPS) | LAYER_TAKES(MOMENTUM) | LAYER_TAKES(TRAINABLE),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
