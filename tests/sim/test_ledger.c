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
    char made[CLOCK_TEXT], before[CLOCK_TEXT];
    make_path();
    clock_print_utc(before, clock_utc_ns());
    for (uint64_t i = 1; i <= 3; i++) {
        Prediction p = prediction(i << 60);
        ck_assert_ok(ledger_append(path, &p, "dgx-a100", 3, p.report.run.argv));
    }
    ck_assert_ok(ledger_find(made, path, UINT64_C(2) << 60));
    ck_assert_int_ge(strcmp(made, before), 0);
    ck_assert_ok(ledger_find(made, path, 4));
    ck_assert_str_eq(made, "");
    unlink(path);
}
END_TEST

START_TEST(of_equal_predictions_the_first_counts) {
    char made[CLOCK_TEXT];
    make_path();
    write_text("{\"schema\":\"tandem.prediction.v1\",\"made\":\"2026-02-01T00:00:00.000Z\","
               "\"inputs\":\"00000000000000ff\"}\n\n"
               "{\"schema\":\"tandem.prediction.v1\",\"made\":\"2026-01-01T00:00:00.000Z\","
               "\"inputs\":\"00000000000000ff\"}\n"
               "{\"schema\":\"another.v1\",\"made\":\"2025-01-01T00:00:00.000Z\","
               "\"inputs\":\"00000000000000ff\"}\n");
    ck_assert_ok(ledger_find(made, path, 0xff));
    ck_assert_str_eq(made, "2026-01-01T00:00:00.000Z");
    unlink(path);
}
END_TEST

START_TEST(a_line_that_is_no_prediction_is_named) {
    char made[CLOCK_TEXT];
    make_path();
    write_text("{\"schema\":\"tandem.prediction.v1\",\"made\":\"x\",\"inputs\":\"1\"}\n{\"sch\n");
    ck_assert_fails(ledger_find(made, path, 1), ERR_FORMAT, ".jsonl:2: expected a prediction");
    write_text("{\"schema\":\"tandem.prediction.v1\",\"made\":7,\"inputs\":\"1\"}\n");
    ck_assert_fails(ledger_find(made, path, 1), ERR_FORMAT, "made: expected a string");
    unlink(path);
}
END_TEST

START_TEST(words_that_are_not_utf8_are_kept_without_them) {
    char made[CLOCK_TEXT];
    static const char *const argv[] = {"sim", "--trace", "caf\xe9"};
    Prediction p = prediction(5);
    p.report.run.model = "caf\xe9.model";
    make_path();
    ck_assert_ok(ledger_append(path, &p, "dgx-a100", 3, argv));
    ck_assert_ok(ledger_find(made, path, 5));
    ck_assert_str_ne(made, "");
    unlink(path);
}
END_TEST

START_TEST(no_file_holds_nothing_and_no_place_is_an_error) {
    char made[CLOCK_TEXT] = "x";
    Prediction p = prediction(1);
    ck_assert_ok(ledger_find(made, "/nowhere/predictions.jsonl", 1));
    ck_assert_str_eq(made, "");
    ck_assert_fails(ledger_append("/nowhere/predictions.jsonl", &p, "x", 3, p.report.run.argv),
                    ERR_IO, "give --predictions FILE or none");
    ck_assert_fails(ledger_find(made, "/", 1), ERR_IO, "/: Is a directory");
}
END_TEST

SUITE("ledger", what_is_appended_is_found_by_its_inputs, of_equal_predictions_the_first_counts,
      words_that_are_not_utf8_are_kept_without_them, a_line_that_is_no_prediction_is_named,
      no_file_holds_nothing_and_no_place_is_an_error)
