// SPDX-License-Identifier: MIT
#include "core/data/dataset.h"
#include "core/data/sentences.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

static Arena arena;

static Corpus corpus_of(const char *text, Tokens tokens) {
    Corpus c;
    ck_assert_ok(corpus_from(&c, &arena, text, strlen(text), "x", tokens));
    return c;
}

static const char *write_file(const void *text, size_t length) {
    static char path[2048];
    snprintf(path, sizeof path, "%s/text", test_directory());
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, length, f), length);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

// --- tokens

START_TEST(characters_are_numbered_in_the_order_of_their_code_points) {
    Corpus c = corpus_of("banana\n", TOKENS_CHARACTERS);
    const int want[] = {2, 1, 3, 1, 3, 1, 0};
    char text[5];
    ck_assert_int_eq(c.vocabulary, 4);
    ck_assert_int_eq(c.length, 7);
    for (int i = 0; i < 7; i++) ck_assert_int_eq(corpus_token(&c, i), want[i]);
    ck_assert_int_eq(corpus_text(&c, 3, text), 1);
    ck_assert_str_eq(text, "n");
}
END_TEST

START_TEST(a_character_of_several_bytes_is_one_token) {
    const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e"
                       "a";  // a é € 𝄞 a
    Corpus c = corpus_of(text, TOKENS_CHARACTERS);
    char all[32] = "", one[5];
    ck_assert_int_eq(c.length, 5);
    ck_assert_int_eq(c.vocabulary, 4);
    for (int i = 0; i < 5; i++) {
        corpus_text(&c, corpus_token(&c, i), one);
        strcat(all, one);
    }
    ck_assert_str_eq(all, text);
    ck_assert_int_eq(corpus_token(&c, 3), 3);
}
END_TEST

START_TEST(bytes_are_themselves) {
    Corpus c = corpus_of("\xff\x01"
                         "A",
                         TOKENS_BYTES);
    ck_assert_int_eq(c.vocabulary, 256);
    ck_assert_int_eq(corpus_token(&c, 0), 255);
    ck_assert_int_eq(corpus_token(&c, 1), 1);
    ck_assert_int_eq(corpus_token(&c, 2), 'A');
}
END_TEST

START_TEST(what_is_no_utf_8_is_refused_with_its_byte) {
    static const struct {
        const char *text;
        int byte, found;
    } bad[] = {
        {"ab\x80", 2, 0x80},            // continues nothing
        {"ab\xc3", 2, 0xc3},            // cut off
        {"\xc3(", 0, 0xc3},             // does not continue
        {"\xc0\xaf", 0, 0xc0},          // longer than need be
        {"\xe0\x80\xaf", 0, 0xe0},      // likewise
        {"\xed\xa0\x80", 0, 0xed},      // a surrogate
        {"\xf4\x90\x80\x80", 0, 0xf4},  // beyond Unicode
        {"\xff", 0, 0xff},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Corpus c;
        char want[100];
        snprintf(want, sizeof want, "x: byte %d: expected UTF-8, found 0x%02x", bad[i].byte,
                 (unsigned)bad[i].found);
        ck_assert_fails(
            corpus_from(&c, &arena, bad[i].text, strlen(bad[i].text), "x", TOKENS_CHARACTERS),
            ERR_FORMAT, want);
    }
}
END_TEST

START_TEST(an_empty_file_is_no_text) {
    Corpus c;
    ck_assert_fails(corpus_read(&c, &arena, write_file("", 0), TOKENS_BYTES), ERR_FORMAT,
                    "expected a text, found an empty file");
}
END_TEST

// --- windows

// 0 1 2 ... 9 0 1 ...
static Corpus counting(int64_t length) {
    char *text = ARENA_NEW(&arena, char, length);
    ck_assert_ptr_nonnull(text);
    for (int64_t i = 0; i < length; i++) text[i] = (char)(i % 251);
    Corpus c;
    ck_assert_ok(corpus_from(&c, &arena, text, (size_t)length, "x", TOKENS_BYTES));
    return c;
}

START_TEST(windows_of_an_epoch_lie_behind_each_other_and_labels_are_the_next_tokens) {
    Corpus c = counting(1000);
    int32_t x[10], y[10], first = -1;
    ck_assert_ok(corpus_cut(&c, 10, 0.25, "x"));
    ck_assert_int_eq(c.train_length, 750);
    ck_assert_int_eq(c.train_windows, 73);
    ck_assert_int_eq(c.test_windows, 24);
    for (int64_t row = 0; row < c.train_windows; row++) {
        corpus_window(&c, 5, 2, row, x, y);
        if (row == 0) first = x[0];
        for (int i = 0; i < 10; i++) {
            ck_assert_int_eq(x[i], (first + row * 10 + i) % 251);
            ck_assert_int_eq(y[i], (first + row * 10 + i + 1) % 251);
        }
    }
    ck_assert_int_lt(first, 10);
    for (int64_t row = 0; row < c.test_windows; row++) {
        corpus_window(&c, 5, 2, c.train_windows + row, x, NULL);
        ck_assert_int_eq(x[0], (750 + row * 10) % 251);
    }
}
END_TEST

