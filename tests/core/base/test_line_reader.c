// SPDX-License-Identifier: MIT
#include "core/base/line_reader.h"
#include "tests/support/testing.h"

#include <string.h>

static LineReader r;

static void begin(const char *text) { ck_assert_ok(line_reader_open(&r, text, strlen(text), "x")); }

static void expect(int line, int count, const char *first, const char *last) {
    bool found;
    ck_assert_ok(line_reader_next(&r, &found));
    ck_assert(found);
    ck_assert_int_eq(r.line, line);
    ck_assert_int_eq(r.word_count, count);
    ck_assert_str_eq(r.words[0], first);
    ck_assert_str_eq(r.words[count - 1], last);
}

static void expect_end(void) {
    bool found = true;
    ck_assert_ok(line_reader_next(&r, &found));
    ck_assert(!found);
    line_reader_close(&r);
}

START_TEST(lines_are_counted_and_those_without_words_passed_over) {
    begin("a b\n\n# only a comment\n  \t\nc d e # f\n");
    expect(1, 2, "a", "b");
    expect(5, 3, "c", "e");
    expect_end();
}
END_TEST

START_TEST(the_last_line_needs_no_newline) {
    begin("one\ntwo");
    expect(1, 1, "one", "one");
    expect(2, 1, "two", "two");
    expect_end();
}
END_TEST

START_TEST(a_mark_and_dos_line_ends_are_no_part_of_a_word) {
    begin("\xEF\xBB\xBFmodel m\r\nclasses 2\r\n");
    expect(1, 2, "model", "m");
    expect(2, 2, "classes", "2");
    expect_end();
}
END_TEST

START_TEST(the_text_ends_where_its_length_says) {
    ck_assert_ok(line_reader_open(&r, "ab cd", 4, "x"));
    expect(1, 2, "ab", "c");
    expect_end();
    ck_assert_ok(line_reader_open(&r, "", 0, "x"));
    expect_end();
}
END_TEST

START_TEST(lines_may_be_read_again) {
    begin("a\nb\nc\n");
    expect(1, 1, "a", "a");
    const char *cursor = r.cursor;
    expect(2, 1, "b", "b");
    expect(3, 1, "c", "c");
    r.cursor = cursor;
    r.line = 1;
    expect(2, 1, "b", "b");
    expect(3, 1, "c", "c");
    expect_end();
}
END_TEST

START_TEST(a_long_line_has_all_its_words) {
    static char text[3 * 5000 + 1];
    for (int i = 0; i < 5000; i++) memcpy(text + 3 * i, "xy ", 3);
    begin(text);
    expect(1, 5000, "xy", "xy");
    expect_end();
}
END_TEST

START_TEST(a_zero_byte_is_refused) {
    ck_assert_fails(line_reader_open(&r, "a\0b", 3, "x"), ERR_FORMAT, "x: a zero byte");
}
END_TEST

SUITE("line_reader", lines_are_counted_and_those_without_words_passed_over,
      the_last_line_needs_no_newline, a_mark_and_dos_line_ends_are_no_part_of_a_word,
      the_text_ends_where_its_length_says, lines_may_be_read_again, a_long_line_has_all_its_words,
      a_zero_byte_is_refused)
