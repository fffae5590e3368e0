// SPDX-License-Identifier: MIT
// The table of operations in a report.
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/report/report.h"
#include "tests/support/report_text.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

static char name_text[] = "fc\0bucket\0load\0compute\0data\0step";
enum { FC = 0, BUCKET = 3, LOADING = 10, COMPUTE_LANE = 15, DATA_LANE = 23, STEP = 28 };
static Work works[] = {{.name = FC, .kind = KIND_LINEAR, .phase = PHASE_FORWARD},
                       {.name = BUCKET, .kind = KIND_ALL_REDUCE, .phase = PHASE_SYNC},
                       {.name = LOADING, .kind = KIND_LOAD, .phase = PHASE_INPUT}};
static Lane lanes[] = {{.name = COMPUTE_LANE}, {.name = DATA_LANE}};
static const Program program = {.names = name_text,
                                .name_bytes = sizeof name_text,
                                .lanes = lanes,
                                .lane_count = 2,
                                .works = works,
                                .work_count = 3,
                                .plan_count = 2};

// The program with these operations as its plans 0 and 1.
static Program with_ops(Op *step, Op *other, int count) {
    Program p = program;
    p.plans[0] = (Plan){.name = STEP, .ops = step, .op_count = count};
    p.plans[1] = (Plan){.name = STEP, .ops = other, .op_count = count};
    return p;
}

static const int64_t MS = 1000000000;  // in ps

static void span(Timeline *t, int op, int start_ms, int end_ms, int wait_ms, int cpu_ms) {
    timeline_add_span(t, &(Span){.op = op,
                                 .start_ps = start_ms * MS,
                                 .end_ps = end_ms * MS,
                                 .wait_ns = wait_ms * 1000000,
                                 .cpu_ns = cpu_ms * 1000000});
}

static void begin(Timeline *t, int plan, int step, int start_ms) {
    timeline_begin_step(t, plan, step, start_ms * MS)->rows = 8;
}

// Ten steps in which an operation takes 1 to 10 ms on rank 0 and is computed twice a step under the
// same name, as two micro-batches; rank 1, of another class, does the second and one more.
static Op zero_ops[] = {{.work = 0}, {.work = 0, .micro_batch = 1}, {.work = 1, .lane = 1}};
static Op one_ops[] = {{.work = 0, .micro_batch = 1}, {.work = 1, .lane = 1}, {.work = 2}};

static void record_classes(Timeline *zero, Timeline *one) {
    static const int ms[] = {99, 3, 10, 1, 4, 2, 9, 5, 8, 7, 6};  // the first warms up
    ck_assert_ok(timeline_create(zero, 0, 11, 40));
    ck_assert_ok(timeline_create(one, 1, 11, 40));
    for (int i = 0, at = 0; i < 11; i++, at += 200) {
        begin(zero, 0, i, at);
        span(zero, 1, at, at + 20, 0, 19);
        span(zero, 0, at + 30, at + 30 + ms[i], 0, 1);
        span(zero, 2, at + 150, at + 160, 4, 2);
        timeline_end_step(zero, (at + 200) * MS);
        begin(one, 0, i, at);
        span(one, 0, at + 10, at + 50, 0, 39);
        span(one, 1, at + 150, at + 160, ms[i] < 6 ? 6 : 8, 2);
        if (i % 2) span(one, 2, at + 170, at + 175, 0, 1);  // guarded: every second step
        timeline_end_step(one, (at + 200) * MS);
    }
}

START_TEST(operations_are_medians_over_steps_and_means_over_ranks) {
    Arena a = {0};
    Report r;
    Timeline zero, one;
    record_classes(&zero, &one);
    const Program p0 = with_ops(zero_ops, zero_ops, 3), p1 = with_ops(one_ops, one_ops, 3);
    ck_assert_ok(report_from_timelines(&r, &a, (const Program *const[]){&p0, &p1},
                                       (const Timeline *const[]){&zero, &one}, 2));
    ck_assert_int_eq(r.operation_count, 4);  // of rank 0's plan, then what rank 1 has besides
    const OperationTimes *o = r.operations;
    ck_assert_str_eq(o[0].name, "fc");
    ck_assert_str_eq(o[0].kind, "linear");
    ck_assert_str_eq(o[0].phase, "forward");
    ck_assert_str_eq(o[0].lane, "compute");
    ck_assert(o[0].micro_batch == 0 && o[0].ranks == 1 && o[0].executions == 1);
    ck_assert_close(o[0].duration_ms.median, 5.5, 1e-9);  // of 1 .. 10: position 4.5
    ck_assert_close(o[0].duration_ms.p10, 1.9, 1e-9);     // position 0.9
    ck_assert_close(o[0].duration_ms.p90, 9.1, 1e-9);     // position 8.1
    ck_assert_close(o[0].duration_ms.mean, 5.5, 1e-9);
    ck_assert_close(o[0].start_ms, 30, 1e-9);
    // Both ranks: 20 and 40 ms, CPU time 19 and 39, beginning after 0 and 10.
    ck_assert(o[1].micro_batch == 1 && o[1].ranks == 2);
    ck_assert_close(o[1].duration_ms.median, 30, 1e-9);
    ck_assert_close(o[1].cpu_ms, 29, 1e-9);
    ck_assert_close(o[1].start_ms, 5, 1e-9);
    // Waits: rank 0 always 4; rank 1 6 in five steps, 8 in five: 7.
    ck_assert_str_eq(o[2].lane, "data");
    ck_assert_close(o[2].wait_ms, 5.5, 1e-9);
    ck_assert_str_eq(o[3].name, "load");
    ck_assert(o[3].ranks == 1 && o[3].executions == 0.5);
    // Forward: (5.5 on one of two ranks) + 30. Input: 5 ms in every second step on one of two.
    ck_assert_close(report_phase_ms(&r, "forward"), 32.75, 1e-9);
    ck_assert_close(report_phase_ms(&r, "input"), 1.25, 1e-9);
    ck_assert(isnan(report_phase_ms(&r, "update")));
    timeline_destroy(&zero);
    timeline_destroy(&one);
    arena_finish(&a);
}
END_TEST

