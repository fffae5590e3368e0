// SPDX-License-Identifier: MIT
// What figures write without gnuplot: data, scripts, provenance, notes.
// Pictures are tested in test_figures_draw.c.
#include "core/base/file.h"
#include "core/base/json.h"
#include "tests/support/figure_case.h"
#include "viz/figures_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FigureCase it;

#define HEAD                                \
    "# command\ttrain --model 'it'\\''s'\n" \
    "# run\tnet, cpu, f32, seed 7\n"        \
    "# machine\tA processor, 2 cores\n"     \
    "# columns with units\n"

START_TEST(scaling_data_are_medians_with_intervals_and_every_run) {
    figure_case_scaling(&it);
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    // The base is the median of 1000, 1200 and 1300; 2 ranks: 1800 / 2 / 1200 is 75 %.
    static const char want[] =
        HEAD "# series\tranks\tthroughput (samples/s)\tlow (samples/s)\thigh (samples/s)\t"
             "efficiency (%)\tlow (%)\thigh (%)\truns\n"
             "# measured\n"
             "measured\t1\t1200\t1000\t1300\t100\t83.3333\t108.333\t3\n"
             "measured\t2\t1800\t1500\t2000\t75\t62.5\t83.3333\t1\n"
             "\n\n# runs measured\n"
             "runs measured\t1\t1000\t900\t1050\t83.3333\t75\t87.5\t1\n"
             "runs measured\t1\t1300\t1200\t1400\t108.333\t100\t116.667\t1\n"
             "runs measured\t1\t1200\t1100\t1250\t100\t91.6667\t104.167\t1\n"
             "runs measured\t2\t1800\t1500\t2000\t75\t62.5\t83.3333\t1\n"
             "\n\n# simulated\n"
             "simulated\t1\t1260\t\t\t105\t\t\t\n"
             "simulated\t2\t1620\t\t\t67.5\t\t\t\n"
             "simulated\t4\t3600\t\t\t75\t\t\t\n"
             "\n\n# ideal\n"
             "ideal\t1\t1200\t\t\t100\t\t\t\n"
             "ideal\t2\t2400\t\t\t100\t\t\t\n"
             "ideal\t4\t4800\t\t\t100\t\t\t\n";
    ck_assert_str_eq(figure_case_file(&it, "throughput.dat"), want);
    ck_assert_str_eq(figure_case_file(&it, "efficiency.dat"), want);
    ck_assert_str_eq(figure_case_file(&it, "scaling.dat"), want);
    ck_assert_int_eq(it.notes.written, 3);
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_script_is_its_settings_and_the_body_that_all_share) {
    char *body;
    size_t length;
    figure_case_scaling(&it);
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    static const char want[] =
        "if (!exists(\"TERM\")) TERM=\"svg\"\n"
        "if (!exists(\"STYLE\")) STYLE=\"style.gp\"\n"
        "NAME = 'throughput'\nDATA = NAME.\".dat\"\nWIDTH = 720\nHEIGHT = 480\n"
        "MODEL = 'net'\nRANKS = 'ranks'\n"
        "TITLE = 'Throughput of net, weak scaling, 64 samples a rank'\n"
        "SCALE = 1000\nUNIT = 'thousand samples/s'\nLOG = 0\n"
        "array SERIES[2] = ['measured', 'simulated']\nINTERVALS = 1\nREPEATS = 3\n"
        "XMIN = 0.8\nXMAX = 4.2\nYMAX = 120\nSHADE_FROM = 2.5\nXTICS = '1, 2, 4'\n"
        "array CAPTION[5] = [ \\\n"
        "    'Measured: A processor, 2 cores, cpu, f32, shm, ranks 1, 2; 1 to 3 runs a size; 10 "
        "steps each. Simulated: cpu, f32,', \\\n";
    const char *script = figure_case_file(&it, "throughput.gp");
    ck_assert_msg(!strncmp(script, want, strlen(want)), "%s", script);
    ck_assert_ok(file_read(&body, &length, &it.arena, test_source("viz/throughput.gp")));
    const char *load = strstr(script, "]\nload STYLE\n\n");
    ck_assert_ptr_nonnull(load);
    ck_assert_str_eq(load + strlen("]\nload STYLE\n\n"), body);
    figure_case_finish(&it);
}
END_TEST

