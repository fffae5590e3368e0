// SPDX-License-Identifier: MIT
// Figures of a scan: the line of one option, the map of two, and the bars of memory of either.
#include "tests/support/figure_case.h"
#include "viz/scan.h"

#include <stdio.h>
#include <string.h>

static FigureCase it;
static Report run;
static ScanPoint points[SCAN_CELLS * 4];
static const char *const sizes[] = {"64", "16", "256", "1024"}, *const words[] = {"no", "1", "2"};

static void begin(bool gnuplot) {
    figure_case_init(&it, gnuplot);
    run = *figure_case_simulate(&it, 8, 5120);
    run.device_bytes = 80LL << 30;
    it.options.devices = true;
    it.options.platform = "dgx";
    memset(points, 0, sizeof points);
}

// A point of 8 GPUs: a step of so many ms, so many GiB of parameters and one of activations.
static ScanPoint done(double ms, int gib) {
    ScanPoint p = {.state = SCAN_DONE,
                   .ranks = 8,
                   .data_ranks = 4,
                   .batch = 512,
                   .step_ms = ms,
                   .device_bytes = 80LL << 30};
    p.memory_bytes[MEMORY_PARAMETERS] = (int64_t)gib << 30;
    p.memory_bytes[MEMORY_ACTIVATIONS] = 1 << 30;
    if (gib + 1 > 80) p.state = SCAN_TOO_LARGE;
    return p;
}

static Scan one_axis(const char *key, const char *const *values, int count) {
    return (Scan){&run, {{key, values, count}}, 1, points, count};
}

START_TEST(numbers_of_a_sweep_lie_in_order_on_a_logarithmic_axis) {
    begin(false);
    const double ms[] = {10, 12, 10.05, 14};
    for (int i = 0; i < 4; i++) points[i] = done(ms[i], 1);
    Scan s = one_axis("bucket-kib", sizes, 4);
    ck_assert_ok(figures_sweep(&it.options, &s, &it.notes));
    const char *data = figure_case_file(&it, "sweep.dat");
    ck_assert_msg(strstr(data, "# simulated\n"
                               "simulated\t16\t16\t12\t\t\t\n"
                               "simulated\t64\t64\t10\t\t\t\n"
                               "simulated\t256\t256\t10.05\t\t\t\n"
                               "simulated\t1024\t1024\t14\t\t\t\n"
                               "\n\n# least\n"
                               "simulated\t64\t64\t10\t64\t256\t\n") != NULL,
                  "%s", data);
    const char *script = figure_case_file(&it, "sweep.gp");
    ck_assert(strstr(script, "\nLOG = 1\n") && strstr(script, "\nLOW = 64\nHIGH = 256\n"));
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "sweep.json"),
                                 "Least simulated: 10 ms at 64; shaded, 64 to 256: within 1 % of "
                                 "it. Simulated steps have no spread. Command: train"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(words_of_a_sweep_stay_as_they_were_given_and_what_is_refused_has_no_point) {
    begin(false);
    points[0] = done(10, 1);
    points[1] = (ScanPoint){.state = SCAN_REFUSED};
    points[2] = done(9, 1);
    Scan s = one_axis("zero", words, 3);
    ck_assert_ok(figures_sweep(&it.options, &s, &it.notes));
    const char *data = figure_case_file(&it, "sweep.dat");
    ck_assert_msg(strstr(data, "# simulated\n"
                               "simulated\tno\t0\t10\t\t\t\n"
                               "simulated\t2\t2\t9\t\t\t\n"
                               "\n\n# least\n"
                               "simulated\t2\t2\t9\t2\t2\t\n") != NULL,
                  "%s", data);
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "sweep.gp"), "\nNUMBERS = 0\n"));
    ck_assert_ptr_nonnull(
        strstr(figure_case_file(&it, "sweep.json"), "Refused, and without a point: 1 of 3. "));
    figure_case_finish(&it);
}
END_TEST

START_TEST(one_point_is_no_line) {
    begin(false);
    points[0] = done(10, 1);
    points[1].state = points[2].state = SCAN_REFUSED;
    Scan s = one_axis("zero", words, 3);
    ck_assert_ok(figures_sweep(&it.options, &s, &it.notes));
    figure_case_note_has(&it, "sweep is not drawn: one point was simulated, and a line needs two");
    ck_assert_int_eq(figure_case_count_files(&it), 0);
    figure_case_finish(&it);
}
END_TEST

