// SPDX-License-Identifier: MIT
#ifndef PARALLEL_RUN_RANK_INTERNAL_H
#define PARALLEL_RUN_RANK_INTERNAL_H

#include "parallel/run/rank.h"

// A ValueWriter over core/data's safetensors.
Status rank_write_values(void *context, const char *path, const ValueEntry *entries,
                         int count) MUST_USE;

// --- disturbance.c: who else used the cores while the measured steps ran

// The window begins when the rank is created and again, unless this was all, after the warm-up.
void disturbance_begin(Rank *r);
void disturbance_end(Rank *r);  // fills in the result

#endif
