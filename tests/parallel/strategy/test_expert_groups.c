// SPDX-License-Identifier: MIT
// Experts that are shared by some neighbours among the data parallel ranks (--ep less than --dp):
// after 10 steps in f64 all lies within 1e-12 max(1, |w|) of one process with as many shards, whose
// queues are those of the ranks. What is sent, what a rank holds, and mistakes that are seen.
#include "core/plan/check.h"
#include "core/plan/expert.h"
#include "parallel/collective/collective.h"
#include "parallel/strategy/footprint.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <string.h>

enum { LAYERS = 2, HIDDEN = 16, MLP = 8, VOCABULARY = 65, SEQUENCE = 4, BATCH = 24, STEPS = 10 };
#define MODEL "mixtral:hidden=16,mlp=8,seq=4,layers=2,capacity=80,"

static Arena arena;  // finished by each test

static JobOptions options(const char *model) {
    JobOptions o = training_options();
    o.spec.model = model;
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = BATCH;
    o.data = "text:count=2000";
    o.comm = COMM_SERIAL;
    o.steps = STEPS;
    return o;
}

static void share_experts(JobOptions *o, int ranks, int sharers) {
    o->spec.ranks = ranks;
    o->spec.shards = 0;
    o->spec.strategy.experts = sharers;
}

// One process with as many shards, and groups of ranks.
static void check_groups(JobOptions o, int ranks, int sharers) {
    Ending one;
    const StrategyOptions strategy = o.spec.strategy;
    o.spec.shards = ranks;
    o.spec.strategy = job_spec_default().strategy;
    ending_run(&one, &arena, &o);
    o.spec.strategy = strategy;
    share_experts(&o, ranks, sharers);
    ending_check_run(&o, &arena, &one, 1e-12);
    ending_finish(&one);
    arena_finish(&arena);
}

START_TEST(groups_that_share_experts_train_as_one_process) {
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
        JobOptions o = options(MODEL "experts=4");
        o.comm = (CommKind)comm;
        check_groups(o, 4, 2);
    }
    check_groups(options(MODEL "experts=6"), 6, 2);
    check_groups(options(MODEL "experts=6"), 6, 3);
}
END_TEST

START_TEST(eight_ranks_in_groups_of_two_and_four_do) {
    check_groups(options(MODEL "experts=4"), 8, 2);
    check_groups(options(MODEL "experts=4,top_k=1"), 8, 4);
}
END_TEST

// Clipping, weights that decay, micro-batches, rows that are shared unequally, a frozen router,
// what is computed again, gradients that go when the backward has ended.
START_TEST(what_else_changes_a_step_goes_with_groups) {
    JobOptions o = options(MODEL "experts=4");
    o.spec.optimizer.clip = 0.1;
    o.spec.on_nan = ON_NAN_SKIP;
    check_groups(o, 4, 2);
    o.spec.optimizer = (Optimizer){
        .kind = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-4, .weight_decay = 0.1};
    o.spec.micro_batches = 2;
    o.spec.batch = 19;
    check_groups(o, 4, 2);
    o.spec.freeze = "model.layers.0.block_sparse_moe.gate.weight";
    o.spec.strategy.recompute = RECOMPUTE_FULL;
    o.spec.strategy.no_overlap = true;
    o.spec.optimizer = (Optimizer){.momentum = 0.9};
    check_groups(o, 4, 2);
}
END_TEST

// Ranks with two shards of the batch each: gradients of experts that no other rank has are added up
// over these, others as ever.
START_TEST(ranks_have_several_shards) {
    static const int ranks[][2] = {{2, 2}, {4, 2}, {4, 4}};
    for (int i = 0; i < 3; i++)
        for (int stage = 0; stage <= 3; stage++) {
            JobOptions o = options(MODEL "experts=4");
            Ending one;
            if (stage && stage != i + 1) continue;
            o.spec.shards = 2 * ranks[i][0];
            o.spec.micro_batches = 1 + i / 2;
            o.spec.optimizer.clip = stage ? 0.1 : 0;
            ending_run(&one, &arena, &o);
            share_experts(&o, ranks[i][0], ranks[i][1]);
            o.spec.shards = 2 * ranks[i][0];
            o.spec.strategy.zero = stage;
            ending_check_run(&o, &arena, &one, 1e-12);
            ending_finish(&one);
            arena_finish(&arena);
        }
}
END_TEST