// Steps 1 and 2 execute the plan that step 0 did, step 3 another one, step 4 the first again but
// without room for its spans.
static void record_plans(Timeline *t) {
    ck_assert_ok(timeline_create(t, 0, 5, 5));
    for (int i = 0; i < 4; i++) {
        begin(t, i == 3, i, 100 * i);
        span(t, 0, 100 * i, 100 * i + 10 * (i + 1), 0, 1);
        if (i == 2) span(t, 1, 100 * i + 50, 100 * i + 60, 2, 1);
        timeline_end_step(t, 100 * (i + 1) * MS);
    }
    begin(t, 0, 4, 400);
    span(t, 0, 400, 499, 0, 1);
    timeline_end_step(t, 500 * MS);
}

static void make(Report *r, Arena *a) {
    Timeline t;
    const Program p = with_ops(zero_ops, one_ops, 3);
    record_plans(&t);
    ck_assert_ok(report_from_timelines(r, a, (const Program *const[]){&p},
                                       (const Timeline *const[]){&t}, 1));
    timeline_destroy(&t);
    r->run = (RunInfo){.kind = "sim", .model = "m", .device = "d", .comm = "c", .ranks = 1};
    r->run.dtype = "f32";
}

START_TEST(operations_are_of_the_plan_that_most_steps_execute) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    ck_assert_int_eq(r.operation_count, 3);
    ck_assert_close(r.operations[0].duration_ms.median, 25, 1e-9);  // 20 and 30
    ck_assert_close(r.operations[0].executions, 1, 1e-9);
    ck_assert_close(r.operations[1].executions, 0.5, 1e-9);
    ck_assert_close(r.operations[1].wait_ms, 2, 1e-9);
    ck_assert_str_eq(r.operations[2].name, "bucket");  // nobody did it
    ck_assert(r.operations[2].ranks == 0 && r.operations[2].executions == 0);
    ck_assert(isnan(r.operations[2].duration_ms.median));
    arena_finish(&a);
}
END_TEST

START_TEST(quantiles_of_many_steps_are_those_of_the_sorted_durations) {
    enum { STEPS = 500 };
    static double ms[STEPS];
    const Program p = with_ops(zero_ops, zero_ops, 3);
    for (int count = 1; count <= STEPS; count += count < 12 ? 1 : 61) {
        Arena a = {0};
        Report r;
        Timeline t;
        uint32_t random = (uint32_t)count;
        ck_assert_ok(timeline_create(&t, 0, count + 1, count + 1));
        for (int i = 0; i <= count; i++) {
            random = random * 1664525 + 1013904223;  // Numerical Recipes
            int took = (int)(random >> 24) % 100;    // many are equal
            begin(&t, 0, i, 100 * i);
            span(&t, 0, 100 * i, 100 * i + took, 0, 0);
            timeline_end_step(&t, 100 * (i + 1) * MS);
            if (i) ms[i - 1] = took;
        }
        ck_assert_ok(report_from_timelines(&r, &a, (const Program *const[]){&p},
                                           (const Timeline *const[]){&t}, 1));
        Spread want = statistics_spread(ms, count), got = r.operations[0].duration_ms;
        ck_assert_close(got.median, want.median, 1e-9);
        ck_assert_close(got.p10, want.p10, 1e-9);
        ck_assert_close(got.p90, want.p90, 1e-9);
        ck_assert_close(got.mean, want.mean, 1e-9);
        timeline_destroy(&t);
        arena_finish(&a);
    }
}
END_TEST

