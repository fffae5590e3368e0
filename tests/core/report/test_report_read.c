// SPDX-License-Identifier: MIT
// Reports of others are not believed: what whoever compares or draws them could not do with.
#include "tests/support/report_sample.h"
#include "tests/support/report_text.h"

static char path[128];

// The report as a file in which the first `from` behind `after` is `to`, read.
static Status reread(Report *back, Arena *a, const char *after, const char *from, const char *to) {
    Report r;
    make(&r, a);
    const char *text = report_text(a, &r, "r.json"), *at = strstr(text, after);
    ck_assert_msg(at && (at = strstr(at, from)), "no %s behind %s in\n%s", from, after, text);
    snprintf(path, sizeof path, "%s/r.json", test_directory());
    FILE *f = fopen(path, "w");
    fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(f);
    return report_read(back, a, path);
}

START_TEST(a_median_that_is_no_time_is_refused_with_its_place) {
    static const struct {
        const char *after, *from, *to, *message;
    } cases[] = {
        {"\"step_ms\"", "5.0", "0", "r.json: step_ms.median: expected a number above 0, found 0"},
        {"\"step_ms\"", "5.0", "null", "step_ms.median: expected a number above 0, found null"},
        {"\"step_ms\"", "5.0", "-1", "step_ms: median: expected 0 to 4.32e+09, or null, found -1"},
        {"\"step_ms\"", "5.0", "1e308", "step_ms: median: expected 0 to 4.32e+09, or null, found"},
        {"\"step_ms\"", "5.8", "-5.8", "step_ms: p90: expected 0 to"},
        {"\"step_ms\"", "\"p99\": ", "\"p99\": -", "r.json: step_ms.p99: expected 0 to"},
        {"\"samples_per_s\"", "1333.3333333333333", "0", "samples_per_s.median: expected a number"},
        {"\"samples_per_s\"", "1333.3333333333333", "1e16", "samples_per_s: median: expected 0 to"},
        {"\"breakdown_ms\"", "2.0", "-2.0", "breakdown_ms.compute: expected 0 to 4.32e+09"},
        {"\"coverage\"", "0.75", "75", "coverage: expected 0 to 1, or null, found 75"},
        {"\"operations\"", "\"median\": ", "\"median\": -", "operations[0]: duration_ms: median"},
        {"\"accuracy\": 0.9375\n", "0.9375", "9375", "evaluations[1]: accuracy: expected 0 to 1"},
        {"\"memory_bytes\"", "100", "-100", "memory_bytes[0].parameters: expected at least 0"},
        {"\"comm_bytes\"", "800", "-800", "comm_bytes[0]: expected at least 0"},
        {"\"evaluations\"", "\"step\": 2", "\"step\": -2", "step: expected 0 to"},
        {"\"steps\"", "\"unrecorded_steps\": 0", "\"unrecorded_steps\": 5",
         "unrecorded_steps: expected 0 to 4, found 5"},
    };
    Arena a = {0};
    Report back;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_fails(reread(&back, &a, cases[i].after, cases[i].from, cases[i].to), ERR_FORMAT,
                        cases[i].message);
    arena_finish(&a);
}
END_TEST

// Reports of before they were kept have no tails.
START_TEST(a_report_without_tails_is_read) {
    Arena a = {0};
    Report back;
    ck_assert_ok(reread(&back, &a, "\"step_ms\"", "\"p99\"", "\"other\""));
    ck_assert_close(back.step_tails_ms.p95, 5.9, 1e-9);
    ck_assert(isnan(back.step_tails_ms.p99));
    arena_finish(&a);
}
END_TEST

