// SPDX-License-Identifier: MIT
// One element at a time, in loops that compilers turn into vectors.
#include "core/device/cpu/cpu.h"
#include "core/device/cpu/rows.h"

#include <string.h>

void NAME(cpu_relu)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = NAME(relu_of)(x[i]);
}

void NAME(cpu_relu_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *y = input_data(call, 1);
    int64_t n = live_elements(input(call, 0));
    for (int64_t i = 0; i < n; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

void NAME(cpu_fold)(const KernelCall *call) {
    real *sum = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) sum[i] += x[i];
}

typedef struct {
    real lr, momentum, decay;
    bool nesterov;
} Sgd;

// Without decay the weight must not enter, infinite as it may be.
static inline real decayed(const Sgd *s, real gradient, real weight) {
    return s->decay != 0 ? gradient + s->decay * weight : gradient;
}

static void descend(real *restrict weight, const real *restrict gradient, int64_t n, Sgd s) {
    for (int64_t i = 0; i < n; i++) weight[i] -= s.lr * decayed(&s, gradient[i], weight[i]);
}

static void descend_momentum(real *restrict weight, real *restrict velocity, const real *restrict gradient, int64_t n, Sgd s) {
    for (int64_t i = 0; i < n; i++) {
        real g = decayed(&s, gradient[i], weight[i]), v = s.momentum * velocity[i] + g;
        velocity[i] = v;
        weight[i] -= s.lr * (s.nesterov ? g + s.momentum * v : v);
    }
}

void NAME(cpu_sgd)(const KernelCall *call) {
    real *velocity = output_data(call, 1);
    double attributes[2];  // stored as bits
    memcpy(attributes, call->attr, sizeof attributes);
    Sgd s = {.lr = (real) * (const double *)input_data(call, 1), .momentum = (real)attributes[0],
             .decay = (real)attributes[1], .nesterov = call->attr[2] != 0};
    int64_t n = live_elements(output(call, 0));
    if (velocity)
        descend_momentum(output_data(call, 0), velocity, input_data(call, 0), n, s);
    else
        descend(output_data(call, 0), input_data(call, 0), n, s);
}
