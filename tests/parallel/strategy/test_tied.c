// SPDX-License-Identifier: MIT
// GPT's tied head: the weight of the embedding is that of the last layer, too, so that its gradient
// is a sum of two, which the backward completes first and last. Whatever the strategy, buckets,
// prefetch and micro-batches, it has the bits of one rank (docs/contract.md, 3 and 7), and a sum
// that is reduced too early, or twice, is noticed.
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <string.h>

static const int64_t caps[][2] = {{4096, 32768}, {0, 0}, {1 << 30, 1 << 30}};

// wte.weight is 65x64: two blocks of 4,096 elements, the second of 64.
static JobOptions tied_options(void) {
    JobOptions o = training_options();
    o.spec.model = "gpt:layers=1,heads=2,seq=8";
    o.data = "text:count=1000";
    o.spec.batch = 12;
    o.spec.optimizer.momentum = 0.9;
    o.steps = 3;
    return o;
}

// --- P ranks and P shards

static void check_run(const Outcome *oracle, JobOptions o, int zero, int cap, int prefetch) {
    Outcome got;
    uint64_t delays = (uint64_t)(zero + 4 * cap + 12 * prefetch);
    o.comm = (CommKind)((zero + cap + prefetch) % 3);
    o.spec.strategy.zero = zero;
    o.spec.strategy.prefetch = prefetch;
    o.spec.strategy.no_overlap = (zero + prefetch) % 4 == 3;
    memcpy(o.spec.strategy.bucket_bytes, caps[cap], sizeof caps[0]);
    ck_assert_ok(
        training_run(&got, &o, &(TrainingProbe){.context = &delays, .before = training_delay}));
    const char *d = outcome_result_difference(oracle, &got);
    ck_assert_msg(!d, "ZeRO %d, %d ranks, %d micro-batches, caps %lld, prefetch %d: %s", zero,
                  o.spec.ranks, o.spec.micro_batches, (long long)caps[cap][1], prefetch,
                  d ? d : "");
    outcome_finish(&got);
}

static void check_ranks(int ranks, int micro_batches, int local_shards) {
    JobOptions o = tied_options();
    Outcome oracle;
    o.spec.micro_batches = micro_batches;
    o.spec.shards = ranks * local_shards;
    if (ranks % 2) o.spec.optimizer.kind = OPTIMIZER_ADAMW;
    if (local_shards > 1) o.spec.optimizer.clip = 0.1;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = ranks;
    for (int cap = 0; cap < 3; cap++)
        for (int zero = 0; zero <= 3; zero++) check_run(&oracle, o, zero, cap, (cap + ranks) % 3);
    outcome_finish(&oracle);
}

START_TEST(a_tied_head_has_the_same_bits_on_any_number_of_ranks) {
    check_ranks(2, 1, 1);
    check_ranks(4, 1, 1);
}
END_TEST

START_TEST(micro_batches_and_several_shards_change_no_bit_either) {
    check_ranks(3, 3, 1);
    check_ranks(2, 2, 2);
}
END_TEST

// Each use is compressed, then all are added: on any number of ranks alike, whatever the buckets.
START_TEST(compressed_uses_do_not_depend_on_ranks) {
    for (int form = COMPRESS_BF16; form <= COMPRESS_TOPK; form++) {
        JobOptions o = tied_options();
        Outcome first, other;
        o.spec.strategy.compress.word = form;
        o.spec.shards = 4;
        o.spec.micro_batches = 2;
        o.spec.ranks = 4;
        ck_assert_ok(training_run(&first, &o, NULL));
        for (int cap = 0; cap < 3; cap++) {
            o.spec.ranks = cap == 1 ? 4 : 2;
            memcpy(o.spec.strategy.bucket_bytes, caps[cap], sizeof caps[0]);
            ck_assert_ok(training_run(&other, &o, NULL));
            const char *d = outcome_result_difference(&first, &other);
            ck_assert_msg(!d, "caps %lld: %s", (long long)caps[cap][1], d ? d : "");
            outcome_finish(&other);
        }
        outcome_finish(&first);
    }
}
END_TEST

// --- mistakes

typedef struct {
    const char *gradient;  // of one of the two uses
    void (*edit)(Program *p, Plan *plan, int reduction);
    const char *refused;  // what plan_check() says of the edited program; NULL: it may not see it
    int zero;             // stage
} Mistake;

// The first operation from `from` on that writes the tensor.
static int writer_of(const Program *p, const Plan *plan, const char *tensor, int from) {
    for (int i = from; i < plan->op_count; i++)
        for (int k = 0; k < plan->ops[i].outputs; k++)
            if (!strcmp(tensor_name(p, op_outputs(plan, &plan->ops[i])[k]), tensor)) return i;
    return NONE;
}

// The collective that reads the tensor.
static int reduction_of(const Program *p, const Plan *plan, const char *tensor) {
    for (int i = 0; i < plan->op_count; i++)
        for (int k = 0; op_communicates(p, &plan->ops[i]) && k < plan->ops[i].inputs; k++)
            if (!strcmp(tensor_name(p, op_inputs(plan, &plan->ops[i])[k]), tensor)) return i;
    ck_abort_msg("nothing reduces %s", tensor);
}

