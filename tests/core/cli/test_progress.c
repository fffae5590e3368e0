// SPDX-License-Identifier: MIT
// The line that says how far a long piece of work has come, on a terminal and in a log.
#include "core/cli/progress.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

static char *text;  // what was written to memory()
static size_t size;
static FILE *memory(void) { return open_memstream(&text, &size); }

enum { MS = 1000000 };

static const int64_t START_NS = INT64_C(5000) * MS;

static Progress on_terminal(FILE *f, int64_t total) {
    Progress p;
    progress_init(&p, f, "train", "samples", total, false, START_NS);
    p.terminal = true;
    p.ascii = false;  // whatever the locale of who runs the tests
    p.width = 80;
    return p;
}

// 1000 samples in a second, 3000 to go: three more seconds.
START_TEST(a_line_tells_share_count_rate_and_time_left) {
    FILE *f = memory();
    Progress p = on_terminal(f, 4000);
    progress_update(&p, 1000, START_NS + 1000 * MS, "loss 0.31");
    fclose(f);
    ck_assert_str_eq(text,
                     "\rtrain [#-----]  25 % · 1k/4k samples · 1k/s · 0:03 left · loss 0.31\033[K");
    free(text);
}
END_TEST

START_TEST(a_line_is_ascii_where_the_locale_is) {
    FILE *f = memory();
    setenv("LC_ALL", "C", 1);
    Progress p;
    progress_init(&p, f, "train", "samples", 4000, false, START_NS);
    progress_update(&p, 1000, START_NS + 1000 * MS, "loss 0.31");
    fclose(f);
    ck_assert_str_eq(text, "train  25 % | 1k/4k samples | 1k/s | 0:03 left | loss 0.31\n");
    free(text);
}
END_TEST

START_TEST(a_line_without_a_total_tells_count_and_rate) {
    FILE *f = memory();
    Progress p = on_terminal(f, 0);
    progress_update(&p, 1500, START_NS + 1000 * MS, "");
    fclose(f);
    ck_assert_str_eq(text, "\rtrain 1.5k samples · 1.5k/s\033[K");
    free(text);
}
END_TEST

static int count_char(const char *s, char c) {
    int n = 0;
    for (; *s; s++) n += *s == c;
    return n;
}

// Updates every millisecond for a second, the first at 1 ms: shown at 1, 101, …, 901 and the last.
START_TEST(a_terminal_is_rewritten_at_most_ten_times_a_second) {
    FILE *f = memory();
    Progress p = on_terminal(f, 1000);
    for (int i = 1; i <= 1000; i++) progress_update(&p, i, START_NS + (int64_t)i * MS, "");
    progress_update(&p, 1000, START_NS + 1001 * MS, "");
    fclose(f);
    ck_assert_int_eq(count_char(text, '\r'), 11);
    ck_assert_int_eq(count_char(text, '\n'), 0);
    ck_assert_ptr_nonnull(strstr(text, "\rtrain [######] 100 % · 1k/1k samples · 1k/s\033[K"));
    free(text);
}
END_TEST

START_TEST(a_line_is_cut_to_the_width_between_characters) {
    FILE *f = memory();
    Progress p = on_terminal(f, 4000);
    p.width = 23;
    progress_update(&p, 1000, START_NS + 1000 * MS, "");
    fclose(f);
    ck_assert_str_eq(text, "\rtrain [#-----]  25 % ·\033[K");
    free(text);
}
END_TEST

START_TEST(clearing_leaves_the_line_free_once) {
    FILE *f = memory();
    Progress p = on_terminal(f, 0);
    progress_clear(&p);
    progress_update(&p, 1, START_NS, "");
    progress_clear(&p);
    progress_clear(&p);
    fclose(f);
    ck_assert_str_eq(text, "\rtrain 1 samples\033[K\r\033[K");
    free(text);
}
END_TEST

START_TEST(a_log_gets_a_line_for_every_tenth) {
    FILE *f = memory();
    Progress p;
    progress_init(&p, f, "train", "steps", 250, false, START_NS);
    ck_assert(!p.terminal);
    p.ascii = false;
    for (int i = 1; i <= 250; i++) progress_update(&p, i, START_NS + (int64_t)i * 1000 * MS, "");
    progress_clear(&p);
    fclose(f);
    ck_assert_int_eq(count_char(text, '\n'), 10);
    ck_assert_int_eq(count_char(text, '\r'), 0);
    // 25 of 250 at one a second: 225 s left.
    ck_assert_int_eq(strncmp(text, "train  10 % · 25/250 steps · 1/s · 3:45 left\n", 47), 0);
    free(text);
}
END_TEST

