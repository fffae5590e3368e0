// SPDX-License-Identifier: MIT
// Max-pooling plane by plane. Windows of 2 x 2 that tile the plane, the common case, take passes
// that all vectorise: the larger of two rows, the larger of two columns of those, and places
// narrowed to bytes; and back.
#include "core/device/cpu/cpu_internal.h"

#include <string.h>

// A position as wide as a value, so that both take the same vectors.
#if REAL_IS_F64
typedef int64_t Place;
#else
typedef int32_t Place;
#endif

static bool tiles(const Pooling *p) {
    return p->kernel == 2 && p->stride == 2 && !p->pad && p->H == 2 * p->OH && p->W == 2 * p->OW;
}

// The candidate b replaces a: it is larger, or it is a NaN and a is none.
static inline bool beats(real b, real a) { return !(b <= a) & (a == a); }

// Rows 2i and 2i + 1 become one: in every column the larger value, and its place (0 or 2).
static inline void pool_rows(real *restrict value, Place *restrict place, const real *restrict x,
                             int64_t W) {
    for (int64_t j = 0; j < W; j++) {
        real a = x[j], b = x[W + j];
        bool below = beats(b, a);
        value[j] = below ? b : a;
        place[j] = below ? 2 : 0;
    }
}

// Columns 2j and 2j + 1 of that become one. The first of equals is the upper, else the left one.
static inline void pool_columns(real *restrict y, Place *restrict out, const real *restrict value,
                                const Place *restrict place, int64_t n) {
    for (int64_t o = 0; o < n; o++) {
        real a = value[2 * o], b = value[2 * o + 1];
        Place left = place[2 * o], right = place[2 * o + 1];
        bool same = (a == b) | ((a != a) & (b != b));
        bool take = beats(b, a) | (same & (right < left));
        y[o] = take ? b : a;
        out[o] = take ? right + 1 : left;
    }
}

static inline void pool_tiles(const Pooling *p, const real *x, real *y, uint8_t *restrict index) {
    real *value = p->value;
    Place *place = p->place, *out = p->out;
    for (int64_t i = 0; i < p->OH; i++)
        pool_rows(value + i * p->W, place + i * p->W, x + 2 * i * p->W, p->W);
    pool_columns(y, out, value, place, p->OH * p->OW);
    for (int64_t o = 0; o < p->OH * p->OW && index; o++) index[o] = (uint8_t)out[o];
}

// Positions [first, end) of a window that lie inside a plane of `size`, one way; the window begins
// at `at`, which padding may put before the plane. There is always one.
typedef struct {
    int64_t first, end;
} Inside;
static inline Inside inside(const Pooling *p, int64_t at, int64_t size) {
    return (Inside){at < 0 ? -at : 0, at + p->kernel > size ? size - at : p->kernel};
}

// The window whose position (0,0) is at row h and column w.
static inline real pool_window(const Pooling *p, const real *x, int64_t h, int64_t w,
                               uint8_t *index) {
    const Inside rows = inside(p, h, p->H), columns = inside(p, w, p->W);
    int64_t where = rows.first * p->kernel + columns.first;
    real best = x[(h + rows.first) * p->W + w + columns.first];
    for (int64_t u = rows.first; u < rows.end; u++)
        for (int64_t v = columns.first; v < columns.end; v++) {
            real value = x[(h + u) * p->W + w + v];
            if (!beats(value, best)) continue;
            best = value;
            where = u * p->kernel + v;
        }
    if (index) *index = (uint8_t)where;
    return best;
}

static inline void pool_windows(const Pooling *p, const real *x, real *y, uint8_t *index) {
    for (int64_t i = 0; i < p->OH; i++)
        for (int64_t j = 0; j < p->OW; j++)
            y[i * p->OW + j] = pool_window(p, x, i * p->stride - p->pad, j * p->stride - p->pad,
                                           index ? &index[i * p->OW + j] : NULL);
}

