// SPDX-License-Identifier: MIT
// The two clocks of the program, in nanoseconds.
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ns(void);             // monotonic; one time line for all processes of a machine
int64_t clock_thread_cpu_ns(void);  // CPU time of this thread
void clock_sleep_ns(int64_t ns);

#endif
