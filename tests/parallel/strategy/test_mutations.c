// SPDX-License-Identifier: MIT
// Would the comparisons of test_contract.c see a mistake? Each test makes one, in the lowered
// program or in what a rank feeds it, and must find other parameters, losses or evaluations than
// one rank's. Without the mistake the same run must agree.
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct {
    void (*edit)(Job *job);  // of the lowered program
    void (*before)(Executor *e, int plan, int op);
    const char *refused;  // what plan_check says of the edited program; NULL: it may not see it
    int ranks, shards, micro_batches;  // 0: 3 ranks, as many shards, 1 micro-batch
    bool hidden;  // in lockstep ranks run on until they need a peer, which hides this race
} Mutation;

static bool is_step(const Executor *e, int plan) {
    return plan == program_find_plan(e->program, "step");
}

// The last rank is late at every gradient, so that who does not wait for it shows.
static void run_late(void *context, Executor *e, int plan, int op) {
    const Mutation *m = context;
    if (!is_step(e, plan)) return;
    const Work *w = op_work(e->program, &e->program->plans[plan].ops[op]);
    if (w->phase == PHASE_BACKWARD && e->rank == e->comm->ranks - 1)
        nanosleep(&(struct timespec){0, 500 * 1000}, NULL);
    if (m && m->before) m->before(e, plan, op);
}

static void edit(void *context, Job *job) {
    const Mutation *m = context;
    ck_assert_ok(plan_check(&job->set));
    if (!m->edit) return;
    m->edit(job);
    if (m->refused) ck_assert_fails(plan_check(&job->set), ERR_PLAN, m->refused);
}

static void check_seen(const Mutation *m) {
    Outcome oracle, good, bad;
    const TrainingProbe mutated = {.context = (void *)m, .edit = edit, .before = run_late};
    JobOptions o = training_options();
    o.spec.micro_batches = m->micro_batches ? m->micro_batches : 1;
    o.spec.shards = m->shards ? m->shards : m->ranks ? m->ranks : 3;
    o.spec.strategy.bucket_bytes[0] = 1000;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = m->ranks ? m->ranks : 3;
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
        o.comm = (CommKind)comm;
        ck_assert_ok(training_run(&good, &o, &(TrainingProbe){.before = run_late}));
        const char *d = outcome_difference(&oracle, &good);
        ck_assert_msg(!d, "without the mutation: %s", d ? d : "");
        outcome_finish(&good);
        if (comm == COMM_SERIAL && m->hidden) continue;
        Status s = training_run(&bad, &o, &mutated);
        if (s == ERR_FAILED && strstr(status_message(), "end with different values of")) continue;
        ck_assert_ok(s);
        ck_assert_msg(outcome_difference(&oracle, &bad), "unseen with --comm %s",
                      comm_kind_name(o.comm));
        outcome_finish(&bad);
    }
    outcome_finish(&oracle);
}

// --- edits

static Plan *step_of(Job *job) { return &job->set.programs[0].plans[job->plan_step]; }

static int find_op(const Program *p, const Plan *plan, const char *name) {
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(p, &plan->ops[i]), name)) return i;
    ck_abort_msg("no operation %s", name);
}

static void remove_op(Program *p, Plan *plan, const char *name) {
    uint8_t keep[512];
    memset(keep, 1, sizeof keep);
    keep[find_op(p, plan, name)] = 0;
    ck_assert_ok(plan_select(plan, NULL, keep));
}

// Remove what an operation waits for, or that one operation only.
static void drop_deps(Plan *plan, int op, int only) {
    Op *o = &plan->ops[op];
    int kept = 0;
    for (int d = 0; d < o->dep_count; d++) {
        Dep dep = plan->deps[o->dep_first + d];
        if (only != NONE && dep.op != only) plan->deps[o->dep_first + kept++] = dep;
    }
    ck_assert_int_lt(kept, o->dep_count);
    o->dep_count = kept;
}

static void update_without_waiting(Job *job) {
    Plan *step = step_of(job);
    drop_deps(step, find_op(&job->set.programs[0], step, "sgd.fc2.weight"),
              find_op(&job->set.programs[0], step, "bucket0"));
}
START_TEST(an_update_that_does_not_wait_for_its_bucket_is_seen) {
    check_seen(&(Mutation){.edit = update_without_waiting});
}
END_TEST

static void reduce_without_waiting(Job *job) {
    drop_deps(step_of(job), find_op(&job->set.programs[0], step_of(job), "bucket0"), NONE);
}
START_TEST(a_bucket_that_does_not_wait_for_the_backward_is_seen) {
    check_seen(&(Mutation){.edit = reduce_without_waiting, .hidden = true});
}
END_TEST

static void skip_bucket(Job *job) { remove_op(&job->set.programs[0], step_of(job), "bucket1"); }
START_TEST(a_bucket_left_out_is_seen) {
    check_seen(&(Mutation){.edit = skip_bucket,
                           .refused = "sgd.conv.weight: conv.weight.grad is P+ along data"});
}
END_TEST

