// SPDX-License-Identifier: MIT
// The directory of figures: what is in it after gnuplot failed, hung or was interrupted, and what
// becomes of files that are there already.
#include "core/base/file.h"
#include "tests/support/figure_case.h"
#include "viz/figures_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FigureCase it;

START_TEST(without_gnuplot_data_and_scripts_are_written_with_a_note) {
    figure_case_scaling(&it);
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    ck_assert_int_eq(it.notes.count, 1);  // once, not for every figure
    figure_case_note_has(
        &it, "there is no gnuplot to draw with; the package gnuplot-nox brings it; data and "
             "scripts were written");
    ck_assert(it.notes.written == 4 && it.notes.drawn == 0);
    ck_assert_int_eq(figure_case_count_files(&it),
                     4 * 3 + 2);  // .dat, .gp, .json; style.gp and Makefile
    it.options.require = true;
    ck_assert_fails(figures_parity(&it.options, &it.notes), ERR_UNAVAILABLE, "gnuplot-nox");
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_gnuplot_that_fails_is_told_with_the_script) {
    figure_case_scaling(&it);
    setenv("PATH", "/usr/bin:/bin", 1);
    figure_case_program(
        "gnuplot", "echo half > .parity.svg.$PPID\n"
                   "printf '\\nplot x,\\n       ^\\n\"parity.gp\" line 9: bad\\n\\n' >&2\nexit 3");
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    figure_case_note_has(&it, "parity.gp: gnuplot failed (status 3): \"parity.gp\" line 9: bad");
    ck_assert_int_eq(figure_case_count_files(&it), 3 + 2);  // no picture, not even half of one
    it.options.require = true;
    ck_assert_fails(figures_parity(&it.options, &it.notes), ERR_FAILED,
                    "parity.gp: gnuplot failed");
    figure_case_program("gnuplot", "kill -9 $$");
    ck_assert_fails(figures_parity(&it.options, &it.notes), ERR_FAILED, "killed by signal 9");
    figure_case_program("gnuplot", "exit 0");
    ck_assert_fails(figures_parity(&it.options, &it.notes), ERR_FAILED, "gnuplot drew nothing");
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_gnuplot_that_hangs_is_stopped_and_not_started_again) {
    figure_case_scaling(&it);
    setenv("PATH", "/usr/bin:/bin", 1);
    figure_case_program("gnuplot", "echo started >> starts\nexec sleep 1000");
    it.options.gnuplot_seconds = 1;
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert(it.notes.hung && it.notes.written == 3 && it.notes.drawn == 0);
    figure_case_note_has(&it, "throughput.gp: gnuplot did not end within 1 second and was stopped");
    figure_case_note_has(
        &it, "scaling.gp: not drawn: gnuplot hung before; data and script were written");
    ck_assert_str_eq(figure_case_file(&it, "starts"), "started\n");
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "scaling.json"), "\"picture\": null"));
    FigureNotes fresh = {0};
    it.options.require = true;
    ck_assert_fails(figures_parity(&it.options, &fresh), ERR_FAILED, "did not end within");
    figure_case_finish(&it);
}
END_TEST

static int looks;
static bool interrupted_at_the_third_look(void) { return ++looks >= 3; }

START_TEST(an_interrupt_ends_gnuplot_and_keeps_data_and_scripts) {
    figure_case_scaling(&it);
    setenv("PATH", "/usr/bin:/bin", 1);
    figure_case_program("gnuplot", "exec sleep 1000");
    it.options.interrupted = interrupted_at_the_third_look;
    it.options.require = true;  // an interrupt is not a failure of gnuplot
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert_ok(figures_breakdown(&it.options, &it.notes));
    ck_assert(it.notes.interrupted && it.notes.written == 4 && it.notes.drawn == 0);
    figure_case_note_has(&it, "throughput.gp: interrupted while gnuplot was drawing");
    figure_case_note_has(&it, "breakdown.gp: not drawn: interrupted; data and script were written");
    ck_assert_int_eq(figure_case_count_files(&it), 4 * 3 + 2);
    figure_case_finish(&it);
}
END_TEST

