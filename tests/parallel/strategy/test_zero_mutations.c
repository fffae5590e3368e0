// SPDX-License-Identifier: MIT
// Would the comparisons of test_zero.c see a mistake in a sharded program? Each test makes one, in
// the lowered program or in what a rank does, and must find other results than one rank's, or that
// plan_check() refuses it. Without the mistake the same run must agree.
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "parallel/run/executor.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BLOCK = 4096 };

typedef struct {
    int stage;
    void (*edit)(Job *job);  // of the lowered program
    void (*before)(Executor *e, int plan, int op);
    const char *refused;  // what plan_check() says of the edited program
    bool hidden;          // in lockstep ranks run on until they need a peer, which hides this race
    bool clips;  // by the norm of all gradients; then with the communicator of that number alone
    bool joined;  // all tensors in one bucket, not each in its own
    bool ahead;   // communication runs ahead of computing, which is late then
} Mutation;

static const char *name_at(const Executor *e, int plan, int op) {
    return op_name(e->program, &e->program->plans[plan].ops[op]);
}

static bool is_step(const Executor *e, int plan) {
    return plan == program_find_plan(e->program, "step");
}

// The last rank is late before each communication, so that who does not wait for it shows; or
// before each computation, so that communication which does not wait for it shows.
static void run_late(void *context, Executor *e, int plan, int op) {
    const Mutation *m = context;
    if (!is_step(e, plan)) return;
    const Op *o = &e->program->plans[plan].ops[op];
    bool late = op_communicates(e->program, o) != (m && m->ahead);
    if (e->rank == e->comm->ranks - 1 && late)
        nanosleep(&(struct timespec){0, 300 * 1000}, NULL);
    if (m && m->before) m->before(e, plan, op);
}

static void edit(void *context, Job *job) {
    const Mutation *m = context;
    ck_assert_ok(plan_check(&job->set));
    if (!m->edit) return;
    m->edit(job);
    if (m->refused) ck_assert_fails(plan_check(&job->set), ERR_PLAN, m->refused);
}

static JobOptions options(const Mutation *m, int stage) {
    static char model[4096];
    JobOptions o = training_options();
    snprintf(model, sizeof model, "%s", test_source("tests/data/zero.model"));
    o.spec.model = model;
    o.spec.batch = 31;
    o.spec.optimizer.momentum = 0.9;
    o.spec.optimizer.clip = m->clips ? 0.5 : 0;
    o.data = "digits:count=100";
    o.steps = 4;
    o.spec.strategy.zero = stage;
    o.spec.strategy.bucket_bytes[0] = o.spec.strategy.bucket_bytes[1] = m->joined ? INT64_MAX : 0;
    return o;
}

static void check_seen(const Mutation *m) {
    Outcome oracle, good, bad;
    const TrainingProbe mutated = {.context = (void *)m, .edit = edit, .before = run_late};
    JobOptions o = options(m, 0);
    o.spec.shards = 3;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o = options(m, m->stage);
    o.spec.ranks = 3;
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
        o.comm = (CommKind)comm;
        if (m->clips && comm != m->stage % COMM_KINDS) continue;
        ck_assert_ok(training_run(&good, &o, &(TrainingProbe){.before = run_late}));
        const char *d = outcome_result_difference(&oracle, &good);
        ck_assert_msg(!d, "without the mutation: %s", d ? d : "");
        outcome_finish(&good);
        if (comm == COMM_SERIAL && m->hidden) continue;
        Status s = training_run(&bad, &o, &mutated);
        if (s == ERR_FAILED && strstr(status_message(), "end with different values of")) continue;
        ck_assert_ok(s);
        ck_assert_msg(outcome_result_difference(&oracle, &bad), "unseen with --comm %s",
                      comm_kind_name(o.comm));
        outcome_finish(&bad);
    }
    outcome_finish(&oracle);
}

// The edited program is refused; it is not run.
static void check_refused(const Mutation *m) {
    Job job;
    JobOptions o = options(m, m->stage);
    o.spec.ranks = 3;
    ck_assert_ok(job_create(&job, &o));
    edit((void *)m, &job);
    job_destroy(&job);
}

// --- edits

static Plan *step_of(Job *job) { return &job->set.programs[0].plans[job->plan_step]; }

static int find_op(const Program *p, const Plan *plan, const char *name) {
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(p, &plan->ops[i]), name)) return i;
    ck_abort_msg("no operation %s", name);
}

static int op_of(Job *job, const char *name) {
    return find_op(&job->set.programs[0], step_of(job), name);
}

// The collective of a kind that a tensor, cut or whole, is in.
static int collective_of(Job *job, Kind kind, const char *tensor) {
    const Program *p = &job->set.programs[0];
    const Plan *step = step_of(job);
    for (int i = 0; i < step->op_count; i++) {
        const Op *op = &step->ops[i];
        for (int k = 0; k < op->outputs + op->inputs; k++)
            if (op_kind(p, op) == kind && !strcmp(tensor_name(p, op_outputs(step, op)[k]), tensor))
                return i;
    }
    ck_abort_msg("no %s of %s", kind_name(kind), tensor);
}

