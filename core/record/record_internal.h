// SPDX-License-Identifier: MIT
// What the JSON files of this folder share.
#ifndef CORE_RECORD_RECORD_INTERNAL_H
#define CORE_RECORD_RECORD_INTERNAL_H

#include "core/base/arena.h"
#include "core/base/json.h"
#include "core/record/run_info.h"

// The members of a trace's section, or of a report, that say what was run. ERR_MEMORY.
Status run_info_to_json(json_t *object, const RunInfo *run) MUST_USE;
Status run_info_from_json(RunInfo *out, Arena *a, const json_t *object,
                          const char *source) MUST_USE;

// json_get_int(), with ERR_FORMAT also for a number outside low .. high.
Status get_int_in(int64_t *out, const json_t *root, int64_t low, int64_t high, const char *source,
                  const char *at) MUST_USE;

// A number; NaN for null, which is how JSON writes it.
Status get_real_or_nan(double *out, const json_t *root, const char *source,
                       const char *at) MUST_USE;

#endif
