// SPDX-License-Identifier: MIT
// One image of a convolution as a matrix: column (i,j) of the unfolded image holds the R = C kernel
// kernel inputs of output pixel (i,j), so that the convolution is weight (K,R) times columns (R,P).
// Small images stay in the first caches from unfolding to pooling.
#ifndef CORE_DEVICE_CPU_CONV_IMAGE_H
#define CORE_DEVICE_CPU_CONV_IMAGE_H

#include "core/device/device.h"
#include "core/device/real.h"
#include "core/platform/cpu_scratch.h"

typedef struct {
    int64_t B, C, H, W, K, OH, OW, kernel, stride, pad;
    int64_t R, P;  // C kernel kernel, OH OW
    CpuConvScratch scratch;
} NAME(Conv);

// The sizes of a call whose operand `wide` is (B,C,H,W) and `narrow` (B,K,OH,OW).
static inline NAME(Conv) NAME(conv_sizes)(const KernelCall *c, const Operand *wide, const Operand *narrow) {
    NAME(Conv) s = {operand_rows(wide), wide->shape[1], wide->shape[2], wide->shape[3],
                    narrow->shape[1], narrow->shape[2], narrow->shape[3], c->attr[0], c->attr[1], c->attr[2]};
    s.R = s.C * s.kernel * s.kernel;
    s.P = s.OH * s.OW;
    s.scratch = cpu_conv_scratch(s.R, s.P, s.K, sizeof(real));
    return s;
}

static inline real *NAME(conv_piece)(const KernelCall *c, int64_t offset) { return (real *)((char *)c->scratch + offset); }

// columns (R,P) of image x (C,H,W).
void NAME(conv_unfold)(real *columns, const real *x, const NAME(Conv) *s);

// dx (C,H,W) of the gradient of its columns.
void NAME(conv_fold)(real *dx, const real *dcolumns, const NAME(Conv) *s);

#endif
