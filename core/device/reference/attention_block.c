// SPDX-License-Identifier: MIT
// Attention to one block of keys and values of a cut sequence (core/device/attention_block.h has
// the formulas), each pair of positions by itself; and query, key and value apart from each other
// and side by side.
#include "core/device/attention_block.h"
#include "core/device/reference/reference.h"

static real product(int64_t n, const real *a, const real *b) {
    real sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add_multiple(int64_t n, real factor, const real *x, real *sum) {
    for (int64_t i = 0; i < n; i++) sum[i] += factor * x[i];
}

// The positions of queries and keys in the whole sequence; -1: there is none.
typedef struct {
    const int64_t *query, *key;
    bool causal;
} Places;

static bool sees(const Places *at, int64_t t, int64_t j) {
    return at->key[j] >= 0 && (!at->causal || at->key[j] <= at->query[t]);
}

static real score(const Attention *a, AttentionHead at, int64_t t, int64_t j) {
    return product(a->D, &a->q[at.q + t * a->q_row], &a->k[at.kv + j * a->kv_row]) * a->scale;
}

// y and lse hold what the query has of earlier blocks; of none lse is -infinity.
static void attend(const Attention *a, const Places *b, AttentionHead at, int64_t t, real *y,
                   real *lse) {
    real largest = *lse;
    for (int64_t j = 0; j < a->T; j++) {
        real s = sees(b, t, j) ? score(a, at, t, j) : largest;
        if (s > largest) largest = s;
    }
    if (largest == -(real)INFINITY) return;
    real before = real_exp(*lse - largest), sum = before;
    for (int64_t d = 0; d < a->D; d++) y[d] *= before;
    for (int64_t j = 0; j < a->T; j++) {
        if (!sees(b, t, j)) continue;
        real p = real_exp(score(a, at, t, j) - largest);
        sum += p;
        add_multiple(a->D, p, &a->v[at.kv + j * a->kv_row], y);
    }
    for (int64_t d = 0; d < a->D; d++) y[d] /= sum;
    *lse = largest + (real)log((double)sum);
}

void NAME(reference_attention_block)(const KernelCall *call) {
    const Attention a = attention_of(call, output(call, 0), 0);
    const Places places = {input_data(call, 3), input_data(call, 4), a.causal};
    real *y = output_data(call, 0), *lse = output_data(call, 1);
    if (!attention_goes_on(call, 0, 5)) attention_zero(call, 0);
    bool goes_on = attention_goes_on(call, 1, 6);
    for (int64_t i = 0; i < a.B * a.heads * a.T; i++) {
        AttentionHead at = attention_head(&a, i / a.T / a.heads, i / a.T % a.heads);
        int64_t t = i % a.T, l = at.lse + t * a.heads;
        if (!goes_on) lse[l] = -(real)INFINITY;
        attend(&a, &places, at, t, &y[at.y + t * attention_y_row(&a)], &lse[l]);
    }
}

static void attend_backward(const Attention *a, const Places *b, AttentionHead at, int64_t t,
                            const real *dy, real delta, real lse, const AttentionGradients *g) {
    int64_t q = at.q + t * a->q_row;
    for (int64_t j = 0; j < a->T; j++) {
        int64_t kv = at.kv + j * a->kv_row;
        if (!sees(b, t, j)) continue;
        real p = real_exp(score(a, at, t, j) - lse);
        real ds = p * (product(a->D, dy, &a->v[kv]) - delta) * a->scale;
        add_multiple(a->D, p, dy, &g->dv[kv]);
        add_multiple(a->D, ds, &a->k[kv], &g->dq[q]);
        add_multiple(a->D, ds, &a->q[q], &g->dk[kv]);
    }
}

void NAME(reference_attention_block_backward)(const KernelCall *call) {
    const Attention a = attention_of(call, input(call, 0), 3);
    const Places places = {input_data(call, 6), input_data(call, 7), a.causal};
    const AttentionGradients g = attention_block_gradients(call);
    const real *dy = input_data(call, 0), *y = input_data(call, 1), *lse = input_data(call, 2);
    for (int64_t i = 0; i < a.B * a.heads * a.T; i++) {
        AttentionHead at = attention_head(&a, i / a.T / a.heads, i / a.T % a.heads);
        int64_t t = i % a.T, here = at.y + t * attention_y_row(&a);
        attend_backward(&a, &places, at, t, &dy[here], product(a.D, &dy[here], &y[here]),
                        lse[at.lse + t * a.heads], &g);
    }
}

void NAME(reference_unpack_qkv)(const KernelCall *call) {
    const Operand *packed = input(call, 0);
    const real *from = packed->data;
    for (int64_t i = 0; i < live_vectors(packed); i++)
        for (int o = 0; o < 3; o++) {
            int64_t n = vector_length(output(call, o));
            memcpy((real *)output_data(call, o) + i * n, from, (size_t)n * sizeof(real));
            from += n;
        }
}

void NAME(reference_pack_qkv)(const KernelCall *call) {
    const Operand *packed = output(call, 0);
    real *to = packed->data;
    for (int64_t i = 0; i < live_vectors(packed); i++)
        for (int k = 0; k < 3; k++) {
            int64_t n = vector_length(input(call, k));
            memcpy(to, (const real *)input_data(call, k) + i * n, (size_t)n * sizeof(real));
            to += n;
        }
}
