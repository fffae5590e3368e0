// SPDX-License-Identifier: MIT
// Labels that are ignored, unevenly over rows and ranks (docs/contract.md, 2): the loss is divided
// by the number of labels that count in the global batch.
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <stdlib.h>

static JobOptions masked_options(const char *device) {
    JobOptions o = training_options();
    o.spec.model = test_source("tests/data/masked.model");
    ck_assert_ptr_nonnull(o.spec.model);
    o.data = "text:count=2000";
    o.spec.device = device;
    o.spec.batch = 7;
    o.spec.learning_rate = 0.1;
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

static void check_ranks(const char *device, Dtype dtype, int ranks, int micro_batches) {
    JobOptions o = masked_options(device);
    o.spec.dtype = dtype;
    o.spec.micro_batches = micro_batches;
    training_check_ranks(&o, ranks);
}

START_TEST(masked_tokens_give_the_same_bits_on_any_number_of_ranks) {
    static const char *const devices[] = {"reference", "cpu"};
    for (int d = 0; d < 2; d++)
        for (int ranks = 2; ranks <= 4 && has_device(devices[d]); ranks++)
            check_ranks(devices[d], ranks % 2 ? DTYPE_F64 : DTYPE_F32, ranks, ranks % 2 ? 2 : 1);
}
END_TEST

// BERT on 1, 2, 3 and 4 ranks, and with sharded parameters.
START_TEST(bert_ends_with_the_same_bits_on_any_number_of_ranks) {
    JobOptions o = masked_options(has_device("cpu") ? "cpu" : "reference");
    o.spec.model = "bert:layers=1,hidden=16,heads=2,seq=12";
    o.spec.label_smoothing = 0.1;
    o.spec.batch = 13;
    o.steps = 3;
    for (int ranks = 2; ranks <= 4; ranks++) {
        Outcome oracle, got;
        o.spec.ranks = 1;
        o.spec.shards = ranks;
        o.spec.strategy.zero = 0;
        ck_assert_ok(training_run(&oracle, &o, NULL));
        o.spec.ranks = ranks;
        for (int zero = 0; zero <= 3; zero += 3) {
            o.spec.strategy.zero = zero;
            ck_assert_ok(training_run(&got, &o, NULL));
            const char *d = outcome_result_difference(&oracle, &got);
            ck_assert_msg(!d, "%d ranks, ZeRO %d: %s", ranks, zero, d ? d : "");
            outcome_finish(&got);
        }
        outcome_finish(&oracle);
    }
}
END_TEST

// --- the divisor

// Weights of 0 give every token of the vocabulary the same probability: each label that counts has
// the loss log 64, and so has their mean, whatever the batch, its cut and what is masked in it.
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

static double loss_of_step(const Outcome *got, int step) {
    const Timeline *t = &got->training.shared->results[0].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == got->job.plan_step && t->steps[i].step == step)
            return t->steps[i].loss;
    ck_abort_msg("no step %d", step);
}

// The last batch of an epoch has fewer rows, or rows of its beginning.
START_TEST(the_loss_is_the_mean_over_labels_that_count) {
    for (int shards = 1; shards <= 3; shards++) {
        JobOptions o = masked_options("reference");
        Outcome got;
        o.spec.dtype = DTYPE_F64;
        o.spec.shards = shards;
        o.spec.micro_batches = 2;
        o.spec.learning_rate = 0;
        o.tail = shards == 3 ? TAIL_PAD : TAIL_KEEP;
        o.spec.batch = shards == 2 ? 1000 : 8;  // of 2: all rows
        o.steps = shards == 2 ? 2 : 20;
        ck_assert_ok(training_run(&got, &o, &(TrainingProbe){.ready = zero_weights}));
        for (int i = 0; i < (int)o.steps; i++)
            ck_assert_close(loss_of_step(&got, i), log(64), 1e-12);
        const RankResult *result = &got.training.shared->results[0];
        ck_assert_int_ge(result->evaluation_count, 1);
        const Evaluation *e = &result->evaluations[0];
        ck_assert_close(e->loss, log(64), 1e-12);
        int64_t labels = got.job.test_labels;
        ck_assert(labels > 0 && labels < e->samples * 11 / 3);
        double right = e->accuracy * (double)labels;  // tokens with the number 0
        ck_assert_close(right, round(right), 1e-9);
        ck_assert(e->accuracy < 0.5);
        outcome_finish(&got);
    }
}
END_TEST

// One row a step, of 11 tokens: about one in six has no label that counts, and then nothing is
// learned, and nothing becomes NaN.
START_TEST(a_batch_without_labels_has_no_loss_and_no_gradient) {
    JobOptions o = masked_options("reference");
    Outcome got;
    int empty = 0;
    o.spec.batch = 1;
    o.steps = 40;
    o.spec.optimizer.clip = 1e9;  // measures the norm of the gradients
    ck_assert_ok(training_run(&got, &o, NULL));
    const Timeline *t = &got.training.shared->results[0].timeline;
    for (int i = 0; i < t->step_count; i++) {
        const StepRecord *step = &t->steps[i];
        if (step->plan != got.job.plan_step) continue;
        ck_assert(isfinite(step->loss));
        ck_assert((step->loss == 0) == (step->gradient_norm == 0));
        empty += step->loss == 0;
    }
    ck_assert_int_gt(empty, 0);
    ck_assert_int_lt(empty, 20);
    outcome_finish(&got);
}
END_TEST

