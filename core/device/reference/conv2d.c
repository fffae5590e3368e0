// SPDX-License-Identifier: MIT
// Convolution (cross-correlation, as in every deep-learning library; Goodfellow, Bengio, Courville,
// "Deep Learning", section 9.5). With stride s and pad p:
//   y[b,k,i,j] = bias[k] + sum_{c,u,v} x[b, c, i s + u - p, j s + v - p] weight[k,c,u,v]
// where x is zero outside its borders. Each x and weight that met in some y gets a gradient there:
//   dx[b,c,h,w]      = sum of dy[b,k,i,j] weight[k,c,u,v] where i s + u - p = h, j s + v - p = w
//   dweight[k,c,u,v] = sum_{b,i,j} dy[b,k,i,j] x[b, c, i s + u - p, j s + v - p]
//   dbias[k]         = sum_{b,i,j} dy[b,k,i,j]
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

typedef struct {
    int64_t B, C, H, W, K, OH, OW, kernel, stride, pad;
} Sizes;

static Sizes sizes_of(const KernelCall *call, const Operand *x, const Operand *y) {
    return (Sizes){.B = operand_rows(x),
                   .C = x->shape[1],
                   .H = x->shape[2],
                   .W = x->shape[3],
                   .K = y->shape[1],
                   .OH = y->shape[2],
                   .OW = y->shape[3],
                   .kernel = call->attr[0],
                   .stride = call->attr[1],
                   .pad = call->attr[2]};
}

// Where x[b,c,h,w] lies that meets weight[.,c,u,v] in y[b,.,i,j], or NONE outside the borders.
static int64_t x_at(const Sizes *s, int64_t b, int64_t c, int64_t i, int64_t j, int64_t u,
                    int64_t v) {
    int64_t h = i * s->stride + u - s->pad, w = j * s->stride + v - s->pad;
    if (h < 0 || h >= s->H || w < 0 || w >= s->W) return NONE;
    return ((b * s->C + c) * s->H + h) * s->W + w;
}

static int64_t y_at(const Sizes *s, int64_t b, int64_t k, int64_t i, int64_t j) {
    return ((b * s->K + k) * s->OH + i) * s->OW + j;
}

static int64_t weight_at(const Sizes *s, int64_t k, int64_t c, int64_t u, int64_t v) {
    return ((k * s->C + c) * s->kernel + u) * s->kernel + v;
}

void NAME(reference_conv2d)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1), *bias = input_data(call, 2);
    const Sizes s = sizes_of(call, input(call, 0), output(call, 0));
    for (int64_t b = 0; b < s.B; b++)
        for (int64_t k = 0; k < s.K; k++)
            for (int64_t i = 0; i < s.OH; i++)
                for (int64_t j = 0; j < s.OW; j++) {
                    real sum = bias ? bias[k] : 0;
                    for (int64_t c = 0; c < s.C; c++)
                        for (int64_t u = 0; u < s.kernel; u++)
                            for (int64_t v = 0; v < s.kernel; v++) {
                                int64_t at = x_at(&s, b, c, i, j, u, v);
                                if (at != NONE) sum += x[at] * weight[weight_at(&s, k, c, u, v)];
                            }
                    y[y_at(&s, b, k, i, j)] = sum;
                }
}

void NAME(reference_conv2d_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *weight = input_data(call, 1);
    const Sizes s = sizes_of(call, output(call, 0), input(call, 0));
    for (int64_t e = 0; e < s.B * s.C * s.H * s.W; e++) dx[e] = 0;
    for (int64_t b = 0; b < s.B; b++)
        for (int64_t k = 0; k < s.K; k++)
            for (int64_t i = 0; i < s.OH; i++)
                for (int64_t j = 0; j < s.OW; j++) {
                    real d = dy[y_at(&s, b, k, i, j)];
                    for (int64_t c = 0; c < s.C; c++)
                        for (int64_t u = 0; u < s.kernel; u++)
                            for (int64_t v = 0; v < s.kernel; v++) {
                                int64_t at = x_at(&s, b, c, i, j, u, v);
                                if (at != NONE) dx[at] += d * weight[weight_at(&s, k, c, u, v)];
                            }
                }
}

// The term of dweight[k,c,u,v] that row b contributes.
static real weight_row(const Sizes *s, const real *x, const real *dy, int64_t b, int64_t k,
                       int64_t c, int64_t u, int64_t v) {
    real sum = 0;
    for (int64_t i = 0; i < s->OH; i++)
        for (int64_t j = 0; j < s->OW; j++) {
            int64_t at = x_at(s, b, c, i, j, u, v);
            if (at != NONE) sum += dy[y_at(s, b, k, i, j)] * x[at];
        }
    return sum;
}

void NAME(reference_conv2d_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0), *dbias = output_data(call, 1);
    const real *x = input_data(call, 0), *dy = input_data(call, 1);
    const Sizes s = sizes_of(call, input(call, 0), input(call, 1));
    for (int64_t k = 0; k < s.K; k++)
        for (int64_t c = 0; c < s.C; c++)
            for (int64_t u = 0; u < s.kernel; u++)
                for (int64_t v = 0; v < s.kernel; v++) {
                    real sum = 0, *to = &dweight[weight_at(&s, k, c, u, v)];
                    for (int64_t b = 0; b < s.B; b++) sum += weight_row(&s, x, dy, b, k, c, u, v);
                    *to = call->accumulate ? *to + sum : sum;
                }
    for (int64_t k = 0; dbias && k < s.K; k++) {
        real sum = 0;
        for (int64_t b = 0; b < s.B; b++) {
            real row = 0;
            for (int64_t e = 0; e < s.OH * s.OW; e++) row += dy[y_at(&s, b, k, 0, 0) + e];
            sum += row;
        }
        dbias[k] = call->accumulate ? dbias[k] + sum : sum;
    }
}
