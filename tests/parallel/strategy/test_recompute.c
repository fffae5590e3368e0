// SPDX-License-Identifier: MIT
// Recomputation changes no bit (docs/contract.md, 1), with every strategy, type and device; and
// mistakes in it are seen by plan_check() or by the same comparison.
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "core/platform/device_traits.h"
#include "parallel/run/executor.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <string.h>

static JobOptions options_of(const char *model) {
    static char path[2][4096];
    char *own = path[strstr(model, "conv") != NULL], source[64];
    JobOptions o = training_options();
    snprintf(source, sizeof source, "tests/data/%s.model", model);
    snprintf(own, sizeof path[0], "%s", test_source(source));
    o.spec.model = own;
    o.spec.batch = 13;
    o.spec.optimizer.momentum = 0.9;
    o.spec.strategy.bucket_bytes[0] = 512;
    o.spec.strategy.bucket_bytes[1] = 2048;
    o.data = "digits:count=52";
    o.steps = 5;  // the fourth is the last of an epoch, a batch of few rows
    return o;
}

static JobOptions sequence(void) { return options_of("recompute"); }
static JobOptions convolution(void) { return options_of("recompute_conv"); }

static int count_kind(const Job *job, Kind kind) {
    const Program *p = &job->set.programs[0];
    const Plan *plan = &p->plans[job->plan_step];
    int count = 0;
    for (int i = 0; i < plan->op_count; i++) count += op_kind(p, &plan->ops[i]) == kind;
    return count;
}

