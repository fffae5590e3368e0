// SPDX-License-Identifier: MIT
// Convolution as products of matrices (Chellapilla et al. 2006), one image at a time: everything
// between the image and its pooled output stays in the nearest caches.
#include "core/device/cpu/cpu_internal.h"

// z (K,P) of one image x, without bias.
static void convolve(const Conv *s, const real *weight, const real *x, real *scratch, real *z) {
    const ConvScratch *m = &s->scratch;
    const real *columns = NAME(cpu_im2col)(s, x, scratch);
    for (int64_t u = 0; u < m->products; u++)
        multiply(false, false, s->K, s->P, m->depth, weight + u * s->K * m->depth, m->depth,
                 columns + u * s->OW, m->width, u ? 1 : 0, z, s->P);
}

// `conv` is the call, or a member of it.
static void forward(const KernelCall *call, const KernelCall *conv, bool relu, real *y) {
    const Conv s = conv_of(conv, input(conv, 0), output(conv, 0));
    const real *x = input_data(conv, 0), *bias = input_data(conv, 2);
    const real *weight =
        NAME(cpu_pack_weight)(&s, input_data(conv, 1), scratch_at(call, s.scratch.weight));
    real *columns = scratch_at(call, s.scratch.columns);
    for (int64_t b = 0; b < s.B; b++, x += s.C * s.H * s.W, y += s.K * s.P) {
        convolve(&s, weight, x, columns, y);
        if (bias || relu) NAME(cpu_finish_rows)(s.K, s.P, bias, relu, y);
    }
}

void NAME(cpu_conv2d)(const KernelCall *call) { forward(call, call, false, output_data(call, 0)); }

void NAME(cpu_conv2d_relu)(const KernelCall *call) {
    forward(call, &call->members[0], true, output_data(&call->members[1], 0));
}

// Members: conv2d, relu, max_pool.
void NAME(cpu_conv2d_relu_max_pool)(const KernelCall *call) {
    const KernelCall *conv = &call->members[0], *pooling = &call->members[2];
    const Conv s = conv_of(conv, input(conv, 0), output(conv, 0));
    const Pooling p = pool_of(call, pooling, input(pooling, 0), output(pooling, 0), s.scratch.pool);
    const real *x = input_data(conv, 0), *bias = input_data(conv, 2);
    const real *weight =
        NAME(cpu_pack_weight)(&s, input_data(conv, 1), scratch_at(call, s.scratch.weight));
    real *columns = scratch_at(call, s.scratch.columns), *z = scratch_at(call, s.scratch.z);
    real *y = output_data(pooling, 0);
    uint8_t *index = output_data(pooling, 1);
    for (int64_t b = 0; b < s.B; b++, x += s.C * s.H * s.W) {
        int64_t at = b * s.K * p.OH * p.OW;
        convolve(&s, weight, x, columns, z);
        NAME(cpu_relu_pool_planes)(&p, s.K, bias, z, y + at, index ? index + at : NULL);
    }
}