static inline void pool_plane(const Pooling *p, const real *x, real *y, uint8_t *index) {
    if (tiles(p))
        pool_tiles(p, x, y, index);
    else
        pool_windows(p, x, y, index);
}

void NAME(cpu_pool_planes)(const Pooling *p, int64_t planes, const real *x, real *y,
                           uint8_t *index) {
    int64_t P = p->OH * p->OW;
    for (int64_t k = 0; k < planes; k++)
        pool_plane(p, x + k * p->H * p->W, y + k * P, index ? index + k * P : NULL);
}

void NAME(cpu_relu_pool_planes)(const Pooling *p, int64_t planes, const real *bias, real *x,
                                real *y, uint8_t *index) {
    int64_t P = p->OH * p->OW;
    for (int64_t k = 0; k < planes; k++, x += p->H * p->W) {
        finish_row(p->H * p->W, bias ? bias[k] : 0, true, x);
        pool_plane(p, x, y + k * P, index ? index + k * P : NULL);
    }
}

// Every gradient twice, and beside it where its window's largest lies relative to this column: 0 in
// the upper row, 2 in the lower one.
static inline void unpool_columns(real *restrict gradient, Place *restrict place,
                                  const real *restrict dy, const Place *restrict at, int64_t n) {
    for (int64_t o = 0; o < n; o++) {
        gradient[2 * o] = dy[o];
        gradient[2 * o + 1] = dy[o];
        place[2 * o] = at[o];
        place[2 * o + 1] = at[o] - 1;
    }
}

static inline void unpool_rows(real *restrict dx, const real *restrict gradient,
                               const Place *restrict place, int64_t W) {
    for (int64_t j = 0; j < W; j++) {
        real g = gradient[j];
        dx[j] = place[j] == 0 ? g : 0;
        dx[W + j] = place[j] == 2 ? g : 0;
    }
}

static inline void unpool_tiles(const Pooling *p, const real *restrict dy, const real *restrict y,
                                const uint8_t *restrict index, real *dx) {
    real *restrict gradient = p->value, *restrict gated = p->gated;
    Place *restrict place = p->place, *restrict at = p->out;
    int64_t P = p->OH * p->OW;
    for (int64_t o = 0; o < P; o++) at[o] = index[o];
    if (y)
        for (int64_t o = 0; o < P; o++) {
            real g = dy[o];
            gated[o] = y[o] > 0 ? g : 0;
        }
    unpool_columns(gradient, place, y ? gated : dy, at, P);
    for (int64_t i = 0; i < p->OH; i++)
        unpool_rows(dx + 2 * i * p->W, gradient + i * p->W, place + i * p->W, p->W);
}

static inline void unpool_windows(const Pooling *p, const real *dy, const real *y,
                                  const uint8_t *index, real *dx) {
    memset(dx, 0, (size_t)(p->H * p->W) * sizeof(real));
    for (int64_t i = 0; i < p->OH; i++)
        for (int64_t j = 0; j < p->OW; j++) {
            int64_t o = i * p->OW + j, h = i * p->stride - p->pad + index[o] / p->kernel,
                    w = j * p->stride - p->pad + index[o] % p->kernel;
            dx[h * p->W + w] += y && !(y[o] > 0) ? 0 : dy[o];
        }
}

void NAME(cpu_unpool_planes)(const Pooling *p, int64_t planes, const real *dy, const real *y,
                             const uint8_t *index, real *dx) {
    int64_t P = p->OH * p->OW;
    bool tile = tiles(p);
    for (int64_t k = 0; k < planes; k++) {
        const real *mask = y ? y + k * P : NULL;
        if (tile)
            unpool_tiles(p, dy + k * P, mask, index + k * P, dx + k * p->H * p->W);
        else
            unpool_windows(p, dy + k * P, mask, index + k * P, dx + k * p->H * p->W);
    }
}
