// SPDX-License-Identifier: MIT
// Which stage gets which layers, by their flops or by hand; and what --pp does not go with.
#include "core/plan/mesh.h"
#include "parallel/strategy/job_spec.h"
#include "parallel/strategy/stage.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

static Arena arena;  // finished by each test

// The first layer of each stage, "0 3 5", or why there are none.
static const char *stages_of(const char *model, const char *given, int ranks, int chunks) {
    static char out[400];
    Model m;
    Program p;
    const PipelineShape shape = {SCHEDULE_INTERLEAVED, ranks, chunks, 8};
    const StepSpec spec = {.batch = 8,
                           .shards = 1,
                           .local_shards = 1,
                           .micro_batches = 8,
                           .evaluation_rows = 1,
                           .mesh = {.pipe = ranks}};
    int stage[64], length = 0;
    ck_assert_ok(model_parse(&m, &arena, model, "test", NULL));
    ck_assert_ok(model_emit(&p, &m, &spec));
    Status s = stage_assign(stage, &arena, &p, &m, given, &shape);
    program_finish(&p);
    if (s != OK) ck_assert_int_eq(s, ERR_USAGE);
    if (s != OK) return status_message();
    ck_assert_int_eq(stage[m.layer_count], ranks * chunks - 1);  // the loss
    for (int i = 0; i < m.layer_count; i++)
        if (!i || stage[i] != stage[i - 1]) {
            ck_assert_int_eq(stage[i], i ? stage[i - 1] + 1 : 0);
            length += snprintf(out + length, sizeof out - (size_t)length, i ? " %d" : "%d", i);
        }
    return out;
}

#define HEAD "model m\ninput 8\nclasses 8\n"

// Two flops for each of 8 x OUT weights, thrice, but for the first, whose input wants no gradient:
// 4 x 8 x 64, 6 x 64 x 64, 6 x 64 x 64, 6 x 64 x 8.
START_TEST(the_stage_with_the_most_flops_has_as_few_as_may_be) {
    static const char text[] = HEAD "linear a out=64\nlinear b out=64\nlinear c out=64\n"
                                    "linear d out=8\n";
    ck_assert_str_eq(stages_of(text, NULL, 2, 1), "0 2");
    ck_assert_str_eq(stages_of(text, NULL, 3, 1), "0 2 3");
    ck_assert_str_eq(stages_of(text, NULL, 4, 1), "0 1 2 3");
    ck_assert_str_eq(stages_of(text, NULL, 2, 2), "0 1 2 3");
    arena_finish(&arena);
}
END_TEST

// Arithmetic is in the linear layers, of 64 x 64 weights each: any cut between the second and the
// third is as good. Less goes over it behind the addition, where the residual has ended.
START_TEST(of_equal_cuts_the_one_with_the_fewest_bytes_is_taken) {
    static const char residual[] = "model m\ninput 64\nclasses 64\n"
                                   "linear a out=64\nrelu r\nlinear b out=64\nadd s from=b,r\n"
                                   "linear c out=64\nrelu t\nlinear d out=64\nadd u from=d,t\n";
    static const char wide[] = "model m\ninput 1 8 8\nclasses 4\nconv2d a out=8 kernel=3 pad=1\n"
                               "relu\nmax_pool kernel=2\nflatten\nlinear b out=64\nrelu\n"
                               "linear c out=4\n";
    ck_assert_str_eq(stages_of(residual, NULL, 2, 1), "0 4");
    ck_assert_str_eq(stages_of(wide, NULL, 2, 1), "0 4");
    arena_finish(&arena);
}
END_TEST

// The backward of a ReLU before a pooling is done with that of the pooling (core/nn/rewrite.c).
START_TEST(layers_whose_backward_is_done_together_stay_together) {
    static const char pooled[] = "model m\ninput 1 8 8\nclasses 4\nconv2d a out=2 kernel=3\n"
                                 "relu r\nmax_pool p kernel=2\nflatten f\nlinear b out=4\n";
    ck_assert_str_eq(stages_of(pooled, "0:1,1:5", 2, 1), "0 1");
    ck_assert_str_eq(stages_of(pooled, "0:2,2:5", 2, 1),
                     "--stages 0:2,2:5: no stage can begin at layer 2, p, whose backward is done "
                     "with that of r; begin it one earlier or later");
    ck_assert_str_eq(stages_of(pooled, NULL, 5, 1),
                     "--pp 5: m has 5 layers, 1 of which stay on one stage with the layer before, "
                     "since their backward is done together; give --pp 4 at most");
    arena_finish(&arena);
}
END_TEST