// Remove what an operation waits for in its own step and the one before, or that one only.
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
    drop_deps(step_of(job), op_of(job, "sgd.a.weight"), op_of(job, "sum.a.weight"));
    drop_deps(step_of(job), op_of(job, "sum.a.weight"), NONE);
}
START_TEST(an_update_that_does_not_wait_for_its_shard_is_seen) {
    for (int stage = 1; stage <= 3; stage++)
        check_seen(&(Mutation){.stage = stage, .edit = update_without_waiting, .hidden = true});
}
END_TEST

static void use_without_waiting(Job *job) {
    drop_deps(step_of(job), op_of(job, "b.forward"),
              collective_of(job, KIND_ALL_GATHER, "a.weight.b.forward"));
}
START_TEST(a_layer_that_does_not_wait_for_its_parameters_is_seen) {
    check_seen(&(Mutation){.stage = 3, .edit = use_without_waiting});
}
END_TEST

// It fills memory from which a layer before still reads.
static void gather_without_waiting(Job *job) {
    Plan *step = step_of(job);
    for (int i = 0; i < step->op_count; i++)
        if (!strncmp(op_name(&job->set.programs[0], &step->ops[i]), "all_gather.", 11))
            step->ops[i].dep_count = 0;
}
START_TEST(parameters_that_are_gathered_too_early_are_seen) {
    check_seen(
        &(Mutation){.stage = 3, .edit = gather_without_waiting, .hidden = true, .ahead = true});
}
END_TEST

static void gather_after_use(Job *job) {
    Plan *step = step_of(job);
    int order[512], gather = collective_of(job, KIND_ALL_GATHER, "logits.weight.forward"),
                    use = op_of(job, "logits.forward"), n = 0;
    uint8_t keep[512];
    memset(keep, 1, sizeof keep);
    for (int i = 0; i < step->op_count; i++) {
        if (i != gather) order[n++] = i;
        if (i == use) order[n++] = gather;
    }
    ck_assert_ok(plan_select(step, order, keep));
    ck_assert_ok(plan_derive_deps(&job->set.programs[0], step));
}
START_TEST(a_gather_behind_the_use_is_refused) {
    check_refused(&(Mutation){.stage = 3, .edit = gather_after_use, .refused = "logits.forward"});
}
END_TEST

// The backward reads what the forward gathered, whose memory another layer has had since.
static void read_stale(Job *job) {
    Program *p = &job->set.programs[0];
    Plan *step = step_of(job);
    Op *op = &step->ops[op_of(job, "c.backward_input")];
    int32_t *inputs = step->operands + op->operand_first + op->outputs;
    ck_assert_str_eq(tensor_name(p, inputs[1]), "c.weight.backward");
    inputs[1] = program_find_tensor(p, "c.weight.forward");
}
START_TEST(a_stale_buffer_is_seen) { check_seen(&(Mutation){.stage = 3, .edit = read_stale}); }
END_TEST

static void skip(Job *job, int op) {
    uint8_t keep[512];
    memset(keep, 1, sizeof keep);
    keep[op] = 0;
    ck_assert_ok(plan_select(step_of(job), NULL, keep));
}

static void skip_reduction(Job *job) {
    skip(job, collective_of(job, KIND_REDUCE_SCATTER, "c.weight.grad"));
}
START_TEST(a_reduction_left_out_is_refused) {
    check_refused(&(Mutation){.stage = 1, .edit = skip_reduction, .refused = "is P+ along data"});
    for (int stage = 2; stage <= 3; stage++)
        check_refused(
            &(Mutation){.stage = stage, .edit = skip_reduction, .refused = "c.weight.grad.shard"});
}
END_TEST

static void skip_gather(Job *job) { skip(job, collective_of(job, KIND_ALL_GATHER, "c.weight")); }
START_TEST(updated_shares_that_are_not_gathered_are_refused) {
    for (int stage = 1; stage <= 2; stage++)
        check_refused(&(Mutation){.stage = stage,
                                  .edit = skip_gather,
                                  .refused = "leaves of c.weight only c.weight.shard"});
}
END_TEST

static void double_unit(Job *job) {
    Program *p = &job->set.programs[0];
    Plan *step = step_of(job);
    int op = collective_of(job, KIND_REDUCE_SCATTER, "b.weight.grad");
    p->works[step->ops[op].work].unit = 2 * BLOCK;
}
START_TEST(shares_that_are_cut_otherwise_are_refused) {
    for (int stage = 1; stage <= 3; stage++)
        check_refused(&(Mutation){.stage = stage, .edit = double_unit, .refused = "unit="});
}
END_TEST