START_TEST(captions_say_machine_repeats_base_and_what_is_simulated) {
    json_t *root;
    const char *caption, *kind;
    int64_t ranks;
    double rate, low, step_ms;
    char path[200];
    figure_case_scaling(&it);
    it.options.platform = "dgx";
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    snprintf(path, sizeof path, "%s/throughput.json", it.directory);
    ck_assert_ok(json_read_file(&root, path));
    ck_assert_ok(json_get_string(&caption, root, path, "schema"));
    ck_assert_str_eq(caption, "tandem.figure.v1");
    ck_assert_ok(json_get_string(&caption, root, path, "argv[2]"));
    ck_assert_str_eq(caption, "it's");
    ck_assert_ok(json_get_string(&caption, root, path, "caption"));
    ck_assert_str_eq(
        caption,
        "Measured: A processor, 2 cores, cpu, f32, shm, ranks 1, 2; 1 to 3 runs a size; 10 steps "
        "each. Simulated: dgx, cpu, f32, shm, ranks 1, 2, 4. "
        "Points: medians; bars: of one run 8 of 10 steps; of several the range, from 5 runs on the "
        "95 % bootstrap interval, of their medians; faint beside them: single runs. Base: 1 rank "
        "measured, 1200 samples/s (53.33 ms a step). Ideal: the base's samples/s per rank, times "
        "ranks; efficiency: share of the ideal. Shaded: more than 2 ranks share cores.");
    ck_assert_ok(json_get_string(&kind, root, path, "base.kind"));
    ck_assert_str_eq(kind, "measured");
    ck_assert_ok(json_get_real(&step_ms, root, path, "base.step_ms"));
    ck_assert_ok(json_get_int(&ranks, root, path, "sizes[2].ranks"));
    ck_assert_ok(json_get_real(&rate, root, path, "sizes[0].measured.samples_per_s"));
    ck_assert_ok(json_get_real(&low, root, path, "sizes[0].measured.low"));
    ck_assert(ranks == 4 && rate == 1200 && low == 1000);
    ck_assert_close(step_ms, 64e3 / 1200, 1e-9);
    ck_assert(!json_find(root, "sizes[0].simulated.low"));  // it has no interval
    ck_assert(!json_find(root, "sizes[2].measured") && json_find(root, "sizes[2].simulated"));
    ck_assert(json_is_null(json_find(root, "picture")));  // there is no gnuplot
    json_decref(root);
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_constant_batch_is_strong_scaling) {
    figure_case_scaling(&it);
    for (int i = 0; i < it.options.measured.count; i++) ((Report *)it.measured[i])->run.batch = 64;
    for (int i = 0; i < it.options.simulated.count; i++)
        ((Report *)it.simulated[i])->run.batch = 64;
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    const char *script = figure_case_file(&it, "efficiency.gp");
    ck_assert_ptr_nonnull(strstr(script, "'Efficiency of net, strong scaling, batch 64'"));
    ((Report *)it.measured[0])->run.batch = 65;
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    script = figure_case_file(&it, "efficiency.gp");
    ck_assert_ptr_nonnull(strstr(script, "'Efficiency of net, batches that differ'"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(more_than_16_ranks_are_drawn_on_labelled_logarithmic_axes) {
    figure_case_init(&it, false);
    for (int ranks = 1; ranks <= 64; ranks *= 8) figure_case_simulate(&it, ranks, 100 * ranks);
    it.options.oversubscribed_from = 8;
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    const char *script = figure_case_file(&it, "throughput.gp");
    ck_assert_ptr_nonnull(strstr(script, "\nLOG = 1\n"));
    ck_assert_ptr_nonnull(strstr(script, "\nSHADE_FROM = 8.485281374\n"));  // sqrt(8 * 9)
    ck_assert_ptr_nonnull(strstr(script, "array SERIES[1] = ['simulated']\n"));
    ck_assert_ptr_nonnull(strstr(script, "Base: 1 rank simulated, 100 samples/s"));
    ck_assert_ptr_nonnull(strstr(script, "RANKS.(LOG ? \" (log scale)\" : \"\")"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(parity_pairs_sizes_and_judges_those_held_out) {
    static const int known[] = {1};
    figure_case_init(&it, false);
    figure_case_measure(&it, 1, 1200, 1000, 1300);
    figure_case_measure(&it, 2, 1600, 1280, 2000);
    figure_case_simulate(&it, 1, 1250);
    figure_case_simulate(&it, 2, 2000);
    figure_case_simulate(&it, 4, 3600);
    it.options.known_ranks = known;
    it.options.known_count = 1;
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    // Steps of 64 rows at 1200 (1300 to 1000) samples/s against 1250, of 128 at 1600 (2000 to
    // 1280) against 2000. The error is of the step time: 51.2 / 53.33 - 1 and 64 / 80 - 1.
    static const char want[] =
        HEAD "# position\tranks\tmeasured step (ms)\tlow (ms)\thigh (ms)\t"
             "simulated step (ms)\terror of the step time (%)\tlow (%)\thigh (%)\tset\n"
             "# known\n"
             "0\t1\t53.33333333\t49.23076923\t64\t51.2\t-4\t-20\t4\tknown\n"
             "\n\n# held out\n"
             "1\t2\t80\t64\t100\t64\t-20\t-36\t0\theld out\n"
             "\n\n# diagonal\n"
             "\t\t0\t\t\t0\t\t\t\tdiagonal\n"
             "\t\t108\t\t\t108\t\t\t\tdiagonal\n";
    ck_assert_str_eq(figure_case_file(&it, "parity.dat"), want);
    const char *facts = figure_case_file(&it, "parity.json");
    ck_assert_ptr_nonnull(
        strstr(facts, "Error: of the step time, simulated / measured - 1. Mean absolute error of "
                      "the 1 held-out world size: 20.0 %; worst: -20.0 % at 2 ranks."));
    ck_assert_int_eq(figure_case_count(facts, "\"held_out\": true"), 1);
    it.options.known_count = 0;
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "parity.json"),
                                 "Mean absolute error of the 2 held-out world sizes: 12.0 %"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(a_breakdown_sums_to_the_step_and_weighs_repeats_by_their_steps) {
    figure_case_init(&it, false);
    Report *r = figure_case_measure(&it, 1, 1000, 900, 1100);
    r->breakdown_ms[TIME_COMPUTE] = 4;  // and waiting 0.5
    r->breakdown_steps = 30;
    figure_case_measure(&it, 1, 1000, 900, 1100);  // 10 steps of 0.5 and 0.5
    figure_case_measure(&it, 2, 1000, 900, 1100);
    figure_case_simulate(&it, 2, 1000);
    ck_assert_ok(figures_breakdown(&it.options, &it.notes));
    static const char want[] = HEAD
        "# series\tranks\tposition\tcompute (ms)\tcontended (ms)\texposed_comm (ms)\tbubble (ms)\t"
        "waiting (ms)\thost (ms)\tidle (ms)\tstep (ms)\tsteps\n"
        "# measured\n"
        "measured\t1\t0\t3.125\t0\t0\t0\t0.5\t0\t0\t3.625\t40\n"  // (30 * 4 + 10 * 0.5) / 40
        "measured\t2\t0.81\t0.5\t0\t0\t0\t0.5\t0\t0\t1\t10\n"
        "\n\n# simulated\n"
        "simulated\t2\t1.19\t0.5\t0\t0\t0\t0.5\t0\t0\t1\t10\n";
    ck_assert_str_eq(figure_case_file(&it, "breakdown.dat"), want);
    const char *script = figure_case_file(&it, "breakdown.gp");
    ck_assert_ptr_nonnull(strstr(script, "array SHOWN[2] = [1, 5]\n"));  // compute and waiting
    ck_assert_ptr_nonnull(strstr(script, "XTICS = '\"1\" 0, \"2\" 1'\n"));
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "breakdown.json"),
                                 "Rule: an instant of a rank belongs to the first that applies"));
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "breakdown.json"),
                                 "contended (one was started but has it not)"));
    it.options.devices = true;
    ck_assert_ok(figures_breakdown(&it.options, &it.notes));
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "breakdown.json"),
                                 "contended (it takes longer beside a collective)"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(learning_is_kept_against_steps_samples_epochs_and_seconds) {
    figure_case_init(&it, false);
    figure_case_learn(&it, figure_case_measure(&it, 1, 1000, 900, 1100), 4);
    ck_assert_ok(figures_learning(&it.options, &it.notes));
    // An epoch has the 128 samples after which the first evaluation was made.
    static const char want[] =
        HEAD "# run\tsteps\tsamples\tepochs\tseconds (s)\tloss\tmean loss of 1 step\taccuracy\n"
             "# run 1\n"
             "1\t1\t64\t0.5\t0.01\t2\t2\t\n"
             "1\t2\t128\t1\t0.02\t1\t1\t\n"
             "1\t3\t192\t1.5\t0.03\t0.66666667\t0.66666667\t\n"
             "1\t4\t256\t2\t0.04\t0.5\t0.5\t\n"
             "\n\n# evaluations 1\n"
             "1\t2\t128\t1\t0.02\t0.5\t\t0.75\n"
             "1\t4\t256\t2\t0.04\t0.25\t\t0.875\n";
    ck_assert_str_eq(figure_case_file(&it, "learning.dat"), want);
    const char *script = figure_case_file(&it, "learning.gp");
    ck_assert_ptr_nonnull(strstr(script, "array AXIS[4] = [2, 3, 4, 5]\n"));
    ck_assert_ptr_nonnull(strstr(script, "array RUN[1] = [\"1 rank, batch 64\"]\n"));
    figure_case_finish(&it);
}
END_TEST

