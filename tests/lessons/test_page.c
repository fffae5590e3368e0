// SPDX-License-Identifier: MIT
// Pages: where lines end, in English and in Chinese; boxes; what a page counts as.
#include "core/base/text.h"
#include "lessons/engine/page.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

static Arena arena;

// The page as written with so many columns; freed by the next call.
static const char *written(const Page *p, int columns, bool plain) {
    static char *text;
    size_t size;
    free(text);
    text = NULL;
    FILE *f = open_memstream(&text, &size);
    ck_assert_ok(page_write(f, p, &(PageStyle){.columns = columns, .plain = plain}));
    fclose(f);
    return text;
}

START_TEST(words_are_not_broken_and_lines_are_full) {
    Page p = {.arena = &arena};
    page_say(&p, "%s", "one two three four");
    ck_assert_str_eq(written(&p, 9, true), "one two\nthree\nfour\n");
    ck_assert_str_eq(written(&p, 13, true), "one two three\nfour\n");
    arena_finish(&arena);
}
END_TEST

START_TEST(a_word_that_is_longer_than_a_line_is_cut) {
    Page p = {.arena = &arena};
    page_say(&p, "%s", "a abcdefgh b");
    ck_assert_str_eq(written(&p, 4, true), "a\nabcd\nefgh\nb\n");
    arena_finish(&arena);
}
END_TEST

// Each character is two columns wide; no line begins with a full stop or a comma, and none ends
// with an opening bracket.
START_TEST(chinese_is_broken_between_characters_but_not_before_its_punctuation) {
    Page p = {.arena = &arena};
    page_say(&p, "%s", "梯度是导数。损失");
    ck_assert_str_eq(written(&p, 10, true), "梯度是导\n数。损失\n");
    Page q = {.arena = &arena};
    page_say(&q, "%s", "一二三（四）五");
    ck_assert_str_eq(written(&q, 8, true), "一二三\n（四）五\n");
    Page mixed = {.arena = &arena};
    page_say(&mixed, "%s", "用 ring 算法求和");
    ck_assert_str_eq(written(&mixed, 10, true), "用 ring 算\n法求和\n");
    arena_finish(&arena);
}
END_TEST

START_TEST(a_box_frames_text_of_any_width) {
    Page p = {.arena = &arena};
    page_box(&p, "%s", "环形 abc");
    ck_assert_str_eq(written(&p, 14, true), "+------------+\n| 环形 abc   |\n+------------+\n");
    ck_assert_str_eq(written(&p, 14, false), "┌────────────┐\n│ 环形 abc   │\n└────────────┘\n");
    ck_assert_int_eq(page_widest(&p, &(PageStyle){.columns = 14}), 14);
    arena_finish(&arena);
}
END_TEST

START_TEST(lines_stay_together_and_paragraphs_apart) {
    Page p = {.arena = &arena};
    page_say(&p, "first");
    page_line(&p, "  a = %d", 1);
    page_line(&p, "  b = %s", page_quantity(&p, UNIT_BYTES, 2e6));
    page_say(&p, "last");
    ck_assert_str_eq(written(&p, 0, true), "first\n\n  a = 1\n  b = 2 MB\n\nlast\n");
    ck_assert_int_eq(page_text_lines(&p, &(PageStyle){0}), 4);
    arena_finish(&arena);
}
END_TEST

START_TEST(widths_are_those_of_a_terminal) {
    ck_assert_int_eq(text_width("abc"), 3);
    ck_assert_int_eq(text_width("梯度"), 4);
    ck_assert_int_eq(text_width("é"), 1);
    ck_assert_int_eq(text_width("e\xCC\x81"), 1);  // e and a combining acute accent
    ck_assert_int_eq(text_width("，"), 2);
    ck_assert_int_eq(text_width("─│"), 2);
}
END_TEST

SUITE("page", words_are_not_broken_and_lines_are_full, a_word_that_is_longer_than_a_line_is_cut,
      chinese_is_broken_between_characters_but_not_before_its_punctuation,
      a_box_frames_text_of_any_width, lines_stay_together_and_paragraphs_apart,
      widths_are_those_of_a_terminal)
