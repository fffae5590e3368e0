// SPDX-License-Identifier: MIT
// PowerSGD's products by BLAS, and error feedback; core/device/reference/low_rank.c has the
// formulas. Factors are thin: their orthogonalisation is the reference's.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/reference/reference.h"

// Of a stack of matrices, each with its factors; 0: of one.
static int64_t matrices(const KernelCall *call) { return call->attr[0] ? call->attr[0] : 1; }

void NAME(cpu_low_rank_left)(const KernelCall *call) {
    int64_t B = matrices(call), N = output(call, 0)->shape[0] / B, R = output(call, 0)->shape[1],
            M = input(call, 1)->shape[0] / B;
    const real *x = input_data(call, 0), *q = input_data(call, 1);
    real *p = output_data(call, 0);
    for (int64_t b = 0; b < B; b++)
        multiply(false, false, N, R, M, &x[b * N * M], M, &q[b * M * R], R, 0, &p[b * N * R], R);
}

void NAME(cpu_low_rank_right)(const KernelCall *call) {
    int64_t B = matrices(call), M = output(call, 0)->shape[0] / B, R = output(call, 0)->shape[1],
            N = input(call, 1)->shape[0] / B;
    const real *x = input_data(call, 0), *p = input_data(call, 1);
    real *q = output_data(call, 0);
    for (int64_t b = 0; b < B; b++)
        multiply(true, false, M, R, N, &x[b * N * M], M, &p[b * N * R], R, 0, &q[b * M * R], R);
}

// A negative factor is exact: -(p q') = (-p) q'. BLAS has it as alpha.
void NAME(cpu_low_rank_rest)(const KernelCall *call) {
    int64_t B = matrices(call), N = input(call, 1)->shape[0] / B, R = input(call, 1)->shape[1],
            M = input(call, 2)->shape[0] / B;
    const real *p = input_data(call, 1), *q = input_data(call, 2);
    real *rest = output_data(call, 0);
    if (rest != input_data(call, 0))
        memcpy(rest, input_data(call, 0), (size_t)(B * N * M) * sizeof *rest);
    for (int64_t b = 0; b < B; b++)
#if REAL_IS_F64
        cblas_dgemm
#else
        cblas_sgemm
#endif
            (CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)N, (blasint)M, (blasint)R, -1,
             &p[b * N * R], (blasint)R, &q[b * M * R], (blasint)R, 1, &rest[b * N * M], (blasint)M);
}

void NAME(cpu_low_rank_whole)(const KernelCall *call) {
    int64_t B = matrices(call), N = input(call, 0)->shape[0] / B, R = input(call, 0)->shape[1],
            M = input(call, 1)->shape[0] / B;
    const real *p = input_data(call, 0), *q = input_data(call, 1);
    real *x = output_data(call, 0);
    for (int64_t b = 0; b < B; b++)
        multiply(false, true, N, M, R, &p[b * N * R], R, &q[b * M * R], R, 0, &x[b * N * M], M);
}

void NAME(cpu_orthogonalise)(const KernelCall *call) { TYPED(reference_orthogonalise)(call); }

void NAME(cpu_feed_error)(const KernelCall *call) {
    int64_t E = live_elements(output(call, 0));
    NAME(cpu_deliver)
    (E, (const real *)input_data(call, 0) + call->attr[0] * E, call->accumulate,
     output_data(call, 0));
}

void NAME(cpu_keep_error)(const KernelCall *call) { TYPED(reference_keep_error)(call); }
