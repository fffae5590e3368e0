// SPDX-License-Identifier: MIT
// Tables of measured collectives, as people have them: what nccl-tests prints, in whatever version,
// what bench/collectives prints, and CSV with a column of sizes and one of times in its heads.
#ifndef SIM_NCCL_TABLE_H
#define SIM_NCCL_TABLE_H

#include "core/base/arena.h"

#include <stdint.h>

typedef struct {
    int64_t bytes, time_ps;
} NcclTableRow;

typedef struct {
    NcclTableRow *rows;  // in the arena, in the order of the table
    int count;
    int32_t ranks, nodes;  // as the table says; 0: it does not
} NcclTable;

// Read a table ("-": standard input). The first time of a row counts, which nccl-tests measures out
// of place; rows of no bytes or no time are left out. ERR_INPUT; ERR_FORMAT with file and line for
// a row that lacks a size or time, for rows of several group sizes, for a table without rows.
Status nccl_table_read(NcclTable *out, Arena *a, const char *path) MUST_USE;

// The same from memory, which is changed; `name` is its name in messages.
Status nccl_table_parse(NcclTable *out, Arena *a, char *text, const char *name) MUST_USE;

#endif
