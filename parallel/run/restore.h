// SPDX-License-Identifier: MIT
// What a run begins with besides its seed: all of a checkpoint (--resume), or weights alone
// (--load). The launcher reads the file once and checks that it fits the job; each rank then takes
// its pieces, whatever ranks wrote the file (core/plan/piece.h).
#ifndef PARALLEL_RUN_RESTORE_H
#define PARALLEL_RUN_RESTORE_H

#include "core/data/safetensors.h"
#include "parallel/run/executor.h"

#include <stdbool.h>

struct Job;

enum { RESTORE_NOTES = 4 };

// In the arena of the job.
typedef struct {
    Safetensors file;
    const char *path;                  // NULL: the run begins anew
    bool resumes;                      // else only weights are taken
    bool whole;                        // the state of the optimiser, too: the run trains on
    bool refrozen;                     // the run that was saved froze other parameters
    int64_t step;                      // training steps before the first; 0 unless it resumes
    const char *notes[RESTORE_NOTES];  // for the user: differences that are allowed
    int note_count;
} Restore;

// Read the file that the options of a job name, if there is one, and check it; sets job->restore
// and job->first_step. ERR_SHAPE lists all that does not fit, both sides; ERR_INPUT and ERR_FORMAT
// as safetensors_read(); ERR_USAGE when there is no step left to do.
Status restore_open(struct Job *job) MUST_USE;

// Write the pieces of the file that the executor's rank has into its tensors.
Status restore_fill(const Restore *s, Executor *e) MUST_USE;

#endif
