// SPDX-License-Identifier: MIT
// Reports for people: what they leave out, how several become one, what may reach a screen.
#include "core/base/printable.h"
#include "tests/support/report_sample.h"
#include "tests/support/report_text.h"

#include <ctype.h>
#include <stdlib.h>

static int count(const char *text, const char *part) {
    int found = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) found++;
    return found;
}

// What report_print() shows.
static char *printed(const Report *r) {
    static char *text;
    size_t size;
    free(text);
    FILE *f = open_memstream(&text, &size);
    report_print(r, f, false);
    fclose(f);
    return text;
}

// As sim makes one for devices: nothing was trained, nobody measured a load.
static void simulate(Report *r, Arena *a, int ranks, double samples_per_s) {
    make(r, a);
    MemoryUse *memory = ARENA_NEW(a, MemoryUse, ranks);
    int64_t *bytes = ARENA_NEW(a, int64_t, ranks);
    for (int i = 0; i < ranks; i++) memory[i] = (MemoryUse){{100, 200}, NONE};
    r->memory = memory;
    r->comm_bytes = bytes;
    r->run.kind = "sim";
    r->run.device = "timed";
    r->run.comm = "network";
    r->run.ranks = r->run.shards = ranks;
    r->run.batch = 64 * ranks;
    r->steps = r->breakdown_steps = 2;
    r->epochs = r->warm_up_steps = 1;
    r->loss_count = r->evaluation_count = 0;
    r->last_loss = r->wall_s = (double)NAN;
    r->parameters_hash = 0;
    r->started[0] = '\0';
    r->samples_per_s = (Spread){samples_per_s, samples_per_s, samples_per_s, samples_per_s};
    double ms = 1e3 * (double)r->run.batch / samples_per_s;
    r->step_ms = (Spread){ms, ms, ms, ms};
    r->machine = (HostInfo){.cpu = "dgx-a100: A100", .load = (double)NAN};
}

START_TEST(a_simulation_shows_nothing_that_it_does_not_have) {
    Arena a = {0};
    Report r;
    simulate(&r, &a, 8, 4000);
    const char *const texts[] = {report_text(&a, &r, "s.md"), report_text(&a, &r, "s.html")};
    static const char *const none[] = {"Learning", "load",   "nan",   "epochs", "warms up",
                                       "cores",    "median", "timed", "steps:", "p10",
                                       "network",  "rank ",  "ranks", "Spans c"};
    for (int i = 0; i < 2; i++) {
        test_has(texts[i], "Simulating net on 8 GPUs");
        test_has(texts[i], "dgx-a100: A100");
        for (size_t k = 0; k < sizeof none / sizeof *none; k++) test_lacks(texts[i], none[k]);
    }
    test_has(texts[0],
             "|  | simulated |\n|---|---:|\n| samples/s | 4000 |\n| step, ms | 128.0 |\n");
    arena_finish(&a);
}
END_TEST

// Of 1,000 bytes a device has 600.
START_TEST(a_simulation_shows_what_it_answers) {
    Arena a = {0};
    Report rows[2];
    ReportAnswers answers = {.tokens_per_s = 64000,
                             .mfu = 0.25,
                             .hfu = 0.5,
                             .class = "stage1",
                             .lost_to = TIME_EXPOSED_COMM,
                             .fits_with = "--zero 1"};
    simulate(&rows[0], &a, 1, 1000);
    simulate(&rows[1], &a, 2, 1800);
    rows[0].answers = rows[1].answers = &answers;
    answers.memory_bytes[MEMORY_ACTIVATIONS] = 1000;
    rows[1].device_bytes = 600;
    const char *md = report_text(&a, &rows[1], "s.md");
    test_has(md, "| tokens/s | 64000 |\n| model flops utilisation | 25.00 % |\n"
                 "| hardware flops utilisation | 50.00 % |\n");
    test_has(md, "A step does not fit: 1000B of 600B on stage1. With --zero 1 it would.");
    rows[1].device_bytes = 1000;
    test_lacks(report_text(&a, &rows[1], "s.md"), "does not fit");
    const Report *const reports[] = {&rows[0], &rows[1]};
    md = reports_text(&a, reports, 2, "sweep.md");
    test_has(md, "| MFU | lost to |\n");
    test_has(md, "| 25.00 % | exposed\\_comm |\n");
    rows[0].answers = NULL;
    test_lacks(reports_text(&a, reports, 2, "sweep.md"), "MFU");
    arena_finish(&a);
}
END_TEST

