// SPDX-License-Identifier: MIT
// Dropout (Srivastava et al., JMLR 2014): y[e] = x[e] / (1 - rate) where the mask of
// core/device/dropout.h keeps element e, else 0. The gradient passes the same mask.
#include "core/device/dropout.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_dropout)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    const DropoutMask m = dropout_mask(call);
    real scale = (real)m.scale;
    for (int64_t e = 0; e < n; e++)
        y[e] = rng_at(&m.stream, m.first + (uint64_t)e) < m.below ? 0 : x[e] * scale;
}
