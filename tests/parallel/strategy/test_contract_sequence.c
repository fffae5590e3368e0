// SPDX-License-Identifier: MIT
// The contract (docs/contract.md, 7) for networks of sequences: attention, norms, rotary positions,
// gated units, and dropout, whose masks do not know of ranks.
#include "core/plan/check.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <string.h>

static JobOptions sequence_options(const char *device) {
    JobOptions o = training_options();
    o.spec.model = test_source("tests/data/sequence.model");
    ck_assert_ptr_nonnull(o.spec.model);
    o.spec.device = device;
    o.spec.optimizer.momentum = 0.9;
    o.spec.strategy.bucket_bytes[0] = 512;
    o.spec.strategy.bucket_bytes[1] = 1024;
    o.steps = 4;
    return o;
}

static JobOptions llama_options(const char *device) {
    JobOptions o = sequence_options(device);
    o.spec.model = "llama:hidden=16,seq=9";
    o.data = "text:count=2000";
    o.spec.batch = 7;
    return o;
}

static void check_ranks(JobOptions o, int ranks, int micro_batches) {
    const char *device = o.spec.device;
    Outcome oracle;
    o.spec.micro_batches = micro_batches;
    o.spec.shards = ranks;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = ranks;
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
        Outcome got;
        o.comm = (CommKind)comm;
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_difference(&oracle, &got);
        ck_assert_msg(!d, "%s, %d ranks, %s, %d micro-batches: %s", device, ranks,
                      comm_kind_name(o.comm), micro_batches, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}

START_TEST(a_network_of_sequences_ends_with_the_same_bits_on_any_number_of_ranks) {
    const Device *d;
    check_ranks(sequence_options("reference"), 2, 2);
    for (int ranks = 1; ranks <= 4 && device_find(&d, "cpu") == OK; ranks++)
        check_ranks(sequence_options("cpu"), ranks, ranks % 2 ? 2 : 1);
}
END_TEST

START_TEST(llama_ends_with_the_same_bits_on_any_number_of_ranks) {
    const Device *d;
    check_ranks(llama_options("reference"), 2, 2);
    for (int ranks = 2; ranks <= 4 && device_find(&d, "cpu") == OK; ranks++)
        check_ranks(llama_options("cpu"), ranks, ranks % 2 ? 2 : 1);
}
END_TEST

// Queues with room for four fifths of a fair share: each micro-batch of a shard drops tokens.
static JobOptions mixtral_options(const char *device) {
    JobOptions o = llama_options(device);
    o.spec.model = "mixtral:hidden=16,seq=9,layers=1,experts=3,capacity=80";
    return o;
}

START_TEST(mixtral_ends_with_the_same_bits_on_any_number_of_ranks) {
    const Device *d;
    check_ranks(mixtral_options("reference"), 2, 2);
    for (int ranks = 2; ranks <= 4 && device_find(&d, "cpu") == OK; ranks++)
        check_ranks(mixtral_options("cpu"), ranks, ranks % 2 ? 2 : 1);
}
END_TEST

// Both masks and their backward read the wrong input `context`: 1 the seed, 2 the step, 3 the row.
static void draw_from(Job *job, int input, ScalarSource source) {
    Program *p = &job->set.programs[0];
    Plan *plan = &p->plans[program_find_plan(p, "step")];
    int wrong = NONE;
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].source == source && wrong == NONE) wrong = t;
    ck_assert_int_ne(wrong, NONE);
    for (int i = 0; i < plan->op_count; i++)
        if (op_kind(p, &plan->ops[i]) == KIND_DROPOUT)
            plan->operands[plan->ops[i].operand_first + plan->ops[i].outputs + input] = wrong;
}

static void draw_for_the_first_rows(void *context, Job *job) {
    draw_from(job, 3, SCALAR_FIRST_ROW);
}

// With two shards on one rank the first first_row is that of shard 0.
START_TEST(a_mask_of_other_rows_is_seen) {
    JobOptions o = sequence_options("reference");
    Outcome oracle, bad;
    o.spec.shards = 2;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    ck_assert_ok(training_run(&bad, &o, &(TrainingProbe){.edit = draw_for_the_first_rows}));
    ck_assert_ptr_nonnull(outcome_difference(&oracle, &bad));
    outcome_finish(&bad);
    outcome_finish(&oracle);
}
END_TEST

START_TEST(a_mask_is_drawn_from_seed_step_and_its_own_rows) {
    static const struct {
        int input;
        ScalarSource source;
        const char *message;
    } cases[] = {
        {1, SCALAR_STEP, "step does not have source=seed"},
        {2, SCALAR_SEED, "seed does not have source=step"},
        {3, SCALAR_ROWS, "does not have source=first_row"},
        {3, SCALAR_FIRST_ROW, "where its rows begin, has slice 0.0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JobOptions o = sequence_options("reference");
        Job job;
        o.spec.shards = 2;
        ck_assert_ok(job_create(&job, &o));
        ck_assert_ok(plan_check_run(&job.set));
        draw_from(&job, cases[i].input, cases[i].source);
        ck_assert_fails(plan_check_run(&job.set), ERR_PLAN, cases[i].message);
        job_destroy(&job);
    }
}
END_TEST

SUITE_SECONDS("contract sequence", 60,
              a_network_of_sequences_ends_with_the_same_bits_on_any_number_of_ranks,
              llama_ends_with_the_same_bits_on_any_number_of_ranks,
              mixtral_ends_with_the_same_bits_on_any_number_of_ranks, a_mask_of_other_rows_is_seen,
              a_mask_is_drawn_from_seed_step_and_its_own_rows)
