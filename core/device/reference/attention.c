// SPDX-License-Identifier: MIT
// Scaled dot-product attention (Vaswani et al., "Attention Is All You Need", 2017), as the formulas
// of core/device/attention.h have it, each pair of positions by itself. The largest score is
// subtracted before the exponential, which changes nothing but the range.
#include "core/device/attention.h"
#include "core/device/reference/reference.h"

static real product(int64_t n, const real *a, const real *b) {
    real sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add_multiple(int64_t n, real factor, const real *x, real *sum) {
    for (int64_t i = 0; i < n; i++) sum[i] += factor * x[i];
}

// The number of keys that query t sees.
static int64_t seen(const Attention *a, int64_t t) { return a->causal ? t + 1 : a->T; }

static void attend(const Attention *a, AttentionHead at, int64_t t, real *y, real *lse) {
    const real *q = &a->q[at.q + t * a->q_row], *k = &a->k[at.kv], *v = &a->v[at.kv];
    real largest = -(real)INFINITY, sum = 0;
    for (int64_t j = 0; j < seen(a, t); j++) {
        real s = product(a->D, q, &k[j * a->kv_row]) * a->scale;
        if (s > largest) largest = s;
    }
    memset(y, 0, (size_t)a->D * sizeof *y);
    for (int64_t j = 0; j < seen(a, t); j++) {
        real p = real_exp(product(a->D, q, &k[j * a->kv_row]) * a->scale - largest);
        sum += p;
        add_multiple(a->D, p, &v[j * a->kv_row], y);
    }
    for (int64_t d = 0; d < a->D; d++) y[d] /= sum;
    if (lse) *lse = largest + (real)log((double)sum);
}

void NAME(reference_attention)(const KernelCall *call) {
    const Attention a = attention_of(call, output(call, 0), 0);
    real *y = output_data(call, 0), *lse = output_data(call, 1);
    for (int64_t b = 0; b < a.B; b++)
        for (int64_t h = 0; h < a.heads; h++)
            for (int64_t t = 0; t < a.T; t++) {
                AttentionHead at = attention_head(&a, b, h);
                attend(&a, at, t, &y[at.y + t * attention_y_row(&a)],
                       lse ? &lse[at.lse + t * a.heads] : NULL);
            }
}

static void attend_backward(const Attention *a, AttentionHead at, int64_t t, const real *dy,
                            real delta, real lse, const AttentionGradients *g) {
    const real *q = &a->q[at.q + t * a->q_row];
    for (int64_t j = 0; j < seen(a, t); j++) {
        int64_t kv = at.kv + j * a->kv_row;
        real p = real_exp(product(a->D, q, &a->k[kv]) * a->scale - lse);
        real ds = p * (product(a->D, dy, &a->v[kv]) - delta) * a->scale;
        add_multiple(a->D, p, dy, &g->dv[kv]);
        add_multiple(a->D, ds, &a->k[kv], &g->dq[at.q + t * a->q_row]);
        add_multiple(a->D, ds, q, &g->dk[kv]);
    }
}

void NAME(reference_attention_backward)(const KernelCall *call) {
    const Attention a = attention_of(call, input(call, 0), 3);
    const AttentionGradients g = attention_gradients(call, &a);
    const real *dy = input_data(call, 0), *y = input_data(call, 1), *lse = input_data(call, 2);
    for (int64_t b = 0; b < a.B; b++)
        for (int64_t h = 0; h < a.heads; h++)
            for (int64_t t = 0; t < a.T; t++) {
                AttentionHead at = attention_head(&a, b, h);
                int64_t here = at.y + t * attention_y_row(&a);
                attend_backward(&a, at, t, &dy[here], product(a.D, &dy[here], &y[here]),
                                lse[at.lse + t * a.heads], &g);
            }
}
