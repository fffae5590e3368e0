// SPDX-License-Identifier: MIT
// A tornado: which numbers have bars, where they are, and what is said of them.
#include "core/base/json.h"
#include "tests/support/figure_case.h"
#include "viz/tornado.h"

#include <stdio.h>
#include <string.h>

static FigureCase it;
static Report run;

// Steps around one of 100 ms: the change in % is the difference in ms.
static void begin(bool gnuplot) {
    figure_case_init(&it, gnuplot);
    run = *figure_case_simulate(&it, 8, 5120);
    run.step_ms.median = 100;
    it.options.devices = true;
    it.options.platform = "dgx";
}

static Status draw(const TornadoBar *bars, int count) {
    const Tornado t = {&run, bars, count};
    return figures_tornado(&it.options, &t, &it.notes);
}

static const TornadoBar one_side[] = {{"one side", "x1", 100, 101}};
static const TornadoBar three[] = {
    {"it's small", "5us", 99.5, 100.5},
    {"flops", "19.5T/s", 110, 92},
    {"both longer", "x1", 100.25, 101},
};

START_TEST(bars_are_changes_of_the_step_with_the_largest_on_top) {
    begin(false);
    ck_assert_ok(draw(three, 3));
    const char *data = figure_case_file(&it, "tornado.dat");
    // Bars that reach the same way stand beside each other, half as high.
    ck_assert_msg(strstr(data, "# 10 % less\n"
                               "2\tflops\t19.5T/s\t2\t0.36\t110\t10\n"
                               "1\tboth longer\tx1\t1.19\t0.19\t100.25\t0.25\n"
                               "0\tit's small\t5us\t0\t0.36\t99.5\t-0.5\n"
                               "\n\n# 10 % more\n"
                               "2\tflops\t19.5T/s\t2\t0.36\t92\t-8\n"
                               "1\tboth longer\tx1\t0.81\t0.19\t101\t1\n"
                               "0\tit's small\t5us\t0\t0.36\t100.5\t0.5\n") != NULL,
                  "%s", data);
    const char *script = figure_case_file(&it, "tornado.gp");
    ck_assert_ptr_nonnull(strstr(script, "BARS = 3\nMOST = 10\n"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(numbers_without_effect_are_counted_not_drawn) {
    TornadoBar bars[TORNADO_BARS + 4];
    begin(false);
    for (int i = 0; i < TORNADO_BARS + 2; i++)
        bars[i] = (TornadoBar){"number", "1us", 100 - 0.01 * (i + 1), 100 + 0.01 * (i + 1)};
    bars[TORNADO_BARS + 2] = (TornadoBar){"none", "1us", 100, 100};
    bars[TORNADO_BARS + 3] = (TornadoBar){"rounding", "1us", 100.004, 100};
    ck_assert_ok(draw(bars, TORNADO_BARS + 4));
    const char *data = figure_case_file(&it, "tornado.dat");
    ck_assert_int_eq(figure_case_count(data, "\tnumber\t1us\t"), 2 * TORNADO_BARS);
    ck_assert(!strstr(data, "none") && !strstr(data, "rounding"));
    ck_assert_ptr_nonnull(strstr(data, "\t99.82\t-0.18\n"));  // the largest is there,
    ck_assert_ptr_null(strstr(data, "\t99.98\t-0.02\n"));     // the smallest of 18 is not
    ck_assert_ptr_nonnull(
        strstr(figure_case_file(&it, "tornado.json"), "Not shown: 4 numbers of smaller effect."));
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_caption_has_job_machine_base_spread_and_command) {
    begin(false);
    ck_assert_ok(draw(three, 3));
    const char *facts = figure_case_file(&it, "tornado.json");
    ck_assert_msg(strstr(facts,
                         "\"caption\": \"Simulated: dgx, f32, 8 GPUs, batch 512. Base: 100 "
                         "ms a step. Bars: the step simulated again with one number 10 % "
                         "less, and 10 % more, and all others as they are; no spread, since "
                         "nothing is random. Command: train --model 'it'\\\\''s'.\"") != NULL,
                  "%s", facts);
    figure_case_note_has(&it, "there is no gnuplot to draw with");
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_platform_that_changes_nothing_has_no_figure_but_a_note) {
    static const TornadoBar none[] = {{"flops", "1T/s", 100, 100}};
    begin(false);
    ck_assert_ok(draw(none, 1));
    figure_case_note_has(&it, "tornado is not drawn: no number changes the step by 0.005 %");
    ck_assert_int_eq(figure_case_count_files(&it), 0);
    figure_case_finish(&it);
}
END_TEST

START_TEST(the_picture_has_a_bar_for_each_side_and_its_number) {
    begin(true);
    if (!figure_case_has_gnuplot()) SKIP("%s", status_message());
    ck_assert_ok(draw(three, 3));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);
    const char *svg = figure_case_file(&it, "tornado.svg");
    static const char *const labels[] = {">What a step of net depends on<",
                                         ">change of the step's time (%)<",
                                         ">flops<",
                                         ">it's small<",
                                         ">both longer<",
                                         ">19.5T/s<",
                                         ">+10.00<",
                                         ">-8.00<",
                                         ">+0.25<",
                                         ">+1.00<",
                                         ">-0.50<",
                                         ">+0.50<"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        ck_assert_msg(figure_case_count(svg, labels[i]) == 1, "%s", labels[i]);
    ck_assert_ok(draw(one_side, 1));  // a side without effect says so once, beside the other
    svg = figure_case_file(&it, "tornado.svg");
    ck_assert_int_eq(figure_case_count(svg, ">+0.00<") + figure_case_count(svg, ">-0.00<"), 1);
    ck_assert_ptr_nonnull(
        strstr(figure_case_file(&it, "tornado.dat"), "0\tone side\tx1\t0.19\t0.19\t100\t0\n"));
    figure_case_finish(&it);
}
END_TEST

SUITE("tornado", bars_are_changes_of_the_step_with_the_largest_on_top,
      numbers_without_effect_are_counted_not_drawn,
      a_caption_has_job_machine_base_spread_and_command,
      a_platform_that_changes_nothing_has_no_figure_but_a_note,
      the_picture_has_a_bar_for_each_side_and_its_number)
