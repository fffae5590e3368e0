// SPDX-License-Identifier: MIT
// Convolution by columns (Chellapilla et al. 2006), one image at a time: with col (C kernel², OH OW)
//   z = weight col + bias      dweight += dz col'      dcol = weight' dz, added back into dx
#include "core/device/cpu/cpu_internal.h"

#include <string.h>

static real *cut(unsigned char **scratch, int64_t elements) {
    real *piece = (real *)*scratch;
    *scratch += ((size_t)elements * sizeof(real) + 63) / 64 * 64;
    return piece;
}

static Conv conv_of(const KernelCall *call, const Operand *x, const Operand *y) {
    Conv s = {.B = operand_rows(x), .C = x->shape[1], .H = x->shape[2], .W = x->shape[3], .K = y->shape[1], .OH = y->shape[2], .OW = y->shape[3], .kernel = call->attr[0], .stride = call->attr[1], .pad = call->attr[2]};
    s.columns = s.C * s.kernel * s.kernel;
    s.positions = s.OH * s.OW;
    unsigned char *scratch = call->scratch;
    s.col = cut(&scratch, s.columns * s.positions);
    s.z = cut(&scratch, s.K * s.positions);
    s.dweight = cut(&scratch, s.K * s.columns);
    s.dbias = cut(&scratch, s.K);
    return s;
}

static void forward_image(const Conv *s, const real *x, const real *weight, const real *bias, real *z) {
    NAME(cpu_image_to_columns)
    (s, x);
    for (int64_t k = 0; k < s->K && bias; k++)
        for (int64_t e = 0; e < s->positions; e++) z[k * s->positions + e] = bias[k];
    multiply(false, false, s->K, s->positions, s->columns, weight, s->columns, s->col, s->positions, bias ? 1 : 0, z, s->positions);
}

static void forward(const KernelCall *call, real *y, bool relu) {
    const real *x = input_data(call, 0), *weight = input_data(call, 1), *bias = input_data(call, 2);
    const Conv s = conv_of(call, input(call, 0), output(call, 0));
    for (int64_t b = 0; b < s.B; b++, x += s.C * s.H * s.W, y += s.K * s.positions) {
        forward_image(&s, x, weight, bias, y);
        if (relu) NAME(cpu_relu_inplace)
        (s.K * s.positions, y);
    }
}

void NAME(cpu_conv2d)(const KernelCall *call) { forward(call, output_data(call, 0), false); }

void NAME(cpu_conv2d_relu)(const KernelCall *call) {
    KernelCall conv = call->members[0];
    conv.scratch = call->scratch;
    forward(&conv, output_data(&call->members[1], 0), true);
}

static Pool pool_of(const KernelCall *call, const Operand *narrow) {
    return (Pool){narrow->shape[2], narrow->shape[3], call->attr[0], call->attr[1]};
}

// Members: conv2d, relu, max_pool. Only the pooled values leave the cache.
void NAME(cpu_conv2d_relu_max_pool)(const KernelCall *call) {
    const KernelCall *conv = &call->members[0], *pooling = &call->members[2];
    const real *x = input_data(conv, 0), *weight = input_data(conv, 1), *bias = input_data(conv, 2);
    real *y = output_data(pooling, 0);
    uint8_t *index = output_data(pooling, 1);
    const Conv s = conv_of(conv, input(conv, 0), output(conv, 0));
    const Pool p = pool_of(pooling, output(pooling, 0));
    int64_t pooled = s.K * p.OH * p.OW;
    for (int64_t b = 0; b < s.B; b++, x += s.C * s.H * s.W, y += pooled) {
        forward_image(&s, x, weight, bias, s.z);
        NAME(cpu_pool_image)
        (&p, true, s.K, s.OH, s.OW, s.z, y, index);
        if (index) index += pooled;
    }
}

