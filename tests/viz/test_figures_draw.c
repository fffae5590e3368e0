// SPDX-License-Identifier: MIT
// Pictures: what gnuplot makes of the scripts, and whether colours can be told apart in grey. What
// is drawn is judged by the elements in it, not by pixels.
#include "core/base/file.h"
#include "tests/support/figure_case.h"
#include "viz/figures_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FigureCase it;

#define NEEDS_GNUPLOT() \
    if (!figure_case_has_gnuplot()) SKIP("%s", status_message())

static void measure_and_simulate(void) {
    figure_case_init(&it, true);
    for (int run = 0; run < 3; run++) figure_case_measure(&it, 1, 1000 + 100 * run, 900, 1300);
    figure_case_measure(&it, 2, 1800, 1500, 2000);
    figure_case_simulate(&it, 1, 1150);
    figure_case_simulate(&it, 2, 1620);
    figure_case_simulate(&it, 4, 3600);
    it.options.oversubscribed_from = 2;
}

static void learn(void) {
    figure_case_init(&it, true);
    figure_case_learn(&it, figure_case_measure(&it, 1, 1000, 900, 1100), 100);
    figure_case_learn(&it, figure_case_measure(&it, 2, 1000, 900, 1100), 100);
}

static void draw_all(void) {
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    ck_assert_ok(figures_breakdown(&it.options, &it.notes));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);
    ck_assert(it.notes.written == 5 && it.notes.drawn == 5);
}

// How many elements of the picture contain `part`; one that a picture must have.
static int count(const char *name, const char *part) {
    const char *svg = figure_case_file(&it, name);
    ck_assert_msg(svg != NULL && strstr(svg, "</svg>"), "%s is no whole picture", name);
    return figure_case_count(svg, part);
}

START_TEST(throughput_shows_every_run_and_a_median_for_each_size) {
    NEEDS_GNUPLOT();
    measure_and_simulate();
    draw_all();
    // Filled circles: 4 runs, 2 medians, 1 in the key. Hollow ones: 3 simulations, 1 in the key.
    ck_assert_int_eq(count("throughput.svg", "xlink:href='#gpPt6' transform"), 7);
    ck_assert_int_eq(count("throughput.svg", "xlink:href='#gpPt5' transform"), 4);
    static const char *const labels[] = {">ideal<",
                                         ">measured<",
                                         ">simulated<",
                                         ">ranks<",
                                         ">throughput (thousand samples/s)<",
                                         ">ranks share cores<",
                                         ">Throughput of net, weak scaling, 64 samples a rank<"};
    for (int i = 0; i < 7; i++)
        ck_assert_msg(count("throughput.svg", labels[i]) == 1, "%s", labels[i]);
    ck_assert_int_eq(count("efficiency.svg", "xlink:href='#gpPt6' transform"), 7);
    ck_assert_int_eq(count("scaling.svg", "xlink:href='#gpPt6' transform"),
                     14);  // both beside each other
    ck_assert_int_eq(count("scaling.svg", ">efficiency (%)<"), 1);
    ck_assert_int_eq(count("scaling.svg", ">Measured: A processor"), 1);  // one caption
    figure_case_finish(&it);
}
END_TEST

