// SPDX-License-Identifier: MIT
// What a report says of single steps: when each ended and how many samples it had seen.
#include "core/base/file.h"
#include "core/report/report.h"
#include "tests/support/report_text.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

static Op op = {.work = 0};
static Work work = {.kind = KIND_LINEAR, .name = NONE};
static const Program program = {
    .works = &work, .work_count = 1, .plans = {{.ops = &op, .op_count = 1}}, .plan_count = 1};
static const int64_t MS = 1000000000;  // in ps

static void turn(Timeline *t, int step, int rows, int start_ms, int end_ms) {
    StepRecord *s = timeline_begin_step(t, 0, step, start_ms * MS);
    s->rows = rows;
    s->loss = rows ? 4.0 - step : 0;
    timeline_end_step(t, end_ms * MS);
}

// Four steps that begin 5 ms after the run, the last one of 4 rows; an evaluation from 19 to 30 ms.
static void make(Report *r, Arena *a) {
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 5, 5));
    turn(&t, 0, 8, 5, 15);
    turn(&t, 1, 8, 15, 19);
    turn(&t, 1, 0, 19, 30);
    turn(&t, 2, 8, 30, 36);
    turn(&t, 3, 4, 36, 38);
    ck_assert_ok(report_from_timelines(r, a, (const Program *const[]){&program},
                                       (const Timeline *const[]){&t}, 1));
    timeline_destroy(&t);
    r->run = (RunInfo){.kind = "train", .model = "m", .device = "cpu", .comm = "none"};
    r->run.dtype = "f32";
    r->run.ranks = r->run.shards = 1;
}

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    return path;
}

// The report as a file, its first `from` changed to `to`, read back.
static Status reread(Report *back, Arena *a, const Report *r, const char *from, const char *to) {
    const char *text = report_text(a, r, "r.json"), *path = path_of("r.json");
    const char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s in\n%s", from, text);
    FILE *f = fopen(path, "w");
    fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(f);
    return report_read(back, a, path);
}

START_TEST(steps_end_on_the_clock_that_starts_with_the_first) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    const double end_s[] = {0.010, 0.014, 0.031, 0.033};  // the evaluation lies between two of them
    const int64_t samples[] = {8, 16, 24, 28};
    ck_assert_int_eq(r.loss_count, 4);
    for (int i = 0; i < 4; i++) ck_assert_close(r.step_end_s[i], end_s[i], 1e-15);
    ck_assert_mem_eq(r.step_samples, samples, sizeof samples);
    arena_finish(&a);
}
END_TEST

START_TEST(they_are_read_back_bit_for_bit) {
    Arena a = {0};
    Report r, back;
    make(&r, &a);
    ((double *)r.step_end_s)[1] = 0.1 + 0.2;
    ((int64_t *)r.step_samples)[3] = 9007199254740993;  // 2^53 + 1: no double holds it
    ck_assert_ok(reread(&back, &a, &r, "\"step_samples\": [8, 16, 24, 9007199254740993]",
                        "\"step_samples\": [8, 16, 24, 9007199254740993]"));
    ck_assert_mem_eq(back.step_end_s, r.step_end_s, 4 * sizeof *r.step_end_s);
    ck_assert_mem_eq(back.step_samples, r.step_samples, 4 * sizeof *r.step_samples);
    arena_finish(&a);
}
END_TEST

START_TEST(older_reports_without_them_are_read) {
    Arena a = {0};
    Report r, back;
    make(&r, &a);
    ck_assert_ok(reread(&back, &a, &r, "\"step_samples\"", "\"of_another_program\""));
    ck_assert(back.step_end_s && !back.step_samples && back.loss_count == 4);
    r.step_end_s = NULL;
    ck_assert_ok(reread(&back, &a, &r, "\"step_end_s\": null,", ""));
    ck_assert(!back.step_end_s && back.step_samples[3] == 28);
    ck_assert_ok(reread(&back, &a, &r, "\"step_end_s\": null,", "\"step_end_s\": null,"));
    ck_assert(!back.step_end_s);
    arena_finish(&a);
}
END_TEST

START_TEST(damaged_ones_are_refused_with_the_place) {
    Arena a = {0};
    Report r, back;
    make(&r, &a);
    ck_assert_fails(reread(&back, &a, &r, "\"step_samples\": [8, ", "\"step_samples\": ["),
                    ERR_FORMAT,
                    "r.json: step_samples: expected one item for each of 4 losses, found 3");
    ck_assert_fails(reread(&back, &a, &r, "\"step_end_s\": [0.01", "\"step_end_s\": [true"),
                    ERR_FORMAT, "step_end_s[0]: expected a number");
    ck_assert_fails(reread(&back, &a, &r, "\"step_samples\": [8", "\"step_samples\": [8.5"),
                    ERR_FORMAT, "step_samples[0]: expected a whole number");
    arena_finish(&a);
}
END_TEST

SUITE("report_steps", steps_end_on_the_clock_that_starts_with_the_first,
      they_are_read_back_bit_for_bit, older_reports_without_them_are_read,
      damaged_ones_are_refused_with_the_place)
