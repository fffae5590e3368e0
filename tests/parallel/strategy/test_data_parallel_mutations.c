// SPDX-License-Identifier: MIT
// Would the comparisons of test_data_parallel.c see a mistake in the devices' programs? Each test
// makes one, in the lowered programs or in what a rank does, and must find other results than one
// rank's. Without the mistake the same run must agree.
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "parallel/run/executor.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <string.h>

enum { RANKS = 3 };

typedef struct {
    void (*edit)(Job *job);  // of the lowered programs
    void (*before)(Executor *e, const char *op);
    const char *refused;  // what plan_check() says of the edited programs
} Mutation;

static void run_mutated(void *context, Executor *e, int plan, int op) {
    const Mutation *m = context;
    const Plan *p = &e->program->plans[plan];
    if (m->before && p->when == WHEN_EACH_STEP) m->before(e, op_name(e->program, &p->ops[op]));
}

static void edit(void *context, Job *job) {
    const Mutation *m = context;
    ck_assert_ok(plan_check(&job->set));
    if (!m->edit) return;
    m->edit(job);
    if (m->refused)
        ck_assert_fails(plan_check(&job->set), ERR_PLAN, m->refused);
    else
        ck_assert_ok(plan_check(&job->set));
}

// A batch of 31 rows of 85, so that shards are of different sizes.
static JobOptions options(void) {
    static char model[4096];
    JobOptions o = training_options();
    snprintf(model, sizeof model, "%s", test_source("tests/data/batch_norm.model"));
    o.spec.model = model;
    o.spec.batch = 31;
    o.spec.optimizer.momentum = 0.9;
    o.data = "digits:count=100";
    o.steps = 4;
    return o;
}

static void check_seen(const Mutation *m) {
    Outcome oracle, good, bad;
    JobOptions o = options();
    o.spec.shards = RANKS;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = RANKS;
    o.spec.strategy.data_parallel = true;
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
        o.comm = (CommKind)comm;
        ck_assert_ok(training_run(&good, &o, NULL));
        const char *d = outcome_result_difference(&oracle, &good);
        ck_assert_msg(!d, "without the mutation: %s", d ? d : "");
        outcome_finish(&good);
        ck_assert_ok(training_run(
            &bad, &o, &(TrainingProbe){.context = (void *)m, .edit = edit, .before = run_mutated}));
        ck_assert_msg(outcome_result_difference(&oracle, &bad), "unseen with --comm %s",
                      comm_kind_name(o.comm));
        outcome_finish(&bad);
    }
    outcome_finish(&oracle);
}

// --- programs

static Op *op_of(Job *job, int class, const char *name) {
    const Program *p = &job->set.programs[class];
    const Plan *plan = &p->plans[job->plan_step];
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(p, &plan->ops[i]), name)) return &plan->ops[i];
    ck_abort_msg("no operation %s in class %s", name, program_set_name(&job->set, class));
}

static int32_t *operands_of(Job *job, const Op *op) {
    return job->set.programs[0].plans[job->plan_step].operands + op->operand_first;
}

static void swap(int32_t *a, int32_t *b) {
    int32_t t = *a;
    *a = *b;
    *b = t;
}

// Device 1's logits are taken for device 2's.
static void gather_in_another_order(Job *job) {
    int32_t *slots = operands_of(job, op_of(job, 0, "gather.fc2.y"));
    swap(&slots[1], &slots[2]);
}
START_TEST(outputs_that_are_gathered_in_another_order_are_seen) {
    check_seen(&(Mutation){.edit = gather_in_another_order});
}
END_TEST

// An output, then the inputs.
static void scatter_in_another_order(Job *job) {
    int32_t *slots = operands_of(job, op_of(job, 0, "scatter.x")) + 1;
    swap(&slots[1], &slots[2]);
}
START_TEST(rows_that_are_scattered_in_another_order_are_seen) {
    check_seen(&(Mutation){.edit = scatter_in_another_order});
}
END_TEST

static void scatter_gradients_in_another_order(Job *job) {
    int32_t *slots = operands_of(job, op_of(job, 0, "scatter.fc2.dy")) + 1;
    swap(&slots[0], &slots[1]);
}
START_TEST(gradients_that_go_back_in_another_order_are_seen) {
    check_seen(&(Mutation){.edit = scatter_gradients_in_another_order});
}
END_TEST

