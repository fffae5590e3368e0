// SPDX-License-Identifier: MIT
#include "tests/support/small_trace.h"

#include "core/base/file.h"
#include "core/plan/build.h"

#include <stdio.h>
#include <string.h>

static int32_t add_tensor(Program *p, const char *name, Role role, Placement place) {
    int logical, t;
    LogicalSpec whole = {.name = name, .shape = {4, 8}, .dims = 2, .role = role};
    TensorSpec piece = {.name = name, .role = role, .placement = {place}};
    ck_assert_ok(program_add_logical(p, &whole, &logical));
    piece.logical = logical;
    ck_assert_ok(program_add_tensor(p, &piece, &t));
    return t;
}

// Operands that exist from the start, so that two operations make a plan that may run.
void small_program(Program *p, int ranks) {
    int group, lane;
    Plan *step, *evaluate;
    *p = (Program){0};
    ck_assert_ok(program_add_axis(p, "data", ranks, NULL));
    ck_assert_ok(program_add_group(p, "data", 1, &group));
    ck_assert_ok(program_add_lane(p, "compute", LANE_COMPUTE, NONE, NULL));
    ck_assert_ok(program_add_lane(p, "data", LANE_COMMUNICATION, group, &lane));
    ck_assert_ok(program_add_lane(p, "host", LANE_HOST, NONE, NULL));
    int32_t x = add_tensor(p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED);
    int32_t y = add_tensor(p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED);
    int32_t g = add_tensor(p, "g", ROLE_OPTIMISER, PLACEMENT_SUM);
    OpSpec relu = {.name = "relu1", .kind = KIND_RELU, .phase = PHASE_FORWARD};
    OpSpec reduce = {.name = "g.all_reduce", .kind = KIND_ALL_REDUCE, .phase = PHASE_SYNC};
    relu.output_count = relu.input_count = reduce.output_count = reduce.input_count = 1;
    relu.outputs = &y;
    relu.inputs = &x;
    reduce.outputs = reduce.inputs = &g;
    reduce.lane = lane;
    reduce.group = group;
    ck_assert_ok(program_add_plan(p, "step", &step));
    step->when = WHEN_EACH_STEP;
    ck_assert_ok(plan_add_op(p, step, &relu, NULL));
    ck_assert_ok(plan_add_op(p, step, &reduce, NULL));
    ck_assert_ok(plan_derive_deps(p, step));
    ck_assert_ok(program_add_plan(p, "evaluate", &evaluate));
    evaluate->when = WHEN_EACH_EPOCH;
    relu.phase = PHASE_EVALUATE;
    ck_assert_ok(plan_add_op(p, evaluate, &relu, NULL));
    ck_assert_ok(plan_derive_deps(p, evaluate));
}

void small_timeline(Timeline *t, int rank) {
    ck_assert_ok(timeline_create(t, rank, 4, 16));
    StepRecord *s = timeline_begin_step(t, 0, 7, 1000);
    s->loss = 0.1 + 0.2;
    s->epoch = 2;
    s->rows = 64;
    Span reduce = {.op = 1, .lane = 1, .start_ps = 5000, .end_ps = 2000001, .wait_ns = 1500};
    Span relu = {.op = 0, .lane = 0, .start_ps = 1000, .end_ps = 2000001, .cpu_ns = 900};
    timeline_add_span(t, &reduce);
    timeline_add_span(t, &relu);
    timeline_end_step(t, 3000000);
    timeline_begin_step(t, 1, 7, 3000000);
    Span late = {
        .start_ps = SMALL_LATE, .end_ps = SMALL_LATE + 1, .source = SOURCE_ROOFLINE, .flags = 3};
    timeline_add_span(t, &late);
    timeline_end_step(t, SMALL_LATE + 2);
    timeline_begin_step(t, 0, 8, SMALL_LATE + 2);
    Span early = {.start_ps = SMALL_LATE + 2, .end_ps = SMALL_LATE + 200000, .cpu_ns = 7};
    Span next = {.op = 1,
                 .lane = 1,
                 .start_ps = SMALL_LATE + 9,
                 .end_ps = SMALL_LATE + 300000,
                 .issue_ps = 5};
    timeline_add_span(t, &early);
    timeline_add_span(t, &next);
    timeline_end_step(t, SMALL_LATE + 300000);
    t->dropped = 5;
}

static const RunSetting settings[] = {{"dp", "2"}, {"algorithm", "direct"}};
static const char *const command_line[] = {"train", "--ranks", "2"};

RunInfo small_run(int ranks) {
    return (RunInfo){.kind = "train",
                     .model = "net",
                     .device = "cpu",
                     .comm = "shm",
                     .dtype = "f64",
                     .ranks = ranks,
                     .shards = ranks,
                     .batch = 64,
                     .seed = 42,
                     .strategy = settings,
                     .strategy_count = 2,
                     .argv = command_line,
                     .argc = 3};
}

void small_trace_write(const char *path, int rank, int ranks) {
    Program p;
    Timeline t;
    RunInfo run = small_run(ranks);
    small_program(&p, ranks);
    const ProgramSet set = program_set_of_one(&p);
    small_timeline(&t, rank);
    ck_assert_ok(trace_write(path, &run, SMALL_ORIGIN_NS, &set, &t));
    timeline_destroy(&t);
    program_finish(&p);
}

char *small_trace_text(Arena *a, int rank, int ranks) {
    char path[128], *text;
    size_t length;
    snprintf(path, sizeof path, "%s/rank%d.json", test_directory(), rank);
    small_trace_write(path, rank, ranks);
    ck_assert_ok(file_read(&text, &length, a, path));
    return text;
}

char *text_replaced(Arena *a, const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s in\n%s", from, text);
    size_t size = strlen(text) + strlen(to) + 1;
    char *out = arena_push(a, size);
    ck_assert_ptr_nonnull(out);
    snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

void write_bytes(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    fclose(f);
}
