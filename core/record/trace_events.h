// SPDX-License-Identifier: MIT
// The events that the trace of a rank and the merged one have in common, as Chrome's Trace Event
// Format names them: "M" says what things are called, "X" is a bar.
#ifndef CORE_RECORD_TRACE_EVENTS_H
#define CORE_RECORD_TRACE_EVENTS_H

#include "core/base/arena.h"
#include "core/record/timeline.h"

#include <stdio.h>

// The thread that lane 0 is in a viewer; the steps come behind the last lane. Perfetto merged
// threads 0 and 1 until 2025.
enum { TRACE_FIRST_TID = 1 };

// The names of all works and plans as JSON strings, so that an event is one fprintf.
typedef struct {
    const char **works, *plans[PLANS];
} TraceNames;

// Strings are in the arena. ERR_MEMORY.
Status trace_names_make(TraceNames *out, Arena *a, const Program *p) MUST_USE;

// "M" events: the process is called "rank N", threads as the lanes, and "step" the one above them.
// The last event ends without a comma, because the others begin with one.
Status trace_events_lanes(FILE *out, Arena *a, const Program *p, int rank) MUST_USE;

// How every "X" event begins: ",\n{...,"; name, category and arguments follow.
void trace_events_begin(FILE *out, int rank, int tid, int64_t start_ps, int64_t end_ps);

// "ts" and the like, in the format's microseconds, with the digits of a picosecond where needed.
void trace_events_us(FILE *out, const char *key, int64_t ps);

// A bar for a whole step: "step 7", or the plan's name where nothing was trained.
void trace_events_step(FILE *out, const TraceNames *n, const Program *p, int rank,
                       const StepRecord *s);

#endif
