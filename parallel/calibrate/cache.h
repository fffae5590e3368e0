// SPDX-License-Identifier: MIT
// The quick calibration beside a trace, kept from run to run: it takes most of a second and says
// the same as long as host, program and job are the same.
//
// A file of $XDG_CACHE_HOME/tandem, or ~/.cache/tandem, is a machine file behind a line that says
// what it was measured with; one whose line is another's, that is somebody else's or that does not
// read is not believed, and measured anew. No trouble with the cache fails a run.
#ifndef PARALLEL_CALIBRATE_CACHE_H
#define PARALLEL_CALIBRATE_CACHE_H

#include "core/platform/machine.h"
#include "parallel/run/job.h"

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

#endif
