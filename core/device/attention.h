// SPDX-License-Identifier: MIT
// The operands of the four kinds of attention, as kernels read them: query, key and value are
// three tensors, or lie side by side in each position of one.
//   s[t,j] = q[t] . k[j] / sqrt(D)           a head of D channels; causal: only keys j <= t
//   p[t,j] = exp(s[t,j] - lse[t])            lse[t] = log sum_j exp(s[t,j])
//   y[t]   = sum_j p[t,j] v[j]
// and backward, with delta[t] = dy[t] . y[t], which is sum_j p[t,j] dp[t,j]:
//   dv[j]  = sum_t p[t,j] dy[t]
//   dp[t,j] = dy[t] . v[j]
//   ds[t,j] = p[t,j] (dp[t,j] - delta[t]) / sqrt(D)
//   dq[t]  = sum_j ds[t,j] k[j]
//   dk[j]  = sum_t ds[t,j] q[t]
// Heads of keys and values are fewer where several heads of queries share one (Ainslie et al.,
// "GQA", 2023): their gradients are sums over those as well.
#ifndef CORE_DEVICE_ATTENTION_H
#define CORE_DEVICE_ATTENTION_H

#include "core/device/kernel.h"
#include "core/device/real.h"

typedef struct {
    int64_t B, T, S, heads, kv_heads, D;  // T queries, S keys
    bool causal;
    int64_t q_row, kv_row;  // elements from one position of q, of k and v, to the next
    const real *q, *k, *v;
    real scale;
} Attention;

// One head of one row of the batch: where its first position lies, in what is cut as q and y, as
// k and v, and as lse is.
typedef struct {
    int64_t q, kv, y, lse;
} AttentionHead;

// Of a call whose y, or dy, is (B,T,C), and whose inputs from `first` on are q, k, v or qkv.
static inline Attention attention_of(const KernelCall *call, const Operand *y, int first) {
    const Operand *q = input(call, first);
    Attention a = {.B = operand_rows(y),
                   .T = y->shape[1],
                   .S = y->shape[1],
                   .heads = call->attr[0],
                   .kv_heads = call->attr[1],
                   .D = y->shape[2] / call->attr[0],
                   .causal = call->attr[2],
                   .q_row = q->shape[2],
                   .q = q->data};
    bool packed = first + 1 == call->inputs;
    a.kv_row = packed ? a.q_row : input(call, first + 1)->shape[2];
    a.k = packed ? a.q + a.heads * a.D : input_data(call, first + 1);
    a.v = packed ? a.k + a.kv_heads * a.D : input_data(call, first + 2);
    a.scale = (real)(1 / sqrt((double)a.D));
    return a;
}

static inline int64_t attention_y_row(const Attention *a) { return a->heads * a->D; }

static inline AttentionHead attention_head(const Attention *a, int64_t b, int64_t h) {
    int64_t first = b * a->T, kv = h / (a->heads / a->kv_heads);
    return (AttentionHead){.q = first * a->q_row + h * a->D,
                           .kv = first * a->kv_row + kv * a->D,
                           .y = first * attention_y_row(a) + h * a->D,
                           .lse = first * a->heads + h};
}

// The gradients, which lie as q, k and v do: outputs of a backward call, zero to begin with.
typedef struct {
    real *dq, *dk, *dv;
} AttentionGradients;

static inline AttentionGradients attention_gradients(const KernelCall *call, const Attention *a) {
    AttentionGradients g = {.dq = output_data(call, 0)};
    bool packed = call->outputs == 1;
    g.dk = packed ? g.dq + a->heads * a->D : output_data(call, 1);
    g.dv = packed ? g.dk + a->kv_heads * a->D : output_data(call, 2);
    for (int i = 0; i < call->outputs; i++)
        memset(output_data(call, i), 0, (size_t)live_elements(output(call, i)) * sizeof(real));
    return g;
}

#endif