START_TEST(operations_are_read_back) {
    Arena a = {0};
    Report r, back;
    char path[128];
    make(&r, &a);
    snprintf(path, sizeof path, "%s/r.json", test_directory());
    ck_assert_ok(report_write(&r, path));
    ck_assert_ok(report_read(&back, &a, path));
    ck_assert_int_eq(back.operation_count, 3);
    for (int i = 0; i < 3; i++) {
        const OperationTimes *was = &r.operations[i], *is = &back.operations[i];
        ck_assert_str_eq(is->name, was->name);
        ck_assert_str_eq(is->kind, was->kind);
        ck_assert_str_eq(is->phase, was->phase);
        ck_assert_str_eq(is->lane, was->lane);
        ck_assert(is->shard == was->shard && is->micro_batch == was->micro_batch);
        ck_assert(is->ranks == was->ranks && is->executions == was->executions);
        ck_assert(i == 2 || !memcmp(&is->duration_ms, &was->duration_ms, sizeof(Spread)));
    }
    ck_assert(back.operations[1].wait_ms == 2 && back.operations[1].start_ms == 50);
    ck_assert(back.operations[1].cpu_ms == 1 && isnan(back.operations[2].cpu_ms));
    arena_finish(&a);
}
END_TEST

// The report with the first `from` replaced.
static void write_changed(const char *path, const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s in\n%s", from, text);
    FILE *f = fopen(path, "w");
    fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(f);
}

START_TEST(damaged_operations_are_refused_with_the_place) {
    Arena a = {0};
    Report r;
    char path[128];
    make(&r, &a);
    const char *good = report_text(&a, &r, "r.json");
    snprintf(path, sizeof path, "%s/bad.json", test_directory());
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"\"phases_ms\": {", "\"phases_ms\": {\"x\": [],", NULL},  // derived: not read
        {"\"lane\": \"compute\"", "\"lane\": 7", "operations[0]: lane: expected a string"},
        {"\"wait_ms\": 2.0", "\"wait_ms\": []", "operations[1]: wait_ms: expected a number"},
        {"\"p90\": 29.0", "\"p99\": 29.0", "operations[0]: duration_ms: p90 is missing"},
        {"\"micro_batch\": 1", "\"micro_batch\": -1", "operations[1]: micro_batch: expected 0 to"},
        {"\"operations\": [", "\"operations\": 3, \"others\": [", "operations: expected an array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_changed(path, good, cases[i].from, cases[i].to);
        if (cases[i].message)
            ck_assert_fails(report_read(&r, &a, path), ERR_FORMAT, cases[i].message);
        else
            ck_assert_ok(report_read(&r, &a, path));
    }
    arena_finish(&a);
}
END_TEST

START_TEST(documents_show_the_ten_longest_operations_longest_first) {
    Arena a = {0};
    Report r;
    make(&r, &a);
    OperationTimes many[12] = {0};
    static const char *const letters[] = {"a", "b", "c", "d", "e", "f",
                                          "g", "h", "i", "j", "k", "l"};
    static const int ms[] = {3, 9, 9, 1, 12, 5, 4, 6, 7, 8, 2, 30};  // l only in every tenth step
    for (int i = 0; i < 12; i++)
        many[i] = (OperationTimes){.name = letters[i],
                                   .kind = "linear",
                                   .phase = "forward",
                                   .lane = "compute",
                                   .ranks = 2,
                                   .executions = i == 11 ? 0.1 : 1,
                                   .duration_ms.median = ms[i]};
    r.operations = many;
    r.operation_count = 12;
    const char *at = report_text(&a, &r, "r.md");
    static const char *const order[] = {"e", "b", "c", "j", "i", "h", "f", "g", "a", "l"};
    for (int i = 0; i < 10; i++) {
        char row[16];
        snprintf(row, sizeof row, "\n| %s |", order[i]);
        at = strstr(at, row);
        ck_assert_msg(at != NULL, "%s is missing or out of order", order[i]);
    }
    ck_assert_ptr_null(strstr(at, "\n| k |"));
    ck_assert_ptr_nonnull(strstr(at, "\n10 of 12 operations"));
    make(&r, &a);
    at = report_text(&a, &r, "r.html");
    ck_assert_ptr_nonnull(strstr(at, "<td>fc</td><td>forward</td><td>compute</td><td>25.00</td>"));
    ck_assert_ptr_nonnull(strstr(at, "<td>fc /0.1</td>"));
    ck_assert_ptr_nonnull(strstr(at, "<p>2 of 3 operations"));  // the third was never executed
    arena_finish(&a);
}
END_TEST

START_TEST(a_report_without_operations_is_read) {
    Arena a = {0};
    Report r, back;
    make(&r, &a);
    r.operation_count = 0;
    r.started[0] = '\0';
    json_t *old;
    char path[128];
    snprintf(path, sizeof path, "%s/old.json", test_directory());
    ck_assert_ok(report_write(&r, path));
    ck_assert_ok(json_read_file(&old, path));
    ck_assert_int_eq(json_object_del(old, "operations") | json_object_del(old, "started"), 0);
    ck_assert_ok(json_write_file(old, path));
    json_decref(old);
    ck_assert_ok(report_read(&back, &a, path));
    ck_assert(back.operation_count == 0 && !*back.started);
    arena_finish(&a);
}
END_TEST

SUITE("report_operations", operations_are_medians_over_steps_and_means_over_ranks,
      operations_are_of_the_plan_that_most_steps_execute,
      quantiles_of_many_steps_are_those_of_the_sorted_durations, operations_are_read_back,
      damaged_operations_are_refused_with_the_place,
      documents_show_the_ten_longest_operations_longest_first, a_report_without_operations_is_read)