// Every way of recomputing against none, of several ranks with delays.
static void check_same(JobOptions o, const char *what) {
    Outcome kept;
    ck_assert_ok(training_run(&kept, &o, NULL));
    for (int how = RECOMPUTE_SELECTIVE; how < RECOMPUTE_COUNT; how++) {
        Outcome got;
        bool own = how == RECOMPUTE_ATTENTION || how == RECOMPUTE_GATHERS;
        bool scores = strstr(o.spec.model, "megatron") != NULL;
        if (own && !scores) continue;  // nothing, or a part of `full`
        bool sums = o.spec.mesh.tensor > 1 || o.spec.mesh.pipe > 1;
        if (how == RECOMPUTE_BLOCK && !sums && !scores) continue;  // as `full`
        uint64_t delays = (uint64_t)how;
        o.spec.strategy.recompute = (Recompute)how;
        const TrainingProbe late = {.context = &delays, .before = training_delay};
        ck_assert_ok(training_run(&got, &o, o.spec.ranks > 1 ? &late : NULL));
        const StrategyOptions *a = &o.spec.strategy;
        bool same_on_all =
            got.job.set.count == 1 && !a->zero && o.spec.mesh.tensor < 2 && a->experts < 2;
        const char *d =
            same_on_all ? outcome_difference(&kept, &got) : outcome_result_difference(&kept, &got);
        ck_assert_msg(!d, "%s, %s: %s", what, recompute_words[how], d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&kept);
}

START_TEST(every_type_and_device_computes_the_same_bits_again) {
    const Device *d;
    for (int conv = 0; conv < 2; conv++)
        for (int dtype = DTYPE_F32; dtype <= DTYPE_BF16; dtype++)
            for (int cpu = 0; cpu < 2; cpu++) {
                JobOptions o = conv ? convolution() : sequence();
                o.spec.device = cpu ? "cpu" : "reference";
                o.spec.dtype = (Dtype)dtype;
                if (cpu && (dtype == DTYPE_BF16 || device_find(&d, "cpu") != OK)) continue;
                o.spec.micro_batches = 1 + cpu;
                check_same(o, dtype_name(o.spec.dtype));
            }
}
END_TEST

// What a product gives is stored, since another layer reads it: a device that makes a product and
// the ReLU behind it with one kernel did not do so first, and must not when it does it again.
START_TEST(what_was_made_by_two_kernels_is_made_by_two_again) {
    static const char text[] =
        "model kept\ninput 1 28 28\nclasses 10\nflatten\nlinear a out=9\ngelu\nlinear b out=9\n"
        "relu r\nadd from=r,b\nlinear c out=9\nlinear d out=10\n";
    static Arena names;
    JobOptions o = convolution();
    o.spec.model = ending_write_file(&names, "kept.model", text);
    o.spec.device = "cpu";
    check_same(o, "a ReLU whose input is kept");
    arena_finish(&names);
}
END_TEST

// Queues of experts have no rows of the batch, but are as large.
START_TEST(a_mixture_of_experts_computes_the_same_bits_again) {
    const Device *d;
    for (int cpu = 0; cpu < 2; cpu++) {
        JobOptions o = sequence();
        if (cpu && device_find(&d, "cpu") != OK) continue;
        o.spec.device = cpu ? "cpu" : "reference";
        o.spec.model = "mixtral:hidden=16,seq=9";
        o.data = "text:count=2000";
        o.spec.micro_batches = 1 + cpu;
        check_same(o, "mixtral");
        o.spec.ranks = o.spec.strategy.experts = 2;
        check_same(o, "mixtral, --ep 2");
    }
}
END_TEST

// `block` repeats what a block sends, the exchanges of experts, too: with --tp the second exchange
// is of partial sums, which are reduced after it.
START_TEST(exchanges_of_experts_are_repeated_with_their_block) {
    for (int pieces = 0; pieces < 2; pieces++) {
        JobOptions o = sequence();
        Job kept, block;
        o.spec.model = "mixtral:layers=2,hidden=16,heads=4,seq=8,experts=4";
        o.spec.batch = 8;
        o.data = "text:count=2000";
        o.steps = 2;
        o.spec.ranks = 4;
        o.spec.mesh.tensor = o.spec.strategy.experts = 2;
        o.spec.strategy.sequence_parallel = pieces;
        o.spec.micro_batches = 1 + pieces;
        check_same(o, "mixtral, --tp 2 --ep 2");
        ck_assert_ok(job_create(&kept, &o));
        o.spec.strategy.recompute = RECOMPUTE_BLOCK;
        ck_assert_ok(job_create(&block, &o));
        // In each of 2 blocks: queues, their loads and what the experts gave.
        ck_assert_int_eq(count_kind(&block, KIND_ALL_TO_ALL),
                         count_kind(&kept, KIND_ALL_TO_ALL) + 2 * 3 * o.spec.micro_batches);
        job_destroy(&block);
        job_destroy(&kept);
    }
}
END_TEST

// Scores in memory, masks that are kept, sums and gathers of tensor parallelism.
START_TEST(unfused_attention_and_its_dropout_compute_the_same_bits_again) {
    for (int tp = 1; tp <= 4; tp *= 2)
        for (int pieces = 0; pieces < 1 + (tp > 1); pieces++) {
            JobOptions o = sequence();
            o.spec.model = "megatron:hidden=16,seq=8";
            o.spec.batch = 4;
            o.data = "text:count=2000";
            o.spec.ranks = o.spec.mesh.tensor = tp;
            o.spec.strategy.sequence_parallel = pieces;
            o.spec.micro_batches = 2;
            o.steps = 2;
            check_same(o, "megatron");
        }
}
END_TEST

START_TEST(shards_and_micro_batches_compute_the_same_bits_again) {
    for (int ranks = 1; ranks <= 4; ranks++) {
        JobOptions o = ranks % 2 ? convolution() : sequence();
        o.spec.ranks = ranks;
        o.spec.shards = ranks < 3 ? 2 * ranks : ranks;
        o.spec.micro_batches = 1 + ranks % 3;
        o.comm = (CommKind)(ranks % COMM_KINDS);
        check_same(o, "DDP");
    }
}
END_TEST

// Under ZeRO-3 the parameters of a layer are gathered again for it.
START_TEST(every_stage_of_zero_computes_the_same_bits_again) {
    for (int zero = 1; zero <= 3; zero++)
        for (int ranks = 2; ranks <= 3; ranks++) {
            JobOptions o = zero % 2 == ranks % 2 ? convolution() : sequence();
            o.spec.ranks = ranks;
            o.spec.strategy.zero = zero;
            o.spec.strategy.prefetch = (zero + ranks) % 3;
            o.spec.strategy.no_overlap = zero == 3 && ranks == 2;
            o.spec.micro_batches = ranks - 1;
            o.spec.optimizer.clip = zero == 2 ? 0.5 : 0;
            o.comm = (CommKind)((zero + ranks) % COMM_KINDS);
            check_same(o, "ZeRO");
        }
}
END_TEST

START_TEST(compressed_and_scaled_gradients_are_the_same) {
    for (int form = COMPRESS_BF16; form <= COMPRESS_TOPK; form++) {
        JobOptions o = form % 2 ? convolution() : sequence();
        o.spec.ranks = 2;
        o.spec.strategy.compress = (OptionForm){form, form == COMPRESS_TOPK ? 0.1 : 2};
        o.spec.on_nan = ON_NAN_SKIP;
        check_same(o, "compressed");
    }
}
END_TEST

START_TEST(data_parallel_devices_compute_the_same_bits_again) {
    JobOptions o = convolution();
    o.spec.ranks = 3;
    o.spec.strategy.data_parallel = true;
    o.comm = COMM_THREAD;
    check_same(o, "DataParallel, batch norm");
    o = sequence();
    o.spec.ranks = 2;
    o.spec.micro_batches = 2;
    o.spec.strategy.data_parallel = true;
    o.comm = COMM_THREAD;
    check_same(o, "DataParallel");
}
END_TEST

START_TEST(statistics_of_all_shards_are_kept) {
    JobOptions o = convolution();
    o.spec.ranks = 2;
    o.spec.shards = 4;
    o.spec.micro_batches = 2;
    o.spec.strategy.sync_batch_norm = true;
    check_same(o, "synchronised");
}
END_TEST

// Each stage computes again what is its own, of each micro-batch when its backward comes.
START_TEST(stages_of_a_pipeline_compute_the_same_bits_again) {
    for (int schedule = SCHEDULE_GPIPE; schedule <= SCHEDULE_ZERO_BUBBLE; schedule++) {
        JobOptions o = schedule % 2 ? convolution() : sequence();
        o.spec.ranks = schedule % 2 ? 4 : 2;
        o.spec.mesh.pipe = 2;
        o.spec.strategy.schedule.word = schedule;
        o.spec.strategy.schedule.number = 2;
        o.spec.micro_batches = 4;
        o.spec.batch = 16;
        check_same(o, "pipeline");
    }
}
END_TEST

// What was communicated is kept, so nothing is sent twice.
START_TEST(pieces_of_a_layer_are_computed_again_without_sending_again) {
    for (int zero = 0; zero <= 1; zero++) {
        JobOptions o = sequence();
        Job kept, full;
        o.spec.ranks = 2 + 2 * zero;
        o.spec.mesh.tensor = 2;
        o.spec.strategy.zero = zero;
        o.spec.micro_batches = 2;
        check_same(o, "--tp 2");
        ck_assert_ok(job_create(&kept, &o));
        o.spec.strategy.recompute = RECOMPUTE_FULL;
        ck_assert_ok(job_create(&full, &o));
        ck_assert_int_eq(count_kind(&full, KIND_ALL_REDUCE), count_kind(&kept, KIND_ALL_REDUCE));
        job_destroy(&full);
        job_destroy(&kept);
    }
}
END_TEST

// With positions in pieces each of two blocks gathers what attention and the gated unit read, in
// two micro-batches: these are gathered again, and reductions are not repeated.
START_TEST(pieces_of_sequences_are_gathered_again) {
    JobOptions o = sequence();
    Job kept, full;
    o.spec.ranks = 2;
    o.spec.mesh.tensor = 2;
    o.spec.model = "llama:layers=2,hidden=16,seq=8";
    o.data = "text:count=2000";
    o.spec.strategy.sequence_parallel = true;
    o.spec.micro_batches = 2;
    check_same(o, "--sequence-parallel");
    ck_assert_ok(job_create(&kept, &o));
    o.spec.strategy.recompute = RECOMPUTE_FULL;
    ck_assert_ok(job_create(&full, &o));
    ck_assert_int_eq(count_kind(&full, KIND_ALL_GATHER),
                     count_kind(&kept, KIND_ALL_GATHER) + 2 * 2 * 2);
    ck_assert_int_eq(count_kind(&full, KIND_REDUCE_SCATTER),
                     count_kind(&kept, KIND_REDUCE_SCATTER));
    job_destroy(&full);
    job_destroy(&kept);
}
END_TEST

// Keys and values that travelled in buffers are not there any more: what read them is kept.
START_TEST(cut_sequences_compute_the_same_bits_again) {
    for (int kind = 0; kind < 2; kind++) {
        JobOptions o = sequence();
        o.spec.model = "llama:layers=2,hidden=16,seq=8";
        o.data = "text:count=2000";
        o.spec.ranks = 2 + 2 * kind;
        o.spec.mesh.context = 2;
        o.spec.strategy.context = (ContextKind)kind;
        o.spec.micro_batches = 2;
        check_same(o, "--cp 2");
    }
}
END_TEST

// --- mistakes

static Program *program_of(Job *job) { return &job->set.programs[0]; }
static Plan *step_of(Job *job) { return &job->set.programs[0].plans[job->plan_step]; }

// The operation of that name of a micro-batch.
static Op *find_op(const Program *p, Plan *plan, const char *name, int micro_batch) {
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(p, &plan->ops[i]), name) && plan->ops[i].micro_batch == micro_batch)
            return &plan->ops[i];
    ck_abort_msg("no operation %s", name);
}

