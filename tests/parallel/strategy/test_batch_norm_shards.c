// SPDX-License-Identifier: MIT
// Batch normalisation over shards (docs/contract.md, 6 and 7): each normalises with what is its
// own, or with --sync-batchnorm with what all have; either way P ranks are one rank with P shards,
// to the last bit, running statistics included.
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <string.h>

static JobOptions batch_norm_options(const char *device, bool sync) {
    JobOptions o = training_options();
    o.spec.model = test_source("tests/data/batch_norm.model");
    ck_assert_ptr_nonnull(o.spec.model);
    o.spec.device = device;
    o.spec.optimizer.momentum = 0.9;
    o.spec.strategy.bucket_bytes[0] = 512;
    o.spec.strategy.bucket_bytes[1] = 1024;
    o.spec.strategy.sync_batch_norm = sync;
    o.steps = 6;
    return o;
}

static const char *fastest(void) {
    const Device *d;
    return device_find(&d, "cpu") == OK ? "cpu" : "reference";
}

// --- ranks and shards

static void check_equal(const Outcome *want, const JobOptions *o, const char *what) {
    Outcome got;
    uint64_t delays = 7;
    ck_assert_ok(
        training_run(&got, o, &(TrainingProbe){.context = &delays, .before = training_delay}));
    const char *d = o->spec.strategy.zero ? outcome_result_difference(want, &got)
                                          : outcome_difference(want, &got);
    ck_assert_msg(!d, "%s, %d ranks, %s: %s", what, o->spec.ranks, comm_kind_name(o->comm),
                  d ? d : "");
    outcome_finish(&got);
}

static void check_ranks(const char *device, int ranks, bool sync) {
    JobOptions o = batch_norm_options(device, sync);
    const char *what = sync ? "synchronised" : "each shard's own";
    Outcome oracle;
    o.spec.micro_batches = ranks % 2 ? 2 : 1;
    o.spec.shards = ranks;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = ranks;
    for (int i = 0; i < 3; i++) {
        o.comm = (CommKind)(COMM_SERIAL + i % COMM_KINDS);
        o.spec.strategy.no_overlap = i == 1;
        check_equal(&oracle, &o, what);
    }
    o.spec.strategy.no_overlap = false;
    for (int zero = 1; zero <= 3 && ranks == 2; zero++) {
        o.spec.strategy.zero = zero;
        check_equal(&oracle, &o, what);
    }
    outcome_finish(&oracle);
}

START_TEST(ranks_equal_shards_with_statistics_of_their_own) {
    for (int ranks = 2; ranks <= 4; ranks++) check_ranks(fastest(), ranks, false);
    check_ranks("reference", 2, false);
}
END_TEST

START_TEST(ranks_equal_shards_with_synchronised_statistics) {
    for (int ranks = 2; ranks <= 4; ranks++) check_ranks(fastest(), ranks, true);
    check_ranks("reference", 2, true);
}
END_TEST

START_TEST(shards_lie_on_any_number_of_ranks) {
    for (int sync = 0; sync < 2; sync++) {
        JobOptions o = batch_norm_options(fastest(), sync);
        Outcome oracle;
        o.spec.shards = 4;
        o.spec.micro_batches = 2;
        ck_assert_ok(training_run(&oracle, &o, NULL));
        o.spec.ranks = 2;
        Outcome got;
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_difference(&oracle, &got);
        ck_assert_msg(!d, "sync %d: %s", sync, d ? d : "");
        outcome_finish(&got);
        outcome_finish(&oracle);
    }
}
END_TEST

// --- what synchronisation means

static const char *const parameters[] = {"conv.weight", "bn1.weight", "bn1.bias",   "fc1.weight",
                                         "bn2.weight",  "bn2.bias",   "fc2.weight", "fc2.bias"};
static const char *const running[] = {"bn1.running_mean", "bn1.running_var", "bn2.running_mean",
                                      "bn2.running_var"};

