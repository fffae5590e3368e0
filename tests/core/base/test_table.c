// SPDX-License-Identifier: MIT
// Tables for people and as CSV: alignment, quoting, and what a terminal must not be sent.
#include "core/base/table.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

static char *text;  // what was written to memory()
static size_t size;
static FILE *memory(void) { return open_memstream(&text, &size); }

static const TableColumn COLUMNS[] = {{"device"}, {"ranks", true}, {"samples/s", true}, {"note"}};

static Table example(Arena *a) {
    Table t;
    table_init(&t, a, COLUMNS, 4);
    table_cell(&t, "cpu");
    table_cell(&t, "%d", 1);
    table_cell(&t, "%d", 10500);
    table_cell(&t, "one, \"two\"");
    table_cell(&t, "référence");
    table_cell(&t, "%d", 16);
    table_cell(&t, "9");
    return t;
}

START_TEST(columns_are_aligned_and_numbers_on_the_right) {
    Arena a = {0};
    Table t = example(&a);
    FILE *f = memory();
    ck_assert_ok(table_print(f, &t, TABLE_TEXT));
    fclose(f);
    ck_assert_str_eq(text, "device     ranks  samples/s  note\n"
                           "cpu            1      10500  one, \"two\"\n"
                           "référence     16          9\n");
    free(text);
    arena_finish(&a);
}
END_TEST

START_TEST(csv_quotes_what_needs_it) {
    Arena a = {0};
    Table t = example(&a);
    FILE *f = memory();
    ck_assert_ok(table_print(f, &t, TABLE_CSV));
    fclose(f);
    ck_assert_str_eq(text, "device,ranks,samples/s,note\n"
                           "cpu,1,10500,\"one, \"\"two\"\"\"\n"
                           "référence,16,9,\n");
    free(text);
    arena_finish(&a);
}
END_TEST

START_TEST(empty_cells_keep_the_columns_after_them_in_place) {
    Arena a = {0};
    Table t;
    table_init(&t, &a, COLUMNS, 4);
    for (int i = 0; i < 3; i++) table_cell(&t, "%s", "");
    table_cell(&t, "x");
    FILE *f = memory();
    ck_assert_ok(table_print(f, &t, TABLE_TEXT));
    fclose(f);
    ck_assert_str_eq(text, "device  ranks  samples/s  note\n"
                           "                          x\n");
    free(text);
    arena_finish(&a);
}
END_TEST

START_TEST(a_table_without_rows_is_its_heads) {
    Arena a = {0};
    Table t;
    table_init(&t, &a, COLUMNS, 2);
    FILE *f = memory();
    ck_assert_ok(table_print(f, &t, TABLE_TEXT));
    fclose(f);
    ck_assert_str_eq(text, "device  ranks\n");
    free(text);
    arena_finish(&a);
}
END_TEST

// What a terminal obeys, a line end included, is shown as ?; CSV may have a line end, in quotes.
START_TEST(control_characters_reach_neither_terminal_nor_csv) {
    Arena a = {0};
    Table t;
    table_init(&t, &a, COLUMNS, 1);
    table_cell(&t, "%s", "x\x1b[2J\r\n\xc2\x9by");
    FILE *f = memory();
    ck_assert_ok(table_print(f, &t, TABLE_TEXT));
    table_write_csv(f, "a\x1b[2Jb\nc");
    fclose(f);
    ck_assert_str_eq(text, "device\nx?[2J????y\n\"a?[2Jb\nc\"");
    free(text);
    arena_finish(&a);
}
END_TEST

SUITE("table", columns_are_aligned_and_numbers_on_the_right, csv_quotes_what_needs_it,
      empty_cells_keep_the_columns_after_them_in_place, a_table_without_rows_is_its_heads,
      control_characters_reach_neither_terminal_nor_csv)
