// SPDX-License-Identifier: MIT
// Synchronised batch normalisation where layers or channels are divided, too: the ranks that hold
// the same stage and channels share statistics. In a pipeline that gives the bits of one rank with
// as many shards; of divided channels what is within 1e-12 max(1, |w|) (docs/contract.md, 6 and 7).
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <string.h>

static Arena arena;  // finished by each test

// The first and the third norm have channels of which tensor-parallel ranks have a part.
static const char text[] =
    "model normed\ninput 1 28 28\nclasses 10\n"
    "conv2d a out=5 kernel=5 stride=3 bias=false\nbatch_norm an\nrelu\n"
    "conv2d b out=3 kernel=3 stride=2 bias=false\nbatch_norm bn momentum=0.3\n"
    "relu\nflatten\nlinear c out=8 bias=false\nbatch_norm cn eps=0.001\n"
    "relu\nlinear d out=10\n";

static JobOptions options_of(Dtype dtype, int micro_batches) {
    JobOptions o = training_options();
    o.spec.model = ending_write_file(&arena, "normed.model", text);
    o.spec.dtype = dtype;
    o.spec.micro_batches = micro_batches;
    o.spec.optimizer.momentum = 0.9;
    o.spec.strategy.sync_batch_norm = true;
    o.steps = 8;
    return o;
}

// --- pipelines

typedef struct {
    int pipe, data, shards, schedule, zero;
    Recompute recompute;
} Pipe;

static void check_pipe(const JobOptions *whole, const Outcome *one, const Pipe *p) {
    JobOptions o = *whole;
    Outcome got;
    uint64_t delays = 11;
    o.spec.mesh.pipe = p->pipe;
    o.spec.ranks = p->pipe * p->data;
    o.spec.strategy.schedule = (OptionForm){.word = p->schedule};
    o.spec.strategy.zero = p->zero;
    o.spec.strategy.recompute = p->recompute;
    o.comm = (CommKind)((p->pipe + p->data) % COMM_KINDS);
    ck_assert_ok(
        training_run(&got, &o, &(TrainingProbe){.context = &delays, .before = training_delay}));
    const char *d = outcome_result_difference(one, &got);
    ck_assert_msg(!d, "pp %d, dp %d, %d shards, schedule %d: %s", p->pipe, p->data, p->shards,
                  p->schedule, d ? d : "");
    outcome_finish(&got);
}

