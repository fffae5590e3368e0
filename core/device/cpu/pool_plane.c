// SPDX-License-Identifier: MIT
#include "core/device/cpu/pool_plane.h"
#include "core/platform/cpu_scratch.h"

#include <string.h>

// An integer as wide as `real`, so that values and positions take the same vectors.
#if REAL_IS_F64
typedef int64_t Lane;
#else
typedef int32_t Lane;
#endif

typedef struct {
    real *value;
    Lane *where, *place;
} Scratch;

static Scratch carve(const NAME(Pool) *s, void *memory) {
    int64_t half = (s->H * s->W + 1) / 2, used = 0;
    Scratch t;
    t.value = (real *)((char *)memory + cpu_scratch_piece(&used, half, sizeof(real)));
    t.where = (Lane *)((char *)memory + cpu_scratch_piece(&used, half, sizeof(real)));
    t.place = (Lane *)((char *)memory + cpu_scratch_piece(&used, half, sizeof(real)));
    return t;
}

static bool tiles(const NAME(Pool) *s) {
    return s->kernel == 2 && s->stride == 2 && s->H == 2 * s->OH && s->W == 2 * s->OW;
}

// Does b take the place of a? The first of equals stays; a NaN counts as largest.
static inline bool beats(real b, real a) { return !(b <= a) & (a == a); }

static void best_of_pairs(real *restrict value, Lane *restrict where, const real *restrict x, int64_t pairs) {
    for (int64_t m = 0; m < pairs; m++) {
        real a = x[2 * m], b = x[2 * m + 1];
        bool take = beats(b, a);
        value[m] = take ? b : a;
        where[m] = take ? 1 : 0;
    }
}

static void best_of_rows(real *restrict y, Lane *restrict place, const real *restrict value, const Lane *restrict where, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        real a = value[j], b = value[n + j];
        bool take = beats(b, a);
        y[j] = take ? b : a;
        place[j] = take ? where[n + j] + 2 : where[j];
    }
}

static void narrow(uint8_t *restrict index, const Lane *restrict place, int64_t n) {
    for (int64_t o = 0; o < n; o++) index[o] = (uint8_t)place[o];
}

static void pool_window(real *y, uint8_t *index, const real *window, const NAME(Pool) *s) {
    real best = window[0];
    int64_t where = 0;
    for (int64_t u = 0; u < s->kernel; u++)
        for (int64_t v = 0; v < s->kernel; v++) {
            if (!beats(window[u * s->W + v], best)) continue;
            best = window[u * s->W + v];
            where = u * s->kernel + v;
        }
    *y = best;
    if (index) *index = (uint8_t)where;
}

void NAME(pool_plane)(real *y, uint8_t *index, const real *x, const NAME(Pool) *s, void *scratch) {
    if (!tiles(s)) {
        for (int64_t i = 0; i < s->OH; i++)
            for (int64_t j = 0; j < s->OW; j++)
                pool_window(&y[i * s->OW + j], index ? &index[i * s->OW + j] : NULL, &x[(i * s->W + j) * s->stride], s);
        return;
    }
    Scratch t = carve(s, scratch);
    best_of_pairs(t.value, t.where, x, s->H * s->OW);
    for (int64_t i = 0; i < s->OH; i++)
        best_of_rows(y + i * s->OW, t.place + i * s->OW, t.value + 2 * i * s->OW, t.where + 2 * i * s->OW, s->OW);
    if (index) narrow(index, t.place, s->OH * s->OW);
}

static void gate(real *restrict gradient, Lane *restrict place, const real *restrict dy, const real *restrict mask,
                 const uint8_t *restrict index, int64_t n) {
    for (int64_t o = 0; o < n; o++) place[o] = index[o];
    if (mask)
        for (int64_t o = 0; o < n; o++) gradient[o] = mask[o] > 0 ? dy[o] : 0;
    else
        memcpy(gradient, dy, (size_t)n * sizeof(real));
}

static void spread_row(real *restrict dx, const real *restrict gradient, const Lane *restrict place, Lane first, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        real g = gradient[j];
        dx[2 * j] = place[j] == first ? g : 0;
        dx[2 * j + 1] = place[j] == first + 1 ? g : 0;
    }
}

void NAME(unpool_plane)(real *dx, const real *dy, const real *mask, const uint8_t *index, const NAME(Pool) *s, void *scratch) {
    if (!tiles(s)) {
        memset(dx, 0, (size_t)(s->H * s->W) * sizeof(real));
        for (int64_t i = 0; i < s->OH; i++)
            for (int64_t j = 0; j < s->OW; j++) {
                int64_t o = i * s->OW + j, u = index[o] / s->kernel, v = index[o] % s->kernel;
                dx[(i * s->stride + u) * s->W + j * s->stride + v] += mask && !(mask[o] > 0) ? 0 : dy[o];
            }
        return;
    }
    Scratch t = carve(s, scratch);
    gate(t.value, t.place, dy, mask, index, s->OH * s->OW);
    for (int64_t i = 0; i < s->OH; i++)
        for (int64_t u = 0; u < 2; u++)
            spread_row(dx + (2 * i + u) * s->W, t.value + i * s->OW, t.place + i * s->OW, (Lane)(2 * u), s->OW);
}