// Let it read tensor `other` where it reads `tensor`.
static void read_other(Job *job, const Op *op, const char *tensor, const char *other) {
    const Program *p = program_of(job);
    int32_t *inputs = step_of(job)->operands + op->operand_first + op->outputs;
    for (int k = 0; k < op->inputs; k++)
        if (!strcmp(tensor_name(p, inputs[k]), tensor)) {
            inputs[k] = program_find_tensor(p, other);
            ck_assert_int_ne(inputs[k], NONE);
            return;
        }
    ck_abort_msg("%s does not read %s", op_name(p, op), tensor);
}

typedef struct {
    void (*edit)(Job *job);
    void (*before)(Executor *e, int plan, int op);
    const char *refused;  // what plan_check() says, if it can know
} Mistake;

static void edit(void *context, Job *job) {
    const Mistake *m = context;
    if (!m->edit) return;
    m->edit(job);
    if (m->refused) ck_assert_fails(plan_check(&job->set), ERR_PLAN, m->refused);
}

static void before(void *context, Executor *e, int plan, int op) {
    const Mistake *m = context;
    if (m->before) m->before(e, plan, op);
}

static void check_seen(JobOptions o, const Mistake *m) {
    Outcome good, bad;
    o.spec.device = "reference";
    o.spec.micro_batches = 2;
    ck_assert_ok(training_run(&good, &o, NULL));
    o.spec.strategy.recompute = RECOMPUTE_FULL;
    ck_assert_ok(training_run(
        &bad, &o, &(TrainingProbe){.context = (void *)m, .edit = edit, .before = before}));
    ck_assert_ptr_nonnull(outcome_difference(&good, &bad));
    outcome_finish(&bad);
    outcome_finish(&good);
}

