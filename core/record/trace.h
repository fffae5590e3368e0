// SPDX-License-Identifier: MIT
// Trace files: a rank's timeline as Chrome Trace Event JSON, which Perfetto opens, with the lowered
// program in it: enough to replay the run. Format: docs/formats.md, "Trace files".
#ifndef CORE_RECORD_TRACE_H
#define CORE_RECORD_TRACE_H

#include "core/base/arena.h"
#include "core/plan/set.h"
#include "core/record/run_info.h"
#include "core/record/timeline.h"

#include <stddef.h>

// One rank's trace, as read.
typedef struct {
    RunInfo run;      // in the arena
    Program program;  // owned; that of its class of ranks
    RankClass class;
    Timeline timeline;         // owned
    int64_t origin_ns;         // what the machine's monotonic clock said at 0 ps
    const char *program_text;  // as in the file; in the arena
    int32_t like;              // of trace_read_all(): the first rank that executed the same program
} Trace;

// "DIR/rank<N>.json", or ".json.gz" when compressed. ERR_IO when the name is too long.
Status trace_path(char *out, size_t size, const char *directory, int rank,
                  bool compressed) MUST_USE;

// Write the trace of the timeline's rank, with the program of its class; the file appears when it
// is complete. A path that ends in .gz is compressed. ERR_IO.
Status trace_write(const char *path, const RunInfo *run, int64_t origin_ns, const ProgramSet *set,
                   const Timeline *t) MUST_USE;

// The events of all ranks as one file for viewers, DIR/TRACE_MERGED, with arrows from gradients to
// the communication that sends them and a counter of bytes in flight. It cannot be replayed. A long
// run's has only the first *steps records of every rank. ERR_IO, ERR_MEMORY.
#define TRACE_MERGED "all.json"
Status trace_write_merged(const char *path, int *steps, const Program *const programs[],
                          const Timeline *const timelines[], int ranks) MUST_USE;

// Remove what earlier runs left in a directory in which this run wrote the traces of `ranks`
// ranks: files of other ranks, and those that are compressed when this run's are not, or the
// reverse. Files that are not recognised as traces stay. *removed: how many were. ERR_IO.
Status trace_remove_stale(int *removed, const char *directory, int ranks, bool compressed) MUST_USE;

// Read one trace file, plain or compressed, its members and events in any order; events of other
// kinds are skipped. What is read can be relied on: the program passed program_check(); steps
// follow each other from 0 to TIMELINE_LAST_PS; spans lie in their step, a complete step has one of
// each operation (which a guard may have skipped), another step none. ERR_INPUT, or ERR_FORMAT with
// file, line, what was expected and what was found. On failure *out is zeroed.
Status trace_read(Trace *out, Arena *a, const char *path) MUST_USE;

// The same from memory, unpacked; `name` is that of the file in messages.
Status trace_parse(Trace *out, Arena *a, const char *text, size_t length,
                   const char *name) MUST_USE;
void trace_finish(Trace *t);  // safe on a zeroed Trace

// Read the traces of a directory, one for every rank, in the order of ranks; or of one file, that
// rank's alone. *out is in the arena; finish each. As above, and when a rank is missing, when
// traces of two runs are mixed, or when plan_check() finds that the programs cannot be executed
// together. On failure nothing needs to be finished.
Status trace_read_all(Trace **out, int *count, Arena *a, const char *path) MUST_USE;

// The programs that the ranks of a run executed, one per class. The set is in the arena and borrows
// from the traces of all ranks, in the order of ranks: do not finish it. ERR_FORMAT when two ranks
// of a class executed different programs, or a rank's class is not where the rank is.
Status trace_programs(ProgramSet *out, Arena *a, const Trace *traces, int count,
                      const char *path) MUST_USE;

#endif
