// SPDX-License-Identifier: MIT
// The router of a mixture of experts (core/plan/expert.h), for each token of B, with logits z (E):
//   p[e]    = exp(z[e] - max z) / sum_e exp(z[e] - max z)
//   choices : the K experts with the largest p, of equal ones the first
//   gate[k] = p[choice k], over the sum of the K of them with normalise=1 (Mixtral; Switch: 0)
// A choice beyond the capacity of its expert is dropped: its gate is 0.
//
// The auxiliary loss (Fedus et al., 2101.03961, equation 4; with K > 1 as Hugging Face's Mixtral
// has it), over the B tokens of a shard's micro-batch:
//   balance E sum_e f[e] P[e]   f[e] = choices of e / B, dropped or not; P[e] = sum_b p[b,e] / B
// counts as their part of the global batch, B inverse_count. f has no gradient. Where the positions
// of the micro-batch are cut, `chosen` has a row from each of P ranks, and each has B / P tokens.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"
#include "core/plan/expert.h"

static void softmax(real *p, const real *z, int64_t E) {
    real most = z[0], sum = 0;
    for (int64_t e = 1; e < E; e++)
        if (z[e] > most) most = z[e];
    for (int64_t e = 0; e < E; e++) sum += real_exp(z[e] - most);
    for (int64_t e = 0; e < E; e++) p[e] = real_exp(z[e] - most) / sum;
}

// The most probable expert that is not among the `count` chosen.
static int32_t choose(const real *p, int64_t E, const int32_t *chosen, int64_t count) {
    int64_t best = -1;
    for (int64_t e = 0; e < E; e++) {
        bool taken = false;
        for (int64_t k = 0; k < count; k++) taken |= chosen[k] == e;
        if (!taken && (best < 0 || p[e] > p[best])) best = e;
    }
    return (int32_t)best;
}

void NAME(reference_route)(const KernelCall *call) {
    real *gates = output_data(call, 0), *probability = output_data(call, 2);
    int32_t *slots = output_data(call, 1);
    int64_t *load = output_data(call, 3), *chosen = output_data(call, 4);
    const real *logits = input_data(call, 0);
    int64_t B = live_vectors(input(call, 0)), E = vector_length(input(call, 0)),
            K = vector_length(output(call, 0));
    int64_t capacity = expert_capacity(attr_as_real(call, 1), K, B, E);
    for (int64_t e = 0; e < E; e++) load[e] = chosen[e] = 0;
    for (int64_t b = 0; b < B; b++) {
        real *p = &probability[b * E], *gate = &gates[b * K], sum = 0;
        int32_t *slot = &slots[b * K];
        softmax(p, &logits[b * E], E);
        for (int64_t k = 0; k < K; k++) {
            slot[k] = choose(p, E, slot, k);
            sum += p[slot[k]];
        }
        for (int64_t k = 0; k < K; k++) {
            int32_t e = slot[k];
            int64_t place = chosen[e]++;
            bool kept = place < capacity;
            load[e] += kept;
            slot[k] = kept ? (int32_t)(place * E + e) : -1 - e;
            gate[k] = kept ? call->attr[0] ? p[e] / sum : p[e] : 0;
        }
    }
}

// Choices of an expert on all ranks.
static int64_t chosen_of(const int64_t *chosen, int64_t pieces, int64_t E, int64_t e) {
    int64_t sum = 0;
    for (int64_t p = 0; p < pieces; p++) sum += chosen[p * E + e];
    return sum;
}

