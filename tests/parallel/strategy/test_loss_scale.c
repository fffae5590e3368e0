// SPDX-License-Identifier: MIT
// Loss scaling: a scale that fits changes no bit, one that is too large is halved in steps that are
// skipped, good steps double it, and it is state as everything that a step keeps.
#include "tests/support/saved_run.h"

#include <math.h>

static JobOptions scaled(LossScale word, double first) {
    JobOptions o = options_of(6, NULL, 1);
    o.spec.device = "reference";
    o.spec.optimizer.momentum = 0.9;
    o.spec.loss_scale = (OptionForm){.word = word, .number = first};
    o.spec.loss_scale_every = 2000;
    return o;
}

static double scale_of(const Outcome *o) {
    return *(const double *)outcome_tensor(o, 0, "loss_scale");
}

START_TEST(a_scale_that_fits_changes_no_bit) {
    JobOptions o = scaled(LOSS_SCALE_NONE, 0);
    Outcome plain, got;
    o.spec.optimizer.clip = 0.5;
    ck_assert_ok(training_run(&plain, &o, NULL));
    for (int word = LOSS_SCALE_DYNAMIC; word <= LOSS_SCALE_CONSTANT; word++) {
        o.spec.loss_scale = (OptionForm){.word = word, .number = 1024};
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_result_difference(&plain, &got);
        ck_assert_msg(!d, "%d: %s", word, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&plain);
}
END_TEST

// 2^130 / 2 is no f32, so that every gradient is infinite or no number: as a step finds it when
// gradients have grown. Three halvings later it is one.
static void scale_too_much(void *context, Executor *e, int plan, int op) {
    double *scale = executor_data(e, program_find_tensor(e->program, "loss_scale"));
    if (e->step == 0 && op == 0 && *scale == 8) *scale = 0x1p130;
}

START_TEST(steps_that_overflow_are_skipped_and_halve_the_scale) {
    JobOptions o = scaled(LOSS_SCALE_DYNAMIC, 8);
    const TrainingProbe probe = {.before = scale_too_much};
    Outcome first, all;
    o.spec.dtype = DTYPE_BF16;
    o.spec.batch = 2;
    o.steps = 1;
    ck_assert_ok(training_run(&first, &o, &probe));
    ck_assert_double_eq(scale_of(&first), 0x1p129);
    const Program *p = &first.job.set.programs[0];
    for (int t = 0; t < p->tensor_count; t++) {
        if (p->tensors[t].role != ROLE_OPTIMISER) continue;
        const float *velocity = outcome_tensor(&first, 0, tensor_name(p, t));
        for (int64_t i = 0; i < tensor_elements(&p->tensors[t]); i++) ck_assert(velocity[i] == 0);
    }
    o.steps = 30;
    ck_assert_ok(training_run(&all, &o, &probe));
    ck_assert_double_lt(scale_of(&all), 0x1p129);
    ck_assert_double_gt(scale_of(&all), 0x1p100);
    ck_assert_ptr_nonnull(outcome_result_difference(&first, &all));
    outcome_finish(&first);
    outcome_finish(&all);
}
END_TEST

START_TEST(good_steps_double_it_on_any_ranks) {
    for (int stage = 0; stage <= 3; stage++) {
        JobOptions o = scaled(LOSS_SCALE_DYNAMIC, 8);
        Outcome oracle, got;
        o.spec.dtype = DTYPE_BF16;
        o.spec.loss_scale_every = 2;
        o.spec.shards = 2;
        ck_assert_ok(training_run(&oracle, &o, NULL));
        ck_assert_double_eq(scale_of(&oracle), 64);
        o.spec.ranks = 2;
        o.spec.strategy.zero = stage;
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "ZeRO-%d: %s", stage, d ? d : "");
        ck_assert_double_eq(scale_of(&got), 64);
        outcome_finish(&oracle);
        outcome_finish(&got);
    }
}
END_TEST

START_TEST(a_checkpoint_keeps_it) {
    JobOptions o = scaled(LOSS_SCALE_DYNAMIC, 8);
    name_files();
    o.spec.loss_scale_every = 2;
    o.save = whole;
    run(&o);
    o.steps = 3;
    o.save = part;
    run(&o);
    o.steps = 6;
    o.resume = part;
    o.save = resumed;
    run(&o);
    assert_same_bytes(whole, resumed, "resumed with a scale");
}
END_TEST

START_TEST(scales_are_powers_of_two) {
    JobSpec s = job_spec_default();
    s.loss_scale = (OptionForm){.word = LOSS_SCALE_CONSTANT, .number = 100};
    ck_assert_fails(job_spec_check(&s), ERR_USAGE, "a power of two, such as 64");
}
END_TEST

SUITE("loss_scale", a_scale_that_fits_changes_no_bit,
      steps_that_overflow_are_skipped_and_halve_the_scale, good_steps_double_it_on_any_ranks,
      a_checkpoint_keeps_it, scales_are_powers_of_two)