// The largest distance between two runs in f64, as a part of max(1, |w|).
static double distance(const Outcome *a, const Outcome *b, const char *const *names, int count) {
    const Program *p = job_program(&a->job, 0);
    double worst = 0;
    for (int k = 0; k < count; k++) {
        const double *x = outcome_tensor(a, 0, names[k]), *y = outcome_tensor(b, 0, names[k]);
        ck_assert(x && y);
        const Tensor *t = &p->tensors[program_find_tensor(p, names[k])];
        for (int64_t i = 0; i < tensor_elements(t); i++)
            worst = fmax(worst, fabs(x[i] - y[i]) / fmax(1, fabs(y[i])));
    }
    return worst;
}

static void run_f64(Outcome *out, int ranks, int shards, bool sync, const TrainingProbe *probe) {
    JobOptions o = batch_norm_options(fastest(), sync);
    o.spec.dtype = DTYPE_F64;
    o.spec.ranks = ranks;
    o.spec.shards = shards;
    o.steps = 10;
    ck_assert_ok(training_run(out, &o, probe));
}

// Ten steps, of which four have the smaller last batch: within 1e-12 of one process on whole
// batches. Without synchronisation, and for another number of shards, numbers are other ones.
START_TEST(synchronised_statistics_are_those_of_the_whole_batch) {
    Outcome whole, got, own;
    run_f64(&whole, 1, 1, false, NULL);
    for (int shards = 2; shards <= 4; shards++) {
        run_f64(&got, shards == 3 ? 1 : 2, shards == 4 ? 4 : shards == 3 ? 3 : 2, true, NULL);
        ck_assert_double_le(distance(&got, &whole, parameters, 8), 1e-12);
        ck_assert_double_le(distance(&got, &whole, running, 4), 1e-12);
        outcome_finish(&got);
    }
    run_f64(&own, 2, 2, false, NULL);
    ck_assert_double_ge(distance(&own, &whole, parameters, 8), 1e-4);
    ck_assert_double_ge(distance(&own, &whole, running, 4), 1e-4);
    outcome_finish(&own);
    outcome_finish(&whole);
}
END_TEST

// Batches of 41, 41 and 3 rows: of the last one shard of four has none. It counts nothing.
START_TEST(a_shard_without_rows_takes_part) {
    Outcome whole, shards, ranks;
    JobOptions o = batch_norm_options(fastest(), true);
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 41;
    o.data = "digits:count=100";
    o.spec.shards = 4;
    ck_assert_ok(training_run(&shards, &o, NULL));
    o.spec.ranks = 4;
    ck_assert_ok(training_run(&ranks, &o, NULL));
    const char *d = outcome_difference(&shards, &ranks);
    ck_assert_msg(!d, "%s", d ? d : "");
    o.spec.strategy.sync_batch_norm = false;
    o.spec.ranks = o.spec.shards = 1;
    ck_assert_ok(training_run(&whole, &o, NULL));
    ck_assert_double_le(distance(&shards, &whole, parameters, 8), 1e-12);
    ck_assert_double_le(distance(&shards, &whole, running, 4), 1e-12);
    outcome_finish(&shards);
    outcome_finish(&ranks);
    outcome_finish(&whole);
}
END_TEST

// --- mistakes that these comparisons see

static Op *find_op(Program *p, const char *name) {
    Plan *plan = &p->plans[program_find_plan(p, "step")];
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(p, &plan->ops[i]), name)) return &plan->ops[i];
    ck_abort_msg("no operation %s", name);
    return NULL;
}

static void read_instead(Program *p, const char *op, const char *tensor, const char *other) {
    Op *o = find_op(p, op);
    Plan *plan = &p->plans[program_find_plan(p, "step")];
    int32_t *input = plan->operands + o->operand_first + o->outputs;
    for (int i = 0; i < o->inputs; i++)
        if (input[i] == program_find_tensor(p, tensor)) {
            input[i] = program_find_tensor(p, other);
            ck_assert_int_ne(input[i], NONE);
            return;
        }
    ck_abort_msg("%s does not read %s", op, tensor);
}

