// SPDX-License-Identifier: MIT
// Attention with the whole matrix of scores, as the formulas of core/device/attention_matrix.h have
// it. The largest score is subtracted before the exponential, which changes nothing but the range.
#include "core/device/attention_matrix.h"
#include "core/device/reference/reference.h"

static real product(int64_t n, const real *a, const real *b) {
    real sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

// Sum of T rows, each times its factor; factors are `step` apart.
static void mix(const AttentionMatrix *a, const real *factor, int64_t step, const real *x,
                int64_t row, real scale, bool adds, real *out) {
    for (int64_t d = 0; d < a->D; d++) {
        real sum = 0;
        for (int64_t i = 0; i < a->T; i++) sum += factor[i * step] * x[i * row + d];
        out[d] = adds ? out[d] + sum * scale : sum * scale;
    }
}

void NAME(reference_attention_scores)(const KernelCall *call) {
    const AttentionMatrix a = attention_matrix_of(call);
    real *s = output_data(call, 0);
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        MatrixHead at = attention_matrix_head(&a, i / a.heads, i % a.heads);
        for (int64_t t = 0; t < a.T; t++)
            for (int64_t j = 0; j < a.T; j++)
                s[at.matrix + t * a.T + j] =
                    product(a.D, &a.q[at.q + t * a.row], &a.k[at.kv + j * a.row]) * a.scale;
    }
}

static void normalise(int64_t seen, int64_t n, const real *s, real *p) {
    real largest = s[0], sum = 0;
    for (int64_t j = 1; j < seen; j++) largest = s[j] > largest ? s[j] : largest;
    for (int64_t j = 0; j < seen; j++) sum += p[j] = real_exp(s[j] - largest);
    for (int64_t j = 0; j < seen; j++) p[j] /= sum;
    for (int64_t j = seen; j < n; j++) p[j] = 0;
}

void NAME(reference_attention_softmax)(const KernelCall *call) {
    int64_t T = input(call, 0)->shape[3], rows = live_vectors(input(call, 0));
    const real *s = input_data(call, 0);
    real *p = output_data(call, 0);
    for (int64_t r = 0; r < rows; r++)
        normalise(call->attr[0] ? r % T + 1 : T, T, &s[r * T], &p[r * T]);
}

void NAME(reference_attention_softmax_backward)(const KernelCall *call) {
    int64_t T = input(call, 0)->shape[3], rows = live_vectors(input(call, 0));
    for (int64_t r = 0; r < rows; r++) {
        const real *dp = (const real *)input_data(call, 0) + r * T,
                   *p = (const real *)input_data(call, 1) + r * T;
        real *ds = (real *)output_data(call, 0) + r * T;
        int64_t seen = call->attr[0] ? r % T + 1 : T;
        real sum = product(seen, dp, p);
        for (int64_t j = 0; j < T; j++) ds[j] = j < seen ? p[j] * (dp[j] - sum) : 0;
    }
}

void NAME(reference_attention_values)(const KernelCall *call) {
    const AttentionMatrix a = attention_matrix_of(call);
    const real *p = input_data(call, 0);
    real *y = output_data(call, 0);
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        MatrixHead at = attention_matrix_head(&a, i / a.heads, i % a.heads);
        for (int64_t t = 0; t < a.T; t++)
            mix(&a, &p[at.matrix + t * a.T], 1, &a.v[at.kv], a.row, 1, false,
                &y[at.y + t * attention_matrix_y_row(&a)]);
    }
}

void NAME(reference_attention_values_backward)(const KernelCall *call) {
    const AttentionMatrix a = attention_matrix_of(call);
    const int64_t row = attention_matrix_y_row(&a);
    const real *dy = input_data(call, 0), *p = input_data(call, 1);
    real *dp = output_data(call, 0), *dv = output_data(call, 1);
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        MatrixHead at = attention_matrix_head(&a, i / a.heads, i % a.heads);
        bool adds = !attention_matrix_is_first(&a, i % a.heads);
        for (int64_t t = 0; t < a.T; t++)
            for (int64_t j = 0; j < a.T; j++)
                dp[at.matrix + t * a.T + j] =
                    product(a.D, &dy[at.y + t * row], &a.v[at.kv + j * a.row]);
        for (int64_t j = 0; j < a.T; j++)
            mix(&a, &p[at.matrix + j], a.T, &dy[at.y], row, 1, adds, &dv[at.dv + j * a.v_row]);
    }
}

static void place_dv(const AttentionMatrix *a, const real *dv, real *out) {
    for (int64_t t = 0; t < a->B * a->T; t++)
        memcpy(&out[t * a->row], &dv[t * a->v_row], (size_t)a->v_row * sizeof *out);
}

void NAME(reference_attention_scores_backward)(const KernelCall *call) {
    const AttentionMatrix a = attention_matrix_of(call);
    const real *ds = input_data(call, 0);
    real *dq = output_data(call, 0), *dk = dq + (a.k - a.q);
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        MatrixHead at = attention_matrix_head(&a, i / a.heads, i % a.heads);
        bool adds = !attention_matrix_is_first(&a, i % a.heads);
        for (int64_t t = 0; t < a.T; t++) {
            mix(&a, &ds[at.matrix + t * a.T], 1, &a.k[at.kv], a.row, a.scale, false,
                &dq[at.q + t * a.row]);
            mix(&a, &ds[at.matrix + t], a.T, &a.q[at.q], a.row, a.scale, adds,
                &dk[at.kv + t * a.row]);
        }
    }
    place_dv(&a, input_data(call, 1), dq + (a.v - a.q));
}
