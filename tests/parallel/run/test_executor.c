// SPDX-License-Identifier: MIT
// The executor on small programs made by hand, in one rank or in two that advance in turn.
#include "tests/support/lockstep.h"
#include "tests/support/plan_maker.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

// Two floats that keep their place from step to step.
static void make_pair(Program *p, const char *name, Placement place) {
    make_tensor(p, name, ROLE_OPTIMISER, place, SHAPE(2), DTYPE_F32);
}
static void make_fold(Program *p, Plan *plan, const char *name, int flags, const char *sum,
                      const char *x) {
    make_op(p, plan, (OpSpec){.name = name, .kind = KIND_FOLD, .flags = flags}, sum, x);
}
static void make_all_reduce(Program *p, Plan *plan, const char *name, int lane, const char *x) {
    make_op(p, plan, (OpSpec){.name = name, .kind = KIND_ALL_REDUCE, .lane = lane}, x, x);
}

// --- guards

static void check_guard(Dtype dtype) {
    Lockstep m = {.logged = 0};
    Program *p = &m.program;
    Plan *plan = make_program(p, 1);
    int go;
    make_pair(p, "x", PLACEMENT_REPLICATED);
    make_pair(p, "y", PLACEMENT_REPLICATED);
    ck_assert_ok(program_add_scalar(p, "go", dtype, 1, &go));
    make_fold(p, plan, "copy", 0, "y", "x");
    make_op(
        p, plan,
        (OpSpec){.name = "add", .kind = KIND_FOLD, .flags = OP_ACCUMULATE, .guard = TENSOR_REF(go)},
        "y", "x");
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 4, 16));
    m.executors[0].timeline = &t;
    lockstep_set(&m, 0, "x", 3, 4);
    for (int k = 0; k < 4; k++) {
        bool on = k % 2;
        m.log[0] = 0;
        if (dtype == DTYPE_F64)
            executor_set_f64(&m.executors[0], go, on ? 0.25 : 0);
        else
            executor_set_i64(&m.executors[0], go, on ? INT64_C(1) << 40 : 0);
        timeline_begin_step(&t, 0, k, 0);
        lockstep_step(&m, k);
        timeline_end_step(&t, 1);
        ck_assert_pair(&m, 0, "y", on ? 6 : 3, on ? 8 : 4);
        ck_assert_str_eq(m.log, on ? "+copy -copy +add -add " : "+copy -copy ");
        ck_assert_int_eq(t.steps[k].span_count, on ? 2 : 1);
    }
    timeline_destroy(&t);
    lockstep_stop(&m);
}

START_TEST(an_operation_is_skipped_while_its_guard_is_zero) {
    check_guard(DTYPE_I64);
    check_guard(DTYPE_F64);
}
END_TEST

// The guard is what the ranks agreed on, so that they skip it together.
START_TEST(a_guarded_communication_is_skipped_by_all_ranks_or_by_none) {
    Lockstep m = {.logged = 1};
    Program *p = &m.program;
    Plan *plan = make_program(p, 2);
    int go;
    make_tensor(p, "mine", ROLE_SCALAR, PLACEMENT_SUM, SHAPE(1), DTYPE_I64);
    ck_assert_ok(program_add_scalar(p, "go", DTYPE_I64, 1, &go));
    make_pair(p, "x", PLACEMENT_SUM);
    make_pair(p, "y", PLACEMENT_SUM);
    make_op(p, plan,
            (OpSpec){.name = "agree", .kind = KIND_ALL_REDUCE, .lane = 2, .dtype = DTYPE_I64}, "go",
            "mine");
    make_op(p, plan,
            (OpSpec){.name = "reduce", .kind = KIND_ALL_REDUCE, .lane = 2, .guard = TENSOR_REF(go)},
            "x", "x");
    make_all_reduce(p, plan, "always", 2, "y");
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
    for (int k = 0; k < 4; k++) {
        for (int r = 0; r < 2; r++) {
            *(int64_t *)lockstep_data(&m, r, "mine") = k >> r & 1;
            lockstep_set(&m, r, "x", (float)(1 + r), 10);
            lockstep_set(&m, r, "y", 1, (float)k);
        }
        m.log[0] = 0;
        lockstep_step(&m, k);
        for (int r = 0; r < 2; r++) {
            ck_assert_pair(&m, r, "x", k ? 3 : (float)(1 + r), k ? 20 : 10);
            ck_assert_pair(&m, r, "y", 2, (float)(2 * k));
        }
        ck_assert_str_eq(m.log, k ? "+agree -agree +reduce -reduce +always -always "
                                  : "+agree -agree +always -always ");
    }
    lockstep_stop(&m);
}
END_TEST

