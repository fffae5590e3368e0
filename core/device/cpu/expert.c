// SPDX-License-Identifier: MIT
// Experts as matrix products: the rows in use of each queue by the weight of its expert.
// core/device/reference/expert.c has the formulas; the router itself is small, and the reference's.
#include "core/plan/expert.h"
#include "core/device/cpu/cpu_internal.h"
#include "core/device/expert_kernels.h"
#include "core/device/reference/reference.h"

#include <string.h>

void NAME(cpu_route)(const KernelCall *call) { TYPED(reference_route)(call); }
void NAME(cpu_route_backward)(const KernelCall *call) { TYPED(reference_route_backward)(call); }
void NAME(cpu_balance)(const KernelCall *call) { TYPED(reference_balance)(call); }
void NAME(cpu_add_balance)(const KernelCall *call) { TYPED(reference_add_balance)(call); }
void NAME(cpu_count_choices)(const KernelCall *call) { TYPED(reference_count_choices)(call); }

void NAME(cpu_dispatch)(const KernelCall *call) {
    const Operand *to = output(call, 0);
    real *slots = to->data;
    const real *x = input_data(call, 0);
    const int32_t *slot = input_data(call, 1);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(to),
            K = vector_length(input(call, 1));
    memset(slots, 0, (size_t)live_elements(to) * sizeof *slots);
    for (int64_t i = 0; i < B * K; i++)
        if (expert_keeps(slot[i]))
            memcpy(&slots[expert_row(slot[i], to)], &x[i / K * C], (size_t)C * sizeof *x);
}

static void collect(const KernelCall *call, const real *gates) {
    real *y = output_data(call, 0);
    const real *slots = input_data(call, 0);
    const int32_t *slot = input_data(call, 1);
    int64_t B = live_vectors(output(call, 0)), C = vector_length(output(call, 0)),
            K = vector_length(input(call, 1));
    memset(y, 0, (size_t)(B * C) * sizeof *y);
    for (int64_t i = 0; i < B * K; i++) {
        if (!expert_keeps(slot[i])) continue;
        const real *restrict from = &slots[expert_row(slot[i], input(call, 0))];
        real *restrict to = &y[i / K * C], gate = gates ? gates[i] : 1;
        for (int64_t c = 0; c < C; c++) to[c] += gate * from[c];
    }
}

void NAME(cpu_dispatch_backward)(const KernelCall *call) { collect(call, NULL); }
void NAME(cpu_combine)(const KernelCall *call) { collect(call, input_data(call, 2)); }

void NAME(cpu_combine_backward)(const KernelCall *call) {
    const Operand *to = output(call, 0);
    real *dslots = to->data, *dgates = output_data(call, 1);
    const real *dy = input_data(call, 0), *slots = input_data(call, 1),
               *gates = input_data(call, 3);
    const int32_t *slot = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(to),
            K = vector_length(input(call, 2));
    memset(dslots, 0, (size_t)live_elements(to) * sizeof *dslots);
    for (int64_t i = 0; i < B * K; i++) {
        dgates[i] = 0;
        if (!expert_keeps(slot[i])) continue;
        int64_t at = expert_row(slot[i], to);
        const real *restrict d = &dy[i / K * C], *restrict from = &slots[at];
        real *restrict row = &dslots[at], gate = gates[i], sum = 0;
        for (int64_t c = 0; c < C; c++) row[c] = gate * d[c];
        for (int64_t c = 0; c < C; c++) sum += d[c] * from[c];
        dgates[i] = sum;
    }
}

// out (P,E,S,n): the rows in use of each queue of `in` (P,E,S,k) by the expert's weight (n,k), or,
// `transposed`, (k,n); the other rows are 0.
static void multiply_queues(const KernelCall *call, bool transposed) {
    const Operand *out = output(call, 0), *in = input(call, 0);
    const real *x = in->data, *weight = input_data(call, 1);
    const int64_t *load = input_data(call, 2);
    int64_t P = in->shape[0], E = in->shape[1], S = in->shape[2], k = in->shape[3],
            n = out->shape[3];
    for (int64_t queue = 0; queue < P * E; queue++) {
        real *y = (real *)out->data + queue * S * n;
        if (load[queue] > 0)
            multiply(false, !transposed, load[queue], n, k, &x[queue * S * k], k,
                     &weight[queue % E * n * k], transposed ? n : k, 0, y, n);
        memset(&y[load[queue] * n], 0, (size_t)((S - load[queue]) * n) * sizeof *y);
    }
}

void NAME(cpu_expert_linear)(const KernelCall *call) { multiply_queues(call, false); }
void NAME(cpu_expert_linear_backward_input)(const KernelCall *call) { multiply_queues(call, true); }

// Complete, for each piece by itself, before it is added to that of the pieces before.
void NAME(cpu_expert_linear_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0);
    const real *x = input_data(call, 0), *dy = input_data(call, 1);
    const int64_t *load = input_data(call, 2), *shape = input(call, 0)->shape;
    int64_t P = shape[0], E = shape[1], S = shape[2], C = shape[3], K = input(call, 1)->shape[3];
    const ExpertScratch at = expert_scratch(C, K, sizeof(real));
    real *piece = scratch_at(call, at.piece);
    for (int64_t e = 0; e < E; e++) {
        real *out = &dweight[e * K * C], *sum = call->accumulate ? scratch_at(call, at.sum) : out;
        for (int64_t p = 0; p < P; p++) {
            int64_t queue = p * E + e;
            real *to = p ? piece : sum;
            if (load[queue] > 0)
                multiply(true, false, K, C, load[queue], &dy[queue * S * K], K, &x[queue * S * C],
                         C, 0, to, C);
            else
                memset(to, 0, (size_t)(K * C) * sizeof *to);
            if (p) NAME(cpu_deliver)(K * C, piece, true, sum);
        }
        if (call->accumulate) NAME(cpu_deliver)(K * C, sum, true, out);
    }
}
