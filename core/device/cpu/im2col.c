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

static inline void zero(real *to, int64_t n) {
    int64_t j = 0;
    for (; j + BLOCK <= n; j += BLOCK) *(Block *)(to + j) = (Block){0};
    for (; j < n; j++) to[j] = 0;
}

static inline void gather(real *restrict to, const real *restrict from, int64_t stride, int64_t n) {
    if (stride == 1)
        copy_row(to, from, n);
    else if (stride == 2)
        for (int64_t j = 0; j < n; j++) to[j] = from[2 * j];
    else
        for (int64_t j = 0; j < n; j++) to[j] = from[stride * j];
}

// The part of a row of `columns` for kernel position (u,v), `rows` rows of OW pixels, that reads
// pixels of the image: rows from `top` to `bottom`, and in each of these from `first` to `end`.
typedef struct {
    int64_t top, bottom, first, end;
    int64_t from;  // the pixel that row 0, column 0 would read
} Part;

static inline Part part_of(const Conv *s, int64_t u, int64_t v, int64_t rows) {
    Part p = {.from = (u - s->pad) * s->W + v - s->pad};
    inside(v - s->pad, s->stride, s->W, s->OW, &p.first, &p.end);
    inside(u - s->pad, s->stride, s->H, rows, &p.top, &p.bottom);
    if (p.first == p.end) p.bottom = p.top;
    return p;
}

// With stride 1 and outputs as wide as inputs, a row of `columns` is the plane, moved by some
// pixels, but for those that come from the neighbouring row of the plane.
static inline bool is_moved_plane(const Conv *s) { return s->stride == 1 && s->OW == s->W; }

// Columns outside the part, which are few.
static inline void zero_sides(const Part *p, int64_t rows, int64_t OW, real *columns) {
    for (int64_t j = 0; j < p->first; j++)
        for (int64_t i = 0; i < rows; i++) columns[i * OW + j] = 0;
    for (int64_t j = p->end; j < OW; j++)
        for (int64_t i = 0; i < rows; i++) columns[i * OW + j] = 0;
}

static inline void im2col_row(const Conv *s, const real *plane, int64_t u, int64_t v, int64_t rows,
                              real *columns) {
    const int64_t W = s->W, OW = s->OW;
    const Part p = part_of(s, u, v, rows);
    zero(columns, p.top * OW);
    if (is_moved_plane(s) && p.top < p.bottom) {
        int64_t at = p.top * OW + p.first, n = (p.bottom - p.top - 1) * OW + p.end - p.first;
        copy_row(columns + at, plane + p.from + at, n);
    } else
        for (int64_t i = p.top; i < p.bottom; i++)
            gather(columns + i * OW + p.first, plane + p.from + (i * W + p.first) * s->stride,
                   s->stride, p.end - p.first);
    zero_sides(&p, p.bottom - p.top, OW, columns + p.top * OW);
    zero(columns + p.bottom * OW, (rows - p.bottom) * OW);
}

static inline void col2im_row(const Conv *s, const real *columns, int64_t u, int64_t v,
                              int64_t rows, real *plane) {
    const int64_t W = s->W, OW = s->OW, stride = s->stride;
    const Part p = part_of(s, u, v, rows);
    for (int64_t i = p.top; i < p.bottom; i++) {
        real *to = plane + p.from + i * W * stride;
        const real *from = columns + i * OW;
        if (stride == 1)
            add_row(to + p.first, from + p.first, p.end - p.first);
        else if (stride == 2)
            for (int64_t j = p.first; j < p.end; j++) to[2 * j] += from[j];
        else
            for (int64_t j = p.first; j < p.end; j++) to[stride * j] += from[j];
    }
}

// A plane by kernel row, three kernel columns, each of them a moved plane: the sums of col2im_row()
// in one pass, since zeros on the sides change none.
static inline void col2im_three(const Conv *s, real *columns, real *restrict plane) {
    const ConvScratch *m = &s->scratch;
    const real *restrict from[3];
    for (int64_t v = 0; v < 3; v++, columns += m->width) {
        const Part p = part_of(s, 0, v, m->rows);
        zero_sides(&p, m->rows, s->OW, columns);
        from[v] = columns - p.from;
    }
    for (int64_t i = 0; i < s->H * s->W; i++) plane[i] = 0 + from[0][i] + from[1][i] + from[2][i];
}

const real *NAME(cpu_im2col)(const Conv *s, const real *x, real *columns) {
    const ConvScratch *m = &s->scratch;
    real *to = columns;
    if (conv_is_pointwise(s)) return x;
    for (int64_t c = 0; c < s->C; c++, x += s->H * s->W)
        for (int64_t u = 0; u < (m->by_row ? 1 : s->kernel); u++)
            for (int64_t v = 0; v < s->kernel; v++, to += m->width)
                im2col_row(s, x, u, v, m->rows, to);
    return columns;
}

void NAME(cpu_col2im)(const Conv *s, real *columns, real *x) {
    const ConvScratch *m = &s->scratch;
    if (m->by_row && s->kernel == 3 && is_moved_plane(s)) {
        for (int64_t c = 0; c < s->C; c++, x += s->H * s->W, columns += 3 * m->width)
            col2im_three(s, columns, x);
        return;
    }
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