// --- live extents, loads

static void make_rows(Program *p, const char *name, int64_t rows, Dtype dtype, Role role, int dims,
                      int extent, int micro_batch) {
    int logical;
    ck_assert_ok(program_add_logical(
        p,
        &(LogicalSpec){
            .name = name, .shape = {rows, 2}, .dims = dims, .dtype = dtype, .role = role},
        &logical));
    ck_assert_ok(program_add_tensor(p,
                                    &(TensorSpec){.name = name,
                                                  .logical = logical,
                                                  .dtype = dtype,
                                                  .role = role,
                                                  .extent = TENSOR_REF(extent),
                                                  .micro_batch = micro_batch},
                                    NULL));
}

START_TEST(only_the_rows_in_use_are_computed) {
    Lockstep m = {.logged = 0};
    Program *p = &m.program;
    Plan *plan = make_program(p, 1);
    int rows;
    ck_assert_ok(program_add_scalar(p, "rows", DTYPE_I64, 1, &rows));
    make_rows(p, "x", 4, DTYPE_F32, ROLE_OPTIMISER, 2, rows, 0);
    make_rows(p, "y", 4, DTYPE_F32, ROLE_OPTIMISER, 2, rows, 0);
    make_op(p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU}, "y", "x");
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
    for (int64_t live = 0; live <= 4; live++) {
        for (int i = 0; i < 8; i++) {
            lockstep_floats(&m, 0, "x")[i] = (float)(i + 1);
            lockstep_floats(&m, 0, "y")[i] = -1;
        }
        executor_set_i64(&m.executors[0], rows, live);
        lockstep_step(&m, live);
        for (int i = 0; i < 8; i++)
            ck_assert_exact(lockstep_floats(&m, 0, "y")[i], i < 2 * live ? (float)(i + 1) : -1);
    }
    lockstep_stop(&m);
}
END_TEST

// x[r] = 100 · evaluate + first row + r; what is not in use is left as it is.
static void load_numbers(void *context, const LoadCall *call) {
    ck_assert_int_eq(call->dtype, DTYPE_F32);
    ck_assert_int_eq(call->rows, operand_rows(&call->x));
    float *x = call->x.data;
    for (int64_t i = 0; i < 2 * call->rows; i++)
        x[i] = (float)(call->first_row + i / 2 + (call->evaluate ? 100 : 0));
    for (int64_t i = 0; i < call->rows; i++) ((int32_t *)call->labels.data)[i] = 7;
}