// Where sequences are cut, too, sums along context come first, of which some are the last.
START_TEST(and_pieces_of_sequences) {
    for (int stage = 0; stage <= 3; stage += stage ? 2 : 1) {
        JobOptions o = options("mixtral:hidden=16,mlp=8,seq=8,layers=2,experts=4,capacity=400");
        Ending one;
        o.spec.shards = 4;
        ending_run(&one, &arena, &o);
        share_experts(&o, 4, 2);
        o.spec.shards = 4;
        o.spec.mesh.context = 2;
        o.spec.strategy.zero = stage;
        ending_check_run(&o, &arena, &one, 1e-12);
        ending_finish(&one);
        arena_finish(&arena);
    }
}
END_TEST

// What data parallel ranks hold alike is sharded among all of them, experts among those that hold
// the same, with other blocks on each rank than those of 4,096 elements, and with whole ones.
START_TEST(shards_of_zero_go_with_groups) {
    static const char *const models[] = {
        MODEL "experts=4", "mixtral:hidden=64,mlp=64,seq=4,layers=1,capacity=80,experts=4"};
    for (int stage = 1; stage <= 3; stage++) {
        JobOptions o = options(models[stage % 2]);
        o.spec.strategy.zero = stage;
        o.spec.strategy.prefetch = stage % 2;
        o.spec.optimizer = (Optimizer){.momentum = 0.9, .clip = 0.1};
        check_groups(o, 4, 2);
        o.spec.micro_batches = 2;
        o.spec.on_nan = ON_NAN_SKIP;
        o.spec.strategy.no_overlap = stage == 2;
        check_groups(o, 6, 2);
    }
}
END_TEST

// --- what is sent and held

static CommCount count(const Outcome *run, int rank, const char *group, int operation) {
    return outcome_count(run, rank, "step", group, operation);
}

// Exchanges stay within a group: (E - 1) / E of a rank's slots. Gradients of experts are summed
// over the ranks that hold the same, N / E of them, and all others over all N.
START_TEST(what_is_sent_is_the_closed_form) {
    for (int sharers = 2; sharers <= 4; sharers += 2) {
        JobOptions o = options(MODEL "experts=4");
        Outcome run;
        const int ranks = 8, holders = ranks / sharers;
        o.steps = 1;
        o.spec.strategy.bucket_bytes[0] = o.spec.strategy.bucket_bytes[1] = INT64_MAX;
        share_experts(&o, ranks, sharers);
        ck_assert_ok(training_run(&run, &o, NULL));
        int64_t slots = 4 * expert_capacity(0.8, 2, BATCH / ranks * SEQUENCE, 4);
        int64_t exchanged = LAYERS * (4 * slots * HIDDEN * 8 + 4 * 8);
        int64_t experts = LAYERS * 3 * 4 * MLP * HIDDEN / sharers * 8, all = 0;
        for (int l = 0; l < run.job.set.programs[0].logical_count; l++) {
            const Logical *of = &run.job.set.programs[0].logicals[l];
            if (of->role == ROLE_GRADIENT) all += logical_elements(of) * 8;
        }
        int64_t others = all - experts * sharers;
        ck_assert_int_eq(others, 8 * (2 * VOCABULARY * HIDDEN + HIDDEN +
                                      LAYERS * (3 * HIDDEN * HIDDEN + 2 * HIDDEN + 4 * HIDDEN)));
        double mean = 0;
        for (int r = 0; r < ranks; r++) {
            CommCount is = count(&run, r, "experts", COLLECTIVE_ALL_TO_ALL);
            ck_assert_int_eq(is.calls, 5 * LAYERS);
            ck_assert_int_eq(is.bytes, exchanged / sharers * (sharers - 1));
            CommCount sums = count(&run, r, "holders", COLLECTIVE_ALL_REDUCE);
            ck_assert_int_eq(sums.calls, 1);
            ck_assert_int_eq(sums.bytes, 2 * experts / holders * (holders - 1));
            mean += (double)count(&run, r, "data", COLLECTIVE_ALL_REDUCE).bytes / ranks;
        }
        // With those, on the same lane, go the loss and what layers count.
        int64_t scalars = 8 * (2 + LAYERS * (EXPERT_CHOSEN + 4));
        ck_assert_double_eq_tol(mean, 2.0 * (double)(others + scalars) * (ranks - 1) / ranks, 1e-6);
        outcome_finish(&run);
    }
}
END_TEST

