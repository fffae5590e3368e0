// SPDX-License-Identifier: MIT
// Products of shared experts with tensor, pipeline and data parallelism, with what else changes a
// step: after 10 steps in f64, losses and all that is saved lie within 1e-12 max(1, |w|) of one
// process with as many shards and micro-batches, which decide what an expert drops.
#include "core/plan/check.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

enum { STEPS = 10, RANKS = 8, HIDDEN = 16, MLP = 12, SEQUENCE = 4, TOKENS = 16 * SEQUENCE };
#define MODEL "mixtral:layers=2,hidden=16,heads=4,kv_heads=4,seq=4,mlp=12,experts=4,capacity=80"

static Arena arena;  // finished by each test

// How ranks are divided.
typedef struct {
    int pipe, data, expert, tensor;
} Degrees;

static JobOptions options(void) {
    JobOptions o = training_options();
    o.spec.model = MODEL;
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 16;
    o.spec.optimizer.momentum = 0.9;
    o.data = "text:count=2000";
    o.comm = COMM_SERIAL;
    o.steps = STEPS;
    return o;
}

static void divide(JobOptions *o, const Degrees *d) {
    o->spec.mesh.pipe = d->pipe;
    o->spec.mesh.tensor = d->tensor;
    o->spec.strategy.experts = d->expert;
    o->spec.ranks = d->pipe * d->data * d->tensor;
    o->spec.shards = 0;
}

// What one process makes of as many shards.
static void run_one(Ending *one, const JobOptions *options, int shards) {
    JobOptions o = *options;
    o.spec.shards = shards;
    o.spec.strategy = job_spec_default().strategy;
    ending_run(one, &arena, &o);
}

static void check(const JobOptions *options, const Degrees *d) {
    Ending one;
    JobOptions o = *options;
    run_one(&one, &o, d->data);
    divide(&o, d);
    ending_check_run(&o, &arena, &one, 1e-12);
    ending_finish(&one);
    arena_finish(&arena);
}

START_TEST(tensor_ranks_divide_experts) {
    JobOptions o = options();
    check(&o, &(Degrees){1, 1, 1, 2});
    check(&o, &(Degrees){1, 2, 1, 4});
    o.comm = COMM_SHM;
    o.spec.optimizer.clip = 0.1;
    o.spec.micro_batches = 2;
    check(&o, &(Degrees){1, 2, 1, 2});
}
END_TEST

