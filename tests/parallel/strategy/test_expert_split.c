// SPDX-License-Identifier: MIT
// Experts that ranks share (--ep): the bits of one rank with as many shards, what is sent, what a
// rank holds, and what is refused.
#include "core/device/device.h"
#include "core/plan/expert.h"
#include "core/platform/device_traits.h"
#include "parallel/collective/collective.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <string.h>

enum { LAYERS = 2, HIDDEN = 16, MLP = 8, SEQUENCE = 8, BATCH = 12, STEPS = 3 };
#define MODEL "mixtral:hidden=16,mlp=8,seq=8,layers=2,capacity=80,"

static JobOptions options(const char *model, Dtype dtype, const char *device) {
    JobOptions o = training_options();
    o.spec.model = model;
    o.spec.dtype = dtype;
    o.spec.device = device;
    o.spec.batch = BATCH;
    o.data = "text:count=2000";
    o.steps = STEPS;
    return o;
}

static void share_experts(JobOptions *o, int ranks) {
    o->spec.ranks = ranks;
    o->spec.shards = 0;
    o->spec.strategy.experts = ranks;
}

static void check_ranks(JobOptions o, int ranks) {
    Outcome oracle;
    int stage = o.spec.strategy.zero;
    o.spec.shards = ranks;
    o.spec.strategy.zero = 0;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    share_experts(&o, ranks);
    o.spec.strategy.zero = stage;
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
        Outcome got;
        o.comm = (CommKind)comm;
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "%s, %d ranks, %s: %s", o.spec.device, ranks, comm_kind_name(o.comm),
                      d ? d : "");
        d = outcome_uncounted(&got);
        ck_assert_msg(!d, "%d ranks, %s: %s", ranks, comm_kind_name(o.comm), d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}

START_TEST(ranks_that_share_experts_equal_shards) {
    const Device *cpu;
    check_ranks(options(MODEL "experts=4", DTYPE_F32, "reference"), 2);
    check_ranks(options(MODEL "experts=4", DTYPE_BF16, "reference"), 2);
    if (device_find(&cpu, "cpu") != OK) return;
    check_ranks(options(MODEL "experts=6", DTYPE_F64, "cpu"), 2);
    check_ranks(options(MODEL "experts=6", DTYPE_F32, "cpu"), 3);
    check_ranks(options(MODEL "experts=4", DTYPE_F32, "cpu"), 4);
}
END_TEST

// Rows that the ranks cannot share equally, some of which have none in the last batch of an epoch;
// Adam; a frozen router.
START_TEST(uneven_batches_optimisers_and_frozen_weights_change_nothing) {
    JobOptions o = options(MODEL "experts=4", DTYPE_F32, "reference");
    o.spec.batch = 7;
    o.steps = 0;
    o.epochs = 1;
    o.data = "text:count=400";
    check_ranks(o, 4);
    o = options(MODEL "experts=4", DTYPE_F32, "reference");
    o.spec.optimizer = (Optimizer){
        .kind = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1};
    check_ranks(o, 2);
    o.spec.freeze = "model.layers.0.block_sparse_moe.gate.weight";
    check_ranks(o, 2);
}
END_TEST

// With several micro-batches a weight's gradient is added up over the ranks first, and over the
// micro-batches then: within docs/contract.md, 7.
START_TEST(micro_batches_stay_within_the_contract) {
    static const char *const names[] = {"model.embed_tokens.weight",
                                        "model.layers.0.block_sparse_moe.gate.weight",
                                        "model.layers.0.block_sparse_moe.experts.w1.weight",
                                        "model.layers.1.block_sparse_moe.experts.w2.weight"};
    const int64_t elements[] = {65 * HIDDEN, 4 * HIDDEN, 4 * MLP * HIDDEN, 4 * MLP * HIDDEN};
    JobOptions o = options(MODEL "experts=4", DTYPE_F64, "reference");
    Outcome one, two;
    o.steps = 10;
    o.spec.micro_batches = 3;
    o.spec.shards = 2;
    ck_assert_ok(training_run(&one, &o, NULL));
    share_experts(&o, 2);
    ck_assert_ok(training_run(&two, &o, NULL));
    for (int n = 0; n < 4; n++)
        for (int rank = 0; rank < 2; rank++) {
            const double *want = outcome_tensor(&one, 0, names[n]),
                         *got = outcome_tensor(&two, rank, names[n]);
            int64_t count = n < 2 ? elements[n] : elements[n] / 2;
            if (n >= 2) want += rank * count;  // the experts of this rank
            for (int64_t i = 0; i < count; i++)
                ck_assert_msg(fabs(got[i] - want[i]) <= 1e-12 * fmax(1, fabs(want[i])),
                              "%s[%lld] on rank %d is %.17g, not %.17g", names[n], (long long)i,
                              rank, got[i], want[i]);
        }
    outcome_finish(&one);
    outcome_finish(&two);
}
END_TEST

