// SPDX-License-Identifier: MIT
// Memory that the cpu device's kernels need during one call: pieces in a fixed order, each
// 64-byte aligned. The kernels cut their scratch up by these layouts, and the device's traits size
// it by them. Everything is in bytes; `size` is that of an element.
#ifndef CORE_PLATFORM_CPU_SCRATCH_H
#define CORE_PLATFORM_CPU_SCRATCH_H

#include <stdbool.h>
#include <stdint.h>

static inline int64_t scratch_piece(int64_t *end, int64_t elements, int64_t size) {
    int64_t offset = *end;
    *end += (elements * size + 63) / 64 * 64;
    return offset;
}

// Pooling a plane of P inputs: the larger of two rows and its place, P / 2 of each; gradients that
// pass, and places in a window, one for each window. Places are as wide as an element.
typedef struct {
    int64_t value, place, gated, out, end;
} PoolScratch;

static inline PoolScratch pool_scratch(int64_t start, int64_t P, int64_t size) {
    PoolScratch s = {.end = start};
    s.value = scratch_piece(&s.end, P / 2, size);
    s.place = scratch_piece(&s.end, P / 2, size);
    s.gated = scratch_piece(&s.end, P / 4, size);
    s.out = scratch_piece(&s.end, P / 4, size);
    return s;
}

// One image of a convolution from C to K channels, as products of matrices. im2col copies each
// pixel once per kernel position (u,v); or, with stride 1 and enough channels for deep products,
// once per kernel column v only ("by row"): the product of kernel row u then reads the same matrix,
// starting at offset u OW.
typedef struct {
    bool by_row;
    int64_t products;  // kernel by row, else 1
    int64_t rows;      // of OW pixels in a row of `columns`
    int64_t depth,
        width;  // of the matrix `columns`: (C kernel, (OH + kernel - 1) OW) or (C kernel², OH OW)
    int64_t columns;       // that, or the gradient of it
    int64_t weight;        // by row: (kernel,K,depth), the weight with the kernel's rows apart
    int64_t z;             // (K,OH,OW) the layer's output, or the gradient of it
    int64_t z_transposed;  // by row: (OH OW,K)
    int64_t dweight,
        dbias;         // of the rows of the call: (kernel,depth,K) by row, else (K,depth); (K)
    PoolScratch pool;  // of one plane of z
    int64_t end;
} ConvScratch;

enum { CONV_DEPTH = 32 };  // from which on a product of one kernel row is as fast as one of all

static inline ConvScratch conv_scratch(int64_t C, int64_t K, int64_t OH, int64_t OW, int64_t kernel,
                                       int64_t stride, int64_t size) {
    ConvScratch s = {.by_row = stride == 1 && C * kernel >= CONV_DEPTH};
    s.rows = s.by_row ? OH + kernel - 1 : OH;
    s.products = s.by_row ? kernel : 1;
    s.depth = s.by_row ? C * kernel : C * kernel * kernel;
    s.width = s.rows * OW;
    s.columns = scratch_piece(&s.end, s.depth * s.width, size);
    s.weight = scratch_piece(&s.end, s.by_row ? K * C * kernel * kernel : 0, size);
    s.z = scratch_piece(&s.end, K * OH * OW, size);
    s.z_transposed = scratch_piece(&s.end, s.by_row ? K * OH * OW : 0, size);
    s.dweight = scratch_piece(&s.end, K * C * kernel * kernel, size);
    s.dbias = scratch_piece(&s.end, K, size);
    s.pool = pool_scratch(s.end, OH * OW, size);
    s.end = s.pool.end;
    return s;
}

// The gradients of a linear layer, C to K, of the rows of the call.
typedef struct {
    int64_t dweight, dbias, end;  // (K,C), (K)
} LinearScratch;

static inline LinearScratch linear_scratch(int64_t C, int64_t K, int64_t size) {
    LinearScratch s = {0};
    s.dweight = scratch_piece(&s.end, K * C, size);
    s.dbias = scratch_piece(&s.end, K, size);
    return s;
}

// Batch normalisation: up to six numbers of f64's size for each of C channels.
static inline int64_t batch_norm_scratch(int64_t C, int piece) { return piece * C * 8; }
enum { BATCH_NORM_PIECES = 6 };

#endif