// However long text and window are, no window that trains reads a token that tests, or the other
// way round, and none reads beyond the end.
START_TEST(no_window_leaves_its_part) {
    for (int64_t length = 2; length < 80; length++)
        for (int64_t window = 1; window < 12; window++) {
            Corpus c = counting(length);
            if (corpus_cut(&c, window, 0.3, "x") != OK) {
                ck_assert(c.train_length <= window || length - c.train_length <= window);
                continue;
            }
            ck_assert_int_ge(c.train_windows, 1);
            for (int64_t epoch = 0; epoch < 20; epoch++) {
                int32_t x[12], y[12];
                corpus_window(&c, 1, epoch, 0, x, y);
                ck_assert_int_lt(x[0], window);
                corpus_window(&c, 1, epoch, c.train_windows - 1, x, y);
                ck_assert_int_lt(y[window - 1], c.train_length);
            }
            for (int64_t row = 0; row < c.test_windows; row++) {
                int32_t x[12], y[12];
                corpus_window(&c, 1, 0, c.train_windows + row, x, y);
                ck_assert_int_ge(x[0], c.train_length);
                ck_assert_int_lt(y[window - 1], length);
            }
        }
}
END_TEST

START_TEST(where_windows_begin_depends_on_seed_and_epoch_alone) {
    Corpus c = counting(5000);
    int32_t x[50];
    int begins[4] = {0}, seen[50] = {0}, different = 0;
    ck_assert_ok(corpus_cut(&c, 50, 0.1, "x"));
    for (int i = 0; i < 4; i++) {
        corpus_window(&c, i < 2 ? 1 : 2, i % 2, 0, x, NULL);
        begins[i] = x[0];
        corpus_window(&c, i < 2 ? 1 : 2, i % 2, 0, x, NULL);
        ck_assert_int_eq(begins[i], x[0]);
    }
    ck_assert_int_ne(begins[0], begins[1]);
    ck_assert_int_ne(begins[0], begins[2]);
    for (int epoch = 0; epoch < 400; epoch++) {
        corpus_window(&c, 1, epoch, 0, x, NULL);
        different += !seen[x[0]]++;
    }
    ck_assert_int_eq(different, 50);
}
END_TEST

START_TEST(a_text_without_a_whole_window_is_refused_with_both_lengths) {
    Corpus c = counting(100);
    ck_assert_fails(corpus_cut(&c, 90, 0.15, "x"), ERR_USAGE,
                    "x: a window of 90 tokens and the one after it need 91, but 85 of its 100 "
                    "tokens train");
    ck_assert_fails(corpus_cut(&c, 84, 0.15, "x"), ERR_USAGE,
                    "x: of its 100 tokens 15 test, and a window of 84 needs one more than it has");
    ck_assert_ok(corpus_cut(&c, 84, 0, "x"));
    ck_assert_int_eq(c.train_windows, 1);
    ck_assert_int_eq(c.test_windows, 0);
    ck_assert_fails(corpus_cut(&c, 10, 1, "x"), ERR_USAGE, "--test-fraction");
}
END_TEST

// --- as a data set

START_TEST(a_file_is_a_data_set_of_windows) {
    Dataset d;
    Split split;
    char spec[2100];
    int32_t x[8], y[8];
    snprintf(spec, sizeof spec, "text:%s", write_file("abcabcabcabcabcabcabc", 21));
    ck_assert_ok(dataset_read(&d, &arena, spec));
    ck_assert(dataset_is_text(&d));
    ck_assert_ok(dataset_check_labels(&d, 3, "model x"));
    ck_assert_ok(dataset_cut(&d, 4, 0.25));
    ck_assert_ok(dataset_split(&split, &arena, &d, 0.25, 1));
    ck_assert_int_eq(split.train_count, 2);
    ck_assert_int_eq(split.test_count, 1);
    dataset_gather(&d, (int32_t[]){2, 0}, 2, DTYPE_I32, (DatasetTime){1, 0}, x, y);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(x[i], (16 + i) % 3);
        ck_assert_int_eq(y[i], (17 + i) % 3);
        ck_assert_int_eq(y[4 + i], (x[4 + i] + 1) % 3);
    }
    dataset_finish(&d);
}
END_TEST

