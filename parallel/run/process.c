// SPDX-License-Identifier: MIT
// System calls of Linux about processes and cores, for launch.c, calibration and programs.
#include "parallel/run/process.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int process_cores(cpu_set_t *out) {
    return sched_getaffinity(0, sizeof *out, out) == 0 ? CPU_COUNT(out) : 0;
}

void process_pin(const cpu_set_t *cores, int turn) {
    cpu_set_t one;
    if (CPU_COUNT(cores) < 1) return;
    int skip = turn % CPU_COUNT(cores);
    for (int c = 0; c < CPU_SETSIZE; c++) {
        if (!CPU_ISSET(c, cores) || skip-- > 0) continue;
        CPU_ZERO(&one);
        CPU_SET(c, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

void process_unpin(const cpu_set_t *cores) { sched_setaffinity(0, sizeof *cores, cores); }

void process_restart_with(const char *name, const char *value, char *const argv[]) {
    char path[PATH_MAX];
    const char *set = getenv(name);
    if (set && strcmp(set, value) == 0) return;
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0 || setenv(name, value, 1)) return;
    path[length] = '\0';
    execv(path, argv);              // by its own name, so that ps and top show it
    execv("/proc/self/exe", argv);  // it was replaced since, as by a new build
}

pid_t process_fork(const char *name) {
    pid_t parent = getpid(), pid = fork();
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    prctl(PR_SET_NAME, name);  // the kernel keeps 15 bytes
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP};
    for (int i = 0; i < 3; i++)
        signal(ours[i], SIG_IGN);  // a terminal sends to all; the parent decides
    return 0;
}
