// SPDX-License-Identifier: MIT
// `train --plot` and `--preview` as a user meets them.
#include "tests/support/command.h"
#include "viz/figures.h"

#include <string.h>

#define SMALL "--model linear --data digits:count=300 --steps 6 -q"

static Command it;

static void run(const char *line, int status) {
    command_run(&it, "%s", line);
    ck_assert_msg(it.status == status, "%s: status %d: %s", line, it.status, it.err);
}

#define NEEDS_GNUPLOT() \
    if (figures_find_gnuplot() != OK) SKIP("gnuplot is not installed: %s", status_message())

START_TEST(a_plot_is_two_figures_with_what_they_are_made_of) {
    NEEDS_GNUPLOT();
    run("train --plot 'my plots' --require-plot " SMALL, 0);
    static const char *const names[] = {"learning", "breakdown"}, *const ends[] = {"dat", "gp",
                                                                                   "json", "svg"};
    for (int i = 0; i < 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "my plots/%s.%s", names[i / 4], ends[i % 4]);
        ck_assert_msg(command_wrote(&it, name), "%s", name);
    }
    ck_assert(command_wrote(&it, "my plots/style.gp") && command_wrote(&it, "my plots/Makefile"));
    ck_assert_str_eq(it.err, "");  // six steps are one epoch and a half: nothing is left out
    command_finish(&it);
}
END_TEST

START_TEST(a_preview_follows_the_summary_and_leaves_no_file) {
    NEEDS_GNUPLOT();
    run("train --preview " SMALL, 0);
    const char *weights = strstr(it.out, "  weights "), *picture = strstr(it.out, "linear: loss");
    ck_assert(weights && picture && weights < picture);
    ck_assert_int_eq(command_count_files(&it, ""), 0);
    command_finish(&it);
}
END_TEST

START_TEST(without_gnuplot_training_succeeds_with_a_note) {
    run("mkdir none && PATH=${PATH%%:*}:$PWD/none train --plot plots --preview --log log " SMALL
        "; /bin/grep -q 'there is no gnuplot to draw with; the package gnuplot-nox brings it; data "
        "and scripts were written' log",
        0);
    ck_assert_str_eq(it.err, "");  // -q
    ck_assert(command_wrote(&it, "plots/learning.dat") &&
              !command_wrote(&it, "plots/learning.svg"));
    command_finish(&it);
}
END_TEST

// Status 130, like every interrupt; the report and the data are there.
START_TEST(an_interrupt_while_gnuplot_hangs_keeps_everything_but_the_pictures) {
    run("mkdir bin && printf '#!/bin/sh\ntouch started; exec sleep 1000\n' > bin/gnuplot && chmod "
        "+x "
        "bin/gnuplot && { PATH=$PWD/bin:$PATH timeout --foreground -k 60 50 train --plot plots "
        "--report "
        "r.json " SMALL " & } && n=0 && until [ -e plots/started ] || [ $n = 400 ]; do sleep 0.1; "
        "n=$((n + 1)); done "
        "&& kill -TERM $! && wait $!",
        130);
    ck_assert_ptr_nonnull(
        strstr(it.err, "train: stopping the drawing; Ctrl-C again stops at once"));
    ck_assert_ptr_nonnull(strstr(it.err, "data and scripts of the figures are kept"));
    ck_assert(command_wrote(&it, "r.json") && command_wrote(&it, "plots/learning.dat") &&
              command_wrote(&it, "plots/breakdown.gp") &&
              !command_wrote(&it, "plots/learning.svg"));
    command_finish(&it);
}
END_TEST

START_TEST(a_required_plot_fails_before_the_training) {
    run("mkdir none && PATH=${PATH%%:*}:$PWD/none train --plot plots --require-plot " SMALL, 2);
    ck_assert_str_eq(it.out, "");
    ck_assert_msg(strncmp(it.err, "train: --require-plot: there is no gnuplot", 42) == 0, "%s",
                  it.err);
    command_finish(&it);
}
END_TEST

START_TEST(a_run_leaves_nothing_of_an_earlier_one_in_its_directories) {
    run("train --trace run --record values --record-steps 0:3 --ranks 2 " SMALL " && "
        "test $(ls run | wc -l) = 4 && test $(ls values | wc -l) = 8 && "
        "train --trace run --record values --record-steps 1 --ranks 1 " SMALL " && ls run values",
        0);
    ck_assert_ptr_nonnull(strstr(it.out, "run:\nall.json\nmachine.yaml\nrank0.json\n\n"
                                         "values:\nrank0.step1.safetensors\n"));
    command_finish(&it);
}
END_TEST

START_TEST(lines_that_contradict_themselves_are_refused) {
    run("train --require-plot " SMALL, 2);
    ck_assert_ptr_nonnull(strstr(it.err, "--plot DIR or --preview"));
    command_finish(&it);
    run("train --preview --json " SMALL, 2);
    ck_assert_ptr_nonnull(strstr(it.err, "--preview writes to standard output"));
    command_finish(&it);
    run("touch file && train --plot file " SMALL, 1);
    ck_assert_ptr_nonnull(strstr(it.err, "--plot file: Not a directory"));
    command_finish(&it);
}
END_TEST

SUITE("train_plot", a_plot_is_two_figures_with_what_they_are_made_of,
      a_preview_follows_the_summary_and_leaves_no_file,
      without_gnuplot_training_succeeds_with_a_note,
      an_interrupt_while_gnuplot_hangs_keeps_everything_but_the_pictures,
      a_required_plot_fails_before_the_training,
      a_run_leaves_nothing_of_an_earlier_one_in_its_directories,
      lines_that_contradict_themselves_are_refused)
