// SPDX-License-Identifier: MIT
// A weight of several layers whose gradients the tensor group reduces (--sequence-parallel): each
// use is reduced by itself, in the backward, and not their sum in the update. So what a bucket
// holds is complete before an update reads it, whatever else is divided or compressed.
#include "core/plan/check.h"
#include "parallel/strategy/job_spec.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <string.h>

static Arena arena;  // finished by each test

// The second use of `a` has no bias, whose gradient would be reduced with it; a norm and a last
// layer, whose updates come before that of `a`.
static const char plain[] =
    "model t\ninput tokens 8\nclasses 65\nembedding wte out=16\nlinear a out=16\nrelu\n"
    "linear b out=16\nlinear c out=16 tie=a bias=false\nrms_norm\nlinear head out=65\n";
// No use has one, they follow one another, and what comes behind them has.
static const char bare[] =
    "model t\ninput tokens 8\nclasses 65\nembedding wte out=24\n"
    "linear l1 from=wte out=24 bias=false\nlinear l15 from=l1 out=24 tie=l1 bias=false\n"
    "layer_norm l26 from=l15\nlinear l22 out=20\nrelu\nlinear l24 out=24\nlinear head out=65\n";
// Three uses.
static const char thrice[] =
    "model t\ninput tokens 8\nclasses 65\nembedding wte out=16\nlinear a out=16 bias=false\n"
    "gelu\nlinear b out=16 tie=a bias=false\nrms_norm\nlinear c out=16 tie=a bias=false\n"
    "layer_norm\nlinear head out=65\n";
static const char *const models[] = {plain, bare, thrice};
enum { MODELS = 3 };

static JobOptions options_of(int model) {
    const char *file = ending_write_file(&arena, "tied.model", models[model]);
    JobOptions o = ending_text_options(file, 6);
    o.spec.strategy.bucket_bytes[0] = o.spec.strategy.bucket_bytes[1] = 3000;
    return o;
}

static void divide(JobOptions *o, int pipe, int data) {
    o->spec.mesh = (Mesh){.pipe = pipe, .tensor = 2};
    o->spec.ranks = pipe * data * 2;
    o->spec.micro_batches = pipe > 1 ? 4 : 1;
    o->spec.strategy.sequence_parallel = true;
}

// --- the plan

static bool writes(const Program *p, const Plan *plan, const Op *op, Role role) {
    for (int o = 0; o < op->outputs; o++)
        if (p->tensors[op_outputs(plan, op)[o]].role == role) return true;
    return false;
}

// What is sent of gradients comes before the first update, and sums of uses are of what has come.
static int check_order(const Program *p) {
    const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    int updates = 0, sums = 0;
    for (int i = 0; i < step->op_count; i++) {
        const Op *op = &step->ops[i];
        updates += writes(p, step, op, ROLE_PARAMETER);
        if (!writes(p, step, op, ROLE_GRADIENT)) continue;
        ck_assert_msg(!updates || !op_communicates(p, op), "%s is behind an update",
                      op_name(p, op));
        sums += op_work(p, op)->phase == PHASE_UPDATE;
    }
    return sums;
}

// Clipping adds squares of the sums, which come before it, too.
START_TEST(nothing_is_sent_behind_the_first_update) {
    for (int m = 0; m < MODELS; m++)
        for (int clips = 0; clips < 2; clips++) {
            JobOptions o = options_of(m);
            Job job;
            divide(&o, 1, 2);
            o.spec.optimizer.clip = clips;
            ck_assert_ok(job_create(&job, &o));
            ck_assert_int_eq(check_order(&job.set.programs[0]), m == 2 ? 2 : 1);
            job_destroy(&job);
        }
    arena_finish(&arena);
}
END_TEST

// The uses of `a` in the backward, alone or with the bias that the same operation made.
START_TEST(each_use_is_reduced_once_over_the_tensor_group) {
    static const int uses[] = {2, 2, 3}, size[] = {16, 24, 16};
    for (int m = 0; m < MODELS; m++) {
        JobOptions o = options_of(m);
        Job job;
        int found = 0;
        divide(&o, 1, 1);
        ck_assert_ok(job_create(&job, &o));
        const Program *p = &job.set.programs[0];
        const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
        for (int i = 0; i < step->op_count; i++) {
            const Op *op = &step->ops[i];
            for (int k = 0; op_communicates(p, op) && k < op->outputs; k++) {
                const Tensor *t = &p->tensors[op_outputs(step, op)[k]];
                if (t->role != ROLE_GRADIENT || t->shape[0] != size[m] || t->shape[1] != size[m])
                    continue;
                ck_assert_int_eq(op_work(p, op)->phase, PHASE_BACKWARD);
                found++;
            }
        }
        // Of `plain` the weight of `b`, too, whose inputs are not cut by channels.
        ck_assert_int_ge(found, uses[m]);
        ck_assert_int_le(found, uses[m] + (m == 0));
        job_destroy(&job);
    }
    arena_finish(&arena);
}
END_TEST