// Why they differ, and how far out they go; answers have no quantiles.
START_TEST(steps_that_differ_say_why) {
    static const struct {
        const char *jitter, *text;
    } cases[] = {
        {NULL, "\n40 recorded steps, each simulated from its own durations.\n"},
        {"recorded", "\n40 steps drawn from recorded ones, each of all ranks.\n"},
        {"apart", "\n40 steps drawn from recorded ones, by each rank for itself.\n"},
        {"0.1", "\n40 steps, with computations whose coefficient of variation is 0.1.\n"},
    };
    Arena a = {0};
    Report r;
    const ReportAnswers answers = {.tokens_per_s = 64000, .mfu = 0.25, .hfu = 0.5};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const RunSetting strategy[] = {{"overlap", "true"}, {"jitter", cases[i].jitter}};
        simulate(&r, &a, 8, 4000);
        r.steps = 41;
        r.answers = &answers;
        r.step_tails_ms = (Tails){101, 102, 103};
        r.run.strategy = strategy;
        r.run.strategy_count = cases[i].jitter ? 2 : 1;
        const char *md = report_text(&a, &r, "s.md");
        test_has(md, cases[i].text);
        test_has(md, "\nFurther out: p5 101 ms, p95 102 ms, p99 103 ms.\n");
        test_has(md, "| tokens/s | 64000 | – | – | – |\n");
    }
    arena_finish(&a);
}
END_TEST

START_TEST(failures_have_a_section) {
    Arena a = {0};
    Report r;
    const ReportFailures failures = {.device_mtbf_s = 3.6e6,
                                     .mtbf_s = 36000,
                                     .checkpoint_s = 60,
                                     .restart_s = 300,
                                     .young_s = 2078,
                                     .daly_s = 2038,
                                     .best_s = 2100,
                                     .best_steps = 1050,
                                     .goodput = 0.925,
                                     .goodput_error = 0.0012,
                                     .expected = 0.9261,
                                     .checkpoint = 0.03,
                                     .redo = 0.04,
                                     .restart = 0.005,
                                     .step_ms = 138.4,
                                     .failures = 20000};
    simulate(&r, &a, 100, 4000);
    test_lacks(report_text(&a, &r, "s.md"), "Failures");
    r.failures = &failures;
    const char *md = report_text(&a, &r, "s.md");
    test_has(md, "## Failures and checkpoints");
    test_has(md, "1000 h of one GPU, 10 h of the run");
    test_has(md, "best 35 minutes (1050 steps); Young 34.63, Daly 33.97");
    test_has(md, "92.50 % of the time, +- 0.12 (by Daly's formula 92.61 %)");
    test_has(md, "saving 3.00 %, work done again 4.00 %, restarts 0.50 %");
    test_has(md, "| a step, with failures | 138.4 ms |");
    arena_finish(&a);
}
END_TEST

