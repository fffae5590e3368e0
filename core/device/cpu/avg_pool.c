// SPDX-License-Identifier: MIT
// Average-pooling plane by plane. A row of outputs is summed side by side, one place of the window
// after the other: the reference's order for each of them, and so its bits. Only a window as large
// as the plane has sixteen running sums instead (cpu_add_row_sums).
#include "core/device/cpu/cpu_internal.h"

#include <string.h>

typedef struct {
    int64_t H, W, OH, OW, height, width, stride;
} Window;

static Window window_of(const KernelCall *call, const Operand *wide, const Operand *narrow) {
    return (Window){.H = wide->shape[2],
                    .W = wide->shape[3],
                    .OH = narrow->shape[2],
                    .OW = narrow->shape[3],
                    .height = call->attr[0],
                    .width = call->attr[1],
                    .stride = call->attr[2]};
}

static bool is_global(const Window *p) { return p->height == p->H && p->width == p->W; }
static bool is_halving(const Window *p) {
    return p->height == 2 && p->width == 2 && p->stride == 2;
}

// The means of windows of 2 x 2, from the two rows that they cover.
static inline void halve_rows(real *restrict y, const real *restrict x, int64_t W, int64_t OW) {
    for (int64_t j = 0; j < OW; j++)
        y[j] = (x[2 * j] + x[2 * j + 1] + x[W + 2 * j] + x[W + 2 * j + 1]) / 4;
}

static inline void add_strided(real *restrict y, const real *restrict x, int64_t stride,
                               int64_t n) {
    if (stride == 1)
        for (int64_t j = 0; j < n; j++) y[j] += x[j];
    else if (stride == 2)
        for (int64_t j = 0; j < n; j++) y[j] += x[2 * j];
    else
        for (int64_t j = 0; j < n; j++) y[j] += x[stride * j];
}

static inline void average_row(const Window *p, real *restrict y, const real *restrict x) {
    for (int64_t j = 0; j < p->OW; j++) y[j] = 0;
    for (int64_t u = 0; u < p->height; u++)
        for (int64_t v = 0; v < p->width; v++) add_strided(y, x + u * p->W + v, p->stride, p->OW);
    real area = (real)(p->height * p->width);
    for (int64_t j = 0; j < p->OW; j++) y[j] /= area;
}

void NAME(cpu_avg_pool)(const KernelCall *call) {
    const Operand *from = input(call, 0), *to = output(call, 0);
    const Window p = window_of(call, from, to);
    int64_t planes = operand_rows(from) * from->shape[1];
    const real *x = from->data;
    real *y = to->data;
    if (is_global(&p)) {
        memset(y, 0, (size_t)planes * sizeof(real));
        NAME(cpu_add_row_sums)(planes, p.H * p.W, x, y);
        for (int64_t k = 0; k < planes; k++) y[k] /= (real)(p.H * p.W);
        return;
    }
    for (int64_t k = 0; k < planes; k++, x += p.H * p.W)
        for (int64_t i = 0; i < p.OH; i++, y += p.OW) {
            if (is_halving(&p))
                halve_rows(y, x + 2 * i * p.W, p.W, p.OW);
            else
                average_row(&p, y, x + i * p.stride * p.W);
        }
}

// Windows that do not overlap: each row of gradients fills `height` rows. No window covers the
// rest, which is 0.
static inline void spread_apart(const Window *p, const real *restrict dy, real *restrict dx) {
    real area = (real)(p->height * p->width);
    size_t row = (size_t)p->W * sizeof(real);
    for (int64_t i = 0; i < p->OH; i++, dy += p->OW) {
        real *to = dx + i * p->stride * p->W;
        memset(to, 0, row);
        if (is_halving(p))
            for (int64_t j = 0; j < p->OW; j++) to[2 * j] = to[2 * j + 1] = dy[j] / 4;
        else
            for (int64_t j = 0; j < p->OW; j++) {
                real share = dy[j] / area;
                for (int64_t v = 0; v < p->width; v++) to[j * p->stride + v] = share;
            }
        for (int64_t u = 1; u < p->height; u++) memcpy(to + u * p->W, to, row);
        int64_t next = (i + 1 < p->OH ? (i + 1) * p->stride : p->H) - i * p->stride;
        memset(to + p->height * p->W, 0, (size_t)(next - p->height) * row);
    }
}

// dx[stride j] += dy[j] / area, as for add_strided.
static inline void share_strided(real *restrict dx, const real *restrict dy, real area,
                                 int64_t stride, int64_t n) {
    if (stride == 1)
        for (int64_t j = 0; j < n; j++) dx[j] += dy[j] / area;
    else if (stride == 2)
        for (int64_t j = 0; j < n; j++) dx[2 * j] += dy[j] / area;
    else
        for (int64_t j = 0; j < n; j++) dx[stride * j] += dy[j] / area;
}

// An element meets its windows from left to right, as in the reference, when the places in the
// window go from right to left.
static inline void spread_overlapping(const Window *p, const real *restrict dy, real *restrict dx) {
    real area = (real)(p->height * p->width);
    memset(dx, 0, (size_t)(p->H * p->W) * sizeof(real));
    for (int64_t i = 0; i < p->OH; i++)
        for (int64_t u = 0; u < p->height; u++)
            for (int64_t v = p->width; v-- > 0;)
                share_strided(dx + (i * p->stride + u) * p->W + v, dy + i * p->OW, area, p->stride,
                              p->OW);
}

static inline void spread_evenly(int64_t n, real share, real *dx) {
    for (int64_t i = 0; i < n; i++) dx[i] = share;
}

void NAME(cpu_avg_pool_backward)(const KernelCall *call) {
    const Operand *to = output(call, 0), *from = input(call, 0);
    const Window p = window_of(call, to, from);
    int64_t planes = operand_rows(to) * to->shape[1], P = p.OH * p.OW, HW = p.H * p.W;
    const real *dy = from->data;
    real *dx = to->data;
    for (int64_t k = 0; k < planes; k++)
        if (is_global(&p))
            spread_evenly(HW, dy[k] / (real)HW, dx + k * HW);
        else if (p.stride >= p.height && p.stride >= p.width)
            spread_apart(&p, dy + k * P, dx + k * HW);
        else
            spread_overlapping(&p, dy + k * P, dx + k * HW);
}
