// SPDX-License-Identifier: MIT
// Adam (Kingma and Ba, ICLR 2015) and AdamW (Loshchilov and Hutter, ICLR 2019), step by step as
// torch.optim has them. With t = step, counted from 1:
//   Adam:  g = gradient + weight_decay weight
//   AdamW (decoupled):  g = gradient,  weight *= 1 - learning_rate weight_decay
//   exp_avg    = beta1 exp_avg + (1 - beta1) g
//   exp_avg_sq = beta2 exp_avg_sq + (1 - beta2) g^2
//   weight -= learning_rate / (1 - beta1^t) exp_avg / (sqrt(exp_avg_sq) / sqrt(1 - beta2^t) + eps)
// A gradient that is clipped is first multiplied by the factor. What does not depend on the element
// is computed in f64 and rounded once.
#include "core/device/reference/adam.h"

#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_adam)(const KernelCall *call) {
    real *weight = output_data(call, 0), *exp_avg = output_data(call, 1),
         *exp_avg_sq = output_data(call, 2);
    const real *gradient = input_data(call, 0);
    const AdamTerms a = adam_terms(call);
    int64_t n = live_elements(output(call, 0));
    for (int64_t e = 0; e < n; e++) {
        real g = (real)a.factor * gradient[e];
        if (a.penalty != 0) g += (real)a.penalty * weight[e];
        exp_avg[e] = (real)a.beta1 * exp_avg[e] + (real)(1 - a.beta1) * g;
        exp_avg_sq[e] = (real)a.beta2 * exp_avg_sq[e] + (real)(1 - a.beta2) * g * g;
        real root = real_sqrt(exp_avg_sq[e]) / (real)a.root_correction + (real)a.eps;
        weight[e] = (real)a.shrink * weight[e] - (real)a.step_size * exp_avg[e] / root;
    }
}

void NAME(reference_increment)(const KernelCall *call) {
    int64_t *count = output_data(call, 0);
    *count += 1;
}