START_TEST(stages_by_hand_have_all_layers_in_their_order) {
    static const char text[] = HEAD "linear a out=8\nlinear b out=8\nlinear c out=8\nlinear d "
                                    "out=8\n";
    static const struct {
        const char *given, *want;
    } cases[] = {
        {"0:1,1:4", "0 1"},
        {"0:3,3:4", "0 3"},
        {"0:1,2:4", "--stages 0:1,2:4: stage 1 begins at layer 2, but the one before ends at 1"},
        {"1:2,2:4", "--stages 1:2,2:4: stage 0 begins at layer 1, but the one before ends at 0"},
        {"0:2,2:5", "--stages 0:2,2:5: 2:5 of stage 1; it ends behind layer 2, and m has 4 layers"},
        {"0:2,2:2", "--stages 0:2,2:2: 2:2 of stage 1; it ends behind layer 2, and m has 4 layers"},
        {"0:2,2:3",
         "--stages 0:2,2:3: the last stage ends at layer 3, but m has 4 layers; let it end at 4"},
        {"0:4",
         "--stages 0:4: 1 stage, and the pipeline has 2; --print-mesh shows those that it has "
         "without --stages"},
        {"0:1,1:2,2:4",
         "--stages 0:1,1:2,2:4: 3 stages, and the pipeline has 2; --print-mesh shows those that "
         "it has without --stages"},
        {"0-2,2-4",
         "--stages 0-2,2-4: expected the layers of each stage, from the first up to, but not "
         "including, the last: 0:4,4:8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(stages_of(text, cases[i].given, 2, 1), cases[i].want);
    ck_assert_str_eq(stages_of(text, NULL, 5, 1),
                     "--pp 5: m has 4 layers, and each stage needs one; give --pp 4 at most");
    ck_assert_str_eq(stages_of(text, NULL, 2, 3),
                     "--pp 2 × --schedule interleaved:3 = 6 stages: m has 4 layers, and each stage "
                     "needs one; give --schedule 1f1b");
    arena_finish(&arena);
}
END_TEST

// --- what goes with it

static JobSpec job(int pipe, int ranks, int micro_batches, int schedule) {
    JobSpec s = job_spec_default();
    s.mesh.pipe = pipe;
    s.ranks = ranks;
    s.micro_batches = micro_batches;
    s.strategy.schedule = (OptionForm){.word = schedule};
    return s;
}

START_TEST(a_pipeline_has_as_many_micro_batches_as_stages) {
    JobSpec s = job(4, 4, 3, SCHEDULE_1F1B);
    ck_assert_fails(job_spec_check(&s), ERR_USAGE,
                    "--pp 4 needs 4 micro-batches or more, so that every stage has one to work on, "
                    "and --accumulate is 3; give --accumulate 4, or twice that");
    s.shards = 2;
    ck_assert_ok(job_spec_check(&s));  // 2 × 3
    s = job(8, 8, 3, SCHEDULE_1F1B);
    s.shards = 2;
    ck_assert_fails(job_spec_check(&s), ERR_USAGE,
                    "2 shards a rank × --accumulate 3 = 6; give "
                    "--accumulate 4");
    s = job(4, 4, 6, SCHEDULE_INTERLEAVED);
    ck_assert_fails(job_spec_check(&s), ERR_USAGE,
                    "--schedule interleaved takes micro-batches in groups of its --pp 4, and 6 = 1 "
                    "× 4 + 2; give --accumulate 8");
    s.micro_batches = 8;
    ck_assert_ok(job_spec_check(&s));
    s.strategy.schedule.number = 2.5;
    ck_assert_fails(job_spec_check(&s), ERR_USAGE, "a whole number of 2 to 64");
    ck_assert_int_eq(job_spec_pipeline_micro_batches(&s), 8);
}
END_TEST

// The layers are named before the rows that so many stages would need.
START_TEST(more_stages_than_layers_are_refused_before_the_batch) {
    JobSpec s = job(40, 40, 80, SCHEDULE_1F1B);
    s.model = "mlp";
    s.batch = 64;
    ck_assert_fails(job_spec_check(&s), ERR_USAGE,
                    "--pp 40: mlp has 6 layers, and each stage needs one; give --pp 6 at most");
    s.batch = 80;
    ck_assert_ok(job_spec_check(&s));
}
END_TEST

START_TEST(what_does_not_go_with_a_pipeline_is_refused) {
    JobSpec s = job(2, 4, 4, SCHEDULE_1F1B);
    ck_assert_ok(job_spec_check(&s));
    s.strategy.zero = 2;
    ck_assert_ok(job_spec_check(&s));
    s.strategy.zero = 3;
    ck_assert_fails(job_spec_check(&s), ERR_USAGE, "give --zero 1 or 2");
    s = job(2, 4, 4, SCHEDULE_1F1B);
    s.strategy.data_parallel = true;
    ck_assert_fails(job_spec_check(&s), ERR_USAGE, "--data-parallel keeps all weights");
    s = job(65, 65, 65, SCHEDULE_1F1B);
    ck_assert_fails(job_spec_check(&s), ERR_USAGE, "--pp 65: a pipeline has at most 64 ranks");
}
END_TEST

SUITE("stage_layers", the_stage_with_the_most_flops_has_as_few_as_may_be,
      of_equal_cuts_the_one_with_the_fewest_bytes_is_taken,
      layers_whose_backward_is_done_together_stay_together,
      stages_by_hand_have_all_layers_in_their_order, a_pipeline_has_as_many_micro_batches_as_stages,
      more_stages_than_layers_are_refused_before_the_batch,
      what_does_not_go_with_a_pipeline_is_refused)
