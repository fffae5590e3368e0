// SPDX-License-Identifier: MIT
#include "core/plan/check.h"
#include "tests/support/plan_maker.h"

// What counts rows is read by whoever has such operands: it waits for the operation that writes it,
// on whichever lane, and that one for the readers of the step before.
START_TEST(an_extent_is_written_before_it_is_used) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    int rows, count;
    ck_assert_ok(program_add_scalar(&p, "rows", DTYPE_I64, 1, &rows));
    ck_assert_ok(program_add_scalar(&p, "count", DTYPE_I64, 1, &count));
    int32_t x = make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    int32_t y = make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    p.tensors[x].extent = p.tensors[y].extent = count;
    int lane;
    ck_assert_ok(program_add_lane(&p, "second", LANE_COMPUTE, NONE, &lane));
    int take = make_op(
        &p, plan, (OpSpec){.name = "take", .kind = KIND_COPY, .dtype = DTYPE_I64, .lane = lane},
        "count", "rows");
    int relu = make_op(&p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU}, "y", "x");
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert_ok(program_check(&p));
    bool waits[2] = {0};
    for (int i = 0; i < plan->dep_count; i++) {
        const Dep *d = &plan->deps[i];
        waits[0] |= i >= plan->ops[relu].dep_first && d->op == take && d->distance == 0;
        waits[1] |= i < plan->ops[relu].dep_first && d->op == relu && d->distance == 1;
    }
    ck_assert(waits[0] && waits[1]);
    Op first = plan->ops[take];
    plan->ops[take] = plan->ops[relu];
    plan->ops[relu] = first;
    plan->ops[0].dep_count = plan->ops[1].dep_count = plan->dep_count = 0;
    ck_assert_fails(program_check(&p), ERR_PLAN,
                    "relu: y has count rows in use, which no operation wrote before");
    program_finish(&p);
}
END_TEST

SUITE("check_extents", an_extent_is_written_before_it_is_used)
