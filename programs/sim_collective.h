// SPDX-License-Identifier: MIT
// sim --collective: what a collective takes, size by size, in the columns of nccl-tests, or beside
// a table that somebody measured.
#ifndef PROGRAMS_SIM_COLLECTIVE_H
#define PROGRAMS_SIM_COLLECTIVE_H

#include "programs/sim_internal.h"

// Is what the line says possible together, with --collective or without it? ERR_USAGE.
Status sim_collective_check(const Sim *s) MUST_USE;

// The collective that is asked for; without --collective an all-reduce.
CollectiveKind sim_collective_kind(const SimOptions *o);

// The platform, which must have constants for NCCL's model. ERR_USAGE, ERR_INPUT, ERR_FORMAT.
Status sim_collective_machine(Sim *s) MUST_USE;

// Prints the tables that are asked for. ERR_USAGE, ERR_INPUT, ERR_FORMAT.
Status sim_collective_print(Sim *s) MUST_USE;

#endif
