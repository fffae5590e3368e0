// SPDX-License-Identifier: MIT
#include "core/plan/check.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/plan_maker.h"

static Status check_one(const Program *p) {
    const ProgramSet set = program_set_of_one(p);
    return plan_check(&set);
}

START_TEST(a_data_parallel_step_passes) {
    Program p = {0};
    make_linear(&p, make_program(&p, 2));
    ck_assert_ok(check_one(&p));
    program_finish(&p);
}
END_TEST

// Remove one operation of the linear step and see what is said.
static void without(int removed, const char *message) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    uint8_t keep[] = {1, 1, 1, 1, 1, 1, 1, 1};
    keep[removed] = 0;
    ck_assert_ok(plan_select(plan, NULL, keep));
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert_fails(check_one(&p), ERR_PLAN, message);
    program_finish(&p);
}

START_TEST(a_missing_operation_is_named_by_who_needs_it) {
    without(0, "fc.forward: reads x before any operation wrote it");
    without(3, "fc.backward: reads dy before any operation wrote it");
    without(5, "sgd.w: dw is P+ along data: each rank holds a part of the sum");
}
END_TEST

START_TEST(a_result_of_which_each_rank_has_a_part_is_refused) {
    without(7, "plan step: its result loss is P+ along data, so that every rank would have a part "
               "of it; all_reduce or all_gather it");
}
END_TEST

static Status check_reduction(int ranks, Algorithm algorithm, Order order, Reduce reduce) {
    Program p = {0};
    Plan *plan = make_program(&p, ranks);
    make_tensor(&p, "a", ROLE_PARAMETER, reduce == REDUCE_MAX ? PLACEMENT_MAX : PLACEMENT_SUM,
                SHAPE(4), DTYPE_F32);
    make_op(&p, plan,
            (OpSpec){.name = "sum",
                     .kind = KIND_ALL_REDUCE,
                     .lane = 2,
                     .algorithm = algorithm,
                     .order = order,
                     .reduce = reduce},
            "a", "a");
    Status s = check_one(&p);
    program_finish(&p);
    return s;
}

// A ring of three adds a chunk as (b + c) + a; of two, a + b is b + a.
START_TEST(a_ring_does_not_keep_the_order_of_ranks) {
    ck_assert_fails(check_reduction(3, ALGORITHM_RING, ORDER_RANK, REDUCE_SUM), ERR_PLAN,
                    "plan step: sum: algorithm=ring over 3 ranks does not add in the order of the "
                    "ranks; write order=schedule");
    ck_assert_ok(check_reduction(3, ALGORITHM_RING, ORDER_SCHEDULE, REDUCE_SUM));
    ck_assert_ok(check_reduction(3, ALGORITHM_RING, ORDER_RANK, REDUCE_MAX));
    ck_assert_ok(check_reduction(2, ALGORITHM_RING, ORDER_RANK, REDUCE_SUM));
    ck_assert_ok(check_reduction(3, ALGORITHM_CHAIN, ORDER_RANK, REDUCE_SUM));
    ck_assert_ok(check_reduction(3, ALGORITHM_DIRECT, ORDER_RANK, REDUCE_SUM));
}
END_TEST

START_TEST(a_lane_carries_one_group) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    int both;
    ck_assert_ok(program_add_group(&p, "both", 1, &both));
    make_op(&p, plan, (OpSpec){.name = "other", .kind = KIND_BROADCAST, .lane = 2, .group = both},
            "w", "w");
    ck_assert_fails(check_one(&p), ERR_PLAN, "other: lane data is of group data, not of both");
    program_finish(&p);
}
END_TEST

START_TEST(what_is_computed_together_has_the_same_rows_in_use) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    int rows, other;
    ck_assert_ok(program_add_scalar(&p, "rows", DTYPE_I64, 1, &rows));
    ck_assert_ok(program_add_scalar(&p, "other", DTYPE_I64, 1, &other));
    const char *const names[] = {"x", "labels", "y", "probability", "dy"};
    for (int i = 0; i < 5; i++) p.tensors[program_find_tensor(&p, names[i])].extent = rows;
    ck_assert_ok(check_one(&p));
    for (int i = 0; i < 5; i++) {
        int32_t *extent = &p.tensors[program_find_tensor(&p, names[i])].extent;
        *extent = other;
        ck_assert_fails(check_one(&p), ERR_PLAN, "rows in use");
        *extent = rows;
    }
    int64_t *times = &p.tensors[program_find_tensor(&p, "y")].extent_times;
    *times = 2;
    ck_assert_fails(check_one(&p), ERR_PLAN,
                    "y has rows*2 rows in use, x has rows; give them one extent");
    *times = 1;
    program_finish(&p);
}
END_TEST

