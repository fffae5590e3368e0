// SPDX-License-Identifier: MIT
// Residuals against sizes of messages: signs, bands, what is worst.
#include "tests/support/figure_case.h"
#include "viz/residuals.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIZES = 4 };

static FigureCase it;
static Report run;
static const double bytes[SIZES] = {1024, 4096, 16384, 65536}, measured[SIZES] = {10, 10, 20, 40},
                    model[SIZES] = {11, 9, 20, 44}, line[SIZES] = {10, 5, (double)NAN, 40};

static Residuals begin(bool gnuplot) {
    figure_case_init(&it, gnuplot);
    run = *figure_case_simulate(&it, 8, 5120);
    return (Residuals){.run = &run,
                       .what = "all_reduce on 8",
                       .table = "t.csv",
                       .bytes = bytes,
                       .measured = measured,
                       .count = SIZES,
                       .series = {{"model of NCCL", model}, {"alpha + bytes / beta", line}},
                       .series_count = 2};
}

START_TEST(errors_are_relative_to_what_was_measured) {
    Residuals r = begin(false);
    ck_assert_ok(figures_residuals(&it.options, &r, &it.notes));
    const char *data = figure_case_file(&it, "residuals.dat"),
               *facts = figure_case_file(&it, "residuals.json");
    ck_assert_msg(strstr(data, "# model of NCCL\n"
                               "model of NCCL\t1024\t10\t11\t10\n"
                               "model of NCCL\t4096\t10\t9\t-10\n"
                               "model of NCCL\t16384\t20\t20\t0\n"
                               "model of NCCL\t65536\t40\t44\t10\n"
                               "\n\n# alpha + bytes / beta\n"
                               "alpha + bytes / beta\t1024\t10\t10\t0\n"
                               "alpha + bytes / beta\t4096\t10\t5\t-50\n"
                               "alpha + bytes / beta\t65536\t40\t40\t0\n") != NULL,
                  "%s", data);
    // Of -10, 0, 10 and 10: 5 % of the way from the least, -10 + 0.15 * 10.
    ck_assert_msg(strstr(facts, "Measured: t.csv, 4 sizes. model of NCCL: mean absolute error 7.5 "
                                "%, 9 of 10 sizes -8.5 to +10.0 % (band), worst +10.0 % at 1KiB. "
                                "alpha + bytes / beta: mean absolute error 16.7 %") != NULL,
                  "%s", facts);
    ck_assert_ptr_nonnull(strstr(facts, "worst -50.0 % at 4KiB. Error: modelled / measured - 1"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(one_size_is_a_note) {
    Residuals r = begin(false);
    r.count = 1;
    ck_assert_ok(figures_residuals(&it.options, &r, &it.notes));
    figure_case_note_has(&it, "residuals are not drawn: they need two sizes");
    ck_assert_int_eq(figure_case_count_files(&it), 0);
    figure_case_finish(&it);
}
END_TEST

START_TEST(the_picture_names_both_models) {
    Residuals r = begin(true);
    if (!figure_case_has_gnuplot()) SKIP("%s", status_message());
    ck_assert_ok(figures_residuals(&it.options, &r, &it.notes));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);
    const char *svg = figure_case_file(&it, "residuals.svg");
    static const char *const labels[] = {">model of NCCL<", ">alpha + bytes / beta<", ">4KiB<",
                                         ">Residuals of all_reduce on 8<",
                                         ">modelled / measured - 1 (%)<"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        ck_assert_msg(figure_case_count(svg, labels[i]) == 1, "%s", labels[i]);
    figure_case_finish(&it);
}
END_TEST

SUITE("residuals", errors_are_relative_to_what_was_measured, one_size_is_a_note,
      the_picture_names_both_models)