// Statistics of the rank's own rows, where those of all are.
static void use_local_statistics(void *context, Job *job) {
    read_instead(&job->set.programs[0], "bn1.forward", "bn1.statistics.all", "bn1.statistics");
}

// Sums of the rank's own rows, divided by the elements of all ranks.
static void use_local_sums(void *context, Job *job) {
    read_instead(&job->set.programs[0], "bn2.backward_input", "bn2.sums.all", "bn2.sums");
}

// Sums of all rows, divided by the elements of this rank's.
static void divide_by_local_count(void *context, Job *job) {
    read_instead(&job->set.programs[0], "bn2.backward_input", "bn2.statistics.all",
                 "bn2.statistics");
}

static void use_statistics_of_the_last_rank(void *context, Job *job) {
    Program *p = &job->set.programs[0];
    p->works[find_op(p, "broadcast.state")->work].peer = 1;
}

START_TEST(mistakes_in_synchronisation_are_seen) {
    static void (*const edits[])(void *, Job *) = {use_local_statistics, use_local_sums,
                                                   divide_by_local_count};
    Outcome whole, bad;
    run_f64(&whole, 1, 1, false, NULL);
    for (int i = 0; i < 3; i++) {
        run_f64(&bad, 2, 2, true, &(TrainingProbe){.edit = edits[i]});
        ck_assert_msg(distance(&bad, &whole, parameters, 8) > 1e-6, "mistake %d is not seen", i);
        outcome_finish(&bad);
    }
    outcome_finish(&whole);
}
END_TEST

START_TEST(running_statistics_of_another_shard_are_seen) {
    Outcome oracle, bad;
    run_f64(&oracle, 1, 2, false, NULL);
    run_f64(&bad, 2, 2, false, &(TrainingProbe){.edit = use_statistics_of_the_last_rank});
    ck_assert_double_eq(distance(&bad, &oracle, parameters, 8), 0);  // training does not read them
    ck_assert_double_gt(distance(&bad, &oracle, running, 4), 1e-4);
    outcome_finish(&bad);
    outcome_finish(&oracle);
}
END_TEST

// --- a step that is not finite

enum { BAD_STEP = 2 };

// What shard 0 normalises is no number in one step, in its last micro-batch.
static void spoil(void *context, Executor *e, int plan, int op) {
    const Plan *p = &e->program->plans[plan];
    const Op *o = &p->ops[op];
    bool last = o->shard == 0 && o->micro_batch == *(const int *)context - 1;
    if (e->rank || e->step != BAD_STEP || !last) return;
    if (strcmp(op_name(e->program, o), "bn1.statistics")) return;
    *(float *)executor_data(e, op_inputs(p, o)[0]) = (float)NAN;
}

static void check_skipped(const JobOptions *options) {
    Outcome before, got;
    JobOptions o = *options;
    int ranks = o.spec.ranks, micro_batches = o.spec.micro_batches;
    o.spec.on_nan = ON_NAN_SKIP;
    o.steps = BAD_STEP;
    ck_assert_ok(training_run(&before, &o, NULL));
    o.steps = BAD_STEP + 1;
    ck_assert_ok(
        training_run(&got, &o, &(TrainingProbe){.context = &micro_batches, .before = spoil}));
    for (int r = 0; r < ranks; r++) {
        const RankResult *result = &got.training.shared->results[r];
        const Timeline *t = &result->timeline;
        ck_assert(t->steps[t->step_count - 1].skipped && !t->steps[t->step_count - 2].skipped);
        ck_assert_int_eq(memcmp(before.state + r * got.state_bytes, got.state + r * got.state_bytes,
                                (size_t)got.state_bytes),
                         0);
    }
    outcome_finish(&before);
    outcome_finish(&got);
}

