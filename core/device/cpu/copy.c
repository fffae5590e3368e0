// SPDX-License-Identifier: MIT
// A copy of the rows in use, of any type, by the C library, which knows the processor.
#include "core/device/cpu/cpu.h"
#include "core/device/kernel.h"

#include <string.h>

void cpu_copy(const KernelCall *call) {
    memmove(output(call, 0)->data, input(call, 0)->data,
            (size_t)(live_elements(output(call, 0)) * dtype_bytes(call->dtype)));
}
