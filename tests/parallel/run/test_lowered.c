// SPDX-License-Identifier: MIT
// What lowering gives, at work: memory for schedules, and no order that could stop what could run.
#include "tests/support/lockstep.h"
#include "tests/support/plan_maker.h"
#include "tests/support/testing.h"

// Around a ring of three, the partial sums of the chunks of others pass through memory that the
// lane was given: rank r has 10 r + i in place i.
START_TEST(a_reduce_scatter_around_a_ring_has_memory_for_partial_sums) {
    Lockstep m = {.logged = 0};
    Program *p = &m.program;
    Plan *plan = make_program(p, 3);
    int x = make_tensor(p, "x", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(6), DTYPE_F32);
    make_tensor(p, "state", ROLE_OPTIMISER, PLACEMENT_SUM, SHAPE(6), DTYPE_F32);
    ck_assert_ok(program_add_tensor(p,
                                    &(TensorSpec){.name = "y",
                                                  .shape = {2},
                                                  .logical = p->tensors[x].logical,
                                                  .role = ROLE_GRADIENT,
                                                  .placement = {PLACEMENT_SHARD(0)}},
                                    NULL));
    make_op(p, plan, (OpSpec){.name = "make x", .kind = KIND_FOLD}, "x", "state");
    make_op(p, plan,
            (OpSpec){.name = "scatter",
                     .kind = KIND_REDUCE_SCATTER,
                     .lane = 2,
                     .algorithm = ALGORITHM_RING,
                     .order = ORDER_SCHEDULE},
            "y", "x");
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
    const Tensor *work = &p->tensors[p->lanes[2].scratch];
    ck_assert_str_eq(tensor_name(p, p->lanes[2].scratch), "data.scratch");
    ck_assert_int_eq(work->bytes, 24);
    ck_assert_int_eq(work->pool, POOL_SHARED);
    for (int r = 0; r < 3; r++)
        for (int i = 0; i < 6; i++) lockstep_floats(&m, r, "state")[i] = (float)(10 * r + i);
    lockstep_step(&m, 0);
    for (int r = 0; r < 3; r++)
        ck_assert_pair(&m, r, "y", (float)(30 + 3 * (2 * r)), (float)(30 + 3 * (2 * r + 1)));
    lockstep_stop(&m);
}
END_TEST

static void make_message(Program *p, Plan *plan, Kind kind, int lane, int peer, const char *x) {
    make_op(p, plan, (OpSpec){.name = kind_name(kind), .kind = kind, .lane = lane, .peer = peer},
            kind == KIND_SEND ? "" : x, kind == KIND_SEND ? x : "");
}

// Each rank sends to the next on one lane and receives from the one before on another. The receive
// comes after the send in the plan, but waits for nothing: were it made to wait for the send, to
// take over the memory of what is sent, all ranks would wait for each other.
static void check_neighbours(int ranks) {
    Lockstep m = {.logged = 0};
    Program *p = &m.program;
    Plan *plan = make_program(p, ranks);
    int lane;
    ck_assert_ok(program_add_lane(p, "receive", LANE_COMMUNICATION, 0, &lane));
    make_tensor(p, "state", ROLE_OPTIMISER, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F32);
    make_tensor(p, "mine", ROLE_BUFFER, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F32);
    make_tensor(p, "got", ROLE_BUFFER, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F32);
    make_op(p, plan, (OpSpec){.name = "make", .kind = KIND_FOLD}, "mine", "state");
    make_message(p, plan, KIND_SEND, 2, 1, "mine");
    make_message(p, plan, KIND_RECEIVE, lane, -1, "got");
    make_op(p, plan, (OpSpec){.name = "use", .kind = KIND_FOLD}, "state", "got");
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(&m, &device_reference, &lockstep_plain, NULL);
    for (int r = 0; r < ranks; r++) lockstep_set(&m, r, "state", (float)r, (float)(10 * r));
    for (int step = 1; step <= 3; step++) {
        lockstep_step(&m, step);
        for (int r = 0; r < ranks; r++) {
            int from = ((r - step) % ranks + ranks) % ranks;
            ck_assert_pair(&m, r, "state", (float)from, (float)(10 * from));
        }
    }
    lockstep_stop(&m);
}

START_TEST(neighbours_exchange_around_a_ring) {
    for (int ranks = 2; ranks <= LOCKSTEP_RANKS; ranks++) check_neighbours(ranks);
}
END_TEST

static void load_seven(void *context, const LoadCall *call) {
    for (int i = 0; i < 2; i++) ((float *)call->x.data)[i] = 7.0f + (float)i;
}

// A copy brings to the device what the host wrote, on a lane beside the computation.
START_TEST(what_the_host_writes_is_copied_to_the_device) {
    Lockstep m = {.logged = 0};
    Program *p = &m.program;
    Plan *plan = make_program(p, 1);
    int lane;
    ck_assert_ok(program_add_lane(p, "copy", LANE_COPY, NONE, &lane));
    ck_assert_ok(program_add_scalar(p, "first", DTYPE_I64, 1, NULL));
    make_tensor(p, "x", ROLE_INPUT, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F32);
    make_tensor(p, "labels", ROLE_INPUT, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_I32);
    make_tensor(p, "x.there", ROLE_INPUT, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F32);
    make_tensor(p, "state", ROLE_STATE, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F32);
    make_op(p, plan, (OpSpec){.name = "load", .kind = KIND_LOAD, .lane = 1}, "x labels", "first");
    make_op(p, plan, (OpSpec){.name = "copy", .kind = KIND_COPY, .lane = lane}, "x.there", "x");
    make_op(p, plan, (OpSpec){.name = "add", .kind = KIND_FOLD, .flags = OP_ACCUMULATE}, "state",
            "x.there");
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(&m, &device_reference, &(DeviceTraits){.name = "apart", .own_memory = true},
                   load_seven);
    ck_assert_int_eq(p->tensors[program_find_tensor(p, "x")].pool, POOL_HOST);
    ck_assert_int_eq(p->tensors[program_find_tensor(p, "x.there")].pool, POOL_LOCAL);
    for (int step = 0; step < 3; step++) lockstep_step(&m, step);
    ck_assert_pair(&m, 0, "state", 21, 24);
    lockstep_stop(&m);
}
END_TEST

SUITE("lowered", a_reduce_scatter_around_a_ring_has_memory_for_partial_sums,
      neighbours_exchange_around_a_ring, what_the_host_writes_is_copied_to_the_device)
