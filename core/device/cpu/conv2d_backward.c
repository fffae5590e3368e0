// SPDX-License-Identifier: MIT
// Convolution backward, image by image: the gradient of the output dz (K,P) is read, or made from that
// of the pooled output, and while it is in cache
//   dweight += dz columns^T    dbias += sum of dz    dcolumns = weight^T dz, folded into dx
// The sums over the images of a call are made in scratch and delivered once.
#include "core/device/cpu/blas.h"
#include "core/device/cpu/conv_image.h"
#include "core/device/cpu/cpu.h"
#include "core/device/cpu/pool_plane.h"
#include "core/device/cpu/rows.h"
#include "core/device/cpu/vector.h"

#include <string.h>

typedef struct {
    NAME(Conv) s;
    const real *x;                    // (B,C,H,W), for dweight
    const real *weight;               // (K,C,kernel,kernel), for dx
    real *dx;                         // (B,C,H,W)
    real *columns, *transposed, *dweight, *dbias;  // scratch
} Backward;

// dweight either as (K,R) from long dot products, or, as these are slow when short, as (R,K) from dz^T.
static bool is_short(const NAME(Conv) *s) { return s->P < s->R; }

static void transpose(real *restrict to, const real *restrict from, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}

// Four vectors of partial sums, folded in order: a function of n alone.
static real sum_of(const real *x, int64_t n) {
    enum { PARTS = 4 };
    Vector part[PARTS] = {0};
    int64_t i = 0;
    for (; i + PARTS * LANES <= n; i += PARTS * LANES)
        for (int k = 0; k < PARTS; k++) part[k] += VECTOR_AT(x + i + k * LANES);
    Vector all = (part[0] + part[1]) + (part[2] + part[3]);
    real sum = 0;
    for (int k = 0; k < LANES; k++) sum += all[k];
    for (; i < n; i++) sum += x[i];
    return sum;
}

static void weight_image(const Backward *w, const real *dz, int64_t b) {
    const NAME(Conv) *s = &w->s;
    NAME(conv_unfold)(w->columns, w->x + b * s->C * s->H * s->W, s);
    if (is_short(s)) {
        transpose(w->transposed, dz, s->K, s->P);
        NAME(gemm)(w->dweight, s->R, s->K, s->P, NAME(plain)(w->columns, s->P), NAME(plain)(w->transposed, s->K), 1);
    } else {
        NAME(gemm)(w->dweight, s->K, s->R, s->P, NAME(plain)(dz, s->P), NAME(transposed)(w->columns, s->P), 1);
    }
    for (int64_t k = 0; k < s->K; k++) w->dbias[k] += sum_of(dz + k * s->P, s->P);
}

static void input_image(const Backward *w, const real *dz, int64_t b) {
    const NAME(Conv) *s = &w->s;
    NAME(gemm)(w->columns, s->R, s->P, s->K, NAME(transposed)(w->weight, s->R), NAME(plain)(dz, s->P), 0);
    NAME(conv_fold)(w->dx + b * s->C * s->H * s->W, w->columns, s);
}

static void backward_image(const Backward *w, const real *dz, int64_t b) {
    if (w->x) weight_image(w, dz, b);
    if (w->dx) input_image(w, dz, b);
}

// Either half may be NULL.
static Backward start(const KernelCall *weight_half, const KernelCall *input_half) {
    const KernelCall *c = weight_half ? weight_half : input_half;
    const Operand *wide = weight_half ? input(c, 0) : output(c, 0), *narrow = weight_half ? input(c, 1) : input(c, 0);
    Backward w = {.s = NAME(conv_sizes)(c, wide, narrow)};
    w.columns = NAME(conv_piece)(c, w.s.scratch.columns);
    w.transposed = NAME(conv_piece)(c, w.s.scratch.transposed);
    w.dweight = NAME(conv_piece)(c, w.s.scratch.weight);
    w.dbias = NAME(conv_piece)(c, w.s.scratch.bias);
    if (weight_half) {
        w.x = input_data(c, 0);
        memset(w.dweight, 0, (size_t)(w.s.R * w.s.K) * sizeof(real));
        memset(w.dbias, 0, (size_t)w.s.K * sizeof(real));
    }
    if (input_half) {
        w.weight = input_data(input_half, 1);
        w.dx = output_data(input_half, 0);
    }
    return w;
}

static void deliver(const Backward *w, const KernelCall *weight_half) {
    const NAME(Conv) *s = &w->s;
    real *dweight = output_data(weight_half, 0), *dbias = output_data(weight_half, 1), *sum = w->dweight;
    if (is_short(s)) {
        sum = w->columns;  // free by now; K <= P is not needed: R K <= R P fails only where K > P
        transpose(sum, w->dweight, s->R, s->K);
    }
    NAME(deliver)(dweight, sum, s->K * s->R, weight_half->accumulate);
    if (dbias) NAME(deliver)(dbias, w->dbias, s->K, weight_half->accumulate);
}

static void backward(const KernelCall *weight_half, const KernelCall *input_half, const real *dz) {
    Backward w = start(weight_half, input_half);
    for (int64_t b = 0; b < w.s.B; b++) backward_image(&w, dz + b * w.s.K * w.s.P, b);
    if (weight_half) deliver(&w, weight_half);
}

void NAME(cpu_conv2d_backward_weight)(const KernelCall *call) { backward(call, NULL, input_data(call, 1)); }

void NAME(cpu_conv2d_backward_input)(const KernelCall *call) { backward(NULL, call, input_data(call, 0)); }

void NAME(cpu_conv2d_backward)(const KernelCall *call) {
    backward(&call->members[0], &call->members[1], input_data(&call->members[0], 1));
}

void NAME(cpu_pooled_conv2d_backward)(const KernelCall *call) {
    const KernelCall *relu = &call->members[0], *pool = &call->members[1], *weight_half = &call->members[2];
    Backward w = start(weight_half, call->member_count == 4 ? &call->members[3] : NULL);
    const NAME(Pool) p = NAME(pool_sizes)(pool, output(pool, 0), input(pool, 0));
    const real *dy = input_data(relu, 0), *y = input_data(relu, 1);
    const uint8_t *index = input_data(pool, 1);
    real *dz = NAME(conv_piece)(weight_half, w.s.scratch.image);
    void *scratch = NAME(conv_piece)(weight_half, w.s.scratch.pool);
    for (int64_t b = 0; b < w.s.B; b++) {
        for (int64_t k = 0; k < w.s.K; k++) {
            int64_t at = (b * w.s.K + k) * p.OH * p.OW;
            NAME(unpool_plane)(dz + k * w.s.P, dy + at, y + at, index + at, &p, scratch);
        }
        backward_image(&w, dz, b);
    }
    deliver(&w, weight_half);
}
