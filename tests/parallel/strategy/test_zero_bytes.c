// SPDX-License-Identifier: MIT
// Memory and traffic of DDP and ZeRO: what is planned, and so allocated, equals the closed forms of
// parallel/strategy/footprint.h plus a working set that is computed here by hand.
#include "core/plan/check.h"
#include "core/platform/device_traits.h"
#include "parallel/strategy/collective_work.h"
#include "parallel/strategy/footprint.h"
#include "parallel/strategy/job_spec.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

// Three square layers of 256, without biases: 16 blocks each, which 2, 4, 8 and 16 ranks divide.
enum { WIDTH = 256, LAYERS = 3, LAYER = WIDTH * WIDTH * (int)sizeof(float), PSI = LAYERS * LAYER };
static const char model_text[] =
    "model square\ninput 256\nclasses 256\nlinear a out=256 bias=false\n"
    "linear b out=256 bias=false\nlinear c out=256 bias=false\n";

// 432, 6, 6, 66 and 3 weights and biases, and running statistics of 6 channels: no tensor divides.
static const char uneven_text[] = "model uneven\ninput 3 4 4\nclasses 3\n"
                                  "conv2d conv out=6 kernel=3 stride=1 pad=1 bias=false\n"
                                  "batch_norm bn\nrelu\nflatten\nlinear fc out=3\n";

typedef struct {
    Arena arena;
    ProgramSet set;
    const Program *p;
} Lowered;

static JobSpec square_job(int ranks, int stage) {
    JobSpec job = job_spec_default();
    job.ranks = ranks;
    job.batch = 2 * ranks;
    job.strategy.zero = stage;
    return job;
}

static void lower_model(Lowered *l, const JobSpec *job, const char *text) {
    char path[300];
    Model m;
    *l = (Lowered){0};
    snprintf(path, sizeof path, "%s/square.model", test_directory());
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_ok(model_read(&m, &l->arena, path));
    ck_assert_ok(job_spec_check(job));
    ck_assert_ok(job_spec_programs(&l->set, job, &m));
    ck_assert_ok(plan_check(&l->set));
    ck_assert_ok(
        collective_work_lower(&l->set, device_traits(device_traits_default_for(job->dtype))));
    l->p = &l->set.programs[0];
}

static void lower_job(Lowered *l, const JobSpec *job) { lower_model(l, job, model_text); }

static void finish(Lowered *l) {
    program_set_finish(&l->set);
    arena_finish(&l->arena);
}

static void check_class(const Lowered *l, Memory m, int64_t want, const char *what, int ranks,
                        int stage) {
    ck_assert_msg(program_memory(l->p, m) == want,
                  "ZeRO-%d on %d ranks: %lld bytes of %s, not %lld", stage, ranks,
                  (long long)program_memory(l->p, m), what, (long long)want);
}

// With caps of 0 each gradient is a bucket; whole ones are that which a layer computes and that
// which is reduced meanwhile. When the last one is reduced, its shard gets the memory of the whole
// before it: the working set is two whole gradients less a shard.
static int64_t gradient_bytes(int ranks, int stage) {
    return stage < 2 ? PSI : PSI / ranks + 2 * LAYER - LAYER / ranks;
}

// Gathered layers are prefetch + 1.
static void check_memory(int ranks, int stage, int prefetch, bool momentum) {
    JobSpec job = square_job(ranks, stage);
    Lowered l;
    job.optimizer.momentum = momentum ? 0.9 : 0;
    job.strategy.prefetch = prefetch;
    job.strategy.bucket_bytes[0] = job.strategy.bucket_bytes[1] = 0;
    lower_job(&l, &job);
    int64_t state = momentum ? PSI : 0, uses = prefetch + 1 < LAYERS ? prefetch + 1 : LAYERS;
    check_class(&l, MEMORY_PARAMETERS, stage == 3 ? PSI / ranks : PSI, "parameters", ranks, stage);
    check_class(&l, MEMORY_GRADIENTS, gradient_bytes(ranks, stage), "gradients", ranks, stage);
    check_class(&l, MEMORY_OPTIMISER, stage ? state / ranks : state, "optimiser state", ranks,
                stage);
    check_class(&l, MEMORY_COMMUNICATION, stage == 3 ? uses * LAYER : 0, "gathered parameters",
                ranks, stage);
    int64_t classes = 0, pools = 0;
    for (int m = 0; m < MEMORY_COUNT; m++) classes += program_memory(l.p, (Memory)m);
    for (int pool = 0; pool < POOL_COUNT; pool++) pools += l.p->pool_bytes[pool];
    ck_assert_int_eq(classes, pools);  // which is what a rank allocates
    finish(&l);
}

