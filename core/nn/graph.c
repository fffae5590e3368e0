// SPDX-License-Identifier: MIT
// Building the graph of a pass; read graph_build() at the end first.
#include "core/nn/graph_internal.h"

#include "core/base/array.h"
#include "core/nn/freeze.h"
#include "core/nn/layers/layer_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 256 };  // bytes of the longest name

// --- values and operations

static Status add_value(Graph *g, const Value *v, int *out) {
    TRY(ARRAY_RESERVE(g->values, g->value_capacity, g->value_count + 1));
    *out = g->value_count;
    g->values[g->value_count++] = *v;
    return OK;
}

static Status add_op(Graph *g, const GraphOp *op) {
    TRY(ARRAY_RESERVE(g->ops, g->op_capacity, g->op_count + 1));
    g->ops[g->op_count++] = *op;
    return OK;
}

static Status add_named(Graph *g, const Value *partial, const char *name, const int64_t *shape,
                        int *out) {
    Value v = *partial;
    v.name = arena_string(&g->arena, name);
    if (!v.name) FAIL(ERR_MEMORY, "out of memory for %s", name);
    memcpy(v.shape, shape, (size_t)v.dims * sizeof *shape);
    return add_value(g, &v, out);
}

static Status add_rows(Graph *g, const int64_t *shape, int dims, Dtype dtype, int alias, int *out,
                       const char *fmt, ...) PRINTF_LIKE(7, 8);
static Status add_rows(Graph *g, const int64_t *shape, int dims, Dtype dtype, int alias, int *out,
                       const char *fmt, ...) {
    char name[NAME];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    const Value v = {.source = VALUE_ROWS, .dims = dims, .alias = alias, .dtype = dtype};
    return add_named(g, &v, name, shape, out);
}

static const Layer *layer_of(const Graph *g, int layer) { return &g->m->layers[layer]; }

int graph_input(const Graph *g, int layer, int k) {
    int from = layer_of(g, layer)->inputs[k];
    return from == NONE ? g->x : g->y[from];
}

bool graph_wants(const Graph *g, int layer, int k) {
    return g->training && layer_input_trained(g->m, layer_of(g, layer), k);
}

Status graph_output(Graph *g, int layer, int alias, int *out) {
    const Layer *l = layer_of(g, layer);
    TRY(add_rows(g, l->out, l->out_dims, g->dtype, alias, out, "%s.y", l->name));
    g->y[layer] = *out;
    return OK;
}

Status graph_extra(Graph *g, int layer, int k, ValueSource source, const char *what, Dtype dtype,
                   int dims, const int64_t *shape) {
    char name[NAME];
    const Value v = {.source = source, .layer = layer, .dims = dims, .alias = NONE, .dtype = dtype};
    snprintf(name, sizeof name, "%s.%s", layer_of(g, layer)->name, what);
    return add_named(g, &v, name, shape, &g->extra[layer][k]);
}

Status graph_counts(Graph *g, int layers, int64_t columns) {
    const Value v = {
        .source = VALUE_COUNTS, .shape = {layers, columns}, .dims = 2, .dtype = DTYPE_F64};
    return g->counts == NONE ? add_value(g, &v, &g->counts) : OK;
}

// "conv1.dy"; where several layers use conv1's output, "conv1.dy:pool1" is pool1's part of that.
Status graph_dx(Graph *g, int layer, int k, int alias, int *out) {
    const Layer *l = layer_of(g, layer);
    int from = l->inputs[k];
    const Layer *before = layer_of(g, from);
    bool alone = g->use_first[from + 1] - g->use_first[from] == 1;
    char place[8] = "";  // of the input, where the layer takes one output several times
    for (int j = 0; j < l->input_count; j++)
        if (j != k && l->inputs[j] == from) snprintf(place, sizeof place, ".%d", k);
    TRY(add_rows(g, before->out, before->out_dims, g->dtype, alias, out, "%s.dy%s%s%s",
                 before->name, alone ? "" : ":", alone ? "" : l->name, place));
    g->dx[layer][k] = *out;
    return OK;
}

Status graph_dx_or_unused(Graph *g, int layer, int k, int *out) {
    if (graph_wants(g, layer, k)) return graph_dx(g, layer, k, NONE, out);
    int dims;
    const int64_t *shape = layer_input_shape(g->m, layer_of(g, layer), k, &dims);
    return add_rows(g, shape, dims, g->dtype, NONE, out, "%s.unused%d", layer_of(g, layer)->name,
                    k);
}

bool graph_writes_gradient(const Model *m, int layer, int k) {
    for (; k < m->layers[layer].parameter_count; k++)
        if (model_has_gradient(m, layer, k)) return true;
    return false;
}

