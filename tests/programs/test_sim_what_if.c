// SPDX-License-Identifier: MIT
// sim --what-if: a column is what the changed command line or platform gives by itself, and the
// parts of a step sum to its difference.
#include "tests/support/command.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Command it;

enum { COLUMNS = 3, LINE = 512 };

// The numbers of a row; how many.
static int read_row(double out[COLUMNS], const char *name) {
    char start[64];
    int count = 0;
    snprintf(start, sizeof start, "\n%s ", name);
    const char *table = strstr(it.out, "\nwhat if: ");
    ck_assert_ptr_nonnull(table);
    const char *at = strstr(table, start);
    if (!at) return 0;
    at += strlen(start) - 1;
    while (count < COLUMNS) {
        char *end;
        while (*at == ' ') at++;
        if (*at == '\n') break;
        out[count++] = strtod(at, &end);
        at = end;
    }
    return count;
}

// The step that the options give alone, in milliseconds.
static double step_of(const char *options) {
    char step[64] = "";
    ck_assert_int_eq(command_run(&it, "sim %s --point --csv | tail -1 | cut -d, -f4", options), 0);
    snprintf(step, sizeof step, "%.60s", it.out);
    command_finish(&it);
    return strtod(step, NULL);
}

static void check_column(const char *options, const char *change, const char *as) {
    double step[COLUMNS], now = step_of(options), then = step_of(as);
    ck_assert_int_eq(command_run(&it, "sim %s --point --what-if %s", options, change), 0);
    ck_assert_int_eq(read_row(step, "step"), 2);
    ck_assert_msg(fabs(step[0] - now) < 6e-5 && fabs(step[1] - then) < 6e-5,
                  "%s with %s: %g and %g, not %g and %g", options, change, step[0], step[1], now,
                  then);
    ck_assert(fabs(now - then) > 1e-3);
    command_finish(&it);
}

START_TEST(a_column_is_what_the_changed_line_gives) {
    check_column("--gpus 8", "dtype=bf16", "--gpus 8 --dtype bf16");
    check_column("--gpus 8", "overlap=no", "--gpus 8 --no-overlap");
    check_column("--gpus 8", "bucket-kib=4,32", "--gpus 8 --bucket-kib 4,32");
    check_column("--gpus 4 --link 100MB/s,50us", "bandwidth=x2", "--gpus 4 --link 200MB/s,50us");
    check_column("--gpus 4 --link 100MB/s,50us", "latency=/2", "--gpus 4 --link 100MB/s,25us");
}
END_TEST

START_TEST(factors_change_what_they_name) {
    static const char *const parts[] = {"work", "launch", "exposed", "exposed", "work"};
    static const char *const factors[] = {"flops=x2", "launch=/2", "latency=x10", "bandwidth=/50",
                                          "memory=/2"};
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        double part[COLUMNS];
        ck_assert_int_eq(command_run(&it, "sim --gpus 8 --point --what-if %s", factors[i]), 0);
        ck_assert_int_eq(read_row(part, parts[i]), 2);
        ck_assert_msg(i < 2 ? part[1] < 0 : part[1] > 0, "%s: %s changes by %g", factors[i],
                      parts[i], part[1]);
        command_finish(&it);
    }
}
END_TEST

// 0.0015 was 0.002 once: factors were rounded to thousandths. Nearly all of such a step is work.
START_TEST(small_factors_are_not_rounded) {
    double step[COLUMNS];
    ck_assert_int_eq(
        command_run(&it, "sim --gpus 1 --point --what-if flops=x0.0015,flops=x0.003"), 0);
    ck_assert_int_eq(read_row(step, "step"), 3);
    ck_assert_double_eq_tol(step[1] / step[2], 2, 0.01);
    command_finish(&it);
}
END_TEST

START_TEST(differences_of_parts_sum_to_that_of_the_step) {
    static const char *const parts[] = {"work",   "launch",  "contended", "exposed",
                                        "bubble", "waiting", "host",      "idle"};
    double sums[2] = {0}, row[COLUMNS], step[COLUMNS];
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --point --what-if overlap=no,bandwidth=/10"),
                     0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (read_row(row, parts[i])) {
            sums[0] += row[1];
            sums[1] += row[2];
        }
    ck_assert_int_eq(read_row(row, "difference"), 2);
    ck_assert_int_eq(read_row(step, "step"), 3);
    for (int i = 0; i < 2; i++) {
        ck_assert(fabs(sums[i] - row[i]) < 5e-4);
        ck_assert(fabs(step[i + 1] - step[0] - row[i]) < 2e-4);
        ck_assert(row[i] > 1e-3);
    }
    command_finish(&it);
}
END_TEST

