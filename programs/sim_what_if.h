// SPDX-License-Identifier: MIT
// sim --what-if: one row again with something changed, and where the difference arises.
#ifndef PROGRAMS_SIM_WHAT_IF_H
#define PROGRAMS_SIM_WHAT_IF_H

#include "programs/sim_internal.h"

// Read the changes, and check that each makes a job that can be simulated. ERR_USAGE.
Status sim_what_if_request(Sim *s) MUST_USE;

// Simulate each and print it beside the one row that is done, with --json as points. Errors as
// predict_job() has them.
Status sim_what_if_print(const Sim *s) MUST_USE;

#endif
