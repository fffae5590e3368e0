// SPDX-License-Identifier: MIT
// Layers of experts on the stages of a pipeline: weights, losses with what balances the experts,
// and counts of choices have the bits of accumulation on one rank, or of the same ranks without a
// pipeline (docs/contract.md, 7).
#include "core/platform/device_traits.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <string.h>

#define MODEL "mixtral:hidden=16,mlp=8,seq=8,heads=2,kv_heads=1,experts=4,capacity=80,layers="

static JobOptions options_of(const char *model, int micro_batches) {
    JobOptions o = training_options();
    o.spec.model = model;
    o.spec.batch = 25;
    o.spec.micro_batches = micro_batches;
    o.data = "text:count=1000";
    o.steps = 3;
    return o;
}

// The k-th step of training.
static const StepRecord *step_of(const Outcome *o, int rank, int k) {
    const Timeline *t = &o->training.shared->results[rank].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == o->job.plan_step && k-- == 0) return &t->steps[i];
    ck_abort_msg("there are fewer steps");
}

static void check_equal(const Outcome *want, const Outcome *got, const char *what) {
    const char *d = outcome_result_difference(want, got);
    ck_assert_msg(!d, "%s: %s", what, d ? d : "");
    for (int r = 0; r < got->job.options.spec.ranks; r++)
        for (int k = 0; k < 3; k++) {
            const StepRecord *x = step_of(want, 0, k), *y = step_of(got, r, k);
            ck_assert(x->routed && y->routed && x->dropped > 0);
            ck_assert_msg(x->dropped == y->dropped && x->fullest == y->fullest,
                          "%s: rank %d counts %g dropped, %g in the fullest", what, r, y->dropped,
                          y->fullest);
        }
}

static void divide(JobOptions *o, int stages, int schedule, int turn) {
    o->spec.mesh.pipe = stages;
    o->spec.ranks *= stages;
    o->comm = (CommKind)(turn % COMM_KINDS);
    o->spec.strategy.schedule = (OptionForm){.word = schedule};
}

