// SPDX-License-Identifier: MIT
// What sim shows.
#ifndef PROGRAMS_SIM_PRINT_H
#define PROGRAMS_SIM_PRINT_H

#include "programs/sim_options.h"
#include "sim/compare.h"
#include "sim/ledger.h"
#include "sim/predict.h"

// That others took cores while a run was `done` ("measured", "recorded"): one line, or two where
// 80 columns are too few.
void print_disturbed(const char *indent, const char *done, const HostUse *use);

void print_replay(const Prediction *p, const Recording *r);

// One or several comparisons; made[i]: what the ledger says of its prediction.
Status print_comparisons(const Comparison *c, const LedgerEntry *made, int count,
                         const SimOptions *o, Arena *a) MUST_USE;

#endif
