// SPDX-License-Identifier: MIT
// sim --fit: the constants of a platform for NCCL's model, found from measured tables.
#ifndef PROGRAMS_SIM_FIT_H
#define PROGRAMS_SIM_FIT_H

#include "programs/sim_internal.h"

// Is what the line says possible with --fit, or --out without it? ERR_USAGE.
Status sim_fit_check(const Sim *s) MUST_USE;

// Fits, prints what was found, and writes the machine file. ERR_USAGE for what cannot be fitted,
// ERR_INPUT, ERR_FORMAT, ERR_IO.
Status sim_fit_print(Sim *s) MUST_USE;

#endif
