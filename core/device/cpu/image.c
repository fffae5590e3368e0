// SPDX-License-Identifier: MIT
// One image: its columns, its pooling, its sums.
#include "core/device/cpu/cpu_internal.h"

#include <string.h>

// Rows are short: blocks of a size the compiler knows are several times faster than memcpy().
static ALWAYS_INLINE void copy_row(real *restrict to, const real *restrict from, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) memcpy(to + i, from + i, 8 * sizeof(real));
    for (; i + 4 <= n; i += 4) memcpy(to + i, from + i, 4 * sizeof(real));
    for (; i < n; i++) to[i] = from[i];
}

static ALWAYS_INLINE void add_row(real *restrict to, const real *restrict from, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) to[i + k] += from[i + k];
    for (; i < n; i++) to[i] += from[i];
}

// Output columns j for which 0 <= j stride + v - pad < W: [first, end).
static void inside(const Conv *s, int64_t v, int64_t *first, int64_t *end) {
    int64_t low = s->pad - v, high = s->W + s->pad - v;
    *first = low <= 0 ? 0 : (low + s->stride - 1) / s->stride;
    *end = high <= 0 ? 0 : (high + s->stride - 1) / s->stride;
    if (*first > s->OW) *first = s->OW;
    if (*end > s->OW) *end = s->OW;
    if (*end < *first) *end = *first;
}

// Without padding and in steps of one every row of columns is a piece of a row of the image.
static bool is_plain(const Conv *s) { return s->stride == 1 && s->pad == 0; }

static ALWAYS_INLINE void plain_to_columns(const Conv *s, const real *x) {
    real *restrict to = s->col;
    for (int64_t c = 0; c < s->C; c++)
        for (int64_t u = 0; u < s->kernel; u++)
            for (int64_t v = 0; v < s->kernel; v++) {
                const real *restrict from = &x[(c * s->H + u) * s->W + v];
                for (int64_t i = 0; i < s->OH; i++, to += s->OW, from += s->W) copy_row(to, from, s->OW);
            }
}

static ALWAYS_INLINE void plain_to_image(const Conv *s, real *x) {
    const real *restrict from = s->col;
    for (int64_t c = 0; c < s->C; c++)
        for (int64_t u = 0; u < s->kernel; u++)
            for (int64_t v = 0; v < s->kernel; v++) {
                real *restrict to = &x[(c * s->H + u) * s->W + v];
                for (int64_t i = 0; i < s->OH; i++, from += s->OW, to += s->W) add_row(to, from, s->OW);
            }
}

VECTOR void NAME(cpu_image_to_columns)(const Conv *s, const real *x) {
    real *to = s->col;
    if (is_plain(s)) {
        plain_to_columns(s, x);
        return;
    }
    for (int64_t c = 0; c < s->C; c++)
        for (int64_t u = 0; u < s->kernel; u++)
            for (int64_t v = 0; v < s->kernel; v++) {
                int64_t first, end;
                inside(s, v, &first, &end);
                for (int64_t i = 0; i < s->OH; i++, to += s->OW) {
                    int64_t h = i * s->stride + u - s->pad;
                    if (h < 0 || h >= s->H) {
                        for (int64_t j = 0; j < s->OW; j++) to[j] = 0;
                        continue;
                    }
                    const real *from = &x[(c * s->H + h) * s->W + v - s->pad];
                    for (int64_t j = 0; j < first; j++) to[j] = 0;
                    if (s->stride == 1)
                        copy_row(to + first, from + first, end - first);
                    else
                        for (int64_t j = first; j < end; j++) to[j] = from[j * s->stride];
                    for (int64_t j = end; j < s->OW; j++) to[j] = 0;
                }
            }
}

VECTOR void NAME(cpu_columns_to_image)(const Conv *s, real *x) {
    const real *from = s->col;
    memset(x, 0, (size_t)(s->C * s->H * s->W) * sizeof(real));
    if (is_plain(s)) {
        plain_to_image(s, x);
        return;
    }
    for (int64_t c = 0; c < s->C; c++)
        for (int64_t u = 0; u < s->kernel; u++)
            for (int64_t v = 0; v < s->kernel; v++) {
                int64_t first, end;
                inside(s, v, &first, &end);
                for (int64_t i = 0; i < s->OH; i++, from += s->OW) {
                    int64_t h = i * s->stride + u - s->pad;
                    if (h < 0 || h >= s->H) continue;
                    real *to = &x[(c * s->H + h) * s->W + v - s->pad];
                    if (s->stride == 1)
                        add_row(to + first, from + first, end - first);
                    else
                        for (int64_t j = first; j < end; j++) to[j * s->stride] += from[j];
                }
            }
}

VECTOR void NAME(cpu_add_row_sums)(int64_t rows, int64_t n, const real *x, real *sums) {
    for (int64_t k = 0; k < rows; k++, x += n) {
        real part[8] = {0}, sum = 0;
        int64_t i = 0;
        for (; i + 8 <= n; i += 8)
            for (int e = 0; e < 8; e++) part[e] += x[i + e];
        for (int e = 0; i < n; i++, e++) part[e] += x[i];
        for (int e = 0; e < 8; e++) sum += part[e];
        sums[k] += sum;
    }
}

VECTOR void NAME(cpu_deliver)(int64_t n, const real *x, real *out, bool accumulate) {
    if (!accumulate)
        memcpy(out, x, (size_t)n * sizeof(real));
    else
        for (int64_t i = 0; i < n; i++) out[i] += x[i];
}

VECTOR void NAME(cpu_relu_inplace)(int64_t n, real *x) {
    for (int64_t i = 0; i < n; i++) x[i] = x[i] <= 0 ? 0 : x[i];
}
