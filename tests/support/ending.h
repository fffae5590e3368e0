// SPDX-License-Identifier: MIT
// How a training ended, with all that it saved, and how far that lies from another one: for
// strategies that stay within the bounds of docs/contract.md, 7.
#ifndef TESTS_SUPPORT_ENDING_H
#define TESTS_SUPPORT_ENDING_H

#include "core/data/safetensors.h"
#include "tests/support/training.h"

typedef struct {
    Safetensors file;  // in the arena
    Outcome run;
} Ending;

// A model of text in f64 with momentum, whose rows 2, 4 and 8 ranks share, on one rank.
JobOptions ending_text_options(const char *model, int steps);

// Run the job, which saves a file of its own in the test's directory. Fails the test if that fails.
void ending_run(Ending *out, Arena *a, const JobOptions *options);
void ending_run_probed(Ending *out, Arena *a, const JobOptions *options,
                       const TrainingProbe *probe);
void ending_finish(Ending *e);

// The record of a rank's step, counted from 0.
const StepRecord *ending_step(const Ending *e, int rank, int step);

// The largest distance of what two runs saved, in units of bound * max(1, |w|), over parameters,
// optimiser state and all else; not a number: not at all.
double ending_distance(const Ending *a, const Ending *b, double bound);

// Losses of all ranks and steps lie within `bound` of those of rank 0 of another run with as many
// steps, and so does what both saved; the communicators counted what the plans say.
void ending_check(const Ending *got, const Ending *want, double bound);

// ending_check() of this job.
void ending_check_run(const JobOptions *options, Arena *a, const Ending *want, double bound);

// Write a file of that name in the test's directory; its path, in the arena. Fails the test if that
// cannot be done.
const char *ending_write_file(Arena *a, const char *name, const char *text);

#endif
