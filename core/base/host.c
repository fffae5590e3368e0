// SPDX-License-Identifier: MIT
// Reading /proc. Parsing is apart from reading, so that tests give the text. See host.h.
#include "core/base/host.h"

#include "core/base/clock.h"
#include "core/base/text.h"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAT_BYTES = 64 << 10 };       // the lines of some 600 cores; they come first
static const double LEAST_S = 0.2;    // 20 ticks of a core
static const double TICKS_OFF = 0.3;  // what ticks and clock may differ by

// The beginning of a file, terminated; empty when it cannot be read.
static void read_beginning(char *out, size_t size, const char *path) {
    size_t length = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got = 1; fd >= 0 && got > 0 && length + 1 < size; length += (size_t)got) {
        got = read(fd, out + length, size - 1 - length);
        if (got < 0) got = 0;
    }
    out[length] = '\0';
    if (fd >= 0) close(fd);
}

void host_parse_cpu(char *out, size_t size, const char *cpuinfo) {
    *out = '\0';
    for (const char *line = cpuinfo; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "model name", 10)) continue;
        const char *name = line + 10 + strspn(line + 10, " \t");
        if (*name != ':') continue;
        name += 1 + strspn(name + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(name, "\n"), name);
        return;
    }
}

void host_keep_memory(void) {
#ifdef __GLIBC__
    enum { LARGEST = 1 << 30 };  // bytes
    mallopt(M_MMAP_THRESHOLD, LARGEST);
    mallopt(M_TRIM_THRESHOLD, LARGEST);
    mallopt(M_TOP_PAD, LARGEST / 64);
#endif
}

void host_info_read(HostInfo *out) {
    char text[4096];
    *out = (HostInfo){.cores = (int32_t)sysconf(_SC_NPROCESSORS_ONLN), .load = (double)NAN};
    read_beginning(text, sizeof text, "/proc/cpuinfo");
    host_parse_cpu(out->cpu, sizeof out->cpu, text);
    if (getloadavg(&out->load, 1) != 1) out->load = (double)NAN;
}

// "cpu3 user nice system idle iowait irq softirq steal guest guest_nice" (proc(5)); guests are in
// user and nice. Old kernels end earlier.
static void add_core(HostTicks *t, const char *numbers) {
    enum { IDLE = 3, IOWAIT = 4, STEAL = 7, COUNTED = 8 };
    char *end;
    for (int i = 0; i < COUNTED; i++, numbers = end) {
        int64_t ticks = strtoll(numbers, &end, 10);
        if (end == numbers) break;
        t->all += ticks;
        if (i == IDLE || i == IOWAIT) t->idle += ticks;
        if (i == STEAL) t->stolen += ticks;
    }
    t->cores++;
}

bool host_parse_stat(HostTicks *out, const char *stat, const cpu_set_t *cores) {
    *out = (HostTicks){0};
    for (const char *line = stat; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "cpu", 3) || line[3] < '0' || line[3] > '9') continue;
        char *numbers;
        long core = strtol(line + 3, &numbers, 10);
        if (core < CPU_SETSIZE && *numbers == ' ' && CPU_ISSET((size_t)core, cores))
            add_core(out, numbers);
    }
    return out->cores > 0;
}

void host_sample(HostSample *out, const cpu_set_t *cores) {
    char text[STAT_BYTES];
    read_beginning(text, sizeof text, "/proc/stat");
    if (!host_parse_stat(&out->ticks, text, cores)) out->ticks = (HostTicks){0};
    out->clock_ns = clock_ns();
}

// Idle time is exact where the system stops its tick on an idle core; user and system time are
// sampled. So a core was in use when it was neither idle nor stolen.
HostUse host_use(const HostSample *begin, const HostSample *end, int threads, int64_t own_cpu_ns) {
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    double seconds = (double)(end->clock_ns - begin->clock_ns) * 1e-9;
    int32_t cores = begin->ticks.cores;
    if (!cores || end->ticks.cores != cores || seconds < LEAST_S) return (HostUse){0};
    double all = (double)(end->ticks.all - begin->ticks.all) * tick / seconds;
    double idle = (double)(end->ticks.idle - begin->ticks.idle) * tick / seconds;
    double stolen = (double)(end->ticks.stolen - begin->ticks.stolen) * tick / seconds;
    double own = (double)own_cpu_ns * 1e-9 / seconds;
    if (fabs(all / cores - 1) > TICKS_OFF) return (HostUse){0};
    return (HostUse){.cores = cores,
                     .threads = threads,
                     .seconds = seconds,
                     .others_cores = fmin(fmax(0, cores - idle - stolen - own), cores),
                     .steal_cores = fmin(fmax(0, stolen), cores)};
}

bool host_use_disturbs(const HostUse *u) {
    int free_cores = u->cores > u->threads ? u->cores - u->threads : 0;
    return u->seconds > 0 && u->others_cores + u->steal_cores > free_cores + HOST_DISTURBED_CORES;
}

static void add_cores(char out[HOST_USE_TEXT], const char *who, double cores) {
    if (cores < 1.995)
        text_append(out, HOST_USE_TEXT, "%s %.0f %% of a core", who, 100 * cores);
    else
        text_append(out, HOST_USE_TEXT, "%s %.1f cores", who, cores);
}

char *host_use_print(char out[HOST_USE_TEXT], const HostUse *u) {
    *out = '\0';
    add_cores(out, "others used", u->others_cores);
    if (u->steal_cores >= 0.01) add_cores(out, "; the hypervisor took", u->steal_cores);
    return out;
}
