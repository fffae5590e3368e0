// SPDX-License-Identifier: MIT
// Training a job: start its ranks, watch them, gather what they did.
#ifndef PARALLEL_RUN_LAUNCH_H
#define PARALLEL_RUN_LAUNCH_H

#include "core/report/report.h"
#include "parallel/run/rank.h"

typedef struct {
    RunShared *shared;  // owned, mapped: results of every rank
    size_t shared_bytes;
    int64_t wall_ns;
    bool interrupted;
    bool stuck;  // a rank's thread did not end and still uses the job: neither may be freed, and
                 // the process ends with _exit()
} Training;

// Run all ranks to the end. However it ends, nothing is left running and no shared memory remains.
// ERR_PEER: a rank was lost or timed out, in one message; ERR_INTERRUPTED never: see `interrupted`.
Status launch_run(Training *out, const Job *job, const RunHooks *hooks) MUST_USE;
// ERR_FAILED when the run stopped because a loss or a weight was no longer a finite number: which,
// in which step, what may help, and what --save wrote.
Status launch_check_divergence(const Training *t, const Job *job) MUST_USE;

// The report of a finished run; arrays are in the arena, and borrowed from the run.
Status launch_report(Report *r, Arena *a, const Job *job, const Training *t) MUST_USE;
void launch_finish(Training *t);  // safe on a zeroed Training

#endif
