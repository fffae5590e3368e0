// SPDX-License-Identifier: MIT
#include "core/device/cpu/cpu.h"
#include "core/platform/device_traits.h"

#include <cblas.h>

// Ranks are threads or processes of their own: each product takes one.
static void prepare(void) { openblas_set_num_threads(1); }

const Device device_cpu = {
    .name = "cpu",
    .traits = &device_traits_cpu,
    .prepare = prepare,
    .kernel =
        {
#define X(kind, name) [KIND_##kind] = {cpu_##name##_f32, cpu_##name##_f64},
            CPU_KERNELS(X)
#undef X
        },
    .fused =
        {
#define X(fusion, name) [FUSION_##fusion] = {cpu_##name##_f32, cpu_##name##_f64},
            CPU_FUSIONS(X)
#undef X
        },
};