// Adds one image's part to the micro-batch's gradients in scratch.
static void backward_weight_image(const Conv *s, bool first, const real *x, const real *dz, bool bias) {
    NAME(cpu_image_to_columns)
    (s, x);
    multiply(false, true, s->K, s->columns, s->positions, dz, s->positions, s->col, s->positions, first ? 0 : 1, s->dweight, s->columns);
    if (bias) NAME(cpu_add_row_sums)
    (s->K, s->positions, dz, s->dbias);
}

static void backward_input_image(const Conv *s, const real *weight, const real *dz, real *dx) {
    multiply(true, false, s->columns, s->positions, s->K, weight, s->columns, dz, s->positions, 0, s->col, s->positions);
    NAME(cpu_columns_to_image)
    (s, dx);
}

static void deliver(const Conv *s, const KernelCall *call) {
    real *dweight = output_data(call, 0), *dbias = output_data(call, 1);
    if (!s->B) memset(s->dweight, 0, (size_t)(s->K * s->columns) * sizeof(real));
    NAME(cpu_deliver)
    (s->K * s->columns, s->dweight, dweight, call->accumulate);
    if (dbias) NAME(cpu_deliver)
    (s->K, s->dbias, dbias, call->accumulate);
}

// The two halves of a backward, and the pooling before them when there is one: image by image.
static void backward(const KernelCall *unrelu, const KernelCall *unpool, const KernelCall *weights, const KernelCall *inputs) {
    const real *x = input_data(weights, 0), *dz = input_data(weights, 1), *weight = inputs ? input_data(inputs, 1) : NULL;
    real *dx = inputs ? output_data(inputs, 0) : NULL;
    const Conv s = conv_of(weights, input(weights, 0), input(weights, 1));
    const real *dy = unrelu ? input_data(unrelu, 0) : NULL, *y = unrelu ? input_data(unrelu, 1) : NULL;
    const uint8_t *index = unpool ? input_data(unpool, 1) : NULL;
    const Pool p = unpool ? pool_of(unpool, input(unpool, 0)) : (Pool){0};
    int64_t image = s.C * s.H * s.W, pooled = s.K * p.OH * p.OW;
    memset(s.dbias, 0, (size_t)s.K * sizeof(real));
    for (int64_t b = 0; b < s.B; b++) {
        const real *gradient = unpool ? s.z : &dz[b * s.K * s.positions];
        if (unpool) NAME(cpu_unpool_image)
        (&p, s.K, s.OH, s.OW, &dy[b * pooled], &y[b * pooled], &index[b * pooled], s.z);
        backward_weight_image(&s, b == 0, &x[b * image], gradient, weights->outputs > 1);
        if (inputs) backward_input_image(&s, weight, gradient, &dx[b * image]);
    }
    deliver(&s, weights);
}

static KernelCall member(const KernelCall *call, int i) {
    KernelCall m = call->members[i];
    m.scratch = call->scratch;
    return m;
}

// Members: relu_backward, max_pool_backward, conv2d_backward_weight, and maybe conv2d_backward_input.
void NAME(cpu_pooled_conv2d_backward)(const KernelCall *call) {
    KernelCall weights = member(call, 2);
    backward(&call->members[0], &call->members[1], &weights, call->member_count > 3 ? &call->members[3] : NULL);
}

void NAME(cpu_conv2d_backward)(const KernelCall *call) {
    KernelCall weights = member(call, 0);
    backward(NULL, NULL, &weights, &call->members[1]);
}

void NAME(cpu_conv2d_backward_weight)(const KernelCall *call) { backward(NULL, NULL, call, NULL); }

void NAME(cpu_conv2d_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dz = input_data(call, 0), *weight = input_data(call, 1);
    const Conv s = conv_of(call, output(call, 0), input(call, 0));
    for (int64_t b = 0; b < s.B; b++) backward_input_image(&s, weight, &dz[b * s.K * s.positions], &dx[b * s.C * s.H * s.W]);
}
