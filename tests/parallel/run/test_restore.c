// SPDX-License-Identifier: MIT
// What a run takes from a file of weights, and what it refuses: everything that does not fit, at
// once. test_checkpoint.c shows that a run goes on bit for bit.
#include "core/base/bf16.h"
#include "core/base/f16.h"
#include "core/data/safetensors.h"
#include "tests/support/saved_run.h"

#include <stdio.h>
#include <string.h>

// --- weights alone

// The weights of a trained network in `dtype`, under PyTorch's names, as others write them.
static void write_weights(const char *path, const char *from, Dtype dtype) {
    static double room[MOST / 8];
    Arena a = {0};
    Safetensors s;
    int count = 0, at = 0;
    SafetensorsEntry out[16];
    ck_assert_ok(safetensors_read(&s, &a, from));
    for (int i = 0; i < s.count; i++) {
        const SafetensorsEntry *e = &s.entries[i];
        int64_t n = safetensors_bytes(e) / 4;
        if (strstr(e->name, "velocity")) continue;
        ck_assert_int_lt(count, 16);
        out[count] = *e;
        out[count].dtype = dtype;
        out[count++].data = room + at;
        for (int64_t k = 0; k < n; k++) {
            float x = ((const float *)e->data)[k];
            if (dtype == DTYPE_F64) room[at + k] = (double)x;
            if (dtype == DTYPE_F32) ((float *)(room + at))[k] = x;
            if (dtype == DTYPE_BF16) ((Bf16 *)(room + at))[k] = bf16_from_f32(x);
            if (dtype == DTYPE_F16) ((F16 *)(room + at))[k] = f16_from_f32(x);
        }
        at += (int)n;
    }
    ck_assert_ok(safetensors_write(path, out, count, NULL, 0));
    arena_finish(&a);
}

static double evaluation_of(const char *load, int ranks) {
    JobOptions o = options_of(0, NULL, ranks);
    Outcome out;
    o.epochs = 1;
    o.spec.ranks = ranks;
    o.load = load;
    o.evaluate_only = true;
    ck_assert_ok(training_run(&out, &o, NULL));
    const RankResult *r = out.training.shared->results;
    ck_assert_int_eq(r->evaluation_count, 1);
    double loss = r->evaluations[0].loss;
    outcome_finish(&out);
    return loss;
}

// f64 holds every f32; f16 has 11 of its 24 digits, bf16 8.
START_TEST(weights_of_another_type_are_converted) {
    name_files();
    JobOptions o = options_of(20, whole, 1);
    Outcome out;
    ck_assert_ok(training_run(&out, &o, NULL));
    const RankResult *r = out.training.shared->results;
    double loss = r->evaluations[r->evaluation_count - 1].loss;
    write_weights(part, whole, DTYPE_F32);
    ck_assert(evaluation_of(part, 1) == loss);
    ck_assert(evaluation_of(part, 3) == loss);
    write_weights(part, whole, DTYPE_F64);
    ck_assert(evaluation_of(part, 2) == loss);
    write_weights(part, whole, DTYPE_BF16);
    double rounded = evaluation_of(part, 1);
    ck_assert(rounded != loss);
    ck_assert_close(rounded, loss, 0.02);
    write_weights(part, whole, DTYPE_F16);
    double half = evaluation_of(part, 1);
    ck_assert(half != loss);
    ck_assert_close(half, loss, 0.002);
    outcome_finish(&out);
}
END_TEST

// The optimiser and the steps begin anew: a run from the initial weights, saved before any step.
START_TEST(a_loaded_run_begins_at_step_0) {
    name_files();
    JobOptions o = options_of(5, whole, 1);
    Outcome first, second;
    run(&o);
    write_weights(part, whole, DTYPE_F32);
    o.load = part;
    o.save = scratch;
    ck_assert_ok(training_run(&first, &o, NULL));
    o.load = whole;  // has velocities, which are not used
    o.save = resumed;
    ck_assert_ok(training_run(&second, &o, NULL));
    ck_assert_int_eq(second.job.restore.note_count, 1);
    ck_assert_int_eq(second.job.first_step, 0);
    ck_assert(!outcome_difference(&first, &second));
    assert_same_bytes(scratch, resumed, "loaded");
    outcome_finish(&first);
    outcome_finish(&second);
}
END_TEST

// --- what does not fit

