// SPDX-License-Identifier: MIT
// A run of two ranks that is small and complete, its trace, and damaged copies of that.
#ifndef TESTS_SUPPORT_SMALL_TRACE_H
#define TESTS_SUPPORT_SMALL_TRACE_H

#include "core/record/trace.h"
#include "tests/support/testing.h"

enum { SMALL_RANKS = 2, SMALL_LANES = 3 };  // lanes: compute, data, host
enum { SMALL_ORIGIN_NS = 123456789 };
#define SMALL_LATE INT64_C(9007199254740993)  // 2^53 + 1 ps, two and a half hours: no double

// Plan "step": relu1, g.all_reduce; plan "evaluate": relu1. Of ranks ranks.
void small_program(Program *p, int ranks);

// Step 7, an evaluation of the same number, step 8.
void small_timeline(Timeline *t, int rank);

RunInfo small_run(int ranks);

void small_trace_write(const char *path, int rank, int ranks);

// The text of the trace, in the arena; and with the first `from` replaced.
char *small_trace_text(Arena *a, int rank, int ranks);
char *text_replaced(Arena *a, const char *text, const char *from, const char *to);

void write_bytes(const char *path, const void *bytes, size_t size);

#endif
