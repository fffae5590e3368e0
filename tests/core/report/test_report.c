// SPDX-License-Identifier: MIT
// A report worked out by hand from the two ranks of report_sample.h, and its formats.
#include "core/base/file.h"
#include "tests/support/report_sample.h"
#include "tests/support/report_text.h"

#include <stdio.h>
#include <string.h>

START_TEST(quantiles_are_interpolated_between_the_two_values_around_them) {
    const double v[] = {1, 2, 4, 8};
    ck_assert_close(statistics_quantile(v, 4, 0), 1, 0);
    ck_assert_close(statistics_quantile(v, 4, 1), 8, 0);
    ck_assert_close(statistics_quantile(v, 4, 0.5), 3, 0);        // position 1.5: between 2 and 4
    ck_assert_close(statistics_quantile(v, 4, 0.1), 1.3, 1e-15);  // position 0.3
    ck_assert_close(statistics_quantile(v, 4, 0.9), 6.8, 1e-14);  // position 2.7: 4 + 0.7 * 4
    ck_assert_close(statistics_quantile(v, 1, 0.9), 1, 0);
    ck_assert(isnan(statistics_quantile(v, 0, 0.5)));
    double shuffled[] = {8, 1, 4, 2};
    const double shares[] = {0.9, 0, 0.1, 1, 0.5};  // of values in any order, which it may change
    for (int i = 0; i < 5; i++)
        ck_assert(statistics_quantile_of(shuffled, 4, shares[i]) ==
                  statistics_quantile(v, 4, shares[i]));
    ck_assert(isnan(statistics_quantile_of(shuffled, 0, 0.5)));
    Spread s = statistics_spread(shuffled, 4);
    ck_assert_close(s.median, 3, 0);
    ck_assert_close(s.mean, 3.75, 0);
}
END_TEST

START_TEST(speed_is_that_of_the_training_steps_after_the_first) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    ck_assert(r.steps == 4 && r.epochs == 2 && r.warm_up_steps == 1);
    // Steps 1, 2, 3 take (4 + 6) / 2 = 5, 6 and (2 + 4) / 2 = 3 ms; sorted 3 5 6.
    ck_assert_close(r.step_ms.median, 5, 1e-12);
    ck_assert_close(r.step_ms.p10, 3.4, 1e-12);  // position 0.2
    ck_assert_close(r.step_ms.p90, 5.8, 1e-12);  // position 1.8
    ck_assert_close(r.step_ms.mean, 14.0 / 3, 1e-12);
    ck_assert_close(r.step_tails_ms.p5, 3.2, 1e-12);    // position 0.1
    ck_assert_close(r.step_tails_ms.p95, 5.9, 1e-12);   // position 1.9
    ck_assert_close(r.step_tails_ms.p99, 5.98, 1e-12);  // position 1.98
    // 8 rows in 5 ms, 8 in 6 ms, 4 in 3 ms; altogether 20 in 14 ms.
    ck_assert_close(r.samples_per_s.median, 4000.0 / 3, 1e-9);
    ck_assert_close(r.samples_per_s.p90, 4000.0 / 3 + 0.8 * (1600 - 4000.0 / 3), 1e-9);
    ck_assert_close(r.samples_per_s.mean, 20000.0 / 14, 1e-9);
    const double loss[] = {2, 1.5, 1.25, 1};
    ck_assert_int_eq(r.loss_count, 4);
    for (int i = 0; i < 4; i++) ck_assert_close(r.loss[i], loss[i], 0);
    ck_assert_close(report_accuracy(&r), 0.9375, 0);
    arena_finish(&a);
}
END_TEST

START_TEST(the_breakdown_sums_to_the_mean_step) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    // Of 2 ranks x 3 steps: compute 2 + 4 + 6, contended 1, exposed 1 + 6, waiting 1, host 2, idle
    // 1 + 4.
    const double total[TIME_COUNT] = {12, 1, 7, 0, 1, 2, 5};
    double sum = 0;
    for (int b = 0; b < TIME_COUNT; b++) {
        ck_assert_close(r.breakdown_ms[b], total[b] / 6, 1e-12);
        sum += r.breakdown_ms[b];
    }
    ck_assert_close(sum, r.step_ms.mean, 1e-12);
    ck_assert_int_eq(r.breakdown_steps, 3);
    // Rank 0 is idle for 1 of 12 ms, rank 1 for 4 of 16.
    ck_assert_close(r.coverage, 0.75, 1e-12);
    arena_finish(&a);
}
END_TEST

