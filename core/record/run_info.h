// SPDX-License-Identifier: MIT
// What was run: the same description stands in a trace and in a report.
#ifndef CORE_RECORD_RUN_INFO_H
#define CORE_RECORD_RUN_INFO_H

#include "core/base/arena.h"
#include "core/base/host.h"
#include "core/base/json.h"

#include <stdint.h>

// One setting of the strategy, as it is written on a command line: {"dp", "2"}, {"overlap",
// "true"}. Numbers, true and false keep that type in files.
typedef struct {
    const char *key, *value;
} RunSetting;

// Pointers are borrowed, or in the arena of whoever read it.
typedef struct {
    const char *kind;  // "train" or "sim"
    const char *model, *device, *comm, *dtype;
    int32_t ranks, shards;
    int64_t batch, seed;  // batch: rows of the global batch
    const RunSetting *strategy;
    const RunSetting *optimizer;  // {"name", …}: nothing in files of before it was kept
    int32_t strategy_count, optimizer_count, argc;
    const char *const *argv;   // the command line, program included
    const char *resumed_from;  // the checkpoint that it went on from; NULL: it began anew
    int64_t resumed_step;      // training steps before its own
    HostUse disturbed;         // who else used the cores meanwhile; seconds 0: unknown
} RunInfo;

// The value of a setting whose usual one is 1; NULL: it has that.
const char *run_info_factor(const RunInfo *run, const char *key);

// How the ranks are divided, if not over the data alone: the degrees above 1 as their options are
// called, "pp 2, dp 2, tp 4"; `data`: with that of the data. "" of ranks that divide nothing else.
enum { RUN_DEGREES = 80 };
const char *run_info_degrees(char out[RUN_DEGREES], const RunInfo *run, bool data);

// The members of a trace's section, or of a report, that say what was run. ERR_MEMORY.
Status run_info_to_json(json_t *object, const RunInfo *run) MUST_USE;
Status run_info_from_json(RunInfo *out, Arena *a, const json_t *object,
                          const char *source) MUST_USE;

#endif