// What --print-memory says by formula is what the plan has.
START_TEST(memory_and_traffic_are_those_of_the_closed_forms) {
    for (int sharers = 1; sharers <= 8; sharers *= 2) {
        JobOptions o = options(MODEL "experts=8");
        Job job;
        o.spec.optimizer = (Optimizer){.momentum = 0.9, .clip = 1};
        share_experts(&o, 8, sharers);
        ck_assert_ok(job_create(&job, &o));
        const Program *p = job_program(&job, 0);
        FootprintModel m = footprint_model(p);
        Footprint closed = footprint_closed(&m, 0), is = footprint_planned(p, NONE);
        ck_assert_int_eq(m.ranks, 8);
        ck_assert_int_eq(m.sharers, sharers);
        ck_assert_double_eq(is.parameters, closed.parameters);
        ck_assert_double_eq(is.gradients, closed.gradients);
        ck_assert_double_eq(is.optimiser, closed.optimiser);
        ck_assert_double_eq_tol(is.sent, closed.sent, 1e-6);
        ck_assert_double_eq_tol(is.sent_norm, closed.sent_norm, 1e-6);
        ck_assert_double_eq(is.sent_statistics, 0);
        ck_assert((is.sent_activations > 0) == (sharers > 1));
        job_destroy(&job);
    }
}
END_TEST

// A shard of each of an expert's weights and states on the ranks that hold it, in blocks of 4,096.
START_TEST(shards_of_experts_are_those_of_their_holders) {
    static const char *const names[] = {
        "model.layers.0.block_sparse_moe.experts.w1.weight",
        "model.layers.0.block_sparse_moe.experts.w1.weight.velocity",
        "model.layers.0.block_sparse_moe.gate.weight.velocity"};
    for (int stage = 1; stage <= 3; stage++) {
        JobOptions o = options("mixtral:hidden=64,mlp=64,seq=4,layers=1,capacity=80,experts=8");
        Job job;
        const int64_t piece = 8 * 64 * 64 / 2 * 8;  // of 2 ranks that share the experts
        o.spec.strategy.zero = stage;
        o.spec.optimizer = (Optimizer){.momentum = 0.9, .clip = 1};
        share_experts(&o, 8, 2);
        ck_assert_ok(job_create(&job, &o));
        const Program *p = job_program(&job, 0);
        FootprintModel m = footprint_model(p);
        Footprint closed = footprint_closed(&m, stage), is = footprint_planned(p, NONE);
        const int64_t want[] = {stage == 3 ? piece / 4 : piece, piece / 4, 8 * 64 * 8};
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(p->tensors[program_find_tensor(p, names[i])].bytes, want[i]);
        if (stage < 3) ck_assert_double_eq_tol(is.sent, closed.sent, 1e-6);
        ck_assert_double_eq_tol(is.sent_norm, closed.sent_norm, 1e-6);
        job_destroy(&job);
    }
}
END_TEST

// --- mistakes

static int find_op(const Program *p, const Plan *plan, const char *name) {
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(p, &plan->ops[i]), name)) return i;
    ck_abort_msg("there is no %s", name);
}