START_TEST(a_sweep_is_one_document_with_every_size_and_a_figure_of_scaling) {
    Arena a = {0};
    Report rows[3];
    simulate(&rows[0], &a, 1, 1000);
    simulate(&rows[1], &a, 2, 1800);
    simulate(&rows[2], &a, 4, 3000);
    for (int i = 0; i < 3; i++) rows[i].breakdown_ms[TIME_IDLE] = 0;
    const Report *const reports[] = {&rows[0], &rows[1], &rows[2]};
    const char *md = reports_text(&a, reports, 3, "sweep.md");
    test_has(md, "# Simulating net on 1 to 4 GPUs\n");
    // 1800 of 1000 is 1.8, 90 % of 2; 3000 is 3, 75 % of 4. Bubbles take no time and no column.
    test_has(
        md, "| GPUs | batch | step, ms | samples/s | speed-up | efficiency | compute | contended | "
            "exposed\\_comm | waiting | host |\n");
    test_has(md, "| 1 | 64 | 64.00 | 1000 | 1.00x | 100.00 % | 2.0000 |");
    test_has(md, "| 2 | 128 | 71.11 | 1800 | 1.80x | 90.00 % | 2.0000 |");
    test_has(md, "| 4 | 256 | 85.33 | 3000 | 3.00x | 75.00 % | 2.0000 |");
    test_has(md, "Weak scaling: the batch grows with the size.");
    test_has(md, "## In detail: 4 GPUs\n");
    const char *html = reports_text(&a, reports, 3, "sweep.html");
    ck_assert_int_eq(count(html, "aria-label=\"Speed-up against the number of ranks\""), 1);
    ck_assert_int_eq(count(html, "<circle"), 3);
    test_has(html, ">1.80x</text>");
    test_has(html, ">GPUs (log scale)</text>");
    // Up to 4 GPUs of the ideal: log 3 / log 4 of the height is 0.79, from y = 30 + 180 up.
    test_has(html, "<circle cx=\"560.0\" cy=\"67.4\"");
    for (int i = 0; i < 3; i++) rows[i].run.batch = 256;
    test_has(reports_text(&a, reports, 3, "sweep.md"),
             "Strong scaling: every size has the same global");
    rows[1].run.batch = 255;
    test_lacks(reports_text(&a, reports, 3, "sweep.md"), " scaling: ");
    arena_finish(&a);
}
END_TEST

START_TEST(a_sweep_as_json_is_a_list) {
    Arena a = {0};
    Report rows[2], back;
    char path[128];
    simulate(&rows[0], &a, 1, 1000);
    simulate(&rows[1], &a, 2, 1800);
    const Report *const reports[] = {&rows[0], &rows[1]};
    const char *text = reports_text(&a, reports, 2, "l.json");
    ck_assert(text[0] == '[' && count(text, "\"tandem.report.v1\"") == 2);
    snprintf(path, sizeof path, "%s/l.json", test_directory());
    ck_assert_ok(report_write_all(reports, 2, path));
    ck_assert_fails(report_read(&back, &a, path), ERR_FORMAT,
                    "l.json: a list of 2 reports, as a sweep of `sim` writes it; give one report");
    arena_finish(&a);
}
END_TEST

START_TEST(one_step_has_no_statistics) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    r.steps = r.loss_count = 2;  // the first warms up
    const char *text = printed(&r), *md;
    test_has(text, "  samples/s  1333 (1 step)\n");
    test_has(text, "  step       5.000 ms (1 step), of which\n");
    test_lacks(text, "8 of 10");
    test_lacks(text, "median");
    md = report_text(&a, &r, "one.md");
    test_has(md, "|  | 1 step |\n|---|---:|\n| samples/s | 1333 |\n");
    test_has(md, "Times of 1 step; the first of the run, which warms up, is left out.");
    test_lacks(md, "p10");
    r.steps = r.loss_count = 1;
    r.warm_up_steps = 0;
    test_has(printed(&r), "(1 step)");
    test_has(report_text(&a, &r, "one.md"), "Times of 1 step.\n");
    arena_finish(&a);
}
END_TEST

// No page scrolls sideways: what is wide does, by itself, and numbers and names are never broken.
START_TEST(tables_and_figures_scroll_by_themselves) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    const char *html = report_text(&a, &r, "w.html");
    test_has(html,
             "th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #ddd; "
             "white-space: nowrap }");
    test_has(html, ".wide { overflow-x: auto }");
    ck_assert_int_eq(count(html, "<table"), count(html, "<div class=\"wide\"><table"));
    ck_assert_int_eq(count(html, "<svg"), count(html, "<div class=\"wide\">\n<svg"));
    ck_assert_int_eq(count(html, "<div"), count(html, "</div>"));
    arena_finish(&a);
}
END_TEST