// Resumed after step 10: steps go on, samples and seconds are its own.
START_TEST(a_resumed_run_is_drawn_where_it_went_on) {
    figure_case_init(&it, false);
    Report *r = figure_case_measure(&it, 1, 1000, 900, 1100);
    figure_case_learn(&it, r, 4);
    const Evaluation last = {6, 14, 100, 0.25, 0.875};
    r->run.resumed_from = "w";
    r->run.resumed_step = 10;
    r->evaluations = &last;
    r->evaluation_count = 1;
    ck_assert_ok(figures_learning(&it.options, &it.notes));
    const char *data = figure_case_file(&it, "learning.dat");
    ck_assert_ptr_nonnull(strstr(data, "\n1\t11\t64\tnan\t0.01\t2\t2\t\n1\t12\t128\tnan\t"));
    ck_assert_ptr_nonnull(strstr(data, "\n1\t14\t256\tnan\t0.04\t0.25\t\t0.875\n"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(what_a_report_does_not_know_is_left_out_of_learning_and_noted) {
    figure_case_init(&it, false);
    Report *r = figure_case_measure(&it, 1, 1000, 900, 1100);
    figure_case_learn(&it, r, 200);
    r->step_end_s = NULL;
    r->epochs = 1;  // nobody knows whether it was whole
    ck_assert_ok(figures_learning(&it.options, &it.notes));
    figure_case_note_has(&it, "learning against seconds is not drawn: a report lacks step_end_s");
    figure_case_note_has(&it, "learning against epochs is not drawn");
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "learning.gp"), "array AXIS[2] = [2, 3]\n"));
    // 200 / 40: the mean of 5 steps, in row 5: 2 (1 + 1/2 + 1/3 + 1/4 + 1/5) / 5.
    ck_assert_ptr_nonnull(strstr(figure_case_file(&it, "learning.dat"),
                                 "\n1\t5\t320\tnan\tnan\t0.4\t0.91333333\t\n"));
    figure_case_finish(&it);
}
END_TEST