// --- training

START_TEST(models_that_tie_weights_train_as_on_one_process) {
    static const int cuts[][3] = {{1, 2, 0}, {2, 1, 0}, {1, 2, 2}, {2, 2, 1}};
    for (int m = 0; m < MODELS; m++)
        for (int clips = 0; clips < 2; clips++) {
            JobOptions o = options_of(m);
            Ending one;
            o.spec.optimizer.clip = clips ? 0.5 : 0;
            ending_run(&one, &arena, &o);
            for (int i = clips; i < 4; i += 2) {
                if (m == 2 && cuts[i][0] > 1) continue;  // three uses on two stages: test_stage.c
                divide(&o, cuts[i][0], cuts[i][1]);
                o.spec.strategy.zero = cuts[i][2];
                o.comm = (CommKind)((m + i) % COMM_KINDS);
                ending_check_run(&o, &arena, &one, 1e-12);
            }
            ending_finish(&one);
            arena_finish(&arena);
        }
}
END_TEST

// Each use is reduced on the stage of its own layer, although the sum of both, which belongs to the
// first layer, is what needs the second one reduced.
START_TEST(uses_on_different_stages_are_reduced_each_on_its_own) {
    static const char text[] =
        "model t\ninput tokens 8\nclasses 65\nembedding wte out=16\nlayer_norm\n"
        "linear a out=32\nrelu\nlinear b out=16\nlayer_norm\nlinear c out=32\nrelu\n"
        "linear d out=16 bias=false tie=b\nlayer_norm\nlinear head out=65 bias=false\n";
    static const char *const stages[] = {"0:5,5:11", "0:6,6:11", NULL};
    JobOptions o = ending_text_options(ending_write_file(&arena, "later.model", text), 4);
    Ending one;
    ending_run(&one, &arena, &o);
    for (int i = 0; i < 3; i++) {
        divide(&o, 2, 1 + (i > 0));
        o.spec.micro_batches = 2 + 2 * (i > 0);
        o.spec.strategy.stages = stages[i];
        o.spec.strategy.zero = i == 1;
        o.comm = (CommKind)(i % COMM_KINDS);
        ending_check_run(&o, &arena, &one, 1e-12);
    }
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

// Two ranks have the bits of two shards, whatever is sent of each use.
START_TEST(compressed_uses_of_ranks_are_those_of_shards) {
    static const OptionForm forms[] = {{COMPRESS_TOPK, 0.05}, {COMPRESS_POWERSGD, 2}};
    for (int m = 0; m < MODELS; m++)
        for (int k = 0; k < 2; k++) {
            JobOptions o = options_of(m);
            Ending shards, ranks;
            o.spec.strategy.compress = forms[k];
            o.spec.shards = 2;
            divide(&o, 1, 1);
            ending_run(&shards, &arena, &o);
            divide(&o, 1, 2);
            ending_run(&ranks, &arena, &o);
            double d = ending_distance(&shards, &ranks, 1e-12);
            ck_assert_msg(d == 0, "model %d, form %d: %g bounds apart", m, k, d);
            ending_finish(&shards);
            ending_finish(&ranks);
            arena_finish(&arena);
        }
}
END_TEST

START_TEST(two_bytes_of_a_use_are_those_of_whole_weights) {
    for (int m = 0; m < MODELS; m++) {
        JobOptions o = options_of(m);
        Ending whole;
        o.spec.strategy.compress = (OptionForm){COMPRESS_BF16, 0};
        o.spec.ranks = 2;
        ending_run(&whole, &arena, &o);
        divide(&o, 1, 2);
        ending_check_run(&o, &arena, &whole, 1e-12);
        ending_finish(&whole);
        arena_finish(&arena);
    }
}
END_TEST

SUITE("tied_pieces", nothing_is_sent_behind_the_first_update,
      each_use_is_reduced_once_over_the_tensor_group,
      models_that_tie_weights_train_as_on_one_process,
      uses_on_different_stages_are_reduced_each_on_its_own,
      compressed_uses_of_ranks_are_those_of_shards, two_bytes_of_a_use_are_those_of_whole_weights)
