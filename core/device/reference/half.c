// SPDX-License-Identifier: MIT
// To and from types of two bytes, in which gradients are sent: to the nearest, of two equally near
// the even one. An f64 becomes an f32 on the way.
#include "core/base/bf16.h"
#include "core/base/f16.h"
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_to_bf16)(const KernelCall *call) {
    Bf16 *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = bf16_from_f32((float)x[i]);
}

void NAME(reference_from_bf16)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const Bf16 *x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = (real)bf16_to_f32(x[i]);
}

void NAME(reference_to_f16)(const KernelCall *call) {
    F16 *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = f16_from_f32((float)x[i]);
}

void NAME(reference_from_f16)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const F16 *x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = (real)f16_to_f32(x[i]);
}