// 3 units of 9 on one rank, 2 on each of the others; and a layer of experts alone.
START_TEST(units_that_cannot_be_shared_equally_are_divided) {
    JobOptions o = options();
    o.spec.model =
        "mixtral:layers=1,hidden=16,heads=4,kv_heads=4,seq=4,mlp=9,experts=4,capacity=80";
    check(&o, &(Degrees){1, 2, 2, 4});
    o.spec.model = ending_write_file(&arena, "moe.model",
                                     "model m\ninput 1 28 28\nclasses 10\nflatten f\n"
                                     "experts e count=4 top_k=2 hidden=10\nlinear head out=10\n");
    o.data = "digits:count=60";
    Ending one;
    run_one(&one, &o, 2);
    divide(&o, &(Degrees){1, 2, 2, 2});
    ending_check_run(&o, &arena, &one, 1e-12);
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

// All products of at most 8 ranks, of which some share experts.
static void check_all(int pipe, int first) {
    static const Recompute recompute[] = {RECOMPUTE_NONE, RECOMPUTE_FULL, RECOMPUTE_SELECTIVE};
    int count = 0;
    for (int data = 2; data <= RANKS; data *= 2) {
        JobOptions o = options();
        Ending one;
        o.spec.micro_batches = pipe > 1 ? 4 : 1;
        o.spec.batch = pipe > 1 ? 4 * data : 16;
        o.spec.optimizer.clip = data == 4 ? 0.1 : 0;
        if (pipe * data > RANKS) break;
        run_one(&one, &o, data);
        for (int tensor = 1; pipe * data * tensor <= RANKS; tensor *= 2)
            for (int expert = 2; expert <= data && expert <= 4; expert *= 2) {
                divide(&o, &(Degrees){pipe, data, expert, tensor});
                o.spec.strategy.recompute = recompute[(first + count) % 3];
                o.spec.strategy.schedule =
                    (OptionForm){.word = count % 2 ? SCHEDULE_ZERO_BUBBLE : SCHEDULE_1F1B};
                o.spec.strategy.zero = (first + count) % (pipe > 1 ? 3 : 4);
                o.spec.mesh_order = count % 2 ? "tensor,data,pipe,context" : NULL;
                ending_check_run(&o, &arena, &one, 1e-12);
                count++;
            }
        ending_finish(&one);
    }
    ck_assert_int_ge(count, 4);
    arena_finish(&arena);
}

START_TEST(products_with_tensor_ranks_train_as_one_process) { check_all(1, 1); }
END_TEST

START_TEST(products_with_a_pipeline_do) { check_all(2, 1); }
END_TEST

// Experts choose from all positions, of which norms and residual sums have a part on each rank.
START_TEST(products_whose_positions_are_divided_do) {
    static const Degrees degrees[] = {{1, 1, 1, 2}, {1, 2, 1, 4}, {1, 2, 2, 2}, {1, 4, 2, 2}};
    for (int i = 0; i < 4; i++) {
        JobOptions o = options();
        Ending one;
        o.spec.optimizer.clip = i % 2 ? 0.1 : 0;
        o.spec.micro_batches = 1 + i / 2;
        run_one(&one, &o, degrees[i].data);
        divide(&o, &degrees[i]);
        o.spec.strategy.sequence_parallel = true;
        o.spec.strategy.recompute = i % 2 ? RECOMPUTE_FULL : RECOMPUTE_NONE;
        ending_check_run(&o, &arena, &one, 1e-12);
        ending_finish(&one);
        arena_finish(&arena);
    }
}
END_TEST

START_TEST(stages_whose_positions_are_divided_do) {
    JobOptions o = options();
    Ending one;
    o.spec.micro_batches = 4;
    run_one(&one, &o, 2);
    divide(&o, &(Degrees){2, 2, 2, 2});
    o.spec.strategy.sequence_parallel = true;
    o.spec.strategy.zero = 1;
    ending_check_run(&o, &arena, &one, 1e-12);
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

// Divided in one way after the other, from files of one rank and from those of all.
START_TEST(a_run_goes_on_with_other_degrees) {
    static const struct {
        Degrees degrees;
        int zero, steps;
    } parts[] = {{{1, 4, 2, 2}, 0, 4}, {{1, 4, 4, 1}, 3, 7}, {{1, 4, 2, 1}, 1, STEPS}};
    JobOptions o = options();
    Ending one, last;
    char files[2][300], index[320];
    run_one(&one, &o, 4);
    for (int i = 0; i < 2; i++) {
        snprintf(files[i], sizeof files[i], "%s/part%d.safetensors", test_directory(), i);
        o.save = files[i];
        o.save_shards = i == 1;
        o.resume = i ? files[0] : NULL;
        o.steps = parts[i].steps;
        divide(&o, &parts[i].degrees);
        o.spec.strategy.zero = parts[i].zero;
        Outcome run;
        ck_assert_ok(training_run(&run, &o, NULL));
        outcome_finish(&run);
    }
    snprintf(index, sizeof index, "%s.index.json", files[1]);
    o.save_shards = false;
    o.resume = index;
    o.steps = STEPS;
    divide(&o, &parts[2].degrees);
    o.spec.strategy.zero = parts[2].zero;
    ending_run(&last, &arena, &o);
    double apart = ending_distance(&one, &last, 1e-12);
    ck_assert_msg(apart <= 1, "%g bounds apart", apart);
    ending_finish(&last);
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

// --- what is cut and sent

// Weights are cut by their units, states and gradients with them, and again by who has the expert.
START_TEST(a_rank_holds_its_units_of_its_experts) {
    static const char *const of_experts[] = {
        "model.layers.1.block_sparse_moe.experts.w1.weight",
        "model.layers.1.block_sparse_moe.experts.w2.weight.grad",
        "model.layers.1.block_sparse_moe.experts.w3.weight.velocity"};
    JobOptions o = options();
    Job job;
    divide(&o, &(Degrees){1, 4, 2, 2});
    ck_assert_ok(job_create(&job, &o));
    const Program *p = job_program(&job, 0);
    for (int i = 0; i < 3; i++) {
        int t = program_find_tensor(p, of_experts[i]);
        ck_assert_int_ne(t, NONE);
        ck_assert_int_eq(p->tensors[t].bytes, 2 * (MLP / 2) * HIDDEN * 8);
    }
    job_destroy(&job);
}
END_TEST

static int64_t bytes_of(const Program *p, const Plan *plan, const char *name) {
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(p, &plan->ops[i]), name))
            return p->tensors[op_outputs(plan, &plan->ops[i])[0]].bytes;
    return 0;
}

// A layer's outputs and the gradient of its input are reduced over tensor ranks, of tokens and not
// of slots, of which there are more; and the gradients of its gates.
START_TEST(tokens_are_reduced_and_not_slots) {
    JobOptions o = options();
    Job job;
    divide(&o, &(Degrees){1, 1, 1, 2});
    ck_assert_ok(job_create(&job, &o));
    const Program *p = job_program(&job, 0);
    const Plan *step = &p->plans[job.plan_step];
#define LAYER "all_reduce.model.layers.1.block_sparse_moe."
    ck_assert_int_eq(bytes_of(p, step, LAYER "y"), TOKENS * HIDDEN * 8);
    ck_assert_int_eq(bytes_of(p, step, LAYER "dx.sent"), TOKENS * HIDDEN * 8);
    ck_assert_int_eq(bytes_of(p, step, LAYER "dgates"), TOKENS * 2 * 8);
    int count = 0;
    for (int i = 0; i < step->op_count; i++)
        count += !strncmp(op_name(p, &step->ops[i]), LAYER, strlen(LAYER));
    ck_assert_int_eq(count, 3);
    job_destroy(&job);
}
END_TEST

// Where positions are divided: what experts read is gathered once, with the logits, and what they
// gave is reduced to pieces; so is the gradient of what they read.
START_TEST(pieces_of_positions_are_gathered_once) {
    static const struct {
        const char *name;
        int64_t bytes;
    } sent[] = {
        {"all_gather.model.layers.1.post_attention_layernorm.y.own", TOKENS * HIDDEN * 8},
        {"all_gather.model.layers.1.block_sparse_moe.logits.own", TOKENS * 4 * 8},
        {"reduce_scatter.model.layers.1.block_sparse_moe.y.sums", TOKENS * HIDDEN / 2 * 8},
        {"all_gather.model.layers.1.add1.dy.own", TOKENS * HIDDEN * 8},
        {"reduce_scatter.model.layers.1.block_sparse_moe.dgates.sums", TOKENS * 2 / 2 * 8},
        {"all_gather.model.layers.1.block_sparse_moe.dgates:S1.own", TOKENS * 2 * 8},
        {"reduce_scatter.model.layers.1.block_sparse_moe.dx.sent.sums", TOKENS * HIDDEN / 2 * 8}};
    JobOptions o = options();
    Job job;
    int count = 0;
    divide(&o, &(Degrees){1, 1, 1, 2});
    o.spec.strategy.sequence_parallel = true;
    ck_assert_ok(job_create(&job, &o));
    const Program *p = job_program(&job, 0);
    const Plan *step = &p->plans[job.plan_step];
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
        ck_assert_int_eq(bytes_of(p, step, sent[i].name), sent[i].bytes);
    for (int i = 0; i < step->op_count; i++)
        count += op_communicates(p, &step->ops[i]) &&
                 strstr(op_name(p, &step->ops[i]), "layers.1.block_sparse_moe.");
    ck_assert_int_eq(count, 5);
    job_destroy(&job);
}
END_TEST

// --- a mistake

// Without the reduction a gate would have the product of its token's gradient with a part.
START_TEST(gates_whose_gradients_are_not_reduced_are_refused) {
    JobOptions o = options();
    Job job;
    divide(&o, &(Degrees){1, 2, 2, 2});
    ck_assert_ok(job_create(&job, &o));
    Program *p = &job.set.programs[0];
    Plan *step = &p->plans[job.plan_step];
    uint8_t *keep = ARENA_NEW(&arena, uint8_t, step->op_count);
    ck_assert_ptr_nonnull(keep);
    for (int i = 0; i < step->op_count; i++)
        keep[i] = strcmp(op_name(p, &step->ops[i]), LAYER "dgates") != 0;
    ck_assert_ok(plan_check(&job.set));
    ck_assert_ok(plan_select(step, NULL, keep));
    ck_assert_ok(plan_derive_deps(p, step));
    ck_assert_fails(plan_check(&job.set), ERR_PLAN, "dgates is P+ along tensor");
    job_destroy(&job);
    arena_finish(&arena);
}
END_TEST

SUITE("expert products", tensor_ranks_divide_experts, a_run_goes_on_with_other_degrees,
      units_that_cannot_be_shared_equally_are_divided,
      products_with_tensor_ranks_train_as_one_process, products_with_a_pipeline_do,
      products_whose_positions_are_divided_do, stages_whose_positions_are_divided_do,
      pieces_of_positions_are_gathered_once, a_rank_holds_its_units_of_its_experts,
      tokens_are_reduced_and_not_slots, gates_whose_gradients_are_not_reduced_are_refused)