// Three micro-batches of 2, 1 and 2 rows: x0 + x1 + x2, the first written, the others added.
static void check_loads(When when, float sum, float partly_unused) {
    static const int64_t first[] = {10, 12, 13}, live[] = {2, 1, 2};
    Lockstep m = {.logged = 0};
    Program *p = &m.program;
    Plan *plan = make_program(p, 1);
    plan->when = (uint8_t)when;
    make_tensor(p, "sum", ROLE_OPTIMISER, PLACEMENT_REPLICATED, SHAPE(2, 2), DTYPE_F32);
    for (int k = 0; k < 3; k++) {
        char x[16], labels[16], from[16], rows[16], both[40];
        int extent;
        snprintf(x, sizeof x, "x%d", k);
        snprintf(labels, sizeof labels, "labels%d", k);
        snprintf(from, sizeof from, "first%d", k);
        snprintf(rows, sizeof rows, "rows%d", k);
        snprintf(both, sizeof both, "%s %s", x, labels);
        ck_assert_ok(program_add_scalar(p, from, DTYPE_I64, 1, NULL));
        ck_assert_ok(program_add_scalar(p, rows, DTYPE_I64, 1, &extent));
        make_rows(p, x, 2, DTYPE_F32, ROLE_OPTIMISER, 2, extent, k);
        make_rows(p, labels, 2, DTYPE_I32, ROLE_OPTIMISER, 1, extent, k);
        make_op(p, plan, (OpSpec){.name = "load", .kind = KIND_LOAD, .lane = 1, .micro_batch = k},
                both, from);
        make_op(
            p, plan,
            (OpSpec){
                .name = "add", .kind = KIND_FOLD, .flags = k ? OP_ACCUMULATE : 0, .micro_batch = k},
            "sum", x);
    }
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(&m, &device_reference, &lockstep_plain, load_numbers);
    for (int k = 0; k < 3; k++) {
        char name[16];
        snprintf(name, sizeof name, "first%d", k);
        *(int64_t *)lockstep_data(&m, 0, name) = first[k];
        snprintf(name, sizeof name, "rows%d", k);
        *(int64_t *)lockstep_data(&m, 0, name) = live[k];
        snprintf(name, sizeof name, "x%d", k);
        for (int i = 0; i < 4; i++) lockstep_floats(&m, 0, name)[i] = 1000;
    }
    for (int step = 0; step < 2; step++) {
        m.log[0] = 0;
        lockstep_step(&m, step);
        ck_assert_pair(&m, 0, "sum", sum, sum);
        ck_assert_exact(lockstep_floats(&m, 0, "sum")[3], partly_unused);
        ck_assert_int_eq(((int32_t *)lockstep_data(&m, 0, "labels1"))[0], 7);
        // The first in plan order that may start: loads do not run ahead.
        ck_assert_str_eq(m.log,
                         "+load -load +add -add +load -load +add -add +load -load +add -add ");
    }
    lockstep_stop(&m);
}
// 10 + 12 + 13, and 11 + 1000 (not in use) + 14; of an evaluation 100 more for each row.
START_TEST(micro_batches_load_their_own_rows_and_accumulate) {
    check_loads(WHEN_EACH_STEP, 35, 1025);
    check_loads(WHEN_EACH_EPOCH, 335, 1225);
}
END_TEST

// --- lanes

START_TEST(computation_goes_on_while_a_communication_waits_for_its_peers) {
    for (int logged = 0; logged < 2; logged++) {
        Lockstep m = {.logged = logged};
        Program *p = &m.program;
        Plan *plan = make_program(p, 2);
        make_pair(p, "x", PLACEMENT_SUM);
        make_pair(p, "ga", PLACEMENT_SUM);
        make_pair(p, "gb", PLACEMENT_SUM);
        make_pair(p, "out", PLACEMENT_REPLICATED);
        make_fold(p, plan, "a", 0, "ga", "x");
        make_all_reduce(p, plan, "bucket", 2, "ga");
        make_fold(p, plan, "b", 0, "gb", "x");
        make_fold(p, plan, "c", 0, "out", "ga");
        ck_assert_ok(plan_derive_deps(p, plan));
        lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
        for (int r = 0; r < 2; r++) lockstep_set(&m, r, "x", (float)(r + 1), 5);
        lockstep_step(&m, 0);
        // Rank 1 comes last: it finds rank 0 there.
        ck_assert_str_eq(m.log, logged ? "+a -a +bucket -bucket +b -b +c -c "
                                       : "+a -a +bucket +b -b -bucket +c -c ");
        for (int r = 0; r < 2; r++) {
            ck_assert_pair(&m, r, "out", 3, 10);
            ck_assert_pair(&m, r, "gb", (float)(r + 1), 5);
        }
        lockstep_stop(&m);
    }
}
END_TEST