// Gradients of experts are added up over the ranks with other experts, too.
START_TEST(a_sum_over_ranks_with_other_experts_is_refused) {
    JobOptions o = options(MODEL "experts=4");
    Job job;
    share_experts(&o, 4, 2);
    ck_assert_ok(job_create(&job, &o));
    Program *p = &job.set.programs[0];
    const Plan *step = &p->plans[job.plan_step];
    ck_assert_ok(plan_check(&job.set));
    int op = find_op(p, step, "experts.bucket0");
    p->works[step->ops[op].work].group = (int16_t)program_find_group(p, "data");
    p->lanes[step->ops[op].lane].group = (int16_t)program_find_group(p, "data");
    ck_assert_fails(plan_check(&job.set), ERR_PLAN,
                    "along expert: reducing what is not a partial result");
    job_destroy(&job);
}
END_TEST

// An update with the gradient of one's own tokens alone.
static void keep_to_oneself(void *context, Job *job) {
    Program *p = &job->set.programs[0];
    Plan *step = &p->plans[job->plan_step];
    uint8_t *keep = ARENA_NEW(&arena, uint8_t, step->op_count);
    (void)context;
    ck_assert_ptr_nonnull(keep);
    memset(keep, 1, (size_t)step->op_count);
    keep[find_op(p, step, "experts.bucket0")] = 0;
    ck_assert_ok(plan_select(step, NULL, keep));
    ck_assert_ok(plan_derive_deps(p, step));
    ck_assert_fails(plan_check(&job->set), ERR_PLAN, "along data");
}

START_TEST(holders_that_do_not_add_up_are_seen) {
    JobOptions o = options(MODEL "experts=4");
    Outcome run;
    share_experts(&o, 4, 2);
    ck_assert_fails(training_run(&run, &o, &(TrainingProbe){.edit = keep_to_oneself}), ERR_FAILED,
                    "of which both hold the same elements");
    arena_finish(&arena);
}
END_TEST

START_TEST(degrees_that_do_not_fit_are_refused_with_the_arithmetic) {
    Outcome run;
    JobOptions o = options(MODEL "experts=4");
    share_experts(&o, 6, 4);
    ck_assert_fails(training_run(&run, &o, NULL), ERR_USAGE,
                    "--ep 4: 6 data parallel ranks = 4 × 1 + 2; give 4 or 8 of them, or --ep 2");
    o.spec.model = MODEL "experts=6";
    ck_assert_fails(training_run(&run, &o, NULL), ERR_USAGE,
                    "--ep 4: 6 data parallel ranks = 4 × 1 + 2; give --ep 3");
    o.spec.model = MODEL "experts=5";
    ck_assert_fails(training_run(&run, &o, NULL), ERR_USAGE,
                    "--ep 4: 6 data parallel ranks = 4 × 1 + 2; leave --ep out");
    o.spec.model = MODEL "experts=4";
    share_experts(&o, 2, 4);
    ck_assert_fails(training_run(&run, &o, NULL), ERR_USAGE,
                    "--ep 4: data parallel ranks share the experts, and there are 2; give --dp 4, "
                    "or --ep 2");
    share_experts(&o, 6, 3);
    ck_assert_fails(training_run(&run, &o, NULL), ERR_USAGE,
                    "--ep 3: 4 experts = 3 × 1 + 1; --ep 2 can share them");
}
END_TEST

SUITE("expert groups", groups_that_share_experts_train_as_one_process,
      eight_ranks_in_groups_of_two_and_four_do, what_else_changes_a_step_goes_with_groups,
      shards_of_zero_go_with_groups, ranks_have_several_shards, and_pieces_of_sequences,
      what_is_sent_is_the_closed_form, shards_of_experts_are_those_of_their_holders,
      memory_and_traffic_are_those_of_the_closed_forms,
      a_sum_over_ranks_with_other_experts_is_refused, holders_that_do_not_add_up_are_seen,
      degrees_that_do_not_fit_are_refused_with_the_arithmetic)
