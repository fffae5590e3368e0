// SPDX-License-Identifier: MIT
// Pipelines that --pp makes: whatever the schedule, the stages and what else is divided, losses,
// norms of gradients and weights have the bits of accumulation on one rank, or of data-parallel
// ranks without a pipeline (docs/contract.md, 7).
#include "core/platform/device_traits.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GPT "gpt:hidden=16,heads=2,seq=8"
#define LLAMA "llama:hidden=16,heads=2,kv_heads=1,seq=8"
enum { INTERLEAVED_3 = 100 };  // schedule interleaved:3

static JobOptions options_of(const char *model, const char *data, int micro_batches) {
    JobOptions o = training_options();
    if (model) o.spec.model = model;
    if (data) o.data = data;
    o.spec.batch = 25;
    o.spec.micro_batches = micro_batches;
    o.steps = 2;
    return o;
}

static void divide(JobOptions *o, int stages, int schedule, int turn) {
    o->spec.mesh.pipe = stages;
    o->spec.ranks *= stages;
    o->comm = (CommKind)(turn % COMM_KINDS);
    o->spec.strategy.schedule = (OptionForm){.word = schedule};
    if (schedule == INTERLEAVED_3)
        o->spec.strategy.schedule = (OptionForm){.word = SCHEDULE_INTERLEAVED, .number = 3};
}

// All schedules on so many stages, some with delays at every operation, beside `oracle`.
static void check_schedules(const Outcome *oracle, const JobOptions *whole, int stages, int *turn) {
    static const int schedules[] = {SCHEDULE_GPIPE, SCHEDULE_1F1B, SCHEDULE_INTERLEAVED,
                                    SCHEDULE_ZERO_BUBBLE, INTERLEAVED_3};
    for (int i = 0; i < (stages == 2 ? 5 : 4); i++, ++*turn) {
        Outcome got;
        JobOptions o = *whole;
        uint64_t delays = (uint64_t)*turn;
        divide(&o, stages, schedules[i], *turn);
        const TrainingProbe slow = {.context = &delays, .before = training_delay};
        ck_assert_ok(training_run(&got, &o, *turn % 4 == 1 ? &slow : NULL));
        const char *d = outcome_result_difference(oracle, &got);
        ck_assert_msg(!d, "%s, %d stages, schedule %d, turn %d: %s", o.spec.model, stages,
                      schedules[i], *turn, d ? d : "");
        ck_assert_int_eq(got.job.set.count, stages);
        outcome_finish(&got);
    }
}

static void check_all(const char *model, const char *data, int variants) {
    int turn = 0;
    for (int variant = 0; variant < variants; variant++) {
        Outcome oracle;
        JobOptions o = options_of(model, data, 12);
        o.spec.device = variant & 1 ? device_traits_default : "reference";
        o.spec.dtype = variant & 2 ? DTYPE_F64 : DTYPE_F32;
        ck_assert_ok(training_run(&oracle, &o, NULL));
        check_schedules(&oracle, &o, 2 + variant % 3, &turn);
        outcome_finish(&oracle);
    }
}

START_TEST(every_schedule_equals_accumulation) {
    static char model[4096];
    snprintf(model, sizeof model, "%s", test_source("tests/data/zero.model"));
    check_all(model, NULL, 4);
}
END_TEST

START_TEST(a_gpt_with_a_tied_head_does) { check_all(GPT, "text:count=1000", 4); }
END_TEST

START_TEST(a_llama_does) { check_all(LLAMA, "text:count=1000", 2); }
END_TEST

// Clipping adds blocks through all stages; the count of Adam and the scale are the same on all.
START_TEST(what_an_update_knows_of_all_stages_is_right) {
    int turn = 1;
    for (int variant = 0; variant < 3; variant++) {
        Outcome oracle;
        JobOptions o = options_of(GPT, "text:count=1000", 6);
        o.steps = 3;
        o.spec.optimizer.kind = variant ? OPTIMIZER_ADAMW : OPTIMIZER_SGD;
        o.spec.optimizer.clip = variant < 2 ? 0.2 : 0;
        o.spec.on_nan = variant == 1 ? ON_NAN_SKIP : ON_NAN_STOP;
        if (variant == 2) o.spec.loss_scale = (OptionForm){.word = LOSS_SCALE_DYNAMIC};
        o.spec.loss_scale_every = 2;
        ck_assert_ok(training_run(&oracle, &o, NULL));
        check_schedules(&oracle, &o, 2 + variant % 2, &turn);
        outcome_finish(&oracle);
    }
}
END_TEST