// On one lane the second waits until the first has ended; on two lanes both are in flight.
START_TEST(a_lane_has_one_communication_in_flight_two_lanes_have_two) {
    for (int lanes = 1; lanes <= 2; lanes++) {
        Lockstep m = {.logged = 0};
        Program *p = &m.program;
        Plan *plan = make_program(p, 2);
        int second = 2;
        if (lanes == 2)
            ck_assert_ok(program_add_lane(p, "more", LANE_COMMUNICATION,
                                          program_find_group(p, "data"), &second));
        make_pair(p, "x", PLACEMENT_SUM);
        make_pair(p, "y", PLACEMENT_SUM);
        make_pair(p, "z", PLACEMENT_SUM);
        make_all_reduce(p, plan, "first", 2, "x");
        make_all_reduce(p, plan, "second", second, "y");
        make_fold(p, plan, "work", 0, "z", "z");
        ck_assert_ok(plan_derive_deps(p, plan));
        lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
        lockstep_step(&m, 0);
        ck_assert_str_eq(m.log, lanes == 1 ? "+first +work -work -first +second -second "
                                           : "+first +second +work -work -first -second ");
        lockstep_stop(&m);
    }
}
END_TEST

START_TEST(a_message_goes_to_the_next_rank_and_comes_from_the_one_before) {
    Lockstep m = {.logged = 0};
    Program *p = &m.program;
    Plan *plan = make_program(p, 2);
    int lane;
    int64_t tag = 3;
    ck_assert_ok(
        program_add_lane(p, "back", LANE_COMMUNICATION, program_find_group(p, "data"), &lane));
    make_pair(p, "x", PLACEMENT_REPLICATED);
    make_pair(p, "more", PLACEMENT_REPLICATED);
    make_pair(p, "y", PLACEMENT_REPLICATED);
    make_pair(p, "more.y", PLACEMENT_REPLICATED);
    make_op(p, plan,
            (OpSpec){.name = "send", .kind = KIND_SEND, .lane = 2, .peer = 1, .attrs = &tag}, "",
            "x more");
    make_op(
        p, plan,
        (OpSpec){.name = "receive", .kind = KIND_RECEIVE, .lane = lane, .peer = -1, .attrs = &tag},
        "y more.y", "");
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
    for (int r = 0; r < 2; r++) {
        lockstep_set(&m, r, "x", (float)r, 5);
        lockstep_set(&m, r, "more", 6, (float)r);
    }
    lockstep_step(&m, 0);
    for (int r = 0; r < 2; r++) {
        ck_assert_pair(&m, r, "y", (float)(1 - r), 5);
        ck_assert_pair(&m, r, "more.y", 6, (float)(1 - r));
    }
    lockstep_stop(&m);
}
END_TEST

// --- the step before

// y = 2w reads what the step before left; then w += x. After k steps w = kx.
START_TEST(a_dependency_on_the_step_before_does_not_hold_up_the_first) {
    Lockstep m = {.logged = 0};
    Program *p = &m.program;
    Plan *plan = make_program(p, 1);
    make_pair(p, "x", PLACEMENT_REPLICATED);
    make_tensor(p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F32);
    make_pair(p, "y", PLACEMENT_REPLICATED);
    make_fold(p, plan, "read", 0, "y", "w");
    make_fold(p, plan, "double", OP_ACCUMULATE, "y", "w");
    make_fold(p, plan, "update", OP_ACCUMULATE, "w", "x");
    ck_assert_ok(plan_derive_deps(p, plan));
    ck_assert(depends(plan, 0, 2, 1));
    ck_assert_ok(plan_add_dep(plan, 1, 2, DEP_ORDER, 1));
    lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
    lockstep_set(&m, 0, "x", 1, 0.5f);
    for (int k = 0; k < 4; k++) {
        lockstep_step(&m, k);
        ck_assert_pair(&m, 0, "y", (float)(2 * k), (float)k);
        ck_assert_pair(&m, 0, "w", (float)(k + 1), 0.5f * (float)(k + 1));
    }
    lockstep_stop(&m);
}
END_TEST

// --- fused operations

static int fused_calls;

