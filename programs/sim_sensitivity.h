// SPDX-License-Identifier: MIT
// sim --sensitivity: by how much a step changes with 10 % of each number of the platform.
#ifndef PROGRAMS_SIM_SENSITIVITY_H
#define PROGRAMS_SIM_SENSITIVITY_H

#include "programs/sim_internal.h"

// Simulate and print: the largest first, with a bar each, or as CSV or JSON. ERR_USAGE, and what
// predict_job() fails with.
Status sim_sensitivity_print(Sim *s) MUST_USE;

#endif
