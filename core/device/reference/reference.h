// SPDX-License-Identifier: MIT
// The reference device: plain loops, the specification of every kernel.
//
// Letters: B rows, C channels in, K channels out, H W height and width, OH OW after a window. All
// tensors are in C order. Sums run over their indices in the order in which the loops are nested, in
// the type of the operands. A gradient is first summed over its rows, then added to or written over
// what was there: the left fold over micro-batches of the contract's rule 3.
#ifndef CORE_DEVICE_REFERENCE_REFERENCE_H
#define CORE_DEVICE_REFERENCE_REFERENCE_H

#include "core/device/kernel.h"

#define REFERENCE_KERNELS(X)                                                       \
    X(CONV2D, conv2d)                                                              \
    X(CONV2D_BACKWARD_INPUT, conv2d_backward_input)                                \
    X(CONV2D_BACKWARD_WEIGHT, conv2d_backward_weight)                              \
    X(LINEAR, linear)                                                              \
    X(LINEAR_BACKWARD_INPUT, linear_backward_input)                                \
    X(LINEAR_BACKWARD_WEIGHT, linear_backward_weight)                              \
    X(RELU, relu)                                                                  \
    X(RELU_BACKWARD, relu_backward)                                                \
    X(MAX_POOL, max_pool)                                                          \
    X(MAX_POOL_BACKWARD, max_pool_backward)                                        \
    X(CROSS_ENTROPY, cross_entropy)                                                \
    X(CROSS_ENTROPY_BACKWARD, cross_entropy_backward)                              \
    X(FOLD, fold)                                                                  \
    X(SGD, sgd)

#define X(kind, name)                              \
    void reference_##name##_f32(const KernelCall *c); \
    void reference_##name##_f64(const KernelCall *c);
REFERENCE_KERNELS(X)
#undef X

#endif
