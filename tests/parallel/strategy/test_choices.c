// SPDX-License-Identifier: MIT
// What a run says of the choices that tokens make of experts: how many were dropped, and how full
// the fullest expert of a layer is.
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <string.h>

static JobOptions options(const char *model) {
    JobOptions o = training_options();
    o.spec.model = model;
    o.data = "text:count=2000";
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 8;
    o.steps = 3;
    return o;
}

// The record of a step of rank 0; on several ranks that of the broadcast comes first.
static StepRecord step_of(const Outcome *run, const JobOptions *o, int step) {
    const Timeline *t = &run->training.shared->results[0].timeline;
    return t->steps[step + (o->spec.ranks > 1)];
}

#define SIZES "hidden=16,seq=8,layers=2,mlp=8,"

// Two of two experts: each gets all tokens, 64 in a micro-batch. At half of a fair share there is
// room for 32; at 90 % for ceil(57.6) = 58.
START_TEST(what_exceeds_the_capacity_is_counted) {
    static const struct {
        const char *model;
        double dropped;
    } cases[] = {
        {"mixtral:" SIZES "experts=2,capacity=50", 0.5},
        {"mixtral:" SIZES "experts=2,capacity=90", 6.0 / 64},
        {"mixtral:" SIZES "experts=2,capacity=100", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JobOptions o = options(cases[i].model);
        Outcome run;
        ck_assert_ok(training_run(&run, &o, NULL));
        for (int step = 0; step < 3; step++) {
            StepRecord got = step_of(&run, &o, step);
            ck_assert(got.routed);
            ck_assert_double_eq(got.dropped, cases[i].dropped);
            ck_assert_double_eq(got.fullest, 1);
        }
        outcome_finish(&run);
    }
}
END_TEST

// Room for all tokens in each queue: nothing is dropped, however they choose.
START_TEST(nothing_is_dropped_where_there_is_room) {
    JobOptions o = options("mixtral:" SIZES "experts=4,capacity=200");
    Outcome run;
    ck_assert_ok(training_run(&run, &o, NULL));
    StepRecord got = step_of(&run, &o, 0);
    ck_assert_double_eq(got.dropped, 0);
    ck_assert_double_gt(got.fullest, 1);
    ck_assert_double_le(got.fullest, 2);  // half of the choices are the most that one can get
    outcome_finish(&run);
}
END_TEST

// Shards and micro-batches drop by themselves; on which rank a shard is does not matter.
START_TEST(all_ranks_count_the_choices_of_all_shards) {
    JobOptions o = options("mixtral:" SIZES "experts=4,capacity=80");
    Outcome one, two, whole;
    ck_assert_ok(training_run(&whole, &o, NULL));
    o.spec.shards = 4;
    o.spec.micro_batches = 2;
    ck_assert_ok(training_run(&one, &o, NULL));
    StepRecord want = step_of(&one, &o, 2);
    ck_assert_double_ne(want.dropped, step_of(&whole, &o, 2).dropped);
    o.spec.ranks = 2;
    ck_assert_ok(training_run(&two, &o, NULL));
    StepRecord got = step_of(&two, &o, 2);
    ck_assert_double_gt(want.dropped, 0);
    ck_assert_double_eq(got.dropped, want.dropped);
    ck_assert_double_eq(got.fullest, want.fullest);
    outcome_finish(&one);
    outcome_finish(&two);
    outcome_finish(&whole);
}
END_TEST

START_TEST(a_model_without_experts_counts_none) {
    JobOptions o = options("llama:hidden=16,seq=8");
    Outcome run;
    ck_assert_ok(training_run(&run, &o, NULL));
    ck_assert(!step_of(&run, &o, 0).routed);
    outcome_finish(&run);
}
END_TEST

// The loss of the first step: the cross-entropy of a run without balance, and 0.01 · E Σ f P of
// each of two layers. Two of two experts have f = 1 each, and their P add up to 1.
START_TEST(the_balance_is_in_the_loss_once_however_the_batch_is_cut) {
    double loss[3];
    for (int i = 0; i < 3; i++) {
        JobOptions o = options("mixtral:" SIZES "experts=2,capacity=100");
        Outcome run;
        if (i == 0) o.spec.model = test_source("tests/data/unbalanced.model");
        if (i == 2) o.spec.micro_batches = 3;  // 3, 3 and 2 rows
        ck_assert_ok(training_run(&run, &o, NULL));
        loss[i] = step_of(&run, &o, 0).loss;
        outcome_finish(&run);
    }
    ck_assert_double_eq_tol(loss[1] - loss[0], 2 * 0.01 * 2, 1e-12);
    ck_assert_double_eq_tol(loss[2], loss[1], 1e-12);
}
END_TEST

// --experts and --top-k are parameters of the model.
START_TEST(numbers_of_experts_are_those_of_the_model) {
    JobOptions o = options("mixtral:" SIZES "experts=6,top_k=3");
    Outcome one, two;
    ck_assert_ok(training_run(&one, &o, NULL));
    o.spec.model = "mixtral:hidden=16,seq=8,layers=2,mlp=8";
    o.spec.experts = 6;
    o.spec.top_k = 3;
    ck_assert_ok(training_run(&two, &o, NULL));
    const char *d = outcome_difference(&one, &two);
    ck_assert_msg(!d, "%s", d ? d : "");
    outcome_finish(&one);
    outcome_finish(&two);
    o.spec.top_k = 7;
    ck_assert_fails(training_run(&one, &o, NULL), ERR_USAGE,
                    "--experts 6: built-in mixtral.model:");
    o.spec.model = "gpt";
    ck_assert_fails(training_run(&one, &o, NULL), ERR_USAGE,
                    "--experts 6: model gpt has no layer of experts; give one that has, such as "
                    "--model mixtral");
}
END_TEST

SUITE("choices", what_exceeds_the_capacity_is_counted, nothing_is_dropped_where_there_is_room,
      all_ranks_count_the_choices_of_all_shards, a_model_without_experts_counts_none,
      the_balance_is_in_the_loss_once_however_the_batch_is_cut,
      numbers_of_experts_are_those_of_the_model)
