// SPDX-License-Identifier: MIT
// The contract (docs/contract.md, 2 and 7) for networks of tokens.
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <stdlib.h>

static JobOptions text_options(const char *device) {
    JobOptions o = training_options();
    o.spec.model = test_source("tests/data/tokens.model");
    ck_assert_ptr_nonnull(o.spec.model);
    o.data = "text:count=2000";
    o.spec.device = device;
    o.spec.batch = 7;
    o.spec.optimizer.momentum = 0.9;
    o.spec.strategy.bucket_bytes[0] = 512;
    o.spec.strategy.bucket_bytes[1] = 1024;
    o.steps = 6;
    return o;
}

static bool has_device(const char *name) {
    const Device *d;
    return device_find(&d, name) == OK;
}

static void check_ranks(const char *device, Dtype dtype, int ranks, int micro_batches,
                        double smoothing) {
    JobOptions o = text_options(device);
    o.spec.dtype = dtype;
    o.spec.label_smoothing = smoothing;
    o.spec.micro_batches = micro_batches;
    training_check_ranks(&o, ranks);
}

START_TEST(a_text_gives_the_same_bits_on_any_number_of_ranks) {
    static const char *const devices[] = {"reference", "cpu"};
    for (int d = 0; d < 2; d++)
        for (int ranks = 2; ranks <= 4 && has_device(devices[d]); ranks++)
            check_ranks(devices[d], ranks % 2 ? DTYPE_F64 : DTYPE_F32, ranks, ranks % 2 ? 2 : 1, 0);
}
END_TEST

// Weights of 0 give every token of the vocabulary the same probability: the loss is its logarithm,
// whatever the batch and its cut, and whether samples train or are held out.
static void zero_weights(void *context, Executor *e) {
    (void)context;
    const Program *p = e->program;
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].role == ROLE_PARAMETER) {
            void *zeros = calloc(1, (size_t)p->tensors[t].bytes);
            ck_assert_ptr_nonnull(zeros);
            ck_assert_ok(executor_write(e, t, zeros));
            free(zeros);
        }
}

START_TEST(the_loss_is_the_mean_over_tokens) {
    for (int shards = 1; shards <= 3; shards++) {
        JobOptions o = text_options("reference");
        Outcome got;
        o.spec.shards = shards;
        o.spec.micro_batches = 2;
        ck_assert_ok(training_run(&got, &o, &(TrainingProbe){.ready = zero_weights}));
        const RankResult *result = &got.training.shared->results[0];
        int steps = 0;
        for (int i = 0; i < result->timeline.step_count; i++) {
            const StepRecord *step = &result->timeline.steps[i];
            if (step->plan != got.job.plan_step) continue;
            ck_assert_close(step->loss, log(64), 1e-6);
            steps++;
        }
        ck_assert_int_eq(steps, 6);
        ck_assert_int_eq(result->evaluation_count, 1);
        const Evaluation *e = &result->evaluations[0];
        ck_assert_close(e->loss, log(64), 1e-6);
        double right = e->accuracy * (double)(e->samples * 11);  // tokens with the number 0
        ck_assert_close(right, round(right), 1e-6);
        ck_assert(e->accuracy < 0.5);
        outcome_finish(&got);
    }
}
END_TEST

// --- label smoothing

// The loss of the first step, and that of the evaluation after it, whose weights are those of the
// start, since the learning rate is 0.
static void smoothed(double out[2], double smoothing, int ranks) {
    JobOptions o = text_options("reference");
    Outcome got;
    o.spec.dtype = DTYPE_F64;
    o.spec.label_smoothing = smoothing;
    o.spec.learning_rate = 0;
    o.spec.ranks = ranks;
    o.spec.shards = 3;
    o.steps = 1;
    ck_assert_ok(training_run(&got, &o, NULL));
    const RankResult *result = &got.training.shared->results[0];
    out[0] = out[1] = (double)NAN;
    for (int i = 0; i < result->timeline.step_count; i++)
        if (result->timeline.steps[i].plan == got.job.plan_step)
            out[0] = result->timeline.steps[i].loss;
    if (result->evaluation_count) out[1] = result->evaluations[0].loss;
    outcome_finish(&got);
}

// The smoothed loss is 1 - e parts of the plain one and e parts of that of uniform labels.
START_TEST(training_smooths_labels_and_evaluation_does_not) {
    double plain[2], uniform[2], some[2], ranks[2];
    smoothed(plain, 0, 1);
    smoothed(uniform, 1, 1);
    smoothed(some, 0.3, 1);
    smoothed(ranks, 0.3, 3);
    ck_assert(fabs(plain[0] - uniform[0]) > 1e-4);
    ck_assert_close(some[0], 0.7 * plain[0] + 0.3 * uniform[0], 1e-12);
    ck_assert_double_eq(ranks[0], some[0]);
    ck_assert_double_eq(some[1], plain[1]);
    ck_assert_double_eq(uniform[1], plain[1]);
}
END_TEST

START_TEST(smoothed_labels_give_the_same_bits_on_any_number_of_ranks) {
    check_ranks("reference", DTYPE_F32, 2, 2, 0.1);
    if (has_device("cpu")) check_ranks("cpu", DTYPE_F32, 4, 1, 0.1);
}
END_TEST

SUITE("contract text", a_text_gives_the_same_bits_on_any_number_of_ranks,
      the_loss_is_the_mean_over_tokens, training_smooths_labels_and_evaluation_does_not,
      smoothed_labels_give_the_same_bits_on_any_number_of_ranks)
