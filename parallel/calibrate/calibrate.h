// SPDX-License-Identifier: MIT
// Calibration: what operations, memory, waiting and measuring cost on this host, so that a
// simulator can tell what other numbers of ranks will do (core/platform/calibration.h).
//
// Operations are those of the job's training step, executed by one rank through the real executor;
// peers are child processes pinned to other cores, as ranks are. Repeats of what is compared, such
// as alone and beside others, alternate, so that drift meets both.
#ifndef PARALLEL_CALIBRATE_CALIBRATE_H
#define PARALLEL_CALIBRATE_CALIBRATE_H

#include "core/platform/machine.h"
#include "parallel/run/job.h"

enum { CALIBRATE_ROWS = 16 };

typedef struct {
    int64_t rows[CALIBRATE_ROWS];  // of a rank's batch; row_count 0: the job's, and a half and a
    int row_count;                 // quarter of it where it divides
    bool quick;  // in under a second, as long as a step takes a few milliseconds: few repeats, the
                 // job's rows only
    void *context;
    // Before each part of the work; NULL.
    void (*progress)(void *context, int done, int total, const char *part);
} CalibrateOptions;

// Measure this host and describe it as a machine, in the arena. The calling thread is pinned
// meanwhile; nothing is left running. What takes two cores is left out on a host that has one.
// ERR_INTERRUPTED after Ctrl-C (job->options.interrupt); ERR_PEER, ERR_MEMORY; ERR_USAGE when the
// step cannot be cut into so few rows.
Status calibrate(Machine *out, Arena *a, const Job *job, const CalibrateOptions *options) MUST_USE;

#endif
