// SPDX-License-Identifier: MIT
// What happens to tokens between the router and the layer's output (core/plan/expert.h): tokens x
// (B,C) go to the slots of their experts, each expert multiplies its own by its weight, and what
// comes back is added up with the gates. Of the choices k of token b that were kept, slot[b,k]
// being place s of expert e:
//   slots[e,s]     = x[b]                       dx[b]      = sum_k dslots[e,s]
//   y[p,e,s,k]     = sum_c x[p,e,s,c] weight[e,k,c], and its gradients as those of linear.c
//   y[b]           = sum_k gates[b,k] slots[e,s]
//   dslots[e,s]    = gates[b,k] dy[b]           dgates[b,k] = sum_c dy[b,c] slots[e,s,c]
// Slots that are not in use are 0; the gradient of a dropped choice's gate is 0. A weight's
// gradient is folded over the pieces p, each summed by itself: as shards are (docs/contract.md, 3).
#include "core/plan/expert.h"
#include "core/device/expert_kernels.h"
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_dispatch)(const KernelCall *call) {
    const Operand *to = output(call, 0);
    real *slots = to->data;
    const real *x = input_data(call, 0);
    const int32_t *slot = input_data(call, 1);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(to),
            K = vector_length(input(call, 1)), n = live_elements(to);
    for (int64_t i = 0; i < n; i++) slots[i] = 0;
    for (int64_t i = 0; i < B * K; i++)
        for (int64_t c = 0; c < C && expert_keeps(slot[i]); c++)
            slots[expert_row(slot[i], to) + c] = x[i / K * C + c];
}

// y[b] = the sum of its choices, weighted by gates, or with 1 where there are none.
static void collect(const KernelCall *call, const real *gates) {
    real *y = output_data(call, 0);
    const real *slots = input_data(call, 0);
    const int32_t *slot = input_data(call, 1);
    int64_t B = live_vectors(output(call, 0)), C = vector_length(output(call, 0)),
            K = vector_length(input(call, 1));
    for (int64_t i = 0; i < B * C; i++) y[i] = 0;
    for (int64_t i = 0; i < B * K; i++)
        for (int64_t c = 0; c < C && expert_keeps(slot[i]); c++) {
            int64_t at = expert_row(slot[i], input(call, 0)) + c;
            y[i / K * C + c] += (gates ? gates[i] : 1) * slots[at];
        }
}

void NAME(reference_dispatch_backward)(const KernelCall *call) { collect(call, NULL); }
void NAME(reference_combine)(const KernelCall *call) { collect(call, input_data(call, 2)); }

void NAME(reference_combine_backward)(const KernelCall *call) {
    const Operand *to = output(call, 0);
    real *dslots = to->data, *dgates = output_data(call, 1);
    const real *dy = input_data(call, 0), *slots = input_data(call, 1),
               *gates = input_data(call, 3);
    const int32_t *slot = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(to),
            K = vector_length(input(call, 2)), n = live_elements(to);
    for (int64_t i = 0; i < n; i++) dslots[i] = 0;
    for (int64_t i = 0; i < B * K; i++) {
        const real *d = &dy[i / K * C];
        real sum = 0;
        for (int64_t c = 0; c < C && expert_keeps(slot[i]); c++) {
            int64_t at = expert_row(slot[i], to) + c;
            sum += d[c] * slots[at];
            dslots[at] = gates[i] * d[c];
        }
        dgates[i] = sum;
    }
}

void NAME(reference_expert_linear)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1);
    const int64_t *load = input_data(call, 2), *shape = input(call, 0)->shape;
    int64_t P = shape[0], E = shape[1], S = shape[2], C = shape[3], K = output(call, 0)->shape[3];
    for (int64_t row = 0; row < P * E * S; row++) {
        int64_t queue = row / S, e = queue % E;
        for (int64_t k = 0; k < K; k++) {
            real sum = 0;
            for (int64_t c = 0; c < C && row % S < load[queue]; c++)
                sum += x[row * C + c] * weight[(e * K + k) * C + c];
            y[row * K + k] = sum;
        }
    }
}

void NAME(reference_expert_linear_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *weight = input_data(call, 1);
    const int64_t *load = input_data(call, 2), *shape = output(call, 0)->shape;
    int64_t P = shape[0], E = shape[1], S = shape[2], C = shape[3], K = input(call, 0)->shape[3];
    for (int64_t row = 0; row < P * E * S; row++) {
        int64_t queue = row / S, e = queue % E;
        for (int64_t c = 0; c < C; c++) {
            real sum = 0;
            for (int64_t k = 0; k < K && row % S < load[queue]; k++)
                sum += dy[row * K + k] * weight[(e * K + k) * C + c];
            dx[row * C + c] = sum;
        }
    }
}

void NAME(reference_expert_linear_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0);
    const real *x = input_data(call, 0), *dy = input_data(call, 1);
    const int64_t *load = input_data(call, 2), *shape = input(call, 0)->shape;
    int64_t P = shape[0], E = shape[1], S = shape[2], C = shape[3], K = input(call, 1)->shape[3];
    for (int64_t i = 0; i < E * K * C; i++) {
        int64_t e = i / C / K, k = i / C % K, c = i % C;
        real total = 0;
        for (int64_t p = 0; p < P; p++) {
            int64_t first = (p * E + e) * S;
            real sum = 0;
            for (int64_t s = first; s < first + load[p * E + e]; s++)
                sum += dy[s * K + k] * x[s * C + c];
            total = p ? total + sum : sum;
        }
        dweight[i] = call->accumulate ? dweight[i] + total : total;
    }
}
