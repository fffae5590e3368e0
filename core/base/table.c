// SPDX-License-Identifier: MIT
// Cells are text in the arena, a row after the other; widths are known when all is printed.
#include "core/base/table.h"

#include "core/base/printable.h"
#include "core/base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

enum { GAP = 2 };  // spaces between columns

typedef struct TableRow TableRow;
struct TableRow {
    TableRow *next;
    const char *cells[TABLE_COLUMNS];  // NULL: empty
};

void table_init(Table *t, Arena *a, const TableColumn *columns, int column_count) {
    assert(column_count > 0 && column_count <= TABLE_COLUMNS);
    *t = (Table){.arena = a, .columns = columns, .column_count = column_count};
}

void table_cell(Table *t, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printable_make(text);
    int column = t->cell_count % t->column_count;
    if (column == 0) {
        TableRow *row = ARENA_NEW(t->arena, TableRow, 1);
        t->out_of_memory = t->out_of_memory || !row;
        if (t->out_of_memory) return;
        if (t->last)
            t->last->next = row;
        else
            t->first = row;
        t->last = row;
    }
    t->last->cells[column] = arena_string(t->arena, text);
    t->out_of_memory = t->out_of_memory || !t->last->cells[column];
    t->cell_count++;
}

static const char *cell_text(const TableRow *row, int column) {
    return row->cells[column] ? row->cells[column] : "";
}

static int larger(int a, int b) { return a > b ? a : b; }

// Spaces are owed until the next text, so that no line ends in one.
static void print_line(FILE *f, const Table *t, const int *widths, const TableRow *row) {
    int owed = 0;
    for (int i = 0; i < t->column_count; i++) {
        const char *text = cell_text(row, i);
        int width = text_width(text), pad = widths[i] - width;
        if (t->columns[i].number) owed += pad;
        if (width) {
            fprintf(f, "%*s%s", owed, "", text);
            owed = 0;
        }
        owed += (t->columns[i].number ? 0 : pad) + GAP;
    }
    fputc('\n', f);
}

void table_write_csv(FILE *f, const char *text) {
    bool quote = strpbrk(text, ",\"\r\n") != NULL;
    if (quote) fputc('"', f);
    while (*text) {
        int length = printable_length(text);
        if (*text == '"') fputc('"', f);
        if (length)
            fwrite(text, 1, (size_t)length, f);
        else
            fputc(*text == '\n' ? '\n' : '?', f);
        text += length ? length : 1;
    }
    if (quote) fputc('"', f);
}

static void print_csv(FILE *f, const Table *t, const TableRow *row) {
    for (int i = 0; i < t->column_count; i++) {
        if (i) fputc(',', f);
        table_write_csv(f, cell_text(row, i));
    }
    fputc('\n', f);
}

Status table_print(FILE *f, const Table *t, TableForm form) {
    if (t->out_of_memory)
        FAIL(ERR_MEMORY, "out of memory for a table of %d columns", t->column_count);
    TableRow heads = {.next = t->first};
    int widths[TABLE_COLUMNS] = {0};
    for (int i = 0; i < t->column_count; i++) heads.cells[i] = t->columns[i].head;
    for (const TableRow *row = &heads; row; row = row->next)
        for (int i = 0; i < t->column_count; i++)
            widths[i] = larger(widths[i], text_width(cell_text(row, i)));
    for (const TableRow *row = &heads; row; row = row->next) {
        if (form == TABLE_CSV)
            print_csv(f, t, row);
        else
            print_line(f, t, widths, row);
    }
    return OK;
}
