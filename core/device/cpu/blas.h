// SPDX-License-Identifier: MIT
// C = A B + beta C for row-major matrices, in the type being compiled: A is (m,k), or (k,m) when
// transposed, B (k,n) or (n,k). One thread does it (device_cpu_prepare()).
#ifndef CORE_DEVICE_CPU_BLAS_H
#define CORE_DEVICE_CPU_BLAS_H

#include "core/device/real.h"

#include <cblas.h>
#include <stdint.h>

typedef struct {
    const real *data;
    int64_t stride;  // elements from one stored row to the next
    enum CBLAS_TRANSPOSE order;
} NAME(Matrix);

static inline NAME(Matrix) NAME(plain)(const real *data, int64_t stride) { return (NAME(Matrix)){data, stride, CblasNoTrans}; }
static inline NAME(Matrix) NAME(transposed)(const real *data, int64_t stride) { return (NAME(Matrix)){data, stride, CblasTrans}; }

static inline void NAME(gemm)(real *c, int64_t m, int64_t n, int64_t k, NAME(Matrix) a, NAME(Matrix) b, real beta) {
#if REAL_IS_F64
    cblas_dgemm
#else
    cblas_sgemm
#endif
        (CblasRowMajor, a.order, b.order, (blasint)m, (blasint)n, (blasint)k, 1, a.data, (blasint)a.stride,
         b.data, (blasint)b.stride, beta, c, (blasint)n);
}

#endif
