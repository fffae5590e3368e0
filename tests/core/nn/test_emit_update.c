// SPDX-License-Identifier: MIT
// What the options of an update become in the plan: attributes, operands and guards of every
// operation between gradients and weights. Kernels are tested by hand in test_device_update.c.
#include "core/nn/model.h"
#include "tests/support/testing.h"

#include <string.h>

static Arena arena;
static Program program;

// Layers with weights of two dimensions, with biases and norms of one, and with a tied weight.
static const char model_name[] = "gpt:layers=1,hidden=16,heads=2,seq=8,vocabulary=11";

static const Plan *emit(const Optimizer *optimizer) {
    Model model;
    StepSpec step = {.dtype = DTYPE_F32,
                     .batch = 4,
                     .shards = 1,
                     .local_shards = 1,
                     .micro_batches = 1,
                     .evaluation_rows = 4,
                     .optimizer = *optimizer,
                     .mesh.data = 1};
    program_finish(&program);
    ck_assert_ok(model_read(&model, &arena, model_name));
    ck_assert_ok(model_emit(&program, &model, &step));
    return &program.plans[program_find_plan(&program, "step")];
}

// No value is a default, and no two are the same.
static Optimizer adam(OptimizerKind kind) {
    return (Optimizer){.kind = kind,
                       .momentum = 0.5,
                       .beta1 = 0.8,
                       .beta2 = 0.7,
                       .eps = 0.001,
                       .weight_decay = 0.3};
}

static double real_of(const Op *op, int i) { return work_real(&program, op_work(&program, op), i); }

static int dims_of(const Op *op, const Plan *plan) {
    return program.logicals[program.tensors[op_outputs(plan, op)[0]].logical].dims;
}

// Every parameter has one update, which `check` judges; how many have one dimension.
static int check_updates(const Plan *plan, Kind kind, double decay_of_vectors) {
    int updates = 0, vectors = 0;
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        if (op_kind(&program, op) != kind) continue;
        bool vector = dims_of(op, plan) == 1;
        updates++;
        vectors += vector;
        ck_assert_double_eq(real_of(op, 0), 0.8);
        ck_assert_double_eq(real_of(op, 1), 0.7);
        ck_assert_double_eq(real_of(op, 2), 0.001);
        ck_assert_double_eq(real_of(op, 3), vector ? decay_of_vectors : 0.3);
        ck_assert_str_eq(tensor_name(&program, op_inputs(plan, op)[1]), "learning_rate");
        ck_assert_str_eq(tensor_name(&program, op_inputs(plan, op)[2]), "optimizer.step");
    }
    ck_assert_int_eq(updates, program.parameter_count);
    ck_assert_int_lt(vectors, updates);
    return vectors;
}

static void check_decoupled(const Plan *plan, int64_t want) {
    for (int i = 0; i < plan->op_count; i++)
        if (op_kind(&program, &plan->ops[i]) == KIND_ADAM)
            ck_assert_int_eq(work_attr(&program, op_work(&program, &plan->ops[i]), 4), want);
}

START_TEST(adam_decays_all_by_a_penalty) {
    const Optimizer o = adam(OPTIMIZER_ADAM);
    const Plan *plan = emit(&o);
    ck_assert_int_gt(check_updates(plan, KIND_ADAM, 0.3), 0);
    check_decoupled(plan, 0);
}
END_TEST

START_TEST(adamw_decays_matrices_and_with_decay_all_all) {
    Optimizer o = adam(OPTIMIZER_ADAMW);
    const Plan *plan = emit(&o);
    ck_assert_int_gt(check_updates(plan, KIND_ADAM, 0), 0);
    check_decoupled(plan, 1);
    o.decay_all = true;
    plan = emit(&o);
    check_updates(plan, KIND_ADAM, 0.3);
    check_decoupled(plan, 1);
}
END_TEST

START_TEST(sgd_has_momentum_decay_and_nesterov) {
    for (int nesterov = 0; nesterov < 2; nesterov++) {
        Optimizer o = {.momentum = 0.6, .weight_decay = 0.3, .nesterov = nesterov};
        const Plan *plan = emit(&o);
        int updates = 0;
        for (int i = 0; i < plan->op_count; i++) {
            const Op *op = &plan->ops[i];
            if (op_kind(&program, op) != KIND_SGD) continue;
            updates++;
            ck_assert_double_eq(real_of(op, 0), 0.6);
            ck_assert_double_eq(real_of(op, 1), 0.3);
            ck_assert_int_eq(work_attr(&program, op_work(&program, op), 2), nesterov);
        }
        ck_assert_int_eq(updates, program.parameter_count);
    }
}
END_TEST

