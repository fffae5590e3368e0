// SPDX-License-Identifier: MIT
// Multi-head attention of positions to each other (Vaswani et al., 2017), with as many heads of
// keys and values or fewer (Ainslie et al., "GQA", 2023). It has no parameters: `linear` layers
// give query, key and value, three outputs or side by side in one, as GPT-2 has it. One kernel does
// all of it, unless unfused=true asks for the matrix of scores (attention_matrix.c).
// core/device/attention.h has the formulas.
#include "core/nn/layers/attention_internal.h"

enum { LSE };  // the extra value that the backward reads

static bool is_packed(const Layer *l) { return l->input_count == 1; }

// "heads=5 does not divide 64 channels: 64 = 5 × 12 + 4", where that is so.
static Status check_divides(const Model *m, const Layer *l, const char *what, int64_t part,
                            const char *whole, int64_t of) {
    if (of % part == 0) return OK;
    LAYER_FAIL(ERR_SHAPE, m, l, "%s=%lld does not divide %s: %lld = %lld × %lld + %lld", what,
               (long long)part, whole, (long long)of, (long long)part, (long long)(of / part),
               (long long)(of % part));
}

static Status infer_packed(const Model *m, Layer *l, int64_t heads, int64_t kv_heads) {
    int64_t all = heads + 2 * kv_heads, E = l->in[1];
    if (kv_heads == heads && E % 3 == 0)
        TRY(check_divides(m, l, "heads", heads, "the channels of the query", E / 3));
    if (E % all)
        LAYER_FAIL(ERR_SHAPE, m, l,
                   "%lld channels are not %lld heads of queries and 2 × %lld of keys and values: "
                   "%lld = %lld × %lld + %lld",
                   (long long)E, (long long)heads, (long long)kv_heads, (long long)E,
                   (long long)all, (long long)(E / all), (long long)(E % all));
    l->out[1] = E / all * heads;
    return OK;
}

// Query, key and value are T positions each.
static Status infer_three(const Model *m, Layer *l, int64_t heads, int64_t kv_heads) {
    char input[LAYER_SHAPE], first[LAYER_SHAPE];
    TRY(check_divides(m, l, "heads", heads, "the channels of the query", l->in[1]));
    int64_t want = l->in[1] / heads * kv_heads;
    for (int k = 1; k < 3; k++) {
        int dims;
        const int64_t *shape = layer_input_shape(m, l, k, &dims);
        if (dims != 2 || shape[0] != l->in[0] || shape[1] != want)
            LAYER_FAIL(ERR_SHAPE, m, l,
                       "%s, but %s: with heads=%lld, kv_heads=%lld it must be "
                       "%lld×%lld",
                       layer_describe_input(m, l, 0, first), layer_describe_input(m, l, k, input),
                       (long long)heads, (long long)kv_heads, (long long)l->in[0], (long long)want);
    }
    l->out[1] = l->in[1];
    return OK;
}

static Status infer(const Model *m, Layer *l) {
    int64_t heads = l->attribute[ATTRIBUTE_HEADS], *kv_heads = &l->attribute[ATTRIBUTE_KV_HEADS];
    if (!layer_gives(l, ATTRIBUTE_KV_HEADS)) *kv_heads = heads;
    TRY(layer_needs_positions(m, l));
    TRY(attention_matrix_infer(m, l));
    TRY(check_divides(m, l, "kv_heads", *kv_heads, "the heads", heads));
    l->out_dims = 2;
    l->out[0] = l->in[0];
    return is_packed(l) ? infer_packed(m, l, heads, *kv_heads)
                        : infer_three(m, l, heads, *kv_heads);
}

// Two products of each query and each key that it sees; see core/plan/flops.h. More than fits an
// int64_t, as of 2^26 positions, is the most that fits.
static int64_t flops(const Layer *l) {
    if (l->attribute[ATTRIBUTE_UNFUSED]) return attention_matrix_flops(l);
    int64_t T = l->out[0], flops, keys = l->attribute[ATTRIBUTE_CAUSAL] ? T + 1 : 2 * T;
    bool fits = !__builtin_mul_overflow(T * 2, keys, &flops);
    return fits && !__builtin_mul_overflow(flops, l->out[1], &flops) ? flops : INT64_MAX;
}

static int64_t flops_backward(const Layer *l) {
    int64_t forward = flops(l);
    if (l->attribute[ATTRIBUTE_UNFUSED]) return forward > INT64_MAX / 2 ? INT64_MAX : 2 * forward;
    return forward > INT64_MAX / 5 ? INT64_MAX : forward / 2 * 5;
}

static const int64_t *attrs(const Layer *l, int64_t out[3]) {
    out[0] = l->attribute[ATTRIBUTE_HEADS];
    out[1] = l->attribute[ATTRIBUTE_KV_HEADS];
    out[2] = l->attribute[ATTRIBUTE_CAUSAL];
    return out;
}

static Status forward(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    if (l->attribute[ATTRIBUTE_UNFUSED]) return attention_matrix_forward(g, i);
    int64_t a[3], shape[] = {l->out[0], l->attribute[ATTRIBUTE_HEADS]};
    int y;
    TRY(graph_output(g, i, NONE, &y));
    if (g->training && l->trained)
        TRY(graph_extra(g, i, LSE, VALUE_ROWS, "lse", dtype_wide(g->dtype), 2, shape));
    const Values inputs =
        is_packed(l) ? VALUES(graph_input(g, i, 0))
                     : VALUES(graph_input(g, i, 0), graph_input(g, i, 1), graph_input(g, i, 2));
    return graph_forward(g, i, is_packed(l) ? KIND_ATTENTION_PACKED : KIND_ATTENTION, attrs(l, a),
                         VALUES(y, g->extra[i][LSE]), inputs);
}

static Status backward(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    if (l->attribute[ATTRIBUTE_UNFUSED]) return attention_matrix_backward(g, i);
    int64_t a[3];
    int dx[3], y = g->y[i], lse = g->extra[i][LSE];
    for (int k = 0; k < l->input_count; k++) TRY(graph_dx_or_unused(g, i, k, &dx[k]));
    attrs(l, a);
    if (is_packed(l))
        return graph_backward_input(g, i, KIND_ATTENTION_PACKED_BACKWARD, a, VALUES(dx[0]),
                                    VALUES(g->dy[i], y, lse, graph_input(g, i, 0)));
    return graph_backward_input(
        g, i, KIND_ATTENTION_BACKWARD, a, VALUES(dx[0], dx[1], dx[2]),
        VALUES(g->dy[i], y, lse, graph_input(g, i, 0), graph_input(g, i, 1), graph_input(g, i, 2)));
}

const LayerRow layer_attention = {
    .word = "attention",
    .stem = "att",
    .required = LAYER_TAKES(HEADS),
    .optional = LAYER_TAKES(KV_HEADS) | LAYER_TAKES(CAUSAL) | LAYER_TAKES(UNFUSED) |
                LAYER_TAKES(P) | LAYER_TAKES(MASK),
    .inputs = 3,
    .or_one = true,
    .infer = infer,
    .flops = flops,
    .flops_backward = flops_backward,
    .forward = forward,
    .backward = backward,
};
