// SPDX-License-Identifier: MIT
// A table of kernels that do nothing, and the model whose times the executor waits for.
#include "core/device/timed/timed.h"

#include "core/platform/device_traits.h"

// By itself it has nothing to run: device_timed_init() makes one from a model.
extern const Device device_timed;
const Device device_timed = {0};

static void nothing(const KernelCall *call) {}

void device_timed_init(Device *out, const DeviceModel *model, int64_t slowdown_permille) {
    *out = (Device){.name = "timed",
                    .traits = &device_traits_timed,
                    .model = model,
                    .slowdown_permille = slowdown_permille};
    for (int k = 0; k < KIND_COUNT; k++)
        for (int t = 0; t < DTYPE_REALS && kind_class((Kind)k) == CLASS_COMPUTE; t++)
            out->kernel[k][t] = nothing;
    for (int type = 0; type < DTYPE_COUNT; type++) out->kernel[KIND_COPY][type] = nothing;
}