// One shard or several: the same loss but for the order of the sum.
static double first_loss(int ranks, int shards, int micro_batches,
                         void (*before)(void *, Executor *, int, int)) {
    JobOptions o = masked_options("reference");
    Outcome got;
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 41;
    o.spec.ranks = ranks;
    o.spec.shards = shards;
    o.spec.micro_batches = micro_batches;
    o.comm = COMM_SERIAL;
    o.steps = 1;
    ck_assert_ok(training_run(&got, &o, &(TrainingProbe){.before = before}));
    double loss = loss_of_step(&got, 0);
    outcome_finish(&got);
    return loss;
}

START_TEST(the_cut_of_a_batch_leaves_its_loss) {
    double whole = first_loss(1, 1, 1, NULL);
    ck_assert_close(first_loss(1, 3, 1, NULL), whole, 1e-13);
    ck_assert_close(first_loss(1, 1, 4, NULL), whole, 1e-13);
    ck_assert_close(first_loss(3, 3, 1, NULL), whole, 1e-13);
    ck_assert_close(first_loss(4, 4, 1, NULL), whole, 1e-13);
}
END_TEST

// --- a mutation: the mean of the means

static int64_t counted[4];  // labels of each rank

// Each rank divides by its own count, and the ranks average, as a DistributedDataParallel whose
// loss is CrossEntropyLoss() does.
static void divide_by_own_count(void *context, Executor *e, int plan, int op) {
    (void)context;
    const Program *p = e->program;
    const Op *o = &p->plans[plan].ops[op];
    if (plan != program_find_when(p, WHEN_EACH_STEP, 0) || op_kind(p, o) != KIND_CROSS_ENTROPY)
        return;
    int labels = op_inputs(&p->plans[plan], o)[1], divisor = op_inputs(&p->plans[plan], o)[2];
    int64_t rows = *(const int64_t *)executor_data(e, p->tensors[labels].extent);
    const int32_t *label = executor_data(e, labels);
    int64_t own = 0;
    for (int64_t i = 0; i < rows * 11; i++) own += label[i] != LABEL_IGNORED;
    counted[e->rank] = own;
    executor_set_f64(e, divisor, 1.0 / (double)(own * e->comm->ranks));
}

START_TEST(a_mean_of_the_means_of_ranks_is_seen) {
    double whole = first_loss(1, 1, 1, NULL);
    for (int ranks = 2; ranks <= 4; ranks++) {
        double wrong = first_loss(ranks, ranks, 1, divide_by_own_count);
        bool uneven = false;
        for (int r = 1; r < ranks; r++) uneven = uneven || counted[r] != counted[0];
        ck_assert(uneven);
        ck_assert_msg(isfinite(wrong) && fabs(wrong - whole) > 1e-4, "%d ranks: %.17g, right %.17g",
                      ranks, wrong, whole);
    }
}
END_TEST

// --- learning

// From log 66 to clearly less than what the frequencies of the characters give, 2.82 and 25 %: a
// masked character follows from those around it.
START_TEST(bert_learns_what_is_masked) {
    if (!has_device("cpu")) return;
    JobOptions o = masked_options("cpu");
    Outcome got;
    o.data = "text:count=40000";
    o.spec.model = "bert:layers=1,hidden=32,heads=4,seq=8";
    o.spec.batch = 32;
    o.spec.optimizer = (Optimizer){
        .kind = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8, .weight_decay = 0};
    o.spec.learning_rate = 5e-3;
    o.spec.warm_up_steps = 100;
    o.steps = 800;
    ck_assert_ok(training_run(&got, &o, NULL));
    const RankResult *result = &got.training.shared->results[0];
    ck_assert_close(loss_of_step(&got, 0), log(66), 0.2);
    ck_assert_int_ge(result->evaluation_count, 1);
    const Evaluation *last = &result->evaluations[result->evaluation_count - 1];
    ck_assert_msg(last->loss < 2.6 && last->accuracy > 0.32, "loss %g, accuracy %g", last->loss,
                  last->accuracy);
    outcome_finish(&got);
}
END_TEST

SUITE("masked", masked_tokens_give_the_same_bits_on_any_number_of_ranks,
      the_loss_is_the_mean_over_labels_that_count, the_cut_of_a_batch_leaves_its_loss,
      a_batch_without_labels_has_no_loss_and_no_gradient, a_mean_of_the_means_of_ranks_is_seen,
      bert_ends_with_the_same_bits_on_any_number_of_ranks, bert_learns_what_is_masked)
