// SPDX-License-Identifier: MIT
// The cpu device: what the reference device computes, faster. Convolutions go image by image, so that
// the unfolded image, the result and its pooling stay in the first caches; matrix products are BLAS's.
// Where nothing is to be gained the table holds the reference's own kernels.
#ifndef CORE_DEVICE_CPU_CPU_H
#define CORE_DEVICE_CPU_CPU_H

#include "core/device/reference/reference.h"

#define CPU_KERNELS(X)                                     \
    X(CONV2D, conv2d)                                      \
    X(CONV2D_BACKWARD_INPUT, conv2d_backward_input)        \
    X(CONV2D_BACKWARD_WEIGHT, conv2d_backward_weight)      \
    X(LINEAR, linear)                                      \
    X(LINEAR_BACKWARD_INPUT, linear_backward_input)        \
    X(LINEAR_BACKWARD_WEIGHT, linear_backward_weight)      \
    X(RELU, relu)                                          \
    X(RELU_BACKWARD, relu_backward)                        \
    X(MAX_POOL, max_pool)                                  \
    X(MAX_POOL_BACKWARD, max_pool_backward)                \
    X(FOLD, fold)                                          \
    X(SGD, sgd)

#define CPU_FUSED_KERNELS(X)                               \
    X(CONV2D_RELU_MAX_POOL, conv2d_relu_max_pool)          \
    X(CONV2D_RELU, conv2d_relu)                            \
    X(LINEAR_RELU, linear_relu)                            \
    X(POOLED_CONV2D_BACKWARD, pooled_conv2d_backward)      \
    X(CONV2D_BACKWARD, conv2d_backward)

#define X(kind, name)                           \
    void cpu_##name##_f32(const KernelCall *c); \
    void cpu_##name##_f64(const KernelCall *c);
CPU_KERNELS(X)
CPU_FUSED_KERNELS(X)
#undef X

#endif
