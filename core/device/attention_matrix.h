// SPDX-License-Identifier: MIT
// Attention with the whole matrix of scores in memory, as frameworks computed it before
// FlashAttention: three kinds of work, and one for each backward. Query, key and value lie side by
// side in each position of qkv (B,T,E); matrices are (B,H,T,T), a row for each query.
//   scores   s[t,j] = q[t] . k[j] / sqrt(D)               a head of D channels; all keys
//   softmax  p[t,j] = exp(s[t,j]) / sum_j exp(s[t,j])     causal: of the keys j <= t, else 0
//   values   y[t]   = sum_j p[t,j] v[j]
// and backward
//   values   dp[t,j] = dy[t] . v[j]    dv[j] = sum_t p[t,j] dy[t]
//   softmax  ds[t,j] = p[t,j] (dp[t,j] - sum_j dp[t,j] p[t,j])
//   scores   dq[t] = sum_j ds[t,j] k[j] / sqrt(D)    dk[j] = sum_t ds[t,j] q[t] / sqrt(D)
// dv waits beside for the last of them, which puts the three side by side again. Heads of keys and
// values are fewer where several heads of queries share one: their gradients are sums over those.
#ifndef CORE_DEVICE_ATTENTION_MATRIX_H
#define CORE_DEVICE_ATTENTION_MATRIX_H

#include "core/device/kernel.h"
#include "core/device/real.h"

typedef struct {
    int64_t B, T, heads, kv_heads, D;
    int64_t row, v_row;     // elements from one position of qkv, and of dv, to the next
    const real *q, *k, *v;  // in qkv
    real scale;             // 1 / sqrt(D)
} AttentionMatrix;

// One head of one row of the batch: where its first position lies in qkv, as q, and as k and v from
// where these begin; in y; in dv; and its matrix.
typedef struct {
    int64_t q, kv, y, dv, matrix;
} MatrixHead;

// Of a call with attributes heads and kv_heads whose last input is qkv.
static inline AttentionMatrix attention_matrix_of(const KernelCall *call) {
    const Operand *qkv = input(call, call->inputs - 1);
    AttentionMatrix a = {.B = operand_rows(qkv),
                         .T = qkv->shape[1],
                         .heads = call->attr[0],
                         .kv_heads = call->attr[1],
                         .row = qkv->shape[2],
                         .q = qkv->data};
    a.D = a.row / (a.heads + 2 * a.kv_heads);
    a.v_row = a.kv_heads * a.D;
    a.k = a.q + a.heads * a.D;
    a.v = a.k + a.kv_heads * a.D;
    a.scale = (real)(1 / sqrt((double)a.D));
    return a;
}

static inline int64_t attention_matrix_y_row(const AttentionMatrix *a) { return a->heads * a->D; }

static inline MatrixHead attention_matrix_head(const AttentionMatrix *a, int64_t b, int64_t h) {
    int64_t kv = h / (a->heads / a->kv_heads);
    return (MatrixHead){.q = b * a->T * a->row + h * a->D,
                        .kv = b * a->T * a->row + kv * a->D,
                        .y = b * a->T * attention_matrix_y_row(a) + h * a->D,
                        .dv = b * a->T * a->v_row + kv * a->D,
                        .matrix = (b * a->heads + h) * a->T * a->T};
}

// A sum over heads begins with the first of those that share a head of keys and values.
static inline bool attention_matrix_is_first(const AttentionMatrix *a, int64_t h) {
    return h % (a->heads / a->kv_heads) == 0;
}

#endif
