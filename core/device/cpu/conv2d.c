// SPDX-License-Identifier: MIT
// Convolution forward, image by image: unfold, multiply, then bias, ReLU and pooling while the image
// is in cache.
#include "core/device/cpu/blas.h"
#include "core/device/cpu/conv_image.h"
#include "core/device/cpu/cpu.h"
#include "core/device/cpu/pool_plane.h"
#include "core/device/cpu/rows.h"

// z (K,P) = weight (K,R) columns (R,P) of the b-th image, without bias.
static void multiply(real *z, const KernelCall *c, const NAME(Conv) *s, int64_t b) {
    const real *x = input_data(c, 0), *weight = input_data(c, 1);
    real *columns = NAME(conv_piece)(c, s->scratch.columns);
    NAME(conv_unfold)(columns, x + b * s->C * s->H * s->W, s);
    NAME(gemm)(z, s->K, s->P, s->R, NAME(plain)(weight, s->R), NAME(plain)(columns, s->P), 0);
}

static void add_bias(real *z, real bias, int64_t n) {
    for (int64_t i = 0; i < n; i++) z[i] += bias;
}

static void add_bias_relu(real *z, real bias, int64_t n) {
    for (int64_t i = 0; i < n; i++) z[i] = NAME(relu_of)(z[i] + bias);
}

void NAME(cpu_conv2d)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *bias = input_data(call, 2);
    const NAME(Conv) s = NAME(conv_sizes)(call, input(call, 0), output(call, 0));
    for (int64_t b = 0; b < s.B; b++, y += s.K * s.P) {
        multiply(y, call, &s, b);
        for (int64_t k = 0; k < s.K && bias; k++) add_bias(y + k * s.P, bias[k], s.P);
    }
}

void NAME(cpu_conv2d_relu)(const KernelCall *call) {
    const KernelCall *conv = &call->members[0];
    real *y = output_data(&call->members[1], 0);
    const real *bias = input_data(conv, 2);
    const NAME(Conv) s = NAME(conv_sizes)(conv, input(conv, 0), output(conv, 0));
    for (int64_t b = 0; b < s.B; b++, y += s.K * s.P) {
        multiply(y, conv, &s, b);
        for (int64_t k = 0; k < s.K; k++) add_bias_relu(y + k * s.P, bias ? bias[k] : 0, s.P);
    }
}

void NAME(cpu_conv2d_relu_max_pool)(const KernelCall *call) {
    const KernelCall *conv = &call->members[0], *pool = &call->members[2];
    real *y = output_data(pool, 0);
    uint8_t *index = output_data(pool, 1);
    const real *bias = input_data(conv, 2);
    const NAME(Conv) s = NAME(conv_sizes)(conv, input(conv, 0), output(conv, 0));
    const NAME(Pool) p = NAME(pool_sizes)(pool, input(pool, 0), output(pool, 0));
    real *z = NAME(conv_piece)(conv, s.scratch.image);
    void *scratch = NAME(conv_piece)(conv, s.scratch.pool);
    for (int64_t b = 0; b < s.B; b++) {
        multiply(z, conv, &s, b);
        for (int64_t k = 0; k < s.K; k++) {
            int64_t at = (b * s.K + k) * p.OH * p.OW;
            add_bias_relu(z + k * s.P, bias ? bias[k] : 0, s.P);
            NAME(pool_plane)(y + at, index ? index + at : NULL, z + k * s.P, &p, scratch);
        }
    }
}
