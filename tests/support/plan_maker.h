// SPDX-License-Identifier: MIT
// Small hand-made programs for tests.
#ifndef TESTS_SUPPORT_PLAN_MAKER_H
#define TESTS_SUPPORT_PLAN_MAKER_H

#include "core/plan/build.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

// A tensor of its own logical tensor; placement along axis 0, local shape.
static inline int make_tensor(Program *p, const char *name, Role role, Placement place, int dims,
                              const int64_t *shape, Dtype dtype) {
    int tensor;
    LogicalSpec l = {.name = name,
                     .dims = dims,
                     .dtype = dtype,
                     .role = role,
                     .trainable = role == ROLE_PARAMETER};
    TensorSpec t = {.name = name, .dtype = dtype, .role = role, .placement = {place}};
    for (int i = 0; i < dims; i++) l.shape[i] = t.shape[i] = shape[i];
    if (place.place == PLACE_SHARD) l.shape[place.dim] *= p->axes[0].size;
    ck_assert_ok(program_add_logical(p, &l, &t.logical));
    ck_assert_ok(program_add_tensor(p, &t, &tensor));
    return tensor;
}
#define SHAPE(...) \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

// "y = kind(x...)": outputs and inputs by name, separated by spaces.
static inline int names_to_tensors(const Program *p, const char *names, int32_t *out) {
    char copy[256], *end;
    int count = 0;
    snprintf(copy, sizeof copy, "%s", names);
    for (char *word = strtok_r(copy, " ", &end); word; word = strtok_r(NULL, " ", &end)) {
        out[count] = program_find_tensor(p, word);
        ck_assert_msg(out[count] != NONE, "no tensor %s", word);
        count++;
    }
    return count;
}

static inline int make_op(Program *p, Plan *plan, OpSpec spec, const char *outputs,
                          const char *inputs) {
    int32_t out[OPERANDS], in[OPERANDS];
    int64_t attrs[8] = {0};
    int op;
    spec.output_count = names_to_tensors(p, outputs, out);
    spec.input_count = names_to_tensors(p, inputs, in);
    spec.outputs = out;
    spec.inputs = in;
    if (!spec.attrs) spec.attrs = attrs;
    ck_assert_ok(plan_add_op(p, plan, &spec, &op));
    return op;
}

static inline bool depends(const Plan *plan, int op, int on, int distance) {
    for (int i = 0; i < plan->ops[op].dep_count; i++) {
        const Dep *d = &plan->deps[plan->ops[op].dep_first + i];
        if (d->op == on && d->distance == distance) return true;
    }
    return false;
}

// A two-rank program with lanes compute (0), host (1) and data (2, group "data"), and an
// empty plan "step".
static inline Plan *make_program(Program *p, int ranks) {
    Plan *plan;
    int group;
    ck_assert_ok(program_add_axis(p, "data", ranks, NULL));
    ck_assert_ok(program_add_group(p, "data", 1, &group));
    ck_assert_ok(program_add_lane(p, "compute", LANE_COMPUTE, NONE, NULL));
    ck_assert_ok(program_add_lane(p, "host", LANE_HOST, NONE, NULL));
    ck_assert_ok(program_add_lane(p, "data", LANE_COMMUNICATION, group, NULL));
    ck_assert_ok(program_add_plan(p, "step", &plan));
    plan->when = WHEN_EACH_STEP;
    return plan;
}

// One linear layer under data parallelism: forward, loss, its gradient, all-reduce, update, and the
// all-reduce of the loss.
static inline void make_linear(Program *p, Plan *plan) {
    make_tensor(p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(3, 4), DTYPE_F32);
    make_tensor(p, "x", ROLE_INPUT, PLACEMENT_SHARD(0), SHAPE(2, 4), DTYPE_F32);
    make_tensor(p, "labels", ROLE_INPUT, PLACEMENT_SHARD(0), SHAPE(2), DTYPE_I32);
    make_tensor(p, "y", ROLE_ACTIVATION, PLACEMENT_SHARD(0), SHAPE(2, 3), DTYPE_F32);
    make_tensor(p, "probability", ROLE_ACTIVATION, PLACEMENT_SHARD(0), SHAPE(2, 3), DTYPE_F32);
    make_tensor(p, "dy", ROLE_ACTIVATION, PLACEMENT_SHARD(0), SHAPE(2, 3), DTYPE_F32);
    make_tensor(p, "dw", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(3, 4), DTYPE_F32);
    make_tensor(p, "loss", ROLE_SCALAR, PLACEMENT_SUM, SHAPE(2), DTYPE_F64);
    ck_assert_ok(program_add_scalar(p, "lr", DTYPE_F64, 1, NULL));
    ck_assert_ok(program_add_scalar(p, "inverse", DTYPE_F64, 1, NULL));
    make_tensor(p, "first", ROLE_SCALAR, PLACEMENT_DIFFERS, SHAPE(1), DTYPE_I64);
    make_op(p, plan, (OpSpec){.name = "load", .kind = KIND_LOAD, .lane = 1}, "x labels", "first");
    make_op(p, plan, (OpSpec){.name = "fc.forward", .kind = KIND_LINEAR, .phase = PHASE_FORWARD},
            "y", "x w");
    make_op(p, plan, (OpSpec){.name = "loss.forward", .kind = KIND_CROSS_ENTROPY},
            "loss probability", "y labels inverse");
    make_op(p, plan, (OpSpec){.name = "loss.backward", .kind = KIND_CROSS_ENTROPY_BACKWARD}, "dy",
            "probability labels inverse");
    make_op(p, plan,
            (OpSpec){.name = "fc.backward",
                     .kind = KIND_LINEAR_BACKWARD_WEIGHT,
                     .phase = PHASE_BACKWARD},
            "dw", "x dy");
    make_op(p, plan, (OpSpec){.name = "bucket0", .kind = KIND_ALL_REDUCE, .lane = 2}, "dw", "dw");
    make_op(p, plan, (OpSpec){.name = "sgd.w", .kind = KIND_SGD, .phase = PHASE_UPDATE}, "w",
            "dw lr");
    make_op(
        p, plan,
        (OpSpec){.name = "all_reduce.loss", .kind = KIND_ALL_REDUCE, .lane = 2, .dtype = DTYPE_F64},
        "loss", "loss");
    ck_assert_ok(plan_derive_deps(p, plan));
}

#endif
