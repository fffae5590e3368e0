// SPDX-License-Identifier: MIT
// What happens between the gradients and the next step: adding up pieces, and stochastic gradient
// descent as PyTorch's torch.optim.SGD (dampening 0):
//   g += weight_decay w;  v = momentum v + g;  w -= lr v, or with Nesterov w -= lr (g + momentum v)
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_fold)(const KernelCall *call) {
    real *sum = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) sum[i] += x[i];
}

void NAME(reference_sgd)(const KernelCall *call) {
    real *weight = output_data(call, 0), *velocity = output_data(call, 1);
    const real *gradient = input_data(call, 0);
    real lr = (real) * (const double *)input_data(call, 1);
    real momentum = (real)attr_as_real(call, 0), decay = (real)attr_as_real(call, 1);
    int64_t n = live_elements(output(call, 0)), nesterov = call->attr[2];
    for (int64_t i = 0; i < n; i++) {
        real g = gradient[i];
        if (decay != 0) g += decay * weight[i];
        if (velocity) {
            velocity[i] = momentum * velocity[i] + g;
            g = nesterov ? g + momentum * velocity[i] : velocity[i];
        }
        weight[i] -= lr * g;
    }
}