START_TEST(a_view_is_of_the_same_kind_of_memory) {
    Program p = {0};
    make_program(&p, 1);
    int32_t a = make_tensor(&p, "a", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4, 4), DTYPE_F32);
    int32_t v = make_tensor(&p, "v", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4, 4), DTYPE_F32);
    int32_t u = make_tensor(&p, "u", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4, 4), DTYPE_U8);
    int rows;
    ck_assert_ok(program_add_scalar(&p, "rows", DTYPE_I64, 1, &rows));
    p.tensors[v].alias = a;
    ck_assert_ok(check_one(&p));
    p.tensors[v].extent = rows;
    ck_assert_fails(check_one(&p), ERR_PLAN, "tensor v: its rows are not those of a");
    p.tensors[a].extent = rows;
    ck_assert_ok(check_one(&p));
    p.tensors[u].alias = a;
    ck_assert_fails(check_one(&p), ERR_PLAN, "tensor u: u8, but a view of a, which is f32");
    p.tensors[u].alias = NONE;
    p.tensors[rows].alias = a;
    ck_assert_fails(check_one(&p), ERR_PLAN, "tensor rows: a view of a, but a scalar has memory");
    program_finish(&p);
}
END_TEST

// x (1,1,4,4) -> y, index (1,1,2,2) -> dx: an index means what the pooling that wrote it meant.
START_TEST(an_index_is_read_as_it_was_written) {
    static const int64_t forward[] = {2, 2, 0}, other[][3] = {{3, 1, 0}, {4, 2, 1}};
    for (int i = 0; i < 4; i++) {
        Program p = {0};
        Plan *plan = make_program(&p, 1);
        make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(1, 1, 4, 4), DTYPE_F32);
        make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1, 1, 2, 2), DTYPE_F32);
        make_tensor(&p, "index", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1, 1, 2, 2),
                    DTYPE_U8);
        make_tensor(&p, "dx", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1, 1, 4, 4), DTYPE_F32);
        make_op(&p, plan, (OpSpec){.name = "pool", .kind = KIND_MAX_POOL, .attrs = forward},
                "y index", "x");
        if (i == 3)
            make_op(&p, plan, (OpSpec){.name = "set", .kind = KIND_FOLD, .dtype = DTYPE_U8},
                    "index", "index");
        make_op(&p, plan,
                (OpSpec){.name = "back",
                         .kind = KIND_MAX_POOL_BACKWARD,
                         .attrs = i == 1 || i == 2 ? other[i - 1] : forward},
                "dx", "y index");
        static const char *const messages[] = {
            NULL,
            "back: kernel, stride, pad or shapes are not those of pool, which wrote its index",
            "back: kernel, stride, pad or shapes are not those of pool, which wrote its index",
            "back: index is not the index that a max_pool of this plan wrote"};
        if (i == 0)
            ck_assert_ok(check_one(&p));
        else
            ck_assert_fails(check_one(&p), ERR_PLAN, messages[i]);
        program_finish(&p);
    }
}
END_TEST

START_TEST(swapped_operations_are_found) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    ck_assert_ok(
        plan_select(plan, (int[]){0, 1, 2, 4, 3, 5, 6, 7}, (uint8_t[]){1, 1, 1, 1, 1, 1, 1, 1}));
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert_fails(check_one(&p), ERR_PLAN, "plan step: fc.backward: reads dy");
    program_finish(&p);
}
END_TEST

START_TEST(reducing_twice_is_refused) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    make_op(&p, plan, (OpSpec){.name = "again", .kind = KIND_ALL_REDUCE, .lane = 2}, "dw", "dw");
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert_fails(check_one(&p), ERR_PLAN,
                    "again: dw is R along data: reducing what is not a partial result");
    program_finish(&p);
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_named) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    make_tensor(&p, "narrow", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(3, 5), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "bad", .kind = KIND_LINEAR}, "y", "x narrow");
    ck_assert_fails(check_one(&p), ERR_PLAN,
                    "bad: operand narrow is f32 3x5, expected C = 4 in dimension 1");
    program_finish(&p);
}
END_TEST

