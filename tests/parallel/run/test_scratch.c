// SPDX-License-Identifier: MIT
// The memory that lanes work in, at work.
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

SUITE("scratch", a_reduce_scatter_around_a_ring_has_memory_for_partial_sums)
