// SPDX-License-Identifier: MIT
#ifndef PARALLEL_RUN_RANK_INTERNAL_H
#define PARALLEL_RUN_RANK_INTERNAL_H

#include "parallel/run/rank.h"

// A ValueWriter over core/data's safetensors.
Status rank_write_values(void *context, const char *path, const ValueEntry *entries,
                         int count) MUST_USE;

// --- rank_scalars.c: what the run writes for the program, and reads

// Where the rows of this turn are read for.
static inline DatasetTime rank_data_time(const Rank *r) {
    return (DatasetTime){(uint64_t)r->job->options.spec.seed, r->turn.epoch};
}

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

bool checkpoint_copies(const Rank *r);  // does this rank make copies?

// When the run ends: are the weights of this rank finite? Then all ranks know whether everybody's
// are, or that the run diverged; and then, unless it did, the weights become the copy.
Status checkpoint_is_finite(Rank *r, bool *finite) MUST_USE;
void checkpoint_note_finite(Rank *r, bool finite);
Status checkpoint_keep(Rank *r) MUST_USE;

// A saved tensor of this rank as it was copied, or without copies as it is.
Status checkpoint_view(Rank *r, int tensor, const void **out) MUST_USE;

// On rank 0, after rank_gather(): write the checkpoint after so many steps, under the names that
// the options ask for (checkpoint_files.h).
Status checkpoint_write(Rank *r, int64_t step) MUST_USE;

// At the end, on rank 0: write the weights of all ranks. After a divergence these are copies of
// before it; where there are none, nothing is written.
Status checkpoint_finish(Rank *r) MUST_USE;

// --- checkpoint_shards.c: every rank writes what it holds

// This rank's file after so many steps, on all ranks; then, when all are written, on rank 0 the
// index of them.
Status checkpoint_shards_write(Rank *r, int64_t step) MUST_USE;
Status checkpoint_shards_index(Rank *r, int64_t step) MUST_USE;

// --- rank_weights.c: what the ranks hold of the weights

bool rank_saves(const Program *p,
                int tensor);  // does the tensor outlive a plan, in its own memory?

// Of the ranks of a class that hold the same elements, is this the first? It draws them.
bool rank_holds_first(const Job *job, int rank, int tensor);

// And of those of all classes? It saves them.
bool rank_keeps(const Job *job, int rank, int tensor);

// The weights of all ranks, on rank 0, after rank_gather(): rank_weight_count() of them, in the
// order of the logical tensors. `copied`: as checkpoint_keep() or checkpoint_copy() left them.
typedef struct {
    const Logical *logical;
    const void *data;  // NULL: rank 0 does not have it
    int64_t bytes;
} WeightView;
int rank_weight_count(const Rank *r);
const Logical *rank_weight_logical(const Rank *r, int i);
int rank_weight_tensor(const Rank *r, int rank, int i);  // in which a rank holds it, or NONE
Status rank_view_weights(Rank *r, bool copied, WeightView *out) MUST_USE;

// Of all parameters in table order; 0 on other ranks than 0, and where they were not gathered.
Status rank_hash_parameters(Rank *r, uint64_t *hash) MUST_USE;
void rank_weights_finish(Rank *r);

// --- disturbance.c: who else used the cores while the measured steps ran

// The window begins when the rank is created and again, unless this was all, after the warm-up.
void disturbance_begin(Rank *r);
void disturbance_end(Rank *r);  // fills in the result

#endif
