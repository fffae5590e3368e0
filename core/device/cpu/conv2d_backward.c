// SPDX-License-Identifier: MIT
// The gradients of a convolution by columns, one image at a time:
//   dweight += dz columns'    dbias += the sum of dz    dcolumns = weight' dz, added up to dx
// dz (K,P) is given, or made in the cache from the gradient of what was pooled from it. The sums
// over the rows of the call are complete before they are delivered.
#include "core/device/cpu/cpu_internal.h"

#include <string.h>

typedef struct {
    Conv s;
    const real *x;       // of the weight's half; NULL: not wanted
    const real *weight;  // of the input's half
    real *dx;            // NULL: not wanted
    bool sums_bias;
    real *columns, *z_transposed, *dweight, *dbias;  // scratch
} Backward;

// out (columns,rows)
static void transpose(int64_t rows, int64_t columns, const real *restrict x, real *restrict out) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) out[j * rows + i] = x[i * columns + j];
}

// By kernel row dz is transposed: it is small, and BLAS is slow at products along rows of both.
static void weight_image(const Backward *w, const real *x, const real *dz) {
    const Conv *s = &w->s;
    const ConvScratch *m = &s->scratch;
    const real *columns = NAME(cpu_im2col)(s, x, w->columns);
    if (w->sums_bias) NAME(cpu_add_row_sums)(s->K, s->P, dz, w->dbias);
    if (!m->by_row) {
        multiply(false, true, s->K, m->depth, s->P, dz, s->P, columns, m->width, 1, w->dweight,
                 m->depth);
        return;
    }
    transpose(s->K, s->P, dz, w->z_transposed);
    for (int64_t u = 0; u < m->products; u++)
        multiply(false, false, m->depth, s->K, s->P, columns + u * s->OW, m->width, w->z_transposed,
                 s->K, 1, w->dweight + u * m->depth * s->K, s->K);
}

static void input_image(const Backward *w, const real *dz, real *dx) {
    const Conv *s = &w->s;
    const ConvScratch *m = &s->scratch;
    real *columns = conv_is_pointwise(s) ? dx : w->columns;
    // The first product writes; what the others add to beyond it begins as zero.
    for (int64_t d = 0; d < m->depth && m->products > 1; d++)
        memset(columns + d * m->width + s->P, 0, (size_t)(m->width - s->P) * sizeof(real));
    for (int64_t u = 0; u < m->products; u++)
        multiply(true, false, m->depth, s->P, s->K, w->weight + u * s->K * m->depth, m->depth, dz,
                 s->P, u ? 1 : 0, columns + u * s->OW, m->width);
    if (columns != dx) NAME(cpu_col2im)(s, columns, dx);
}

static void backward_image(const Backward *w, int64_t b, const real *dz) {
    int64_t at = b * w->s.C * w->s.H * w->s.W;
    if (w->x) weight_image(w, w->x + at, dz);
    if (w->dx) input_image(w, dz, w->dx + at);
}

// Either half, the call itself or a member of it, may be NULL.
static Backward start(const KernelCall *call, const KernelCall *weights, const KernelCall *inputs) {
    Backward w = {.s = weights ? conv_of(weights, input(weights, 0), input(weights, 1))
                               : conv_of(inputs, output(inputs, 0), input(inputs, 0))};
    const Conv *s = &w.s;
    const ConvScratch *m = &s->scratch;
    w.columns = scratch_at(call, m->columns);
    w.z_transposed = scratch_at(call, m->z_transposed);
    w.dweight = scratch_at(call, m->dweight);
    w.dbias = scratch_at(call, m->dbias);
    if (weights) {
        w.x = input_data(weights, 0);
        w.sums_bias = output_data(weights, 1);
        memset(w.dweight, 0, (size_t)(m->products * m->depth * s->K) * sizeof(real));
        memset(w.dbias, 0, (size_t)s->K * sizeof(real));
    }
    if (inputs) {
        w.weight = NAME(cpu_pack_weight)(s, input_data(inputs, 1), scratch_at(call, m->weight));
        w.dx = output_data(inputs, 0);
    }
    return w;
}

static void deliver(const Backward *w, const KernelCall *weights) {
    real *dbias = output_data(weights, 1);
    NAME(cpu_deliver_weight)(&w->s, w->dweight, weights->accumulate, output_data(weights, 0));
    if (dbias) NAME(cpu_deliver)(w->s.K, w->dbias, weights->accumulate, dbias);
}

static void backward(const KernelCall *call, const KernelCall *weights, const KernelCall *inputs,
                     const real *dz) {
    const Backward w = start(call, weights, inputs);
    for (int64_t b = 0; b < w.s.B; b++) backward_image(&w, b, dz + b * w.s.K * w.s.P);
    if (weights) deliver(&w, weights);
}

void NAME(cpu_conv2d_backward_weight)(const KernelCall *call) {
    backward(call, call, NULL, input_data(call, 1));
}

void NAME(cpu_conv2d_backward_input)(const KernelCall *call) {
    backward(call, NULL, call, input_data(call, 0));
}

void NAME(cpu_conv2d_backward)(const KernelCall *call) {
    const KernelCall *weights = &call->members[0];
    backward(call, weights, &call->members[1], input_data(weights, 1));
}

// Members: relu_backward, max_pool_backward, conv2d_backward_weight, and maybe
// conv2d_backward_input.
void NAME(cpu_pooled_conv2d_backward)(const KernelCall *call) {
    const KernelCall *unrelu = &call->members[0], *unpool = &call->members[1],
                     *weights = &call->members[2];
    const Backward w = start(call, weights, call->member_count > 3 ? &call->members[3] : NULL);
    const Pooling p = pool_of(call, unpool, output(unpool, 0), input(unpool, 0), w.s.scratch.pool);
    const real *dy = input_data(unrelu, 0), *y = input_data(unrelu, 1);
    const uint8_t *index = input_data(unpool, 1);
    real *dz = scratch_at(call, w.s.scratch.z);
    for (int64_t b = 0; b < w.s.B; b++) {
        int64_t o = b * w.s.K * p.OH * p.OW;
        NAME(cpu_unpool_planes)(&p, w.s.K, dy + o, y + o, index + o, dz);
        backward_image(&w, b, dz);
    }
    deliver(&w, weights);
}