START_TEST(a_step_that_is_skipped_leaves_running_statistics_as_they_were) {
    for (int i = 0; i < 8; i++) {
        JobOptions o = batch_norm_options(fastest(), i & 1);
        o.spec.ranks = i & 2 ? 2 : 1;
        o.spec.shards = 2;
        o.spec.micro_batches = 1 + i / 4;
        o.spec.strategy.no_overlap = i >= 6;
        o.test_fraction = 0;
        check_skipped(&o);
        for (o.spec.strategy.zero = 1; o.spec.ranks > 1 && i >= 5 && o.spec.strategy.zero <= 3;
             o.spec.strategy.zero++)
            check_skipped(&o);
    }
}
END_TEST

// Running statistics and all else are as without the guard, on any number of ranks.
START_TEST(a_guard_that_lets_every_step_pass_changes_no_bit) {
    for (int i = 0; i < 4; i++) {
        JobOptions o = batch_norm_options(fastest(), i & 1);
        Outcome free, guarded;
        o.spec.shards = 2;
        o.spec.micro_batches = 1 + i / 2;
        ck_assert_ok(training_run(&free, &o, NULL));
        o.spec.on_nan = ON_NAN_SKIP;
        ck_assert_ok(training_run(&guarded, &o, NULL));
        ck_assert_int_eq(free.state_bytes, guarded.state_bytes);
        ck_assert_int_eq(memcmp(free.state, guarded.state, (size_t)free.state_bytes), 0);
        o.spec.ranks = 2;
        check_equal(&guarded, &o, "guarded");
        outcome_finish(&free);
        outcome_finish(&guarded);
    }
}
END_TEST

START_TEST(a_model_without_batch_normalisation_is_not_synchronised) {
    JobOptions o = training_options();
    Outcome got;
    o.spec.strategy.sync_batch_norm = true;
    ck_assert_fails(training_run(&got, &o, NULL), ERR_USAGE, "no batch_norm layer");
}
END_TEST

// A narrow ResNet-8 on two ranks: 1,700 digits, three times. The rate falls to 0: at a constant one
// accuracy still jumps from epoch to epoch, and ended between 0.65 and 0.94 with six orders of
// addition, where it ends at 0.89 to 0.91 now.
START_TEST(a_small_resnet_learns) {
    JobOptions o = training_options();
    Outcome run;
    if (strcmp(fastest(), "cpu")) SKIP("no cpu device");
    o.spec.model = "resnet:depth=8,width=4";
    o.spec.device = "cpu";
    o.spec.ranks = 2;
    o.spec.batch = 32;
    o.spec.learning_rate = 0.05;
    o.spec.schedule = RATE_COSINE;
    o.spec.optimizer.momentum = 0.9;
    o.data = "digits:count=2000";
    o.steps = 160;
    ck_assert_ok(training_run(&run, &o, NULL));
    const RankResult *result = &run.training.shared->results[0];
    double accuracy = result->evaluations[result->evaluation_count - 1].accuracy;
    ck_assert_msg(accuracy > 0.8, "accuracy %g", accuracy);
    outcome_finish(&run);
}
END_TEST

SUITE_SECONDS("batch_norm_shards", 60, ranks_equal_shards_with_statistics_of_their_own,
              ranks_equal_shards_with_synchronised_statistics, shards_lie_on_any_number_of_ranks,
              synchronised_statistics_are_those_of_the_whole_batch, a_shard_without_rows_takes_part,
              mistakes_in_synchronisation_are_seen, running_statistics_of_another_shard_are_seen,
              a_step_that_is_skipped_leaves_running_statistics_as_they_were,
              a_guard_that_lets_every_step_pass_changes_no_bit,
              a_model_without_batch_normalisation_is_not_synchronised, a_small_resnet_learns)