static void take_another_micro_batch(Job *job) {
    read_other(job, find_op(program_of(job), step_of(job), "h.1.n1.recompute", 1), "h.0.end.y/0.1",
               "h.0.end.y/0.0");
}
START_TEST(another_micro_batch_s_input_is_seen) {
    check_seen(sequence(), &(Mistake){.edit = take_another_micro_batch,
                                      .refused = "h.1.n1.recompute: h.1.n1.y/0.1.again has "
                                                 "rows.0.1 rows in use, h.0.end.y/0.0 has "
                                                 "rows.0.0"});
}
END_TEST

static void draw_for_the_seed(Job *job) {
    read_other(job, find_op(program_of(job), step_of(job), "h.0.d1.recompute", 0), "step", "seed");
}
START_TEST(a_mask_of_another_counter_is_seen) {
    check_seen(sequence(), &(Mistake){.edit = draw_for_the_seed,
                                      .refused = "h.0.d1.recompute: flags=recompute, but no "
                                                 "dropout before it made"});
}
END_TEST

// As if the counter had gone on between the forward and the recomputation.
static void draw_for_the_next_step(Executor *e, int plan, int op) {
    const char *name = op_name(e->program, &e->program->plans[plan].ops[op]);
    int step = program_find_tensor(e->program, "step");
    int64_t now = *(const int64_t *)executor_data(e, step);
    if (!strcmp(name, "h.0.d1.recompute")) executor_set_i64(e, step, now + 1);
    if (!strcmp(name, "h.0.mid.recompute")) executor_set_i64(e, step, now - 1);
}
START_TEST(a_mask_of_the_next_step_is_seen) {
    check_seen(sequence(), &(Mistake){.before = draw_for_the_next_step});
}
END_TEST