START_TEST(memory_and_payload_come_from_the_programs) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    for (int rank = 0; rank < 2; rank++) {
        const int64_t *planned = r.memory[rank].planned;
        ck_assert_int_eq(planned[MEMORY_PARAMETERS], 100);
        ck_assert_int_eq(planned[MEMORY_GRADIENTS], 100);
        ck_assert_int_eq(planned[MEMORY_ACTIVATIONS], 3007);
        ck_assert_int_eq(planned[MEMORY_SCRATCH], 8);
        ck_assert_int_eq(r.memory[rank].unplanned, NONE);
        ck_assert_int_eq(r.comm_bytes[rank], (1000 + 1000 + 400) / 3);
    }
    arena_finish(&a);
}
END_TEST

START_TEST(steps_without_their_spans_are_left_out_of_the_breakdown) {
    Arena a = {0};
    Report r;
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 3, 2));
    for (int step = 0; step < 3; step++) {  // the third does not fit
        begin(&t, 0, step, 0, 8, 1, step * 10);
        span(&t, COMPUTE, step * 10, step * 10 + 4, 0, 4);
        timeline_end_step(&t, (step + 1) * 10 * MS);
    }
    const Program *programs[] = {&program};
    const Timeline *timelines[] = {&t};
    ck_assert_ok(report_from_timelines(&r, &a, programs, timelines, 1));
    ck_assert_int_eq(r.steps, 3);
    ck_assert_int_eq(r.breakdown_steps, 1);
    ck_assert_close(r.breakdown_ms[TIME_COMPUTE], 4, 1e-12);
    ck_assert_close(r.breakdown_ms[TIME_IDLE], 6, 1e-12);
    timeline_destroy(&t);

    // No room for spans at all; a single step is no warm-up.
    ck_assert_ok(timeline_create(&t, 0, 1, 0));
    begin(&t, 0, 0, 0, 8, 1, 0);
    span(&t, COMPUTE, 0, 4, 0, 4);
    timeline_end_step(&t, 10 * MS);
    ck_assert_ok(report_from_timelines(&r, &a, programs, timelines, 1));
    ck_assert(r.breakdown_steps == 0 && r.warm_up_steps == 0);
    ck_assert(isnan(r.coverage));
    ck_assert_close(r.step_ms.median, 10, 1e-12);
    timeline_destroy(&t);
    arena_finish(&a);
}
END_TEST

START_TEST(ranks_that_recorded_different_steps_make_no_report) {
    Arena a = {0};
    Report r;
    Timeline zero, one;
    record(&zero, &one);
    const Program *programs[] = {&program, &program};
    const Timeline *timelines[] = {&zero, &one};
    one.steps[2].step = 7;
    ck_assert_fails(report_from_timelines(&r, &a, programs, timelines, 2), ERR_FAILED,
                    "rank 1's record 2");
    one.step_count--;
    ck_assert_fails(report_from_timelines(&r, &a, programs, timelines, 2), ERR_FAILED,
                    "rank 1 recorded 4");
    timeline_destroy(&zero);
    timeline_destroy(&one);
    arena_finish(&a);
}
END_TEST

