// SPDX-License-Identifier: MIT
// What lies between gradients and weights, on any number of ranks: the bits of one rank with as
// many shards (docs/contract.md, 7).
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <string.h>

static const char *const devices[] = {"reference", "cpu"};

static JobOptions adamw_options(Dtype dtype, const char *device) {
    JobOptions o = training_options();
    o.spec.dtype = dtype;
    o.spec.device = device;
    o.spec.learning_rate = 0.002;
    o.spec.optimizer = (Optimizer){
        .kind = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};
    return o;
}

// Delays at random operations, on every communicator in turn.
static void assert_any_ranks_equal_shards(const JobOptions *options) {
    for (int ranks = 2; ranks <= 4; ranks++) {
        Outcome oracle, got;
        JobOptions o = *options;
        uint64_t delays = (uint64_t)ranks;
        o.spec.shards = ranks;
        ck_assert_ok(training_run(&oracle, &o, NULL));
        o.spec.ranks = ranks;
        o.comm = (CommKind)(ranks % COMM_KINDS);
        ck_assert_ok(
            training_run(&got, &o, &(TrainingProbe){.context = &delays, .before = training_delay}));
        const char *d = outcome_difference(&oracle, &got);
        ck_assert_msg(!d, "%d ranks, %s on %s: %s", ranks, dtype_name(o.spec.dtype), o.spec.device,
                      d ? d : "");
        outcome_finish(&oracle);
        outcome_finish(&got);
    }
}

START_TEST(adamw_gives_the_same_bits_on_any_number_of_ranks) {
    for (int i = 0; i < 4; i++) {
        JobOptions o = adamw_options(i % 2 ? DTYPE_F64 : DTYPE_F32, devices[i / 2]);
        assert_any_ranks_equal_shards(&o);
    }
}
END_TEST

// The mlp has weights of several blocks of 4,096 elements, the last of them shorter.
START_TEST(clipping_gives_the_same_bits_on_any_number_of_ranks) {
    for (int i = 0; i < 8; i++) {
        JobOptions o = adamw_options(i % 2 ? DTYPE_F64 : DTYPE_F32, devices[i / 2 % 2]);
        o.spec.model = "mlp:hidden=12,layers=1";
        o.steps = 6;
        if (i / 4) o.spec.optimizer = (Optimizer){.momentum = 0.9};
        o.spec.optimizer.clip = 0.25;
        o.spec.on_nan = i / 4 ? ON_NAN_SKIP : ON_NAN_STOP;
        assert_any_ranks_equal_shards(&o);
    }
}
END_TEST

static double first_norm(const JobOptions *o, int64_t *skipped) {
    Outcome run;
    ck_assert_ok(training_run(&run, o, NULL));
    const StepRecord *first = &run.training.shared->results[0].timeline.steps[o->spec.ranks > 1];
    double norm = first->gradient_norm;
    *skipped = first->skipped;
    outcome_finish(&run);
    return norm;
}

// The norm is that of the sum of all shards: of their parts it would be larger.
START_TEST(the_norm_is_that_of_the_joined_gradient) {
    JobOptions o = adamw_options(DTYPE_F64, "cpu");
    int64_t skipped;
    o.steps = 1;
    o.spec.optimizer.clip = 1;
    double one = first_norm(&o, &skipped);
    ck_assert(one > 0);
    o.spec.shards = 4;
    ck_assert_close(first_norm(&o, &skipped), one, 1e-12 * one);
    o.spec.micro_batches = 3;
    ck_assert_close(first_norm(&o, &skipped), one, 1e-12 * one);
    o.spec.ranks = 2;
    ck_assert_close(first_norm(&o, &skipped), one, 1e-12 * one);
}
END_TEST

enum { BAD_STEP = 3 };

// A gradient is no number in one step: on one rank alone, before gradients are joined.
static void spoil(void *context, Executor *e, int plan, int op) {
    const Plan *p = &e->program->plans[plan];
    int gradient = program_find_tensor(e->program, "fc1.weight.grad");
    if (e->rank || e->step != BAD_STEP || strcmp(program_name(e->program, p->name), "step")) return;
    if (strcmp(op_name(e->program, &p->ops[op]), context)) return;
    *(float *)executor_data(e, gradient) = (float)NAN;
}

