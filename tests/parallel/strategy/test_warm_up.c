// SPDX-License-Identifier: MIT
// --warm-up and --lr-schedule: the learning rate of every step of a run, and that strategies agree
// on it. What a schedule says of a step is tested in test_job_spec.c.
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>

enum { STEPS = 9 };

typedef struct {
    double used[STEPS];
} Rates;

static void keep_rate(void *context, Executor *e, int plan, int op) {
    Rates *r = context;
    int scalar = program_find_tensor(e->program, "learning_rate");
    if (plan == program_find_plan(e->program, "step"))
        r->used[e->step] = *(const double *)executor_data(e, scalar);
}

static JobOptions options_of(int64_t warm_up_steps) {
    JobOptions o = training_options();
    o.steps = STEPS;
    o.spec.learning_rate = 0.05;
    o.spec.warm_up_steps = warm_up_steps;
    return o;
}

static void check_rates(const JobOptions *o, const double want[STEPS]) {
    Rates rates = {{0}};
    Outcome run;
    ck_assert_ok(training_run(&run, o, &(TrainingProbe){.context = &rates, .before = keep_rate}));
    for (int k = 0; k < STEPS; k++)
        ck_assert_msg(fabs(rates.used[k] - want[k]) < 2e-17, "step %d took %.17g, not %.17g", k,
                      rates.used[k], want[k]);
    outcome_finish(&run);
}

// Of 4 steps: 1/4, 2/4, 3/4 and 4/4 of 0.05, and 0.05 from then on, over epochs of 3 batches.
START_TEST(the_rate_rises_in_equal_parts_and_stays) {
    static const double want[STEPS] = {0.0125, 0.025, 0.0375, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05};
    const JobOptions o = options_of(4);
    check_rates(&o, want);
}
END_TEST

// Half of it after every 3 steps behind a warm-up of one.
START_TEST(a_step_schedule_counts_the_steps_of_the_run) {
    static const double want[STEPS] = {0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.0125, 0.0125};
    JobOptions o = options_of(1);
    o.spec.schedule = RATE_STEP;
    o.spec.lr_step_size = 3;
    o.spec.lr_gamma = 0.5;
    check_rates(&o, want);
}
END_TEST

// Behind a warm-up of one step the cosine has the run's other 8, or until step 5 and so 4; it goes
// from 0.05 to 0.01: 0.03 + 0.02 cos(pi k / 8).
START_TEST(a_cosine_ends_with_the_run_unless_told_otherwise) {
    const double c = 0.02 * cos(acos(-1) / 8), d = 0.02 * cos(acos(-1) / 4),
                 e = 0.02 * cos(3 * acos(-1) / 8);
    const double whole[STEPS] = {0.05, 0.05,     0.03 + c, 0.03 + d, 0.03 + e,
                                 0.03, 0.03 - e, 0.03 - d, 0.03 - c},
                 five[STEPS] = {0.05, 0.05, 0.03 + d, 0.03, 0.03 - d, 0.01, 0.01, 0.01, 0.01};
    JobOptions o = options_of(1);
    o.spec.schedule = RATE_COSINE;
    o.spec.lr_min = 0.01;
    check_rates(&o, whole);
    o.spec.lr_decay_steps = 5;
    check_rates(&o, five);
}
END_TEST

static uint64_t hash_with(int64_t warm_up_steps) {
    Outcome run;
    const JobOptions o = options_of(warm_up_steps);
    ck_assert_ok(training_run(&run, &o, NULL));
    uint64_t hash = run.training.shared->results[0].parameters_hash;
    outcome_finish(&run);
    return hash;
}

START_TEST(a_warm_up_of_one_step_is_none_and_a_longer_one_is_another_run) {
    ck_assert_uint_eq(hash_with(0), hash_with(1));
    ck_assert_uint_ne(hash_with(0), hash_with(2));
    ck_assert_uint_ne(hash_with(STEPS), hash_with(STEPS + 1));  // longer than the run
}
END_TEST

START_TEST(two_ranks_warm_up_as_one_rank_with_two_shards) {
    static const CommKind comms[] = {COMM_SERIAL, COMM_THREAD, COMM_SHM};
    Outcome oracle;
    JobOptions o = options_of(5);
    o.spec.shards = 2;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    for (int k = 0; k < 3; k++) {
        Outcome ranks;
        o.spec.ranks = 2;
        o.comm = comms[k];
        ck_assert_ok(training_run(&ranks, &o, NULL));
        ck_assert_ptr_null(outcome_difference(&oracle, &ranks));
        outcome_finish(&ranks);
    }
    outcome_finish(&oracle);
}
END_TEST

SUITE("warm_up", the_rate_rises_in_equal_parts_and_stays,
      a_step_schedule_counts_the_steps_of_the_run, a_cosine_ends_with_the_run_unless_told_otherwise,
      a_warm_up_of_one_step_is_none_and_a_longer_one_is_another_run,
      two_ranks_warm_up_as_one_rank_with_two_shards)
