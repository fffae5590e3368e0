// SPDX-License-Identifier: MIT
// POSIX clocks as whole nanoseconds.
#include "core/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { SECOND_NS = 1000000000 };

static int64_t read_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

int64_t clock_ns(void) { return read_ns(CLOCK_MONOTONIC); }

int64_t clock_thread_cpu_ns(void) { return read_ns(CLOCK_THREAD_CPUTIME_ID); }

int64_t clock_process_cpu_ns(pid_t process) {
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(process, &clock) || clock_gettime(clock, &t)) return -1;
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

// Until an absolute time, so that signals do not lengthen the sleep.
void clock_sleep_ns(int64_t ns) {
    if (ns <= 0) return;
    int64_t end = clock_ns() + ns;
    struct timespec until = {.tv_sec = end / SECOND_NS, .tv_nsec = end % SECOND_NS};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

int64_t clock_utc_ns(void) { return read_ns(CLOCK_REALTIME); }

char *clock_print_utc(char out[CLOCK_TEXT], int64_t utc_ns) {
    time_t seconds = (time_t)(utc_ns / SECOND_NS);
    struct tm t;
    char day[24] = "";
    if (gmtime_r(&seconds, &t)) strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(out, CLOCK_TEXT, "%s.%03dZ", day, (int)(utc_ns % SECOND_NS / 1000000));
    return out;
}
