// SPDX-License-Identifier: MIT
// sim --critical-path: what a step is made of, and what it gains if an item is free.
#ifndef PROGRAMS_SIM_CRITICAL_H
#define PROGRAMS_SIM_CRITICAL_H

#include "programs/sim_internal.h"

// Is what the line says possible with --critical-path? It sets what is to be found. ERR_USAGE.
Status sim_critical_request(Sim *s) MUST_USE;

// The bill of the one row, after its table. ERR_MEMORY.
Status sim_critical_print(const Sim *s) MUST_USE;

#endif