// What the executor promises a fused kernel; computed member by member, through scratch.
static void linear_relu(const KernelCall *call) {
    ck_assert_int_eq(call->kind, KIND_FUSED);
    ck_assert_int_eq(call->fusion, FUSION_LINEAR_RELU);
    ck_assert_int_eq(call->member_count, 2);
    KernelCall linear = call->members[0], relu = call->members[1];
    ck_assert_int_eq(linear.kind, KIND_LINEAR);
    ck_assert_int_eq(relu.kind, KIND_RELU);
    ck_assert_ptr_null(linear.operand[0].data);  // only members see it
    ck_assert_ptr_null(relu.operand[1].data);
    ck_assert_ptr_eq(relu.operand[0].data, call->operand[0].data);
    ck_assert_ptr_eq(linear.operand[1].data, call->operand[1].data);
    ck_assert_ptr_nonnull(call->scratch);
    ck_assert_uint_eq((uintptr_t)call->scratch % 64, 0);
    Operand operands[2][4];
    memcpy(operands[0], linear.operand, sizeof operands[0]);
    memcpy(operands[1], relu.operand, 2 * sizeof operands[1][0]);
    operands[0][0].data = operands[1][1].data = call->scratch;
    linear.operand = operands[0];
    relu.operand = operands[1];
    device_run(&device_reference, &linear);
    device_run(&device_reference, &relu);
    fused_calls++;
}

static int64_t room_for_y(const Program *p, const Plan *plan, const Op *members, int count) {
    return p->tensors[op_outputs(plan, &members[0])[0]].bytes;
}

START_TEST(a_fused_operation_gets_its_members_and_scratch) {
    static const DeviceTraits fusing = {
        .name = "fusing", .fusions = 1u << FUSION_LINEAR_RELU, .scratch_bytes = room_for_y};
    Device device = device_reference;
    device.fused[FUSION_LINEAR_RELU][0] = linear_relu;
    float results[2][6];
    for (int fused = 0; fused < 2; fused++) {
        Lockstep m = {.logged = 0};
        Program *p = &m.program;
        Plan *plan = make_program(p, 1);
        make_tensor(p, "x", ROLE_OPTIMISER, PLACEMENT_REPLICATED, SHAPE(2, 4), DTYPE_F32);
        make_tensor(p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(3, 4), DTYPE_F32);
        make_tensor(p, "b", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(3), DTYPE_F32);
        make_tensor(p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(2, 3), DTYPE_F32);
        make_tensor(p, "z", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(2, 3), DTYPE_F32);
        make_tensor(p, "kept", ROLE_OPTIMISER, PLACEMENT_REPLICATED, SHAPE(2, 3), DTYPE_F32);
        make_op(p, plan, (OpSpec){.name = "linear", .layer = "fc", .kind = KIND_LINEAR}, "y",
                "x w b");
        make_op(p, plan, (OpSpec){.name = "relu", .layer = "relu", .kind = KIND_RELU}, "z", "y");
        make_fold(p, plan, "keep", 0, "kept", "z");
        ck_assert_ok(plan_derive_deps(p, plan));
        lockstep_start(&m, fused ? &device : &device_reference, fused ? &fusing : &lockstep_plain,
                       NULL);
        ck_assert_int_eq(plan->op_count, fused ? 2 : 3);
        ck_assert((lockstep_data(&m, 0, "y") == NULL) == fused);
        for (int i = 0; i < 8; i++) lockstep_floats(&m, 0, "x")[i] = (float)(i - 3);
        for (int i = 0; i < 12; i++)
            lockstep_floats(&m, 0, "w")[i] = (float)(i * i % 7 - 3) * 0.25f;
        for (int i = 0; i < 3; i++) lockstep_floats(&m, 0, "b")[i] = (float)i;
        lockstep_step(&m, 0);
        memcpy(results[fused], lockstep_floats(&m, 0, "kept"), sizeof results[0]);
        lockstep_stop(&m);
    }
    ck_assert_int_eq(fused_calls, 1);
    ck_assert_int_eq(memcmp(results[0], results[1], sizeof results[0]), 0);
    // Row 0: x = -3 -2 -1 0; w0 = (0 1 4 2 - 3)/4 = -.75 -.5 .25 -.25: 2.25 + 1 - .25 = 3, b0 = 0
    ck_assert_exact(results[0][0], 3);
}
END_TEST

