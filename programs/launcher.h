// SPDX-License-Identifier: MIT
// mpirun, srun and torchrun start a program several times, and tell each copy by its environment
// which of them it is. train starts its ranks itself.
#ifndef PROGRAMS_LAUNCHER_H
#define PROGRAMS_LAUNCHER_H

#include "core/base/status.h"

// ERR_USAGE, with what to give instead, where this is one of several copies.
Status launcher_check(void) MUST_USE;

// How many copies were started by what starts programs of MPI, and its name; 1: just this one.
long launcher_mpi_copies(const char **launcher);

#endif
