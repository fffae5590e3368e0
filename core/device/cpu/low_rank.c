// SPDX-License-Identifier: MIT
// PowerSGD's products by BLAS, and error feedback; core/device/reference/low_rank.c has the
// formulas. Factors are thin: their orthogonalisation is the reference's.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/reference/reference.h"

void NAME(cpu_low_rank_left)(const KernelCall *call) {
    int64_t N = output(call, 0)->shape[0], R = output(call, 0)->shape[1],
            M = input(call, 1)->shape[0];
    multiply(false, false, N, R, M, input_data(call, 0), M, input_data(call, 1), R, 0,
             output_data(call, 0), R);
}

void NAME(cpu_low_rank_right)(const KernelCall *call) {
    int64_t M = output(call, 0)->shape[0], R = output(call, 0)->shape[1],
            N = input(call, 1)->shape[0];
    multiply(true, false, M, R, N, input_data(call, 0), M, input_data(call, 1), R, 0,
             output_data(call, 0), R);
}

// A negative factor is exact: -(p q') = (-p) q'. BLAS has it as alpha.
void NAME(cpu_low_rank_rest)(const KernelCall *call) {
    int64_t N = input(call, 1)->shape[0], R = input(call, 1)->shape[1],
            M = input(call, 2)->shape[0];
    real *rest = output_data(call, 0);
    if (rest != input_data(call, 0))
        memcpy(rest, input_data(call, 0), (size_t)(N * M) * sizeof *rest);
#if REAL_IS_F64
    cblas_dgemm
#else
    cblas_sgemm
#endif
        (CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)N, (blasint)M, (blasint)R, -1,
         input_data(call, 1), (blasint)R, input_data(call, 2), (blasint)R, 1, rest, (blasint)M);
}

void NAME(cpu_low_rank_whole)(const KernelCall *call) {
    int64_t N = input(call, 0)->shape[0], R = input(call, 0)->shape[1],
            M = input(call, 1)->shape[0];
    multiply(false, true, N, M, R, input_data(call, 0), R, input_data(call, 1), R, 0,
             output_data(call, 0), M);
}

void NAME(cpu_orthogonalise)(const KernelCall *call) { TYPED(reference_orthogonalise)(call); }

void NAME(cpu_feed_error)(const KernelCall *call) {
    int64_t E = live_elements(output(call, 0));
    NAME(cpu_deliver)
    (E, (const real *)input_data(call, 0) + call->attr[0] * E, call->accumulate,
     output_data(call, 0));
}

void NAME(cpu_keep_error)(const KernelCall *call) { TYPED(reference_keep_error)(call); }
