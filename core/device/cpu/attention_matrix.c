// SPDX-License-Identifier: MIT
// Attention with the whole matrix of scores: the products of core/device/attention_matrix.h by the
// BLAS, head by head, and softmax row by row.
#include "core/device/attention_matrix.h"
#include "core/device/cpu/cpu_internal.h"
#include "core/device/cpu/exponential.h"

static void scale_rows(int64_t rows, int64_t n, int64_t row, real factor, real *x) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) x[r * row + i] *= factor;
}

void NAME(cpu_attention_scores)(const KernelCall *call) {
    const AttentionMatrix a = attention_matrix_of(call);
    real *s = output_data(call, 0);
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        MatrixHead at = attention_matrix_head(&a, i / a.heads, i % a.heads);
        multiply(false, true, a.T, a.T, a.D, &a.q[at.q], a.row, &a.k[at.kv], a.row, 0,
                 &s[at.matrix], a.T);
        scale_rows(a.T, a.T, a.T, a.scale, &s[at.matrix]);
    }
}

static void normalise(int64_t seen, int64_t n, const real *restrict s, real *restrict p) {
    real largest = s[0], sum = 0;
    for (int64_t j = 1; j < seen; j++) largest = s[j] > largest ? s[j] : largest;
    for (int64_t j = 0; j < seen; j++) {
        real z = largest - s[j];
        p[j] = exp_of_negative(z > EXP_LIMIT ? EXP_LIMIT : z);
    }
    NAME(cpu_add_row_sums)(1, seen, p, &sum);
    for (int64_t j = 0; j < seen; j++) p[j] /= sum;
    memset(&p[seen], 0, (size_t)(n - seen) * sizeof *p);
}

void NAME(cpu_attention_softmax)(const KernelCall *call) {
    int64_t T = input(call, 0)->shape[3], rows = live_vectors(input(call, 0));
    const real *s = input_data(call, 0);
    real *p = output_data(call, 0);
    for (int64_t r = 0; r < rows; r++)
        normalise(call->attr[0] ? r % T + 1 : T, T, &s[r * T], &p[r * T]);
}

static void differentiate(int64_t seen, int64_t n, const real *restrict dp, const real *restrict p,
                          real *restrict ds) {
    real sum = 0;
    for (int64_t j = 0; j < seen; j++) ds[j] = dp[j] * p[j];
    NAME(cpu_add_row_sums)(1, seen, ds, &sum);
    for (int64_t j = 0; j < seen; j++) ds[j] = p[j] * (dp[j] - sum);
    memset(&ds[seen], 0, (size_t)(n - seen) * sizeof *ds);
}

void NAME(cpu_attention_softmax_backward)(const KernelCall *call) {
    int64_t T = input(call, 0)->shape[3], rows = live_vectors(input(call, 0));
    const real *dp = input_data(call, 0), *p = input_data(call, 1);
    real *ds = output_data(call, 0);
    for (int64_t r = 0; r < rows; r++)
        differentiate(call->attr[0] ? r % T + 1 : T, T, &dp[r * T], &p[r * T], &ds[r * T]);
}

void NAME(cpu_attention_values)(const KernelCall *call) {
    const AttentionMatrix a = attention_matrix_of(call);
    const real *p = input_data(call, 0);
    real *y = output_data(call, 0);
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        MatrixHead at = attention_matrix_head(&a, i / a.heads, i % a.heads);
        multiply(false, false, a.T, a.D, a.T, &p[at.matrix], a.T, &a.v[at.kv], a.row, 0, &y[at.y],
                 attention_matrix_y_row(&a));
    }
}

void NAME(cpu_attention_values_backward)(const KernelCall *call) {
    const AttentionMatrix a = attention_matrix_of(call);
    const int64_t row = attention_matrix_y_row(&a);
    const real *dy = input_data(call, 0), *p = input_data(call, 1);
    real *dp = output_data(call, 0), *dv = output_data(call, 1);
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        MatrixHead at = attention_matrix_head(&a, i / a.heads, i % a.heads);
        real beta = attention_matrix_is_first(&a, i % a.heads) ? 0 : 1;
        multiply(false, true, a.T, a.T, a.D, &dy[at.y], row, &a.v[at.kv], a.row, 0, &dp[at.matrix],
                 a.T);
        multiply(true, false, a.T, a.D, a.T, &p[at.matrix], a.T, &dy[at.y], row, beta, &dv[at.dv],
                 a.v_row);
    }
}

void NAME(cpu_attention_scores_backward)(const KernelCall *call) {
    const AttentionMatrix a = attention_matrix_of(call);
    const real *ds = input_data(call, 0), *dv = input_data(call, 1);
    real *dq = output_data(call, 0), *dk = dq + (a.k - a.q), *out = dq + (a.v - a.q);
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        MatrixHead at = attention_matrix_head(&a, i / a.heads, i % a.heads);
        real beta = attention_matrix_is_first(&a, i % a.heads) ? 0 : 1;
        multiply(false, false, a.T, a.D, a.T, &ds[at.matrix], a.T, &a.k[at.kv], a.row, 0, &dq[at.q],
                 a.row);
        multiply(true, false, a.T, a.D, a.T, &ds[at.matrix], a.T, &a.q[at.q], a.row, beta,
                 &dk[at.kv], a.row);
    }
    scale_rows(a.B * a.T, (a.heads + a.kv_heads) * a.D, a.row, a.scale, dq);
    for (int64_t t = 0; t < a.B * a.T; t++)
        memcpy(&out[t * a.row], &dv[t * a.v_row], (size_t)a.v_row * sizeof *out);
}
