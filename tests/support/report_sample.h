// SPDX-License-Identifier: MIT
// Two ranks' timelines and their report, small enough to be worked out by hand.
#ifndef TESTS_SUPPORT_REPORT_SAMPLE_H
#define TESTS_SUPPORT_REPORT_SAMPLE_H

#include "core/report/report.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

// Plans: 0 a step that all-reduces 1000 bytes, 1 an epoch's last with 400, 2 an evaluation.
enum { COMPUTE, ALL_REDUCE, LOAD };
static char name_text[] = "fc\0bucket\0load\0compute\0data\0step";
enum { FC = 0, BUCKET = 3, LOADING = 10, COMPUTE_LANE = 15, DATA_LANE = 23, STEP = 28 };
static Work works[] = {
    {.name = FC, .kind = KIND_LINEAR, .phase = PHASE_FORWARD},
    {.name = BUCKET, .kind = KIND_ALL_REDUCE, .phase = PHASE_SYNC, .payload_bytes = 1000},
    {.name = LOADING, .kind = KIND_LOAD, .phase = PHASE_INPUT},
    {.name = BUCKET, .kind = KIND_ALL_REDUCE, .phase = PHASE_SYNC, .payload_bytes = 400}};
static Op step_ops[] = {{.work = 0}, {.work = 1, .lane = 1}, {.work = 2}};
static Op last_ops[] = {{.work = 0}, {.work = 3, .lane = 1}, {.work = 2}};
static Lane lanes[] = {{.name = COMPUTE_LANE}, {.name = DATA_LANE}};
static const Program program = {
    .names = name_text,
    .name_bytes = sizeof name_text,
    .lanes = lanes,
    .lane_count = 2,
    .works = works,
    .work_count = 4,
    .plans = {{.ops = step_ops, .op_count = 3},
              {.ops = last_ops, .op_count = 3},
              {.ops = step_ops, .op_count = 1}},
    .plan_count = 3,
    .role_bytes = {
        [POOL_LOCAL] = {[ROLE_PARAMETER] = 100, [ROLE_ACTIVATION] = 3000, [ROLE_INPUT] = 7},
        [POOL_SHARED] = {[ROLE_GRADIENT] = 100, [ROLE_SCALAR] = 8}}};

static const int64_t MS = 1000000000;  // in ps

static inline void span(Timeline *t, int op, int start_ms, int end_ms, int wait_ms, int cpu_ms) {
    timeline_add_span(t, &(Span){.op = op,
                                 .start_ps = start_ms * MS,
                                 .end_ps = end_ms * MS,
                                 .wait_ns = wait_ms * 1000000,
                                 .cpu_ns = cpu_ms * 1000000});
}

static inline void begin(Timeline *t, int plan, int step, int epoch, int rows, double loss,
                         int start_ms) {
    StepRecord *s = timeline_begin_step(t, plan, step, start_ms * MS);
    s->epoch = epoch;
    s->rows = rows;
    if (rows) s->loss = loss;
}

// Two ranks, four steps with an evaluation between the second and the third. In milliseconds:
//            step 0   step 1   evaluation   step 2   step 3
//   rank 0   0-10     10-14    14-25        25-31    31-33
//   rank 1   0-10     10-16    16-25        25-31    31-35
static inline void record(Timeline *zero, Timeline *one) {
    ck_assert_ok(timeline_create(zero, 0, 5, 20));
    ck_assert_ok(timeline_create(one, 1, 5, 20));
    begin(zero, 0, 0, 0, 8, 2, 0);
    span(zero, COMPUTE, 0, 10, 0, 10);
    timeline_end_step(zero, 10 * MS);
    begin(zero, 0, 1, 0, 8, 1.5, 10);
    span(zero, COMPUTE, 10, 12, 0, 2);     // compute 2
    span(zero, ALL_REDUCE, 12, 14, 1, 0);  // waiting 1, exposed 1
    timeline_end_step(zero, 14 * MS);
    begin(zero, 2, 1, 0, 0, 0, 14);
    span(zero, COMPUTE, 14, 25, 0, 11);
    timeline_end_step(zero, 25 * MS);
    begin(zero, 0, 2, 1, 8, 1.25, 25);
    span(zero, COMPUTE, 25, 30, 0, 4);  // compute 4, contended 1; then idle 1
    timeline_end_step(zero, 31 * MS);
    begin(zero, 1, 3, 1, 4, 1, 31);
    span(zero, LOAD, 31, 33, 0, 2);  // host 2
    timeline_end_step(zero, 33 * MS);

    begin(one, 0, 0, 0, 8, 2, 0);
    timeline_end_step(one, 10 * MS);
    begin(one, 0, 1, 0, 8, 1.5, 10);
    span(one, COMPUTE, 10, 16, 0, 6);  // compute 6
    timeline_end_step(one, 16 * MS);
    begin(one, 2, 1, 0, 0, 0, 16);
    timeline_end_step(one, 25 * MS);
    begin(one, 0, 2, 1, 8, 1.25, 25);
    span(one, ALL_REDUCE, 25, 31, 0, 0);  // exposed 6
    timeline_end_step(one, 31 * MS);
    begin(one, 1, 3, 1, 4, 1, 31);
    timeline_end_step(one, 35 * MS);  // idle 4
}

static const RunSetting settings[] = {
    {"dp", "2"}, {"bucket_kib", "4,32"}, {"overlap", "true"}, {"tag", "007"}};
static const RunSetting optimizer[] = {{"name", "sgd"}, {"lr", "0.05"}};
static const char *const command[] = {"train", "--data", "a <b> & \"c\" | d"};

static inline void make(Report *r, Arena *a) {
    Timeline zero, one;
    record(&zero, &one);
    ck_assert_ok(report_from_timelines(r, a, (const Program *const[]){&program, &program},
                                       (const Timeline *const[]){&zero, &one}, 2));
    timeline_destroy(&zero);
    timeline_destroy(&one);
    static const Evaluation evaluations[] = {{1, 2, 100, 1.75, 0.5}, {2, 4, 100, 0.1, 0.9375}};
    r->run = (RunInfo){.kind = "train", .model = "net", .device = "cpu", .comm = "shm"};
    r->run.dtype = "f32";
    r->run.ranks = r->run.shards = 2;
    r->run.batch = 8;
    r->run.seed = 9007199254740993;  // 2^53 + 1: no double holds it
    r->run.strategy = settings;
    r->run.strategy_count = 4;
    r->run.optimizer = optimizer;
    r->run.optimizer_count = 2;
    r->run.argv = command;
    r->run.argc = 3;
    r->run.disturbed = (HostUse){2, 2, 12.5, 0.634, 0.02};
    r->evaluations = evaluations;
    r->evaluation_count = 2;
    r->wall_s = 0.1;
    snprintf(r->started, sizeof r->started, "2026-01-31T12:00:00.250Z");
    r->parameters_hash = 0x0fedcba987654321;
    r->machine = (HostInfo){.cores = 2, .cpu = "A processor", .load = 0.25};
}

#endif