// --- the norm of all gradients, in which each expert counts once

// The experts of a rank are whole blocks of 4,096 elements.
#define BLOCKS "mixtral:hidden=64,mlp=64,seq=8,layers=2,capacity=80,"

START_TEST(clipping_and_loss_scales_change_no_bit) {
    JobOptions o = options(BLOCKS "experts=4", DTYPE_F32, "reference");
    o.spec.optimizer.clip = 0.1;
    check_ranks(o, 2);
    o.spec.on_nan = ON_NAN_SKIP;
    o.spec.loss_scale = (OptionForm){.word = LOSS_SCALE_CONSTANT, .number = 1024};
    check_ranks(o, 2);
    o = options(BLOCKS "experts=8", DTYPE_F32, device_traits_default);
    o.spec.optimizer.clip = 0.1;
    o.spec.loss_scale = (OptionForm){.word = LOSS_SCALE_DYNAMIC, .number = 64};
    o.spec.loss_scale_every = 2;
    check_ranks(o, 4);
}
END_TEST

// What all ranks update is sharded, what each holds of the experts is not.
START_TEST(sharded_states_beside_experts_change_no_bit) {
    JobOptions o = options(BLOCKS "experts=4", DTYPE_F32, "reference");
    for (int stage = 1; stage <= 3; stage++) {
        o.spec.strategy.zero = stage;
        o.spec.optimizer = (Optimizer){.kind = OPTIMIZER_ADAMW,
                                       .beta1 = 0.9,
                                       .beta2 = 0.99,
                                       .eps = 1e-8,
                                       .weight_decay = 0.1,
                                       .clip = 0.1 * stage};
        check_ranks(o, 2);
    }
    o.spec.optimizer = (Optimizer){.momentum = 0.9};
    o.spec.on_nan = ON_NAN_SKIP;
    check_ranks(o, 4);
}
END_TEST

// The k-th step of training.
static const StepRecord *step_of(const Outcome *o, int rank, int k) {
    const Timeline *t = &o->training.shared->results[rank].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == o->job.plan_step && k-- == 0) return &t->steps[i];
    ck_abort_msg("there are fewer steps");
}

// Experts that end within a block: their sums are of other blocks than those of one rank.
START_TEST(clipping_by_parts_of_blocks_stays_within_the_contract) {
    JobOptions o = options(MODEL "experts=4", DTYPE_F64, "reference");
    Outcome one, two;
    o.steps = 10;
    o.spec.optimizer.clip = 0.1;
    o.spec.shards = 4;
    ck_assert_ok(training_run(&one, &o, NULL));
    share_experts(&o, 4);
    ck_assert_ok(training_run(&two, &o, NULL));
    for (int k = 0; k < o.steps; k++)
        for (int rank = 0; rank < 4; rank++) {
            double want = step_of(&one, 0, k)->gradient_norm,
                   got = step_of(&two, rank, k)->gradient_norm;
            ck_assert_double_gt(want, o.spec.optimizer.clip);
            ck_assert_msg(fabs(got - want) <= 1e-12 * want, "step %d: %.17g and %.17g on rank %d",
                          k, want, got, rank);
        }
    outcome_finish(&one);
    outcome_finish(&two);
}
END_TEST

// One rank alone has the expert whose gradient is no number.
static void spoil(void *context, Executor *e, int plan, int op) {
    const Plan *p = &e->program->plans[plan];
    int gradient =
        program_find_tensor(e->program, "model.layers.0.block_sparse_moe.experts.w1.weight.grad");
    (void)context;
    if (op_kind(e->program, &p->ops[op]) == KIND_SQUARE_SUMS && e->rank == 1 &&
        e->step == STEPS - 1)
        *(float *)executor_data(e, gradient) = (float)NAN;
}