// Of several shards on a rank, all go through a stage together, micro-batch by micro-batch.
START_TEST(stages_have_the_statistics_of_all_shards) {
    static const Pipe pipes[] = {{2, 2, 2, SCHEDULE_1F1B, 0, RECOMPUTE_NONE},
                                 {4, 2, 2, SCHEDULE_GPIPE, 1, RECOMPUTE_SELECTIVE},
                                 {2, 2, 2, SCHEDULE_INTERLEAVED, 2, RECOMPUTE_FULL},
                                 {3, 2, 2, SCHEDULE_ZERO_BUBBLE, 0, RECOMPUTE_NONE},
                                 {2, 1, 2, SCHEDULE_1F1B, 0, RECOMPUTE_FULL},
                                 {4, 1, 3, SCHEDULE_ZERO_BUBBLE, 0, RECOMPUTE_NONE},
                                 {2, 2, 4, SCHEDULE_INTERLEAVED, 0, RECOMPUTE_NONE}};
    for (size_t i = 0; i < sizeof pipes / sizeof *pipes; i++) {
        JobOptions o = options_of(DTYPE_F32, 4);
        Outcome one;
        o.spec.shards = pipes[i].shards;
        ck_assert_ok(training_run(&one, &o, NULL));
        check_pipe(&o, &one, &pipes[i]);
        outcome_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// Shards that share statistics are one micro-batch of a pipeline.
START_TEST(a_pipeline_counts_micro_batches_that_shards_share_once) {
    JobOptions o = options_of(DTYPE_F32, 2);
    Job job;
    o.spec.ranks = o.spec.mesh.pipe = 4;
    o.spec.shards = 2;
    ck_assert_fails(job_create(&job, &o), ERR_USAGE, "and --accumulate is 2; give --accumulate 4");
    o.spec.strategy.sync_batch_norm = false;
    ck_assert_ok(job_create(&job, &o));
    job_destroy(&job);
    arena_finish(&arena);
}
END_TEST

// --- divided channels

// How many norms of the first rank read statistics of some channels, of all shards.
static void count_norms(void *context, Job *job) {
    const Program *p = &job->set.programs[0];
    const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    int *count = context, axis = mesh_find_axis(p, MESH_TENSOR);
    for (int i = 0; i < plan->op_count; i++) {
        if (op_kind(p, &plan->ops[i]) != KIND_BATCH_NORM) continue;
        const Tensor *t = &p->tensors[op_inputs(plan, &plan->ops[i])[1]];
        *count += t->placement[axis].place == PLACE_SHARD &&
                  t->shape[0] == job_spec_shards(&job->options.spec);
    }
}

// With one micro-batch the statistics are those of the whole batch, however many shards it is of.
START_TEST(channels_over_ranks_have_the_statistics_of_all_shards) {
    static const struct {
        int tensor, data, shards, zero;
    } cases[] = {{2, 1, 2, 0}, {2, 2, 2, 0}, {3, 2, 4, 1}, {2, 4, 4, 3}};
    JobOptions o = options_of(DTYPE_F64, 1);
    Ending one;
    ending_run(&one, &arena, &o);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Ending got;
        int count = 0;
        o.spec.mesh.tensor = cases[i].tensor;
        o.spec.ranks = cases[i].tensor * cases[i].data;
        o.spec.shards = cases[i].shards;
        o.spec.strategy.zero = cases[i].zero;
        ending_run_probed(&got, &arena, &o,
                          &(TrainingProbe){.context = &count, .edit = count_norms});
        ending_check(&got, &one, 1e-12);
        ck_assert_int_eq(count, 2 * cases[i].shards / cases[i].data);
        ending_finish(&got);
    }
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

START_TEST(so_have_stages_of_divided_channels) {
    JobOptions o = options_of(DTYPE_F64, 4);
    Ending one;
    o.spec.shards = 2;
    ending_run(&one, &arena, &o);
    o.spec.mesh = (Mesh){.pipe = 2, .tensor = 2};
    for (int data = 1; data <= 2; data++) {
        o.spec.ranks = 4 * data;
        o.spec.strategy.schedule.word = data == 1 ? SCHEDULE_1F1B : SCHEDULE_ZERO_BUBBLE;
        o.comm = data == 1 ? COMM_SERIAL : COMM_THREAD;
        ending_check_run(&o, &arena, &one, 1e-12);
    }
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

// What enters the norm is whole on each rank, and what leaves it is needed in pieces, or the other
// way round: statistics and sums are cut or put together before the shards join them.
START_TEST(what_is_cut_otherwise_is_joined_after_that) {
    static const char mixed[] =
        "model mixed\ninput 1 28 28\nclasses 10\n"
        "conv2d a out=4 kernel=5 stride=3 place=S1\nbatch_norm an\nrelu r from=an\n"
        "add s from=an,r\navg_pool global=true\nflatten\nlinear d out=10 place=S1\n";
    JobOptions o = options_of(DTYPE_F64, 1);
    Ending one;
    o.spec.model = ending_write_file(&arena, "mixed.model", mixed);
    o.spec.shards = 4;
    ending_run(&one, &arena, &o);
    o.spec.mesh.tensor = 2;
    for (int data = 1; data <= 4; data *= 2) {
        o.spec.ranks = 2 * data;
        ending_check_run(&o, &arena, &one, 1e-12);
    }
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

SUITE("batch_norm_products", stages_have_the_statistics_of_all_shards,
      a_pipeline_counts_micro_batches_that_shards_share_once,
      channels_over_ranks_have_the_statistics_of_all_shards, so_have_stages_of_divided_channels,
      what_is_cut_otherwise_is_joined_after_that)