START_TEST(a_document_says_how_weights_were_updated_and_who_disturbed) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    r.run.disturbed = (HostUse){.cores = 2, .threads = 2, .seconds = 3, .others_cores = 0.63};
    test_has(report_text(&a, &r, "o.md"), "| optimizer | name=sgd lr=0.05 |\n");
    test_has(report_text(&a, &r, "o.md"), "| disturbed | others used 63 % of a core |\n");
    test_has(report_text(&a, &r, "o.html"), "<td>optimizer</td><td>name=sgd lr=0.05</td>");
    r.run.disturbed.others_cores = 0;
    r.run.optimizer_count = 0;
    test_lacks(report_text(&a, &r, "o.md"), "disturbed");
    test_lacks(report_text(&a, &r, "o.md"), "optimizer");
    arena_finish(&a);
}
END_TEST

START_TEST(neighbours_that_use_as_much_memory_share_a_row) {
    Arena a = {0};
    Report r;
    simulate(&r, &a, 64, 1000);
    ((MemoryUse *)r.memory)[63].planned[0]++;
    const char *md = report_text(&a, &r, "m.md");
    ck_assert_int_eq(count(md, "| 0 to 62 | 100B |"), 1);
    ck_assert_int_eq(count(md, "| 63 | 101B |"), 1);
    for (int i = 0; i < 64; i++) ((MemoryUse *)r.memory)[i].planned[0] = i;
    test_has(report_text(&a, &r, "m.md"), "48 more GPUs are in the .json report.");
    arena_finish(&a);
}
END_TEST

START_TEST(evaluations_count_epochs_from_1_everywhere) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    test_has(
        report_text(&a, &r, "e.md"),
        "| epoch | after step | held-out loss | accuracy | samples |\n|---|---:|---:|---:|---:|\n"
        "| 1 | 2 | 1.7500 | 50.00 % | 100 |\n| 2 | 4 | 0.1000 | 93.75 % | 100 |\n");
    test_has(report_text(&a, &r, "e.json"), "\"epoch\": 1,\n      \"step\": 2,");
    test_has(printed(&r), "93.75 % of 100 held-out samples after step 4\n");
    arena_finish(&a);
}
END_TEST

// Names come from files and command lines of others; a terminal obeys control characters, in UTF-8
// also U+0080 to U+009F.
START_TEST(no_control_character_reaches_a_screen) {
    Arena a = {0};
    Report r;
    char *text;
    size_t size;
    make(&r, &a);
    const char *bad = "x\033]0;owned\a\xc2\x9b"
                      "2J\ry\nz\x7f\xff";
    const char *const argv[] = {"train", bad};
    const RunSetting setting = {"link", bad};
    r.run.model = r.run.device = r.run.comm = r.run.dtype = bad;
    r.run.argv = argv;
    r.run.argc = 2;
    r.run.strategy = &setting;
    r.run.strategy_count = 1;
    for (int i = 0; i < r.operation_count; i++) ((OperationTimes *)r.operations)[i].name = bad;
    snprintf(r.machine.cpu, sizeof r.machine.cpu, "%s", bad);
    FILE *f = open_memstream(&text, &size);
    report_print(&r, f, false);
    report_write_csv(&r, f);
    report_write_plain(&r, f);
    ck_assert_ok(report_write_json(&r, f));
    fputs(report_text(&a, &r, "c.md"), f);
    fputs(report_text(&a, &r, "c.html"), f);
    fclose(f);
    for (char *c = text; *c; c++)
        if (*c == '\n') *c = ' ';
    for (const char *at = text; *at; at += printable_length(at))
        ck_assert_msg(printable_length(at) > 0, "byte 0x%02x after \"%.40s\"", (unsigned char)*at,
                      at - 40);
    free(text);
    arena_finish(&a);
}
END_TEST

SUITE("report_document", a_simulation_shows_nothing_that_it_does_not_have,
      a_simulation_shows_what_it_answers, steps_that_differ_say_why, failures_have_a_section,
      a_sweep_is_one_document_with_every_size_and_a_figure_of_scaling, a_sweep_as_json_is_a_list,
      one_step_has_no_statistics, tables_and_figures_scroll_by_themselves,
      a_document_says_how_weights_were_updated_and_who_disturbed,
      neighbours_that_use_as_much_memory_share_a_row, evaluations_count_epochs_from_1_everywhere,
      no_control_character_reaches_a_screen)