START_TEST(figures_of_devices_say_gpus_and_have_no_bars) {
    NEEDS_GNUPLOT();
    figure_case_init(&it, true);
    for (int ranks = 1; ranks <= 4; ranks *= 2) {
        Report *r = figure_case_simulate(&it, ranks, 1000 * ranks);
        r->machine = (HostInfo){.cores = ranks, .cpu = "dgx-a100: A100"};  // as older ones have
        r->run.device = "timed";
        r->run.comm = "network";
    }
    it.options.devices = true;
    it.options.platform = "dgx-a100";
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);  // one machine, not several
    ck_assert_int_eq(count("throughput.svg", ">GPUs<"), 1);
    ck_assert_int_eq(count("efficiency.svg", ">GPUs<"), 1);
    ck_assert_int_eq(count("throughput.svg", "rank"), 0);
    // Every point once, and one in the key: no faint runs beside them.
    ck_assert_int_eq(count("throughput.svg", "xlink:href='#gpPt5' transform"), 4);
    ck_assert_ptr_nonnull(
        strstr(figure_case_file(&it, "throughput.json"),
               "\"caption\": \"Simulated: dgx-a100, f32, GPUs 1, 2, 4. Base: 1 GPU simulated, 1000 "
               "samples/s (64 ms a step). Ideal: the base's samples/s per GPU, times GPUs; "
               "efficiency: share of the ideal.\""));
    ck_assert_ptr_nonnull(
        strstr(figure_case_file(&it, "throughput.dat"), "# machine\tdgx-a100: A100\n"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_long_title_goes_on_in_a_second_line) {
    NEEDS_GNUPLOT();
    figure_case_init(&it, true);
    for (int ranks = 1; ranks <= 2; ranks++)
        figure_case_simulate(&it, ranks, 1000 * ranks)->run.model =
            "gpt:layers=24,hidden=2048,heads=16,seq=1024,vocabulary=51200";
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert_int_eq(count("throughput.svg", ",vocabulary=51200,</text>"), 1);
    figure_case_finish(&it);
}
END_TEST

START_TEST(one_measured_step_has_no_bar) {
    NEEDS_GNUPLOT();
    figure_case_init(&it, true);
    for (int ranks = 1; ranks <= 2; ranks++)
        figure_case_measure(&it, ranks, 1000 * ranks, 900, 2100)->steps = 2;  // the first warms up
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "throughput.json"),
                                 "1 run a size; 1 step each. Points: medians. Base:"));
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "throughput.dat"),
                                 "\nmeasured\t1\t1000\t1000\t1000\t100\t100\t100\t1\n"));
    figure_case_finish(&it);
}
END_TEST

// Steps of ten nanoseconds and of nine minutes, in the unit that suits.
START_TEST(a_breakdown_shows_no_exponents) {
    static const struct {
        double ms;
        const char *axis, *bar, *base;
    } cases[] = {{1e-5, ">mean time of a step (us)<", ">0.01<", " 0.00001 ms a step"},
                 {549200, ">mean time of a step (s)<", ">549<", "549200 ms a step"},
                 {1234, ">mean time of a step (ms)<", ">1234<", "1234 ms a step"}};
    NEEDS_GNUPLOT();
    for (int i = 0; i < 3; i++) {
        figure_case_init(&it, true);
        Report *r = figure_case_simulate(&it, 1, 1000);
        memset(r->breakdown_ms, 0, sizeof r->breakdown_ms);
        r->breakdown_ms[TIME_COMPUTE] = cases[i].ms;
        ck_assert_ok(figures_breakdown(&it.options, &it.notes));
        ck_assert_int_eq(count("breakdown.svg", cases[i].axis), 1);
        ck_assert_int_ge(count("breakdown.svg", cases[i].bar), 1);
        ck_assert_msg(strstr(figure_case_file(&it, "breakdown.json"), cases[i].base) != NULL, "%s",
                      figure_case_file(&it, "breakdown.json"));
        figure_case_finish(&it);
    }
}
END_TEST

START_TEST(a_breakdown_has_hatched_bars_beside_filled_ones) {
    NEEDS_GNUPLOT();
    measure_and_simulate();
    draw_all();
    ck_assert_int_eq(count("breakdown.svg", ">compute<"), 1);
    ck_assert_int_eq(count("breakdown.svg", ">waiting<"), 1);
    ck_assert_int_eq(count("breakdown.svg", ">bubble<"), 0);  // there is none
    ck_assert_int_eq(count("breakdown.svg", ">1<"), 1 + 5);   // 1 rank; five steps of 1 ms
    // Two hatchings, each a definition: compute and waiting.
    ck_assert_int_ge(count("breakdown.svg", "<pattern "), 2);
    ck_assert_int_eq(count("breakdown.svg", ">left: measured, filled<"), 1);
    figure_case_finish(&it);
    figure_case_init(&it, true);
    figure_case_measure(&it, 1, 1000, 900, 1100);
    ck_assert_ok(figures_breakdown(&it.options, &it.notes));
    ck_assert_int_eq(count("breakdown.svg", "<pattern "), 0);
    figure_case_finish(&it);
}
END_TEST

