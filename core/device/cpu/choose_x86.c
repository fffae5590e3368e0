// SPDX-License-Identifier: MIT
// Which table of kernels is run on an x86 processor.
#include "core/device/cpu/cpu.h"

#include <cblas.h>

const Device *cpu_choose(void) {
    openblas_set_num_threads(1);  // a rank is one thread
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") ? &device_cpu_avx2 : &device_cpu;
}
