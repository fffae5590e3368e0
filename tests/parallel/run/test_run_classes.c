// SPDX-License-Identifier: MIT
// Runs whose ranks are of several classes: a pipeline's stages end with what one rank ends with.
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"
#include "tests/support/pipeline.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <string.h>

#define MODEL "mlp:hidden=32,layers=2"
enum { BATCH = 64 };

static JobOptions options_of(const char *device, int micro_batches) {
    JobOptions o = training_options();
    o.spec.model = MODEL;
    o.spec.device = device;
    o.spec.batch = BATCH;
    o.spec.micro_batches = micro_batches;
    o.steps = 6;
    return o;
}

// The plan file of two stages, cut behind the first ReLU. The path is valid until the next call.
static const char *write_pipeline(ScheduleKind schedule, int micro_batches, int data_ranks) {
    static char path[256];
    Arena a = {0};
    Model m;
    ProgramSet set;
    const JobOptions o = options_of(device_traits_default, micro_batches);
    const StepSpec step = {.dtype = DTYPE_F32,
                           .batch = BATCH,
                           .shards = data_ranks,
                           .local_shards = 1,
                           .micro_batches = micro_batches,
                           .evaluation_rows = EVALUATION_ROWS,
                           .optimizer = o.spec.optimizer,
                           .mesh.data = data_ranks};
    const PipelineSpec pipeline = {.stages = 2, .schedule = schedule, .last_layer = {"relu1"}};
    snprintf(path, sizeof path, "%s/two-stages.plan", test_directory());
    ck_assert_ok(model_read(&m, &a, MODEL));
    ck_assert_ok(
        pipeline_programs(&set, &m, &step, &(StrategyOptions){.local_shards = 1}, &pipeline));
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_ok(plan_text_print(&set, NONE, f));
    fclose(f);
    program_set_finish(&set);
    arena_finish(&a);
    return path;
}

static void run_one(Outcome *out, const char *device, int micro_batches, int data_ranks) {
    JobOptions o = options_of(device, micro_batches);
    o.spec.ranks = data_ranks;
    ck_assert_ok(training_run(out, &o, NULL));
}

static void run_stages(Outcome *out, const char *device, CommKind comm, const char *plan,
                       int micro_batches, int data_ranks) {
    JobOptions o = options_of(device, micro_batches);
    o.spec.ranks = 2 * data_ranks;
    o.spec.plan_file = plan;
    o.comm = comm;
    ck_assert_ok(training_run(out, &o, NULL));
    ck_assert_int_eq(out->job.set.count, 2);
}

// Each parameter and its optimiser state lie on one stage, with the bits of the run of one rank.
static void assert_same_state(const Outcome *one, const Outcome *stages) {
    const Program *p = &one->job.set.programs[0];
    int compared = 0, data_ranks = one->job.options.spec.ranks;
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        if (tensor->role != ROLE_PARAMETER && tensor->role != ROLE_OPTIMISER) continue;
        int holders = 0;
        for (int r = 0; r < 2 * data_ranks; r++) {
            const void *is = outcome_tensor(stages, r, tensor_name(p, t)),
                       *want = outcome_tensor(one, 0, tensor_name(p, t));
            if (!is) continue;
            holders++;
            ck_assert_msg(!memcmp(is, want, (size_t)tensor->bytes), "%s differs on rank %d",
                          tensor_name(p, t), r);
        }
        ck_assert_int_eq(holders, data_ranks);
        compared++;
    }
    ck_assert_int_eq(compared, 2 * 6);  // weight and bias of three layers, each with its velocity
}

// Every rank reports the losses that one rank reports.
static void assert_same_losses(const Outcome *one, const Outcome *stages) {
    const RankResult *want = &one->training.shared->results[0];
    for (int r = 0; r < stages->job.options.spec.ranks; r++) {
        const RankResult *is = &stages->training.shared->results[r];
        int w = 0;
        for (int i = 0; i < is->timeline.step_count; i++) {
            if (!is->timeline.steps[i].rows) continue;
            while (!want->timeline.steps[w].rows) w++;
            ck_assert(is->timeline.steps[i].loss == want->timeline.steps[w++].loss);
        }
        ck_assert_int_ge(w, 6);
        ck_assert_int_eq(is->evaluation_count, want->evaluation_count);
        ck_assert_int_gt(is->evaluation_count, 0);
        for (int i = 0; i < is->evaluation_count; i++) {
            ck_assert(is->evaluations[i].loss == want->evaluations[i].loss);
            ck_assert(is->evaluations[i].accuracy == want->evaluations[i].accuracy);
        }
    }
}