START_TEST(parity_marks_what_is_held_out_and_writes_signed_errors) {
    static const int known[] = {1};
    NEEDS_GNUPLOT();
    measure_and_simulate();
    it.options.known_ranks = known;
    it.options.known_count = 1;
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    ck_assert_int_eq(count("parity.svg", ">known<"), 2);  // in both panels
    ck_assert_int_eq(count("parity.svg", ">held out<"), 2);
    // Steps at 1150 samples/s against 1100, and at 1620 against 1800.
    ck_assert_int_eq(count("parity.svg", ">-4.3 %<"), 1);
    ck_assert_int_eq(count("parity.svg", ">+11.1 %<"), 1);
    ck_assert_int_eq(count("parity.svg", ">Error of the simulated step time<"), 1);
    figure_case_finish(&it);
}
END_TEST

START_TEST(learning_has_four_panels_of_the_same_runs) {
    NEEDS_GNUPLOT();
    learn();
    ck_assert_ok(figures_learning(&it.options, &it.notes));
    ck_assert_msg(it.notes.count == 0, "%s", it.notes.lines[0]);
    static const char *const labels[] = {">steps<",
                                         ">thousand samples<",
                                         ">epochs<",
                                         ">seconds<",
                                         ">held-out accuracy (%)<",
                                         ">loss<",
                                         ">1 rank, batch 64<",
                                         ">2 ranks, batch 128<"};
    for (int i = 0; i < 8; i++)
        ck_assert_msg(count("learning.svg", labels[i]) == 1, "%s", labels[i]);
    // Two evaluations in each of four panels, and the key's.
    ck_assert_int_eq(count("learning.svg", "xlink:href='#gpPt5' transform"), 2 * 4 + 1);
    figure_case_finish(&it);
}
END_TEST

// The exit status of a line of shell in the directory of the figures.
static int shell(const char *line) {
    char out[4096];
    int status;
    setenv("WHERE", it.directory, 1);
    status = test_shell(out, sizeof out, "cd \"$WHERE\" && %s", line);
    ck_assert_msg(status == 0, "%s: %s", line, out);
    return status;
}

START_TEST(scripts_run_by_themselves_in_every_terminal) {
    NEEDS_GNUPLOT();
    measure_and_simulate();
    draw_all();
    shell("rm *.svg && for f in *.json; do gnuplot \"${f%.json}.gp\" || exit; done");
    ck_assert_int_eq(count("parity.svg", "</svg>"), 1);
    shell("gnuplot -e 'TERM=\"dumb\"' throughput.gp | grep -q 'throughput (thousand samples/s)'");
    shell("gnuplot -e 'TERM=\"postscript\"' parity.gp && test -s parity.eps");
    shell("sed 's/#0072B2/#123456/' style.gp > mine.gp && "
          "gnuplot -e 'STYLE=\"mine.gp\"' efficiency.gp && grep -q 'rgb( 18,  52,  86)' "
          "efficiency.svg");
    figure_case_finish(&it);
}
END_TEST

// Debian's gnuplot-nox has neither; a profile that sets GNUTERM is not for it.
START_TEST(a_terminal_that_this_gnuplot_lacks_does_not_stop_it) {
    NEEDS_GNUPLOT();
    static const char *const terminals[] = {"qt", "x11", "wxt", "nosuch"};
    measure_and_simulate();
    for (int i = 0; i < 4; i++) {
        setenv("GNUTERM", terminals[i], 1);
        ck_assert_ok(figures_parity(&it.options, &it.notes));
        ck_assert_msg(it.notes.count == 0, "%s: %s", terminals[i], it.notes.lines[0]);
        if (!system("command -v make >/dev/null")) shell("rm parity.svg && make -s");
        ck_assert_int_eq(count("parity.svg", "</svg>"), 1);
    }
    figure_case_finish(&it);
}
END_TEST