START_TEST(a_wrong_type_or_lane_is_named) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    make_tensor(&p, "wide", ROLE_ACTIVATION, PLACEMENT_SHARD(0), SHAPE(2, 3), DTYPE_F64);
    make_op(&p, plan, (OpSpec){.name = "bad", .kind = KIND_RELU}, "wide", "y");
    ck_assert_fails(check_one(&p), ERR_PLAN, "bad: operand wide is f64 2x3, expected f32");
    plan->op_count--;
    make_op(&p, plan, (OpSpec){.name = "lost", .kind = KIND_RELU, .lane = 2}, "y", "y");
    ck_assert_fails(check_one(&p), ERR_PLAN,
                    "lost: relu cannot run on the communication lane data");
    program_finish(&p);
}
END_TEST

START_TEST(window_sizes_are_checked) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(1, 2, 6, 6), DTYPE_F32);
    make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1, 2, 2, 3), DTYPE_F32);
    int64_t attrs[] = {2, 2, 0};  // (6 - 2) / 2 + 1 = 3
    make_op(&p, plan, (OpSpec){.name = "pool", .kind = KIND_MAX_POOL, .attrs = attrs}, "y", "x");
    ck_assert_fails(check_one(&p), ERR_PLAN, "H = 6 with kernel 2, stride 2 gives OH = 3, not 2");
    program_finish(&p);
}
END_TEST

// An average may have a window of any height and width: (6 - 5) / 2 + 1 = 1, (6 - 3) / 2 + 1 = 2.
START_TEST(windows_that_are_not_square_are_checked) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(1, 2, 6, 6), DTYPE_F32);
    make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1, 2, 1, 2), DTYPE_F32);
    int64_t attrs[] = {5, 3, 2};
    make_op(&p, plan, (OpSpec){.name = "pool", .kind = KIND_AVG_POOL, .attrs = attrs}, "y", "x");
    ck_assert_ok(check_one(&p));
    plan->op_count--;
    attrs[1] = 2;
    make_op(&p, plan, (OpSpec){.name = "pool", .kind = KIND_AVG_POOL, .attrs = attrs}, "y", "x");
    ck_assert_fails(check_one(&p), ERR_PLAN, "W = 6 with kernel 2, stride 2 gives OW = 3, not 2");
    plan->op_count--;
    attrs[0] = 0;
    make_op(&p, plan, (OpSpec){.name = "pool", .kind = KIND_AVG_POOL, .attrs = attrs}, "y", "x");
    ck_assert_fails(check_one(&p), ERR_PLAN, "height is 0, expected 1 to 1048576");
    program_finish(&p);
}
END_TEST

START_TEST(a_guard_on_communication_must_come_from_a_collective) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    int guard;
    ck_assert_ok(program_add_scalar(&p, "found_nan", DTYPE_F64, 1, &guard));
    p.tensors[guard].placement[0] = PLACEMENT_MAX;
    plan->ops[5].guard = guard;
    ck_assert_fails(
        check_one(&p), ERR_PLAN,
        "bucket0: its guard found_nan is not the result of a collective over group data");
    make_op(&p, plan,
            (OpSpec){.name = "agree",
                     .kind = KIND_ALL_REDUCE,
                     .lane = 2,
                     .dtype = DTYPE_F64,
                     .reduce = REDUCE_MAX},
            "found_nan", "found_nan");
    ck_assert_ok(plan_select(plan, (int[]){0, 1, 2, 3, 4, 8, 5, 6, 7},
                             (uint8_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1}));
    ck_assert_fails(check_one(&p), ERR_PLAN,
                    "agree: reads found_nan before");  // it is now written by the plan
    program_finish(&p);
}
END_TEST

// Two classes of ranks, one a rank.
static Status check_pair(Program p[2]) {
    RankClass classes[2] = {{.name = "zero"}, {.name = "one"}};
    for (int i = 0; i < 2; i++) rank_class_confine(&classes[i], 0, i, i);
    return plan_check(&(ProgramSet){.programs = p, .classes = classes, .count = 2});
}

