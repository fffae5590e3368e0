// SPDX-License-Identifier: MIT
// Points of a sweep, divided among the processes of an mpirun. The first of them prints what one
// process alone would; the others print nothing.
#ifndef PROGRAMS_SPREAD_H
#define PROGRAMS_SPREAD_H

#include "parallel/comm/mpi_processes.h"
#include "sim/points.h"

// Before anything is printed: from then on, but on the first process, standard output and error go
// nowhere. ERR_USAGE where mpirun started several copies, and sim was built without MPI or with
// an MPI that is not that mpirun's.
Status spread_begin(MpiProcesses *out) MUST_USE;

// For what is not divided: ERR_USAGE where there are several processes.
Status spread_check_alone(const MpiProcesses *s) MUST_USE;

// As points_run(): point i is made by process i mod count. All of them are known to the first
// process when it returns, to the others only their own.
Status spread_run(const MpiProcesses *s, Point *points, int count, int threads,
                  const PointWork *work) MUST_USE;

// At the end of the program, however it ends.
void spread_end(const MpiProcesses *s);

#endif