// Put an operation right behind another, and let all wait for what they read and write.
static void move_behind(const Program *p, Plan *plan, int op, int after) {
    int order[512], n = 0;
    uint8_t keep[512];
    ck_assert_int_lt(plan->op_count, 512);
    memset(keep, 1, sizeof keep);
    for (int i = 0; i < plan->op_count; i++) {
        if (i != op) order[n++] = i;
        if (i == after) order[n++] = op;
    }
    ck_assert_int_eq(n, plan->op_count);
    ck_assert_ok(plan_select(plan, order, keep));
    ck_assert_ok(plan_derive_deps(p, plan));
}

// Behind the first contribution to the gradient instead of the last: the second micro-batch adds
// to what is reduced already.
static void reduce_early(Program *p, Plan *plan, int reduction) {
    const char *gradient = tensor_name(p, op_inputs(plan, &plan->ops[reduction])[0]);
    int first = writer_of(p, plan, gradient, 0);
    ck_assert_int_lt(writer_of(p, plan, gradient, first + 1), reduction);
    move_behind(p, plan, reduction, first);
}

static void reduce_twice(Program *p, Plan *plan, int reduction) {
    const Op *op = &plan->ops[reduction];
    const Work w = *op_work(p, op);
    int32_t operand = op_inputs(plan, op)[0];
    int again;
    ck_assert_ok(plan_add_op(p, plan,
                             &(OpSpec){.name = "again",
                                       .kind = work_kind(&w),
                                       .phase = (Phase)w.phase,
                                       .dtype = (Dtype)w.dtype,
                                       .lane = op->lane,
                                       .group = w.group,
                                       .algorithm = (Algorithm)w.algorithm,
                                       .order = (Order)w.order,
                                       .parts = w.parts,
                                       .outputs = &operand,
                                       .inputs = &operand,
                                       .output_count = 1,
                                       .input_count = 1},
                             &again));
    move_behind(p, plan, again, reduction);
}

static void forget(Program *p, Plan *plan, int reduction) {
    uint8_t keep[512];
    memset(keep, 1, sizeof keep);
    keep[reduction] = 0;
    ck_assert_ok(plan_select(plan, NULL, keep));
    ck_assert_ok(plan_derive_deps(p, plan));
}

static void edit(void *context, Job *job) {
    const Mistake *m = context;
    Program *p = &job->set.programs[0];
    Plan *plan = &p->plans[job->plan_step];
    ck_assert_ok(plan_check(&job->set));
    m->edit(p, plan, reduction_of(p, plan, m->gradient));
    if (m->refused) ck_assert_fails(plan_check(&job->set), ERR_PLAN, m->refused);
}

// The edited program is refused; and if it were not, its results would tell.
static void check_seen(const Mistake *m) {
    JobOptions o = tied_options();
    Outcome oracle, bad;
    o.spec.micro_batches = 2;
    o.spec.shards = 3;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = 3;
    o.spec.strategy.zero = m->zero;
    o.spec.strategy.bucket_bytes[0] = o.spec.strategy.bucket_bytes[1] = 0;  // each by itself
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
        o.comm = (CommKind)comm;
        Status s = training_run(&bad, &o, &(TrainingProbe){.context = (void *)m, .edit = edit});
        if (s == ERR_FAILED && strstr(status_message(), "end with different values of")) continue;
        ck_assert_ok(s);
        ck_assert_msg(outcome_result_difference(&oracle, &bad), "unseen with --comm %s",
                      comm_kind_name(o.comm));
        outcome_finish(&bad);
    }
    outcome_finish(&oracle);
}

static const char not_alike[] = "sum.wte.weight: lm_head.weight.grad is R along data: the operands "
                                "do not lie alike",
                  counted_again[] = "reducing what is not a partial result would count it once per "
                                    "rank",
                  beside_a_part[] = "sum.wte.weight: lm_head.weight.grad is P+ along data";

START_TEST(a_use_that_is_reduced_before_its_second_contribution_is_seen) {
    check_seen(&(Mistake){"wte.weight.grad", reduce_early, not_alike, 0});
    check_seen(&(Mistake){"lm_head.weight.grad", reduce_early, beside_a_part, 0});
    for (int zero = 1; zero <= 3; zero++) {
        check_seen(&(Mistake){"wte.weight.grad", reduce_early, NULL, zero});
        check_seen(&(Mistake){"lm_head.weight.grad", reduce_early, NULL, zero});
    }
}
END_TEST

START_TEST(a_use_that_is_reduced_twice_is_seen) {
    check_seen(&(Mistake){"wte.weight.grad", reduce_twice, counted_again, 0});
    check_seen(&(Mistake){"lm_head.weight.grad", reduce_twice, counted_again, 0});
}
END_TEST

START_TEST(a_use_that_is_not_reduced_is_seen) {
    check_seen(&(Mistake){"wte.weight.grad", forget, not_alike, 0});
    check_seen(&(Mistake){"lm_head.weight.grad", forget, beside_a_part, 0});
}
END_TEST

SUITE_SECONDS("tied", 60, a_tied_head_has_the_same_bits_on_any_number_of_ranks,
              micro_batches_and_several_shards_change_no_bit_either,
              compressed_uses_do_not_depend_on_ranks,
              a_use_that_is_reduced_before_its_second_contribution_is_seen,
              a_use_that_is_reduced_twice_is_seen, a_use_that_is_not_reduced_is_seen)