// The second of the smallest gradients is left out of its bucket.
static void shorten_bucket(Job *job) {
    Plan *step = step_of(job);
    Op *op = &step->ops[find_op(&job->set.programs[0], step, "bucket0")];
    int32_t *operands = step->operands + op->operand_first;
    ck_assert_int_eq(op->outputs, op->inputs);
    ck_assert_int_gt(op->outputs, 1);
    memmove(operands + op->outputs - 1, operands + op->outputs,
            (size_t)(op->inputs - 1) * sizeof *operands);
    op->outputs--;
    op->inputs--;
}
START_TEST(a_gradient_left_out_of_its_bucket_is_seen) {
    check_seen(&(Mutation){.edit = shorten_bucket, .refused = "is P+ along data"});
}
END_TEST

static Plan *plan_at(Job *job, When when) {
    Program *p = &job->set.programs[0];
    return &p->plans[program_find_when(p, when, 0)];
}
static void skip_broadcast(Job *job) { plan_at(job, WHEN_ONCE)->when = WHEN_NONE; }
START_TEST(a_missing_broadcast_is_seen) { check_seen(&(Mutation){.edit = skip_broadcast}); }
END_TEST

static void skip_loss(Job *job) {
    remove_op(&job->set.programs[0], step_of(job), "all_reduce.loss");
}
START_TEST(a_loss_that_is_not_reduced_is_seen) { check_seen(&(Mutation){.edit = skip_loss}); }
END_TEST

static void skip_gather(Job *job) {
    remove_op(&job->set.programs[0], plan_at(job, WHEN_EACH_EPOCH), "all_gather.evaluation");
}
START_TEST(an_evaluation_that_is_not_gathered_is_seen) {
    check_seen(&(Mutation){.edit = skip_gather});
}
END_TEST

// ((g2 + g1) + g0): of two ranks it would be the same bits, of three it is not. The sums get a lane
// of their own, because a communication lane has one group and the others' stays as it is.
static void fold_backwards(Job *job) {
    Program *p = &job->set.programs[0];
    Plan *step = step_of(job);
    int group, lane, ranks[] = {2, 1, 0};
    ck_assert_ok(program_add_rank_list(p, "backwards", ranks, 3, &group));
    ck_assert_ok(program_add_lane(p, "backwards", LANE_COMMUNICATION, group, &lane));
    for (int i = 0; i < step->op_count; i++) {
        Work *w = &p->works[step->ops[i].work];
        if (w->kind != KIND_ALL_REDUCE) continue;
        w->group = group;
        step->ops[i].lane = (uint8_t)lane;
    }
}
START_TEST(a_fold_in_another_order_of_ranks_is_seen) {
    check_seen(&(Mutation){.edit = fold_backwards, .refused = "is P+ along data"});
}
END_TEST

static void overwrite(Job *job) {
    Plan *step = step_of(job);
    int op = find_op(&job->set.programs[0], step, "fc2.backward_weight");
    while (step->ops[op].micro_batch != 1 ||
           strcmp(op_name(&job->set.programs[0], &step->ops[op]), "fc2.backward_weight"))
        op++;
    ck_assert(step->ops[op].flags & OP_ACCUMULATE);
    step->ops[op].flags = 0;
}
START_TEST(a_micro_batch_that_overwrites_the_sum_is_seen) {
    check_seen(&(Mutation){.edit = overwrite, .micro_batches = 3});
}
END_TEST

// --- what a rank feeds

static Kind kind_of(const Executor *e, int plan, int op) {
    return op_kind(e->program, &e->program->plans[plan].ops[op]);
}

static int scalar(const Executor *e, const char *name, int shard, int micro_batch) {
    char full[64];
    snprintf(full, sizeof full, "%s.%d.%d", name, shard, micro_batch);
    int tensor = program_find_tensor(e->program, full);
    ck_assert_int_ne(tensor, NONE);
    return tensor;
}

static int64_t get(const Executor *e, int tensor) {
    return *(const int64_t *)executor_data(e, tensor);
}

// Rows [first, first + rows) of the batch for a shard and micro-batch.
static void set_rows(Executor *e, int shard, int micro_batch, int64_t first, int64_t rows) {
    executor_set_i64(e, scalar(e, "first_row", shard, micro_batch), first);
    executor_set_i64(e, scalar(e, "rows", shard, micro_batch), rows);
}

// Rows of one of three ranks, by docs/contract.md, 2; the last batch of an epoch has 48.
static void set_rows_of(Executor *e, int rank) {
    int64_t rows = e->step % 3 == 2 ? 48 : 61, begin = rank * rows / 3;
    set_rows(e, 0, 0, begin, (rank + 1) * rows / 3 - begin);
}

