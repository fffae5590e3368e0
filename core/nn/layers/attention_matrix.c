// SPDX-License-Identifier: MIT
// Attention in the operations that it had before FlashAttention: scores of all pairs, their
// softmax, dropout of the probabilities, the weighed values. Each matrix is T×T for every head, and
// the backward reads the probabilities twice, before and after dropout: what Korthikanti et al.,
// "Reducing Activation Recomputation in Large Transformer Models", 2022, count as 5 a s² b bytes.
// core/device/attention_matrix.h has the formulas; attention.c the layer's shapes.
#include "core/nn/layers/attention_internal.h"

enum { SCORES, PROBABILITY, DROPPED, MASK, DPROBABILITY, DDROPPED, DSCORES, DVALUES };

Status attention_matrix_infer(const Model *m, const Layer *l) {
    double p = l->real[ATTRIBUTE_P];
    bool unfused = l->attribute[ATTRIBUTE_UNFUSED];
    if (!unfused && (layer_gives(l, ATTRIBUTE_P) || l->attribute[ATTRIBUTE_MASK]))
        LAYER_FAIL(ERR_SHAPE, m, l,
                   "%s is of probabilities in memory, and attention as one kernel "
                   "keeps none: add unfused=true",
                   layer_gives(l, ATTRIBUTE_P) ? "p" : "mask");
    if (!unfused) return OK;
    if (l->input_count != 1)
        LAYER_FAIL(ERR_SHAPE, m, l,
                   "unfused=true takes query, key and value side by side in one "
                   "input, and there are %d; give one linear layer with all three",
                   l->input_count);
    if (p >= 1) LAYER_FAIL(ERR_SHAPE, m, l, "p=%g would drop everything: it is less than 1", p);
    return OK;
}

int64_t attention_matrix_flops(const Layer *l) {
    int64_t T = l->out[0], flops;
    bool fits = !__builtin_mul_overflow(4 * T, T, &flops);
    return fits && !__builtin_mul_overflow(flops, l->out[1], &flops) ? flops : INT64_MAX;
}

// --- operations

static bool drops(const Graph *g, int i) {
    return g->training && g->m->layers[i].real[ATTRIBUTE_P] > 0;
}

static Status add_matrix(Graph *g, int i, int k, const char *what, Dtype dtype) {
    const Layer *l = &g->m->layers[i];
    const int64_t shape[] = {l->attribute[ATTRIBUTE_HEADS], l->out[0], l->out[0]};
    return graph_extra(g, i, k, VALUE_ROWS, what, dtype, 3, shape);
}

static Status add_op(Graph *g, int i, Kind kind, Phase phase, const char *what, Values outputs,
                     Values inputs) {
    const Layer *l = &g->m->layers[i];
    bool softmax = kind == KIND_ATTENTION_SOFTMAX || kind == KIND_ATTENTION_SOFTMAX_BACKWARD;
    bool dropout =
        kind == KIND_DROPOUT || kind == KIND_DROPOUT_BACKWARD || kind == KIND_DROPOUT_MASK_BACKWARD;
    const int64_t heads[] = {l->attribute[ATTRIBUTE_HEADS], l->attribute[ATTRIBUTE_KV_HEADS]},
                  causal[] = {l->attribute[ATTRIBUTE_CAUSAL]},
                  drop[] = {build_attr_real(l->real[ATTRIBUTE_P]), i, 0, 0};
    const GraphOp op = {.kind = kind, .phase = phase, .what = what};
    return graph_op(g, i, &op, softmax ? causal : dropout ? drop : heads, outputs, inputs);
}

static Status drop(Graph *g, int i) {
    const int *extra = g->extra[i];
    TRY(add_matrix(g, i, DROPPED, "dropped", g->dtype));
    if (g->m->layers[i].attribute[ATTRIBUTE_MASK]) TRY(add_matrix(g, i, MASK, "mask", DTYPE_U8));
    TRY(graph_random(g));
    return add_op(g, i, KIND_DROPOUT, PHASE_FORWARD, "dropout", VALUES(extra[DROPPED], extra[MASK]),
                  VALUES(extra[PROBABILITY], g->seed, g->step, g->first_row));
}

Status attention_matrix_forward(Graph *g, int i) {
    const int *extra = g->extra[i];
    int y, qkv = graph_input(g, i, 0);
    TRY(graph_output(g, i, NONE, &y));
    TRY(add_matrix(g, i, SCORES, "scores", g->dtype));
    TRY(add_matrix(g, i, PROBABILITY, "probability", g->dtype));
    TRY(add_op(g, i, KIND_ATTENTION_SCORES, PHASE_FORWARD, "scores", VALUES(extra[SCORES]),
               VALUES(qkv)));
    TRY(add_op(g, i, KIND_ATTENTION_SOFTMAX, PHASE_FORWARD, "softmax", VALUES(extra[PROBABILITY]),
               VALUES(extra[SCORES])));
    if (drops(g, i)) TRY(drop(g, i));
    int weights = drops(g, i) ? extra[DROPPED] : extra[PROBABILITY];
    return add_op(g, i, KIND_ATTENTION_VALUES, PHASE_FORWARD, "values", VALUES(y),
                  VALUES(weights, qkv));
}

static Status drop_backward(Graph *g, int i) {
    const int *extra = g->extra[i];
    bool kept = extra[MASK] != NONE;
    TRY(add_matrix(g, i, DPROBABILITY, "dprobability", g->dtype));
    if (kept)
        return add_op(g, i, KIND_DROPOUT_MASK_BACKWARD, PHASE_BACKWARD, "dropout_backward",
                      VALUES(extra[DPROBABILITY]), VALUES(extra[DDROPPED], extra[MASK]));
    return add_op(g, i, KIND_DROPOUT_BACKWARD, PHASE_BACKWARD, "dropout_backward",
                  VALUES(extra[DPROBABILITY]),
                  VALUES(extra[DDROPPED], g->seed, g->step, g->first_row));
}

Status attention_matrix_backward(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    const int *extra = g->extra[i];
    int64_t kv = l->out[1] / l->attribute[ATTRIBUTE_HEADS] * l->attribute[ATTRIBUTE_KV_HEADS];
    int dx, qkv = graph_input(g, i, 0);
    int weights = drops(g, i) ? extra[DROPPED] : extra[PROBABILITY];
    TRY(graph_dx_or_unused(g, i, 0, &dx));
    TRY(add_matrix(g, i, DDROPPED, "ddropped", g->dtype));
    TRY(add_matrix(g, i, DSCORES, "dscores", g->dtype));
    TRY(graph_extra(g, i, DVALUES, VALUE_ROWS, "dvalues", g->dtype, 2,
                    (const int64_t[]){l->out[0], kv}));
    TRY(add_op(g, i, KIND_ATTENTION_VALUES_BACKWARD, PHASE_BACKWARD, "values_backward",
               VALUES(extra[DDROPPED], extra[DVALUES]), VALUES(g->dy[i], weights, qkv)));
    if (drops(g, i)) TRY(drop_backward(g, i));
    int dp = drops(g, i) ? extra[DPROBABILITY] : extra[DDROPPED];
    TRY(add_op(g, i, KIND_ATTENTION_SOFTMAX_BACKWARD, PHASE_BACKWARD, "softmax_backward",
               VALUES(extra[DSCORES]), VALUES(dp, extra[PROBABILITY])));
    return add_op(g, i, KIND_ATTENTION_SCORES_BACKWARD, PHASE_BACKWARD, "scores_backward",
                  VALUES(dx), VALUES(extra[DSCORES], extra[DVALUES], qkv));
}
