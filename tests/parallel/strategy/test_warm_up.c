// SPDX-License-Identifier: MIT
// --warm-up: the learning rate of every step, and that strategies agree on it.
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

// Of 4 steps: 1/4, 2/4, 3/4 and 4/4 of 0.05, and 0.05 from then on, over epochs of 3 batches.
START_TEST(the_rate_rises_in_equal_parts_and_stays) {
    static const double want[STEPS] = {0.0125, 0.025, 0.0375, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05};
    Rates rates = {{0}};
    Outcome run;
    const JobOptions o = options_of(4);
    ck_assert_ok(training_run(&run, &o, &(TrainingProbe){.context = &rates, .before = keep_rate}));
    for (int k = 0; k < STEPS; k++)
        ck_assert_msg(fabs(rates.used[k] - want[k]) < 1e-17, "step %d took %.17g, not %.17g", k,
                      rates.used[k], want[k]);
    outcome_finish(&run);
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
      a_warm_up_of_one_step_is_none_and_a_longer_one_is_another_run,
      two_ranks_warm_up_as_one_rank_with_two_shards)