START_TEST(figures_without_data_are_not_written_and_say_why) {
    figure_case_init(&it, false);
    figure_case_measure(&it, 1, 1000, 900, 1100)->breakdown_steps = 0;
    figure_case_simulate(&it, 2, 1000)->breakdown_steps = 0;
    it.options.simulated.count = 0;
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    figure_case_note_has(&it,
                         "throughput and efficiency are not drawn: reports of one world size only");
    it.options.simulated.count = 1;
    ck_assert_ok(figures_parity(&it.options, &it.notes));
    figure_case_note_has(&it, "parity is not drawn: no world size was both simulated and measured");
    ck_assert_ok(figures_breakdown(&it.options, &it.notes));
    figure_case_note_has(&it, "breakdown is not drawn: no report kept spans");
    ck_assert_ok(figures_learning(&it.options, &it.notes));
    figure_case_note_has(&it, "learning is not drawn: no report of training has losses");
    ck_assert_int_eq(it.notes.count, 4);
    ck_assert(it.notes.written == 0 && figure_case_count_files(&it) == 0);
    figure_case_finish(&it);
}
END_TEST

static void divide(const Report *r, const RunSetting *settings, int count) {
    ((Report *)r)->run.strategy = settings;
    ((Report *)r)->run.strategy_count = count;
}

static void says(const char *figure, const char *part) {
    json_t *root;
    const char *caption;
    char path[200];
    snprintf(path, sizeof path, "%s/%s.json", it.directory, figure);
    ck_assert_ok(json_read_file(&root, path));
    ck_assert_ok(json_get_string(&caption, root, path, "caption"));
    ck_assert_msg(strstr(caption, part) != NULL, "%s", caption);
    json_decref(root);
}