START_TEST(a_json_report_is_read_back_bit_for_bit) {
    Arena a = {0};
    Report r, back;
    char path[128];
    make(&r, &a);
    ((MemoryUse *)r.memory)[1].unplanned = 12345;
    ((double *)r.loss)[2] = (double)NAN;
    ((double *)r.loss)[3] = 0.1 + 0.2;
    snprintf(path, sizeof path, "%s/report.json", test_directory());
    ck_assert_ok(report_write(&r, path));
    ck_assert_ok(report_read(&back, &a, path));
    ck_assert_str_eq(back.run.kind, "train");
    ck_assert(back.run.seed == r.run.seed);
    ck_assert_int_eq(back.run.strategy_count, 4);
    for (int i = 0; i < 4; i++) ck_assert_str_eq(back.run.strategy[i].value, settings[i].value);
    ck_assert_str_eq(back.run.strategy[1].key, settings[1].key);
    ck_assert_int_eq(back.run.argc, 3);
    ck_assert_str_eq(back.run.argv[2], command[2]);
    ck_assert_mem_eq(&back.run.disturbed, &r.run.disturbed, sizeof(HostUse));
    ck_assert(back.steps == 4 && back.epochs == 2 && back.warm_up_steps == 1 &&
              back.breakdown_steps == 3);
    ck_assert_mem_eq(&back.samples_per_s, &r.samples_per_s, sizeof r.samples_per_s);
    ck_assert_mem_eq(&back.step_ms, &r.step_ms, sizeof r.step_ms);
    ck_assert_mem_eq(back.breakdown_ms, r.breakdown_ms, sizeof r.breakdown_ms);
    ck_assert_mem_eq(back.memory, r.memory, 2 * sizeof *r.memory);
    ck_assert_mem_eq(back.comm_bytes, r.comm_bytes, 2 * sizeof *r.comm_bytes);
    ck_assert(back.loss_count == 4 && isnan(back.loss[2]) && back.loss[3] == r.loss[3]);
    ck_assert(back.evaluation_count == 2);
    ck_assert_mem_eq(&back.evaluations[1], &r.evaluations[1], sizeof(Evaluation));
    ck_assert(back.coverage == r.coverage && isnan(back.tracing_overhead) && back.wall_s == 0.1);
    ck_assert_str_eq(back.machine.cpu, "A processor");
    ck_assert_str_eq(back.started, "2026-01-31T12:00:00.250Z");
    ck_assert(back.parameters_hash == 0x0fedcba987654321);
    arena_finish(&a);
}
END_TEST

// 3000 ranks of which the last third needs more, and one in the middle sends more: four items.
START_TEST(alike_ranks_of_a_large_world_share_an_item) {
    enum { RANKS = 3000 };
    Arena a = {0};
    Report r, back;
    char path[128], text[1 << 14] = "";
    make(&r, &a);
    MemoryUse *memory = ARENA_NEW(&a, MemoryUse, RANKS);
    int64_t *comm = ARENA_NEW(&a, int64_t, RANKS);
    ck_assert(memory && comm);
    for (int i = 0; i < RANKS; i++) {
        memory[i] = (MemoryUse){.planned = {i < 2000 ? 10 : 20, 5}, .unplanned = NONE};
        comm[i] = i == 1000 ? 8 : 7;
    }
    r.memory = memory;
    r.comm_bytes = comm;
    r.run.ranks = RANKS;
    snprintf(path, sizeof path, "%s/large.json", test_directory());
    ck_assert_ok(report_write(&r, path));
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_lt(fread(text, 1, sizeof text - 1, f), sizeof text - 1);
    fclose(f);
    int items = 0;
    for (const char *at = text; (at = strstr(at, "\"unplanned\"")); at++) items++;
    ck_assert_int_eq(items, 4);
    ck_assert_ok(report_read(&back, &a, path));
    ck_assert_int_eq(back.run.ranks, RANKS);
    ck_assert_mem_eq(back.memory, memory, RANKS * sizeof *memory);
    ck_assert_mem_eq(back.comm_bytes, comm, RANKS * sizeof *comm);
    arena_finish(&a);
}
END_TEST

