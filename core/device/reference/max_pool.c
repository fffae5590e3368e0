// SPDX-License-Identifier: MIT
// The largest value of each window, and its position in the window, counted row by row:
//   y[b,c,i,j]     = max_{u,v} x[b, c, i s + u - p, j s + v - p]    s: the stride, p: the padding
//   index[b,c,i,j] = u kernel + v, where u, v is the first position of that maximum
//   dx[b,c,h,w]    = the sum of dy[b,c,i,j] over the windows whose maximum is at (h,w)
// over the positions inside the plane (PyTorch pads with -inf), of which every window has one: p is
// at most half of the kernel. A NaN counts as largest. The gradient goes to the maximum alone.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

// A channel of a row is a plane by itself, P of them in all.
typedef struct {
    int64_t P, H, W, OH, OW, kernel, stride, pad;
} Sizes;

static Sizes sizes_of(const KernelCall *call, const Operand *x, const Operand *y) {
    return (Sizes){.P = operand_rows(x) * x->shape[1],
                   .H = x->shape[2],
                   .W = x->shape[3],
                   .OH = y->shape[2],
                   .OW = y->shape[3],
                   .kernel = call->attr[0],
                   .stride = call->attr[1],
                   .pad = call->attr[2]};
}

// The element of plane p at position (u,v) of window (i,j); NONE: that is padding.
static int64_t x_at(const Sizes *s, int64_t p, int64_t i, int64_t j, int64_t u, int64_t v) {
    int64_t h = i * s->stride + u - s->pad, w = j * s->stride + v - s->pad;
    if (h < 0 || h >= s->H || w < 0 || w >= s->W) return NONE;
    return (p * s->H + h) * s->W + w;
}

static int larger(real a, real b) { return a > b || (isnan(a) && !isnan(b)); }

void NAME(reference_max_pool)(const KernelCall *call) {
    real *y = output_data(call, 0);
    uint8_t *index = output_data(call, 1);
    const real *x = input_data(call, 0);
    const Sizes s = sizes_of(call, input(call, 0), output(call, 0));
    for (int64_t p = 0; p < s.P; p++)
        for (int64_t i = 0; i < s.OH; i++)
            for (int64_t j = 0; j < s.OW; j++) {
                int64_t at = (p * s.OH + i) * s.OW + j, best = NONE;
                real max = 0;
                for (int64_t u = 0; u < s.kernel; u++)
                    for (int64_t v = 0; v < s.kernel; v++) {
                        int64_t from = x_at(&s, p, i, j, u, v);
                        if (from == NONE || (best != NONE && !larger(x[from], max))) continue;
                        max = x[from];
                        best = u * s.kernel + v;
                    }
                y[at] = max;
                if (index) index[at] = (uint8_t)best;
            }
}

void NAME(reference_max_pool_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0);
    const uint8_t *index = input_data(call, 1);
    const Sizes s = sizes_of(call, output(call, 0), input(call, 0));
    for (int64_t e = 0; e < s.P * s.H * s.W; e++) dx[e] = 0;
    for (int64_t p = 0; p < s.P; p++)
        for (int64_t i = 0; i < s.OH; i++)
            for (int64_t j = 0; j < s.OW; j++) {
                int64_t at = (p * s.OH + i) * s.OW + j;
                dx[x_at(&s, p, i, j, index[at] / s.kernel, index[at] % s.kernel)] += dy[at];
            }
}
