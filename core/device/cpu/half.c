// SPDX-License-Identifier: MIT
// To and from types of two bytes, in which gradients are sent: to the nearest, of two equally near
// the even one. An f64 becomes an f32 on the way.
#include "core/base/bf16.h"
#include "core/base/f16.h"
#include "core/device/cpu/cpu_internal.h"

void NAME(cpu_to_bf16)(const KernelCall *call) {
    Bf16 *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = bf16_from_f32((float)x[i]);
}

void NAME(cpu_from_bf16)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const Bf16 *restrict x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = (real)bf16_to_f32(x[i]);
}

void NAME(cpu_to_f16)(const KernelCall *call) {
    F16 *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = f16_from_f32((float)x[i]);
}

void NAME(cpu_from_f16)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const F16 *restrict x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = (real)f16_to_f32(x[i]);
}
