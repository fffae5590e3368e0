// SPDX-License-Identifier: MIT
// The mean of each window of height * width elements, which are added row by row:
//   y[b,c,i,j]  = sum_{u,v} x[b, c, i s + u, j s + v] / (height width)       s: the stride
//   dx[b,c,h,w] = the sum of dy[b,c,i,j] / (height width) over the windows that hold (h,w)
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

// A channel of a row is a plane by itself, P of them in all.
typedef struct {
    int64_t P, H, W, OH, OW, height, width, stride;
} Sizes;

static Sizes sizes_of(const KernelCall *call, const Operand *x, const Operand *y) {
    return (Sizes){.P = operand_rows(x) * x->shape[1],
                   .H = x->shape[2],
                   .W = x->shape[3],
                   .OH = y->shape[2],
                   .OW = y->shape[3],
                   .height = call->attr[0],
                   .width = call->attr[1],
                   .stride = call->attr[2]};
}

static int64_t x_at(const Sizes *s, int64_t p, int64_t i, int64_t j, int64_t u, int64_t v) {
    return (p * s->H + i * s->stride + u) * s->W + j * s->stride + v;
}

void NAME(reference_avg_pool)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    const Sizes s = sizes_of(call, input(call, 0), output(call, 0));
    for (int64_t p = 0; p < s.P; p++)
        for (int64_t i = 0; i < s.OH; i++)
            for (int64_t j = 0; j < s.OW; j++) {
                real sum = 0;
                for (int64_t u = 0; u < s.height; u++)
                    for (int64_t v = 0; v < s.width; v++) sum += x[x_at(&s, p, i, j, u, v)];
                y[(p * s.OH + i) * s.OW + j] = sum / (real)(s.height * s.width);
            }
}

void NAME(reference_avg_pool_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0);
    const Sizes s = sizes_of(call, output(call, 0), input(call, 0));
    for (int64_t e = 0; e < s.P * s.H * s.W; e++) dx[e] = 0;
    for (int64_t p = 0; p < s.P; p++)
        for (int64_t i = 0; i < s.OH; i++)
            for (int64_t j = 0; j < s.OW; j++) {
                real share = dy[(p * s.OH + i) * s.OW + j] / (real)(s.height * s.width);
                for (int64_t u = 0; u < s.height; u++)
                    for (int64_t v = 0; v < s.width; v++) dx[x_at(&s, p, i, j, u, v)] += share;
            }
}
