// SPDX-License-Identifier: MIT
// Clocks, in nanoseconds, and waiting.
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stdint.h>
#include <sys/types.h>

int64_t clock_ns(void);             // monotonic; one time line for all processes of a machine
int64_t clock_thread_cpu_ns(void);  // CPU time of this thread

// CPU time of a process, all its threads; 0: this one. -1 when there is no such process.
int64_t clock_process_cpu_ns(pid_t process);
void clock_sleep_ns(int64_t ns);

// The time of day, since 1970 in UTC, which somebody may set; and as text in milliseconds,
// "2026-01-31T12:00:00.000Z" (ISO 8601), which is returned.
int64_t clock_utc_ns(void);
enum { CLOCK_TEXT = 32 };
char *clock_print_utc(char out[CLOCK_TEXT], int64_t utc_ns);

// Between two looks of a thread that spins: its core has something better to do meanwhile.
static inline void clock_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
