// SPDX-License-Identifier: MIT
// Trace files: a rank's timeline as Chrome Trace Event JSON, which Perfetto opens, with the lowered
// program in it: enough to replay the run. Format: docs/formats.md, "Trace files".
#ifndef CORE_RECORD_TRACE_H
#define CORE_RECORD_TRACE_H

#include "core/base/arena.h"
#include "core/record/run_info.h"
#include "core/record/timeline.h"

#include <stddef.h>

// One rank's trace, as read.
typedef struct {
    RunInfo run;        // in the arena
    Program program;    // owned
    Timeline timeline;  // owned
    int64_t origin_ns;  // what the machine's monotonic clock said at 0 ps
} Trace;

// "DIR/rank<N>.json", or ".json.gz" when compressed. ERR_IO when the name is too long.
Status trace_path(char *out, size_t size, const char *directory, int rank,
                  bool compressed) MUST_USE;

// Write a rank's trace; the file appears when it is complete. A path that ends in .gz is
// compressed. ERR_IO.
Status trace_write(const char *path, const RunInfo *run, int64_t origin_ns, const Program *p,
                   const Timeline *t) MUST_USE;

// Read one trace file, plain or compressed, its members and events in any order; events of other
// kinds are skipped. ERR_INPUT, or ERR_FORMAT with file, line, what was expected and what was
// found. On failure *out is zeroed.
Status trace_read(Trace *out, Arena *a, const char *path) MUST_USE;
void trace_finish(Trace *t);  // safe on a zeroed Trace

// Read the traces of a directory, one for every rank, in the order of ranks; or of one file, that
// rank's alone. *out is in the arena; finish each. As above, and when a rank is missing or traces
// of two runs are mixed. On failure nothing needs to be finished.
Status trace_read_all(Trace **out, int *count, Arena *a, const char *path) MUST_USE;

#endif