Status graph_random(Graph *g) {
    if (g->seed != NONE) return OK;
    TRY(add_value(g, &(Value){.source = VALUE_SEED}, &g->seed));
    TRY(add_value(g, &(Value){.source = VALUE_STEP}, &g->step));
    return add_value(g, &(Value){.source = VALUE_FIRST_ROW}, &g->first_row);
}

Status graph_op(Graph *g, int layer, const GraphOp *partial, const int64_t *attrs, Values outputs,
                Values inputs) {
    const Layer *l = layer_of(g, layer);
    GraphOp op = *partial;
    op.layer = l->name;
    op.outputs = outputs;
    op.inputs = inputs;
    for (int i = 0; i < kind_attribute_count(op.kind); i++) op.attrs[i] = attrs[i];
    return add_op(g, &op);
}

Status graph_forward(Graph *g, int layer, Kind kind, const int64_t *attrs, Values outputs,
                     Values inputs) {
    const GraphOp op = {.kind = kind, .phase = PHASE_FORWARD, .what = "forward"};
    return graph_op(g, layer, &op, attrs, outputs, inputs);
}

Status graph_backward_weight(Graph *g, int layer, Kind kind, const int64_t *attrs, Values outputs,
                             Values inputs) {
    const GraphOp op = {
        .kind = kind, .phase = PHASE_BACKWARD, .what = "backward_weight", .accumulates = true};
    if (outputs.of[0] == NONE) return OK;
    return graph_op(g, layer, &op, attrs, outputs, inputs);
}

Status graph_backward_input(Graph *g, int layer, Kind kind, const int64_t *attrs, Values outputs,
                            Values inputs) {
    const GraphOp op = {.kind = kind, .phase = PHASE_BACKWARD, .what = "backward_input"};
    return graph_op(g, layer, &op, attrs, outputs, inputs);
}

// --- the backward

// The gradient of an output that several inputs use: the sum of what these give, added in the order
// in which their layers stand in the model.
static Status sum_uses(Graph *g, int layer) {
    const Layer *l = layer_of(g, layer);
    const int *use = &g->uses[g->use_first[layer]];
    int count = g->use_first[layer + 1] - g->use_first[layer];
#define GIVEN(i) g->dx[use[i] / LAYER_INPUTS][use[i] % LAYER_INPUTS]
    if (count == 1) {
        g->dy[layer] = GIVEN(0);
        return OK;
    }
    TRY(add_rows(g, l->out, l->out_dims, g->dtype, NONE, &g->dy[layer], "%s.dy", l->name));
    GraphOp op = {.kind = KIND_ADD,
                  .phase = PHASE_BACKWARD,
                  .layer = l->name,
                  .what = "backward_sum",
                  .outputs = VALUES(g->dy[layer]),
                  .inputs = VALUES(GIVEN(0), GIVEN(1))};
    TRY(add_op(g, &op));
    op.kind = KIND_FOLD;
    op.flags = OP_ACCUMULATE;
    for (int i = 2; i < count; i++) {
        op.inputs = VALUES(GIVEN(i));
        TRY(add_op(g, &op));
    }
#undef GIVEN
    return OK;
}

static Status add_backward(Graph *g) {
    int last = g->m->layer_count - 1;
    for (int i = last; i >= 0; i--) {
        const Layer *l = layer_of(g, i);
        if (!l->trained || !l->used) continue;
        if (i < last) TRY(sum_uses(g, i));
        TRY(l->row->backward(g, i));
    }
    return OK;
}

// Softmax cross-entropy of the last layer's output.
static Status add_loss(Graph *g) {
    const Layer *last = layer_of(g, g->m->layer_count - 1);
    int probability = NONE, *dy = &g->dy[g->m->layer_count - 1];
    GraphOp op = {.kind = KIND_CROSS_ENTROPY,
                  .phase = PHASE_FORWARD,
                  .layer = "cross_entropy",
                  .what = "forward",
                  .attrs = {build_attr_real(g->smoothing)},
                  .accumulates = true};
    if (g->training)
        TRY(add_rows(g, last->out, last->out_dims, dtype_wide(g->dtype), NONE, &probability,
                     "cross_entropy.probability"));
    op.outputs = VALUES(g->loss, probability);
    op.inputs = VALUES(g->y[g->m->layer_count - 1], g->labels, g->inverse_count);
    TRY(add_op(g, &op));
    if (!g->training) return OK;
    for (int i = 0; i < g->m->layer_count; i++)
        if (layer_of(g, i)->used && layer_of(g, i)->row->loss) TRY(layer_of(g, i)->row->loss(g, i));
    TRY(add_rows(g, last->out, last->out_dims, g->dtype, NONE, dy, "%s.dy", last->name));
    return add_op(g, &(GraphOp){.kind = KIND_CROSS_ENTROPY_BACKWARD,
                                .phase = PHASE_BACKWARD,
                                .layer = "cross_entropy",
                                .what = "backward",
                                .attrs = {build_attr_real(g->smoothing)},
                                .outputs = VALUES(*dy),
                                .inputs = VALUES(probability, g->labels, g->scaled_count)});
}