static char tenths[4096];

static void add_tenth(void *context, const char *line) {
    size_t used = strlen(tenths);
    snprintf(tenths + used, sizeof tenths - used, "%s%s\n", (const char *)context, line);
}

// Whatever the stream is and gets.
START_TEST(tenths_are_told_apart_from_the_stream) {
    for (int i = 0; i < 3; i++) {
        FILE *f = memory();
        Progress p = on_terminal(f, 100);
        p.terminal = i != 1;
        p.quiet = i == 2;
        p.tenth = add_tenth;
        p.context = (void *)"> ";
        tenths[0] = '\0';
        for (int k = 1; k <= 35; k++) progress_update(&p, k, START_NS + (int64_t)k * 10 * MS, "x");
        fclose(f);
        ck_assert_str_eq(tenths, "> train  10 % · 10/100 samples · 100/s · 0:01 left · x\n"
                                 "> train  20 % · 20/100 samples · 100/s · 0:01 left · x\n"
                                 "> train  30 % · 30/100 samples · 100/s · 0:01 left · x\n");
        ck_assert_int_eq(*text != '\0', i != 2);
        free(text);
    }
}
END_TEST

// 4000 at 2 ms each are 8 s; but 1000 took 1 s, so that 3000 take 3 s more.
START_TEST(what_is_expected_counts_until_something_was_measured) {
    FILE *f = memory();
    Progress p = on_terminal(f, 4000);
    p.expected_ns_per_item = 2 * MS;
    progress_update(&p, 0, START_NS, "");
    progress_update(&p, 0, START_NS + 500 * MS, "");
    progress_update(&p, 1000, START_NS + 1000 * MS, "");
    fclose(f);
    ck_assert_str_eq(text, "\rtrain [------]   0 % · 0/4k samples · 0:08 left\033[K"
                           "\rtrain [------]   0 % · 0/4k samples · 0:08 left\033[K"
                           "\rtrain [#-----]  25 % · 1k/4k samples · 1k/s · 0:03 left\033[K");
    free(text);
}
END_TEST

START_TEST(long_waits_are_told_in_hours) {
    FILE *f = memory();
    Progress p = on_terminal(f, 3724);
    progress_update(&p, 1, START_NS + 1000 * MS, "");
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, "1:02:03 left"));  // 3723 s
    free(text);
}
END_TEST

START_TEST(quiet_is_silent) {
    FILE *f = memory();
    Progress p;
    progress_init(&p, f, "train", "steps", 10, true, START_NS);
    for (int terminal = 0; terminal < 2; terminal++) {
        p.terminal = terminal;
        for (int i = 1; i <= 10; i++) progress_update(&p, i, START_NS + i * 1000 * (int64_t)MS, "");
        progress_clear(&p);
    }
    fclose(f);
    ck_assert_uint_eq(size, 0);
    free(text);
}
END_TEST

// Seven parts of unlike size have no rate worth a word; what is left is said all the same.
START_TEST(parts_of_unlike_size_have_no_rate) {
    FILE *f = memory();
    Progress p = on_terminal(f, 7);
    p.label = "calibrate";
    p.unit = "parts";
    p.uneven = true;
    progress_update(&p, 1, START_NS + 50 * MS, "memory");
    fclose(f);
    ck_assert_str_eq(text, "\rcalibrate [------]  14 % · 1/7 parts · 0:00 left · memory\033[K");
    free(text);
}
END_TEST

SUITE("progress", a_line_tells_share_count_rate_and_time_left, a_line_is_ascii_where_the_locale_is,
      parts_of_unlike_size_have_no_rate, a_line_without_a_total_tells_count_and_rate,
      a_terminal_is_rewritten_at_most_ten_times_a_second,
      a_line_is_cut_to_the_width_between_characters, clearing_leaves_the_line_free_once,
      a_log_gets_a_line_for_every_tenth, tenths_are_told_apart_from_the_stream,
      what_is_expected_counts_until_something_was_measured, long_waits_are_told_in_hours,
      quiet_is_silent)