// What the words print, but for the title of the column.
static void table_of(char *out, size_t size, const char *words) {
    ck_assert_int_eq(command_run(&it, "sim --model mlp %s", words), 0);
    const char *table = strstr(it.out, "\nstep ");
    ck_assert_ptr_nonnull(table);
    size_t length = 0;
    for (; *table && length + 1 < size; table++)
        if (*table != ' ') out[length++] = *table;
    out[length] = '\0';
    command_finish(&it);
}

START_TEST(one_number_stands_for_a_pair_and_devices_are_taken_alone) {
    static char pair[2048], one[2048];
    table_of(pair, sizeof pair, "--gpus 8 --point --what-if bucket-kib=16,16");
    table_of(one, sizeof one, "--gpus 8 --what-if bucket-kib=16");
    ck_assert_str_eq(one, pair);
    table_of(one, sizeof one, "--gpus 8 --what-if bucket-kib=1024");
    ck_assert_str_ne(one, pair);
}
END_TEST

static void refuses(const char *line, const char *why) {
    ck_assert_int_eq(command_run(&it, "sim %s", line), 2);
    ck_assert_msg(strstr(it.err, why) != NULL, "\"%s\" lacks \"%s\"", it.err, why);
    command_finish(&it);
}

START_TEST(what_cannot_be_changed_is_refused) {
    refuses("--gpus 4,8 --what-if flops=x2", "--what-if is of one number of devices");
    refuses("--ranks 2 --what-if flops=x2", "give --gpus one");
    refuses("--gpus 8 --what-if bucket-kib=x", "--bucket-kib");
    refuses("--gpus 8 --point --what-if flops", "expected KEY=VALUE");
    refuses("--gpus 8 --point --what-if flops=2", "give a factor, xN or /N");
    refuses("--gpus 8 --point --what-if flops=x0", "with N from 0.001 to 1000");
    refuses("--gpus 8 --point --what-if flops=x0x10", "such as flops=x2");
    refuses("--gpus 8 --point --what-if launch=x0", "platform, eager, ahead, wait, graph");
    refuses("--gpus 8 --point --what-if 'flops=x 2'", "such as flops=x2");
    refuses("--gpus 8 --point --what-if speed=x2", "a factor changes bandwidth, latency");
    refuses("--gpus 8 --point --what-if json=yes", "expected an option of the job");
    refuses("--gpus 8 --point --what-if dtype=f8", "\"f8\" is not one of");
    refuses("--gpus 8 --point --csv --what-if flops=x2", "leave out --csv");
    refuses("--gpus 8 --point --json --critical-path --what-if flops=x2", "give one");
}
END_TEST

// The line as it is, then each change, in the form of --sweep.
START_TEST(programs_read_the_columns_as_points) {
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --point --json --what-if dtype=bf16,flops=x2"),
                     0);
    json_error_t error;
    json_t *all = json_loads(it.out, 0, &error), *rows = json_object_get(all, "points");
    ck_assert_msg(json_array_size(rows) == 3, "%s", it.out);
    static const char *const as[] = {"--gpus 8", "--gpus 8 --dtype bf16"};
    command_finish(&it);
    for (size_t i = 0; i < 2; i++) {
        json_t *step = json_object_get(json_array_get(rows, i), "step");
        double ms = json_number_value(json_object_get(step, "step_ms")), alone = step_of(as[i]);
        ck_assert_msg(fabs(ms - alone) < 6e-5, "%s: %g, not %g", as[i], ms, alone);
    }
    json_t *values = json_object_get(json_array_get(rows, 2), "values");
    ck_assert_str_eq(json_string_value(json_object_get(values, "flops")), "x2");
    ck_assert_uint_eq(json_object_size(json_object_get(json_array_get(rows, 0), "values")), 0);
    json_decref(all);
}
END_TEST

SUITE("sim_what_if", programs_read_the_columns_as_points, a_column_is_what_the_changed_line_gives,
      factors_change_what_they_name, small_factors_are_not_rounded,
      differences_of_parts_sum_to_that_of_the_step,
      one_number_stands_for_a_pair_and_devices_are_taken_alone, what_cannot_be_changed_is_refused)