START_TEST(a_name_that_a_terminal_would_obey_is_refused) {
    static const struct {
        const char *after, *from, *to, *place;
    } cases[] = {
        {"{", "\"net\"", "\"n\\u001b[2Jet\"", "r.json: model: expected a name, found control"},
        {"{", "\"cpu\"", "\"cpu\\n# machine\"", "r.json: device: expected a name"},
        {"{", "\"shm\"", "\"\\u009b2J\"", "r.json: comm: expected a name"},
        {"\"operations\"", "\"fc\"", "\"f\\u001b[31mc\"", "operations[0]: name: expected a name"},
        {"\"operations\"", "\"forward\"", "\"\\u0007\"", "operations[0]: phase: expected a name"},
        {"\"machine\"", "A processor", "A\\nprocessor", "machine.cpu: expected a name"},
        {"\"strategy\"", "4,32", "4\\r32", "bucket_kib: expected a name"},
        {"\"optimizer\"", "\"sgd\"", "\"s\\u001b[2Jgd\"", "name: expected a name"},
        {"\"started\"", "2026", "\\t2026", "started: expected a name"},
    };
    Arena a = {0};
    Report back;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_fails(reread(&back, &a, cases[i].after, cases[i].from, cases[i].to), ERR_FORMAT,
                        cases[i].place);
    // A command line may have been anything; it is read as it can be shown.
    ck_assert_ok(reread(&back, &a, "\"argv\"", "--data", "--\\u001bdata\\n"));
    ck_assert_str_eq(back.run.argv[1], "--?data?");
    arena_finish(&a);
}
END_TEST

// As launch_run() does in a run of more than 4,194,304 turns: the record ends, training does not.
START_TEST(steps_that_the_record_had_no_room_for_are_counted) {
    Arena a = {0};
    Report r, back;
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 4, 20));
    for (int step = 0; step < 7; step++) {
        begin(&t, 0, step, step / 2, 8, 7.0 - step, step * 10);
        timeline_end_step(&t, (step + 1) * 10 * MS);
    }
    begin(&t, 2, 6, 3, 0, 0, 70);  // an evaluation is no training step
    timeline_end_step(&t, 75 * MS);
    ck_assert_ok(report_from_timelines(&r, &a, (const Program *const[]){&program},
                                       (const Timeline *const[]){&t}, 1));
    timeline_destroy(&t);
    r.run = (RunInfo){.kind = "train", .model = "m", .device = "cpu", .comm = "none"};
    r.run.dtype = "f32";
    r.run.ranks = r.run.shards = 1;
    ck_assert(r.steps == 7 && r.unrecorded_steps == 3 && r.loss_count == 4 && r.epochs == 4);
    ck_assert(r.loss[3] == 4 && r.last_loss == 1);
    snprintf(path, sizeof path, "%s/u.json", test_directory());
    ck_assert_ok(report_write(&r, path));
    ck_assert_ok(report_read(&back, &a, path));
    ck_assert(back.steps == 7 && back.unrecorded_steps == 3 && back.last_loss == 1);
    const char *md = report_text(&a, &r, "u.md");
    ck_assert_ptr_nonnull(strstr(md, "| recorded | the first 4 steps, which times and losses are"));
    ck_assert_ptr_nonnull(
        strstr(md, "Training loss: 7.0000 at the first step, 1.0000 at the last"));
    ck_assert_ptr_nonnull(strstr(md, "Times of 3 steps; the first of the run"));
    char text[4096] = "";
    FILE *f = fmemopen(text, sizeof text, "w");
    report_print(&r, f, false);
    report_write_plain(&r, f);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, ", 7 steps\n  recorded   the first 4 steps: times and"));
    ck_assert_ptr_nonnull(strstr(text, "7.0000 at the first step, 1.0000 at the last"));
    ck_assert_ptr_nonnull(strstr(text, "\nloss_last 1.0\n"));
    arena_finish(&a);
}
END_TEST

SUITE("report_read", a_report_without_tails_is_read,
      a_median_that_is_no_time_is_refused_with_its_place,
      a_name_that_a_terminal_would_obey_is_refused,
      steps_that_the_record_had_no_room_for_are_counted)