// With passes in bf16 a rank also has the copies, of 2 bytes an element, and ZeRO gathers those:
// ZeRO-3 before each pass, 1 and 2 once, into whole ones. The f32 weights are divided, 4 / N bytes,
// as Adam's two moments are, 8 / N.
static void check_copies(int ranks, int stage) {
    JobSpec job = square_job(ranks, stage);
    Lowered l;
    job.dtype = DTYPE_BF16;
    job.optimizer = (Optimizer){.kind = OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};
    job.strategy.bucket_bytes[0] = job.strategy.bucket_bytes[1] = 0;
    lower_job(&l, &job);
    FootprintModel m = footprint_model(l.p);
    Footprint closed = footprint_closed(&m, stage), planned = footprint_planned(l.p, NONE);
    int64_t n = PSI / 4, masters = stage ? 4 * n / ranks : 4 * n,
            copies = stage == 3 ? 2 * n / ranks : 2 * n;
    double share = (ranks - 1.0) / ranks;
    double gathered = stage == 0 ? PSI : stage == 3 ? (2 * PSI - LAYER) / 2 : 2 * (double)n;
    check_class(&l, MEMORY_PARAMETERS, masters + copies, "parameters", ranks, stage);
    check_class(&l, MEMORY_GRADIENTS, gradient_bytes(ranks, stage), "gradients", ranks, stage);
    check_class(&l, MEMORY_COMMUNICATION, stage == 3 ? 2 * LAYER / 2 : 0, "gathered copies", ranks,
                stage);
    ck_assert_int_eq(m.copy_bytes, 2 * n);
    ck_assert_double_eq(closed.parameters, (double)(masters + copies));
    ck_assert_double_eq_tol(planned.optimiser, (double)(stage ? 8 * n / ranks : 8 * n),
                            128);  // and a count
    ck_assert_double_eq_tol(planned.sent, (PSI + gathered) * share, 1e-6);
    ck_assert_double_eq_tol(closed.sent, (PSI + (stage == 3 ? 4 * n : gathered)) * share, 1e-6);
    finish(&l);
}

START_TEST(copies_in_bf16_are_gathered_and_masters_divided) {
    for (int ranks = 2; ranks <= 16; ranks *= 2)
        for (int stage = 0; stage <= 3; stage++) check_copies(ranks, stage);
}
END_TEST

START_TEST(memory_is_that_of_the_closed_forms_and_the_working_set) {
    for (int ranks = 2; ranks <= 16; ranks *= 2)
        for (int stage = 0; stage <= 3; stage++)
            for (int prefetch = 0; prefetch <= 2; prefetch++)
                for (int momentum = 0; momentum < 2; momentum++)
                    check_memory(ranks, stage, prefetch, momentum);
}
END_TEST

