// SPDX-License-Identifier: MIT
// A roofline: rates and intensities of kernels, the largest first, and what they are called.
#include "tests/support/figure_case.h"
#include "viz/roofline.h"

#include <stdio.h>
#include <string.h>

static FigureCase it;
static Report run;

// 2e9 flops and 1e7 bytes in 1 ms: 200 flop/byte, 2 Tflop/s, 10 GB/s.
static const RooflineKernel kernels[] = {
    {"relu", "forward", 0, 5e6, 0.01, 0.05},
    {"linear", "forward", 2e9, 1e7, 1, 0.4},
    {"linear_backward_input", "backward", 2e9, 1e7, 1, 0.3},
    {"conv2d", "forward", 1e9, 1e8, 1, 0.1},
    {"never", "forward", 1e9, 1e8, 0, 0},
};

static Roofline begin(bool gnuplot) {
    figure_case_init(&it, gnuplot);
    run = *figure_case_simulate(&it, 8, 5120);
    run.step_ms.median = 2.5;
    it.options.devices = true;
    it.options.platform = "dgx";
    return (Roofline){&run, 20e12, 15e12, 2e12, 1.5e12, kernels, 5};
}

START_TEST(kernels_lie_at_their_intensity_and_the_rate_that_they_reach) {
    Roofline r = begin(false);
    ck_assert_ok(figures_roofline(&it.options, &r, &it.notes));
    const char *data = figure_case_file(&it, "roofline.dat"),
               *script = figure_case_file(&it, "roofline.gp");
    ck_assert_msg(strstr(data, "# computing\n"
                               "linear\tforward\t200\t1e+07\t2e+12\t1e+10\t40\t\n"
                               "linear_backward_input\tbackward\t200\t1e+07\t2e+12\t1e+10\t30\t\n"
                               "conv2d\tforward\t10\t1e+08\t1e+12\t1e+11\t10\t\n"
                               "\n\n# moving memory\n"
                               "relu\tforward\t0\t5e+06\t0\t5e+11\t5\t\n") != NULL,
                  "%s", data);
    // Two in one place have their numbers in one row.
    ck_assert_ptr_nonnull(strstr(data, "# named computing\n"
                                       "linear\tforward\t200\t1e+07\t2e+12\t0\t40\t1 2\n"
                                       "conv2d\tforward\t10\t1e+08\t1e+12\t0\t10\t3\n"));
    ck_assert_ptr_nonnull(strstr(script, "array NAMED[4] = ['1  linear, 40.0 %', "));
    ck_assert_ptr_nonnull(
        strstr(figure_case_file(&it, "roofline.json"),
               "the step of 2.5 ms: what computes 80.0 % of it, what moves "
               "memory alone 5.0 %. Roofs: what kernels reach at best, 15 Tflop/s "
               "and 1500 GB/s; dotted: the peaks, 20 and 2000. "));
    figure_case_finish(&it);
}
END_TEST

// 1, 2 and 3 follow each other closely, 1 and 3 apart; below them is 4. Their row is in the middle
// between 100 and 150 flop/byte, above, since 4 is right under them.
START_TEST(numbers_of_neighbours_stand_in_one_row_and_rows_apart) {
    static const RooflineKernel close[] = {{"a", "forward", 1e9, 1e7, 1, 0.4},
                                           {"b", "forward", 1.25e9, 1e7, 1.25, 0.3},
                                           {"c", "forward", 1.5e9, 1e7, 1.5, 0.2},
                                           {"d", "forward", 1.2e9, 1e7, 2.4, 0.1}};
    Roofline r = begin(false);
    r.kernels = close;
    r.count = 4;
    ck_assert_ok(figures_roofline(&it.options, &r, &it.notes));
    const char *data = figure_case_file(&it, "roofline.dat");
    ck_assert_msg(strstr(data, "# named computing\n"
                               "d\tforward\t120\t1e+07\t5e+11\t0\t10\t4\n"
                               "\n\n# named computing above\n"
                               "a\tforward\t122.474\t1e+07\t1e+12\t0\t40\t1 2 3\n") != NULL,
                  "%s", data);
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_step_that_only_moves_memory_has_no_roofline) {
    Roofline r = begin(false);
    r.count = 1;
    ck_assert_ok(figures_roofline(&it.options, &r, &it.notes));
    figure_case_note_has(&it, "roofline is not drawn: no operation computes");
    ck_assert_int_eq(figure_case_count_files(&it), 0);
    figure_case_finish(&it);
}
END_TEST

START_TEST(the_picture_has_both_panels_and_names) {
    Roofline r = begin(true);
    if (!figure_case_has_gnuplot()) SKIP("%s", status_message());
    ck_assert_ok(figures_roofline(&it.options, &r, &it.notes));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);
    const char *svg = figure_case_file(&it, "roofline.svg");
    static const char *const labels[] = {
        ">Roofline of net on dgx<", ">What moves memory alone<",          ">1 2<",
        ">1  linear, 40.0 %<",      ">2  linear_backward_input, 30.0 %<", ">backward<"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        ck_assert_msg(figure_case_count(svg, labels[i]) == 1, "%s", labels[i]);
    r.kernels = kernels + 1;  // nothing that moves memory alone: one panel
    r.count = 3;
    ck_assert_ok(figures_roofline(&it.options, &r, &it.notes));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);
    ck_assert_int_eq(
        figure_case_count(figure_case_file(&it, "roofline.svg"), ">What moves memory alone<"), 0);
    figure_case_finish(&it);
}
END_TEST

SUITE("roofline", numbers_of_neighbours_stand_in_one_row_and_rows_apart,
      kernels_lie_at_their_intensity_and_the_rate_that_they_reach,
      a_step_that_only_moves_memory_has_no_roofline, the_picture_has_both_panels_and_names)
