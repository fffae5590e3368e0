// SPDX-License-Identifier: MIT
// Stochastic gradient descent with weight decay and momentum, as torch.optim.SGD (dampening 0; its
// velocity begins as the first gradient, ours at 0, which is the same):
//   g = gradient + weight_decay weight
//   velocity = momentum velocity + g        (Sutskever et al., ICML 2013)
//   weight -= learning_rate * velocity, or with Nesterov's look ahead * (g + momentum velocity)
// Without a velocity weight -= learning_rate g. The factor of clipping comes first of all: gradient
// stands for factor gradient.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_sgd)(const KernelCall *call) {
    real *weight = output_data(call, 0), *velocity = output_data(call, 1);
    const real *gradient = input_data(call, 0);
    const double *learning_rate = input_data(call, 1);
    real lr = (real)*learning_rate, factor = (real)clip_factor(call, 2);
    real momentum = (real)attr_as_real(call, 0), decay = (real)attr_as_real(call, 1);
    int64_t n = live_elements(output(call, 0)), nesterov = call->attr[2];
    for (int64_t e = 0; e < n; e++) {
        real g = factor * gradient[e];
        if (decay != 0) g += decay * weight[e];
        if (velocity) {
            velocity[e] = momentum * velocity[e] + g;
            g = nesterov ? g + momentum * velocity[e] : velocity[e];
        }
        weight[e] -= lr * g;
    }
}