// In f32 with momentum, of Psi elements: DDP 12 Psi, ZeRO-1 8 Psi + 4 Psi/N, ZeRO-2 4 Psi + 8 Psi/N
// and ZeRO-3 12 Psi/N bytes; and without the working set the plan has them.
START_TEST(the_closed_forms_are_those_of_the_paper) {
    const double n = 4, psi = PSI / 4.0;
    const double want[] = {12 * psi, 8 * psi + 4 * psi / n, 4 * psi + 8 * psi / n, 12 * psi / n};
    for (int stage = 0; stage <= 3; stage++) {
        JobSpec job = square_job(4, stage);
        Lowered l;
        job.optimizer.momentum = 0.9;
        lower_job(&l, &job);
        FootprintModel m = footprint_model(l.p);
        Footprint closed = footprint_closed(&m, stage), planned = footprint_planned(l.p, NONE);
        ck_assert_int_eq(m.parameters, PSI / 4);
        ck_assert_double_eq(closed.parameters + closed.gradients + closed.optimiser, want[stage]);
        ck_assert_double_eq(planned.parameters + planned.optimiser + planned.gradients,
                            want[stage] + (stage >= 2 ? 2 * LAYER - LAYER / 4 : 0));
        finish(&l);
    }
}
END_TEST

// Of the three layers the first has no gradient of its input, so its backward gathers nothing.
static double sent_by_hand(int ranks, int stage, int passes) {
    double share = (ranks - 1.0) / ranks;
    return stage < 3 ? 2 * PSI * share
                     : ((2.0 * passes + 1) * PSI - passes * (double)LAYER) * share;
}

static void check_sent(int ranks, int stage, int micro_batches, int local_shards) {
    JobSpec job = square_job(ranks, stage);
    Lowered l;
    job.micro_batches = micro_batches;
    job.shards = ranks * local_shards;
    job.batch = (int64_t)job.shards * micro_batches;
    lower_job(&l, &job);
    FootprintModel m = footprint_model(l.p);
    int passes = micro_batches * local_shards;
    double got = footprint_planned(l.p, NONE).sent, want = sent_by_hand(ranks, stage, passes);
    double closed = footprint_closed(&m, stage).sent;
    ck_assert_int_eq(m.passes, passes);
    ck_assert_msg(fabs(got - want) < 1e-6 * want, "ZeRO-%d, %d ranks, %d passes: %.17g, not %.17g",
                  stage, ranks, passes, got, want);
    ck_assert(stage == 3 ? got < closed : fabs(got - closed) < 1e-6 * closed);
    finish(&l);
}

START_TEST(ranks_send_what_the_closed_forms_say) {
    for (int ranks = 2; ranks <= 8; ranks++)
        for (int stage = 0; stage <= 3; stage++) {
            check_sent(ranks, stage, 1, 1);
            check_sent(ranks, stage, 3, 1);
            check_sent(ranks, stage, 1, 2);
        }
}
END_TEST

static int count_ops(const Program *p, Kind kind, Phase phase) {
    const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    int count = 0;
    for (int i = 0; i < step->op_count; i++)
        count += op_kind(p, &step->ops[i]) == kind && op_work(p, &step->ops[i])->phase == phase;
    return count;
}

// The first bucket closes with one layer, the second with both others.
START_TEST(each_bucket_is_reduced_and_gathered_at_once) {
    static const int64_t caps[][2] = {{0, 0}, {LAYER, 2 * LAYER}, {INT64_MAX, INT64_MAX}};
    for (int k = 0; k < 9; k++) {
        JobSpec job = square_job(4, 1 + k / 3);
        int stage = job.strategy.zero, buckets = LAYERS - k % 3;
        Lowered l;
        memcpy(job.strategy.bucket_bytes, caps[k % 3], sizeof caps[0]);
        lower_job(&l, &job);
        ck_assert_int_eq(count_ops(l.p, KIND_REDUCE_SCATTER, PHASE_SYNC), buckets);
        ck_assert_int_eq(count_ops(l.p, KIND_ALL_GATHER, PHASE_UPDATE), stage < 3 ? buckets : 0);
        ck_assert_double_eq_tol(footprint_planned(l.p, NONE).sent, sent_by_hand(4, stage, 1), 1e-6);
        finish(&l);
    }
}
END_TEST