// Once, or beside the sizes where they differ; the ranks of the data are those of the sizes.
START_TEST(captions_say_how_ranks_are_divided) {
    static const RunSetting two[] = {{"dp", "2"}, {"tp", "2"}, {"cp", "1"}},
                            four[] = {{"pp", "2"}, {"tp", "2"}, {"zero", "1"}};
    figure_case_scaling(&it);
    for (int i = 0; i < it.options.measured.count; i++) divide(it.measured[i], two, 3);
    divide(it.simulated[it.options.simulated.count - 1], four, 3);
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    says("throughput", "Measured: A processor, 2 cores, cpu, f32, shm, tp 2, ranks 1, 2; ");
    says("throughput", "Simulated: cpu, f32, shm, ranks 1, 2, 4 (pp 2, tp 2). ");
    figure_case_finish(&it);
    figure_case_init(&it, false);
    for (int i = 0; i < 2; i++) {
        Report *r = figure_case_measure(&it, 4, 1000, 900, 1100);
        figure_case_learn(&it, r, 4);
        divide(r, two, 3);
    }
    ck_assert_ok(figures_learning(&it.options, &it.notes));
    says("learning", "Measured: A processor, 2 cores, cpu, f32, dp 2, tp 2, 2 runs. ");
    divide(it.measured[1], four, 3);
    ck_assert_ok(figures_learning(&it.options, &it.notes));
    says("learning", "f32, ranks divided in several ways, 2 runs. ");
    figure_case_finish(&it);
}
END_TEST

START_TEST(reports_that_differ_in_what_the_caption_says_are_refused) {
    figure_case_scaling(&it);
    ((Report *)it.measured[1])->run.model = "mlp";
    ck_assert_fails(figures_scaling(&it.options, &it.notes), ERR_USAGE,
                    "reports of the models net and mlp cannot share a figure");
    ((Report *)it.measured[1])->run.model = "net";
    ((Report *)it.measured[1])->run.device = "reference";
    ck_assert_fails(figures_parity(&it.options, &it.notes), ERR_USAGE, "devices cpu and reference");
    ((Report *)it.measured[1])->run.model = "mlp";
    for (int i = 0; i < 2; i++) figure_case_learn(&it, (Report *)it.measured[i], 4);
    ck_assert_fails(figures_learning(&it.options, &it.notes), ERR_USAGE, "models net and mlp");
    ck_assert_int_eq(figure_case_count_files(&it), 0);
    figure_case_finish(&it);
}
END_TEST

START_TEST(five_repeats_get_a_bootstrap_interval) {
    // Of 5 values the least is the median of a resample with probability 0.058, of 9 values with
    // 0.001, and one of the two least with 0.030.
    double five[] = {3, 1, 2, 5, 4}, again[] = {5, 4, 3, 2, 1}, low, high, low2, high2;
    double nine[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    ck_assert_ok(series_bootstrap_median(&low, &high, five, 5));
    ck_assert(low == 1 && high == 5);
    ck_assert_ok(series_bootstrap_median(&low2, &high2, again, 5));
    ck_assert(low2 == low && high2 == high);
    ck_assert_ok(series_bootstrap_median(&low, &high, nine, 9));
    ck_assert(low == 2 && high == 8);
    figure_case_init(&it, false);
    for (int i = 0; i < 9; i++) figure_case_measure(&it, 1, 1000 + i, 900, 1100);
    figure_case_measure(&it, 2, 2000, 1900, 2100);
    ck_assert_ok(figures_scaling(&it.options, &it.notes));
    ck_assert_ptr_nonnull(
        strstr(figure_case_file(&it, "throughput.dat"), "measured\t1\t1004\t1001\t1007\t"));
    figure_case_finish(&it);
}
END_TEST

SUITE("figures", scaling_data_are_medians_with_intervals_and_every_run,
      a_script_is_its_settings_and_the_body_that_all_share,
      captions_say_machine_repeats_base_and_what_is_simulated, a_constant_batch_is_strong_scaling,
      more_than_16_ranks_are_drawn_on_labelled_logarithmic_axes,
      parity_pairs_sizes_and_judges_those_held_out,
      a_breakdown_sums_to_the_step_and_weighs_repeats_by_their_steps,
      learning_is_kept_against_steps_samples_epochs_and_seconds,
      a_resumed_run_is_drawn_where_it_went_on,
      what_a_report_does_not_know_is_left_out_of_learning_and_noted,
      figures_without_data_are_not_written_and_say_why, captions_say_how_ranks_are_divided,
      reports_that_differ_in_what_the_caption_says_are_refused,
      five_repeats_get_a_bootstrap_interval)