// With g[k] = p[k] / s, s being the sum of the chosen: dp[k] = (dg[k] - sum_j dg[j] g[j]) / s. Then
// dz[e] = p[e] (dp[e] - sum_e' dp[e'] p[e']).
void NAME(reference_route_backward)(const KernelCall *call) {
    real *dlogits = output_data(call, 0);
    const real *dgates = input_data(call, 0), *probability = input_data(call, 1);
    const int32_t *slots = input_data(call, 2);
    const int64_t *chosen = input_data(call, 3);
    const double *inverse_count = input_data(call, 4);
    int64_t B = live_vectors(output(call, 0)), E = vector_length(output(call, 0)),
            K = vector_length(input(call, 0)), pieces = live_vectors(input(call, 3));
    double each = B ? attr_as_real(call, 1) * (double)E / (double)(B * pieces) * *inverse_count : 0;
    for (int64_t b = 0; b < B; b++) {
        const real *p = &probability[b * E], *dg = &dgates[b * K];
        const int32_t *slot = &slots[b * K];
        real *dz = &dlogits[b * E], sum = 0, weighted = 0, dot = 0;
        for (int64_t e = 0; e < E; e++)
            dz[e] = (real)(each * (double)chosen_of(chosen, pieces, E, e));
        for (int64_t k = 0; k < K; k++) {
            real pk = p[expert_of(slot[k], E)];
            sum += pk;
            weighted += expert_keeps(slot[k]) ? dg[k] * pk : 0;
        }
        for (int64_t k = 0; k < K; k++) {
            real own = expert_keeps(slot[k]) ? dg[k] : 0;
            dz[expert_of(slot[k], E)] += call->attr[0] ? (own - weighted / sum) / sum : own;
        }
        for (int64_t e = 0; e < E; e++) dot += dz[e] * p[e];
        for (int64_t e = 0; e < E; e++) dz[e] = p[e] * (dz[e] - dot);
    }
}

// The first operation that writes counts begins those of all layers.
static void begin_counts(const KernelCall *call) {
    double *counts = output_data(call, 0);
    for (int64_t i = 0; !call->accumulate && i < live_elements(output(call, 0)); i++) counts[i] = 0;
}

// Summed in f64, in blocks of 4,096 tokens (docs/contract.md, 6).
void NAME(reference_balance)(const KernelCall *call) {
    double *row = output_data(call, 0), total = 0;
    const real *probability = input_data(call, 0);
    const int64_t *chosen = input_data(call, 1);
    const double *inverse_count = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), E = vector_length(input(call, 0)),
            pieces = live_vectors(input(call, 1));
    for (int64_t first = 0; first < B; first += KIND_SUM_BLOCK) {
        double block = 0;
        for (int64_t b = first; b < B && b < first + KIND_SUM_BLOCK; b++)
            for (int64_t e = 0; e < E; e++)
                block += (double)chosen_of(chosen, pieces, E, e) * (double)probability[b * E + e];
        total += block;
    }
    if (B) total *= attr_as_real(call, 1) * (double)E / (double)(B * pieces) * *inverse_count;
    begin_counts(call);
    row += call->attr[0] * vector_length(output(call, 0));
    row[EXPERT_BALANCE] += total;
}

// What all layers add to the loss, in their order.
void NAME(reference_add_balance)(const KernelCall *call) {
    double *loss = output_data(call, 0), total = 0;
    const double *counts = input_data(call, 0);
    int64_t N = vector_length(input(call, 0)), L = live_vectors(input(call, 0));
    for (int64_t l = 0; l < L; l++) total += counts[l * N + EXPERT_BALANCE];
    loss[0] = call->accumulate ? loss[0] + total : total;
    if (!call->accumulate) loss[1] = 0;
}

// Counts are whole numbers, whose sums are exact in f64 in any order.
void NAME(reference_count_choices)(const KernelCall *call) {
    double *counts = output_data(call, 0);
    const int32_t *slots = input_data(call, 0);
    const int64_t *chosen = input_data(call, 1);
    int64_t n = live_elements(input(call, 0)), E = vector_length(input(call, 1));
    double *row = &counts[call->attr[0] * vector_length(output(call, 0))];
    begin_counts(call);
    for (int64_t i = 0; i < n; i++) row[EXPERT_DROPPED] += !expert_keeps(slots[i]);
    for (int64_t e = 0; e < E; e++) row[EXPERT_CHOSEN + e] += (double)chosen[e];
}
