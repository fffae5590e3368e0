// SPDX-License-Identifier: MIT
// What the kernels of the cpu device share; included once per type (core/device/real.h).
#ifndef CORE_DEVICE_CPU_CPU_INTERNAL_H
#define CORE_DEVICE_CPU_CPU_INTERNAL_H

#include "core/device/cpu/cpu.h"
#include "core/device/real.h"

#include <cblas.h>

// Loops over elements are compiled for several instruction sets, of which the machine's best is
// taken. They multiply and add separately, so the bits do not depend on which.
#if CPU_CLONES
#define VECTOR __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define VECTOR
#endif
#define ALWAYS_INLINE inline __attribute__((always_inline))  // into each of those versions

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

// Sizes of one convolution, and its piece of scratch for one image.
typedef struct {
    int64_t B, C, H, W, K, OH, OW, kernel, stride, pad;
    int64_t columns, positions;  // C kernel², OH OW
    real *col;                   // (columns, positions)
    real *z;                     // (K, positions): the layer's output, or the gradient of it
    real *dweight, *dbias;       // of the micro-batch: (K, columns), (K)
} NAME(Conv);
#define Conv NAME(Conv)

// Pooling that this image is followed by.
typedef struct {
    int64_t OH, OW, kernel, stride;
} NAME(Pool);
#define Pool NAME(Pool)

// col[(c,u,v), (i,j)] = x[c, i stride + u - pad, j stride + v - pad], zero outside; and its
// transpose: x[...] += col[...], over x set to zero first.
void NAME(cpu_image_to_columns)(const Conv *v, const real *x);
void NAME(cpu_columns_to_image)(const Conv *v, real *x);

// y (K, OH, OW) = the largest of each window of z (K, H, W), after ReLU when asked; index as in the
// reference, may be NULL.
void NAME(cpu_pool_image)(const Pool *p, bool relu, int64_t K, int64_t H, int64_t W, const real *z,
                          real *y, uint8_t *index);
// dz (K, H, W): dy (K, OH, OW) where the index points, zero elsewhere; dy counts as 0 where y <= 0,
// unless y is NULL.
void NAME(cpu_unpool_image)(const Pool *p, int64_t K, int64_t H, int64_t W, const real *dy,
                            const real *y, const uint8_t *index, real *dz);

// sums[k] += the sum of row k of x (rows, n): eight running sums by index, then those in order.
void NAME(cpu_add_row_sums)(int64_t rows, int64_t n, const real *x, real *sums);

// out[i] = accumulate ? out[i] + x[i] : x[i]
void NAME(cpu_deliver)(int64_t n, const real *x, real *out, bool accumulate);
void NAME(cpu_relu_inplace)(int64_t n, real *x);

#endif