START_TEST(make_says_which_style_is_missing) {
    char out[4096];
    if (system("command -v make >/dev/null")) SKIP("make is not installed");
    figure_case_init(&it, true);
    ck_assert_ok(file_make_directory(it.directory));
    ck_assert_ok(figure_write_shared(it.directory));
    setenv("WHERE", it.directory, 1);
    ck_assert(test_shell(out, sizeof out, "%s", "cd \"$WHERE\" && make STYLE=nosuch.gp") != 0);
    ck_assert_msg(strstr(out, "STYLE=nosuch.gp: there is no such file") != NULL, "%s", out);
    shell("make -s && cp style.gp mine.gp && make -s STYLE=mine.gp");
    figure_case_finish(&it);
}
END_TEST

START_TEST(make_draws_all_figures_again) {
    NEEDS_GNUPLOT();
    if (system("command -v make >/dev/null")) SKIP("make is not installed");
    measure_and_simulate();
    draw_all();
    char *data = figure_case_file(&it, "parity.dat");
    shell("rm *.svg && make -s && test $(ls *.svg | wc -l) = 5");
    shell("make -s FORMAT=postscript && test $(ls *.eps | wc -l) = 5");
    ck_assert_str_eq(figure_case_file(&it, "parity.dat"), data);
    figure_case_finish(&it);
}
END_TEST

// A preview into the arena; checks that it fits a terminal.
static char *preview(Status (*draw)(const FigureOptions *, FigureNotes *)) {
    char *text, *copy;
    size_t length;
    int lines = 0, columns = 0;
    it.options.preview = open_memstream(&text, &length);
    ck_assert_ok(draw(&it.options, &it.notes));
    fclose(it.options.preview);
    copy = arena_string(&it.arena, text);
    free(text);
    for (const char *at = copy; *at; at++) {
        bool end = *at == '\n';
        lines += end;
        columns = end ? 0 : columns + 1;
        if (!it.options.preview_color)
            ck_assert_msg(columns <= it.options.preview_width, "line %d of\n%s", lines + 1, copy);
    }
    ck_assert_msg(lines > 10 && lines <= 24, "%d lines:\n%s", lines, copy);
    return copy;
}

START_TEST(previews_fit_80_columns_and_24_lines_and_leave_nothing_behind) {
    NEEDS_GNUPLOT();
    char top[64];
    measure_and_simulate();
    figure_case_learn(&it, (Report *)it.measured[0], 100);
    strcpy(top, test_directory());
    setenv("TMPDIR", top, 1);
    it.options.directory = NULL;
    it.options.preview_width = 80;
    const char *text = preview(figures_scaling);
    ck_assert(strstr(text, "ranks") && strchr(text, 'M') && strchr(text, 'S'));
    ck_assert_ptr_null(strchr(text, '\033'));
    ck_assert_ptr_nonnull(strstr(preview(figures_parity), "held out"));
    text = preview(figures_learning);
    ck_assert(strstr(text, "net: loss") && strstr(text, "steps"));
    it.options.preview_width = 40;
    preview(figures_scaling);
    it.options.preview_color = true;
    ck_assert_ptr_nonnull(strchr(preview(figures_scaling), '\033'));
    ck_assert_int_eq(it.notes.written, 0);
    ck_assert_int_eq(rmdir(top), 0);  // which an empty directory allows
    figure_case_finish(&it);
}
END_TEST

START_TEST(nothing_in_a_name_is_executed) {
    NEEDS_GNUPLOT();
    measure_and_simulate();
    const char *name = "`touch evil`\"; system('touch evil'); it's '' ''''; $(touch evil) \\ {x_y}";
    for (int i = 0; i < it.options.measured.count; i++)
        ((Report *)it.measured[i])->run.model = name;
    for (int i = 0; i < it.options.simulated.count; i++)
        ((Report *)it.simulated[i])->run.model = name;
    figure_case_learn(&it, (Report *)it.measured[0], 100);
    it.options.platform = name;
    draw_all();
    ck_assert_ok(figures_learning(&it.options, &it.notes));
    ck_assert_ptr_null(figure_case_file(&it, "evil"));
    ck_assert_int_ge(count("throughput.svg", "; $(touch evil) \\ {x_y}, weak"), 1);
    figure_case_finish(&it);
}
END_TEST

// --- colours

