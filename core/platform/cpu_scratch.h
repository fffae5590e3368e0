// SPDX-License-Identifier: MIT
// Where the cpu device's kernels keep what they need for the time of one call: the layout that the
// kernels use and that their traits size. Offsets and sizes are in bytes, every piece is 64-byte aligned.
#ifndef CORE_PLATFORM_CPU_SCRATCH_H
#define CORE_PLATFORM_CPU_SCRATCH_H

#include <stdint.h>

// A convolution, one image at a time, with R = C kernel kernel, P = OH OW and K channels out.
typedef struct {
    int64_t columns;     // (R,P) the image unfolded, or the gradient of that
    int64_t image;       // (K,P) the convolution's output, or its gradient
    int64_t transposed;  // (P,K) that gradient
    int64_t weight;      // (R,K) or (K,R) gradient of the weight, summed over the rows of the call
    int64_t bias;        // (K) of the bias
    int64_t pool;        // of one plane of P elements, see cpu_pool_scratch
    int64_t bytes;       // all of it
} CpuConvScratch;

static inline int64_t cpu_scratch_piece(int64_t *used, int64_t elements, int64_t element_bytes) {
    int64_t at = *used;
    *used += (elements * element_bytes + 63) / 64 * 64;
    return at;
}

// Max-pooling of a plane of P elements: the larger of each pair, and where it and the window's largest were.
static inline int64_t cpu_pool_scratch(int64_t P, int64_t element_bytes) {
    int64_t used = 0;
    for (int i = 0; i < 3; i++) cpu_scratch_piece(&used, (P + 1) / 2, element_bytes);
    return used;
}

static inline CpuConvScratch cpu_conv_scratch(int64_t R, int64_t P, int64_t K, int64_t element_bytes) {
    CpuConvScratch s;
    int64_t used = 0;
    s.columns = cpu_scratch_piece(&used, R * P, element_bytes);
    s.image = cpu_scratch_piece(&used, K * P, element_bytes);
    s.transposed = cpu_scratch_piece(&used, K * P, element_bytes);
    s.weight = cpu_scratch_piece(&used, R * K, element_bytes);
    s.bias = cpu_scratch_piece(&used, K, element_bytes);
    s.pool = used;
    s.bytes = used + cpu_pool_scratch(P, element_bytes);
    return s;
}

// Gradients of a linear layer's weight (K,C) and bias (K), summed over the rows of the call.
typedef struct {
    int64_t weight, bias, bytes;
} CpuLinearScratch;

static inline CpuLinearScratch cpu_linear_scratch(int64_t C, int64_t K, int64_t element_bytes) {
    CpuLinearScratch s;
    int64_t used = 0;
    s.weight = cpu_scratch_piece(&used, K * C, element_bytes);
    s.bias = cpu_scratch_piece(&used, K, element_bytes);
    s.bytes = used;
    return s;
}

#endif
