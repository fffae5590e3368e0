// SPDX-License-Identifier: MIT
// What the ranks of a training send each other: the communicators' counters against the plan, and
// against the closed forms of DDP and ZeRO (parallel/strategy/footprint.h).
#include "parallel/strategy/footprint.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <string.h>

enum { STEPS = 4, LAYERS = 3, TENSORS = 2 * LAYERS };  // a weight and a bias each

static void run(Outcome *o, int ranks, int stage, CommKind kind) {
    JobOptions options = training_options();
    options.spec.ranks = ranks;
    options.spec.strategy.zero = stage;
    options.spec.strategy.bucket_bytes[0] = options.spec.strategy.bucket_bytes[1] = 0;
    options.steps = STEPS;
    options.comm = kind;
    ck_assert_ok(training_run(o, &options, NULL));
    ck_assert_msg(!outcome_uncounted(o), "ZeRO-%d on %d ranks, %s: %s", stage, ranks,
                  comm_kind_name(kind), outcome_uncounted(o));
}

// All ranks together.
static CommCount total(const Outcome *o, int operation) {
    CommCount sum = {0, 0};
    for (int r = 0; r < o->job.options.spec.ranks; r++) {
        CommCount c = outcome_count(o, r, "step", "data", operation);
        sum.calls += c.calls;
        sum.bytes += c.bytes;
    }
    return sum;
}

// What a step says of its loss, two f64, is reduced beside the gradients.
static void check(int ranks, int stage, CommKind kind) {
    Outcome o;
    run(&o, ranks, stage, kind);
    int64_t all = 0, loss = STEPS * 2 * (ranks - 1) * 2 * (int64_t)sizeof(double);
    for (int k = 0; k < COMM_OPERATIONS; k++) all += total(&o, k).bytes;
    const Program *p = job_program(&o.job, 0);
    const FootprintModel m = footprint_model(p);
    double planned = footprint_planned(p, NONE).sent, closed = footprint_closed(&m, stage).sent;
    ck_assert_close((double)(all - loss), STEPS * ranks * planned, 0.01);
    if (stage < 3) ck_assert_close((double)(all - loss), STEPS * ranks * closed, 0.01);
    // ZeRO-3 gathers every layer forward, and backward what gradients of inputs read: the weights
    // of two layers.
    const int64_t gathers = stage == 3 ? LAYERS + LAYERS - 1 : -1;
    if (stage == 3) {
        ck_assert_int_eq(total(&o, COLLECTIVE_ALL_GATHER).calls, STEPS * ranks * gathers);
        ck_assert_int_eq(total(&o, COLLECTIVE_REDUCE_SCATTER).calls, STEPS * ranks * TENSORS);
        ck_assert_int_eq(total(&o, COLLECTIVE_ALL_REDUCE).calls, STEPS * ranks);
    }
    ck_assert_int_eq(total(&o, COMM_SEND).calls, 0);
    outcome_finish(&o);
}

START_TEST(counters_are_the_plans_and_the_closed_forms) {
    for (int ranks = 2; ranks <= 4; ranks++)
        for (int stage = 0; stage <= 3; stage++)
            check(ranks, stage, (CommKind)((ranks + stage) % COMM_KINDS));
}
END_TEST

static void run_job(Outcome *o, const JobOptions *options) {
    ck_assert_ok(training_run(o, options, NULL));
    const char *uncounted = outcome_uncounted(o);
    ck_assert_msg(!uncounted, "%s", uncounted);
}