// Two classes of ranks that disagree about what comes next.
static void make_pair(Program p[2], Plan *plans[2]) {
    memset(p, 0, 2 * sizeof *p);
    for (int i = 0; i < 2; i++) {
        plans[i] = make_program(&p[i], 2);
        make_tensor(&p[i], "a", ROLE_PARAMETER, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
        make_tensor(&p[i], "b", ROLE_PARAMETER, PLACEMENT_SUM, SHAPE(8), DTYPE_F32);
    }
}

START_TEST(members_must_issue_the_same_collectives) {
    Program p[2];
    Plan *plans[2];
    make_pair(p, plans);
    for (int i = 0; i < 2; i++) {
        make_op(&p[i], plans[i],
                (OpSpec){.name = i ? "second" : "first", .kind = KIND_ALL_REDUCE, .lane = 2},
                i ? "b" : "a", i ? "b" : "a");
        make_op(&p[i], plans[i],
                (OpSpec){.name = i ? "first" : "second", .kind = KIND_ALL_REDUCE, .lane = 2},
                i ? "a" : "b", i ? "a" : "b");
    }
    ck_assert_fails(check_pair(p), ERR_PLAN,
                    "rank 0 issues all_reduce first (direct, 16 bytes) where rank 1 issues "
                    "all_reduce second (direct, 32 bytes)");
    ck_assert_ok(check_one(&p[0]));
    for (int i = 0; i < 2; i++) program_finish(&p[i]);
}
END_TEST

START_TEST(a_member_that_never_comes_is_a_deadlock) {
    Program p[2];
    Plan *plans[2];
    make_pair(p, plans);
    make_op(&p[0], plans[0], (OpSpec){.name = "sum", .kind = KIND_ALL_REDUCE, .lane = 2}, "a", "a");
    ck_assert_fails(check_pair(p), ERR_PLAN, "deadlock: rank 0: sum waits for rank 1");
    for (int i = 0; i < 2; i++) program_finish(&p[i]);
}
END_TEST

// Both receive before they send: nobody ever sends. Exchanged in one of them, it works.
START_TEST(crossed_sends_and_receives_are_a_deadlock) {
    for (int good = 0; good < 2; good++) {
        Program p[2];
        Plan *plans[2];
        make_pair(p, plans);
        for (int i = 0; i < 2; i++) {
            for (int t = 0; t < 2; t++) p[i].tensors[t].placement[0] = PLACEMENT_DIFFERS;
            bool send_first = good && i;
            for (int k = 0; k < 2; k++) {
                bool send = send_first == (k == 0);
                make_op(&p[i], plans[i],
                        (OpSpec){.name = send ? "to" : "from",
                                 .kind = send ? KIND_SEND : KIND_RECEIVE,
                                 .lane = 2,
                                 .peer = 1},
                        send ? "" : "b", send ? "a" : "");
            }
        }
        Status s = check_pair(p);
        if (good)
            ck_assert_fails(s, ERR_PLAN, "bytes");  // 16 sent, 32 expected
        else
            ck_assert_fails(
                s, ERR_PLAN,
                "deadlock: rank 0: from waits for rank 1; rank 1: from waits for rank 0");
        for (int i = 0; i < 2; i++) program_finish(&p[i]);
    }
}
END_TEST

START_TEST(a_cycle_of_dependencies_is_told_operation_by_operation) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    ck_assert_ok(
        plan_add_dep(plan, 4, 5, DEP_ORDER, 0));  // the gradient waits for its own all-reduce
    ck_assert_fails(check_one(&p), ERR_PLAN,
                    "plan step: a cycle of 2 operations: fc.backward waits for bucket0 waits for "
                    "fc.backward;");
    program_finish(&p);
}
END_TEST

// Two operations on one lane; the first waits for the second. Without a wait there is no cycle.
START_TEST(a_cycle_may_go_through_a_lane) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    make_tensor(&p, "a", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_tensor(&p, "b", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "one", .kind = KIND_RELU}, "b", "a");
    make_op(&p, plan, (OpSpec){.name = "two", .kind = KIND_RELU}, "b", "a");
    ck_assert_ok(program_check(&p));
    ck_assert_ok(plan_add_dep(plan, 0, 1, DEP_ORDER, 1));
    ck_assert_ok(program_check(&p));  // the step before has ended
    ck_assert_ok(plan_add_dep(plan, 0, 1, DEP_ORDER, 0));
    ck_assert_fails(program_check(&p), ERR_PLAN, "one waits for two waits for one");
    program_finish(&p);
}
END_TEST