static void refused(const JobOptions *o, Status status, const char *const parts[]) {
    Outcome out;
    ck_assert_str_eq(status_name(training_run(&out, o, NULL)), status_name(status));
    for (int i = 0; parts[i]; i++)
        ck_assert_msg(strstr(status_message(), parts[i]), "\"%s\" lacks \"%s\"", status_message(),
                      parts[i]);
}
#define PARTS(...) \
    (const char *const[]) { __VA_ARGS__, NULL }

START_TEST(what_does_not_fit_is_listed_together) {
    name_files();
    JobOptions o = options_of(10, whole, 1), other;
    run(&o);
    o.save = NULL;
    o.resume = whole;
    o.steps = 20;
    other = o;
    other.spec.batch = 32;
    other.spec.seed = 2;
    other.tail = TAIL_PAD;
    other.data = "digits:count=201";
    refused(&other, ERR_SHAPE,
            PARTS("--resume ", "does not fit: ", "seed 1, here 2", "batch 61, here 32",
                  "tail keep, here pad", "train_samples 170, here 171", "--load takes weights"));
    other = o;
    other.spec.optimizer.momentum = 0;
    refused(
        &other, ERR_SHAPE,
        PARTS("conv.weight.velocity is f32 3x1x7x7, here none", "; --load takes weights alone"));
    other = o;
    other.spec.dtype = DTYPE_F64;
    refused(&other, ERR_SHAPE,
            PARTS("dtype f32, here f64", "conv.weight is f32 3x1x7x7, here f64 3x1x7x7",
                  "; --load takes weights alone"));
    other = o;
    other.data = "digits:count=200,seed=2";  // as many, but others
    refused(&other, ERR_SHAPE, PARTS("data_hash "));
    other = o;
    other.spec.model = "mlp:hidden=8,layers=1";
    refused(&other, ERR_SHAPE,
            PARTS("model small, here mlp", "fc1.weight is f32 20x48, here f32 8x784",
                  "logits.weight is not in it, here f32 10x8",
                  "; give the --model whose weights these are"));
    other = o;
    other.steps = 10;
    refused(&other, ERR_USAGE,
            PARTS("was saved after step 10, and the run has 10 in all", "more --steps"));
    other = o;
    write_weights(part, whole, DTYPE_F32);
    other.resume = part;
    refused(&other, ERR_INPUT, PARTS("--resume ", "does not say where a run stopped", "--load"));
    other = o;
    other.resume = NULL;
    other.load = whole;
    other.spec.model = "mlp:hidden=8,layers=1";
    refused(&other, ERR_SHAPE,
            PARTS("--load ", "fc1.weight is f32 20x48, here f32 8x784",
                  "logits.bias is not in it, here f32 10",
                  "; give the --model whose weights these are"));
}
END_TEST

// They change what is computed from here on, so they are said.
START_TEST(what_may_differ_is_said) {
    name_files();
    JobOptions o = options_of(10, whole, 2);
    Job job;
    run(&o);
    o.resume = whole;
    o.save = NULL;
    o.steps = 20;
    o.spec.learning_rate = 0.01;
    o.spec.shards = 1;
    ck_assert_ok(job_create(&job, &o));
    ck_assert_int_eq(job.restore.note_count, 1);
    ck_assert_ptr_nonnull(strstr(job.restore.notes[0], "shards 2, here 1"));
    ck_assert_ptr_nonnull(strstr(job.restore.notes[0], "lr 0.05, here 0.01"));
    job_destroy(&job);
}
END_TEST

// A learning rate that falls until the end of a run falls otherwise in a longer one.
START_TEST(a_schedule_of_another_length_is_said) {
    name_files();
    JobOptions o = options_of(10, whole, 1);
    Job job;
    o.spec.schedule = RATE_COSINE;
    run(&o);
    o.resume = whole;
    o.save = NULL;
    o.steps = 20;
    ck_assert_ok(job_create(&job, &o));
    ck_assert_int_eq(job.restore.note_count, 1);
    ck_assert_ptr_nonnull(strstr(job.restore.notes[0], "lr_decay_steps 10, here 20"));
    job_destroy(&job);
    o.spec.lr_decay_steps = 10;
    ck_assert_ok(job_create(&job, &o));
    ck_assert_int_eq(job.restore.note_count, 0);
    job_destroy(&job);
}
END_TEST

SUITE("restore", a_schedule_of_another_length_is_said, weights_of_another_type_are_converted,
      a_loaded_run_begins_at_step_0, what_does_not_fit_is_listed_together, what_may_differ_is_said)
