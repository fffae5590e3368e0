// SPDX-License-Identifier: MIT
#include "core/plan/lower.h"

#include "core/plan/check.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/plan_maker.h"

static int64_t some_scratch(const Program *p, const Plan *plan, const Op *members, int count) {
    return 100 * count;  // of the longest chain
}

static const DeviceTraits plain = {.name = "plain"};
static const DeviceTraits fusing = {
    .name = "fusing", .fusions = ~0u, .scratch_bytes = some_scratch};

static int find_op(const Program *p, const Plan *plan, const char *name) {
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(p, &plan->ops[i]), name)) return i;
    return NONE;
}

// x -> conv -> relu -> pool, and back: what model_emit() makes of a convolutional layer.
// clang-format off
static Plan *make_conv(Program *p, bool other_reader) {
    Plan *plan = make_program(p, 1);
    static const struct {
        const char *name;
        Role role;
        int64_t shape[4];
        Dtype dtype;
    } tensors[] = {
        {"x", ROLE_INPUT, {2, 1, 6, 6}, DTYPE_F32}, {"w", ROLE_PARAMETER, {3, 1, 3, 3}, DTYPE_F32},
        {"z", ROLE_ACTIVATION, {2, 3, 4, 4}, DTYPE_F32},
        {"r", ROLE_ACTIVATION, {2, 3, 4, 4}, DTYPE_F32},
        {"p", ROLE_ACTIVATION, {2, 3, 2, 2}, DTYPE_F32},
        {"index", ROLE_ACTIVATION, {2, 3, 2, 2}, DTYPE_U8},
        {"dp", ROLE_ACTIVATION, {2, 3, 2, 2}, DTYPE_F32},
        {"dm", ROLE_ACTIVATION, {2, 3, 2, 2}, DTYPE_F32},
        {"dz", ROLE_ACTIVATION, {2, 3, 4, 4}, DTYPE_F32},
        {"dw", ROLE_GRADIENT, {3, 1, 3, 3}, DTYPE_F32},
        {"dx", ROLE_ACTIVATION, {2, 1, 6, 6}, DTYPE_F32},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        make_tensor(p, tensors[i].name, tensors[i].role, PLACEMENT_REPLICATED, 4, tensors[i].shape,
                    tensors[i].dtype);
    make_tensor(p, "labels", ROLE_INPUT, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_I32);
    ck_assert_ok(program_add_scalar(p, "first", DTYPE_I64, 1, NULL));
    static const int64_t conv[] = {3, 1, 0}, pool[] = {2, 2, 0};
    make_op(p, plan, (OpSpec){.name = "load", .kind = KIND_LOAD, .lane = 1}, "x labels", "first");
    make_op(p, plan, (OpSpec){.name = "conv.forward", .layer = "conv", .kind = KIND_CONV2D,
            .phase = PHASE_FORWARD, .attrs = conv, .flops = 10}, "z", "x w");
    make_op(p, plan, (OpSpec){.name = "relu.forward", .layer = "relu", .kind = KIND_RELU, .phase =
            PHASE_FORWARD, .flops = 1}, "r", "z");
    make_op(p, plan, (OpSpec){.name = "pool.forward", .layer = "pool", .kind = KIND_MAX_POOL,
            .phase = PHASE_FORWARD, .attrs = pool, .flops = 2}, "p index", "r");
    make_op(p, plan, (OpSpec){.name = "top", .kind = KIND_RELU}, "dp", "p");
    make_op(p, plan, (OpSpec){.name = "relu.backward", .layer = "relu", .kind =
            KIND_RELU_BACKWARD, .phase = PHASE_BACKWARD}, "dm", "dp p");
    make_op(p, plan, (OpSpec){.name = "pool.backward", .layer = "pool", .kind =
            KIND_MAX_POOL_BACKWARD, .phase = PHASE_BACKWARD, .attrs = pool}, "dz", "dm index");
    make_op(p, plan, (OpSpec){.name = "conv.backward_weight", .layer = "conv", .kind =
            KIND_CONV2D_BACKWARD_WEIGHT, .phase = PHASE_BACKWARD, .attrs = conv}, "dw", "x dz");
    make_op(p, plan, (OpSpec){.name = "conv.backward_input", .layer = "conv", .kind =
            KIND_CONV2D_BACKWARD_INPUT, .phase = PHASE_BACKWARD, .attrs = conv}, "dx", "dz w");
    if (other_reader) make_op(p, plan, (OpSpec){.name = "reader", .kind = KIND_RELU}, "r", "r");
    ck_assert_ok(plan_derive_deps(p, plan));
    return plan;
}
// clang-format on

START_TEST(chains_become_fused_operations_that_list_their_members) {
    Program p = {0};
    Plan *plan = make_conv(&p, false);
    ck_assert_ok(program_lower(&p, &fusing));
    ck_assert_int_eq(plan->op_count, 4);
    const Op *forward = &plan->ops[find_op(&p, plan, "conv+relu+pool.forward")];
    ck_assert_int_eq(forward->member_count, 3);
    ck_assert_str_eq(op_name(&p, &plan->members[forward->member_first + 1]), "relu.forward");
    ck_assert_int_eq(op_work(&p, forward)->flops, 13);
    ck_assert_int_eq(forward->outputs, 2);  // p and the index
    ck_assert_int_eq(forward->inputs, 2);   // x and w
    int back = find_op(&p, plan, "relu+pool+conv.backward");
    ck_assert_int_ne(back, NONE);
    ck_assert_int_eq(plan->ops[back].member_count, 4);
    ck_assert(depends(plan, back, find_op(&p, plan, "conv+relu+pool.forward"), 0));
    program_finish(&p);
}
END_TEST

START_TEST(what_only_members_touch_gets_no_memory) {
    Program p = {0};
    make_conv(&p, false);
    ck_assert_ok(program_lower(&p, &fusing));
    const char *const virtual[] = {"z", "r", "dm", "dz"}, *const stored[] = {"x",     "w",  "p",
                                                                             "index", "dp", "dw",
                                                                             "dx"};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(p.tensors[program_find_tensor(&p, virtual[i])].offset, NONE);
    for (int i = 0; i < 7; i++)
        ck_assert_int_ne(p.tensors[program_find_tensor(&p, stored[i])].offset, NONE);
    program_finish(&p);
}
END_TEST

START_TEST(a_chain_whose_result_is_read_elsewhere_is_left_alone) {
    Program p = {0};
    Plan *plan = make_conv(&p, true);
    ck_assert_ok(program_lower(&p, &fusing));
    ck_assert_int_eq(find_op(&p, plan, "conv+relu+pool.forward"), NONE);
    ck_assert_int_ne(find_op(&p, plan, "pool.forward"), NONE);
    program_finish(&p);
}
END_TEST

START_TEST(a_device_without_fusions_gets_none) {
    Program p = {0};
    Plan *plan = make_conv(&p, false);
    ck_assert_ok(program_lower(&p, &plain));
    ck_assert_int_eq(plan->op_count, 9);
    ck_assert_fails(program_lower(&p, &plain), ERR_PLAN, "already lowered, for plain");
    program_finish(&p);
}
END_TEST

static bool lives(const Program *p, const Plan *plan, int tensor, int op) {
    int first = NONE, last = NONE;
    for (int i = 0; i < plan->op_count; i++)
        for (int o = 0; o < plan->ops[i].outputs + plan->ops[i].inputs; o++)
            if (op_outputs(plan, &plan->ops[i])[o] == tensor) {
                if (first == NONE) first = i;
                last = i;
            }
    return first != NONE && first <= op && op <= last;
}

START_TEST(memory_is_aligned_and_shared_only_after_death) {
    for (int fused = 0; fused < 2; fused++) {
        Program p = {0};
        Plan *plan = make_conv(&p, false);
        ck_assert_ok(program_lower(&p, fused ? &fusing : &plain));
        for (int op = 0; op < plan->op_count; op++)
            for (int a = 0; a < p.tensor_count; a++)
                for (int b = 0; b < a; b++) {
                    const Tensor *ta = &p.tensors[a], *tb = &p.tensors[b];
                    if (ta->offset == NONE || tb->offset == NONE || ta->pool != tb->pool) continue;
                    ck_assert_int_eq(ta->offset % 64, 0);
                    if (!lives(&p, plan, a, op) || !lives(&p, plan, b, op)) continue;
                    ck_assert(ta->offset + ta->bytes <= tb->offset ||
                              tb->offset + tb->bytes <= ta->offset);
                }
        program_finish(&p);
    }
}
END_TEST

// Activations unfused: z r (384 B each) p dp dm (96 -> 128) index (24 -> 64) dz (384) dx (288 ->
// 320). z dies when r is made, so dz or dx can have its place: less than the sum of all.
START_TEST(transient_memory_is_reused) {
    Program p = {0};
    make_conv(&p, false);
    ck_assert_ok(program_lower(&p, &plain));
    int64_t sum = 384 * 3 + 128 * 3 + 64 + 320;
    ck_assert_int_lt(p.role_bytes[POOL_LOCAL][ROLE_ACTIVATION], sum);
    ck_assert_int_ge(p.role_bytes[POOL_LOCAL][ROLE_ACTIVATION], 384 * 2);
    ck_assert_int_eq(program_memory(&p, MEMORY_PARAMETERS), 128);  // 27 floats, rounded up to 64
    ck_assert_int_eq(program_memory(&p, MEMORY_SCRATCH), 64);      // the scalar
    int64_t classes = 0;
    for (int m = 0; m < MEMORY_COUNT; m++) classes += program_memory(&p, (Memory)m);
    ck_assert_int_eq(classes, p.pool_bytes[POOL_LOCAL] + p.pool_bytes[POOL_SHARED]);
    program_finish(&p);
}
END_TEST

START_TEST(scratch_is_the_largest_need) {
    Program p = {0};
    make_conv(&p, false);
    ck_assert_ok(program_lower(&p, &fusing));
    int scratch = program_find_tensor(&p, "compute.scratch");
    ck_assert_int_eq(p.tensors[scratch].bytes, 400);
    ck_assert_int_eq(program_memory(&p, MEMORY_SCRATCH), 448 + 64);
    ck_assert_int_eq(p.lanes[0].scratch, scratch);
    ck_assert_int_eq(p.lanes[1].scratch, NONE);
    program_finish(&p);
}
END_TEST

// Two streams compute at the same time: neither may write where the other works.
START_TEST(each_lane_has_scratch_of_its_own) {
    Program p = {0};
    Plan *plan = make_conv(&p, false);
    int lane;
    ck_assert_ok(program_add_lane(&p, "side", LANE_COMPUTE, NONE, &lane));
    make_op(&p, plan, (OpSpec){.name = "beside", .kind = KIND_RELU, .lane = lane}, "dp", "p");
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert_ok(program_lower(&p, &fusing));
    const Tensor *a = &p.tensors[p.lanes[0].scratch], *b = &p.tensors[p.lanes[lane].scratch];
    ck_assert_int_eq(a->bytes, 400);
    ck_assert_int_eq(b->bytes, 100);
    ck_assert(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
    program_finish(&p);
}
END_TEST

// Only where the device's memory is not the host's; x and labels are loaded, three scalars are
// written, and the loss is a scalar that peers address.
START_TEST(what_the_host_writes_has_a_pool_of_its_own) {
    Program one = {0}, two = {0};
    make_linear(&one, make_program(&one, 2));
    make_linear(&two, make_program(&two, 2));
    ck_assert_ok(program_lower(&one, &plain));
    ck_assert_ok(program_lower(&two, &(DeviceTraits){.name = "apart", .own_memory = true}));
    static const char *const written[] = {"x", "labels", "lr", "inverse", "first"};
    ck_assert_int_eq(one.pool_bytes[POOL_HOST], 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(two.tensors[program_find_tensor(&two, written[i])].pool, POOL_HOST);
    ck_assert_int_eq(two.pool_bytes[POOL_HOST], 5 * 64);
    ck_assert_int_eq(two.pool_bytes[POOL_LOCAL] + 5 * 64, one.pool_bytes[POOL_LOCAL]);
    ck_assert_int_eq(two.pool_bytes[POOL_SHARED], one.pool_bytes[POOL_SHARED]);
    program_finish(&one);
    program_finish(&two);
}
END_TEST

START_TEST(what_is_communicated_lies_where_peers_can_address_it) {
    Program p = {0};
    make_linear(&p, make_program(&p, 2));
    ck_assert_ok(program_lower(&p, &plain));
    ck_assert_int_eq(p.tensors[program_find_tensor(&p, "dw")].pool, POOL_SHARED);
    ck_assert_int_eq(p.tensors[program_find_tensor(&p, "w")].pool, POOL_LOCAL);
    ck_assert_int_eq(p.pool_bytes[POOL_SHARED], 128);  // 12 floats, and the loss
    program_finish(&p);
}
END_TEST

START_TEST(lowering_is_pure) {
    Program a = {0}, b = {0};
    make_conv(&a, false);
    make_conv(&b, false);
    ck_assert_ok(program_lower(&a, &fusing));
    ck_assert_ok(program_lower(&b, &fusing));
    ck_assert_int_eq(a.tensor_count, b.tensor_count);
    ck_assert_mem_eq(a.tensors, b.tensors, sizeof(Tensor) * (size_t)a.tensor_count);
    ck_assert_mem_eq(a.pool_bytes, b.pool_bytes, sizeof a.pool_bytes);
    program_finish(&a);
    program_finish(&b);
}
END_TEST

// A gradient that is communicated between the halves of a backward: fused, they
// still come before it.
START_TEST(communication_between_members_follows_the_fused_operation) {
    Program p = {0};
    Plan *plan = make_conv(&p, false);
    make_op(&p, plan, (OpSpec){.name = "reduce", .kind = KIND_ALL_REDUCE, .lane = 2}, "dw", "dw");
    ck_assert_ok(plan_select(plan, (int[]){0, 1, 2, 3, 4, 5, 6, 7, 9, 8},
                             (uint8_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert_ok(program_lower(&p, &fusing));
    int back = find_op(&p, plan, "relu+pool+conv.backward"), reduce = find_op(&p, plan, "reduce");
    ck_assert_int_ne(back, NONE);
    ck_assert_int_lt(back, reduce);
    ck_assert(depends(plan, reduce, back, 0));
    program_finish(&p);
}
END_TEST

SUITE("lower", chains_become_fused_operations_that_list_their_members,
      what_only_members_touch_gets_no_memory, a_chain_whose_result_is_read_elsewhere_is_left_alone,
      a_device_without_fusions_gets_none, memory_is_aligned_and_shared_only_after_death,
      transient_memory_is_reused, scratch_is_the_largest_need, each_lane_has_scratch_of_its_own,
      what_the_host_writes_has_a_pool_of_its_own,
      what_is_communicated_lies_where_peers_can_address_it, lowering_is_pure,
      communication_between_members_follows_the_fused_operation)
