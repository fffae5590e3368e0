// SPDX-License-Identifier: MIT
// The two clocks of the program, in nanoseconds, and waiting.
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ns(void);             // monotonic; one time line for all processes of a machine
int64_t clock_thread_cpu_ns(void);  // CPU time of this thread
void clock_sleep_ns(int64_t ns);

// Between two looks of a thread that spins: its core has something better to do meanwhile.
static inline void clock_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