START_TEST(a_json_report_has_its_members_in_order_and_their_types) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    const char *text = report_text(&a, &r, "r.json"), *at = text;
    // clang-format off
    const char *const parts[] = {
        "\"schema\": \"tandem.report.v1\"", "\"kind\": \"train\"", "\"model\": \"net\"",
        "\"dp\": 2", "\"bucket_kib\": \"4,32\"", "\"overlap\": true", "\"tag\": \"007\"",
        "\"ranks\": 2", "\"samples_per_s\"", "\"step_ms\"", "\"p90\": 5.8", "\"breakdown_ms\"",
        "\"compute\": 2.0", "\"phases_ms\"", "\"operations\"", "\"memory_bytes\"",
        "\"parameters\": 100", "\"unplanned\": null",
        "\"comm_bytes\": [800, 800]", "\"loss\": [2.0, 1.5, 1.25, 1.0]", "\"accuracy\": 0.9375",
        "\"tracing_overhead\": null", "\"started\": \"2026-01-31T12:00:00.250Z\"", "\"wall_s\"",
        "\"machine\""};
    // clang-format on
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        at = strstr(at, parts[i]);
        ck_assert_msg(at != NULL, "%s is missing or out of order in\n%s", parts[i], text);
    }
    arena_finish(&a);
}
END_TEST

static int count(const char *text, const char *part) {
    int found = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) found++;
    return found;
}

START_TEST(documents_show_the_same_facts) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    const char *md = report_text(&a, &r, "r.md"), *html = report_text(&a, &r, "r.html");
    ck_assert_ptr_nonnull(strstr(md, "# Training net on 2 ranks\n"));
    ck_assert_ptr_nonnull(strstr(md, "| step, ms | 5.0000 | 3.4000 | 5.8000 | 4.6667 |"));
    ck_assert_ptr_nonnull(strstr(md, "| compute | 2.0000 | 42.86 % |"));  // 2 of 14/3
    ck_assert_ptr_nonnull(strstr(md, "| exposed\\_comm |"));
    ck_assert_ptr_nonnull(strstr(md, "a \\<b> & \"c\" \\| d |"));
    ck_assert_ptr_nonnull(strstr(html, "<td>compute</td><td>2.0000</td><td>42.86 %</td>"));
    ck_assert_ptr_nonnull(strstr(html, "a &lt;b&gt; &amp; "));
    ck_assert_int_eq(count(html, "<svg"), 2);
    ck_assert_int_eq(count(html, "<rect"), TIME_COUNT);
    ck_assert_int_eq(count(html, "<tr>"), count(html, "</tr>"));
    ck_assert_int_eq(count(html, "http"),
                     count(html, "http://www.w3.org/2000/svg"));  // loads nothing
    ck_assert(!strstr(html, "nan") && !strstr(md, "nan"));
    arena_finish(&a);
}
END_TEST

START_TEST(a_report_of_nothing_is_written_in_every_format) {
    Arena a = {0};
    Report r;
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 1, 1));
    ck_assert_ok(report_from_timelines(&r, &a, (const Program *const[]){&program},
                                       (const Timeline *const[]){&t}, 1));
    r.run = (RunInfo){
        .kind = "sim", .model = "m", .device = "d", .comm = "c", .dtype = "f32", .ranks = 1};
    const char *const names[] = {"r.json", "r.md", "r.html"};
    for (int i = 0; i < 3; i++) ck_assert_ptr_null(strstr(report_text(&a, &r, names[i]), "nan"));
    timeline_destroy(&t);
    arena_finish(&a);
}
END_TEST

START_TEST(a_long_loss_curve_keeps_its_extremes_and_breaks_at_what_is_not_finite) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    static double loss[28000];  // 100 steps share a column
    for (int i = 0; i < 28000; i++) loss[i] = 1;
    loss[5] = 8;                // column 0: mean 1.07, up to 8
    loss[10050] = (double)NAN;  // column 100
    r.loss = loss;
    r.loss_count = 28000;
    const char *html = report_text(&a, &r, "r.html");
    // The axis is 0 to 8, upper edge at y = 10, lower at 210: 8 is y 10, 1 is y 185,
    // 1.07 is y 183.25.
    ck_assert_ptr_nonnull(strstr(html, "M61.0 185.0V10.0M"));
    ck_assert_ptr_nonnull(strstr(html, "M61.0 183.2L63.0 185.0L"));
    ck_assert_ptr_nonnull(strstr(html, "L259.0 185.0M263.0 185.0L"));  // nothing at 261
    arena_finish(&a);
}
END_TEST

