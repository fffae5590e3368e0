// SPDX-License-Identifier: MIT
// What lies between gradients and weights, on any number of ranks: the bits of one rank with as
// many shards (docs/contract.md, 7).
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
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
      adamw_decays_what_has_two_dimensions_unless_told_otherwise)
