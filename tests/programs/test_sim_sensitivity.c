// SPDX-License-Identifier: MIT
// sim --sensitivity: a number's two steps are those of machine files or links that have it so, the
// largest effect is first, and threads change nothing.
#include "tests/support/command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Command it;

enum { NOW = 4, LESS, MORE, FIELDS };  // fields of a row of CSV

static double field(const char *row, int at) {
    for (; at; at--) {
        row = strchr(row, ',');
        ck_assert_ptr_nonnull(row);
        row++;
    }
    return strtod(row, NULL);
}

// The step that the options give alone, in milliseconds; of sim --csv.
static double step_of(const char *options) {
    ck_assert_int_eq(command_run(&it, "sim %s --point --csv | tail -1", options), 0);
    double step = field(it.out, 3);
    command_finish(&it);
    return step;
}

// The row of a number, in the output of the command.
static const char *row_of(const char *name) {
    char start[128];
    snprintf(start, sizeof start, "\ntandem.sensitivity.v1,%s,", name);
    const char *row = strstr(it.out, start);
    ck_assert_msg(row != NULL, "no row of %s in %s", name, it.out);
    return row + 1;
}

START_TEST(a_link_10_percent_slower_is_the_step_on_that_link) {
    double now = step_of("--gpus 4 --link 100MB/s,50us"),
           less = step_of("--gpus 4 --link 90MB/s,50us"),
           longer = step_of("--gpus 4 --link 100MB/s,55us");
    ck_assert_int_eq(command_run(&it, "sim --gpus 4 --link 100MB/s,50us --sensitivity --csv"), 0);
    ck_assert_double_eq(field(row_of("--link bandwidth"), NOW), now);
    ck_assert_double_eq(field(row_of("--link bandwidth"), LESS), less);
    ck_assert_double_eq(field(row_of("--link latency"), MORE), longer);
    ck_assert(less > now && longer > now);
    command_finish(&it);
}
END_TEST