START_TEST(a_model_that_knows_too_few_tokens_is_told_the_first_it_does_not) {
    Dataset d;
    char spec[2100];
    snprintf(spec, sizeof spec, "text:%s", write_file("aabb\ncc", 7));
    ck_assert_ok(dataset_read(&d, &arena, spec));
    ck_assert_fails(dataset_check_labels(&d, 3, "model m"), ERR_SHAPE,
                    "token 5: expected one of 0 to 2 (model m has a vocabulary of 3), found 3 "
                    "('c'); the text has 4 different tokens");
    dataset_finish(&d);
    snprintf(spec, sizeof spec, "text:%s,tokens=bytes", write_file("aabb\ncc", 7));
    ck_assert_ok(dataset_read(&d, &arena, spec));
    ck_assert_fails(dataset_check_labels(&d, 98, "model m"), ERR_SHAPE,
                    "token 2: expected one of 0 to 97");
    ck_assert_ok(dataset_check_labels(&d, 256, "model m"));
    dataset_finish(&d);
}
END_TEST

START_TEST(a_text_that_cannot_be_had_is_refused) {
    Dataset d;
    ck_assert_fails(dataset_read(&d, &arena, "text:/nowhere"), ERR_INPUT,
                    "/nowhere: No such file or directory");
    ck_assert_fails(dataset_read(&d, &arena, "text:x,tokens=words"), ERR_USAGE,
                    "tokens are characters or bytes, not \"words\"");
    ck_assert_fails(dataset_read(&d, &arena, "text:count=0"), ERR_USAGE,
                    "--data text: count must be 1");
    ck_assert_fails(dataset_read(&d, &arena, "text:count=5,sed=1"), ERR_USAGE,
                    "--data text: unknown parameter 'sed', did you mean seed");
}
END_TEST

// The number was computed by Python's zlib from what gcc -O0, gcc -O3 and clang -ffast-math write.
START_TEST(the_built_in_text_has_the_same_bytes_everywhere) {
    static char text[SENTENCES_COUNT], few[1000];
    sentences_write(text, sizeof text, SENTENCES_SEED);
    ck_assert_uint_eq(crc32(0, (const Bytef *)text, sizeof text), 0xfb6ecaff);
    sentences_write(few, sizeof few, SENTENCES_SEED);
    ck_assert_mem_eq(text, few, sizeof few);
    sentences_write(few, sizeof few, 2);
    ck_assert_mem_ne(text, few, sizeof few);
    Dataset d;
    ck_assert_ok(dataset_read(&d, &arena, "text"));
    ck_assert_str_eq(d.source, "text:count=200000,seed=1");
    ck_assert_int_le(d.text.vocabulary, 65);
    ck_assert_int_eq(d.text.length, SENTENCES_COUNT);
}
END_TEST

// What can be learned is true of every sentence.
START_TEST(sums_are_right_and_articles_fit) {
    static char text[SENTENCES_COUNT + 1];
    static const char *const numbers[] = {"zero", "one",    "two",   "three", "four",
                                          "five", "six",    "seven", "eight", "nine",
                                          "ten",  "eleven", "twelve"};
    int sums = 0;
    sentences_write(text, SENTENCES_COUNT, 3);
    for (const char *at = text; (at = strstr(at, " counted: ")); at++) {
        char word[3][16];
        int value[3] = {-1, -1, -1};
        if (sscanf(at, " counted: %15s and %15s are %15[a-z].", word[0], word[1], word[2]) < 3)
            break;  // the end of the text
        for (int k = 0; k < 3; k++)
            for (int n = 0; n < 13; n++)
                if (!strcmp(word[k], numbers[n])) value[k] = n;
        ck_assert_int_ge(value[0], 0);
        ck_assert_int_ge(value[1], 0);
        if (strlen(at) > 60) ck_assert_int_eq(value[0] + value[1], value[2]);
        sums++;
    }
    ck_assert_int_gt(sums, 300);
    ck_assert_ptr_null(strstr(text, " a apple"));
    ck_assert_ptr_nonnull(strstr(text, " an apple"));
}
END_TEST

SUITE("corpus", characters_are_numbered_in_the_order_of_their_code_points,
      a_character_of_several_bytes_is_one_token, bytes_are_themselves,
      what_is_no_utf_8_is_refused_with_its_byte, an_empty_file_is_no_text,
      windows_of_an_epoch_lie_behind_each_other_and_labels_are_the_next_tokens,
      no_window_leaves_its_part, where_windows_begin_depends_on_seed_and_epoch_alone,
      a_text_without_a_whole_window_is_refused_with_both_lengths, a_file_is_a_data_set_of_windows,
      a_model_that_knows_too_few_tokens_is_told_the_first_it_does_not,
      a_text_that_cannot_be_had_is_refused, the_built_in_text_has_the_same_bytes_everywhere,
      sums_are_right_and_articles_fit)