// Of ranks 0 and 1 it would be the same bits: g1 + g0 is g0 + g1.
static void swap_ranks(Executor *e, int plan, int op) {
    if (op == 0 && e->rank) set_rows_of(e, 3 - e->rank);
}
START_TEST(two_ranks_with_each_others_rows_are_seen) {
    check_seen(&(Mutation){.before = swap_ranks});
}
END_TEST

static void right_rows(Executor *e, int plan, int op) {
    if (op == 0) set_rows_of(e, e->rank);
}
START_TEST(rows_that_are_right_are_no_mutation) {
    Outcome oracle, same;
    Mutation m = {.before = right_rows};
    JobOptions o = training_options();
    o.spec.shards = 3;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = 3;
    ck_assert_ok(training_run(&same, &o, &(TrainingProbe){.context = &m, .before = run_late}));
    ck_assert_ptr_null(outcome_difference(&oracle, &same));
    outcome_finish(&oracle);
    outcome_finish(&same);
}
END_TEST

static void first_rows(Executor *e, int plan, int op) {
    if (op == 0) set_rows(e, 0, 0, 0, get(e, scalar(e, "rows", 0, 0)));
}
START_TEST(ranks_that_all_take_the_first_rows_are_seen) {
    check_seen(&(Mutation){.before = first_rows, .ranks = 2});
}
END_TEST

static void swap_cells(Executor *e, int shard, int micro_batch) {
    int64_t first[] = {get(e, scalar(e, "first_row", 0, 0)),
                       get(e, scalar(e, "first_row", shard, micro_batch))};
    int64_t rows[] = {get(e, scalar(e, "rows", 0, 0)),
                      get(e, scalar(e, "rows", shard, micro_batch))};
    set_rows(e, 0, 0, first[1], rows[1]);
    set_rows(e, shard, micro_batch, first[0], rows[0]);
}

// ((g0 + g1) + g3) + g2
static void swap_shards(Executor *e, int plan, int op) {
    if (op == 0 && e->rank == 1) swap_cells(e, 1, 0);
}
START_TEST(local_shards_in_another_order_are_seen) {
    check_seen(&(Mutation){.before = swap_shards, .ranks = 2, .shards = 4});
}
END_TEST

static void reverse_micro_batches(Executor *e, int plan, int op) {
    if (op == 0) swap_cells(e, 0, 2);
}
START_TEST(micro_batches_in_another_order_are_seen) {
    check_seen(&(Mutation){.before = reverse_micro_batches, .micro_batches = 3, .ranks = 2});
}
END_TEST

static void scale_divisor(Executor *e, double factor) {
    int tensor = program_find_tensor(e->program, "inverse_count");
    executor_set_f64(e, tensor, *(const double *)executor_data(e, tensor) * factor);
}

static void average(Executor *e, int plan, int op) {
    if (op == 0) scale_divisor(e, 1.0 / e->comm->ranks);
}
START_TEST(gradients_that_are_averaged_once_more_are_seen) {
    check_seen(&(Mutation){.before = average});
}
END_TEST

// Right for full batches: only the last of an epoch, of 48 rows, tells.
static void divide_by_batch(Executor *e, int plan, int op) {
    if (op == 0 && e->step % 3 == 2) scale_divisor(e, 48.0 / 61);
}
START_TEST(a_partial_batch_divided_by_a_full_one_is_seen) {
    check_seen(&(Mutation){.before = divide_by_batch});
}
END_TEST

// One rank, one step: a bit of one gradient a bucket. (The last bit of all could be rounded away.)
static void flip_bit(Executor *e, int plan, int op) {
    if (e->rank != 1 || e->step != 7 || kind_of(e, plan, op) != KIND_ALL_REDUCE) return;
    int gradient = op_outputs(&e->program->plans[plan], &e->program->plans[plan].ops[op])[0];
    if (e->program->tensors[gradient].role == ROLE_GRADIENT)
        ((unsigned char *)executor_data(e, gradient))[1] ^= 1;
}
START_TEST(one_wrong_bit_is_seen) { check_seen(&(Mutation){.before = flip_bit}); }
END_TEST

SUITE("mutations", an_update_that_does_not_wait_for_its_bucket_is_seen,
      a_bucket_that_does_not_wait_for_the_backward_is_seen, a_bucket_left_out_is_seen,
      a_gradient_left_out_of_its_bucket_is_seen, a_missing_broadcast_is_seen,
      a_loss_that_is_not_reduced_is_seen, an_evaluation_that_is_not_gathered_is_seen,
      a_fold_in_another_order_of_ranks_is_seen, a_micro_batch_that_overwrites_the_sum_is_seen,
      two_ranks_with_each_others_rows_are_seen, rows_that_are_right_are_no_mutation,
      ranks_that_all_take_the_first_rows_are_seen, local_shards_in_another_order_are_seen,
      micro_batches_in_another_order_are_seen, gradients_that_are_averaged_once_more_are_seen,
      a_partial_batch_divided_by_a_full_one_is_seen, one_wrong_bit_is_seen)
