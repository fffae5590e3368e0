// SPDX-License-Identifier: MIT
// What the rules of kinds say to placements of their operands (core/plan/check_placements.c).
#include "core/plan/check.h"

#include "tests/support/plan_maker.h"

static Status check_one(const Program *p) {
    const ProgramSet set = program_set_of_one(p);
    return plan_check(&set);
}

// Row-parallel linear: x cut along its columns, the weight too, so every rank holds a partial sum.
START_TEST(a_bias_may_not_be_added_to_a_partial_sum) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_SHARD(1), SHAPE(2, 4), DTYPE_F32);
    make_tensor(&p, "w", ROLE_PARAMETER, PLACEMENT_SHARD(1), SHAPE(3, 4), DTYPE_F32);
    make_tensor(&p, "b", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(3), DTYPE_F32);
    make_tensor(&p, "y", ROLE_OPTIMISER, PLACEMENT_SUM, SHAPE(2, 3), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "row", .kind = KIND_LINEAR}, "y", "x w");
    ck_assert_ok(check_one(&p));
    make_op(&p, plan, (OpSpec){.name = "biased", .kind = KIND_LINEAR}, "y", "x w b");
    ck_assert_fails(check_one(&p), ERR_PLAN,
                    "biased: b is R along data: a bias added to a partial sum");
    program_finish(&p);
}
END_TEST

START_TEST(a_nonlinear_function_of_a_partial_sum_is_refused) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
    make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "act", .kind = KIND_RELU}, "y", "x");
    ck_assert_fails(check_one(&p), ERR_PLAN, "act: x is P+ along data: not a linear operation");
    program_finish(&p);
}
END_TEST

// The sum of partial sums is a partial sum; of maxima it is nothing.
START_TEST(a_linear_function_of_a_partial_sum_is_a_partial_sum) {
    const struct {
        Placement a, b, y;
        const char *refusal;
    } cases[] = {
        {PLACEMENT_SUM, PLACEMENT_SUM, PLACEMENT_SUM, NULL},
        {PLACEMENT_SHARD(0), PLACEMENT_SHARD(0), PLACEMENT_SHARD(0), NULL},
        {PLACEMENT_SUM, PLACEMENT_SUM, PLACEMENT_REPLICATED, "its inputs make it P+"},
        {PLACEMENT_SUM, PLACEMENT_REPLICATED, PLACEMENT_SUM, "do not lie alike"},
        {PLACEMENT_MAX, PLACEMENT_MAX, PLACEMENT_MAX, "a sum of maxima"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Program p = {0};
        Plan *plan = make_program(&p, 2);
        make_tensor(&p, "a", ROLE_PARAMETER, cases[i].a, SHAPE(4, 2), DTYPE_F32);
        make_tensor(&p, "b", ROLE_PARAMETER, cases[i].b, SHAPE(4, 2), DTYPE_F32);
        make_tensor(&p, "y", ROLE_OPTIMISER, cases[i].y, SHAPE(4, 2), DTYPE_F32);
        make_op(&p, plan, (OpSpec){.name = "sum", .kind = KIND_ADD}, "y", "a b");
        if (cases[i].refusal)
            ck_assert_fails(check_one(&p), ERR_PLAN, cases[i].refusal);
        else
            ck_assert_ok(check_one(&p));
        program_finish(&p);
    }
}
END_TEST

SUITE("check_placements", a_bias_may_not_be_added_to_a_partial_sum,
      a_nonlinear_function_of_a_partial_sum_is_refused,
      a_linear_function_of_a_partial_sum_is_a_partial_sum)
