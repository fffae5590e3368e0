// SPDX-License-Identifier: MIT
// Training in bf16 with f32 weights (core/nn/emit_copies.c): ranks and stages of ZeRO end with the
// bits of one rank, losses fall as they do in f32, and without the f32 weights they would not.
#include "core/base/bf16.h"
#include "core/plan/check.h"
#include "tests/support/saved_run.h"

#include <math.h>

static JobOptions mixed_options(const char *model, const char *data, int64_t batch) {
    static char path[4096];
    JobOptions o = training_options();
    snprintf(path, sizeof path, "%s", test_source(model));
    o.spec.model = path;
    o.data = data;
    o.spec.batch = batch;
    o.spec.device = "reference";
    o.spec.dtype = DTYPE_BF16;
    o.steps = 3;
    return o;
}

static JobOptions digits_options(void) {
    return mixed_options("tests/data/zero.model", "digits:count=100", 31);
}

static JobOptions text_options(void) {
    JobOptions o = mixed_options("tests/data/tokens.model", "text:count=2000", 7);
    o.spec.optimizer = (Optimizer){
        .kind = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};
    o.spec.learning_rate = 3e-3;
    return o;
}

// --- rule 7

static void check_strategies(JobOptions o, int ranks, const char *what) {
    Outcome oracle, got;
    o.spec.shards = ranks;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = ranks;
    for (int stage = 0; stage <= 3; stage++) {
        uint64_t delays = (uint64_t)(ranks * 4 + stage);
        o.spec.strategy.zero = stage;
        o.spec.strategy.prefetch = stage % 2;
        o.spec.strategy.no_overlap = ranks == 2 && stage == 2;
        o.comm = (CommKind)((stage + ranks) % COMM_KINDS);
        const TrainingProbe late = {.context = &delays, .before = training_delay};
        ck_assert_ok(training_run(&got, &o, &late));
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "%s, %d ranks, ZeRO %d: %s", what, ranks, stage, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}

START_TEST(ddp_and_all_stages_of_zero_equal_shards_on_one_rank) {
    for (int ranks = 2; ranks <= 4; ranks++) {
        JobOptions o = digits_options();
        o.spec.optimizer.momentum = 0.9;
        o.spec.micro_batches = ranks == 3 ? 2 : 1;
        check_strategies(o, ranks, "digits");
        check_strategies(text_options(), ranks, "text");
    }
}
END_TEST

START_TEST(statistics_of_all_shards_are_those_of_any_ranks) {
    JobOptions o = mixed_options("tests/data/batch_norm.model", "digits:count=100", 31);
    o.spec.strategy.sync_batch_norm = true;
    o.spec.optimizer.momentum = 0.9;
    Outcome oracle, got;
    o.spec.shards = 2;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = 2;
    o.comm = COMM_THREAD;
    ck_assert_ok(training_run(&got, &o, NULL));
    const char *d = outcome_difference(&oracle, &got);
    ck_assert_msg(!d, "%s", d ? d : "");
    outcome_finish(&oracle);
    outcome_finish(&got);
}
END_TEST

// --- what is in which type

static bool is_statistic(const char *name) {
    return strstr(name, ".lse") || strstr(name, "probability") || strstr(name, ".squares");
}

START_TEST(activations_have_two_bytes_and_weights_four) {
    JobOptions o = text_options();
    Job job;
    int halves = 0, copies = 0;
    ck_assert_ok(job_create(&job, &o));
    const Program *p = &job.set.programs[0];
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *x = &p->tensors[t];
        Dtype want = x->role == ROLE_ACTIVATION && !is_statistic(tensor_name(p, t)) ? DTYPE_BF16
                     : x->role == ROLE_COPY                                         ? DTYPE_BF16
                                                                                    : DTYPE_F32;
        bool real = dtype_is_real((Dtype)x->dtype) && x->dtype != DTYPE_F64;
        ck_assert_msg(!real || x->dtype == want, "%s is %s", tensor_name(p, t),
                      dtype_name((Dtype)x->dtype));
        halves += x->role == ROLE_ACTIVATION && x->dtype == DTYPE_BF16;
        copies += x->role == ROLE_COPY;
    }
    ck_assert_int_gt(halves, 10);
    ck_assert_int_eq(copies, 2 * p->parameter_count);  // of a step, and of an evaluation
    job_destroy(&job);
}
END_TEST

