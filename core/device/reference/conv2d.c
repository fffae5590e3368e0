// SPDX-License-Identifier: MIT
// Convolution (cross-correlation, as in every deep-learning library):
//   y[b,k,i,j]  = bias[k] + sum_{c,u,v} x[b, c, i s + u - p, j s + v - p] weight[k,c,u,v]
// x is zero outside its borders; s stride, p pad. Its gradients (dy = dL/dy):
//   dx[b,c,h,w]      = sum of dy[b,k,i,j] weight[k,c,u,v] over all (k,i,j,u,v) with i s + u - p = h, j s + v - p = w
//   dweight[k,c,u,v] = sum_{b,i,j} dy[b,k,i,j] x[b, c, i s + u - p, j s + v - p]
//   dbias[k]         = sum_{b,i,j} dy[b,k,i,j]
#include "core/device/real.h"
#include "core/device/reference/reference.h"

typedef struct {
    int64_t B, C, H, W, K, OH, OW, kernel, stride, pad;
} Sizes;

static Sizes sizes(const KernelCall *c, const Operand *x, const Operand *y) {
    return (Sizes){operand_rows(x), x->shape[1], x->shape[2], x->shape[3], y->shape[1], y->shape[2], y->shape[3],
                   c->attr[0], c->attr[1], c->attr[2]};
}

// Where x[b,c,h,w] lies, or -1 outside the borders.
static int64_t at(const Sizes *s, int64_t b, int64_t c, int64_t h, int64_t w) {
    if (h < 0 || h >= s->H || w < 0 || w >= s->W) return -1;
    return ((b * s->C + c) * s->H + h) * s->W + w;
}

void NAME(reference_conv2d)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1), *bias = input_data(call, 2);
    const Sizes s = sizes(call, input(call, 0), output(call, 0));
    for (int64_t b = 0; b < s.B; b++)
        for (int64_t k = 0; k < s.K; k++)
            for (int64_t i = 0; i < s.OH; i++)
                for (int64_t j = 0; j < s.OW; j++) {
                    real sum = bias ? bias[k] : 0;
                    for (int64_t c = 0; c < s.C; c++)
                        for (int64_t u = 0; u < s.kernel; u++)
                            for (int64_t v = 0; v < s.kernel; v++) {
                                int64_t from = at(&s, b, c, i * s.stride + u - s.pad, j * s.stride + v - s.pad);
                                if (from >= 0) sum += x[from] * weight[((k * s.C + c) * s.kernel + u) * s.kernel + v];
                            }
                    y[((b * s.K + k) * s.OH + i) * s.OW + j] = sum;
                }
}

void NAME(reference_conv2d_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *weight = input_data(call, 1);
    const Sizes s = sizes(call, output(call, 0), input(call, 0));
    for (int64_t e = 0; e < s.B * s.C * s.H * s.W; e++) dx[e] = 0;
    for (int64_t b = 0; b < s.B; b++)
        for (int64_t k = 0; k < s.K; k++)
            for (int64_t i = 0; i < s.OH; i++)
                for (int64_t j = 0; j < s.OW; j++)
                    for (int64_t c = 0; c < s.C; c++)
                        for (int64_t u = 0; u < s.kernel; u++)
                            for (int64_t v = 0; v < s.kernel; v++) {
                                int64_t to = at(&s, b, c, i * s.stride + u - s.pad, j * s.stride + v - s.pad);
                                if (to >= 0)
                                    dx[to] += dy[((b * s.K + k) * s.OH + i) * s.OW + j] *
                                              weight[((k * s.C + c) * s.kernel + u) * s.kernel + v];
                            }
}

void NAME(reference_conv2d_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0), *dbias = output_data(call, 1);
    const real *x = input_data(call, 0), *dy = input_data(call, 1);
    const Sizes s = sizes(call, input(call, 0), input(call, 1));
    for (int64_t k = 0; k < s.K; k++) {
        for (int64_t c = 0; c < s.C; c++)
            for (int64_t u = 0; u < s.kernel; u++)
                for (int64_t v = 0; v < s.kernel; v++) {
                    real sum = 0;
                    for (int64_t b = 0; b < s.B; b++)
                        for (int64_t i = 0; i < s.OH; i++)
                            for (int64_t j = 0; j < s.OW; j++) {
                                int64_t from = at(&s, b, c, i * s.stride + u - s.pad, j * s.stride + v - s.pad);
                                if (from >= 0) sum += dy[((b * s.K + k) * s.OH + i) * s.OW + j] * x[from];
                            }
                    real *to = &dweight[((k * s.C + c) * s.kernel + u) * s.kernel + v];
                    *to = call->accumulate ? *to + sum : sum;
                }
        real sum = 0;
        for (int64_t b = 0; b < s.B; b++)
            for (int64_t e = 0; e < s.OH * s.OW; e++) sum += dy[(b * s.K + k) * s.OH * s.OW + e];
        if (dbias) dbias[k] = call->accumulate ? dbias[k] + sum : sum;
    }
}
