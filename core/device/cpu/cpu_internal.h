// SPDX-License-Identifier: MIT
// Declarations that the kernels of the cpu device share, once per type and instruction set
// (core/device/real.h).
//
// Matrix products are BLAS's. All other loops are written so that compilers turn them into vectors
// of whatever the target has: contiguous, without branches, loads before what they depend on.
#ifndef CORE_DEVICE_CPU_CPU_INTERNAL_H
#define CORE_DEVICE_CPU_CPU_INTERNAL_H

#include "core/device/cpu/cpu.h"
#include "core/device/real.h"
#include "core/platform/cpu_scratch_sequence.h"

#include <cblas.h>

// c (m,n) = op(a) (m,k) op(b) (k,n) + beta c; row-major, with row lengths lda, ldb, ldc.
static inline void multiply(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                            const real *a, int64_t lda, const real *b, int64_t ldb, real beta,
                            real *c, int64_t ldc) {
#if REAL_IS_F64
    cblas_dgemm
#else
    cblas_sgemm
#endif
        (CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
         transpose_b ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, a,
         (blasint)lda, b, (blasint)ldb, beta, c, (blasint)ldc);
}

static inline void *scratch_at(const KernelCall *call, int64_t offset) {
    return (unsigned char *)call->scratch + offset;
}

// Sizes of one convolution.
typedef struct {
    int64_t B, C, H, W, K, OH, OW, kernel, stride, pad, P;  // P = OH OW
    ConvScratch scratch;
} Conv;

// x (B,C,H,W) and y (B,K,OH,OW), or their gradients, are what the call convolves.
static inline Conv conv_of(const KernelCall *call, const Operand *x, const Operand *y) {
    Conv s = {operand_rows(x), x->shape[1], x->shape[2],   x->shape[3],   y->shape[1],
              y->shape[2],     y->shape[3], call->attr[0], call->attr[1], call->attr[2]};
    s.P = s.OH * s.OW;
    s.scratch = conv_scratch(s.C, s.K, s.OH, s.OW, s.kernel, s.stride, sizeof(real));
    return s;
}

// A convolution whose matrix is the image itself.
static inline bool conv_is_pointwise(const Conv *s) {
    return s->kernel == 1 && s->stride == 1 && s->pad == 0;
}

// im2col returns the image x (C,H,W) as a matrix (layout: core/platform/cpu_scratch.h): x itself if
// the convolution is pointwise, else `columns`, which it writes:
//   columns[(c,u,v)][(i,j)] = x[c, i stride + u - pad, j stride + v - pad], zero outside the image
// By kernel row the rows are (c,v) only. col2im is its transpose: every x becomes the sum of the
// elements of `columns` that im2col copies from it, in their order; it may change `columns`.
const real *NAME(cpu_im2col)(const Conv *s, const real *x, real *columns);
void NAME(cpu_col2im)(const Conv *s, real *columns, real *x);

// The weight as the products read it: itself, or by kernel row, packed into scratch.
const real *NAME(cpu_pack_weight)(const Conv *s, const real *weight, real *packed);

// out (K,C,kernel,kernel) = the weight gradient in the order of its scratch, or out + that.
void NAME(cpu_deliver_weight)(const Conv *s, const real *dweight, bool accumulate, real *out);

// Pooling planes (H,W) to (OH,OW).
typedef struct {
    int64_t H, W, OH, OW, kernel, stride, pad;
    real *value, *gated;  // scratch, as in cpu_scratch.h
    void *place, *out;
} Pooling;

// The sizes are those of `pooling`, a call or a member of one, which pools wide (B,C,H,W) to narrow
// (B,C,OH,OW); the scratch is the call's.
static inline Pooling pool_of(const KernelCall *call, const KernelCall *pooling,
                              const Operand *wide, const Operand *narrow, PoolScratch at) {
    return (Pooling){.H = wide->shape[2],
                     .W = wide->shape[3],
                     .OH = narrow->shape[2],
                     .OW = narrow->shape[3],
                     .kernel = pooling->attr[0],
                     .stride = pooling->attr[1],
                     .pad = pooling->attr[2],
                     .value = scratch_at(call, at.value),
                     .gated = scratch_at(call, at.gated),
                     .place = scratch_at(call, at.place),
                     .out = scratch_at(call, at.out)};
}

// y (planes,OH,OW) = the largest of each window of x (planes,H,W); index as in the reference, or
// NULL. The second: of relu(x + bias), bias (planes) or NULL, which takes the place of x.
void NAME(cpu_pool_planes)(const Pooling *p, int64_t planes, const real *x, real *y,
                           uint8_t *index);
void NAME(cpu_relu_pool_planes)(const Pooling *p, int64_t planes, const real *bias, real *x,
                                real *y, uint8_t *index);

// dx (planes,H,W): dy (planes,OH,OW) where the index points, zero elsewhere; dy counts as 0 where
// y <= 0, unless y is NULL.
void NAME(cpu_unpool_planes)(const Pooling *p, int64_t planes, const real *dy, const real *y,
                             const uint8_t *index, real *dx);

static inline void finish_row(int64_t n, real bias, bool relu, real *x) {
    if (relu)
        for (int64_t i = 0; i < n; i++) x[i] = x[i] + bias <= 0 ? 0 : x[i] + bias;
    else
        for (int64_t i = 0; i < n; i++) x[i] += bias;
}

// Rows of n: x[r] += bias[r] (NULL: 0), and when asked ReLU.
void NAME(cpu_finish_rows)(int64_t rows, int64_t n, const real *bias, bool relu, real *x);

// sums[k] += the sum of row k of x (rows, n): sixteen running sums by index, then those in order.
void NAME(cpu_add_row_sums)(int64_t rows, int64_t n, const real *x, real *sums);

// out (n) = x, or out + x.
void NAME(cpu_deliver)(int64_t n, const real *x, bool accumulate, real *out);

#endif