// The same with stages, by each of two schedules, with delays at every operation.
static void check_stages(const JobOptions *whole, int stages, int first, int second) {
    Outcome oracle;
    ck_assert_ok(training_run(&oracle, whole, NULL));
    for (int i = 0; i < 2; i++) {
        char what[64];
        Outcome got;
        JobOptions o = *whole;
        uint64_t delays = (uint64_t)stages;
        const TrainingProbe slow = {.context = &delays, .before = training_delay};
        snprintf(what, sizeof what, "%d stages, schedule %d", stages, i ? second : first);
        divide(&o, stages, i ? second : first, stages + i);
        ck_assert_ok(training_run(&got, &o, i ? &slow : NULL));
        check_equal(&oracle, &got, what);
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}

// Two stages with a layer of experts each; three, of which the last has none; four, with one on
// each of two; one layer alone; and ranks with several stages.
START_TEST(stages_equal_accumulation) {
    JobOptions o = options_of(MODEL "2", 4);
    check_stages(&o, 2, SCHEDULE_GPIPE, SCHEDULE_1F1B);
    o.spec.device = device_traits_default;
    check_stages(&o, 4, SCHEDULE_ZERO_BUBBLE, SCHEDULE_1F1B);
    o = options_of(MODEL "3", 6);
    o.spec.dtype = DTYPE_F64;
    check_stages(&o, 2, SCHEDULE_INTERLEAVED, SCHEDULE_ZERO_BUBBLE);
    check_stages(&o, 3, SCHEDULE_INTERLEAVED, SCHEDULE_1F1B);
    o = options_of(MODEL "1", 4);
    o.spec.dtype = DTYPE_BF16;
    o.spec.device = "reference";
    check_stages(&o, 4, SCHEDULE_GPIPE, SCHEDULE_ZERO_BUBBLE);
}
END_TEST

// Shards count by themselves, whichever ranks they are on.
START_TEST(so_do_copies_of_the_stages) {
    JobOptions o = options_of(MODEL "2", 2);
    o.spec.ranks = 2;
    o.spec.optimizer.clip = 0.3;
    check_stages(&o, 2, SCHEDULE_1F1B, SCHEDULE_GPIPE);
    o.spec.strategy.zero = 2;
    o.spec.strategy.no_overlap = true;
    check_stages(&o, 2, SCHEDULE_1F1B, SCHEDULE_ZERO_BUBBLE);
    o = options_of(MODEL "2", 2);
    o.spec.shards = 2;
    o.spec.on_nan = ON_NAN_SKIP;
    o.spec.strategy.recompute = RECOMPUTE_FULL;
    check_stages(&o, 3, SCHEDULE_1F1B, SCHEDULE_GPIPE);
    o.spec.ranks = 2;
    o.spec.shards = 4;
    o.spec.strategy.recompute = RECOMPUTE_SELECTIVE;
    check_stages(&o, 2, SCHEDULE_1F1B, SCHEDULE_GPIPE);
}
END_TEST

// Within each stage the data parallel ranks share its experts, or all of them cut their weights.
START_TEST(so_do_experts_that_ranks_of_a_stage_share) {
    JobOptions o = options_of(MODEL "2", 4);
    o.spec.ranks = 2;
    o.spec.strategy.experts = 2;
    check_stages(&o, 2, SCHEDULE_1F1B, SCHEDULE_ZERO_BUBBLE);
    o.spec.optimizer.clip = 0.1;
    o.spec.strategy.zero = 1;
    o.spec.strategy.recompute = RECOMPUTE_FULL;
    check_stages(&o, 4, SCHEDULE_1F1B, SCHEDULE_GPIPE);
    o.spec.device = device_traits_default;
    o.spec.ranks = o.spec.strategy.experts = 4;
    o.spec.strategy.zero = 2;
    check_stages(&o, 2, SCHEDULE_INTERLEAVED, SCHEDULE_1F1B);
    o = options_of(MODEL "2", 2);  // two groups share them
    o.spec.ranks = 4;
    o.spec.strategy.experts = 2;
    o.spec.optimizer.clip = 0.1;
    check_stages(&o, 2, SCHEDULE_1F1B, SCHEDULE_GPIPE);
    o = options_of("mixtral:hidden=16,mlp=8,seq=8,experts=4,capacity=80", 4);
    o.spec.mesh.tensor = 2;
    o.spec.ranks = 4;
    check_stages(&o, 2, SCHEDULE_1F1B, SCHEDULE_ZERO_BUBBLE);
}
END_TEST

// --- mistakes

// The first operation of a kind that a class has in its step.
static Op *first_of(Job *job, int class, Kind kind) {
    Program *p = &job->set.programs[class];
    Plan *plan = &p->plans[job->plan_step];
    for (int i = 0; i < plan->op_count; i++)
        if (op_kind(p, &plan->ops[i]) == kind) return &plan->ops[i];
    ck_abort_msg("class %d has no such operation", class);
}

// A stage begins with the table that is left of the step before.
static void begin_with_an_old_table(void *context, Job *job) {
    first_of(job, 1, KIND_COUNT_CHOICES)->flags |= OP_ACCUMULATE;
}

// A rank does not add the balance to the loss, but takes it for the loss.
static void forget_the_rest_of_the_loss(void *context, Job *job) {
    first_of(job, 0, KIND_ADD_BALANCE)->flags &= (uint8_t)~OP_ACCUMULATE;
}

START_TEST(mistakes_in_the_balance_are_seen) {
    void (*const mistakes[])(void *, Job *) = {begin_with_an_old_table,
                                               forget_the_rest_of_the_loss};
    Outcome oracle, got;
    JobOptions o = options_of(MODEL "2", 4);
    ck_assert_ok(training_run(&oracle, &o, NULL));
    divide(&o, 2, SCHEDULE_1F1B, 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(training_run(&got, &o, &(TrainingProbe){.edit = mistakes[i]}));
        ck_assert_ptr_nonnull(outcome_result_difference(&oracle, &got));
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}
END_TEST

// Tables of two layers, of the balance, what is dropped and 4 experts: reduced among the stages
// that have layers of experts and, where others have none, sent to all.
START_TEST(what_stages_send_of_choices_is_the_closed_form) {
    for (int stages = 2; stages <= 4; stages += 2) {
        JobOptions o = options_of(MODEL "2", 4);
        Outcome run;
        divide(&o, stages, SCHEDULE_1F1B, 0);
        if (stages == 4) o.spec.strategy.stages = "0:14,14:15,15:25,25:27";
        ck_assert_ok(training_run(&run, &o, NULL));
        for (int r = 0; r < stages; r++) {
            CommCount sum = outcome_count(&run, r, "step", "choices", COLLECTIVE_ALL_REDUCE),
                      sent = outcome_count(&run, r, "step", "pipe", COLLECTIVE_BROADCAST);
            bool counts = stages == 2 || r == 0 || r == 2;
            ck_assert_int_eq(sum.calls, counts ? o.steps : 0);
            ck_assert_int_eq(sum.bytes, counts ? o.steps * 2 * (2 + 4) * 8 : 0);
            ck_assert_int_eq(sent.calls, o.steps * (stages == 2 ? 1 : 2));  // and the loss
        }
        outcome_finish(&run);
    }
}
END_TEST

SUITE("stage experts", stages_equal_accumulation, so_do_copies_of_the_stages,
      so_do_experts_that_ranks_of_a_stage_share, mistakes_in_the_balance_are_seen,
      what_stages_send_of_choices_is_the_closed_form)