START_TEST(the_summary_fits_a_terminal) {
    Arena a = {0};
    Report r;
    char text[4096] = "";
    make(&r, &a);
    for (int b = 0; b < TIME_COUNT; b++) r.breakdown_ms[b] = 12345.678;
    for (int rank = 0; rank < 2; rank++)
        for (int m = 0; m < MEMORY_COUNT; m++)
            ((MemoryUse *)r.memory)[rank].planned[m] = 999LL << 40;
    ((MemoryUse *)r.memory)[1].unplanned = 999LL << 30;
    ((MemoryUse *)r.memory)[1].planned[0]++;
    r.run.model = "a model whose name is very long:layers=12345,hidden=123456,heads=1234,more=5";
    FILE *f = fmemopen(text, sizeof text, "w");
    report_print(&r, f, false);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, "... on 2 ranks"));  // of a name that is cut
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++)
        ck_assert_msg(strlen(line) <= 80, "%zu columns: %s", strlen(line), line);
    ck_assert_msg(lines == 15 || lines == 16, "%d lines", lines);
    arena_finish(&a);
}
END_TEST

START_TEST(degrees_of_model_parallelism_stand_under_the_title) {
    const RunSetting divided[] = {{"dp", "3"}, {"pp", "2"},         {"tp", "4"},
                                  {"cp", "1"}, {"accumulate", "8"}, {"schedule", "interleaved:2"}};
    const RunSetting replicas[] = {{"dp", "3"}, {"pp", "1"}};
    Arena a = {0};
    Report r;
    char text[4096] = "";
    make(&r, &a);
    r.run.strategy = divided;
    r.run.strategy_count = 6;
    FILE *f = fmemopen(text, sizeof text, "w");
    report_print(&r, f, false);
    fclose(f);
    ck_assert_msg(strstr(text, "\n  mesh       pp 2, dp 3, tp 4\n"
                               "  schedule   interleaved:2, 8 micro-batches\n") != NULL,
                  "%s", text);
    r.run.strategy = replicas;
    r.run.strategy_count = 2;
    memset(text, 0, sizeof text);
    f = fmemopen(text, sizeof text, "w");
    report_print(&r, f, false);
    fclose(f);
    ck_assert_ptr_null(strstr(text, "mesh"));
    ck_assert_ptr_null(strstr(text, "schedule"));
    arena_finish(&a);
}
END_TEST

START_TEST(a_share_too_small_for_a_bar_ends_its_line) {
    Arena a = {0};
    Report r;
    char text[4096] = "";
    make(&r, &a);
    memset(r.breakdown_ms, 0, sizeof r.breakdown_ms);
    r.breakdown_ms[TIME_COMPUTE] = 99.8;
    r.breakdown_ms[TIME_HOST] = 0.2;  // 0.06 of 30 columns
    FILE *f = fmemopen(text, sizeof text, "w");
    report_print(&r, f, false);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, "    host             0.200 ms    0.2 %\n"));
    ck_assert_ptr_null(strstr(text, " \n"));
    arena_finish(&a);
}
END_TEST

START_TEST(the_summary_says_the_essential) {
    Arena a = {0};
    Report r;
    char text[4096] = "";
    make(&r, &a);
    FILE *f = fmemopen(text, sizeof text, "w");
    report_print(&r, f, false);
    fclose(f);
    // clang-format off
    const char *const parts[] = {
        "net on 2 ranks (cpu, f32, shm), batch 8", "2.0000 at the first step, 1.0000 at the last",
        "93.75 % of 100", "1333 (median", "5.000 ms (median; 3.400 to 5.800), mean 4.667",
        "compute          2.000 ms   42.9 %  #############\n", "payload 800B a step"};
    // clang-format on
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "\"%s\" is missing in\n%s", parts[i], text);
    ck_assert_ptr_null(strstr(text, "bubble"));  // takes no time
    arena_finish(&a);
}
END_TEST

