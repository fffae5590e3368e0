// SPDX-License-Identifier: MIT
// With which options would a step that does not fit its devices fit? Answered by planning the job
// with them, on as many devices.
#ifndef SIM_FIT_H
#define SIM_FIT_H

#include "sim/job.h"

enum { FIT_TEXT = 64 };

// Where a job is to fit.
typedef struct {
    int64_t bytes;         // of each device
    int devices_per_node;  // tensor parallelism is tried up to so many
    bool keep_batch;       // with fewer data-parallel ranks the global batch is the same (strong
                           // scaling); else that of each of them
} FitPlace;

// Options, "--zero 1", with which a step of the job fits: the first of a list that begins with
// those that cost least. "" when none does, or the job is a plan of a file. Nothing is simulated.
// ERR_MEMORY, ERR_PLAN.
Status fit_find(char out[FIT_TEXT], const SimJob *job, const FitPlace *place) MUST_USE;

#endif
