// SPDX-License-Identifier: MIT
// This machine as the system describes it: cores, processor, load, and how much of its cores
// others use while a run is measured.
//
//     HostSample begin, end;
//     host_sample(&begin, &cores);           // the cores that the run may use
//     ... the run ...
//     host_sample(&end, &cores);
//     HostUse u = host_use(&begin, &end, threads, own_cpu_ns);
//     if (host_use_disturbs(&u)) puts(host_use_print(text, &u));
#ifndef CORE_BASE_HOST_H
#define CORE_BASE_HOST_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int32_t cores;
    char cpu[96];  // model name; empty when unknown
    double load;   // of the last minute; NaN when unknown
} HostInfo;

void host_info_read(HostInfo *out);  // now

// Let memory that the process frees stay with it for what it allocates next, of any size. The
// system clears what it hands out, which a program that makes plan after plan would wait for.
void host_keep_memory(void);

// The first "model name" in the text of /proc/cpuinfo; empty where there is none.
void host_parse_cpu(char *out, size_t size, const char *cpuinfo);

// Time of a set of cores since the system started, in ticks of 1 / sysconf(_SC_CLK_TCK) s.
typedef struct {
    int64_t all, idle, stolen;  // all: every state; stolen: another virtual machine had the core
    int32_t cores;
} HostTicks;

// The lines of `cores` in the text of /proc/stat. False: it has none of them.
bool host_parse_stat(HostTicks *out, const char *stat, const cpu_set_t *cores);

typedef struct {
    HostTicks ticks;  // cores 0: the system does not say
    int64_t clock_ns;
} HostSample;

void host_sample(HostSample *out, const cpu_set_t *cores);  // allocates nothing

// Who used a run's cores while it was measured. seconds 0: unknown.
typedef struct {
    int32_t cores, threads;  // cores that the run may use; its threads that compute at once
    double seconds;          // for how long this was observed
    double others_cores;     // mean over that time: cores that other processes used
    double steal_cores;      // and cores that the hypervisor gave to other virtual machines
} HostUse;

// own_cpu_ns: CPU time of the run between the samples. Unknown after less than 0.2 s, in which the
// system counts too few ticks, and where its ticks do not add up to the time that passed.
HostUse host_use(const HostSample *begin, const HostSample *end, int threads, int64_t own_cpu_ns);

// Did others take what the run wanted: more than HOST_DISTURBED_CORES beyond those it left free?
#define HOST_DISTURBED_CORES 0.10
bool host_use_disturbs(const HostUse *u);

// "others used 63 % of a core" (from two cores on "others used 2.5 cores"), and, where it is 1 % or
// more, "; the hypervisor took 12 % of a core". Returns `out`.
enum { HOST_USE_TEXT = 96 };
char *host_use_print(char out[HOST_USE_TEXT], const HostUse *u);

#endif
