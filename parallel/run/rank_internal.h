// SPDX-License-Identifier: MIT
#ifndef PARALLEL_RUN_RANK_INTERNAL_H
#define PARALLEL_RUN_RANK_INTERNAL_H

#include "parallel/run/rank.h"

// A ValueWriter over core/data's safetensors.
Status rank_write_values(void *context, const char *path, const ValueEntry *entries,
                         int count) MUST_USE;

// --- rank_scalars.c: what the run writes for the program, and reads

// Find the program's sources and results.
Status rank_find_scalars(Rank *r) MUST_USE;

// Write the scalars of this turn; returns the rows of all ranks' data that it goes through.
int64_t rank_write_scalars(Rank *r);

// --- checkpoint.c: what --save writes

Status checkpoint_create(Rank *r) MUST_USE;
void checkpoint_destroy(Rank *r);

// Copy what --save would write now, after so many steps, unless a number of it is not finite. Does
// nothing where nothing will be written.
Status checkpoint_copy(Rank *r, int64_t steps) MUST_USE;

// At the end, on rank 0: write the weights, or after a divergence the copy; without one, nothing.
// Weights that are not finite are a divergence.
Status checkpoint_finish(Rank *r) MUST_USE;

// --- disturbance.c: who else used the cores while the measured steps ran

// The window begins when the rank is created and again, unless this was all, after the warm-up.
void disturbance_begin(Rank *r);
void disturbance_end(Rank *r);  // fills in the result

#endif