// The backward reads what the forward wrote, whose memory others have had since.
static void read_stale(Job *job) {
    read_other(job, find_op(program_of(job), step_of(job), "h.0.down.backward_weight", 0),
               "h.0.d0.y/0.0.again", "h.0.d0.y/0.0");
}
START_TEST(a_stale_activation_is_seen) { check_seen(sequence(), &(Mistake){.edit = read_stale}); }
END_TEST

// A second update of running statistics, as a naive second forward would make.
static void update_twice(Job *job) {
    Program *p = program_of(job);
    Plan *plan = step_of(job);
    const Op op = *find_op(p, plan, "res1.bn1.update", 0);
    const int64_t momentum = work_attr(p, op_work(p, &op), 0);
    int32_t operands[5];
    memcpy(operands, op_outputs(plan, &op), sizeof operands);
    ck_assert_int_eq(op.outputs + op.inputs, 5);
    ck_assert_ok(plan_add_op(p, plan,
                             &(OpSpec){.name = "res1.bn1.update.again",
                                       .kind = KIND_BATCH_NORM_UPDATE,
                                       .phase = PHASE_RECOMPUTE,
                                       .lane = op.lane,
                                       .attrs = &momentum,
                                       .outputs = operands,
                                       .inputs = operands + 2,
                                       .output_count = 2,
                                       .input_count = 3},
                             NULL));
    ck_assert_ok(plan_derive_deps(p, plan));
}
START_TEST(running_statistics_that_are_updated_twice_are_seen) {
    check_seen(convolution(), &(Mistake){.edit = update_twice});
}
END_TEST

SUITE("recompute", every_type_and_device_computes_the_same_bits_again,
      unfused_attention_and_its_dropout_compute_the_same_bits_again,
      what_was_made_by_two_kernels_is_made_by_two_again,
      a_mixture_of_experts_computes_the_same_bits_again,
      exchanges_of_experts_are_repeated_with_their_block,
      shards_and_micro_batches_compute_the_same_bits_again,
      every_stage_of_zero_computes_the_same_bits_again,
      compressed_and_scaled_gradients_are_the_same,
      data_parallel_devices_compute_the_same_bits_again,
      stages_of_a_pipeline_compute_the_same_bits_again,
      pieces_of_a_layer_are_computed_again_without_sending_again,
      pieces_of_sequences_are_gathered_again, cut_sequences_compute_the_same_bits_again,
      statistics_of_all_shards_are_kept, another_micro_batch_s_input_is_seen,
      a_mask_of_another_counter_is_seen, a_mask_of_the_next_step_is_seen,
      a_stale_activation_is_seen, running_statistics_that_are_updated_twice_are_seen)
