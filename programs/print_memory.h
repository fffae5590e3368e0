// SPDX-License-Identifier: MIT
// --print-memory of train and sim: what a rank's memory is planned for, beside the closed forms of
// DDP and ZeRO.
#ifndef PROGRAMS_PRINT_MEMORY_H
#define PROGRAMS_PRINT_MEMORY_H

#include "sim/job.h"

// clang-format off
#define PRINT_MEMORY_ROW(T) \
    {.name = "print-memory", .kind = OPTION_FLAG, .at = offsetof(T, print_memory), \
     .help = "print what memory a rank needs, beside DDP's and ZeRO's formulas"}
// clang-format on

// To standard output: a table per class of ranks, from the lowered programs of the job alone, so
// that it takes any number of ranks and no data. A plan file says how many ranks there are.
Status print_memory(SimJob *job, Arena *a) MUST_USE;

// The same as JSON, and what a step communicates: docs/formats.md, "Planned memory".
Status print_memory_json(SimJob *job, Arena *a) MUST_USE;

#endif
