// SPDX-License-Identifier: MIT
// What a checkpoint says about its run, as text: enough to go on, and to notice that a run that
// wants to go on is another one. Nothing in it depends on the number of ranks.
#ifndef PARALLEL_RUN_CHECKPOINT_ABOUT_H
#define PARALLEL_RUN_CHECKPOINT_ABOUT_H

#include "core/data/safetensors.h"
#include "parallel/run/job.h"

// After so many steps; in the arena. ERR_MEMORY.
Status checkpoint_about(SafetensorsText **out, int *count, Arena *a, const Job *job,
                        int64_t step) MUST_USE;

// The names, between commas, of the parameters that no step of the job trains, or "none". They are
// in the arena. ERR_MEMORY.
Status checkpoint_about_frozen(const char **out, Arena *a, const Job *job) MUST_USE;

// A hash of that text, the same on all ranks: what tells the files of one checkpoint from those of
// another under the same names.
enum { CHECKPOINT_HASH = 17 };
Status checkpoint_about_hash(char out[CHECKPOINT_HASH], const Job *job, int64_t step) MUST_USE;

// How two runs may differ in what a key says. MUST_EQUAL: one cannot go on where the other stopped.
// MAY_DIFFER: it can, but computes something else than a run that was not stopped. A number that
// follows from the others, or a name: INFORMATION. SAME_SAMPLES must be equal for an evaluation,
// too: else it would count samples that were trained on. A plan file states its update rule, which
// its checkpoint then does not: EQUAL_IF_STATED.
typedef enum {
    ABOUT_MUST_EQUAL,
    ABOUT_SAME_SAMPLES,
    ABOUT_EQUAL_IF_STATED,
    ABOUT_MAY_DIFFER,
    ABOUT_INFORMATION,
} AboutKind;
AboutKind checkpoint_about_kind(const char *key);

#endif