START_TEST(extents_and_guards_must_be_numbers) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    make_tensor(&p, "a", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    int32_t pair = make_tensor(&p, "pair", ROLE_SCALAR, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_I64);
    int32_t byte = make_tensor(&p, "byte", ROLE_SCALAR, PLACEMENT_REPLICATED, SHAPE(1), DTYPE_U8);
    int32_t b = make_tensor(&p, "b", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "one", .kind = KIND_RELU, .guard = TENSOR_REF(byte)}, "b",
            "a");
    ck_assert_fails(program_check(&p), ERR_PLAN, "its guard byte is u8, expected i64 or f64");
    p.tensors[b].extent = pair;
    ck_assert_fails(program_check(&p), ERR_PLAN, "its extent pair is not a scalar of one i64");
    program_finish(&p);
}
END_TEST

START_TEST(an_index_of_a_byte_bounds_the_window_of_a_pool) {
    const int64_t kernels[] = {0, -1, 16, 17};
    for (int i = 0; i < 4; i++) {
        Program p = {0};
        Plan *plan = make_program(&p, 1);
        int64_t attrs[] = {kernels[i], 1, 0}, out = 20 - (kernels[i] - 1);
        make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(1, 1, 20, 20), DTYPE_F32);
        make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1, 1, out, out),
                    DTYPE_F32);
        make_tensor(&p, "n", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1, 1, out, out),
                    DTYPE_U8);
        make_op(&p, plan, (OpSpec){.name = "pool", .kind = KIND_MAX_POOL, .attrs = attrs}, "y n",
                "x");
        if (kernels[i] == 16)
            ck_assert_ok(program_check(&p));
        else
            ck_assert_fails(program_check(&p), ERR_PLAN, "expected 1 to 16");
        program_finish(&p);
    }
}
END_TEST

// What a plan file states and nobody executes must be so.
START_TEST(statements_about_a_logical_tensor_must_be_so) {
    Program p = {0};
    make_linear(&p, make_program(&p, 2));
    Tensor *w = &p.tensors[program_find_tensor(&p, "w")];
    Logical *l = &p.logicals[w->logical];
    l->trainable = 0;
    ck_assert_fails(check_one(&p), ERR_PLAN, "sgd.w: updates w, which is trainable=0");
    l->trainable = 1;
    l->tied_to = p.tensors[program_find_tensor(&p, "dw")].logical;
    ck_assert_fails(check_one(&p), ERR_PLAN, "tensor w: tied to dw, but no alias of it");
    program_finish(&p);
}
END_TEST

// relu again, into a second tensor of the activation; of another input, it is not the same again.
START_TEST(what_is_recomputed_was_computed_before) {
    for (int good = 0; good < 2; good++) {
        Program p = {0};
        Plan *plan = make_program(&p, 1);
        make_tensor(&p, "a", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
        make_tensor(&p, "b", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
        int y = make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
        TensorSpec again = {.name = "again",
                            .logical = p.tensors[y].logical,
                            .dtype = DTYPE_F32,
                            .role = ROLE_ACTIVATION};
        ck_assert_ok(program_add_tensor(&p, &again, NULL));
        make_op(&p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU}, "y", "a");
        make_op(&p, plan, (OpSpec){.name = "relu.again", .kind = KIND_RELU, .flags = OP_RECOMPUTE},
                "again", good ? "a" : "b");
        if (good)
            ck_assert_ok(check_one(&p));
        else
            ck_assert_fails(check_one(&p), ERR_PLAN,
                            "relu.again: flags=recompute, but no relu before it made again from "
                            "the same inputs");
        program_finish(&p);
    }
}
END_TEST

SUITE("plan_check", what_is_recomputed_was_computed_before,
      statements_about_a_logical_tensor_must_be_so, a_data_parallel_step_passes,
      a_missing_operation_is_named_by_who_needs_it,
      a_result_of_which_each_rank_has_a_part_is_refused, a_ring_does_not_keep_the_order_of_ranks,
      a_lane_carries_one_group, what_is_computed_together_has_the_same_rows_in_use,
      a_view_is_of_the_same_kind_of_memory, an_index_is_read_as_it_was_written,
      swapped_operations_are_found, reducing_twice_is_refused, shapes_that_do_not_fit_are_named,
      a_wrong_type_or_lane_is_named, window_sizes_are_checked,
      windows_that_are_not_square_are_checked, a_guard_on_communication_must_come_from_a_collective,
      members_must_issue_the_same_collectives, a_member_that_never_comes_is_a_deadlock,
      crossed_sends_and_receives_are_a_deadlock,
      a_cycle_of_dependencies_is_told_operation_by_operation, a_cycle_may_go_through_a_lane,
      extents_and_guards_must_be_numbers, an_index_of_a_byte_bounds_the_window_of_a_pool)
