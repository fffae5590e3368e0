// SPDX-License-Identifier: MIT
// Adam and AdamW: the reference's operations in its order, in a loop that becomes vectors. What
// limits it is memory: four numbers are read and three written for each.
#include "core/device/reference/adam.h"
#include "core/device/cpu/cpu_internal.h"

void NAME(cpu_adam)(const KernelCall *call) {
    real *restrict weight = output_data(call, 0), *restrict exp_avg = output_data(call, 1),
                   *restrict exp_avg_sq = output_data(call, 2);
    const real *restrict gradient = input_data(call, 0);
    const AdamTerms a = adam_terms(call);
    const real beta1 = (real)a.beta1, beta2 = (real)a.beta2, rest1 = (real)(1 - a.beta1),
               rest2 = (real)(1 - a.beta2), eps = (real)a.eps, penalty = (real)a.penalty,
               factor = (real)a.factor, shrink = (real)a.shrink, rate = (real)a.step_size,
               correction = (real)a.root_correction;
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) {
        real g = factor * gradient[i];
        if (penalty != 0) g += penalty * weight[i];
        real m = beta1 * exp_avg[i] + rest1 * g, v = beta2 * exp_avg_sq[i] + rest2 * g * g;
        exp_avg[i] = m;
        exp_avg_sq[i] = v;
        weight[i] = shrink * weight[i] - rate * m / (real_sqrt(v) / correction + eps);
    }
}

void NAME(cpu_increment)(const KernelCall *call) {
    int64_t *count = output_data(call, 0);
    *count += 1;
}