START_TEST(a_step_that_is_not_finite_is_skipped_on_all_ranks) {
    for (int ranks = 1; ranks <= 3; ranks += 2)
        for (int sgd = 0; sgd < 2; sgd++) {
            Outcome before, got;
            JobOptions o = adamw_options(DTYPE_F32, "cpu");
            o.spec.ranks = ranks;
            o.spec.shards = 3;
            if (sgd) o.spec.optimizer = (Optimizer){.momentum = 0.9};
            o.spec.on_nan = ON_NAN_SKIP;
            o.steps = BAD_STEP;
            o.test_fraction = 0;
            ck_assert_ok(training_run(&before, &o, NULL));
            o.steps = BAD_STEP + 1;
            char at[] = "fold.fc1.weight.grad", of_ranks[] = "bucket0";
            ck_assert_ok(training_run(
                &got, &o, &(TrainingProbe){.context = ranks > 1 ? of_ranks : at, .before = spoil}));
            int last = got.training.shared->results[0].timeline.step_count - 1;
            for (int r = 0; r < ranks; r++) {
                const RankResult *result = &got.training.shared->results[r];
                ck_assert_int_eq(result->diverged, DIVERGED_NOT);
                ck_assert(result->timeline.steps[last].skipped);
                ck_assert(!result->timeline.steps[last - 1].skipped);
            }
            ck_assert_int_eq(memcmp(before.state, got.state, (size_t)(ranks * got.state_bytes)), 0);
            outcome_finish(&before);
            outcome_finish(&got);
        }
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_stops_the_run) {
    Outcome got;
    JobOptions o = adamw_options(DTYPE_F32, "cpu");
    o.spec.shards = 2;
    o.spec.optimizer.clip = 1;
    char at[] = "fold.fc1.weight.grad";
    ck_assert_ok(training_run(&got, &o, &(TrainingProbe){.context = at, .before = spoil}));
    ck_assert_int_eq(got.training.shared->results[0].diverged, DIVERGED_GRADIENTS);
    ck_assert_int_eq(got.training.shared->results[0].diverged_step, BAD_STEP);
    ck_assert_fails(launch_check_divergence(&got.training, &got.job), ERR_FAILED,
                    "the gradients are not finite in step 4 of 20");
    outcome_finish(&got);
}
END_TEST

// What is decayed alone, and by so much: the first step of AdamW moves a weight w by 0.002 and by
// 0.002 * decay * w more than without decay, which a decay of 100 makes visible.
START_TEST(adamw_decays_what_has_two_dimensions_unless_told_otherwise) {
    for (int all = 0; all < 2; all++) {
        Outcome without, with;
        JobOptions o = adamw_options(DTYPE_F64, "reference");
        o.steps = 1;
        o.spec.optimizer.weight_decay = 0;
        ck_assert_ok(training_run(&without, &o, NULL));
        o.spec.optimizer.weight_decay = 100;
        o.spec.optimizer.decay_all = all;
        ck_assert_ok(training_run(&with, &o, NULL));
        const double *w = outcome_tensor(&without, 0, "fc2.weight"),
                     *decayed = outcome_tensor(&with, 0, "fc2.weight"),
                     *b = outcome_tensor(&without, 0, "fc2.bias"),
                     *bias = outcome_tensor(&with, 0, "fc2.bias");
        ck_assert(w && decayed && b && bias);
        ck_assert(w[0] != decayed[0]);
        ck_assert_int_eq(b[0] != bias[0], all);
        outcome_finish(&without);
        outcome_finish(&with);
    }
}
END_TEST

SUITE("update", adamw_gives_the_same_bits_on_any_number_of_ranks,
      clipping_gives_the_same_bits_on_any_number_of_ranks, the_norm_is_that_of_the_joined_gradient,
      a_step_that_is_not_finite_is_skipped_on_all_ranks,
      a_gradient_that_is_not_finite_stops_the_run,
      adamw_decays_what_has_two_dimensions_unless_told_otherwise)