// Lines of machines/dgx-a100.yaml with 10 % more.
START_TEST(a_number_10_percent_more_is_the_step_of_such_a_machine_file) {
    static const struct {
        const char *name, *from, *to;
    } changes[] = {{"NCCL base latency", "base_latency: 20us", "base_latency: 22us"},
                   {"flops", "flops: {f32: 19.5T", "flops: {f32: 21.45T"},
                   {"issue of a launch", "issue: 5us", "issue: 5.5us"},
                   {"gap between kernels", "gap: 0.9us", "gap: 0.99us"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        ck_assert_int_eq(
            command_run(&it,
                        "sed 's/%s/%s/' \"$TANDEM_SOURCE/machines/dgx-a100.yaml\" > m.yaml && sim "
                        "--gpus 16 --point --platform m.yaml --csv | tail -1 && sim --gpus 16 "
                        "--sensitivity --csv",
                        changes[i].from, changes[i].to),
            0);
        double step = field(it.out, 3);
        ck_assert_msg(field(row_of(changes[i].name), MORE) == step, "%s: %.12g, not %.12g",
                      changes[i].name, field(row_of(changes[i].name), MORE), step);
        ck_assert(field(row_of(changes[i].name), NOW) != step);
        command_finish(&it);
    }
}
END_TEST

START_TEST(the_largest_effect_is_first) {
    double before = HUGE_VAL;
    int rows = 0;
    ck_assert_int_eq(command_run(&it, "sim --gpus 16 --sensitivity --csv"), 0);
    for (const char *row = strchr(it.out, '\n') + 1; *row; row = strchr(row, '\n') + 1, rows++) {
        double now = field(row, NOW);
        double effect = fmax(fabs(field(row, LESS) - now), fabs(field(row, MORE) - now));
        ck_assert_double_le(effect, before);
        before = effect;
    }
    ck_assert_int_ge(rows, 12);
    command_finish(&it);
}
END_TEST

// What computes slower with less of it has its '+' on the left, where steps are shorter.
START_TEST(bars_point_to_where_the_step_is_shorter_or_longer) {
    ck_assert_int_eq(command_run(&it, "sim --gpus 16 --sensitivity"), 0);
    ck_assert_int_le(command_columns(it.out), 80);
    const char *flops = strstr(it.out, "\nflops "),
               *latency = strstr(it.out, "\nNCCL base latency ");
    ck_assert(flops && latency);
    ck_assert_ptr_nonnull(strstr(flops, "+|--"));
    ck_assert(strstr(flops, "+|--") < strchr(flops + 1, '\n'));
    ck_assert_ptr_nonnull(strstr(latency, "-|+"));
    ck_assert(strstr(latency, "-|+") < strchr(latency + 1, '\n'));
    ck_assert_ptr_nonnull(strstr(it.out, "\nless than 0.005 %: "));
    command_finish(&it);
}
END_TEST

START_TEST(threads_change_no_byte) {
    char *one = NULL;
    for (int threads = 1; threads <= 3; threads += 2) {
        ck_assert_int_eq(
            command_run(&it, "sim --gpus 8 --pp 2 --sensitivity --json --threads %d", threads), 0);
        ck_assert_ptr_nonnull(strstr(it.out, "\"schema\": \"tandem.sensitivity.v1\""));
        if (one) ck_assert_str_eq(it.out, one);
        if (!one) one = strdup(it.out);
        command_finish(&it);
    }
    free(one);
}
END_TEST

static void refuses(const char *line, const char *why) {
    ck_assert_int_eq(command_run(&it, "sim %s", line), 2);
    ck_assert_msg(strstr(it.err, why) != NULL, "\"%s\" lacks \"%s\"", it.err, why);
    ck_assert_str_eq(it.out, "");
    command_finish(&it);
}

START_TEST(what_it_cannot_be_asked_with_is_refused) {
    refuses("--sensitivity --gpus 1,2", "one number of devices");
    refuses("--sensitivity --ranks 2", "leave out --ranks");
    refuses("--sensitivity --critical-path", "leave out --critical-path");
    refuses("--sensitivity --tp 3 --gpus 8", "not a multiple of --tp 3");
}
END_TEST

START_TEST(the_figure_has_the_steps_of_the_table) {
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --sensitivity --csv --plot p && "
                                      "grep \"^6.*19.5T\" p/tornado.dat | cut -f 6 | tr '\\n' ' '"),
                     0);
    char steps[64];
    const char *flops = row_of("flops");
    snprintf(steps, sizeof steps, "%.9g %.9g ", field(flops, LESS), field(flops, MORE));
    ck_assert_msg(strstr(it.out, steps) != NULL, "no \"%s\" in %s", steps, it.out);
    ck_assert(command_wrote(&it, "p/tornado.json") && command_wrote(&it, "p/tornado.gp"));
    command_finish(&it);
}
END_TEST

START_TEST(a_directory_that_cannot_be_written_is_said_before_the_work) {
    static const char *const tables[] = {"--gpus 8 --sensitivity", "--gpus 2 --advise",
                                         "--gpus 4 --sweep tp=1,2",
                                         "--gpus 8 --collective all_reduce", "--gpus 1,2"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        ck_assert_int_eq(command_run(&it, "touch f && sim %s --plot f", tables[i]), 1);
        ck_assert_str_eq(it.out, "");
        ck_assert_msg(strstr(it.err, "--plot") && strstr(it.err, "f: "), "%s: %s", tables[i],
                      it.err);
        command_finish(&it);
    }
}
END_TEST

SUITE("sim_sensitivity", a_link_10_percent_slower_is_the_step_on_that_link,
      a_number_10_percent_more_is_the_step_of_such_a_machine_file, the_largest_effect_is_first,
      bars_point_to_where_the_step_is_shorter_or_longer, threads_change_no_byte,
      what_it_cannot_be_asked_with_is_refused, the_figure_has_the_steps_of_the_table,
      a_directory_that_cannot_be_written_is_said_before_the_work)
