// SPDX-License-Identifier: MIT
// The largest value of each window, and where in the window it was, row by row (the first of equals;
// a NaN counts as largest). The gradient goes there and nowhere else; overlapping windows add up.
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_max_pool)(const KernelCall *call) {
    real *y = output_data(call, 0);
    uint8_t *index = output_data(call, 1);
    const real *x = input_data(call, 0);
    const Operand *in = input(call, 0), *out = output(call, 0);
    int64_t H = in->shape[2], W = in->shape[3], OH = out->shape[2], OW = out->shape[3];
    int64_t planes = operand_rows(in) * in->shape[1], kernel = call->attr[0], stride = call->attr[1];
    for (int64_t p = 0; p < planes; p++)
        for (int64_t i = 0; i < OH; i++)
            for (int64_t j = 0; j < OW; j++) {
                const real *window = &x[(p * H + i * stride) * W + j * stride];
                real best = window[0];
                int64_t where = 0;
                for (int64_t u = 0; u < kernel; u++)
                    for (int64_t v = 0; v < kernel; v++) {
                        real value = window[u * W + v];
                        if (!(value > best || (value != value && best == best))) continue;
                        best = value;
                        where = u * kernel + v;
                    }
                y[(p * OH + i) * OW + j] = best;
                if (index) index[(p * OH + i) * OW + j] = (uint8_t)where;
            }
}

void NAME(reference_max_pool_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0);
    const uint8_t *index = input_data(call, 1);
    const Operand *wide = output(call, 0), *narrow = input(call, 0);
    int64_t H = wide->shape[2], W = wide->shape[3], OH = narrow->shape[2], OW = narrow->shape[3];
    int64_t planes = operand_rows(wide) * wide->shape[1], kernel = call->attr[0], stride = call->attr[1];
    for (int64_t e = 0; e < planes * H * W; e++) dx[e] = 0;
    for (int64_t p = 0; p < planes; p++)
        for (int64_t i = 0; i < OH; i++)
            for (int64_t j = 0; j < OW; j++) {
                int64_t o = (p * OH + i) * OW + j, u = index[o] / kernel, v = index[o] % kernel;
                dx[(p * H + i * stride + u) * W + j * stride + v] += dy[o];
            }
}
