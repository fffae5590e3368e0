// SPDX-License-Identifier: MIT
// A program without MPI: it cannot be one of several.
#include "parallel/comm/mpi_processes.h"

Status mpi_processes_join(MpiProcesses *out, const char *program, long copies,
                          const char *launcher) {
    (void)out;
    FAIL(ERR_USAGE,
         "%s started %ld copies of %s, which was built without MPI and would print everything %ld "
         "times: start one, or build with -Dmpi=enabled",
         launcher, copies, program, copies);
}

void mpi_processes_leave(void) {}

void mpi_processes_send(int to, const void *data, size_t bytes) {
    (void)to, (void)data, (void)bytes;
}

void mpi_processes_receive(int from, void *data, size_t bytes) {
    (void)from, (void)data, (void)bytes;
}