// Five runs each of 16 and 64, medians 12 and 10 ms: the ranges do not touch, so 64 is certain.
START_TEST(measured_runs_have_medians_ranges_and_an_interval_of_the_least) {
    const Report *runs[2][5];
    begin(false);
    for (int i = 0; i < 2; i++) {
        points[i] = done(10 + i, 1);
        for (int k = 0; k < 5; k++) {
            Report *r = figure_case_measure(&it, 8, 1000, 900, 1100);
            r->step_ms.median = (i ? 12 : 10) + 0.1 * (k - 2);
            runs[i][k] = r;
        }
        points[i].measured = (ReportList){runs[i], 5};
    }
    Scan s = one_axis("bucket-kib", sizes, 2);
    ck_assert_ok(figures_sweep(&it.options, &s, &it.notes));
    const char *data = figure_case_file(&it, "sweep.dat");
    ck_assert_msg(strstr(data, "# measured\n"
                               "measured\t16\t16\t12\t11.8\t12.2\t5\n"
                               "measured\t64\t64\t10\t9.8\t10.2\t5\n") != NULL,
                  "%s", data);
    ck_assert_ptr_nonnull(strstr(data, "\nmeasured\t64\t64\t10\t64\t64\t\n"));
    ck_assert_ptr_nonnull(strstr(
        figure_case_file(&it, "sweep.json"),
        "Measured: A processor, 2 cores, cpu, 5 runs a value; points: medians; bars: the range of "
        "the runs. Least simulated: 10 ms at 64. Least measured: 10 ms at 64, 95 % bootstrap "
        "interval 64 to 64. "));
    figure_case_finish(&it);
}
END_TEST

