// SPDX-License-Identifier: MIT
#include "core/device/cpu/conv_image.h"
#include "core/device/cpu/vector.h"

#include <string.h>

// The part [*first, *last) of an output row whose inputs lie inside a row of `size` at offset v.
static void inside(const NAME(Conv) *s, int64_t size, int64_t outputs, int64_t v, int64_t *first, int64_t *last) {
    int64_t before = s->pad - v, end = size + s->pad - v;  // j stride must lie in [before, end)
    *first = before <= 0 ? 0 : (before + s->stride - 1) / s->stride;
    *last = end <= 0 ? 0 : (end + s->stride - 1) / s->stride;
    if (*first > outputs) *first = outputs;
    if (*last > outputs) *last = outputs;
    if (*last < *first) *last = *first;
}

// Rows are short and many: copied by whole vectors, the last one overlapping the one before.
static inline void copy_row(real *to, const real *from, int64_t n) {
    if (n < LANES) {
        for (int64_t j = 0; j < n; j++) to[j] = from[j];
        return;
    }
    for (int64_t j = 0; j + LANES <= n; j += LANES) VECTOR_SET(to + j, VECTOR_AT(from + j));
    if (n % LANES) VECTOR_SET(to + n - LANES, VECTOR_AT(from + n - LANES));
}

static void unfold_dense(real *columns, const real *x, const NAME(Conv) *s) {
    for (int64_t c = 0; c < s->C; c++)
        for (int64_t u = 0; u < s->kernel; u++)
            for (int64_t v = 0; v < s->kernel; v++)
                for (int64_t i = 0; i < s->OH; i++, columns += s->OW) copy_row(columns, x + (c * s->H + i + u) * s->W + v, s->OW);
}

void NAME(conv_unfold)(real *columns, const real *x, const NAME(Conv) *s) {
    if (s->stride == 1 && s->pad == 0) {
        unfold_dense(columns, x, s);
        return;
    }
    memset(columns, 0, (size_t)(s->R * s->P) * sizeof(real));
    for (int64_t r = 0; r < s->R; r++) {
        int64_t v = r % s->kernel, u = r / s->kernel % s->kernel, c = r / (s->kernel * s->kernel);
        int64_t top, bottom, left, right;
        inside(s, s->H, s->OH, u, &top, &bottom);
        inside(s, s->W, s->OW, v, &left, &right);
        for (int64_t i = top; i < bottom; i++) {
            const real *from = x + (c * s->H + i * s->stride + u - s->pad) * s->W + v - s->pad;
            for (int64_t j = left; j < right; j++) columns[r * s->P + i * s->OW + j] = from[j * s->stride];
        }
    }
}

// to[0..n) plus `rows` rows that lie `stride` apart, added in their order.
static inline void add_rows(real *to, const real *from, int64_t stride, int64_t rows, int64_t n) {
    int64_t j = 0;
    for (; j + 2 * LANES <= n; j += 2 * LANES) {
        Vector a = VECTOR_AT(to + j), b = VECTOR_AT(to + j + LANES);
        for (int64_t r = 0; r < rows; r++) {
            a += VECTOR_AT(from + r * stride + j);
            b += VECTOR_AT(from + r * stride + j + LANES);
        }
        VECTOR_SET(to + j, a);
        VECTOR_SET(to + j + LANES, b);
    }
    for (; j < n; j++)
        for (int64_t r = 0; r < rows; r++) to[j] += from[r * stride + j];
}

// Row h of dx gets row h - u of the columns of each u: summed in registers before dx is touched.
static void fold_dense(real *dx, const real *dcolumns, const NAME(Conv) *s) {
    int64_t next = s->kernel * s->P - s->OW;  // from row i of (u,v) to row i - 1 of (u + 1,v)
    for (int64_t c = 0; c < s->C; c++)
        for (int64_t v = 0; v < s->kernel; v++)
            for (int64_t h = 0; h < s->H; h++) {
                int64_t u = h < s->OH ? 0 : h - s->OH + 1, last = h < s->kernel ? h + 1 : s->kernel;
                const real *from = dcolumns + ((c * s->kernel + u) * s->kernel + v) * s->P + (h - u) * s->OW;
                add_rows(dx + (c * s->H + h) * s->W + v, from, next, last - u, s->OW);
            }
}

void NAME(conv_fold)(real *dx, const real *dcolumns, const NAME(Conv) *s) {
    memset(dx, 0, (size_t)(s->C * s->H * s->W) * sizeof(real));
    if (s->stride == 1 && s->pad == 0) {
        fold_dense(dx, dcolumns, s);
        return;
    }
    for (int64_t r = 0; r < s->R; r++) {
        int64_t v = r % s->kernel, u = r / s->kernel % s->kernel, c = r / (s->kernel * s->kernel);
        int64_t top, bottom, left, right;
        inside(s, s->H, s->OH, u, &top, &bottom);
        inside(s, s->W, s->OW, v, &left, &right);
        for (int64_t i = top; i < bottom; i++) {
            real *to = dx + (c * s->H + i * s->stride + u - s->pad) * s->W + v - s->pad;
            for (int64_t j = left; j < right; j++) to[j * s->stride] += dcolumns[r * s->P + i * s->OW + j];
        }
    }
}
