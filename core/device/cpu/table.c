// SPDX-License-Identifier: MIT
// The cpu device's table of kernels, compiled once for each instruction set, as
// they are. SLOWER: the table for processors that lack this one, or NULL.
#include "core/device/cpu/cpu.h"
#include "core/platform/device_traits.h"

#define JOINED(x, set) x##set
#define IN(x, set) JOINED(x, set)

const Device IN(device_cpu, INSTRUCTION_SET) = {
    .name = "cpu",
    .traits = &device_traits_cpu,
    .choose = cpu_choose,
    .reserve = cpu_reserve,
    .slower = SLOWER,
    .kernel =
        {
#define X(kind, name)                                        \
    [KIND_##kind] = {                                        \
        [DTYPE_F32] = IN(cpu_##name##_f32, INSTRUCTION_SET), \
        [DTYPE_F64] = IN(cpu_##name##_f64, INSTRUCTION_SET), \
    },
            CPU_KERNELS(X)
#undef X
#define X(type, name, bytes) [DTYPE_##type] = cpu_copy,
                [KIND_COPY] = {DTYPE_LIST(X)},
#undef X
        },
    .fused =
        {
#define X(fusion, name)                                      \
    [FUSION_##fusion] = {                                    \
        [DTYPE_F32] = IN(cpu_##name##_f32, INSTRUCTION_SET), \
        [DTYPE_F64] = IN(cpu_##name##_f64, INSTRUCTION_SET), \
    },
            CPU_FUSIONS(X)
#undef X
        },
};