START_TEST(gnuplot_gets_the_script_in_its_directory_and_the_numbers_of_c) {
    figure_case_scaling(&it);
    setenv("PATH", "/usr/bin:/bin", 1);
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    figure_case_program("gnuplot", "printf '%s|' \"$@\" \"$LC_ALL\" > said\npwd >> said");
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    char want[400], real[PATH_MAX];
    snprintf(want, sizeof want,
             "-d|-e|TERM=\"svg\"; OUTPUT=\".parity.svg.%d\"|parity.gp|C.UTF-8|%s\n", (int)getpid(),
             realpath(it.directory, real));
    ck_assert_str_eq(figure_case_file(&it, "said"), want);
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_style_and_a_makefile_that_are_there_are_kept) {
    char path[200];
    figure_case_scaling(&it);
    ck_assert_ok(file_make_directory(it.directory));
    snprintf(path, sizeof path, "%s/style.gp", it.directory);
    FILE *f = fopen(path, "w");
    fputs("mine\n", f);
    fclose(f);
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    ck_assert_str_eq(figure_case_file(&it, "style.gp"), "mine\n");
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "Makefile"), "# Made by Tandem."));
    figure_case_finish(&it);
}
END_TEST

static void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", it.directory, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

START_TEST(figures_that_an_earlier_run_left_are_removed_and_nothing_else) {
    figure_case_scaling(&it);
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    put("parity.svg", "<svg/>");
    put("throughput.svg", "<svg/>");
    put("throughput.png", "of data before these");
    put("throughput.txt", "mine");
    put("learning.dat", "mine: it has no .json");
    put("breakdown.json", "{\"schema\": \"another\", \"name\": \"breakdown\"}");
    put("breakdown.svg", "mine");
    put("scaling.json", "{\"schema\": \"tandem.figure.v1\", \"name\": \"efficiency\"}");  // renamed
    // Now a run that draws throughput alone.
    it.notes = (FigureNotes){.written = 1, .names = {"throughput"}};
    ck_assert_ok(figures_remove_stale(&it.options, &it.notes));
    static const char *const gone[] = {"parity.dat",      "parity.gp",      "parity.json",
                                       "parity.svg",      "efficiency.dat", "efficiency.gp",
                                       "efficiency.json", "throughput.png"};
    static const char *const kept[] = {"throughput.dat", "throughput.gp",  "throughput.json",
                                       "throughput.svg", "throughput.txt", "learning.dat",
                                       "breakdown.json", "breakdown.svg",  "scaling.dat",
                                       "style.gp",       "Makefile"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        ck_assert_msg(figure_case_file(&it, gone[i]) == NULL, "%s is there", gone[i]);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        ck_assert_msg(figure_case_file(&it, kept[i]) != NULL, "%s is gone", kept[i]);
    figure_case_note_has(&it, "removed 8 files of figures that an earlier run left");
    figure_case_finish(&it);
}
END_TEST

START_TEST(control_characters_of_names_stay_out_of_data_and_scripts) {
    figure_case_scaling(&it);
    const char *name = "n\033[2J\nset output\xc2\x9b x";
    const char *const argv[] = {"sim", name};
    for (int i = 0; i < it.options.measured.count; i++)
        ((Report *)it.measured[i])->run.model = name;
    for (int i = 0; i < it.options.simulated.count; i++)
        ((Report *)it.simulated[i])->run.model = name;
    snprintf(((Report *)it.measured[0])->machine.cpu, 30, "%s", name);
    it.options.platform = name;
    it.options.argv = argv;
    it.options.argc = 2;
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    static const char *const files[] = {"parity.dat",  "parity.gp",  "parity.json",
                                        "scaling.dat", "scaling.gp", "scaling.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *text = figure_case_file(&it, files[i]);
        ck_assert_msg(!strchr(text, '\033') && !strstr(text, "\xc2\x9b"), "%s", files[i]);
        ck_assert_msg(!strstr(text, "\nset output"), "%s", files[i]);
    }
    figure_case_finish(&it);
}
END_TEST

SUITE("figures_directory", without_gnuplot_data_and_scripts_are_written_with_a_note,
      a_gnuplot_that_fails_is_told_with_the_script,
      a_gnuplot_that_hangs_is_stopped_and_not_started_again,
      an_interrupt_ends_gnuplot_and_keeps_data_and_scripts,
      gnuplot_gets_the_script_in_its_directory_and_the_numbers_of_c,
      a_style_and_a_makefile_that_are_there_are_kept,
      figures_that_an_earlier_run_left_are_removed_and_nothing_else,
      control_characters_of_names_stay_out_of_data_and_scripts)
