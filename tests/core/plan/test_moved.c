// SPDX-License-Identifier: MIT
#include "core/plan/moved.h"

#include "tests/support/plan_maker.h"

// x, y and the rest have 4 numbers of 4 bytes, the table 8 rows of 4, the rate 8 bytes. Of a table
// the rows asked for are read, and no more than it has; of several sums gradients and scalars.
START_TEST(what_is_updated_or_added_to_is_read_too) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    static const char *const updated[] = {"weight", "velocity", "square"};
    for (int i = 0; i < 3; i++)
        make_tensor(&p, updated[i], ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_tensor(&p, "x", ROLE_GRADIENT, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_tensor(&p, "rate", ROLE_SCALAR, PLACEMENT_REPLICATED, SHAPE(1), DTYPE_F64);
    make_tensor(&p, "step", ROLE_SCALAR, PLACEMENT_REPLICATED, SHAPE(1), DTYPE_I64);
    make_tensor(&p, "table", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(8, 4), DTYPE_F32);
    make_tensor(&p, "tokens", ROLE_INPUT, PLACEMENT_REPLICATED, SHAPE(1, 2), DTYPE_I32);
    make_tensor(&p, "rows", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1, 2, 4), DTYPE_F32);
    make_tensor(&p, "questions", ROLE_INPUT, PLACEMENT_REPLICATED, SHAPE(1, 16), DTYPE_I32);
    make_tensor(&p, "many", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1, 16, 4), DTYPE_F32);
    const struct {
        Kind kind;
        int flags;
        const char *out, *in;
        int64_t bytes;
    } cases[] = {
        {KIND_SGD, 0, "weight", "x rate", 3 * 16 + 8},
        {KIND_SGD, 0, "weight velocity", "x rate", 5 * 16 + 8},
        {KIND_ADAM, 0, "weight velocity square", "x rate step", 7 * 16 + 8 + 8},
        {KIND_INCREMENT, 0, "step", "", 2 * 8},
        {KIND_FOLD, 0, "y", "x", 2 * 16},
        {KIND_FOLD, OP_ACCUMULATE, "y", "x", 3 * 16},
        {KIND_CROSS_ENTROPY, OP_ACCUMULATE, "rate y", "y tokens rate", 2 * 8 + 2 * 16 + 8 + 8},
        {KIND_CROSS_ENTROPY, OP_ACCUMULATE, "y x", "y", 16 + 2 * 16 + 16},
        {KIND_RESCALE, 0, "rate", "x", 16 + 2 * 8},
        {KIND_EMBEDDING, 0, "rows", "tokens table", 8 + 2 * 32},
        {KIND_EMBEDDING, 0, "many", "questions table", 64 + 128 + 256},
        {KIND_SLICE, 0, "y", "table", 2 * 16},
        {KIND_FEED_ERROR, 0, "y", "table x", 3 * 16},
        {KIND_KEEP_ERROR, 0, "table", "x y", 4 * 16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int op = make_op(&p, plan,
                         (OpSpec){.name = "op", .kind = cases[i].kind, .flags = cases[i].flags},
                         cases[i].out, cases[i].in);
        ck_assert_int_eq(moved_bytes(&p, plan, &plan->ops[op]), cases[i].bytes);
    }
    ck_assert_int_eq(plan->ops[4].work, plan->ops[5].work);  // what is done is the same
    program_finish(&p);
}
END_TEST

SUITE("moved", what_is_updated_or_added_to_is_read_too)
