// SPDX-License-Identifier: MIT
// Errors of MPI end all processes with MPI's own message, which is its default.
#include "parallel/comm/mpi_processes.h"

#include <limits.h>
#include <mpi.h>

Status mpi_processes_join(MpiProcesses *out, const char *program, long copies,
                          const char *launcher) {
    MPI_Comm machine;
    MPI_Init(NULL, NULL);
    MPI_Comm_rank(MPI_COMM_WORLD, &out->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &out->count);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
    MPI_Comm_size(machine, &out->local);
    MPI_Comm_free(&machine);
    if (out->count == copies) return OK;
    FAIL(ERR_USAGE,
         "%s started %ld copies of %s, of which this one sees %d: it was built with another MPI",
         launcher, copies, program, out->count);
}

void mpi_processes_leave(void) { MPI_Finalize(); }

// What one message may have.
static int piece(size_t bytes) { return bytes < INT_MAX ? (int)bytes : INT_MAX; }

void mpi_processes_send(int to, const void *data, size_t bytes) {
    for (size_t at = 0; at < bytes; at += (size_t)piece(bytes - at))
        MPI_Send((const char *)data + at, piece(bytes - at), MPI_BYTE, to, 0, MPI_COMM_WORLD);
}

void mpi_processes_receive(int from, void *data, size_t bytes) {
    for (size_t at = 0; at < bytes; at += (size_t)piece(bytes - at))
        MPI_Recv((char *)data + at, piece(bytes - at), MPI_BYTE, from, 0, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
}