// Bytes that a collective of the step brings, by the role of what it writes.
static int64_t bytes_of(const Job *job, Kind kind, Role role) {
    const Program *p = &job->set.programs[0];
    const Plan *step = &p->plans[job->plan_step];
    int64_t bytes = 0;
    for (int i = 0; i < step->op_count; i++) {
        const Op *op = &step->ops[i];
        for (int o = 0; o < op->outputs && op_kind(p, op) == kind; o++) {
            const Tensor *y = &p->tensors[op_outputs(step, op)[o]];
            if (y->role == role) bytes += tensor_elements(y) * dtype_bytes(y->dtype);
        }
    }
    return bytes;
}

// Parameters are gathered into buffers, copies into themselves.
START_TEST(zero_gathers_half_the_bytes_and_reduces_as_many) {
    for (int stage = 1; stage <= 3; stage++) {
        int64_t gathered[2], reduced[2];
        for (int k = 0; k < 2; k++) {
            JobOptions o = digits_options();
            Job job;
            Role whole_in = stage == 3 ? ROLE_BUFFER : k ? ROLE_COPY : ROLE_PARAMETER;
            o.spec.ranks = 2;
            o.spec.strategy.zero = stage;
            o.spec.dtype = k ? DTYPE_BF16 : DTYPE_F32;
            ck_assert_ok(job_create(&job, &o));
            gathered[k] = bytes_of(&job, KIND_ALL_GATHER, whole_in);
            reduced[k] = bytes_of(&job, KIND_REDUCE_SCATTER, ROLE_GRADIENT);
            job_destroy(&job);
        }
        ck_assert_int_gt(gathered[1], 0);
        ck_assert_int_eq(2 * gathered[1], gathered[0]);
        ck_assert_int_eq(reduced[1], reduced[0]);
    }
}
END_TEST

// --- how near to f32

static double step_loss(const Outcome *o, int step) {
    const Timeline *t = &o->training.shared->results[0].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == o->job.plan_step && step-- == 0) return t->steps[i].loss;
    return (double)NAN;
}

START_TEST(a_text_is_learned_nearly_as_in_f32) {
    JobOptions o = text_options();
    Outcome f32, bf16;
    o.steps = 60;
    ck_assert_ok(training_run(&bf16, &o, NULL));
    o.spec.dtype = DTYPE_F32;
    ck_assert_ok(training_run(&f32, &o, NULL));
    double first = step_loss(&f32, 0), last = step_loss(&f32, 59), here = step_loss(&bf16, 59);
    ck_assert_double_lt(last, 0.8 * first);
    ck_assert_msg(fabs(here - last) <= 0.02 * last, "f32 falls from %g to %g, bf16 to %g", first,
                  last, here);
    outcome_finish(&f32);
    outcome_finish(&bf16);
}
END_TEST

