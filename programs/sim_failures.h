// SPDX-License-Identifier: MIT
// sim --mtbf: what failures and checkpoints leave of a run's time, and how often to save.
#ifndef PROGRAMS_SIM_FAILURES_H
#define PROGRAMS_SIM_FAILURES_H

#include "programs/sim_internal.h"

// Are the options of failures whole, and is nothing asked for that has none? ERR_USAGE.
Status sim_failures_check(const Sim *s) MUST_USE;

// The same of what the line asks for, when that is known: devices. ERR_USAGE.
Status sim_failures_request(const Sim *s) MUST_USE;

// Simulates failures of a row's devices, if that is asked for, into its report. ERR_MEMORY.
Status sim_failures_add(const Sim *s, Prediction *p) MUST_USE;

// A row for each that is done, below the table of sizes. ERR_MEMORY.
Status sim_failures_print(const Sim *s) MUST_USE;

#endif
