// SPDX-License-Identifier: MIT
#include "sim/ledger.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/testing.h"

static char path[64];

static void make_path(void) {
    snprintf(path, sizeof path, "/tmp/tandem-ledger-%d.jsonl", (int)getpid());
    unlink(path);
}

static void write_text(const char *text) {
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static Prediction prediction(uint64_t inputs) {
    static const char *const argv[] = {"sim", "--gpus", "8"};
    return (Prediction){.report = {.run = {.model = "net",
                                           .device = "timed",
                                           .ranks = 8,
                                           .batch = 512,
                                           .argc = 3,
                                           .argv = argv}},
                        .step_ms = 2,
                        .inputs = inputs};
}

START_TEST(what_is_appended_is_found_by_its_inputs) {
    char before[CLOCK_TEXT];
    LedgerEntry found;
    make_path();
    clock_print_utc(before, clock_utc_ns());
    for (uint64_t i = 1; i <= 3; i++) {
        Prediction p = prediction(i << 60);
        ck_assert_ok(ledger_append(path, &p, "dgx-a100", 3, p.report.run.argv));
    }
    ck_assert_ok(ledger_find(&found, path, UINT64_C(2) << 60));
    ck_assert_int_ge(strcmp(found.made, before), 0);
    ck_assert_ok(ledger_find(&found, path, 4));
    ck_assert_str_eq(found.made, "");
    unlink(path);
}
END_TEST

START_TEST(of_equal_predictions_the_first_counts) {
    LedgerEntry found;
    make_path();
    write_text("{\"schema\":\"tandem.prediction.v1\",\"made\":\"2026-02-01T00:00:00.000Z\","
               "\"inputs\":\"00000000000000ff\"}\n\n"
               "{\"schema\":\"tandem.prediction.v1\",\"made\":\"2026-01-01T00:00:00.000Z\","
               "\"inputs\":\"00000000000000ff\"}\n"
               "{\"schema\":\"another.v1\",\"made\":\"2025-01-01T00:00:00.000Z\","
               "\"inputs\":\"00000000000000ff\"}\n");
    ck_assert_ok(ledger_find(&found, path, 0xff));
    ck_assert_str_eq(found.made, "2026-01-01T00:00:00.000Z");
    unlink(path);
}
END_TEST

#define LINE(inputs)                                                              \
    "{\"schema\":\"tandem.prediction.v1\",\"made\":\"2026-01-01T00:00:00.000Z\"," \
    "\"inputs\":\"" inputs "\"}"

START_TEST(a_prediction_that_lacks_a_member_is_named) {
    LedgerEntry found;
    make_path();
    write_text(LINE("1") "\n{\"schema\":\"tandem.prediction.v1\",\"made\":7,\"inputs\":\"1\"}\n");
    ck_assert_fails(ledger_find(&found, path, 1), ERR_FORMAT, ".jsonl:2: made: expected a string");
    write_text("{\"schema\":\"tandem.prediction.v1\",\"made\":\"\\u001b[2J\","
               "\"inputs\":\"0000000000000001\"}\n");
    ck_assert_fails(ledger_find(&found, path, 1), ERR_FORMAT, "1: made: expected a time such as");
    unlink(path);
}
END_TEST

// A full disk or a crash cuts a line, or leaves zero bytes; nobody else is lost for that.
START_TEST(a_line_that_was_cut_off_is_skipped_and_counted) {
    LedgerEntry found;
    make_path();
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(LINE("0000000000000007") "\n{\"schema\":\"tandem.pred\n", f);
    fwrite("\0\0\0\n", 1, 4, f);
    fputs("7\n" LINE("0000000000000008") "\n{\"sch", f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_ok(ledger_find(&found, path, 8));
    ck_assert_str_eq(found.made, "2026-01-01T00:00:00.000Z");
    ck_assert_int_eq(found.skipped, 4);
    ck_assert_int_eq(found.first_skipped_line, 2);
    ck_assert_ok(ledger_find(&found, path, 7));
    ck_assert_str_eq(found.made, "2026-01-01T00:00:00.000Z");
    unlink(path);
}
END_TEST

START_TEST(a_prediction_begins_a_line_behind_one_that_was_cut_off) {
    LedgerEntry found;
    Prediction p = prediction(9);
    make_path();
    write_text("{\"schema\":\"tandem.prediction.v1\"");
    ck_assert_ok(ledger_append(path, &p, "dgx-a100", 3, p.report.run.argv));
    p.inputs = 10;
    ck_assert_ok(ledger_append(path, &p, "dgx-a100", 3, p.report.run.argv));
    for (uint64_t inputs = 9; inputs <= 10; inputs++) {
        ck_assert_ok(ledger_find(&found, path, inputs));
        ck_assert_str_ne(found.made, "");
        ck_assert_int_eq(found.skipped, 1);
        ck_assert_int_eq(found.first_skipped_line, 1);
    }
    unlink(path);
}
END_TEST

START_TEST(lines_of_other_schemas_need_no_member_of_ours) {
    LedgerEntry found;
    make_path();
    write_text("{\"schema\":\"tandem.other.v9\"}\n{\"schema\":9,\"inputs\":[]}\n{}\n" LINE(
        "0000000000000003") "\n");
    ck_assert_ok(ledger_find(&found, path, 3));
    ck_assert_str_eq(found.made, "2026-01-01T00:00:00.000Z");
    ck_assert_int_eq(found.skipped, 0);
    unlink(path);
}
END_TEST

// Neither /dev/zero nor a pipe is read; a line of 5 MiB is no prediction.
START_TEST(reading_a_ledger_is_bounded) {
    LedgerEntry found;
    ck_assert_ok(ledger_find(&found, "/dev/zero", 3));
    ck_assert_str_eq(found.made, "");
    make_path();
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 5 << 20; i++) putc('[', f);
    fputs("\n" LINE("0000000000000003"), f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_ok(ledger_find(&found, path, 3));
    ck_assert_str_eq(found.made, "2026-01-01T00:00:00.000Z");
    ck_assert_int_eq(found.skipped, 1);
    unlink(path);
}
END_TEST

START_TEST(words_that_are_not_utf8_are_kept_without_them) {
    LedgerEntry found;
    static const char *const argv[] = {"sim", "--trace", "caf\xe9"};
    Prediction p = prediction(5);
    p.report.run.model = "caf\xe9.model";
    make_path();
    ck_assert_ok(ledger_append(path, &p, "dgx-a100", 3, argv));
    ck_assert_ok(ledger_find(&found, path, 5));
    ck_assert_str_ne(found.made, "");
    unlink(path);
}
END_TEST

START_TEST(no_file_holds_nothing_and_no_place_is_an_error) {
    LedgerEntry found = {.made = "x"};
    Prediction p = prediction(1);
    ck_assert_ok(ledger_find(&found, "/nowhere/predictions.jsonl", 1));
    ck_assert_str_eq(found.made, "");
    ck_assert_fails(ledger_append("/nowhere/predictions.jsonl", &p, "x", 3, p.report.run.argv),
                    ERR_IO, "give --predictions FILE or none");
    ck_assert_fails(ledger_find(&found, "/", 1), ERR_IO, "/: Is a directory");
}
END_TEST

SUITE("ledger", what_is_appended_is_found_by_its_inputs, of_equal_predictions_the_first_counts,
      words_that_are_not_utf8_are_kept_without_them, a_prediction_that_lacks_a_member_is_named,
      a_line_that_was_cut_off_is_skipped_and_counted,
      a_prediction_begins_a_line_behind_one_that_was_cut_off,
      lines_of_other_schemas_need_no_member_of_ours, reading_a_ledger_is_bounded,
      no_file_holds_nothing_and_no_place_is_an_error)
