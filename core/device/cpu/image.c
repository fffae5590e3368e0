// SPDX-License-Identifier: MIT
// One image: its columns, its pooling, its sums.
#include "core/device/cpu/cpu_internal.h"

#include <string.h>

// Rows are short: blocks of a size the compiler knows are several times faster than memcpy().
static inline void copy_row(real *restrict to, const real *restrict from, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) memcpy(to + i, from + i, 8 * sizeof(real));
    for (; i + 4 <= n; i += 4) memcpy(to + i, from + i, 4 * sizeof(real));
    for (; i < n; i++) to[i] = from[i];
}

static inline void add_row(real *restrict to, const real *restrict from, int64_t n) {
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

VECTOR void NAME(cpu_image_to_columns)(const Conv *s, const real *x) {
    real *to = s->col;
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

// The candidate b replaces a: it is larger, or it is a NaN and a is none.
static inline bool beats(real b, real a) { return b > a || (b != b && a == a); }
static inline real rectified(real x, bool relu) { return relu && x <= 0 ? 0 : x; }

// Windows of 2 x 2 that do not overlap, one row of them.
static inline void pool_pair(const real *restrict top, const real *restrict bottom, bool relu,
                             int64_t n, real *restrict y, uint8_t *restrict index) {
    for (int64_t j = 0; j < n; j++) {
        real a = rectified(top[2 * j], relu), b = rectified(top[2 * j + 1], relu);
        real c = rectified(bottom[2 * j], relu), d = rectified(bottom[2 * j + 1], relu);
        bool right = beats(b, a), low_right = beats(d, c);
        real high = right ? b : a, low = low_right ? d : c;
        bool below = beats(low, high);
        y[j] = below ? low : high;
        index[j] = (uint8_t)(below ? 2 + low_right : right);
    }
}

static void pool_windows(const Pool *p, bool relu, int64_t W, const real *plane, int64_t i, real *y,
                         uint8_t *index) {
    for (int64_t j = 0; j < p->OW; j++) {
        const real *window = &plane[i * p->stride * W + j * p->stride];
        real best = rectified(window[0], relu);
        int64_t where = 0;
        for (int64_t u = 0; u < p->kernel; u++)
            for (int64_t v = 0; v < p->kernel; v++) {
                real value = rectified(window[u * W + v], relu);
                if (!beats(value, best)) continue;
                best = value;
                where = u * p->kernel + v;
            }
        y[j] = best;
        if (index) index[j] = (uint8_t)where;
    }
}

VECTOR void NAME(cpu_pool_image)(const Pool *p, bool relu, int64_t K, int64_t H, int64_t W,
                                 const real *z, real *y, uint8_t *index) {
    bool pairs = p->kernel == 2 && p->stride == 2 && index;
    for (int64_t k = 0; k < K; k++)
        for (int64_t i = 0; i < p->OH; i++) {
            int64_t o = (k * p->OH + i) * p->OW;
            const real *plane = &z[k * H * W];
            if (pairs)
                pool_pair(&plane[2 * i * W], &plane[(2 * i + 1) * W], relu, p->OW, &y[o],
                          &index[o]);
            else
                pool_windows(p, relu, W, plane, i, &y[o], index ? &index[o] : NULL);
        }
}

static inline void unpool_pair(const real *restrict dy, const real *restrict y,
                               const uint8_t *restrict index, int64_t n, real *restrict top,
                               real *restrict bottom) {
    for (int64_t j = 0; j < n; j++) {
        real g = y && !(y[j] > 0) ? 0 : dy[j];
        top[2 * j] = index[j] == 0 ? g : 0;
        top[2 * j + 1] = index[j] == 1 ? g : 0;
        bottom[2 * j] = index[j] == 2 ? g : 0;
        bottom[2 * j + 1] = index[j] == 3 ? g : 0;
    }
}

VECTOR void NAME(cpu_unpool_image)(const Pool *p, int64_t K, int64_t H, int64_t W, const real *dy,
                                   const real *y, const uint8_t *index, real *dz) {
    bool pairs = p->kernel == 2 && p->stride == 2;
    if (!pairs || 2 * p->OH < H || 2 * p->OW < W)
        memset(dz, 0, (size_t)(K * H * W) * sizeof(real));  // what no window covers
    for (int64_t k = 0; k < K; k++)
        for (int64_t i = 0; i < p->OH; i++) {
            int64_t o = (k * p->OH + i) * p->OW;
            real *plane = &dz[k * H * W];
            if (pairs) {
                unpool_pair(&dy[o], y ? &y[o] : NULL, &index[o], p->OW, &plane[2 * i * W],
                            &plane[(2 * i + 1) * W]);
                continue;
            }
            for (int64_t j = 0; j < p->OW; j++) {
                int64_t u = index[o + j] / p->kernel, v = index[o + j] % p->kernel;
                plane[(i * p->stride + u) * W + j * p->stride + v] +=
                    y && !(y[o + j] > 0) ? 0 : dy[o + j];
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
    for (int64_t i = 0; i < n; i++) x[i] = rectified(x[i], true);
}
