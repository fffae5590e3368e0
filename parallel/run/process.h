// SPDX-License-Identifier: MIT
// Child processes of this program, and the cores they run on.
#ifndef PARALLEL_RUN_PROCESS_H
#define PARALLEL_RUN_PROCESS_H

#include <sched.h>
#include <sys/types.h>

// Cores that this thread may use now. Returns how many; 0 when the system does not say.
int process_cores(cpu_set_t *out);

// Let this thread run on one of `cores` only: the turn-th, counted around. Where that is not
// allowed it stays as it is.
void process_pin(const cpu_set_t *cores, int turn);
void process_unpin(const cpu_set_t *cores);  // on any of them

// Start this program again, once, with a variable in its environment that a library reads when it
// is loaded, before main(). Comes back when the variable has that value, or where the system does
// not let a program start itself (no /proc).
void process_restart_with(const char *name, const char *value, char *const argv[]);

// fork(). The child dies with its parent, leaves Ctrl-C, SIGTERM and SIGHUP to it, and bears `name`
// in ps and top. As fork(): the child's id, 0 in the child, -1 and errno.
pid_t process_fork(const char *name);

#endif
