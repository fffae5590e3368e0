// SPDX-License-Identifier: MIT
// The table of the reference device: one plain kernel per kind, and nothing fused.
#include "core/device/reference/reference.h"

#include "core/platform/device_traits.h"

const Device device_reference = {
    .name = "reference",
    .traits = &device_traits_reference,
    .kernel =
        {
#define X(kind, name)                                      \
    [KIND_##kind] = {[DTYPE_F32] = reference_##name##_f32, \
                     [DTYPE_F64] = reference_##name##_f64, \
                     [DTYPE_BF16] = reference_widened},
            REFERENCE_KERNELS(X)
#undef X
#define X(kind, name) \
    [KIND_##kind] = {[DTYPE_F32] = reference_##name##_f32, [DTYPE_F64] = reference_##name##_f64},
                REFERENCE_WIDE_KERNELS(X)
#undef X
#define X(type, name, bytes) [DTYPE_##type] = reference_copy,
                    [KIND_COPY] = {DTYPE_LIST(X)},
#undef X
        },
};
