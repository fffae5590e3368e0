// SPDX-License-Identifier: MIT
// The contract (docs/contract.md, 7) for networks that are no chain: residual blocks, outputs that
// several layers use, tied weights.
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <string.h>

static JobOptions graph_options(const char *device) {
    JobOptions o = training_options();
    o.spec.model = test_source("tests/data/graph.model");
    ck_assert_ptr_nonnull(o.spec.model);
    o.spec.device = device;
    o.spec.optimizer.momentum = 0.9;
    o.spec.strategy.bucket_bytes[0] = 512;
    o.spec.strategy.bucket_bytes[1] = 1024;
    o.steps = 8;
    return o;
}

static bool has_device(const char *name) {
    const Device *d;
    return device_find(&d, name) == OK;
}

static void check_ranks(const char *device, int ranks, int micro_batches) {
    JobOptions o = graph_options(device);
    Outcome oracle;
    o.spec.micro_batches = micro_batches;
    o.spec.shards = ranks;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = ranks;
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++)
        for (int overlap = 0; overlap < 2; overlap++) {
            Outcome got;
            uint64_t delays = (uint64_t)(ranks * 10 + comm);
            o.comm = (CommKind)comm;
            o.spec.strategy.no_overlap = !overlap;
            ck_assert_ok(training_run(
                &got, &o, &(TrainingProbe){.context = &delays, .before = training_delay}));
            const char *d = outcome_difference(&oracle, &got);
            ck_assert_msg(!d, "%s, %d ranks, %s, %d micro-batches: %s", device, ranks,
                          comm_kind_name(o.comm), micro_batches, d ? d : "");
            outcome_finish(&got);
        }
    outcome_finish(&oracle);
}

START_TEST(a_graph_ends_with_the_same_bits_on_any_number_of_ranks) {
    static const char *const devices[] = {"reference", "cpu"};
    for (int d = 0; d < 2; d++)
        for (int ranks = 1; ranks <= 4 && has_device(devices[d]); ranks++)
            check_ranks(devices[d], ranks, ranks % 2 ? 2 : 1);
}
END_TEST

// Let the sum `context` add its first term twice and forget the second.
static void forget_a_use(void *context, Job *job) {
    Program *p = &job->set.programs[0];
    Plan *plan = &p->plans[program_find_plan(p, "step")];
    for (int i = 0; i < plan->op_count; i++) {
        if (strcmp(op_name(p, &plan->ops[i]), context)) continue;
        ck_assert_int_eq(plan->ops[i].inputs, 2);
        int32_t *inputs = plan->operands + plan->ops[i].operand_first + plan->ops[i].outputs;
        inputs[1] = inputs[0];
        return;
    }
    ck_abort_msg("no operation %s", (const char *)context);
}

// The comparison above would see a use that is left out.
START_TEST(a_use_that_is_forgotten_is_seen) {
    static const char *const sums[] = {"sum.enc.weight", "v.backward_sum", "relu1.backward_sum",
                                       "sum.res1.a.weight"};
    JobOptions o = graph_options("reference");
    Outcome oracle, bad;
    o.spec.ranks = o.spec.shards = 2;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        ck_assert_ok(training_run(
            &bad, &o, &(TrainingProbe){.context = (void *)sums[i], .edit = forget_a_use}));
        ck_assert_msg(outcome_difference(&oracle, &bad) != NULL, "%s", sums[i]);
        outcome_finish(&bad);
    }
    outcome_finish(&oracle);
}
END_TEST

// tests/data/residual.model learns: 2,550 digits, eight times.
START_TEST(the_residual_network_learns) {
    if (!has_device("cpu")) SKIP("no cpu device");
    JobOptions o = training_options();
    Outcome run;
    o.spec.model = test_source("tests/data/residual.model");
    ck_assert_ptr_nonnull(o.spec.model);
    o.spec.device = "cpu";
    o.spec.batch = 32;
    o.spec.optimizer.momentum = 0.9;
    o.data = "digits:count=3000";
    o.steps = 640;
    ck_assert_ok(training_run(&run, &o, NULL));
    const RankResult *result = &run.training.shared->results[0];
    double accuracy = result->evaluations[result->evaluation_count - 1].accuracy;
    ck_assert_msg(accuracy > 0.9, "accuracy %g", accuracy);
    outcome_finish(&run);
}
END_TEST

SUITE_SECONDS("contract_graph", 120, a_graph_ends_with_the_same_bits_on_any_number_of_ranks,
              a_use_that_is_forgotten_is_seen, the_residual_network_learns)
