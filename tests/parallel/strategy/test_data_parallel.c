// SPDX-License-Identifier: MIT
// nn.DataParallel by docs/contract.md, 7: P devices compute, bit for bit, what one rank does with
// as many shards of the batch, and device 0 ends with all of its state.
#include "core/platform/device_traits.h"
#include "tests/support/saved_run.h"

static const char *const devices[] = {"reference", device_traits_default};

// Parameters, optimiser state and running statistics lie on device 0 alone, with the oracle's bits.
static void assert_same_state(const Outcome *one, const Outcome *devices_, const char *what) {
    const Program *p = &one->job.set.programs[0];
    int compared = 0;
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        const char *name = tensor_name(p, t);
        if (!role_persists((Role)tensor->role)) continue;
        const void *is = outcome_tensor(devices_, 0, name), *want = outcome_tensor(one, 0, name);
        ck_assert_msg(is && want, "%s: %s is not there", what, name);
        ck_assert_msg(!memcmp(is, want, (size_t)tensor->bytes), "%s: %s differs", what, name);
        for (int r = 1; r < devices_->job.options.spec.ranks; r++)
            ck_assert_msg(!outcome_tensor(devices_, r, name), "%s: rank %d has %s", what, r, name);
        compared++;
    }
    ck_assert_int_gt(compared, 3);
}

static void check_equal(const Outcome *oracle, const JobOptions *o, uint64_t delays) {
    Outcome got;
    char what[160];
    snprintf(what, sizeof what, "%d ranks, %d shards, %d micro-batches, %s, %s, %s", o->spec.ranks,
             o->spec.shards, o->spec.micro_batches, o->spec.device, dtype_name(o->spec.dtype),
             comm_kind_name(o->comm));
    ck_assert_ok(
        training_run(&got, o, &(TrainingProbe){.context = &delays, .before = training_delay}));
    const char *d = outcome_result_difference(oracle, &got);
    ck_assert_msg(!d, "%s: %s", what, d ? d : "");
    assert_same_state(oracle, &got, what);
    ck_assert_int_eq(got.job.set.count, o->spec.ranks > 1 ? 2 : 1);
    outcome_finish(&got);
}

// One shard a device; three micro-batches; two shards a device.
static void cut(JobOptions *o, int ranks, int how) {
    o->spec.micro_batches = how == 1 ? 3 : 1;
    o->spec.shards = how == 2 ? 2 * ranks : ranks;
}

// Every device and type; the way of cutting, the communicator and the update rule take turns.
static void check_ranks(const char *model, const char *data, int64_t batch, int ranks) {
    for (int i = 0; i < 4; i++) {
        JobOptions o = training_options();
        Outcome oracle;
        o.spec.model = test_source(model);
        ck_assert_ptr_nonnull(o.spec.model);
        o.data = data;
        o.spec.batch = batch;
        o.steps = 5;
        o.spec.device = devices[i % 2];
        o.spec.dtype = i / 2 ? DTYPE_F64 : DTYPE_F32;
        o.spec.optimizer.momentum = 0.9;
        o.spec.optimizer.kind = (i + ranks) % 2 ? OPTIMIZER_ADAMW : OPTIMIZER_SGD;
        o.spec.optimizer.clip = i == 1 ? 0.5 : 0;
        o.spec.on_nan = i == 2 ? ON_NAN_SKIP : ON_NAN_STOP;
        cut(&o, ranks, (i + ranks) % 3);
        ck_assert_ok(training_run(&oracle, &o, NULL));
        o.spec.ranks = ranks;
        o.spec.strategy.data_parallel = true;
        o.comm = (CommKind)((i + ranks) % COMM_KINDS);
        check_equal(&oracle, &o, (uint64_t)i);
        o.comm = COMM_THREAD;
        check_equal(&oracle, &o, (uint64_t)i + 10);
        outcome_finish(&oracle);
    }
}

// The last batch of an epoch has 48 rows of 61: neither number is a multiple of 2, 3 or 4.
START_TEST(devices_equal_shards_of_one_rank) {
    for (int ranks = 1; ranks <= 4; ranks++)
        check_ranks("tests/data/zero.model", "digits:count=100", 31, ranks);
}
END_TEST

START_TEST(a_text_gives_the_bits_of_one_rank) {
    for (int ranks = 2; ranks <= 4; ranks++)
        check_ranks("tests/data/tokens.model", "text:count=2000", 25, ranks);
}
END_TEST

// Each device normalises with the statistics of its rows; the running ones are device 0's.
START_TEST(running_statistics_are_those_of_device_0) {
    for (int ranks = 2; ranks <= 4; ranks++)
        check_ranks("tests/data/batch_norm.model", "digits:count=200", 61, ranks);
}
END_TEST

// A batch of 5 rows for 4 devices leaves 1 for the last of an epoch: three have none.
START_TEST(devices_without_rows_take_part) {
    JobOptions o = training_options();
    Outcome oracle;
    o.spec.batch = 5;
    o.spec.shards = 4;
    o.data = "digits:count=25";  // 21 to train on: four batches of 5, and one row
    o.steps = 6;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    ck_assert_int_eq(oracle.job.split.train_count % 5, 1);
    o.spec.ranks = 4;
    o.spec.strategy.data_parallel = true;
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
        o.comm = (CommKind)comm;
        check_equal(&oracle, &o, 3);
    }
    outcome_finish(&oracle);
}
END_TEST