static void stages_equal_one(const char *device, CommKind comm) {
    for (int micro_batches = 4; micro_batches <= 8; micro_batches += 4) {
        Outcome one;
        run_one(&one, device, micro_batches, 1);
        for (int schedule = SCHEDULE_GPIPE; schedule <= SCHEDULE_1F1B; schedule++) {
            Outcome stages;
            const char *plan = write_pipeline((ScheduleKind)schedule, micro_batches, 1);
            run_stages(&stages, device, comm, plan, micro_batches, 1);
            assert_same_state(&one, &stages);
            assert_same_losses(&one, &stages);
            outcome_finish(&stages);
        }
        outcome_finish(&one);
    }
}

START_TEST(stages_in_lockstep_equal_one_rank) {
    stages_equal_one("reference", COMM_SERIAL);
    stages_equal_one(device_traits_default, COMM_SERIAL);
}
END_TEST

START_TEST(stages_as_threads_equal_one_rank) {
    stages_equal_one("reference", COMM_THREAD);
    stages_equal_one(device_traits_default, COMM_THREAD);
}
END_TEST

START_TEST(stages_as_processes_equal_one_rank) {
    stages_equal_one("reference", COMM_SHM);
    stages_equal_one(device_traits_default, COMM_SHM);
}
END_TEST

// Two stages in two data-parallel copies: DDP's bits.
START_TEST(stages_in_two_copies_equal_ddp) {
    static const char *const devices[] = {"reference", device_traits_default};
    for (int d = 0; d < 2; d++) {
        Outcome ddp, stages;
        run_one(&ddp, devices[d], 4, 2);
        run_stages(&stages, devices[d], COMM_SERIAL, write_pipeline(SCHEDULE_1F1B, 4, 2), 4, 2);
        assert_same_state(&ddp, &stages);
        assert_same_losses(&ddp, &stages);
        outcome_finish(&stages);
        run_stages(&stages, devices[d], COMM_SHM, write_pipeline(SCHEDULE_GPIPE, 4, 2), 4, 2);
        assert_same_state(&ddp, &stages);
        outcome_finish(&stages);
        outcome_finish(&ddp);
    }
}
END_TEST

// Parameters of the layers of its own stage, and no others.
START_TEST(each_rank_has_the_memory_of_its_class) {
    Outcome stages;
    run_stages(&stages, device_traits_default, COMM_SERIAL, write_pipeline(SCHEDULE_1F1B, 4, 1), 4,
               1);
    const ProgramSet *set = &stages.job.set;
    ck_assert_ptr_eq(job_program(&stages.job, 0), &set->programs[0]);
    ck_assert_ptr_eq(job_program(&stages.job, 1), &set->programs[1]);
    // 32 x 784 + 32, and 32 x 32 + 32 + 10 x 32 + 10, in f32 and steps of 64 bytes
    ck_assert_int_eq(program_memory(&set->programs[0], MEMORY_PARAMETERS), 4 * (32 * 784 + 32));
    ck_assert_int_eq(program_memory(&set->programs[1], MEMORY_PARAMETERS),
                     4 * (32 * 32 + 32 + 10 * 32) + 64);
    outcome_finish(&stages);
}
END_TEST

// docs/formats.md, "A pipeline", shows how to run, trace and predict it.
START_TEST(the_pipeline_of_the_documents_is_this_one) {
    char out[1000];
    const char *made = write_pipeline(SCHEDULE_1F1B, 4, 1);
    ck_assert_msg(
        test_shell(out, sizeof out, "grep -v '^#' docs/pipeline.plan | diff - %s", made) == 0,
        "docs/pipeline.plan is not what tests/support/pipeline.c makes:\n%s", out);
}
END_TEST

SUITE("run_classes", stages_in_lockstep_equal_one_rank, stages_as_threads_equal_one_rank,
      stages_as_processes_equal_one_rank, each_rank_has_the_memory_of_its_class,
      stages_in_two_copies_equal_ddp, the_pipeline_of_the_documents_is_this_one)
