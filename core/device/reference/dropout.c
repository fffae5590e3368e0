// SPDX-License-Identifier: MIT
// Dropout (Srivastava et al., JMLR 2014): y[e] = x[e] / (1 - rate) where the mask of
// core/device/dropout.h keeps element e, else 0. The gradient passes the same mask: drawn again, or
// kept, 1 of an element that passed.
#include "core/device/dropout.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_dropout)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    uint8_t *mask = output_data(call, 1);
    const DropoutMask m = dropout_mask(call);
    real scale = (real)m.scale;
    for (int64_t b = 0; b < m.rows; b++)
        for (int64_t i = 0; i < m.middle; i++)
            for (int64_t j = 0; j < m.last; j++, x++, y++) {
                int64_t place = dropout_place(&m, b, i, j);
                bool drop = place == DROPOUT_NONE || rng_at(&m.stream, (uint64_t)place) < m.below;
                *y = drop ? 0 : *x * scale;
                if (mask) *mask++ = !drop;
            }
}

void NAME(reference_dropout_mask_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0), scale = (real)(1 / (1 - attr_as_real(call, 0)));
    const real *dy = input_data(call, 0);
    const uint8_t *mask = input_data(call, 1);
    for (int64_t i = 0; i < live_elements(output(call, 0)); i++)
        dx[i] = mask[i] ? dy[i] * scale : 0;
}
