// SPDX-License-Identifier: MIT
// Clipping by the norm of all gradients, and steps that are not finite, where each rank holds
// shards: norms, losses and weights have the bits of one rank with as many shards of the batch
// (docs/contract.md, 6 and 7). test_zero_mutations.c plants mistakes.
#include "core/platform/device_traits.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t caps[][2] = {{4096, 32768}, {0, 0}, {1 << 30, 1 << 30}};

// Norms of the first steps are 0.39 and 0.33.
static JobOptions clip_options(int variant, int ranks) {
    static char model[4096];
    JobOptions o = training_options();
    snprintf(model, sizeof model, "%s", test_source("tests/data/zero.model"));
    o.spec.model = model;
    o.spec.batch = 31;
    o.data = "digits:count=100";
    o.steps = 4;
    o.spec.dtype = variant & 1 ? DTYPE_F64 : DTYPE_F32;
    o.spec.device = variant & 2 ? device_traits_default : "reference";
    o.spec.micro_batches = variant % 3 == 1 ? 3 : 1;
    o.spec.shards = variant % 3 == 2 ? 2 * ranks : ranks;
    o.spec.optimizer.kind = variant & 4 ? OPTIMIZER_ADAMW : OPTIMIZER_SGD;
    o.spec.optimizer.momentum = 0.9;
    o.spec.optimizer.clip = 0.36;
    o.spec.on_nan = (variant ^ variant >> 1) & 1 ? ON_NAN_SKIP : ON_NAN_STOP;
    return o;
}

static void shard(JobOptions *o, int ranks, int stage, int turn) {
    o->spec.ranks = ranks;
    o->comm = (CommKind)((turn + turn / 3) % COMM_KINDS);
    o->spec.strategy.zero = stage;
    o->spec.strategy.no_overlap = turn / 2 & 1;
    o->spec.strategy.prefetch = turn / 3 % 3;
    memcpy(o->spec.strategy.bucket_bytes, caps[turn / 5 % 3], sizeof caps[0]);
}

static void check_clipped(const Outcome *o) {
    const Timeline *t = &o->training.shared->results[0].timeline;
    int above = 0;
    for (int i = 0; i < t->step_count; i++) {
        if (t->steps[i].plan != o->job.plan_step) continue;
        above += t->steps[i].gradient_norm > o->job.options.spec.optimizer.clip;
    }
    ck_assert_int_gt(above, 0);
}

