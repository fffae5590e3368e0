// SPDX-License-Identifier: MIT
// Max-pooling of one plane. Windows of 2x2 that tile the plane, the common case, go by whole vectors.
#ifndef CORE_DEVICE_CPU_POOL_PLANE_H
#define CORE_DEVICE_CPU_POOL_PLANE_H

#include "core/device/device.h"
#include "core/device/real.h"

typedef struct {
    int64_t H, W, OH, OW, kernel, stride;
} NAME(Pool);

static inline NAME(Pool) NAME(pool_sizes)(const KernelCall *c, const Operand *wide, const Operand *narrow) {
    return (NAME(Pool)){wide->shape[2], wide->shape[3], narrow->shape[2], narrow->shape[3], c->attr[0], c->attr[1]};
}

// y (OH,OW), and unless NULL where in its window it was, of x (H,W). `scratch`: cpu_pool_scratch(H W) bytes.
void NAME(pool_plane)(real *y, uint8_t *index, const real *x, const NAME(Pool) *s, void *scratch);

// dx (H,W) of dy (OH,OW); where `mask` is given, only of those dy whose mask is above zero.
void NAME(unpool_plane)(real *dx, const real *dy, const real *mask, const uint8_t *index, const NAME(Pool) *s, void *scratch);

#endif
