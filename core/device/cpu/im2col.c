// SPDX-License-Identifier: MIT
// im2col and col2im: a convolution's image as the matrix that its products read, and back; and the
// order of the weight that goes with it. Read cpu_im2col() first.
#include "core/device/cpu/cpu_internal.h"

#include <string.h>

enum { BLOCK = 8 };
typedef real Block __attribute__((vector_size(BLOCK * sizeof(real)), aligned(sizeof(real))));

// Rows are short: blocks of a size the compiler knows are several times faster than memcpy(). The
// last one may overlap the one before it.
static inline void copy_row(real *restrict to, const real *restrict from, int64_t n) {
    const int64_t last = n - BLOCK;
    for (int64_t j = 0; last < 0 && j < n; j++) to[j] = from[j];
    for (int64_t j = 0; j <= last; j = j == last || j + BLOCK < last ? j + BLOCK : last)
        *(Block *)(to + j) = *(const Block *)(from + j);
}

static inline void add_row(real *restrict to, const real *restrict from, int64_t n) {
    int64_t j = 0;
    for (; j + BLOCK <= n; j += BLOCK) *(Block *)(to + j) += *(const Block *)(from + j);
    for (; j < n; j++) to[j] += from[j];
}

// Outputs j for which 0 <= j stride + offset < size: [first, end).
static void inside(int64_t offset, int64_t stride, int64_t size, int64_t outputs, int64_t *first,
                   int64_t *end) {
    int64_t low = -offset, high = size - offset;
    *first = low <= 0 ? 0 : (low + stride - 1) / stride;
    *end = high <= 0 ? 0 : (high + stride - 1) / stride;
    if (*first > outputs) *first = outputs;
    if (*end > outputs) *end = outputs;
    if (*end < *first) *end = *first;
}

// One row of `columns`: `rows` rows of OW pixels, starting at pixel (u - pad, v - pad) of a plane.
static inline void im2col_row(const Conv *s, const real *plane, int64_t u, int64_t v, int64_t rows,
                              real *columns) {
    const real *from = plane + (u - s->pad) * s->W + v - s->pad;
    const int64_t W = s->W, OW = s->OW;
    int64_t first, end, top, bottom;
    if (s->pad == 0 && s->stride == 1) {
        for (int64_t i = 0; i < rows; i++) copy_row(columns + i * OW, from + i * W, OW);
        return;
    }
    inside(v - s->pad, s->stride, W, OW, &first, &end);
    inside(u - s->pad, s->stride, s->H, rows, &top, &bottom);
    memset(columns, 0, (size_t)(rows * OW) * sizeof(real));
    for (int64_t i = top; i < bottom; i++)
        for (int64_t j = first; j < end; j++) columns[i * OW + j] = from[(i * W + j) * s->stride];
}

static inline void col2im_row(const Conv *s, const real *columns, int64_t u, int64_t v,
                              int64_t rows, real *plane) {
    real *to = plane + (u - s->pad) * s->W + v - s->pad;
    const int64_t W = s->W, OW = s->OW, stride = s->stride;
    int64_t first, end, top, bottom;
    inside(v - s->pad, stride, W, OW, &first, &end);
    inside(u - s->pad, stride, s->H, rows, &top, &bottom);
    for (int64_t i = top; i < bottom; i++) {
        if (stride == 1)
            add_row(to + i * W + first, columns + i * OW + first, end - first);
        else
            for (int64_t j = first; j < end; j++) to[(i * W + j) * stride] += columns[i * OW + j];
    }
}

void NAME(cpu_im2col)(const Conv *s, const real *x, real *columns) {
    const ConvScratch *m = &s->scratch;
    for (int64_t c = 0; c < s->C; c++, x += s->H * s->W)
        for (int64_t u = 0; u < (m->by_row ? 1 : s->kernel); u++)
            for (int64_t v = 0; v < s->kernel; v++, columns += m->width)
                im2col_row(s, x, u, v, m->rows, columns);
}

void NAME(cpu_col2im)(const Conv *s, const real *columns, real *x) {
    const ConvScratch *m = &s->scratch;
    memset(x, 0, (size_t)(s->C * s->H * s->W) * sizeof(real));
    for (int64_t c = 0; c < s->C; c++, x += s->H * s->W)
        for (int64_t u = 0; u < (m->by_row ? 1 : s->kernel); u++)
            for (int64_t v = 0; v < s->kernel; v++, columns += m->width)
                col2im_row(s, columns, u, v, m->rows, x);
}

const real *NAME(cpu_pack_weight)(const Conv *s, const real *weight, real *packed) {
    if (!s->scratch.by_row) return weight;
    real *to = packed;
    for (int64_t u = 0; u < s->kernel; u++)
        for (int64_t kc = 0; kc < s->K * s->C; kc++)
            for (int64_t v = 0; v < s->kernel; v++)
                *to++ = weight[(kc * s->kernel + u) * s->kernel + v];
    return packed;
}

void NAME(cpu_deliver_weight)(const Conv *s, const real *dweight, bool accumulate, real *out) {
    int64_t depth = s->scratch.depth;
    if (!s->scratch.by_row) {
        NAME(cpu_deliver)(s->K * depth, dweight, accumulate, out);
        return;
    }
    for (int64_t k = 0; k < s->K; k++)
        for (int64_t c = 0; c < s->C; c++)
            for (int64_t u = 0; u < s->kernel; u++)
                for (int64_t v = 0; v < s->kernel; v++, out++) {
                    real sum = dweight[(u * depth + c * s->kernel + v) * s->K + k];
                    *out = accumulate ? *out + sum : sum;
                }
}