// After a step without momentum a weight has moved by the learning rate times its gradient.
START_TEST(gradients_are_those_of_f64_within_its_eps) {
    JobOptions o = digits_options();
    static Outcome run[2];
    o.steps = 1;
    o.spec.learning_rate = 1;
    o.spec.optimizer.momentum = 0;
    static double start[1 << 16];
    for (int k = 0; k < 2; k++) {
        o.spec.dtype = k ? DTYPE_BF16 : DTYPE_F64;
        ck_assert_ok(training_run(&run[k], &o, NULL));
    }
    const Program *p = &run[1].job.set.programs[0];
    for (int t = 0; t < p->tensor_count; t++) {
        if (p->tensors[t].role != ROLE_PARAMETER) continue;
        const double *exact = outcome_tensor(&run[0], 0, tensor_name(p, t));
        const float *here = outcome_tensor(&run[1], 0, tensor_name(p, t));
        int64_t n = tensor_elements(&p->tensors[t]);
        double size = 0, apart = 0;
        ck_assert_int_le(n, 1 << 16);
        model_initialise(p, p->tensors[t].logical, (uint64_t)o.spec.seed, DTYPE_F64, start);
        for (int64_t i = 0; i < n; i++) {
            size = hypot(size, start[i] - exact[i]);
            apart = hypot(apart, exact[i] - (double)here[i]);
        }
        ck_assert_msg(apart <= 12 * 0x1p-8 * size, "%s: a gradient of norm %g is %g apart",
                      tensor_name(p, t), size, apart);
        ck_assert_double_gt(apart, 0);
    }
    outcome_finish(&run[0]);
    outcome_finish(&run[1]);
}
END_TEST

// --- why weights are f32

static void round_weights(void *context, Executor *e, int plan, int op) {
    const Program *p = e->program;
    if (op != 0) return;
    for (int t = 0; t < p->tensor_count; t++) {
        float *w = p->tensors[t].role == ROLE_PARAMETER ? executor_data(e, t) : NULL;
        for (int64_t i = 0; w && i < tensor_elements(&p->tensors[t]); i++)
            w[i] = bf16_to_f32(bf16_from_f32(w[i]));
    }
}

// How far the loss falls from the first epoch to the last, of 3 steps each.
static double fallen(const JobOptions *o, const TrainingProbe *probe) {
    Outcome run;
    double sum = 0;
    ck_assert_ok(training_run(&run, o, probe));
    for (int i = 0; i < 3; i++) sum += step_loss(&run, i) - step_loss(&run, (int)o->steps - 3 + i);
    outcome_finish(&run);
    return sum / 3;
}

// Weights of about 0.05 are 2^-12 apart in bf16 or more: steps of less than half of that vanish.
START_TEST(small_steps_would_vanish_without_f32_weights) {
    JobOptions o = digits_options();
    const TrainingProbe in_bf16 = {.before = round_weights};
    o.steps = 40;
    o.spec.batch = 85;  // all rows in each step
    o.spec.learning_rate = 1e-3;
    o.spec.optimizer.momentum = 0;
    double mixed = fallen(&o, NULL), pure = fallen(&o, &in_bf16);
    o.spec.dtype = DTYPE_F32;
    double f32 = fallen(&o, NULL);
    ck_assert_msg(fabs(mixed - f32) < 0.1 * f32, "the loss falls by %g, in f32 by %g", mixed, f32);
    ck_assert_msg(pure < 0.2 * f32, "with weights of bf16 it falls by %g, in f32 by %g", pure, f32);
}
END_TEST

// --- checkpoints

START_TEST(a_resumed_run_equals_one_that_was_not_stopped) {
    JobOptions o = mixed_options("tests/data/small.model", "digits:count=100", 31);
    name_files();
    o.steps = 6;
    o.spec.shards = 2;
    o.spec.optimizer.momentum = 0.9;
    o.save = whole;
    run(&o);
    o.steps = 2;
    o.save = part;
    o.spec.ranks = 2;
    o.spec.strategy.zero = 3;
    run(&o);
    o.resume = part;
    o.steps = 6;
    o.save = resumed;
    o.spec.strategy.zero = 1;
    run(&o);
    assert_same_bytes(whole, resumed, "resumed in bf16");
}
END_TEST

SUITE_SECONDS("mixed", 60, ddp_and_all_stages_of_zero_equal_shards_on_one_rank,
              statistics_of_all_shards_are_those_of_any_ranks,
              activations_have_two_bytes_and_weights_four,
              zero_gathers_half_the_bytes_and_reduces_as_many, a_text_is_learned_nearly_as_in_f32,
              gradients_are_those_of_f64_within_its_eps,
              small_steps_would_vanish_without_f32_weights,
              a_resumed_run_equals_one_that_was_not_stopped)
