// SPDX-License-Identifier: MIT
// Which table of kernels is run, where they are compiled for one instruction set only.
#include "core/device/cpu/cpu.h"

#include <cblas.h>

const Device *cpu_choose(void) {
    openblas_set_num_threads(1);  // a rank is one thread
    return &device_cpu;
}
