// SPDX-License-Identifier: MIT
// Tables for people (aligned columns) and for programs (CSV).
#ifndef CORE_BASE_TABLE_H
#define CORE_BASE_TABLE_H

#include "core/base/arena.h"

#include <stdbool.h>
#include <stdio.h>

enum { TABLE_COLUMNS = 24 };

typedef struct {
    const char *head;
    bool number;  // aligned on the right
} TableColumn;

// Filled cell by cell, row after row; everything is in the arena.
typedef struct {
    Arena *arena;
    const TableColumn *columns;  // borrowed
    int column_count;
    struct TableRow *first, *last;
    int cell_count;      // of the whole table
    bool out_of_memory;  // a cell was lost: table_print() fails
} Table;

// At most TABLE_COLUMNS columns.
void table_init(Table *t, Arena *a, const TableColumn *columns, int column_count);

// The next cell, UTF-8; after the last column a new row begins. '?' stands for every byte that
// cannot be printed.
void table_cell(Table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

typedef enum { TABLE_TEXT, TABLE_CSV } TableForm;

// A cell of CSV (RFC 4180), in quotes when it needs them. '?' stands for every byte that is neither
// printable nor a newline.
void table_write_csv(FILE *f, const char *text);

// TEXT: heads, then rows, columns two spaces apart, no trailing space. CSV: RFC 4180 with plain
// newlines. A row that was not finished ends in empty cells. ERR_MEMORY when cells were lost.
Status table_print(FILE *f, const Table *t, TableForm form) MUST_USE;

#endif