static void skip_sums(Job *job) { skip(job, op_of(job, "all_reduce.gradients.squares")); }
START_TEST(sums_of_squares_that_are_not_joined_are_refused) {
    for (int stage = 1; stage <= 3; stage++)
        check_refused(&(Mutation){.stage = stage,
                                  .clips = true,
                                  .edit = skip_sums,
                                  .refused = "add_squares.logits.weight: "
                                             "logits.weight.grad.squares is P+ along data"});
}
END_TEST

static void add_without_waiting(Job *job) {
    Plan *step = step_of(job);
    int joined = op_of(job, "all_reduce.gradients.squares");
    for (int i = 0; i < step->op_count; i++)
        if (!strncmp(op_name(&job->set.programs[0], &step->ops[i]), "add_squares.", 12))
            drop_deps(step, i, joined);
}
START_TEST(a_norm_that_does_not_wait_for_all_ranks_is_seen) {
    for (int stage = 1; stage <= 3; stage++)
        check_seen(&(Mutation){.stage = stage, .clips = true, .edit = add_without_waiting});
}
END_TEST

// --- what a rank does

// In a bucket of all tensors the first two have each other's sum.
static void swap_sums(Job *job) {
    Plan *step = step_of(job);
    const Op *op = &step->ops[collective_of(job, KIND_REDUCE_SCATTER, "c.bias.grad")];
    int32_t *shares = step->operands + op->operand_first, swapped = shares[0];
    ck_assert_int_eq(op->outputs, 9);  // two of the tied weight
    shares[0] = shares[1];
    shares[1] = swapped;
}
START_TEST(sums_of_a_bucket_that_are_swapped_are_refused) {
    for (int stage = 1; stage <= 3; stage++)
        check_refused(&(Mutation){.stage = stage,
                                  .joined = true,
                                  .edit = swap_sums,
                                  .refused = "reduce_scatter of 10 elements"});
}
END_TEST

// Rank 1 has its second block in the place of the first.
static void shift_block(Executor *e, int plan, int op) {
    if (e->rank != 1 || !is_step(e, plan) || strcmp(name_at(e, plan, op), "sgd.a.weight")) return;
    const Plan *step = &e->program->plans[plan];
    int gradient = op_inputs(step, &step->ops[op])[0];
    float *data = executor_data(e, gradient);
    memmove(data, data + BLOCK, BLOCK * sizeof *data);
}
START_TEST(a_shard_that_is_off_by_one_block_is_seen) {
    for (int stage = 1; stage <= 3; stage++)
        for (int joined = 0; joined < 2; joined++)
            check_seen(&(Mutation){.stage = stage, .before = shift_block, .joined = joined});
}
END_TEST

static void average(Executor *e, int plan, int op) {
    int tensor = program_find_tensor(e->program, "inverse_count");
    if (op == 0) executor_set_f64(e, tensor, *(const double *)executor_data(e, tensor) / 3);
}
START_TEST(gradients_that_are_averaged_once_more_are_seen) {
    for (int stage = 1; stage <= 3; stage++)
        check_seen(&(Mutation){.stage = stage, .before = average});
}
END_TEST

// The sums of squares of a, on the way of which operation `name` is the next; or NULL.
static double *sums_before(Executor *e, int plan, int op, const char *name) {
    if (!is_step(e, plan) || strcmp(name_at(e, plan, op), name)) return NULL;
    return executor_data(e, program_find_tensor(e->program, "a.weight.grad.squares"));
}

enum { BLOCKS_OF_A = (196 * 196 + BLOCK - 1) / BLOCK };

// Of ten blocks the three ranks have those from 0, 3 and 6 on.
static void add_own_shard(Executor *e, int plan, int op) {
    double *sums = sums_before(e, plan, op, "add_squares.a.weight");
    for (int b = 0; sums && b < BLOCKS_OF_A; b++)
        if (b < 3 * e->rank || (e->rank < 2 && b >= 3 * e->rank + 3)) sums[b] = 0;
}
START_TEST(a_norm_of_the_own_shard_is_seen) {
    for (int stage = 1; stage <= 3; stage++)
        check_seen(&(Mutation){.stage = stage, .clips = true, .before = add_own_shard});
}
END_TEST

SUITE("zero_mutations", an_update_that_does_not_wait_for_its_shard_is_seen,
      a_layer_that_does_not_wait_for_its_parameters_is_seen,
      parameters_that_are_gathered_too_early_are_seen, a_gather_behind_the_use_is_refused,
      a_stale_buffer_is_seen, a_reduction_left_out_is_refused,
      updated_shares_that_are_not_gathered_are_refused, shares_that_are_cut_otherwise_are_refused,
      sums_of_squares_that_are_not_joined_are_refused,
      sums_of_a_bucket_that_are_swapped_are_refused,
      a_norm_that_does_not_wait_for_all_ranks_is_seen, a_norm_of_the_own_shard_is_seen,

      a_shard_that_is_off_by_one_block_is_seen, gradients_that_are_averaged_once_more_are_seen)