START_TEST(all_ranks_skip_a_step_for_an_expert_of_one) {
    JobOptions o = options(MODEL "experts=4", DTYPE_F32, "reference");
    Outcome run;
    share_experts(&o, 2);
    o.test_fraction = 0;
    o.spec.on_nan = ON_NAN_SKIP;
    ck_assert_ok(training_run(&run, &o, &(TrainingProbe){.before = spoil}));
    for (int rank = 0; rank < 2; rank++) {
        ck_assert(step_of(&run, rank, STEPS - 1)->skipped);
        ck_assert(!step_of(&run, rank, STEPS - 2)->skipped);
    }
    outcome_finish(&run);
}
END_TEST

// For each layer and micro-batch five exchanges: how many tokens there are, the tokens and what
// the experts made of them, and the gradients of both. All but a rank's own share is taken from
// others: (P - 1) / P of E · S slots.
START_TEST(what_is_sent_is_the_closed_form) {
    for (int ranks = 2; ranks <= 4; ranks += 2)
        for (int micro_batches = 1; micro_batches <= 3; micro_batches += 2) {
            JobOptions o = options(MODEL "experts=4", DTYPE_F32, "reference");
            Outcome run;
            o.spec.micro_batches = micro_batches;
            share_experts(&o, ranks);
            ck_assert_ok(training_run(&run, &o, NULL));
            int64_t tokens = BATCH / ranks / micro_batches * SEQUENCE, E = 4;
            int64_t slots = E * expert_capacity(0.8, 2, tokens, E);
            int64_t layer = (4 * slots * HIDDEN + 2 * E) * (int64_t)sizeof(float);
            int64_t passes = (int64_t)STEPS * LAYERS * micro_batches;
            for (int r = 0; r < ranks; r++) {
                CommCount is = outcome_count(&run, r, "step", "experts", COLLECTIVE_ALL_TO_ALL);
                ck_assert_int_eq(is.calls, 5 * passes);
                ck_assert_int_eq(is.bytes, passes * layer / ranks * (ranks - 1));
            }
            outcome_finish(&run);
        }
}
END_TEST

// Weights of experts, their gradients and what the optimiser keeps: a share of each.
START_TEST(a_rank_holds_its_experts_alone) {
    static const char *const of_experts[] = {
        "model.layers.1.block_sparse_moe.experts.w3.weight",
        "model.layers.1.block_sparse_moe.experts.w3.weight.grad",
        "model.layers.1.block_sparse_moe.experts.w3.weight.velocity"};
    JobOptions o = options(MODEL "experts=4", DTYPE_F32, "reference");
    Job job;
    o.spec.optimizer.momentum = 0.9;
    share_experts(&o, 4);
    ck_assert_ok(job_create(&job, &o));
    const Program *p = job_program(&job, 0);
    for (int i = 0; i < 3; i++) {
        int t = program_find_tensor(p, of_experts[i]);
        ck_assert_int_ne(t, NONE);
        ck_assert_int_eq(p->tensors[t].bytes, MLP * HIDDEN * 4);
    }
    job_destroy(&job);
}
END_TEST

// Operations of these kinds between the i-th, an exchange, and the next of a kind.
static int count_meanwhile(const Program *p, const Plan *plan, int i, const Kind kinds[3],
                           Kind next) {
    int count = 0;
    for (i++; i < plan->op_count && op_kind(p, &plan->ops[i]) != next; i++)
        for (int k = 0; k < 3; k++) count += op_kind(p, &plan->ops[i]) == kinds[k];
    return count;
}

