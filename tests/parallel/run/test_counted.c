// SPDX-License-Identifier: MIT
// What the ranks of a training send each other: the communicators' counters against the plan, and
// against the closed forms of DDP and ZeRO (parallel/strategy/footprint.h).
#include "parallel/strategy/footprint.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <string.h>

enum { STEPS = 4, LAYERS = 3, TENSORS = 2 * LAYERS };  // a weight and a bias each

static void run(Outcome *o, int ranks, int stage, CommKind kind) {
    JobOptions options = training_options();
    options.spec.ranks = ranks;
    options.spec.strategy.zero = stage;
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
    // ZeRO-3 gathers every parameter forward, and backward what gradients of inputs read: of two
    // layers the weights.
    const int64_t gathers = stage == 3 ? TENSORS + LAYERS - 1 : -1;
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

SUITE("counted", counters_are_the_plans_and_the_closed_forms, a_byte_too_many_is_seen)
