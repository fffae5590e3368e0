// SPDX-License-Identifier: MIT
#include "core/base/printable.h"

#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

START_TEST(text_in_any_script_is_printable) {
    ck_assert(printable(""));
    ck_assert(printable("plain ASCII, ~ included"));
    ck_assert(printable("5×5, 1 µs, ⌊x⌋, \xf0\x9f\x9a\xb2"));
    ck_assert_int_eq(printable_length("a"), 1);
    ck_assert_int_eq(printable_length("\xc2\xa0"), 2);      // U+00A0, the first after the controls
    ck_assert_int_eq(printable_length("\xef\xbf\xbd"), 3);  // U+FFFD
    ck_assert_int_eq(printable_length("\xf4\x8f\xbf\xbf"), 4);  // U+10FFFF, the last
}
END_TEST

START_TEST(what_a_terminal_would_obey_is_not) {
    static const char *const bad[] = {"\n",
                                      "\t",
                                      "\x1b[2J",
                                      "\x7f",
                                      "\xc2\x9b"
                                      "2J",
                                      NULL};
    for (int i = 0; bad[i]; i++) ck_assert_msg(!printable(bad[i]), "text %d", i);
}
END_TEST

START_TEST(bytes_that_are_not_utf_8_are_not) {
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc3",
                                      "\xc3x",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xe2\x82",
                                      NULL};
    for (int i = 0; bad[i]; i++) ck_assert_msg(!printable(bad[i]), "text %d", i);
}
END_TEST

START_TEST(a_question_mark_takes_the_place_of_each_bad_byte) {
    char text[] = "a\x1b[1m\xc3×\n\xe2\x82";
    printable_make(text);
    ck_assert_str_eq(text, "a?[1m?×???");
}
END_TEST

static Status fail_with(const char *text) { FAIL(ERR_FORMAT, "found \"%s\"", text); }

START_TEST(messages_are_one_printable_line) {
    ck_assert_int_eq(fail_with("x\ny\x1b]0;z\x07 µ"), ERR_FORMAT);
    ck_assert_str_eq(status_message(), "found \"x?y?]0;z? µ\"");
}
END_TEST

START_TEST(a_command_is_printed_as_a_shell_would_read_it) {
    const char *const words[] = {"train", "--model", "my model", "it's", "", "a\tb", "x=1,2"};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(f);
    printable_command(f, words, 7);
    fclose(f);
    ck_assert_str_eq(text, "train --model 'my model' 'it'\\''s' '' 'a?b' x=1,2");
    free(text);
}
END_TEST

SUITE("printable", text_in_any_script_is_printable, what_a_terminal_would_obey_is_not,
      bytes_that_are_not_utf_8_are_not, a_question_mark_takes_the_place_of_each_bad_byte,
      messages_are_one_printable_line, a_command_is_printed_as_a_shell_would_read_it)
