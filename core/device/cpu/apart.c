// SPDX-License-Identifier: MIT
// Rows in pieces, as an all-to-all sends them. They are copies of whole runs, and the reference
// makes them so, too.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/reference/reference.h"

void NAME(cpu_apart)(const KernelCall *call) { TYPED(reference_apart)(call); }
void NAME(cpu_together)(const KernelCall *call) { TYPED(reference_together)(call); }
