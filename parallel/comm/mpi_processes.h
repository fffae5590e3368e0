// SPDX-License-Identifier: MIT
// Processes that mpirun started: who they are, and bytes between them. A program that is built
// without MPI links no_mpi_processes.c, and can be no such process.
#ifndef PARALLEL_COMM_MPI_PROCESSES_H
#define PARALLEL_COMM_MPI_PROCESSES_H

#include "core/base/status.h"

#include <stddef.h>

// Which process this is, of how many, and how many of these are on its machine.
typedef struct {
    int rank, count, local;
} MpiProcesses;

// Begin, as one of `copies` of a program that a launcher of this name started. ERR_USAGE without
// MPI, or where the launcher is not of the MPI that the program is built with.
Status mpi_processes_join(MpiProcesses *out, const char *program, long copies,
                          const char *launcher) MUST_USE;
void mpi_processes_leave(void);  // before the end of one that joined

// Between this process and another one that receives or sends as many; machines are alike. An error
// of MPI ends all processes.
void mpi_processes_send(int to, const void *data, size_t bytes);
void mpi_processes_receive(int from, void *data, size_t bytes);

#endif
