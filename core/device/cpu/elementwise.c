// SPDX-License-Identifier: MIT
// Operations element by element, and those on small tensors.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/reference/reference.h"

void NAME(cpu_relu)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = x[i] <= 0 ? 0 : x[i];
}

void NAME(cpu_relu_backward)(const KernelCall *call) {
    real *restrict dx = output_data(call, 0);
    const real *restrict dy = input_data(call, 0), *restrict y = input_data(call, 1);
    int64_t n = live_elements(input(call, 0));
    for (int64_t i = 0; i < n; i++) {
        real g = dy[i];
        dx[i] = y[i] > 0 ? g : 0;
    }
}

void NAME(cpu_add)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict a = input_data(call, 0), *restrict b = input_data(call, 1);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

void NAME(cpu_fold)(const KernelCall *call) {
    int64_t n = live_elements(output(call, 0));
    NAME(cpu_deliver)(n, input_data(call, 0), call->accumulate, output_data(call, 0));
}

void NAME(cpu_concatenate)(const KernelCall *call) { TYPED(reference_concatenate)(call); }

void NAME(cpu_slice)(const KernelCall *call) { TYPED(reference_slice)(call); }

void NAME(cpu_to_chunks)(const KernelCall *call) { TYPED(reference_to_chunks)(call); }

void NAME(cpu_from_chunks)(const KernelCall *call) { TYPED(reference_from_chunks)(call); }

void NAME(cpu_sgd)(const KernelCall *call) {
    real *restrict weight = output_data(call, 0), *restrict velocity = output_data(call, 1);
    const real *restrict gradient = input_data(call, 0);
    real lr = (real) * (const double *)input_data(call, 1), factor = (real)clip_factor(call, 2);
    real momentum = (real)attr_as_real(call, 0), decay = (real)attr_as_real(call, 1);
    int64_t n = live_elements(output(call, 0));
    bool nesterov = call->attr[2];
    if (!velocity) {
        for (int64_t i = 0; i < n; i++) {
            real g = factor * gradient[i];
            weight[i] -= lr * (decay != 0 ? g + decay * weight[i] : g);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        real g = factor * gradient[i];
        if (decay != 0) g += decay * weight[i];
        real v = momentum * velocity[i] + g;
        velocity[i] = v;
        weight[i] -= lr * (nesterov ? g + momentum * v : v);
    }
}

void NAME(cpu_max_pool)(const KernelCall *call) {
    const Operand *x = input(call, 0), *y = output(call, 0);
    const PoolScratch scratch = pool_scratch(0, x->shape[2] * x->shape[3], sizeof(real));
    const Pooling p = pool_of(call, call, x, y, scratch);
    int64_t planes = operand_rows(x) * x->shape[1];
    NAME(cpu_pool_planes)(&p, planes, x->data, y->data, output_data(call, 1));
}

void NAME(cpu_max_pool_backward)(const KernelCall *call) {
    const Operand *dx = output(call, 0), *dy = input(call, 0);
    const PoolScratch scratch = pool_scratch(0, dx->shape[2] * dx->shape[3], sizeof(real));
    const Pooling p = pool_of(call, call, dx, dy, scratch);
    int64_t planes = operand_rows(dx) * dx->shape[1];
    NAME(cpu_unpool_planes)(&p, planes, dy->data, NULL, input_data(call, 1), dx->data);
}