// Updates are counted before the first one reads their number, once a step.
START_TEST(updates_are_counted_once_and_first) {
    const Optimizer o = adam(OPTIMIZER_ADAMW);
    const Plan *plan = emit(&o);
    int counts = 0, updates = 0;
    for (int i = 0; i < plan->op_count; i++) {
        Kind kind = op_kind(&program, &plan->ops[i]);
        updates += kind == KIND_ADAM;
        counts += kind == KIND_INCREMENT;
        if (kind == KIND_INCREMENT) ck_assert_int_eq(updates, 0);
    }
    ck_assert_int_eq(counts, 1);
}
END_TEST

// --- clipping and guards

static bool is_update(const Op *op) {
    Kind kind = op_kind(&program, op);
    return kind == KIND_ADAM || kind == KIND_SGD || kind == KIND_INCREMENT;
}

static const char *last_input(const Plan *plan, const Op *op) {
    return tensor_name(&program, op_inputs(plan, op)[op->inputs - 1]);
}

// Each update is multiplied by the factor if it clips, and guarded if steps may be skipped.
static void check_measured(OptimizerKind kind, double clip, bool skip) {
    Optimizer o = adam(kind);
    int updates = 0, guarded = 0, factors = 0, clips = 0;
    o.clip = clip;
    o.skip_nan = skip;
    const Plan *plan = emit(&o);
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        if (op_kind(&program, op) == KIND_CLIP) {
            clips++;
            ck_assert_double_eq(real_of(op, 0), clip);
            ck_assert_str_eq(last_input(plan, op), "loss");
        }
        if (!is_update(op)) continue;
        updates++;
        guarded +=
            op->guard != NONE && op->guard == program_find_tensor(&program, "gradients.finite");
        factors += op->inputs && !strcmp(last_input(plan, op), "gradients.factor");
    }
    ck_assert_int_eq(updates, program.parameter_count + (kind != OPTIMIZER_SGD));
    ck_assert_int_eq(clips, clip > 0 || skip);
    ck_assert_int_eq(factors, clip > 0 ? program.parameter_count : 0);
    ck_assert_int_eq(guarded, skip ? updates : 0);
}

START_TEST(updates_are_clipped_and_guarded_as_asked) {
    for (int i = 0; i < 8; i++)
        check_measured(i & 1 ? OPTIMIZER_ADAMW : OPTIMIZER_SGD, i & 2 ? 0.7 : 0, i & 4);
}
END_TEST

// Once each: a weight that two layers use by the sum of both gradients.
START_TEST(the_norm_has_every_gradient_once) {
    Optimizer o = adam(OPTIMIZER_ADAMW);
    o.clip = 0.7;
    const Plan *plan = emit(&o);
    int squares = 0, sums = 0;
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        if (op_kind(&program, op) == KIND_SQUARE_SUMS) {
            squares++;
            for (int k = 0; k < i; k++)
                if (op_kind(&program, &plan->ops[k]) == KIND_SQUARE_SUMS)
                    ck_assert_int_ne(op_inputs(plan, op)[0], op_inputs(plan, &plan->ops[k])[0]);
        }
        if (op_kind(&program, op) != KIND_ADD_BLOCKS) continue;
        ck_assert_int_eq(op->flags & OP_ACCUMULATE, sums++ ? OP_ACCUMULATE : 0);
        ck_assert_str_eq(tensor_name(&program, op_outputs(plan, op)[0]), "gradients.square_sum");
    }
    ck_assert_int_eq(squares, program.parameter_count);
    ck_assert_int_eq(sums, program.parameter_count);
}
END_TEST

SUITE("emit_update", adam_decays_all_by_a_penalty, adamw_decays_matrices_and_with_decay_all_all,
      sgd_has_momentum_decay_and_nesterov, updates_are_counted_once_and_first,
      updates_are_clipped_and_guarded_as_asked, the_norm_has_every_gradient_once)