// The last step that a rank recorded.
static const StepRecord *last_step(const Outcome *o, int rank) {
    const Timeline *t = &o->training.shared->results[rank].timeline;
    for (int i = t->step_count - 1; i >= 0; i--)
        if (t->steps[i].plan == o->job.plan_step) return &t->steps[i];
    ck_abort_msg("rank %d recorded no step", rank);
}

// Each device routes its rows. Device 0 gets their choices, and adds what balances the experts of
// each shard to the loss of that.
START_TEST(experts_are_balanced_shard_by_shard) {
    for (int ranks = 2; ranks <= 4; ranks++) {
        JobOptions o = training_options();
        Outcome oracle, got;
        o.spec.model = "mixtral:hidden=16,mlp=8,seq=8,layers=2,experts=4,capacity=80";
        o.data = "text:count=1000";
        o.spec.batch = 25;
        o.steps = 4;
        o.spec.device = devices[ranks % 2];
        o.spec.optimizer.clip = ranks == 3 ? 0.1 : 0;
        o.spec.on_nan = ranks == 3 ? ON_NAN_SKIP : ON_NAN_STOP;
        cut(&o, ranks, ranks % 3);
        ck_assert_ok(training_run(&oracle, &o, NULL));
        ck_assert_double_gt(last_step(&oracle, 0)->dropped, 0);
        o.spec.ranks = ranks;
        o.spec.strategy.data_parallel = true;
        o.comm = (CommKind)(ranks % COMM_KINDS);
        check_equal(&oracle, &o, (uint64_t)ranks);
        ck_assert_ok(training_run(&got, &o, NULL));
        for (int r = 0; r < ranks; r++) {
            ck_assert_double_eq(last_step(&got, r)->dropped, last_step(&oracle, 0)->dropped);
            ck_assert_double_eq(last_step(&got, r)->fullest, last_step(&oracle, 0)->fullest);
        }
        outcome_finish(&got);
        outcome_finish(&oracle);
    }
}
END_TEST

// --- checkpoints

static void train_and_save(const JobOptions *like, int steps, bool data_parallel, int ranks,
                           const char *from, const char *to) {
    JobOptions o = *like;
    o.steps = steps;
    o.spec.ranks = ranks;
    o.spec.strategy.data_parallel = data_parallel;
    o.comm = data_parallel ? COMM_THREAD : COMM_SHM;
    o.resume = from;
    o.save = to;
    run(&o);
}

// The weights of one device go on as replicas of DDP, on one rank, or as shards of ZeRO; and back.
START_TEST(device_0_goes_on_as_replicas_and_back) {
    name_files();
    JobOptions o = options_of(10, NULL, 3);
    o.spec.model = test_source("tests/data/batch_norm.model");
    o.spec.optimizer.kind = OPTIMIZER_ADAMW;
    train_and_save(&o, 10, false, 1, NULL, whole);
    for (int data_parallel = 0; data_parallel < 2; data_parallel++)
        for (int i = 0; i < 2; i++) {
            train_and_save(&o, 5, data_parallel, 3, NULL, part);
            train_and_save(&o, 10, !data_parallel, data_parallel && i ? 1 : 3, part, resumed);
            assert_same_bytes(whole, resumed, data_parallel ? "to DDP" : "from DDP");
        }
    train_and_save(&o, 5, true, 3, NULL, part);
    o.spec.strategy.zero = 3;
    train_and_save(&o, 10, false, 3, part, resumed);
    assert_same_bytes(whole, resumed, "to ZeRO");
}
END_TEST

// --- threads that end early

static void give_up(void *context, Executor *e, int plan, int op) {
    if (e->rank != *(const int *)context || e->step != 2) return;
    comm_abandon(e->comm, ERR_FAILED, "the device is gone");
}

START_TEST(a_device_that_fails_ends_the_run) {
    for (int rank = 0; rank < 3; rank++) {
        JobOptions o = training_options();
        Outcome out;
        o.spec.ranks = 3;
        o.spec.strategy.data_parallel = true;
        o.comm = COMM_THREAD;
        ck_assert_fails(
            training_run(&out, &o, &(TrainingProbe){.context = &rank, .before = give_up}),
            ERR_FAILED, "the device is gone");
    }
}
END_TEST

// --- what does not go with it

static void check_refused(void (*give)(JobSpec *s), const char *says) {
    JobOptions o = training_options();
    Outcome out;
    o.spec.ranks = 2;
    o.spec.strategy.data_parallel = true;
    give(&o.spec);
    ck_assert_fails(training_run(&out, &o, NULL), ERR_USAGE, says);
}

static void give_zero(JobSpec *s) { s->strategy.zero = 2; }
static void give_compress(JobSpec *s) { s->strategy.compress.word = COMPRESS_FP16; }
static void give_sync(JobSpec *s) { s->strategy.sync_batch_norm = true; }
static void give_ring(JobSpec *s) { s->strategy.algorithm = ALGORITHM_RING; }

START_TEST(what_divides_or_joins_otherwise_is_refused_with_the_reason) {
    check_refused(give_zero, "keeps weights and optimiser state on rank 0, --zero 2 divides them");
    check_refused(give_compress, "--compress fp16 compresses the all-reduces of DDP");
    check_refused(give_sync, "normalises on each device by itself");
    check_refused(give_ring, "has no all-reduce, it adds gradients on rank 0");
}
END_TEST

SUITE("data_parallel", devices_equal_shards_of_one_rank, a_text_gives_the_bits_of_one_rank,
      running_statistics_are_those_of_device_0, devices_without_rows_take_part,
      experts_are_balanced_shard_by_shard, device_0_goes_on_as_replicas_and_back,
      a_device_that_fails_ends_the_run, what_divides_or_joins_otherwise_is_refused_with_the_reason)
