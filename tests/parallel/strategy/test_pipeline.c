// SPDX-License-Identifier: MIT
// Pipelines from plan files: what ranks of unlike programs compute must be what one rank does.
#include "core/plan/check.h"
#include "core/plan_text/plan_text.h"
#include "tests/support/pipeline.h"
#include "tests/support/testing.h"

static void make_pipeline(ProgramSet *out, const PipelineSpec *pipeline, int data_ranks,
                          int micro_batches) {
    Arena a = {0};
    Model m;
    ck_assert_ok(model_read(&m, &a, "mlp:hidden=32,layers=4"));
    const StepSpec spec = {.dtype = DTYPE_F32,
                           .batch = 64,
                           .shards = data_ranks,
                           .local_shards = 1,
                           .micro_batches = micro_batches,
                           .evaluation_rows = EVALUATION_ROWS,
                           .mesh.data = data_ranks};
    const StrategyOptions options = {.local_shards = 1, .bucket_bytes = {4096, 65536}};
    ck_assert_ok(pipeline_programs(out, &m, &spec, &options, pipeline));
    arena_finish(&a);
}

START_TEST(two_stages_pass_the_check) {
    for (int schedule = SCHEDULE_GPIPE; schedule <= SCHEDULE_1F1B; schedule++)
        for (int data = 1; data <= 2; data++) {
            ProgramSet set;
            const PipelineSpec pipeline = {
                .stages = 2, .schedule = (ScheduleKind)schedule, .last_layer = {"relu2"}};
            make_pipeline(&set, &pipeline, data, 4);
            ck_assert_ok(plan_check(&set));
            program_set_finish(&set);
        }
}
END_TEST

// What the root of a broadcast sends must have been written there; the others need not have it.
START_TEST(a_broadcast_from_a_stage_that_has_nothing_is_refused) {
    ProgramSet set;
    const PipelineSpec pipeline = {.stages = 2, .last_layer = {"relu2"}};
    make_pipeline(&set, &pipeline, 1, 4);
    for (int i = 0; i < set.count; i++)
        for (int w = 0; w < set.programs[i].work_count; w++)
            if (set.programs[i].works[w].kind == KIND_BROADCAST) set.programs[i].works[w].peer = 0;
    ck_assert_fails(plan_check(&set), ERR_PLAN,
                    "class stage0: plan step: broadcast.loss: reads loss before any operation");
    program_set_finish(&set);
}
END_TEST

SUITE("pipeline", two_stages_pass_the_check, a_broadcast_from_a_stage_that_has_nothing_is_refused)
