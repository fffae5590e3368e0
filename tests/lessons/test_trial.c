// SPDX-License-Identifier: MIT
// Training runs of lessons: real numbers, which do not depend on whether time is virtual.
#include "lessons/engine/trial.h"
#include "tests/support/testing.h"

#include <string.h>

static Arena arena;

static Trial trained(int ranks, int shards, bool virtual_time) {
    Trial t;
    JobOptions o = trial_options();
    o.spec.ranks = ranks;
    o.spec.shards = shards;
    o.steps = 5;
    ck_assert_ok(trial_train(&t, &(LessonRun){.arena = &arena, .virtual_time = virtual_time}, &o));
    return t;
}

// Two ranks have the bits of one rank with two shards; only they communicate.
START_TEST(ranks_end_with_the_weights_of_one_process) {
    Trial one = trained(1, 2, false), two = trained(2, 2, false);
    ck_assert_int_eq(one.steps, 5);
    ck_assert_int_gt(one.weight_count, 20000);
    ck_assert_int_eq(one.weight_count, two.weight_count);
    ck_assert_mem_eq(one.weights, two.weights, (size_t)one.weight_count * sizeof *one.weights);
    ck_assert_mem_eq(one.loss, two.loss, 5 * sizeof *one.loss);
    ck_assert_uint_eq(one.hash, two.hash);
    ck_assert_int_eq(one.taken_bytes, 0);
    ck_assert_int_gt(two.taken_bytes, 0);
    ck_assert(one.loss[4] < one.loss[0]);
    ck_assert(!one.simulated && one.step_ms > 0);
    arena_finish(&arena);
}
END_TEST

START_TEST(virtual_time_changes_times_alone) {
    Trial real = trained(2, 2, false), first = trained(2, 2, true), second = trained(2, 2, true);
    ck_assert_uint_eq(real.hash, first.hash);
    ck_assert(first.simulated);
    ck_assert_double_eq(first.step_ms, second.step_ms);  // to the last bit
    ck_assert_double_ne(first.step_ms, real.step_ms);
    ck_assert_mem_eq(first.breakdown_ms, second.breakdown_ms, sizeof first.breakdown_ms);
    arena_finish(&arena);
}
END_TEST

START_TEST(a_run_that_diverges_or_is_refused_says_so) {
    Trial t;
    JobOptions o = trial_options();
    o.spec.learning_rate = 1e30;
    ck_assert_fails(trial_train(&t, &(LessonRun){.arena = &arena}, &o), ERR_FAILED, "diverged");
    o = trial_options();
    o.spec.ranks = 128;
    ck_assert_fails(trial_train(&t, &(LessonRun){.arena = &arena}, &o), ERR_USAGE, "ranks");
    arena_finish(&arena);
}
END_TEST

// A hook that takes every gradient away before the update that would use it.
static void take_gradient(void *context, Executor *e, int plan, int op) {
    const Program *p = e->program;
    const Plan *k = &p->plans[plan];
    int *taken = context;
    if (op_kind(p, &k->ops[op]) != KIND_SGD) return;
    int gradient = op_inputs(k, &k->ops[op])[0];
    void *zeros = arena_push(&arena, (size_t)p->tensors[gradient].bytes);
    ck_assert_ptr_nonnull(zeros);
    ck_assert_ok(executor_write(e, gradient, zeros));
    ++*taken;
}

START_TEST(a_hook_changes_what_a_step_is_about_to_use) {
    Trial one, five;
    int taken = 0;
    const TrialHook hook = {&taken, take_gradient};
    JobOptions o = trial_options();
    o.spec.model = "linear";
    o.steps = 1;
    ck_assert_ok(trial_train_hooked(&one, &(LessonRun){.arena = &arena}, &o, &hook));
    ck_assert_int_eq(taken, 2);  // weight and bias
    o.steps = 5;
    ck_assert_ok(trial_train_hooked(&five, &(LessonRun){.arena = &arena}, &o, &hook));
    ck_assert_uint_eq(one.hash, five.hash);
    ck_assert_ok(trial_train(&five, &(LessonRun){.arena = &arena}, &o));
    ck_assert_uint_ne(one.hash, five.hash);
    arena_finish(&arena);
}
END_TEST

SUITE("trial", ranks_end_with_the_weights_of_one_process, virtual_time_changes_times_alone,
      a_hook_changes_what_a_step_is_about_to_use, a_run_that_diverges_or_is_refused_says_so)