// A file with the first `from` of `text` replaced.
static void write_changed(const char *path, const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s", from);
    FILE *f = fopen(path, "w");
    fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(f);
}

START_TEST(a_damaged_report_is_refused_with_the_place) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    const char *good = report_text(&a, &r, "r.json");
    char path[128];
    snprintf(path, sizeof path, "%s/bad.json", test_directory());
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"tandem.report.v1", "tandem.report.v9", "schema \"tandem.report.v9\""},
        {"\"step_ms\"", "\"step_s\"", "bad.json: step_ms is missing"},
        {"\"ranks\": 2", "\"ranks\": \"two\"", "bad.json: ranks: expected a whole number"},
        {"\"ranks\": 2", "\"ranks\": 3",
         "memory_bytes: expected one item for each of 3 ranks, found 2"},
        {"\"ranks\": 2", "\"ranks\": 0", "ranks: expected 1 to"},
        {"\"loss\": [2.0, 1.5", "\"loss\": [2.0, \"x\"", "loss[1]: expected a number"},
        {"\"gradients\": 100", "\"gradients\": 1.5", "memory_bytes[0].gradients"},
        {"0fedcba987654321", "0fedcba98765432", "parameters_hash: expected 16 hexadecimal digits"},
        {"\"overlap\": true", "\"overlap\": [1]", "strategy.overlap"},
        {"\"started\": \"2026", "\"started\": 7, \"no\": \"", "started: expected a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_changed(path, good, cases[i].from, cases[i].to);
        ck_assert_fails(report_read(&r, &a, path), ERR_FORMAT, cases[i].message);
    }
    write_changed(path, "{\n\"schema\": ", "{", "{");
    ck_assert_fails(report_read(&r, &a, path), ERR_FORMAT, "bad.json:2:");
    ck_assert_fails(report_read(&r, &a, "/no/such/report.json"), ERR_INPUT, "/no/such/report.json");
    arena_finish(&a);
}
END_TEST

START_TEST(a_report_needs_a_known_format_and_a_writable_place) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    ck_assert_fails(report_write(&r, "/tmp/report.pdf"), ERR_USAGE, ".json, .md or .html");
    ck_assert_fails(report_write(&r, "/no/such/place/r.json"), ERR_IO, "/no/such/place/r.json");
    ck_assert_fails(report_write(&r, "/no/such/place/r.md"), ERR_IO, "/no/such/place/r.md");
    arena_finish(&a);
}
END_TEST

START_TEST(words_that_are_not_utf8_still_make_a_valid_report) {
    Arena a = {0};
    Report r, back;
    char path[128];
    make(&r, &a);
    const char *const argv[] = {"train", "caf\xe9.idx"};
    r.run.argv = argv;
    r.run.argc = 2;
    snprintf(path, sizeof path, "%s/r.json", test_directory());
    ck_assert_ok(report_write(&r, path));
    ck_assert_ok(report_read(&back, &a, path));
    ck_assert_str_eq(back.run.argv[1], "caf?.idx");
    arena_finish(&a);
}
END_TEST

SUITE("report", quantiles_are_interpolated_between_the_two_values_around_them,
      speed_is_that_of_the_training_steps_after_the_first, the_breakdown_sums_to_the_mean_step,
      memory_and_payload_come_from_the_programs,
      steps_without_their_spans_are_left_out_of_the_breakdown,
      ranks_that_recorded_different_steps_make_no_report, a_json_report_is_read_back_bit_for_bit,
      alike_ranks_of_a_large_world_share_an_item,
      a_json_report_has_its_members_in_order_and_their_types, documents_show_the_same_facts,
      a_report_of_nothing_is_written_in_every_format,
      a_long_loss_curve_keeps_its_extremes_and_breaks_at_what_is_not_finite,
      the_summary_fits_a_terminal, degrees_of_model_parallelism_stand_under_the_title,
      a_share_too_small_for_a_bar_ends_its_line, the_summary_says_the_essential,
      a_damaged_report_is_refused_with_the_place,
      a_report_needs_a_known_format_and_a_writable_place,
      words_that_are_not_utf8_still_make_a_valid_report)