// --- the whole

static Status add_sources(Graph *g) {
    TRY(add_value(g, &(Value){.source = VALUE_X}, &g->x));
    TRY(add_value(g, &(Value){.source = VALUE_LABELS}, &g->labels));
    TRY(add_value(g, &(Value){.source = VALUE_LOSS}, &g->loss));
    TRY(add_value(g, &(Value){.source = VALUE_INVERSE_COUNT}, &g->inverse_count));
    TRY(add_value(g, &(Value){.source = VALUE_SCALED_COUNT}, &g->scaled_count));
    for (int i = 0; i < g->m->layer_count; i++)
        for (int k = 0; k < LAYER_PARAMETERS; k++) {
            Value v = {.source = VALUE_PARAMETER, .layer = i, .index = k};
            g->parameters[i][k] = g->gradients[i][k] = NONE;
            if (k >= layer_of(g, i)->parameter_count) continue;
            TRY(add_value(g, &v, &g->parameters[i][k]));
            v.source = VALUE_GRADIENT;
            if (g->training && graph_writes_gradient(g->m, i, k))
                TRY(add_value(g, &v, &g->gradients[i][k]));
        }
    return OK;
}

static bool is_use(const Graph *g, int layer, int k) {
    return layer_of(g, layer)->used && layer_of(g, layer)->inputs[k] != NONE;
}

// Who uses the output of each layer, in the order of the layers.
static void find_uses(Graph *g) {
    int n = g->m->layer_count;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < layer_of(g, i)->input_count; k++)
            if (is_use(g, i, k)) g->use_first[layer_of(g, i)->inputs[k] + 1]++;
    for (int i = 0; i < n; i++) g->use_first[i + 1] += g->use_first[i];
    // From the last use to the first, each to the end of what is free of its layer's part.
    int *end = g->dy;  // not yet in use
    for (int i = 0; i < n; i++) end[i] = g->use_first[i + 1];
    for (int i = n - 1; i >= 0; i--)
        for (int k = layer_of(g, i)->input_count - 1; k >= 0; k--) {
            int from = layer_of(g, i)->inputs[k];
            if (is_use(g, i, k)) g->uses[--end[from]] = i * LAYER_INPUTS + k;
        }
    for (int i = 0; i < n; i++) {
        g->dy[i] = NONE;
        for (int k = 0; k < LAYER_EXTRAS; k++) g->extra[i][k] = NONE;
    }
}

static Status build(Graph *g) {
    int n = g->m->layer_count;
    g->y = ARENA_NEW(&g->arena, int, n);
    g->dy = ARENA_NEW(&g->arena, int, n);
    g->extra = arena_push_array(&g->arena, (size_t)n, sizeof *g->extra);
    g->dx = arena_push_array(&g->arena, (size_t)n, sizeof *g->dx);
    g->parameters = arena_push_array(&g->arena, (size_t)n, sizeof *g->parameters);
    g->gradients = arena_push_array(&g->arena, (size_t)n, sizeof *g->gradients);
    g->use_first = ARENA_NEW(&g->arena, int, n + 1);
    g->uses = ARENA_NEW(&g->arena, int, n *LAYER_INPUTS);
    if (!g->y || !g->dy || !g->extra || !g->dx || !g->parameters || !g->gradients ||
        !g->use_first || !g->uses)
        FAIL(ERR_MEMORY, "out of memory for a graph of %d layers", n);
    find_uses(g);
    TRY(add_sources(g));
    for (int i = 0; i < n; i++)
        if (layer_of(g, i)->used) TRY(layer_of(g, i)->row->forward(g, i));
    TRY(add_loss(g));
    return g->training ? add_backward(g) : OK;
}

Status graph_build(Graph *out, const Model *m, const StepSpec *spec, bool training) {
    *out = (Graph){.m = m, .dtype = spec->dtype, .training = training};
    if (training) out->smoothing = spec->label_smoothing;
    out->seed = out->step = out->first_row = out->counts = NONE;
    Status s = build(out);
    if (s != OK) graph_finish(out);
    return s;
}

void graph_finish(Graph *g) {
    free(g->values);
    free(g->ops);
    arena_finish(&g->arena);
    *g = (Graph){0};
}
