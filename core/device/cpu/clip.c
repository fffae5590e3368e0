// SPDX-License-Identifier: MIT
// The norm of all gradients. Squares are added in eight sums side by side, which become vectors: in
// which order depends on the length of the block alone. The rest is the reference's.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/reference/reference.h"

enum { SUMS = 8 };

static double square_sum(const real *restrict x, int64_t n) {
    double sums[SUMS] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (int k = 0; k < SUMS; k++) sums[k] += (double)x[i + k] * (double)x[i + k];
    for (int k = 0; k < SUMS; k++) sum += sums[k];
    for (; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

void NAME(cpu_square_sums)(const KernelCall *call) {
    double *partial = output_data(call, 0);
    const real *gradient = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    memset(partial, 0, (size_t)output(call, 0)->shape[0] * sizeof *partial);
    partial += call->first_block;
    for (int64_t at = 0; at < n; at += KIND_SUM_BLOCK)
        partial[at / KIND_SUM_BLOCK] =
            square_sum(gradient + at, n - at < KIND_SUM_BLOCK ? n - at : KIND_SUM_BLOCK);
}

void NAME(cpu_add_blocks)(const KernelCall *call) { TYPED(reference_add_blocks)(call); }

void NAME(cpu_clip)(const KernelCall *call) { TYPED(reference_clip)(call); }

void NAME(cpu_scale)(const KernelCall *call) { TYPED(reference_scale)(call); }

void NAME(cpu_rescale)(const KernelCall *call) { TYPED(reference_rescale)(call); }
