// SPDX-License-Identifier: MIT
// sim --sweep KEY=A,B,..: a row for each value of an option of the job or the machine, of several
// for each combination.
#ifndef PROGRAMS_SIM_GRID_H
#define PROGRAMS_SIM_GRID_H

#include "programs/sim_internal.h"

// Threads that --threads asks for; by default as many as there are cores.
int sim_grid_threads(const Sim *s);

// What prints a table of its own and simulates many points, such as "sweep": ERR_USAGE where the
// line asks for other output or another place than devices, too.
Status sim_grid_check_alone(const Sim *s, const char *name) MUST_USE;

// Simulate all points and print a row of each, in their order, as they are made. ERR_USAGE, where
// no point can be made, too; ERR_INTERRUPTED when the rows that were done are printed.
Status sim_grid_print(Sim *s) MUST_USE;

#endif
