// SPDX-License-Identifier: MIT
// What learners type: quantities with units, places, orders, curves, intervals; and what is none.
#include "lessons/engine/answer.h"
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

static double value_of(AnswerUnit unit, const char *text) {
    Answer a = {0};
    ck_assert_ok(answer_parse(&a, &(AnswerShape){ANSWER_VALUE, unit, 0}, text));
    ck_assert_int_eq(a.count, 1);
    return a.values[0];
}

START_TEST(quantities_are_read_with_their_units) {
    ck_assert_double_eq(value_of(UNIT_NUMBER, " -3e-4 "), -3e-4);
    ck_assert_double_eq(value_of(UNIT_NUMBER, "3/8"), 0.375);
    ck_assert_double_eq(value_of(UNIT_COUNT, "3k"), 3000);
    ck_assert_double_eq(value_of(UNIT_BYTES, "150 MB"), 150e6);
    ck_assert_double_eq(value_of(UNIT_BYTES, "143MiB"), 143.0 * 1048576);
    ck_assert_double_eq(value_of(UNIT_BYTES, "1.5e8"), 150e6);
    ck_assert_double_eq(value_of(UNIT_SECONDS, "2.5 ms"), 0.0025);
    ck_assert_double_eq(value_of(UNIT_RATE, "25 GB/s"), 25e9);
    ck_assert_double_eq(value_of(UNIT_SHARE, "12 %"), 0.12);
    ck_assert_double_eq(value_of(UNIT_SHARE, "0.12"), 0.12);
    ck_assert_double_eq(value_of(UNIT_TIMES, "3.5x"), 3.5);
}
END_TEST

// 1 ． 5 with a full stop of full width, and a percent sign of full width.
START_TEST(characters_of_full_width_are_read) {
    ck_assert_double_eq(value_of(UNIT_NUMBER, "１．５"), 1.5);
    ck_assert_double_eq(value_of(UNIT_SHARE, "１２　％"), 0.12);
    Answer a;
    ck_assert_ok(answer_parse(&a, &(AnswerShape){ANSWER_CURVE, UNIT_NUMBER, 3}, "1，2、3"));
    ck_assert_double_eq(a.values[2], 3);
}
END_TEST

static void check_refused(AnswerShape shape, const char *text, const char *part) {
    Answer a = {{7}, 1};
    ck_assert_fails(answer_parse(&a, &shape, text), ERR_USAGE, part);
    ck_assert_double_eq(a.values[0], 7);  // left alone
}

START_TEST(what_is_no_answer_is_said_with_what_is_expected) {
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_NUMBER, 0}, "much", "0.25, -3e-4 or 3/8");
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_NUMBER, 0}, "5 MB", "a number");
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_NUMBER, 0}, "1/0", "a number");
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_NUMBER, 0}, "inf", "a number");
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_COUNT, 0}, "1.5", "a whole number");
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_BYTES, 0}, "3 ms", "an amount of data");
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_BYTES, 0}, "1.8", "an amount of data");
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_SECONDS, 0}, "3", "a time with its unit");
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_SECONDS, 0}, "3 MB", "a time with its unit");
    check_refused((AnswerShape){ANSWER_VALUE, UNIT_NUMBER, 0}, "", "a number");
    check_refused((AnswerShape){ANSWER_CHOICE, UNIT_NUMBER, 3}, "4", "numbers 1 to 3");
    check_refused((AnswerShape){ANSWER_CHOICE, UNIT_NUMBER, 3}, "0", "numbers 1 to 3");
    check_refused((AnswerShape){ANSWER_CURVE, UNIT_TIMES, 3}, "1 2", "3 values");
    check_refused((AnswerShape){ANSWER_ORDER, UNIT_NUMBER, 3}, "1 2 2", "comes twice");
    check_refused((AnswerShape){ANSWER_ORDER, UNIT_NUMBER, 3}, "1 2", "2 of 3");
    check_refused((AnswerShape){ANSWER_ORDER, UNIT_NUMBER, 3}, "1 2 3 1", "only 3");
    check_refused((AnswerShape){ANSWER_INTERVAL, UNIT_NUMBER, 0}, "3 2", "lower end");
}
END_TEST

