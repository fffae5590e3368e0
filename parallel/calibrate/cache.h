// SPDX-License-Identifier: MIT
// The quick calibration beside a trace, kept from run to run: it takes most of a second and says
// the same as long as host, program and job are the same.
//
// A file of $XDG_CACHE_HOME/tandem, or ~/.cache/tandem, is a machine file behind a line that says
// what it was measured with, and before a line with its hash. A file whose first line is another's,
// that belongs to somebody else or that is not whole is not used, and the host is measured anew. No
// trouble with the cache fails a run.
#ifndef PARALLEL_CALIBRATE_CACHE_H
#define PARALLEL_CALIBRATE_CACHE_H

#include "core/platform/machine.h"
#include "parallel/run/job.h"

#include <stdbool.h>

typedef struct {
    const char *version;  // of the program; what another one measured is not taken
    // A host whose step varied more than this (the middle 80 % of its repeats, in thousandths of
    // their median) was measured beside something else, and is not kept; 0: 200.
    int32_t spread_permille;
    void *context;
    // What was done, for people. important: it took time.
    void (*say)(void *context, bool important, const char *line);
} CalibrateCache;

// As calibrate() with `quick`, or what that said before. Errors are calibrate()'s.
Status calibrate_cached(Machine *out, Arena *a, const Job *job,
                        const CalibrateCache *cache) MUST_USE;

// What the cache has for the job. False: nothing that is used; *out then holds nothing.
bool calibrate_find_cached(Machine *out, Arena *a, const Job *job, const CalibrateCache *cache);

#endif
