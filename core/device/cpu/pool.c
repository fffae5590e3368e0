// SPDX-License-Identifier: MIT
// Pooling of one image, with ReLU before it. Windows of 2 x 2 that do not overlap, the usual ones, go
// by eight and by four; everything else window by window. Both give the same bits.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/cpu/vector.h"

// The candidate b replaces a: it is larger, or it is a NaN and a is none.
static inline bool beats(real b, real a) { return b > a || (b != b && a == a); }
static inline real rectified(real x, bool relu) { return relu && x <= 0 ? 0 : x; }

static ALWAYS_INLINE void pool_window(const real *window, int64_t W, int64_t kernel, bool relu, real *y, uint8_t *index) {
    real best = rectified(window[0], relu);
    int64_t where = 0;
    for (int64_t u = 0; u < kernel; u++)
        for (int64_t v = 0; v < kernel; v++) {
            real value = rectified(window[u * W + v], relu);
            if (!beats(value, best)) continue;
            best = value;
            where = u * kernel + v;
        }
    *y = best;
    if (index) *index = (uint8_t)where;
}

// N windows side by side: their four corners a b / c d as vectors, then the first largest of each.
#define POOL_PAIRS(N)                                                                                \
    static ALWAYS_INLINE void pool_pairs_##N(const real *top, const real *bottom, bool relu, real *y,      \
                                      uint8_t *index) {                                              \
        Real##N row[4], best;                                                                        \
        memcpy(&row[0], top, sizeof row[0] * 2);                                                     \
        memcpy(&row[2], bottom, sizeof row[0] * 2);                                                  \
        Real##N corner[4] = {__builtin_shufflevector(row[0], row[1], EVEN##N),                       \
                             __builtin_shufflevector(row[0], row[1], ODD##N),                        \
                             __builtin_shufflevector(row[2], row[3], EVEN##N),                       \
                             __builtin_shufflevector(row[2], row[3], ODD##N)};                       \
        Lane##N where = {0};                                                                         \
        for (int k = 0; k < 4; k++)                                                                  \
            if (relu) corner[k] = (Real##N)((Lane##N)corner[k] & ~(corner[k] <= 0));                 \
        best = corner[0];                                                                            \
        for (int k = 1; k < 4; k++) {                                                                \
            Lane##N wins = (corner[k] > best) | ((corner[k] != corner[k]) & (best == best));         \
            best = (Real##N)((wins & (Lane##N)corner[k]) | (~wins & (Lane##N)best));                 \
            where = (wins & k) | (~wins & where);                                                    \
        }                                                                                            \
        memcpy(y, &best, sizeof best);                                                               \
        Byte##N narrow = __builtin_convertvector(where, Byte##N);                                    \
        if (index) memcpy(index, &narrow, sizeof narrow);                                            \
    }
POOL_PAIRS(8)
POOL_PAIRS(4)

static ALWAYS_INLINE void pool_row(const real *top, const real *bottom, bool relu, int64_t n, real *y, uint8_t *index) {
    int64_t j = 0;
    for (; j + 8 <= n; j += 8) pool_pairs_8(top + 2 * j, bottom + 2 * j, relu, y + j, index ? index + j : NULL);
    for (; j + 4 <= n; j += 4) pool_pairs_4(top + 2 * j, bottom + 2 * j, relu, y + j, index ? index + j : NULL);
    for (; j < n; j++) pool_window(top + 2 * j, bottom - top, 2, relu, y + j, index ? index + j : NULL);
}

VECTOR void NAME(cpu_pool_image)(const Pool *p, bool relu, int64_t K, int64_t H, int64_t W, const real *z,
                                 real *y, uint8_t *index) {
    bool pairs = p->kernel == 2 && p->stride == 2;
    for (int64_t k = 0; k < K; k++)
        for (int64_t i = 0; i < p->OH; i++) {
            int64_t o = (k * p->OH + i) * p->OW;
            const real *row = &z[(k * H + i * p->stride) * W];
            uint8_t *where = index ? &index[o] : NULL;
            if (pairs) pool_row(row, row + W, relu, p->OW, &y[o], where);
            else
                for (int64_t j = 0; j < p->OW; j++)
                    pool_window(&row[j * p->stride], W, p->kernel, relu, &y[o + j], where ? &where[j] : NULL);
        }
}

// N windows: the gradient where y > 0 goes to the corner that the index names, zero to the others.
#define UNPOOL_PAIRS(N)                                                                              \
    static ALWAYS_INLINE void unpool_pairs_##N(const real *dy, const real *y, const uint8_t *index,        \
                                        real *top, real *bottom) {                                   \
        Real##N g, value, corner[4];                                                                 \
        Byte##N narrow;                                                                              \
        memcpy(&g, dy, sizeof g);                                                                    \
        memcpy(&narrow, index, sizeof narrow);                                                       \
        Lane##N where = __builtin_convertvector(narrow, Lane##N), bits = (Lane##N)g;                 \
        if (y) {                                                                                     \
            memcpy(&value, y, sizeof value);                                                         \
            bits &= value > 0;                                                                       \
        }                                                                                            \
        for (int k = 0; k < 4; k++) corner[k] = (Real##N)(bits & (where == k));                      \
        Real##N row[4] = {__builtin_shufflevector(corner[0], corner[1], LOW##N),                     \
                          __builtin_shufflevector(corner[0], corner[1], HIGH##N),                    \
                          __builtin_shufflevector(corner[2], corner[3], LOW##N),                     \
                          __builtin_shufflevector(corner[2], corner[3], HIGH##N)};                   \
        memcpy(top, &row[0], sizeof row[0] * 2);                                                     \
        memcpy(bottom, &row[2], sizeof row[0] * 2);                                                  \
    }
UNPOOL_PAIRS(8)
UNPOOL_PAIRS(4)

static ALWAYS_INLINE void unpool_row(const real *dy, const real *y, const uint8_t *index, int64_t n, real *top, real *bottom) {
    int64_t j = 0;
    for (; j + 8 <= n; j += 8) unpool_pairs_8(dy + j, y ? y + j : NULL, index + j, top + 2 * j, bottom + 2 * j);
    for (; j + 4 <= n; j += 4) unpool_pairs_4(dy + j, y ? y + j : NULL, index + j, top + 2 * j, bottom + 2 * j);
    for (; j < n; j++) {
        real g = y && !(y[j] > 0) ? 0 : dy[j];
        for (int k = 0; k < 4; k++) (k < 2 ? top : bottom)[2 * j + k % 2] = index[j] == k ? g : 0;
    }
}

VECTOR void NAME(cpu_unpool_image)(const Pool *p, int64_t K, int64_t H, int64_t W, const real *dy, const real *y,
                                   const uint8_t *index, real *dz) {
    bool pairs = p->kernel == 2 && p->stride == 2;
    bool covered = pairs && 2 * p->OH == H && 2 * p->OW == W;
    if (!covered) memset(dz, 0, (size_t)(K * H * W) * sizeof(real));
    for (int64_t k = 0; k < K; k++)
        for (int64_t i = 0; i < p->OH; i++) {
            int64_t o = (k * p->OH + i) * p->OW;
            real *row = &dz[(k * H + i * p->stride) * W];
            if (pairs) {
                unpool_row(&dy[o], y ? &y[o] : NULL, &index[o], p->OW, row, row + W);
                continue;
            }
            for (int64_t j = 0; j < p->OW; j++) {
                int64_t u = index[o + j] / p->kernel, v = index[o + j] % p->kernel;
                row[u * W + j * p->stride + v] += y && !(y[o + j] > 0) ? 0 : dy[o + j];
            }
        }
}