START_TEST(lists_are_cut_at_commas_or_blanks_but_not_before_units) {
    Answer a;
    AnswerShape curve = {ANSWER_CURVE, UNIT_SECONDS, 3};
    ck_assert_ok(answer_parse(&a, &curve, "1 ms 2 ms 3 s"));
    ck_assert_double_eq(a.values[1], 0.002);
    ck_assert_double_eq(a.values[2], 3);
    ck_assert_ok(answer_parse(&a, &curve, "1 ms, 2us,3 s"));
    ck_assert_double_eq(a.values[1], 2e-6);
    ck_assert_ok(answer_parse(&a, &(AnswerShape){ANSWER_ORDER, UNIT_NUMBER, 3}, "3 < 1 < 2"));
    ck_assert_double_eq(a.values[0], 2);
    ck_assert_double_eq(a.values[2], 1);
}
END_TEST

// Every form, printed and read again.
START_TEST(what_is_printed_reads_back) {
    static const struct {
        AnswerShape shape;
        Answer answer;
        const char *text;
    } CASES[] = {
        {{ANSWER_VALUE, UNIT_BYTES, 0}, {{3360000}, 1}, "3.36 MB"},
        {{ANSWER_VALUE, UNIT_SECONDS, 0}, {{0.00025}, 1}, "250 us"},
        {{ANSWER_VALUE, UNIT_SHARE, 0}, {{0.125}, 1}, "12.5 %"},
        {{ANSWER_VALUE, UNIT_TIMES, 0}, {{3.5}, 1}, "3.5x"},
        {{ANSWER_CHOICE, UNIT_NUMBER, 3}, {{1}, 1}, "2"},
        {{ANSWER_ORDER, UNIT_NUMBER, 3}, {{2, 0, 1}, 3}, "3 1 2"},
        {{ANSWER_CURVE, UNIT_NUMBER, 2}, {{-0.5, 20}, 2}, "-0.5, 20"},
        {{ANSWER_INTERVAL, UNIT_RATE, 0}, {{1e9, 2.5e9}, 2}, "1 GB/s, 2.5 GB/s"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char text[ANSWER_TEXT];
        Answer read;
        ck_assert_str_eq(answer_print(text, &CASES[i].shape, &CASES[i].answer), CASES[i].text);
        ck_assert_ok(answer_parse(&read, &CASES[i].shape, text));
        for (int k = 0; k < CASES[i].answer.count; k++)
            ck_assert_double_eq_tol(read.values[k], CASES[i].answer.values[k], 1e-12);
    }
}
END_TEST

static const char *shown(AnswerUnit unit, int digits, double value) {
    static char text[64];
    return answer_print_value(text, sizeof text, unit, digits, value);
}

START_TEST(a_unit_grows_where_rounding_reaches_the_next) {
    ck_assert_str_eq(shown(UNIT_BYTES, 3, 999600), "1 MB");
    ck_assert_str_eq(shown(UNIT_BYTES, 3, 999400), "999 kB");
    ck_assert_str_eq(shown(UNIT_SECONDS, 3, 0), "0 s");
    ck_assert_str_eq(shown(UNIT_BYTES, 3, 0), "0 B");
    ck_assert_str_eq(shown(UNIT_NUMBER, 3, 0.00123456), "0.00123");
    ck_assert_str_eq(shown(UNIT_NUMBER, 3, 1234567), "1234567");
    ck_assert_str_eq(shown(UNIT_NUMBER, 3, 1e-7), "1.00e-07");
}
END_TEST

START_TEST(what_is_infinite_has_no_unit) {
    ck_assert_str_eq(shown(UNIT_RATE, 3, HUGE_VAL), "infinity");
    ck_assert_str_eq(shown(UNIT_TIMES, 3, HUGE_VAL), "infinity");
}
END_TEST

SUITE("answer", quantities_are_read_with_their_units, characters_of_full_width_are_read,
      what_is_no_answer_is_said_with_what_is_expected,
      lists_are_cut_at_commas_or_blanks_but_not_before_units, what_is_printed_reads_back,
      a_unit_grows_where_rounding_reaches_the_next, what_is_infinite_has_no_unit)