static void check_variant(int variant, int ranks, int *turn) {
    Outcome oracle, got;
    JobOptions o = clip_options(variant, ranks);
    ck_assert_ok(training_run(&oracle, &o, NULL));
    check_clipped(&oracle);
    for (int stage = 1; stage <= 3; stage++, ++*turn) {
        uint64_t delays = (uint64_t)*turn;
        shard(&o, ranks, stage, *turn);
        ck_assert_ok(
            training_run(&got, &o, &(TrainingProbe){.context = &delays, .before = training_delay}));
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "ZeRO-%d, %d ranks, variant %d, turn %d: %s", stage, ranks, variant,
                      *turn, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}

START_TEST(clipped_shards_have_the_bits_of_one_rank) {
    int turn = 0;
    for (int variant = 0; variant < 8; variant++) check_variant(variant, 2 + variant / 3, &turn);
}
END_TEST

// Ranks hold one block or none: of ten blocks the eighth rank has one, of the smaller tensors none.
START_TEST(ranks_without_a_block_know_the_norm) {
    int turn = 0;
    check_variant(3, 8, &turn);
}
END_TEST

// One all-reduce joins the sums of more gradients than a computation has operands: 66 tensors.
START_TEST(many_gradients_have_one_norm) {
    JobOptions o = training_options();
    Outcome oracle, got;
    o.spec.model = "mlp:hidden=2,layers=32";
    o.spec.shards = 2;
    o.spec.optimizer.clip = 0.1;
    o.steps = 2;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    check_clipped(&oracle);
    for (int stage = 1; stage <= 3; stage++) {
        shard(&o, 2, stage, stage);
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "ZeRO-%d: %s", stage, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}
END_TEST

// --- weights that tensor parallel ranks divide, too

static double norm_of(const Outcome *o, int step) {
    const Timeline *t = &o->training.shared->results[0].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == o->job.plan_step && step-- == 0) return t->steps[i].gradient_norm;
    ck_abort_msg("a step is missing");
}

// Pieces of 18 and 17 rows or columns: the smaller one has places in each row, or behind the last,
// that belong to nobody. Data parallel ranks without ZeRO add the same blocks.
START_TEST(shards_of_pieces_that_are_not_equal_know_the_norm) {
    Outcome oracle, one, got;
    JobOptions o = clip_options(3, 2);
    o.spec.model = "mlp:hidden=35,layers=3";
    o.spec.shards = 2;
    o.spec.optimizer.clip = 0.1;
    o.spec.ranks = 1;
    ck_assert_ok(training_run(&one, &o, NULL));
    o.spec.mesh.tensor = 2;
    o.spec.ranks = 4;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    check_clipped(&oracle);
    for (int i = 0; i < o.steps; i++)
        ck_assert_double_eq_tol(norm_of(&one, i), norm_of(&oracle, i), 1e-12);
    for (int stage = 1; stage <= 3; stage++) {
        shard(&o, 4, stage, stage);
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "ZeRO-%d: %s", stage, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&one);
    outcome_finish(&oracle);
}
END_TEST

// --- a small GPT-2 as it is trained: AdamW, a warm-up and a cosine, clipping by 1

static JobOptions gpt_options(int shards) {
    JobOptions o = training_options();
    o.spec.model = "gpt:layers=2,hidden=32,heads=4,seq=16";
    o.data = "text:count=3000";
    o.spec.device = device_traits_default;
    o.spec.batch = 9;
    o.spec.shards = shards;
    o.spec.micro_batches = 2;
    o.spec.learning_rate = 0.005;
    o.spec.warm_up_steps = 2;
    o.spec.schedule = RATE_COSINE;
    o.spec.optimizer = (Optimizer){.kind = OPTIMIZER_ADAMW,
                                   .beta1 = 0.9,
                                   .beta2 = 0.99,
                                   .eps = 1e-8,
                                   .weight_decay = 0.1,
                                   .clip = 1};
    o.steps = 4;
    return o;
}

START_TEST(a_gpt_has_the_same_bits_by_every_strategy) {
    for (int ranks = 2; ranks <= 4; ranks++) {
        Outcome oracle, got;
        JobOptions o = gpt_options(ranks);
        ck_assert_ok(training_run(&oracle, &o, NULL));
        check_clipped(&oracle);
        for (int stage = 0; stage <= 3; stage++) {
            shard(&o, ranks, stage, stage + ranks);
            ck_assert_ok(training_run(&got, &o, NULL));
            const char *d = outcome_result_difference(&oracle, &got);
            ck_assert_msg(!d, "ZeRO-%d, %d ranks: %s", stage, ranks, d ? d : "");
            outcome_finish(&got);
        }
        outcome_finish(&oracle);
    }
}
END_TEST

// --- steps that are not finite

enum { BAD_STEP = 2 };

static bool reduces(const Program *p, const Plan *plan, const Op *op, int gradient) {
    for (int i = 0; i < op->inputs; i++)
        if (op_kind(p, op) == KIND_REDUCE_SCATTER && op_inputs(plan, op)[i] == gradient)
            return true;
    return false;
}

// In one step an element that rank 1 reduces is no number, on rank 0 alone.
static void spoil(void *context, Executor *e, int plan, int op) {
    const Plan *p = &e->program->plans[plan];
    int gradient = program_find_tensor(e->program, "a.weight.grad");
    if (e->rank || e->step != BAD_STEP || strcmp(program_name(e->program, p->name), "step")) return;
    if (!reduces(e->program, p, &p->ops[op], gradient)) return;
    ((float *)executor_data(e, gradient))[196 * 98] = (float)NAN;
}

START_TEST(a_step_that_is_not_finite_is_skipped_on_all_ranks) {
    for (int stage = 1; stage <= 3; stage++) {
        Outcome before, got;
        JobOptions o = clip_options(6, 3);
        shard(&o, 3, stage, stage);
        o.test_fraction = 0;
        o.steps = BAD_STEP;
        ck_assert_ok(training_run(&before, &o, NULL));
        o.steps = BAD_STEP + 1;
        ck_assert_ok(training_run(&got, &o, &(TrainingProbe){.before = spoil}));
        for (int r = 0; r < 3; r++) {
            const RankResult *result = &got.training.shared->results[r];
            int last = result->timeline.step_count - 1;
            ck_assert_int_eq(result->diverged, DIVERGED_NOT);
            ck_assert(result->timeline.steps[last].skipped);
            ck_assert(!result->timeline.steps[last - 1].skipped);
        }
        ck_assert_int_eq(memcmp(before.state, got.state, (size_t)(3 * got.state_bytes)), 0);
        outcome_finish(&before);
        outcome_finish(&got);
    }
}
END_TEST

// --- the order of the sum, by gradients whose squares add up to something else in another one

enum { BLOCK = 4096, ELEMENTS = 196 * 196, BLOCKS = (ELEMENTS + BLOCK - 1) / BLOCK, ROOM = 16 };
typedef enum { NONE_AT_ALL, TURNED_ROUND, ONE_BLOCK_OFF } Mistake;

// The gradient of a is 2^-27 where a block begins, and 1 in the last block: nine times 2^-54, which
// is too little to change a sum of 1, and then 1 are 1 + 9/4 ulp. All else is zero.
static void set_gradient(Executor *e, int tensor) {
    const Tensor *t = &e->program->tensors[tensor];
    bool a = !strncmp(tensor_name(e->program, tensor), "a.weight", 8);
    int ranks = e->comm ? e->comm->ranks : 1;
    int blocks = ranks == 1 ? BLOCKS : e->rank < 2 ? 3 : 4;  // of ten
    float *gradient = executor_data(e, tensor);
    memset(gradient, 0, (size_t)tensor_elements(t) * sizeof *gradient);
    for (int b = 0; a && b < blocks; b++) gradient[b * BLOCK] = ldexpf(1, -27);
    if (a && e->rank == ranks - 1) gradient[(blocks - 1) * BLOCK] = 1;
}

static void set_order(void *context, Executor *e, int plan, int op) {
    const Plan *p = &e->program->plans[plan];
    const char *name = op_name(e->program, &p->ops[op]);
    int sums = program_find_tensor(e->program, "a.weight.grad.squares");
    double before[ROOM], *now = executor_data(e, sums);
    Mistake mistake = *(const Mistake *)context;
    if (!strncmp(name, "squares.", 8)) set_gradient(e, op_inputs(p, &p->ops[op])[0]);
    memcpy(before, now, BLOCKS * sizeof *now);
    if (mistake == TURNED_ROUND && !strcmp(name, "add_squares.a.weight"))
        for (int b = 0; b < BLOCKS; b++) now[b] = before[BLOCKS - 1 - b];
    if (mistake == ONE_BLOCK_OFF && e->rank == 2 && !strcmp(name, "all_reduce.gradients.squares"))
        for (int b = 0; b < BLOCKS; b++) now[b] = before[(b + BLOCKS - 1) % BLOCKS];
}

static double norm_in_order(int ranks, int stage, Mistake mistake) {
    Outcome run;
    JobOptions o = clip_options(0, 3);
    if (stage) shard(&o, ranks, stage, stage);
    o.steps = 1;
    ck_assert_ok(
        training_run(&run, &o, &(TrainingProbe){.context = &mistake, .before = set_order}));
    const StepRecord *first =
        &run.training.shared->results[0].timeline.steps[stage == 1 || stage == 2];
    double norm = first->gradient_norm;
    outcome_finish(&run);
    return norm;
}

START_TEST(blocks_are_added_in_their_order) {
    const double ulp = ldexp(1, -52);
    ck_assert_double_eq(norm_in_order(1, 0, NONE_AT_ALL), 1 + ulp);
    for (int stage = 1; stage <= 3; stage++) {
        ck_assert_double_eq(norm_in_order(3, stage, NONE_AT_ALL), 1 + ulp);
        ck_assert_double_eq(norm_in_order(3, stage, TURNED_ROUND), 1);
        ck_assert_double_eq(norm_in_order(3, stage, ONE_BLOCK_OFF), 1);
    }
}
END_TEST

SUITE("zero_clip", clipped_shards_have_the_bits_of_one_rank, ranks_without_a_block_know_the_norm,
      many_gradients_have_one_norm, shards_of_pieces_that_are_not_equal_know_the_norm,
      a_gpt_has_the_same_bits_by_every_strategy, a_step_that_is_not_finite_is_skipped_on_all_ranks,
      blocks_are_added_in_their_order)