// The luminance (0 to 1) of a colour of style.gp, by its name there (WCAG 2.1, relative luminance:
// what is left of it in grey).
static double luminance(const char *style, const char *name) {
    char key[32];
    unsigned rgb;
    double linear[3];
    snprintf(key, sizeof key, "\n%s = \"#", name);
    const char *at = strstr(style, key);
    ck_assert_msg(at != NULL && sscanf(at + strlen(key), "%x", &rgb) == 1, "no colour %s", name);
    for (int i = 0; i < 3; i++) {
        double c = (double)(rgb >> (16 - 8 * i) & 255) / 255;
        linear[i] = c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
    }
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

static double contrast(double a, double b) { return (fmax(a, b) + 0.05) / (fmin(a, b) + 0.05); }

// The words of "array NAME[7] = [A, B, …]".
static void list(char out[7][16], const char *style, const char *name) {
    char key[32];
    snprintf(key, sizeof key, "\narray %s[7] = [", name);
    const char *at = strstr(style, key);
    ck_assert_msg(at != NULL, "no list %s", name);
    at += strlen(key);
    for (int i = 0; i < 7; i++) {
        size_t length = strcspn(at, ",] ");
        snprintf(out[i], 16, "%.*s", (int)length, at);
        at += length;
        at += strspn(at, ", ");
    }
    ck_assert_int_eq(*at, ']');
}

START_TEST(neighbouring_categories_differ_in_grey_and_in_hatching) {
    char *style, fills[TIME_COUNT][16], hatches[TIME_COUNT][16];
    size_t length;
    Arena a = {0};
    ck_assert_ok(file_read(&style, &length, &a, test_source("viz/style.gp")));
    list(fills, style, "FILL");
    list(hatches, style, "HATCH");
    for (int i = 0; i < TIME_COUNT; i++) {
        // The next one, and the one after it where the next takes no time.
        for (int k = i + 1; k <= i + 2 && k < TIME_COUNT; k++) {
            double c = contrast(luminance(style, fills[i]), luminance(style, fills[k]));
            ck_assert_msg(c >= 1.5, "%s beside %s: contrast %.2f", fills[i], fills[k], c);
        }
        ck_assert_str_ne(hatches[i], "3");  // solid
        for (int k = i + 1; k < TIME_COUNT; k++) ck_assert_str_ne(hatches[i], hatches[k]);
    }
    arena_finish(&a);
}
END_TEST

START_TEST(measured_simulated_and_ideal_differ_in_dash_and_point) {
    char *style, lines[3][80];
    size_t length;
    Arena a = {0};
    ck_assert_ok(file_read(&style, &length, &a, test_source("viz/style.gp")));
    static const char *const want[] = {"lw 2 dt 1 pt 7", "lw 2 dt 2 pt 6", "dt 3"};
    for (int i = 0; i < 3; i++) {
        char key[32];
        snprintf(key, sizeof key, "\nset style line %d ", i + 1);
        const char *at = strstr(style, key);
        ck_assert_ptr_nonnull(at);
        snprintf(lines[i], sizeof lines[i], "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
        ck_assert_msg(strstr(lines[i], want[i]) != NULL, "%s", lines[i]);
    }
    arena_finish(&a);
}
END_TEST

SUITE("figures_draw", throughput_shows_every_run_and_a_median_for_each_size,
      figures_of_devices_say_gpus_and_have_no_bars, a_long_title_goes_on_in_a_second_line,
      one_measured_step_has_no_bar,
      a_breakdown_shows_no_exponents, a_breakdown_has_hatched_bars_beside_filled_ones,
      parity_marks_what_is_held_out_and_writes_signed_errors,
      learning_has_four_panels_of_the_same_runs, scripts_run_by_themselves_in_every_terminal,
      a_terminal_that_this_gnuplot_lacks_does_not_stop_it, make_says_which_style_is_missing,
      make_draws_all_figures_again, previews_fit_80_columns_and_24_lines_and_leave_nothing_behind,
      nothing_in_a_name_is_executed, neighbouring_categories_differ_in_grey_and_in_hatching,
      measured_simulated_and_ideal_differ_in_dash_and_point)
