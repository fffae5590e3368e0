// SPDX-License-Identifier: MIT
// Placement rules of mixtures of experts (core/plan/placement_experts.c).
#include "tests/support/one_op.h"

#define ROUTE(tokens, queues)                                                              \
    "z " tokens " 2x3x4; g " tokens " 2x3x2; s " tokens " 2x3x2 i32; p " tokens " 2x3x4; " \
    "l " queues " 1x4 i64; c " queues " 1x4 i64"
#define ROUTED(tokens, queues, count)                                                      \
    "d " tokens " 2x3x4; g " tokens " 2x3x2; s " tokens " 2x3x2 i32; p " tokens " 2x3x4; " \
    "c " queues " 1x4 i64; n " count " 1 f64"
#define EXPERTS(x, weight, load, y) \
    "x " x " 2x3x4x6; w " weight " 3x5x6; l " load " 2x3 i64; y " y " 2x3x4x5"

START_TEST(experts_are_judged_by_how_their_operands_lie) {
    static const OneOp cases[] = {
        {KIND_ROUTE, ROUTE("S0", "S0"), "g s p l c", "z", NULL},
        {KIND_ROUTE, ROUTE("S1", "S0"), "g s p l c", "z", NULL},
        {KIND_ROUTE, ROUTE("R", "R"), "g s p l c", "z", NULL},
        {KIND_ROUTE, ROUTE("S0", "R"), "g s p l c", "z", "l is declared R along data"},
        {KIND_ROUTE, ROUTE("S2", "R"), "g s p l c", "z", "may be cut by rows or positions"},
        {KIND_ROUTE, ROUTE("P+", "P+"), "g s p l c", "z", "reduce it first"},
        {KIND_ROUTE_BACKWARD, ROUTED("S0", "S0", "R"), "d", "g p s c n", NULL},
        {KIND_ROUTE_BACKWARD, ROUTED("S0", "R", "R"), "d", "g p s c n", "not those of these"},
        {KIND_ROUTE_BACKWARD, ROUTED("S0", "S0", "D"), "d", "g p s c n", "n is D along data"},
        {KIND_BALANCE, "l P+ 2x6 f64; p S0 2x3x4; c S0 1x4 i64; n R 1 f64", "l", "p c n", NULL},
        {KIND_BALANCE, "l R 2x6 f64; p S0 2x3x4; c S0 1x4 i64; n R 1 f64", "l", "p c n",
         "its inputs make it P+"},
        {KIND_BALANCE, "l P+ 2x6 f64; p S1 2x3x4; c R 4x4 i64; n R 1 f64", "l", "p c n", NULL},
        {KIND_BALANCE, "l P+ 2x6 f64; p S1 2x3x4; c R 1x4 i64; n R 1 f64", "l", "p c n",
         "not those of these tokens"},
        {KIND_BALANCE, "l R 2x6 f64; p R 2x3x4; c D 1x4 i64; n R 1 f64", "l", "p c n",
         "its inputs make it D"},
        {KIND_ADD_BALANCE, "l P+ 2 f64; c P+ 3x6 f64", "l", "c", NULL},
        {KIND_ADD_BALANCE, "l R 2 f64; c P+ 3x6 f64", "l", "c", "its inputs make it P+"},
        {KIND_ADD_BALANCE, "l R 2 f64; c S0 3x6 f64", "l", "c", "each sum has all layers"},
        {KIND_COUNT_CHOICES, "l P+ 2x6 f64; s S1 2x3x2 i32; c S0 1x4 i64", "l", "s c", NULL},
        {KIND_COUNT_CHOICES, "l P+ 2x6 f64; s S1 2x3x2 i32; c D 1x4 i64", "l", "s c", NULL},
        {KIND_COUNT_CHOICES, "l P+ 2x6 f64; s S1 2x3x2 i32; c R 1x4 i64", "l", "s c",
         "not those of these tokens"},
        {KIND_DISPATCH, "x S1 2x3x4; s S1 2x3x2 i32; q S0 1x3x6x4", "q", "x s", NULL},
        {KIND_DISPATCH, "x S1 2x3x4; s S0 2x3x2 i32; q S0 1x3x6x4", "q", "x s",
         "x is S1 along data: the tokens do not lie alike"},
        {KIND_DISPATCH, "x S2 2x3x4; s R 2x3x2 i32; q S3 1x3x6x4", "q", "x s",
         "may be cut by rows or positions"},
        {KIND_DISPATCH_BACKWARD, "x S1 2x3x4; s S1 2x3x2 i32; q S0 1x3x6x4", "x", "q s", NULL},
        {KIND_COMBINE, "y S0 2x3x4; s S0 2x3x2 i32; q S0 1x3x6x4; g S0 2x3x2", "y", "q s g", NULL},
        {KIND_COMBINE, "y S0 2x3x4; s S0 2x3x2 i32; q S1 1x3x6x4; g S0 2x3x2", "y", "q s g",
         "q is S1 along data: the queues are not those of these tokens"},
        {KIND_COMBINE, "y P+ 2x3x4; s R 2x3x2 i32; q P+ 1x3x6x4; g R 2x3x2", "y", "q s g", NULL},
        {KIND_COMBINE, "y R 2x3x4; s R 2x3x2 i32; q P+ 1x3x6x4; g R 2x3x2", "y", "q s g",
         "its inputs make it P+"},
        {KIND_COMBINE, "y P+ 2x3x4; s R 2x3x2 i32; q P+ 1x3x6x4; g P+ 2x3x2", "y", "q s g",
         "reduce it first"},
        {KIND_COMBINE, "y P+ 2x3x4; s R 2x3x2 i32; q Pmax 1x3x6x4; g R 2x3x2", "y", "q s g",
         "reduce it first"},
        {KIND_DISPATCH_BACKWARD, "x P+ 2x3x4; s R 2x3x2 i32; q P+ 1x3x6x4", "x", "q s", NULL},
        {KIND_COMBINE_BACKWARD,
         "y R 2x3x4; s R 2x3x2 i32; q P+ 1x3x6x4; g R 2x3x2; e R 1x3x6x4; f P+ 2x3x2", "e f",
         "y q s g", NULL},
        {KIND_COMBINE_BACKWARD,
         "y P+ 2x3x4; s R 2x3x2 i32; q P+ 1x3x6x4; g R 2x3x2; e R 1x3x6x4; f P+ 2x3x2", "e f",
         "y q s g", "reduce it first"},
        {KIND_COMBINE_BACKWARD,
         "y S0 2x3x4; s S0 2x3x2 i32; q S0 1x3x6x4; g S0 2x3x2; e S0 1x3x6x4; f S0 2x3x2", "e f",
         "y q s g", NULL},
        {KIND_COMBINE_BACKWARD,
         "y S0 2x3x4; s S0 2x3x2 i32; q R 1x3x6x4; g S0 2x3x2; e R 1x3x6x4; f S0 2x3x2", "e f",
         "y q s g", "not those of these tokens"},
        {KIND_EXPERT_LINEAR, EXPERTS("S0", "R", "S0", "S0"), "y", "x w l", NULL},
        {KIND_EXPERT_LINEAR, EXPERTS("S1", "S0", "S1", "S1"), "y", "x w l", NULL},
        {KIND_EXPERT_LINEAR, EXPERTS("R", "S1", "R", "S3"), "y", "x w l", NULL},
        {KIND_EXPERT_LINEAR, EXPERTS("S3", "S2", "R", "P+"), "y", "x w l", NULL},
        {KIND_EXPERT_LINEAR, EXPERTS("S3", "S2", "R", "R"), "y", "x w l", "its inputs make it P+"},
        {KIND_EXPERT_LINEAR, EXPERTS("S1", "R", "S1", "S1"), "y", "x w l", "queues do not fit"},
        {KIND_EXPERT_LINEAR, EXPERTS("S0", "S0", "S0", "S0"), "y", "x w l", "queues do not fit"},
        {KIND_EXPERT_LINEAR, EXPERTS("S0", "R", "R", "S0"), "y", "x w l", "do not lie alike"},
        {KIND_EXPERT_LINEAR, EXPERTS("S2", "R", "S2", "S2"), "y", "x w l", "S2 along data"},
        {KIND_EXPERT_LINEAR_BACKWARD_INPUT, EXPERTS("S0", "R", "S0", "S0"), "x", "y w l", NULL},
        {KIND_EXPERT_LINEAR_BACKWARD_INPUT, EXPERTS("S1", "S0", "S1", "S1"), "x", "y w l", NULL},
        {KIND_EXPERT_LINEAR_BACKWARD_INPUT, EXPERTS("P+", "S1", "R", "S3"), "x", "y w l", NULL},
        {KIND_EXPERT_LINEAR_BACKWARD_INPUT, EXPERTS("S3", "S2", "R", "R"), "x", "y w l", NULL},
        {KIND_EXPERT_LINEAR_BACKWARD_INPUT, EXPERTS("S1", "R", "S1", "S1"), "x", "y w l",
         "the gradient does not fit"},
        {KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, EXPERTS("S0", "P+", "S0", "S0"), "w", "x y l", NULL},
        {KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, EXPERTS("S1", "S0", "S1", "S1"), "w", "x y l", NULL},
        {KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, EXPERTS("R", "S1", "R", "S3"), "w", "x y l", NULL},
        {KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, EXPERTS("S3", "S2", "R", "R"), "w", "x y l", NULL},
        {KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, EXPERTS("R", "R", "R", "R"), "w", "x y l", NULL},
        {KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, EXPERTS("S0", "R", "S0", "S0"), "w", "x y l",
         "its inputs make it P+"},
        {KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, EXPERTS("S0", "R", "S0", "S1"), "w", "x y l",
         "the input is not cut alike"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) one_op_judge(&cases[i]);
}
END_TEST

SUITE("placements of experts", experts_are_judged_by_how_their_operands_lie)