START_TEST(batches_that_differ_are_compared_by_a_thousand_samples) {
    begin(false);
    points[0] = done(10, 1);  // 512 samples in 10 ms: 1000 in 19.53125
    points[1] = done(10, 1);
    points[1].batch = 1000;
    Scan s = one_axis("batch", sizes, 2);
    ck_assert_ok(figures_sweep(&it.options, &s, &it.notes));
    const char *data = figure_case_file(&it, "sweep.dat");
    ck_assert(strstr(data, "\t64\t64\t19.53125\t") && strstr(data, "\t16\t16\t10\t"));
    ck_assert_ptr_nonnull(
        strstr(figure_case_file(&it, "sweep.gp"), "YLABEL = 'time of 1000 samples (ms)'"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(bars_of_memory_have_every_class_and_measured_ones_the_libraries) {
    static const MemoryUse use[] = {{{5LL << 30}, NONE}, {{5LL << 30, 1LL << 30}, 2LL << 30}};
    begin(false);
    points[0] = done(10, 3);
    points[1] = done(10, 5);
    points[2].state = SCAN_REFUSED;
    Report *r = figure_case_measure(&it, 2, 1000, 900, 1100);
    const Report *runs[] = {r};
    r->memory = use;
    points[1].measured = (ReportList){runs, 1};
    Scan s = one_axis("zero", words, 3);
    ck_assert_ok(figures_memory(&it.options, &s, &it.notes));
    const char *data = figure_case_file(&it, "memory.dat");
    ck_assert_msg(
        strstr(data, "# simulated\n"
                     "zero no\t0\t3221225472\t0\t0\t1073741824\t0\t0\t0\t4294967296\n"
                     "zero 1\t1.19\t5368709120\t0\t0\t1073741824\t0\t0\t0\t6442450944\n"
                     "\n\n# measured\n"
                     "zero 1\t0.81\t5368709120\t1073741824\t0\t0\t0\t0\t2147483648\t8589934592\n"),
        "%s", data);
    const char *script = figure_case_file(&it, "memory.gp");
    // Classes 1, 2, 4 and the libraries; 80 GiB are too far above 8 for a line.
    ck_assert(strstr(script, "array SHOWN[4] = [1, 2, 4, 7]") && strstr(script, "\nDEVICE = 0\n"));
    ck_assert_ptr_nonnull(strstr(script, "array MISSING[3] = [0, 0, 1]"));
    figure_case_finish(&it);
}
END_TEST

static Scan map_of_four(void) {
    points[0] = done(10, 1);
    points[1] = done(80, 2);
    points[2] = done(5, 100);  // faster, but too large
    points[3].state = SCAN_REFUSED;
    return (Scan){&run, {{"pp", words, 2}, {"tp", words + 1, 2}}, 2, points, 4};
}

START_TEST(a_map_frames_the_fastest_that_fits_and_hatches_what_does_not) {
    begin(false);
    Scan s = map_of_four();
    ck_assert_ok(figures_layout(&it.options, &s, &it.notes));
    const char *data = figure_case_file(&it, "layout.dat"),
               *script = figure_case_file(&it, "layout.gp");
    ck_assert_msg(strstr(data, "# DARK\n0\t0\t10\t2GiB\tdp 4\n"
                               "\n\n# LIGHT\n1\t0\t80\t3GiB\tdp 4\n"
                               "\n\n# LARGE\n0\t1\t5\t101GiB\tdp 4\n"
                               "\n\n# REFUSED\n1\t1\t\t\t\n"),
                  "%s", data);
    ck_assert(strstr(script, "\nLEAST = 10\nMOST = 80\nBEST_COLUMN = 0\nBEST_ROW = 0\n"));
    ck_assert(strstr(script, "array COLUMN[2] = ['1', '2']\narray ROW[2] = ['no', '1']"));
    ck_assert_ptr_nonnull(strstr(
        figure_case_file(&it, "layout.json"),
        "Simulated: dgx, f32, 8 GPUs, batch 512, 4 combinations of --pp and --tp. In a cell: "
        "a step in ms, memory of a device, ranks with other data (dp). Framed, the fastest "
        "that fits: pp no, tp 1, 10 ms. Hatched: do not fit a device's 80 GiB. Grey x: "
        "cannot be made, as --csv says. "));
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_figure_without_room_or_points_is_a_note) {
    const char *many[SCAN_CELLS + 1];
    begin(false);
    for (int i = 0; i <= SCAN_CELLS; i++) {
        many[i] = "1";
        points[i] = done(10, 1);
    }
    Scan s = one_axis("tp", many, SCAN_CELLS + 1);
    s.axes[1] = (ScanAxis){"pp", words, 1};
    s.axis_count = 2;
    ck_assert_ok(figures_layout(&it.options, &s, &it.notes));
    figure_case_note_has(&it, "layout is not drawn: 1 x 25 cells, and there is room for 24 x 24");
    ck_assert_ok(figures_memory(&it.options, &s, &it.notes));
    figure_case_note_has(&it, "memory is not drawn: 25 points, and there is room for 24 bars");
    for (int i = 0; i <= SCAN_CELLS; i++) points[i].state = SCAN_REFUSED;
    ck_assert_ok(figures_layout(&it.options, &s, &it.notes));
    figure_case_note_has(&it, "layout is not drawn: no combination was simulated and fits");
    s.axes[0].count = s.count = 2;
    ck_assert_ok(figures_memory(&it.options, &s, &it.notes));
    figure_case_note_has(&it, "memory is not drawn: no point was simulated");
    ck_assert_int_eq(figure_case_count_files(&it), 0);
    figure_case_finish(&it);
}
END_TEST

START_TEST(pictures_of_a_scan_have_their_cells_bars_and_points) {
    begin(true);
    if (!figure_case_has_gnuplot()) SKIP("%s", status_message());
    Scan map = map_of_four();
    ck_assert_ok(figures_layout(&it.options, &map, &it.notes));
    ck_assert_ok(figures_memory(&it.options, &map, &it.notes));
    Scan line = one_axis("zero", words, 3);
    ck_assert_ok(figures_sweep(&it.options, &line, &it.notes));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);
    ck_assert_int_eq(it.notes.drawn, 3);
    static const char *const labels[][2] = {
        {"layout.svg", ">101GiB<"},
        {"layout.svg", ">dp 4<"},
        {"layout.svg", ">x<"},
        {"layout.svg", ">How net is divided: the time of a step<"},
        {"memory.svg", ">pp no, tp 1<"},
        {"memory.svg", ">activations<"},
        {"memory.svg", ">a device has 80 GiB<"},
        {"memory.svg", ">101<"},
        {"sweep.svg", ">least<"},
        {"sweep.svg", ">A step of net against --zero<"}};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        ck_assert_msg(strstr(figure_case_file(&it, labels[i][0]), labels[i][1]) != NULL, "%s: %s",
                      labels[i][0], labels[i][1]);
    figure_case_finish(&it);
}
END_TEST

SUITE("scan", numbers_of_a_sweep_lie_in_order_on_a_logarithmic_axis,
      words_of_a_sweep_stay_as_they_were_given_and_what_is_refused_has_no_point,
      one_point_is_no_line, measured_runs_have_medians_ranges_and_an_interval_of_the_least,
      batches_that_differ_are_compared_by_a_thousand_samples,
      bars_of_memory_have_every_class_and_measured_ones_the_libraries,
      a_map_frames_the_fastest_that_fits_and_hatches_what_does_not,
      a_figure_without_room_or_points_is_a_note,
      pictures_of_a_scan_have_their_cells_bars_and_points)
