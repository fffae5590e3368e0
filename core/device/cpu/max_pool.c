// SPDX-License-Identifier: MIT
#include "core/device/cpu/cpu.h"
#include "core/device/cpu/pool_plane.h"

void NAME(cpu_max_pool)(const KernelCall *call) {
    real *y = output_data(call, 0);
    uint8_t *index = output_data(call, 1);
    const real *x = input_data(call, 0);
    const NAME(Pool) s = NAME(pool_sizes)(call, input(call, 0), output(call, 0));
    int64_t planes = operand_rows(input(call, 0)) * input(call, 0)->shape[1], P = s.OH * s.OW;
    for (int64_t p = 0; p < planes; p++)
        NAME(pool_plane)(y + p * P, index ? index + p * P : NULL, x + p * s.H * s.W, &s, call->scratch);
}

void NAME(cpu_max_pool_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0);
    const uint8_t *index = input_data(call, 1);
    const NAME(Pool) s = NAME(pool_sizes)(call, output(call, 0), input(call, 0));
    int64_t planes = operand_rows(input(call, 0)) * input(call, 0)->shape[1], P = s.OH * s.OW;
    for (int64_t p = 0; p < planes; p++)
        NAME(unpool_plane)(dx + p * s.H * s.W, dy + p * P, NULL, index + p * P, &s, call->scratch);
}