// --- what cannot run

static void make_bucket(Lockstep *m) {
    Plan *plan = make_program(&m->program, 2);
    make_pair(&m->program, "x", PLACEMENT_SUM);
    make_all_reduce(&m->program, plan, "bucket", 2, "x");
    ck_assert_ok(plan_derive_deps(&m->program, plan));
    lockstep_start(m, &device_reference, &lockstep_plain, NULL);
}

START_TEST(what_cannot_be_bound_is_an_error_when_it_is_made) {
    Lockstep m = {.logged = 0};
    make_bucket(&m);
    Executor e;
    ck_assert_fails(executor_create(&e, &m.arena, &m.program, 0, &device_reference, NULL, NULL),
                    ERR_PLAN, "bucket needs a communicator");
    executor_destroy(&e);
    m.program.tensors[program_find_tensor(&m.program, "x")].offset = 1 << 20;
    ck_assert_fails(
        executor_create(&e, &m.arena, &m.program, 0, &device_reference, &m.comms[0], NULL),
        ERR_PLAN, "bucket: input of 2 elements at offset 1048576 is not inside the pool");
    executor_destroy(&e);
    executor_destroy(&e);
    lockstep_stop(&m);
}
END_TEST

// plan_check() refuses a cycle; behind its back it is an error and no endless loop.
START_TEST(operations_that_wait_for_each_other_are_an_error) {
    Lockstep m = {.logged = 0};
    Plan *plan = make_program(&m.program, 1);
    make_pair(&m.program, "x", PLACEMENT_REPLICATED);
    make_fold(&m.program, plan, "a", OP_ACCUMULATE, "x", "x");
    make_fold(&m.program, plan, "b", OP_ACCUMULATE, "x", "x");
    ck_assert_ok(plan_derive_deps(&m.program, plan));
    lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
    ck_assert_ok(plan_add_dep(plan, 0, 1, DEP_ORDER, 0));
    ck_assert_fails(executor_run(&m.executors[0], 0, 0), ERR_PLAN,
                    "nothing can run and nothing is in flight in plan step");
    lockstep_stop(&m);
}
END_TEST

static Status refuse(void *context, int rank, int plan, int op) {
    FAIL(ERR_IO, "the disk is full");
}

START_TEST(a_hook_that_fails_ends_the_step) {
    Lockstep m = {.logged = 0};
    Plan *plan = make_program(&m.program, 1);
    make_pair(&m.program, "x", PLACEMENT_REPLICATED);
    make_fold(&m.program, plan, "a", OP_ACCUMULATE, "x", "x");
    make_fold(&m.program, plan, "b", OP_ACCUMULATE, "x", "x");
    ck_assert_ok(plan_derive_deps(&m.program, plan));
    lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
    m.executors[0].hooks.after = refuse;
    ck_assert_fails(executor_run(&m.executors[0], 0, 0), ERR_IO, "the disk is full");
    ck_assert_str_eq(m.log, "+a ");
    lockstep_stop(&m);
}
END_TEST

SUITE("executor", an_operation_is_skipped_while_its_guard_is_zero,
      a_guarded_communication_is_skipped_by_all_ranks_or_by_none, only_the_rows_in_use_are_computed,
      micro_batches_load_their_own_rows_and_accumulate,
      computation_goes_on_while_a_communication_waits_for_its_peers,
      a_lane_has_one_communication_in_flight_two_lanes_have_two,
      a_message_goes_to_the_next_rank_and_comes_from_the_one_before,
      a_dependency_on_the_step_before_does_not_hold_up_the_first,
      a_fused_operation_gets_its_members_and_scratch,
      what_cannot_be_bound_is_an_error_when_it_is_made,
      operations_that_wait_for_each_other_are_an_error, a_hook_that_fails_ends_the_step)