// Megatron's table (Shoeybi et al., 2019) for L blocks of width C over t ranks: an all-reduce of
// all tokens behind attention and one behind the feed-forward net, forward and backward, that is
// 4 L; one behind the embedding and one before the last norm; and of each token its largest logit,
// the sum of exponentials and two other sums of the loss. Of n bytes a rank takes 2 (t-1)/t n.
START_TEST(tensor_parallelism_sends_what_megatrons_table_says) {
    enum { C = 32, T = 8, BATCH = 8 };
    for (int t = 2; t <= 4; t += 2)
        for (int L = 1; L <= 2; L++) {
            char model[64];
            int data = t == 2 ? 2 : 1;
            JobOptions options = training_options();
            snprintf(model, sizeof model, "gpt:layers=%d,hidden=%d,heads=4,seq=%d", L, C, T);
            options.spec.model = model;
            options.spec.mesh.tensor = t;
            options.spec.ranks = data * t;
            options.spec.batch = BATCH;
            options.data = "text:count=1000";
            options.steps = STEPS;
            options.comm = t == 2 ? COMM_THREAD : COMM_SHM;
            Outcome o;
            run_job(&o, &options);
            int64_t tokens = BATCH / data * T, elements = tokens * (C * (4 * L + 2) + 1 + 3);
            for (int r = 0; r < options.spec.ranks; r++) {
                CommCount is = outcome_count(&o, r, "step", "tensor", COLLECTIVE_ALL_REDUCE);
                ck_assert_int_eq(is.calls, STEPS * (4 * L + 2 + 2));
                ck_assert_int_eq(is.bytes, STEPS * 4 * 2 * (t - 1) * elements / t);
            }
            outcome_finish(&o);
        }
}
END_TEST

// Where two stages meet, each micro-batch's activations go forward and their gradients backward.
START_TEST(a_pipeline_sends_activations_and_gradients_once_a_border) {
    enum { WIDTH = 24, ROWS = 48, MICRO = 4 };
    static const struct {
        int data, pipe, chunks;
        ScheduleKind schedule;
    } jobs[] = {{1, 2, 1, SCHEDULE_1F1B},
                {2, 2, 1, SCHEDULE_GPIPE},
                {1, 4, 1, SCHEDULE_1F1B},
                {1, 2, 2, SCHEDULE_INTERLEAVED},
                {1, 3, 1, SCHEDULE_ZERO_BUBBLE}};
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        JobOptions options = training_options();
        options.spec.model = "mlp:hidden=24,layers=4";
        options.spec.mesh.pipe = jobs[i].pipe;
        options.spec.ranks = jobs[i].data * jobs[i].pipe;
        options.spec.batch = ROWS;
        options.spec.micro_batches = MICRO;
        options.spec.strategy.schedule =
            (OptionForm){.word = (int)jobs[i].schedule, .number = jobs[i].chunks};
        options.steps = STEPS;
        options.comm = (CommKind)(i % COMM_KINDS);
        Outcome o;
        run_job(&o, &options);
        CommCount sent = {0, 0}, received = {0, 0};
        for (int r = 0; r < options.spec.ranks; r++) {
            CommCount s = outcome_count(&o, r, "step", "pipe", COMM_SEND),
                      t = outcome_count(&o, r, "step", "pipe", COMM_RECEIVE);
            sent = (CommCount){sent.calls + s.calls, sent.bytes + s.bytes};
            received = (CommCount){received.calls + t.calls, received.bytes + t.bytes};
        }
        int64_t borders = jobs[i].pipe * jobs[i].chunks - 1;
        ck_assert_int_eq(sent.calls, STEPS * 2 * borders * MICRO * jobs[i].data);
        ck_assert_int_eq(sent.bytes, STEPS * 2 * borders * ROWS * WIDTH * 4);
        ck_assert_int_eq(received.calls, sent.calls);
        ck_assert_int_eq(received.bytes, sent.bytes);
        outcome_finish(&o);
    }
}
END_TEST

// A counter that misses a step, or a call that the plan does not have, is seen.
static void call_once_more(void *context, Executor *e) {
    if (e->rank == 1) e->comm->counts[0][COLLECTIVE_ALL_REDUCE].bytes += 4;
}

START_TEST(a_byte_too_many_is_seen) {
    Outcome o;
    JobOptions options = training_options();
    options.spec.ranks = 2;
    options.steps = STEPS;
    ck_assert_ok(training_run(&o, &options, &(TrainingProbe){.ready = call_once_more}));
    ck_assert_ptr_nonnull(outcome_uncounted(&o));
    ck_assert_ptr_nonnull(strstr(outcome_uncounted(&o), "rank 1, group 0, operation 0"));
    outcome_finish(&o);
}
END_TEST

SUITE("counted", counters_are_the_plans_and_the_closed_forms,
      tensor_parallelism_sends_what_megatrons_table_says,
      a_pipeline_sends_activations_and_gradients_once_a_border, a_byte_too_many_is_seen)