// A block of 8 bytes each, of three gradients of 16 blocks: each rank folds its slice of what all
// others send, and sends the sum to all others.
START_TEST(the_norm_sends_a_sum_for_each_block) {
    for (int ranks = 2; ranks <= 4; ranks++)
        for (int stage = 0; stage <= 3; stage++) {
            JobSpec job = square_job(ranks, stage);
            Lowered l;
            job.optimizer.clip = 1;
            lower_job(&l, &job);
            FootprintModel m = footprint_model(l.p);
            double want = stage ? 2 * 8 * 48 * (ranks - 1.0) / ranks : 0;
            ck_assert_int_eq(m.blocks, 48);
            ck_assert_double_eq_tol(footprint_closed(&m, stage).sent_norm, want, 1e-9);
            ck_assert_double_eq_tol(footprint_planned(l.p, NONE).sent_norm, want, 1e-9);
            if (stage < 3)  // of which a backward gathers less than the formula says
                ck_assert_double_eq_tol(footprint_planned(l.p, NONE).sent,
                                        footprint_closed(&m, stage).sent, 1e-6);
            finish(&l);
        }
}
END_TEST

// One layer of 6 channels. Of statistics (3,6) in f64 each rank gets the other's in the forward,
// and the sums (2,6) are reduced in the backward: 144 + 96 bytes, sent once by each of two ranks.
// Without synchronisation rank 0 sends the other the running statistics, of 6 f32 each: 48 bytes.
START_TEST(statistics_are_counted_apart) {
    for (int sync = 0; sync < 2; sync++)
        for (int stage = 0; stage <= 3; stage++) {
            JobSpec job = square_job(2, stage);
            Lowered l;
            job.optimizer.momentum = 0.9;
            job.strategy.sync_batch_norm = sync;
            lower_model(&l, &job, uneven_text);
            FootprintModel m = footprint_model(l.p);
            Footprint closed = footprint_closed(&m, stage), planned = footprint_planned(l.p, NONE);
            ck_assert_double_eq(planned.sent_statistics, sync ? 144 + 96 : 48 / 2);
            ck_assert_double_eq(planned.sent_norm, 0);
            if (stage < 3) ck_assert_double_eq_tol(planned.sent, closed.sent, 1e-9);
            if (stage < 2) ck_assert_double_eq(m.state_bytes, 48);
            finish(&l);
        }
}
END_TEST

// DataParallel on two ranks, a batch of 4: rank 0 sends the other 2 rows of 256 inputs, gets 2 rows
// of 256 outputs and sends as many gradients of them, 6 times 1 KiB of f32, of which the mean over
// ranks is half. Parameters go out and gradients come back.
START_TEST(rows_that_travel_are_counted_apart) {
    JobSpec job = square_job(2, 0);
    Lowered l;
    job.strategy.data_parallel = true;
    lower_job(&l, &job);
    Footprint f = footprint_planned(l.p, NONE);
    ck_assert_double_eq(f.sent_rows, 6 * 1024 / 2);
    ck_assert_double_eq(f.sent_statistics, 0);
    ck_assert_double_eq(f.sent, 2 * PSI / 2);
    finish(&l);
}
END_TEST

// Whole gradients stay until the last micro-batch has been added; then shards after the first one
// get their memory.
START_TEST(with_micro_batches_whole_gradients_stay) {
    for (int stage = 2; stage <= 3; stage++) {
        JobSpec job = square_job(4, stage);
        Lowered l;
        job.micro_batches = 2;
        lower_job(&l, &job);
        check_class(&l, MEMORY_GRADIENTS, PSI + LAYER / 4, "gradients", 4, stage);
        finish(&l);
    }
}
END_TEST

SUITE("zero_bytes", memory_is_that_of_the_closed_forms_and_the_working_set,
      the_closed_forms_are_those_of_the_paper, ranks_send_what_the_closed_forms_say,
      each_bucket_is_reduced_and_gathered_at_once,
      the_norm_sends_a_sum_for_each_block, statistics_are_counted_apart,
      rows_that_travel_are_counted_apart, with_micro_batches_whole_gradients_stay,
      copies_in_bf16_are_gathered_and_masters_divided)