// The router's part goes on while gradients come to the experts, and gradients of weights while
// those of tokens go back: in each layer, shard and micro-batch.
START_TEST(gradients_are_computed_while_others_are_exchanged) {
    static const Kind router[] = {KIND_ROUTE_BACKWARD, KIND_LINEAR_BACKWARD_WEIGHT,
                                  KIND_LINEAR_BACKWARD_INPUT},
                      weights[] = {KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, KIND_COUNT, KIND_COUNT};
    JobOptions o = options(MODEL "experts=4", DTYPE_F32, "reference");
    Job job;
    int there = 0, back = 0;
    o.spec.micro_batches = 3;
    share_experts(&o, 2);
    ck_assert_ok(job_create(&job, &o));
    const Program *p = job_program(&job, 0);
    const Plan *step = &p->plans[job.plan_step];
    for (int i = 0; i < step->op_count; i++) {
        const char *output = tensor_name(p, op_outputs(step, &step->ops[i])[0]);
        if (op_kind(p, &step->ops[i]) != KIND_ALL_TO_ALL) continue;
        bool away = strstr(output, ".away");
        if (away && strstr(output, ".dgiven")) {
            there++;
            ck_assert_int_eq(count_meanwhile(p, step, i, router, KIND_EXPERT_LINEAR_BACKWARD_INPUT),
                             3);
        } else if (!away && strstr(output, ".dsent")) {
            back++;
            ck_assert_int_eq(count_meanwhile(p, step, i, weights, KIND_DISPATCH_BACKWARD), 3);
        }
    }
    ck_assert_int_eq(there, 3 * LAYERS);
    ck_assert_int_eq(back, 3 * LAYERS);
    job_destroy(&job);
}
END_TEST

// The exchange that should bring back what experts gave sends what they got: the tokens.
static void send_back_what_came(void *context, Job *job) {
    Program *p = &job->set.programs[0];
    Plan *plan = &p->plans[program_find_plan(p, "step")];
    int32_t came = NONE;
    (void)context;
    for (int i = 0; i < plan->op_count; i++) {
        int32_t *operands = &plan->operands[plan->ops[i].operand_first];
        if (op_kind(p, &plan->ops[i]) != KIND_ALL_TO_ALL || p->tensors[*operands].dims != 4)
            continue;
        if (came != NONE) {
            operands[1] = came;
            return;
        }
        came = operands[0];
    }
    ck_abort_msg("no exchange brings anything back");
}

START_TEST(experts_that_send_back_what_they_got_are_seen) {
    JobOptions o = options(MODEL "experts=4", DTYPE_F32, "reference");
    Outcome good, bad;
    share_experts(&o, 2);
    o.comm = COMM_SERIAL;
    ck_assert_ok(training_run(&good, &o, NULL));
    ck_assert_ok(training_run(&bad, &o, &(TrainingProbe){.edit = send_back_what_came}));
    ck_assert_ptr_nonnull(outcome_result_difference(&good, &bad));
    outcome_finish(&good);
    outcome_finish(&bad);
}
END_TEST

START_TEST(what_is_not_built_is_refused_with_the_arithmetic) {
    Outcome run;
    JobOptions o = options(MODEL "experts=4", DTYPE_F32, "reference");
    share_experts(&o, 3);
    ck_assert_fails(training_run(&run, &o, NULL), ERR_USAGE,
                    "--ep 3: 4 experts = 3 × 1 + 1; give --experts 3 or 6");
    share_experts(&o, 5);
    ck_assert_fails(training_run(&run, &o, NULL), ERR_USAGE,
                    "--ep 5: 4 experts = 5 × 0 + 4; give --experts 5");
    share_experts(&o, 3);
    o.spec.strategy.experts = 2;
    ck_assert_fails(
        training_run(&run, &o, NULL), ERR_USAGE,
        "--ep 2: 3 data parallel ranks = 2 × 1 + 1; give 2 or 4 of them, or leave --ep out");
    share_experts(&o, 2);
    o.spec.model = "llama:hidden=16,seq=8";
    ck_assert_fails(training_run(&run, &o, NULL), ERR_USAGE,
                    "--ep 2: the model has no layer of experts");
}
END_TEST

SUITE_SECONDS("expert split", 60, ranks_that_share_experts_equal_shards,
              uneven_batches_optimisers_and_frozen_weights_change_nothing,
              micro_batches_stay_within_the_contract, clipping_and_loss_scales_change_no_bit,
              clipping_by_parts_of_blocks_stays_within_the_contract,
              sharded_states_beside_experts_change_no_bit,
              all_ranks_skip_a_step_for_an_expert_of_one, what_is_sent_is_the_closed_form,
              a_rank_holds_its_experts_alone, gradients_are_computed_while_others_are_exchanged,
              experts_that_send_back_what_they_got_are_seen,
              what_is_not_built_is_refused_with_the_arithmetic)