// Logits of the second step that are not finite, on the rank that computes the loss.
static void spoil(void *context, Executor *e, int plan, int op) {
    const Program *p = e->program;
    const Plan *k = &p->plans[plan];
    bool loss = op_kind(p, &k->ops[op]) == KIND_CROSS_ENTROPY;
    if (!loss || k->when != WHEN_EACH_STEP || ++*(int *)context != 3 + 1) return;
    *(float *)executor_data(e, op_inputs(k, &k->ops[op])[0]) = (float)NAN;
}

static void run_spoiled(Outcome *out, const JobOptions *o) {
    int losses = 0;
    ck_assert_ok(training_run(out, o, &(TrainingProbe){.context = &losses, .before = spoil}));
    for (int r = 0; r < o->spec.ranks; r++) {
        const Timeline *t = &out->training.shared->results[r].timeline;
        ck_assert(t->steps[t->step_count - 1].skipped && !t->steps[t->step_count - 2].skipped);
    }
}

// All stages skip it, and running statistics stay as they were.
START_TEST(a_step_that_is_not_finite_is_skipped_by_all_stages) {
    static char model[4096];
    Outcome oracle, got;
    snprintf(model, sizeof model, "%s", test_source("tests/data/batch_norm.model"));
    JobOptions o = options_of(model, NULL, 3);
    o.spec.on_nan = ON_NAN_SKIP;
    o.test_fraction = 0;
    run_spoiled(&oracle, &o);
    for (int stages = 2; stages <= 3; stages++) {
        JobOptions p = o;
        divide(&p, stages, SCHEDULE_1F1B, stages);
        run_spoiled(&got, &p);
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "%d stages: %s", stages, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}
END_TEST

// Two copies of a pipeline, joined by all that joins data-parallel ranks.
static void check_copies(void (*change)(JobOptions *o), const char *model, const char *data) {
    Outcome oracle;
    int turn = 2;
    JobOptions o = options_of(model, data, 4);
    o.spec.ranks = 2;
    o.spec.optimizer.clip = 0.3;
    if (change) change(&o);
    ck_assert_ok(training_run(&oracle, &o, NULL));
    check_schedules(&oracle, &o, 2, &turn);
    outcome_finish(&oracle);
}

static void zero_1(JobOptions *o) { o->spec.strategy.zero = 1; }
static void zero_2(JobOptions *o) { o->spec.strategy.zero = 2; }
static void no_overlap(JobOptions *o) { o->spec.strategy.no_overlap = true; }
static void zero_2_no_overlap(JobOptions *o) {
    o->spec.strategy.zero = 2;
    o->spec.strategy.no_overlap = true;
}
static void local_shards(JobOptions *o) { o->spec.shards = 4; }
static void one_rank_of_shards(JobOptions *o) {
    o->spec.ranks = 1;
    o->spec.shards = 2;
}
static void half(JobOptions *o) { o->spec.strategy.compress.word = COMPRESS_BF16; }
static void factors(JobOptions *o) {
    o->spec.strategy.compress = (OptionForm){.word = COMPRESS_POWERSGD, .number = 2};
}
static void largest(JobOptions *o) {
    o->spec.strategy.compress = (OptionForm){.word = COMPRESS_TOPK, .number = 0.1};
}
static void frozen(JobOptions *o) { o->spec.freeze = "wpe,h.0.*"; }

START_TEST(pipelines_in_two_copies_equal_data_parallel_ranks) {
    check_copies(NULL, GPT, "text:count=1000");
    check_copies(zero_1, GPT, "text:count=1000");
    check_copies(zero_2, GPT, "text:count=1000");
    check_copies(no_overlap, GPT, "text:count=1000");
    check_copies(zero_2_no_overlap, NULL, NULL);
    check_copies(local_shards, NULL, NULL);
    check_copies(one_rank_of_shards, NULL, NULL);
}
END_TEST

START_TEST(stages_compress_and_freeze_what_is_theirs) {
    check_copies(half, NULL, NULL);
    check_copies(factors, GPT, "text:count=1000");
    check_copies(largest, NULL, NULL);
    check_copies(frozen, GPT, "text:count=1000");
}
END_TEST

// A residual connection goes on through the stages between, and samples are loaded by those stages
// that read them.
START_TEST(stages_may_begin_anywhere) {
    Outcome oracle, got;
    JobOptions o = options_of(GPT, "text:count=1000", 4);
    ck_assert_ok(training_run(&oracle, &o, NULL));
    divide(&o, 4, SCHEDULE_1F1B, 1);
    o.spec.strategy.stages = "0:3,3:5,5:7,7:24";
    o.spec.ranks = 4;
    ck_assert_ok(training_run(&got, &o, NULL));
    const char *d = outcome_result_difference(&oracle, &got);
    ck_assert_msg(!d, "%s", d ? d : "");
    const Program *p = &got.job.set.programs[1];
    ck_assert_int_ne(program_find_tensor(p, "wpe.y/0.0"), NONE);  // which it passes on
    outcome_finish(&got);
    outcome_finish(&oracle);
}
END_TEST

// Flops of a step on each stage, and the fewest of any.
static int64_t idlest(const JobOptions *o) {
    Job job;
    int64_t least = INT64_MAX;
    ck_assert_ok(job_create(&job, o));
    for (int s = 0; s < job.set.count; s++) {
        const Program *p = &job.set.programs[s];
        const Plan *step = &p->plans[job.plan_step];
        int64_t flops = 0;
        for (int i = 0; i < step->op_count; i++)
            if (op_work(p, &step->ops[i])->phase != PHASE_UPDATE)
                flops += op_work(p, &step->ops[i])->flops;
        if (flops < least) least = flops;
    }
    job_destroy(&job);
    return least;
}

// The layer that makes a row of an image costs nothing and sends nothing: the cheapest stage, whose
// rank would idle. Of as many stages as layers it is one.
START_TEST(no_stage_idles_while_there_are_layers_that_compute) {
    JobOptions o = options_of("mlp:hidden=24,layers=4", NULL, 4);
    divide(&o, 4, SCHEDULE_1F1B, 0);
    ck_assert_int_gt(idlest(&o), 0);
    o = options_of("linear", NULL, 4);  // that layer, and another one
    divide(&o, 2, SCHEDULE_1F1B, 0);
    ck_assert_int_eq(idlest(&o), 0);
}
END_TEST

// Without overlap a stage communicates after its backward; one that only makes rows of images has
// none, but sends the loss on.
START_TEST(a_stage_without_a_backward_communicates_at_once) {
    Outcome oracle, got;
    JobOptions o = options_of("linear", NULL, 4);
    o.spec.ranks = 2;
    o.spec.strategy.no_overlap = true;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    divide(&o, 2, SCHEDULE_1F1B, 0);
    ck_assert_ok(training_run(&got, &o, NULL));
    const char *d = outcome_result_difference(&oracle, &got);
    ck_assert_msg(!d, "%s", d ? d : "");
    outcome_finish(&got);
    outcome_finish(&oracle);
}
END_TEST

// A run that is saved by three stages, as one file or one a rank, goes on on one rank, and on other
// stages: what is saved at the end are the bytes of a run that was not stopped.
START_TEST(a_run_goes_on_with_other_stages) {
    static char whole[300], half[300], rest[300];
    Outcome out;
    JobOptions o = options_of(GPT, "text:count=1000", 6);
    snprintf(whole, sizeof whole, "%s/whole.safetensors", test_directory());
    snprintf(half, sizeof half, "%s/half.safetensors", test_directory());
    snprintf(rest, sizeof rest, "%s/rest.safetensors", test_directory());
    o.spec.optimizer.kind = OPTIMIZER_ADAMW;
    o.steps = 4;
    o.save = whole;
    ck_assert_ok(training_run(&out, &o, NULL));
    outcome_finish(&out);
    for (int shards = 0; shards < 2; shards++) {
        JobOptions first = o;
        divide(&first, 3, SCHEDULE_ZERO_BUBBLE, shards);
        first.steps = 2;
        first.save = half;
        first.save_shards = shards;
        ck_assert_ok(training_run(&out, &first, NULL));
        outcome_finish(&out);
        for (int stages = 1; stages <= 2; stages++) {
            char text[2000];
            JobOptions second = o;
            divide(&second, stages, SCHEDULE_INTERLEAVED, stages);
            second.resume = half;
            second.save = rest;
            if (shards) second.resume = strcat(strcpy(text, half), ".index.json");
            ck_assert_ok(training_run(&out, &second, NULL));
            outcome_finish(&out);
            ck_assert_int_eq(test_shell(text, sizeof text, "cmp %s %s", whole, rest), 0);
        }
    }
}
END_TEST

// Between blocks of a transformer the residual stream is sent, and its gradient back: batch x T x C
// numbers each way, and nothing else but 16 bytes of losses.
START_TEST(a_cut_between_blocks_sends_what_goes_through_it) {
    Outcome out;
    JobOptions o = options_of("gpt:layers=4,hidden=16,heads=2,seq=8", "text:count=1000", 4);
    o.spec.batch = 16;
    o.spec.strategy.stages = "0:12,12:22,22:44";  // wte, wpe and one block; one; two and the head
    divide(&o, 3, SCHEDULE_1F1B, 0);
    ck_assert_ok(training_run(&out, &o, NULL));
    for (int s = 0; s < 3; s++) {
        const Program *p = &out.job.set.programs[s];
        const Plan *plan = &p->plans[out.job.plan_step];
        int64_t sent[2] = {0, 0};
        for (int i = 0; i < plan->op_count; i++) {
            const Work *w = op_work(p, &plan->ops[i]);
            if (work_is_send(w)) sent[w->peer == 1] += w->payload_bytes;
        }
        ck_assert_int_eq(sent[1], s < 2 ? 16 * 8 * 16 * 4 : 0);
        ck_assert_int_eq(sent[0], s > 0 ? 16 * 8 * 16 * 4 : 0);
    }
    outcome_finish(&out);
}
END_TEST

// The first two messages of a kind of the first stage, each with what belongs to the other.
static void exchange_messages(void *context, Job *job) {
    Program *p = &job->set.programs[0];
    const Plan *plan = &p->plans[job->plan_step];
    int32_t *operand[2];
    int found = 0;
    for (int i = 0; i < plan->op_count && found < 2; i++)
        if (op_kind(p, &plan->ops[i]) == *(const Kind *)context)
            operand[found++] = &plan->operands[plan->ops[i].operand_first];
    ck_assert_int_eq(found, 2);
    int32_t first = *operand[0];
    *operand[0] = *operand[1];
    *operand[1] = first;
}

START_TEST(micro_batches_that_are_taken_for_each_other_are_seen) {
    Outcome oracle, got;
    JobOptions o = options_of(GPT, "text:count=1000", 4);
    o.spec.batch = 24;
    o.spec.strategy.stages = "0:12,12:24";  // one message each way
    ck_assert_ok(training_run(&oracle, &o, NULL));
    divide(&o, 2, SCHEDULE_GPIPE, 0);
    for (int sends = 0; sends < 2; sends++) {
        Kind kind = sends ? KIND_SEND : KIND_RECEIVE;
        ck_assert_ok(
            training_run(&got, &o, &(TrainingProbe){.context = &kind, .edit = exchange_messages}));
        ck_assert_ptr_nonnull(outcome_result_difference(&oracle, &got));
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}
END_TEST

SUITE("stage", every_schedule_equals_accumulation, a_gpt_with_a_tied_head_does, a_llama_does,
      what_an_update_knows_of_all_stages_is_right,
      a_step_that_is_not_finite_is_skipped_by_all_stages,
      pipelines_in_two_copies_equal_data_parallel_ranks, stages_compress_and_freeze_what_is_theirs,
      stages_may_begin_anywhere, no_stage_idles_while_there_are_layers_that_compute,
      a_stage_without_a_backward_communicates_at_once, a_run_goes_on_with_other_stages,
      a_cut_between_blocks_sends_what_goes_through_it,
      micro_batches_that_are_taken_for_each_other_are_seen)