// The edited programs are refused; they are not run.
static void check_refused(const Mutation *m) {
    Job job;
    JobOptions o = options();
    o.spec.ranks = RANKS;
    o.spec.strategy.data_parallel = true;
    ck_assert_ok(job_create(&job, &o));
    edit((void *)m, &job);
    job_destroy(&job);
}

// Device 2's loss is not added.
static void fold_one_loss_twice(Job *job) {
    const Program *p = &job->set.programs[0];
    const Plan *plan = &p->plans[job->plan_step];
    int32_t *last = NULL, *before = NULL;
    for (int i = 0; i < plan->op_count; i++) {
        if (strcmp(op_name(p, &plan->ops[i]), "fold.loss") != 0) continue;
        before = last;
        last = operands_of(job, &plan->ops[i]);
    }
    ck_assert(last && before);
    last[1] = before[1];
}
START_TEST(a_loss_that_is_left_out_is_refused) {
    check_refused(&(Mutation){.edit = fold_one_loss_twice, .refused = "its result loss/2 is O:0"});
}
END_TEST

// One class goes on without it: nobody would come.
static void drop_replicate(Job *job) {
    Program *p = &job->set.programs[1];
    Plan *plan = &p->plans[job->plan_step];
    uint8_t keep[256];
    ck_assert_int_lt(plan->op_count, (int)sizeof keep);
    memset(keep, 1, sizeof keep);
    keep[op_of(job, 1, "replicate") - plan->ops] = 0;
    ck_assert_ok(plan_select(plan, NULL, keep));
    ck_assert_ok(plan_derive_deps(p, plan));
}
START_TEST(a_device_without_copies_of_the_weights_is_refused) {
    check_refused(&(Mutation){.edit = drop_replicate, .refused = "before any operation wrote it"});
}
END_TEST

// --- ranks

static void *tensor_of(Executor *e, const char *name) {
    const void *data;
    int t = program_find_tensor(e->program, name);
    ck_assert_int_ne(t, NONE);
    ck_assert_ok(executor_view(e, t, &data));
    return (void *)data;
}

// From the second step on device 1 computes with the weights of the first.
static void keep_weights(Executor *e, const char *op) {
    static _Thread_local float old[8];
    float *bias = NULL;
    if (e->rank != 1 || strcmp(op, "fc2.forward") != 0) return;
    bias = tensor_of(e, "fc2.bias");
    if (e->step == 0)
        memcpy(old, bias, sizeof old);
    else
        memcpy(bias, old, sizeof old);
}
START_TEST(weights_that_are_stale_on_a_device_are_seen) {
    check_seen(&(Mutation){.before = keep_weights});
}
END_TEST

// Each device divides by its own rows: the mean of means, where shards are of different sizes.
static void divide_by_own_rows(Executor *e, const char *op) {
    if (e->rank || strcmp(op, "scatter.x") != 0) return;
    *(double *)tensor_of(e, "inverse_count") = 1.0 / 30;
}
START_TEST(a_divisor_of_other_rows_is_seen) {
    check_seen(&(Mutation){.before = divide_by_own_rows});
}
END_TEST

// As if every device's running statistics were kept, not device 0's: another device's moves them.
static void move_statistics(Executor *e, const char *op) {
    if (e->rank || strcmp(op, "reduce.gradients") != 0 || e->step != 1) return;
    float *mean = tensor_of(e, "bn1.running_mean");
    mean[0] = mean[0] * 0.9F + 0.1F;
}
START_TEST(running_statistics_of_another_device_are_seen) {
    check_seen(&(Mutation){.before = move_statistics});
}
END_TEST

// A gradient is added to itself on device 2: its part counts twice.
static void count_twice(Executor *e, const char *op) {
    if (e->rank != 2 || strcmp(op, "reduce.gradients") != 0) return;
    float *gradient = tensor_of(e, "fc2.bias.grad");
    for (int i = 0; i < 10; i++) gradient[i] += gradient[i];
}
START_TEST(a_gradient_that_counts_twice_is_seen) { check_seen(&(Mutation){.before = count_twice}); }
END_TEST

SUITE("data_parallel_mutations", outputs_that_are_gathered_in_another_order_are_seen,
      rows_that_are_scattered_in_another_order_are_seen,
      gradients_that_go_back_in_another_order_are_seen, a_loss_that_is_left_out_is_refused,
      a_device_without_copies_of_the_weights_is_refused,
      weights_that_are_stale_on_a_device_are_seen, a_divisor_of_other_rows_is_seen,
      running_statistics_of_another_device_are_seen, a_gradient_that_counts_twice_is_seen)
