// SPDX-License-Identifier: MIT
// What the rules of kinds say to placements of their operands (core/plan/check_placements.c).
#include "core/plan/check.h"

#include "tests/support/one_op.h"

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

#define QKV(place) "q " place " 2x3x4; k " place " 2x3x4; v " place " 2x3x4; "
#define PACKED "g S2 2x3x4; y S2 2x3x4; l S2 2x3x1; "
#define DRAWN "s R 1 i64; t R 1 i64; "
#define NORM(x, t, w) "x " x " 2x3x2; t " t " 1x3x3 f64; w " w " 3; b " w " 3; "
#define NORMED(t, s) NORM("S0", t, "R") "g S0 2x3x2; s " s " 2x3 f64; d S0 2x3x2"
#define LOSS "y S0 2x3; l S0 2 i32; c R 1 f64; "

START_TEST(computations_are_judged_by_how_their_operands_lie) {
    const OneOp cases[] = {
        {KIND_LOAD, "x S0 2x4; l S0 2 i32; f D 1 i64", "x l", "f", NULL},
        {KIND_LOAD, "x R 2x4; l R 2 i32; f R 1 i64", "x l", "f", NULL},
        {KIND_LOAD, "x R 2x4; l R 2 i32; f D 1 i64", "x l", "f", "its inputs make it S0"},
        {KIND_LOAD, "x S0 2x4; l S0 2 i32; f R 1 i64", "x l", "f", "its inputs make it R"},
        {KIND_LOAD, "x S0 2x4; l R 2 i32; f D 1 i64", "x l", "f", "l is declared R along data"},
        {KIND_LINEAR, "x S1 2x4; w S1 3x4; y P+ 2x3", "y", "x w", NULL},
        {KIND_LINEAR, "x R 2x4; w S0 3x4; y S1 2x3", "y", "x w", NULL},
        {KIND_LINEAR, "x R 2x4; w S0 3x4; b S0 3; y S1 2x3", "y", "x w b", NULL},
        {KIND_LINEAR, "x R 2x4; w S0 3x4; b R 3; y S1 2x3", "y", "x w b",
         "b is R along data: the weight is not cut alike"},
        {KIND_LINEAR, "x R 2x4; w S0:interleaved/3 3x4; y S1:interleaved/3 2x3", "y", "x w", NULL},
        {KIND_LINEAR, "x R 2x4; w S0:interleaved/3 3x4; y S1 2x3", "y", "x w",
         "its inputs make it S1:interleaved/3"},
        {KIND_LINEAR, "x S1 2x4; w S1:zigzag 3x4; y P+ 2x3", "y", "x w", "the input does not fit"},
        {KIND_LINEAR, "x S0 2x4; w R 3x4; y R 2x3", "y", "x w", "its inputs make it S0"},
        {KIND_LINEAR, "x P+ 2x4; w R 3x4; y P+ 2x3", "y", "x w", "reduce it first"},
        {KIND_LINEAR, "x O 2x4; w R 3x4; y O 2x3", "y", "x w", NULL},
        {KIND_LINEAR, "x O 2x4; w R 3x4; y R 2x3", "y", "x w", "its inputs make it O"},
        {KIND_LINEAR, "x O 2x4; w S0 3x4; y O 2x3", "y", "x w", "held by one coordinate alone"},
        {KIND_LINEAR, "x D 2x4; w S0 3x4; y S1 2x3", "y", "x w", "what differs from rank to rank"},
        {KIND_CONV2D, "x S2 2x2x4x4; w R 3x2x1x1; y S2 2x3x4x4", "y", "x w",
         "cut by rows, or by channels"},
        {KIND_LINEAR_BACKWARD_INPUT, "g S1 2x3; w S0 3x4; y P+ 2x4", "y", "g w", NULL},
        {KIND_LINEAR_BACKWARD_INPUT, "g S1 2x3; w S0 3x4; y R 2x4", "y", "g w",
         "its inputs make it P+"},
        {KIND_LINEAR_BACKWARD_INPUT, "g P+ 2x3; w R 3x4; y P+ 2x4", "y", "g w", "reduce it first"},
        {KIND_LINEAR_BACKWARD_WEIGHT, "x S0 2x4; g S0 2x3; w P+ 3x4", "w", "x g", NULL},
        {KIND_LINEAR_BACKWARD_WEIGHT, "x S0 2x4; g S0 2x3; w R 3x4", "w", "x g",
         "its inputs make it P+"},
        {KIND_LINEAR_BACKWARD_WEIGHT, "x R 2x4; g S0 2x3; w P+ 3x4", "w", "x g",
         "the input is not cut alike"},
        {KIND_LINEAR_BACKWARD_WEIGHT, "x R 2x4; g S1 2x3; w S0 3x4", "w", "x g", NULL},
        {KIND_GELU, "x S1 2x4; y S1 2x4", "y", "x", NULL},
        {KIND_GELU, "x S1 2x4; y R 2x4", "y", "x", "its inputs make it S1"},
        {KIND_GELU, "x P+ 2x4; y P+ 2x4", "y", "x", "not a linear operation"},
        {KIND_GELU, "x R 2x4; y D 2x4", "y", "x", NULL},
        {KIND_GELU, "x D 2x4; y R 2x4", "y", "x", "its inputs make it D"},
        {KIND_GELU, "x O:1 2x4; y O 2x4", "y", "x", "its inputs make it O:1"},
        {KIND_FOLD, "x P+ 2x4; y P+ 2x4", "y", "x", NULL},
        {KIND_FOLD, "x P+ 2x4; y R 2x4", "y", "x", "its inputs make it P+"},
        {KIND_MAX_POOL, "x S1 2x2x4x4; y S1 2x2x4x4", "y", "x", NULL},
        {KIND_MAX_POOL, "x S2 2x2x4x4; y S2 2x2x4x4", "y", "x", "windows reach over the edges"},
        {KIND_AVG_POOL, "x P+ 2x2x4x4; y P+ 2x2x4x4", "y", "x", NULL},
        {KIND_AVG_POOL, "x S3 2x2x4x4; y S3 2x2x4x4", "y", "x", "windows reach over the edges"},
        {KIND_ATTENTION, QKV("S0") "y S0 2x3x4; l S0 2x3x1", "y l", "q k v", NULL},
        {KIND_ATTENTION, QKV("S2") "y S2 2x3x4; l S2 2x3x1", "y l", "q k v", NULL},
        {KIND_ATTENTION, QKV("S2") "y S2 2x3x4", "y", "q k v", NULL},
        {KIND_ATTENTION, QKV("S2") "y R 2x3x4", "y", "q k v", "its inputs make it S2"},
        {KIND_ATTENTION, QKV("S1") "y S1 2x3x4", "y", "q k v", "cut by rows, or by heads"},
        {KIND_ATTENTION, QKV("S2:zigzag") "y S2:zigzag 2x3x4", "y", "q k v", "or by heads"},
        {KIND_ATTENTION, QKV("P+") "y P+ 2x3x4", "y", "q k v", "reduce it first"},
        {KIND_ATTENTION_BACKWARD,
         QKV("S2") "g S2 2x3x4; y S2 2x3x4; l S2 2x3x1; a S2 2x3x4; "
                   "b S2 2x3x4; c P+ 2x3x4",
         "a b c", "g y l q k v", "its inputs make it S2"},
        {KIND_ATTENTION_PACKED, "x S0 2x3x12; y S0 2x3x4", "y", "x", NULL},
        {KIND_ATTENTION_PACKED, "x S2:interleaved/3 2x3x12; y S2 2x3x4", "y", "x", NULL},
        {KIND_ATTENTION_PACKED, "x S2 2x3x12; y S2 2x3x4", "y", "x", "S2:interleaved/3"},
        {KIND_ATTENTION_PACKED, "x S1 2x3x12; y S1 2x3x4", "y", "x", "cut by rows, or by heads"},
        {KIND_ATTENTION_SCORES, "x S2:interleaved/3 2x3x12; y S1 2x1x3x3", "y", "x", NULL},
        {KIND_ATTENTION_SCORES, "x S0 2x3x12; y S0 2x1x3x3", "y", "x", NULL},
        {KIND_ATTENTION_SCORES, "x S2 2x3x12; y S1 2x1x3x3", "y", "x", "S2:interleaved/3"},
        {KIND_ATTENTION_SCORES, "x S1 2x3x12; y S1 2x1x3x3", "y", "x", "cut by rows, or"},
        {KIND_ATTENTION_SOFTMAX, "x S1 2x1x3x3; y S1 2x1x3x3", "y", "x", NULL},
        {KIND_ATTENTION_SOFTMAX, "x S2 2x1x3x3; y S2 2x1x3x3", "y", "x", "by rows, or by heads"},
        {KIND_ATTENTION_SOFTMAX, "x P+ 2x1x3x3; y P+ 2x1x3x3", "y", "x", "reduce it first"},
        {KIND_ATTENTION_VALUES, "p S1 2x1x3x3; x S2:interleaved/3 2x3x12; y S2 2x3x4", "y", "p x",
         NULL},
        {KIND_ATTENTION_VALUES, "p R 2x1x3x3; x S2:interleaved/3 2x3x12; y S2 2x3x4", "y", "p x",
         "do not lie alike"},
        {KIND_ATTENTION_VALUES_BACKWARD,
         "g S2 2x3x4; p S1 2x1x3x3; x S2:interleaved/3 2x3x12; a S1 2x1x3x3; b S2 2x3x4", "a b",
         "g p x", NULL},
        {KIND_ATTENTION_SCORES_BACKWARD,
         "g S1 2x1x3x3; v S2 2x3x4; x S2:interleaved/3 2x3x12; d S2:interleaved/3 2x3x12", "d",
         "g v x", NULL},
        {KIND_ATTENTION_PACKED_BACKWARD,
         PACKED "x S2:interleaved/3 2x3x12; d S2:interleaved/3 "
                "2x3x12",
         "d", "g y l x", NULL},
        {KIND_ATTENTION_PACKED_BACKWARD, PACKED "x R 2x3x12; d R 2x3x12", "d", "g y l x",
         "query, key and value do not lie alike"},
        {KIND_EMBEDDING, "t S0 2x3 i32; w R 5x4; y S0 2x3x4", "y", "t w", NULL},
        {KIND_EMBEDDING, "t S1 2x3 i32; w R 5x4; y S1 2x3x4", "y", "t w", NULL},
        {KIND_EMBEDDING, "t R 2x3 i32; w S1 5x4; y S2 2x3x4", "y", "t w", NULL},
        {KIND_EMBEDDING, "t R 2x3 i32; w S0 5x4; y R 2x3x4", "y", "t w",
         "w is S0 along data: a token may be any row of it"},
        {KIND_EMBEDDING, "t S0 2x3 i32; w S1 5x4; y S0 2x3x4", "y", "t w", "w is S1 along data"},
        {KIND_EMBEDDING_BACKWARD, "t S0 2x3 i32; g S0 2x3x4; d P+ 5x4", "d", "t g", NULL},
        {KIND_EMBEDDING_BACKWARD, "t R 2x3 i32; g S2 2x3x4; d S1 5x4", "d", "t g", NULL},
        {KIND_EMBEDDING_BACKWARD, "t S0 2x3 i32; g S0 2x3x4; d R 5x4", "d", "t g",
         "its inputs make it P+"},
        {KIND_EMBEDDING_BACKWARD, "t S1 2x3 i32; g S0 2x3x4; d P+ 5x4", "d", "t g",
         "the tokens do not lie alike"},
        {KIND_POSITIONS, "x S0 2x3x4; w R 3x4; y S0 2x3x4", "y", "x w", NULL},
        {KIND_POSITIONS, "x S1 2x3x4; w S0 3x4; y S1 2x3x4", "y", "x w", NULL},
        {KIND_POSITIONS, "x S1 2x3x4; w R 3x4; y S1 2x3x4", "y", "x w",
         "w is R along data: the input is not cut alike"},
        {KIND_POSITIONS, "x P+ 2x3x4; w R 3x4; y P+ 2x3x4", "y", "x w", "reduce it first"},
        {KIND_POSITIONS_BACKWARD, "g S0 2x3x4; d P+ 3x4", "d", "g", NULL},
        {KIND_POSITIONS_BACKWARD, "g S1 2x3x4; d S0 3x4", "d", "g", NULL},
        {KIND_POSITIONS_BACKWARD, "g S0 2x3x4; d R 3x4", "d", "g", "its inputs make it P+"},
        {KIND_SEGMENTS, "x S0 2x3x4; w R 2x4; y S0 2x3x4", "y", "x w", NULL},
        {KIND_SEGMENTS, "x S1 2x3x4; w R 2x4; y S1 2x3x4", "y", "x w", NULL},
        {KIND_SEGMENTS, "x S2 2x3x4; w S1 2x4; y S2 2x3x4", "y", "x w", NULL},
        {KIND_SEGMENTS, "x S1 2x3x4; w S0 2x4; y S1 2x3x4", "y", "x w",
         "w is S0 along data: the input is not cut alike"},
        {KIND_SEGMENTS, "x P+ 2x3x4; w R 2x4; y P+ 2x3x4", "y", "x w", "reduce it first"},
        {KIND_SEGMENTS_BACKWARD, "g S0 2x3x4; d P+ 2x4", "d", "g", NULL},
        {KIND_SEGMENTS_BACKWARD, "g S1 2x3x4; d P+ 2x4", "d", "g", NULL},
        {KIND_SEGMENTS_BACKWARD, "g S2 2x3x4; d S1 2x4", "d", "g", NULL},
        {KIND_SEGMENTS_BACKWARD, "g S1 2x3x4; d S0 2x4", "d", "g", "its inputs make it P+"},
        {KIND_LAYER_NORM, "x S1 2x3x4; w R 4; b R 4; y S1 2x3x4", "y", "x w b", NULL},
        {KIND_LAYER_NORM, "x R 2x3x4; w R 4; b S0 4; y R 2x3x4", "y", "x w b",
         "b is S0 along data"},
        {KIND_RMS_NORM, "x S0 2x3x4; w R 4; y S0 2x3x4", "y", "x w", NULL},
        {KIND_RMS_NORM, "x S1 2x3x4; w R 4; y S1 2x3x4", "y", "x w", NULL},
        {KIND_RMS_NORM, "x S2 2x3x4; w S0 4; y S2 2x3x4", "y", "x w", "needs all of its channels"},
        {KIND_RMS_NORM, "x R 2x3x4; w S0 4; y R 2x3x4", "y", "x w", "w is S0 along data"},
        {KIND_RMS_NORM, "x P+ 2x3x4; w R 4; y P+ 2x3x4", "y", "x w", "reduce it first"},
        {KIND_RMS_NORM_BACKWARD_INPUT, "g S1 2x3x4; x S1 2x3x4; w R 4; d S1 2x3x4", "d", "g x w",
         NULL},
        {KIND_RMS_NORM_BACKWARD_INPUT, "g S1 2x3x4; x S0 2x3x4; w R 4; d S1 2x3x4", "d", "g x w",
         "do not lie alike"},
        {KIND_RMS_NORM_BACKWARD_WEIGHT, "g S0 2x3x4; x S0 2x3x4; d P+ 4", "d", "g x", NULL},
        {KIND_RMS_NORM_BACKWARD_WEIGHT, "g S0 2x3x4; x S0 2x3x4; d R 4", "d", "g x",
         "its inputs make it P+"},
        {KIND_RMS_NORM_BACKWARD_WEIGHT, "g R 2x3x4; x R 2x3x4; d R 4", "d", "g x", NULL},
        {KIND_ROTARY, "x S2 2x3x4; y S2 2x3x4", "y", "x", NULL},
        {KIND_ROTARY, "x P+ 2x3x4; y P+ 2x3x4", "y", "x", NULL},
        {KIND_ROTARY, "x S1 2x3x4; y S1 2x3x4", "y", "x", "it needs the index of that dimension"},
        {KIND_SWIGLU, "a S2 2x3x4; b S2 2x3x4; y S2 2x3x4", "y", "a b", NULL},
        {KIND_SWIGLU, "a P+ 2x3x4; b P+ 2x3x4; y P+ 2x3x4", "y", "a b", "not a linear operation"},
        {KIND_DROPOUT, "x S0 2x3; " DRAWN "f D 1 i64; y S0 2x3", "y", "x s t f", NULL},
        {KIND_DROPOUT, "x R 2x3; " DRAWN "f R 1 i64; y R 2x3", "y", "x s t f", NULL},
        {KIND_DROPOUT, "x O 2x3; " DRAWN "f R 1 i64; y O 2x3", "y", "x s t f", NULL},
        {KIND_DROPOUT, "x S0 2x3; " DRAWN "f R 1 i64; y S0 2x3", "y", "x s t f",
         "f is R along data: it is not where the rows begin"},
        {KIND_DROPOUT, "x R 2x3; " DRAWN "f D 1 i64; y R 2x3", "y", "x s t f",
         "its inputs make it D"},
        {KIND_DROPOUT, "x S0 2x3; s R 1 i64; t D 1 i64; f D 1 i64; y S0 2x3", "y", "x s t f",
         "t is D along data: all ranks draw from one stream"},
        {KIND_BATCH_NORM_STATISTICS, "x S0 2x3; t D 1x3x3 f64", "t", "x", NULL},
        {KIND_BATCH_NORM_STATISTICS, "x R 2x3; t R 1x3x3 f64", "t", "x", NULL},
        {KIND_BATCH_NORM_STATISTICS, "x S0 2x3; t R 1x3x3 f64", "t", "x", "its inputs make it D"},
        {KIND_BATCH_NORM_STATISTICS, "x S2 2x3x2; t R 1x3x3 f64", "t", "x", "may be cut by rows"},
        {KIND_BATCH_NORM, NORM("S0", "D", "R") "y S0 2x3x2", "y", "x t w b", NULL},
        {KIND_BATCH_NORM, NORM("S0", "R", "R") "y S0 2x3x2", "y", "x t w b", NULL},
        {KIND_BATCH_NORM, NORM("R", "D", "R") "y R 2x3x2", "y", "x t w b", "its inputs make it D"},
        {KIND_BATCH_NORM, NORM("S0", "P+", "R") "y S0 2x3x2", "y", "x t w b", "reduce it first"},
        {KIND_BATCH_NORM, NORM("S0", "D", "S0") "y S0 2x3x2", "y", "x t w b",
         "the rows do not lie alike"},
        {KIND_BATCH_NORM, NORM("O", "O", "R") "y O 2x3x2", "y", "x t w b", NULL},
        {KIND_BATCH_NORM_INFERENCE, NORM("S0", "R", "R") "y S0 2x3x2; m R 3; v R 3", "y",
         "x m v w b", NULL},
        {KIND_BATCH_NORM_INFERENCE, NORM("S0", "R", "R") "y S0 2x3x2; m D 3; v R 3", "y",
         "x m v w b", "m is D along data: what differs from rank to rank"},
        {KIND_BATCH_NORM_REDUCE, NORM("S0", "D", "R") "g S0 2x3x2; s D 2x3 f64", "s", "g x t",
         NULL},
        {KIND_BATCH_NORM_REDUCE, NORM("S0", "R", "R") "g S0 2x3x2; s P+ 2x3 f64", "s", "g x t",
         NULL},
        {KIND_BATCH_NORM_REDUCE, NORM("S0", "R", "R") "g S0 2x3x2; s R 2x3 f64", "s", "g x t",
         "its inputs make it P+"},
        {KIND_BATCH_NORM_REDUCE, NORM("S0", "R", "R") "g R 2x3x2; s R 2x3 f64", "s", "g x t",
         "the operands do not lie alike"},
        {KIND_BATCH_NORM_BACKWARD_WEIGHT, "s D 2x3 f64; d P+ 3; e P+ 3", "d e", "s", NULL},
        {KIND_BATCH_NORM_BACKWARD_WEIGHT, "s P+ 2x3 f64; d P+ 3; e P+ 3", "d e", "s", NULL},
        {KIND_BATCH_NORM_BACKWARD_WEIGHT, "s R 2x3 f64; d R 3; e R 3", "d e", "s", NULL},
        {KIND_BATCH_NORM_BACKWARD_WEIGHT, "s D 2x3 f64; d R 3; e R 3", "d e", "s",
         "its inputs make it P+"},
        {KIND_BATCH_NORM_BACKWARD_INPUT, NORMED("D", "D"), "d", "g x t s w", NULL},
        {KIND_BATCH_NORM_BACKWARD_INPUT, NORMED("R", "R"), "d", "g x t s w", NULL},
        {KIND_BATCH_NORM_BACKWARD_INPUT, NORMED("R", "P+"), "d", "g x t s w", "reduce it first"},
        {KIND_BATCH_NORM_BACKWARD_INPUT, NORMED("D", "R"), "d", "g x t s w",
         "the statistics are not of the same rows"},
        {KIND_BATCH_NORM_UPDATE, "m R 3; v R 3; t R 1x3x3 f64", "m v", "m v t", NULL},
        {KIND_BATCH_NORM_UPDATE, "m R 3; v R 3; t D 1x3x3 f64", "m v", "m v t",
         "leaves m as D along data, but it is declared R"},
        {KIND_CROSS_ENTROPY_BACKWARD, LOSS "d S0 2x3", "d", "y l c", NULL},
        {KIND_CROSS_ENTROPY_BACKWARD, LOSS "d R 2x3", "d", "y l c", "its inputs make it S0"},
        {KIND_CROSS_ENTROPY_BACKWARD, "y S0 2x3; l S0 2 i32; c D 1 f64; d S0 2x3", "d", "y l c",
         "c is D along data: what differs from rank to rank"},
        {KIND_CROSS_ENTROPY_BACKWARD, "y S0 2x3; l R 2 i32; c R 1 f64; d S0 2x3", "d", "y l c",
         "l is R along data: the logits do not lie alike"},
        {KIND_CROSS_ENTROPY_BACKWARD, "y S1 2x3; l R 2 i32; c R 1 f64; d S1 2x3", "d", "y l c",
         "the softmax of a row needs the whole row"},
        {KIND_FEED_ERROR, "e S0 2x6; s P+ 2x3", "s", "e", NULL},
        {KIND_FEED_ERROR, "e R 2x6; s R 2x3", "s", "e", NULL},
        {KIND_FEED_ERROR, "e S0 2x6; s R 2x3", "s", "e", "its inputs make it P+"},
        {KIND_FEED_ERROR, "e S1 2x2x3; s S0 2x3", "s", "e", NULL},
        {KIND_FEED_ERROR, "e S2 2x2x3; s S1 2x3", "s", "e", NULL},
        {KIND_FEED_ERROR, "e S2 2x2x3; s S0 2x3", "s", "e", "its inputs make it S1"},
        {KIND_FEED_ERROR, "e S1:zigzag 2x4x3; s S0:zigzag 4x3", "s", "e", NULL},
        {KIND_FEED_ERROR, "e P+ 2x6; s P+ 2x3", "s", "e", "an error is whole, or cut by shards"},
        {KIND_FEED_ERROR, "e R 2x5; s R 2x3", "s", "e", "expected the elements of a row"},
        {KIND_KEEP_ERROR, "x P+ 2x3; e S0 2x6", "e", "x", NULL},
        {KIND_KEEP_ERROR, "x R 2x3; e R 2x6", "e", "x", NULL},
        {KIND_KEEP_ERROR, "x P+ 2x3; e R 2x6", "e", "x", "its inputs make it S0"},
        {KIND_KEEP_ERROR, "x S0 2x3; e S1 2x2x3", "e", "x", NULL},
        {KIND_KEEP_ERROR, "x S0 2x3; e S0 2x2x3", "e", "x", "its inputs make it S1"},
        {KIND_KEEP_ERROR, "x Pmax 2x3; e S0 2x6", "e", "x", "whole, a piece, or a part of a sum"},
        {KIND_LOW_RANK_LEFT, "x P+ 2x3; q R 3x1; p P+ 2x1", "p", "x q", NULL},
        {KIND_LOW_RANK_LEFT, "x R 2x3; q R 3x1; p R 2x1", "p", "x q", NULL},
        {KIND_LOW_RANK_LEFT, "x P+ 2x3; q P+ 3x1; p P+ 2x1", "p", "x q",
         "q is P+ along data: it is needed whole"},
        {KIND_LOW_RANK_LEFT, "x P+ 2x3; q R 3x1; p R 2x1", "p", "x q", "its inputs make it P+"},
        {KIND_LOW_RANK_RIGHT, "x P+ 2x3; p R 2x1; q P+ 3x1", "q", "x p", NULL},
        {KIND_LOW_RANK_RIGHT, "x Pmax 2x3; p R 2x1; q P+ 3x1", "q", "x p", "a part of a sum"},
        {KIND_LOW_RANK_RIGHT, "x S0 2x3; p D 2x1; q D 3x1", "q", "x p", NULL},
        {KIND_LOW_RANK_RIGHT, "x S0 2x3; p R 2x1; q D 3x1", "q", "x p",
         "p is R along data: it is not the factor of this rank's piece"},
        {KIND_LOW_RANK_LEFT, "x S1 2x3; q S0 3x1; p D 2x1", "p", "x q", NULL},
        {KIND_LOW_RANK_LEFT, "x S1 2x3; q S0 3x1; p R 2x1", "p", "x q", "its inputs make it D"},
        {KIND_LOW_RANK_LEFT, "x S1 2x3; q S1 3x1; p D 2x1", "p", "x q", "not the factor of this"},
        {KIND_LOW_RANK_REST, "x S1 2x3; p D 2x1; q D 3x1; y S1 2x3", "y", "x p q", NULL},
        {KIND_LOW_RANK_REST, "x S1 2x3; p D 2x1; q R 3x1; y S1 2x3", "y", "x p q",
         "q is R along data: the matrix does not lie alike"},
        {KIND_LOW_RANK_WHOLE, "p D 2x1; q D 3x1; x S0 2x3", "x", "p q", NULL},
        {KIND_LOW_RANK_WHOLE, "p D 2x1; q R 3x1; x S0 2x3", "x", "p q", "of each rank's piece"},
        {KIND_LOW_RANK_WHOLE, "p D 2x1; q D 3x1; x R 2x3", "x", "p q", "its inputs make it D"},
        {KIND_ORTHOGONALISE, "p D 2x1; y S0 2x1", "y", "p", NULL},
        {KIND_ORTHOGONALISE, "p D 2x1; y D 2x1", "y", "p", NULL},
        {KIND_ORTHOGONALISE, "p D 2x1; y R 2x1", "y", "p", "its inputs make it D"},
        {KIND_LOW_RANK_REST, "x P+ 2x3; p R 2x1; q P+ 3x1; y P+ 2x3", "y", "x p q", NULL},
        {KIND_LOW_RANK_REST, "x P+ 2x3; p R 2x1; q R 3x1; y P+ 2x3", "y", "x p q",
         "q is R along data: the matrix does not lie alike"},
        {KIND_LOW_RANK_WHOLE, "p R 2x1; q R 3x1; x R 2x3", "x", "p q", NULL},
        {KIND_LOW_RANK_WHOLE, "p R 2x1; q P+ 3x1; x R 2x3", "x", "p q", "needed whole"},
        {KIND_ORTHOGONALISE, "p R 2x1; y R 2x1", "y", "p", NULL},
        {KIND_ORTHOGONALISE, "p P+ 2x1; y P+ 2x1", "y", "p", "needed whole"},
        {KIND_SPREAD, "k R 4x2; x R 2x3", "x", "k", NULL},
        {KIND_SPREAD, "k D 4x2; x S1 2x3", "x", "k", NULL},
        {KIND_SPREAD, "k D 4x2; x R 2x3", "x", "k", "its inputs make it D"},
        {KIND_TOP_K, "x P+ 2x3; k D 4x2; r P+ 2x3", "k r", "x", NULL},
        {KIND_TOP_K, "x R 2x3; k R 4x2; r R 2x3", "k r", "x", NULL},
        {KIND_TOP_K, "x P+ 2x3; k P+ 4x2; r P+ 2x3", "k r", "x", "its inputs make it D"},
        {KIND_TOP_K, "x S0 2x3; k D 4x2; r S0 2x3", "k r", "x", NULL},
        {KIND_TOP_K, "x S0 2x3; k S0 4x2; r S0 2x3", "k r", "x", "its inputs make it D"},
        {KIND_INCREMENT, "n R 1 i64", "n", "", NULL},
        {KIND_INCREMENT, "n D 1 i64", "n", "", "n is D along data: all ranks count alike"},
        {KIND_SGD, "w R 4; g R 4; r R 1 f64", "w", "g r", NULL},
        {KIND_SGD, "w S0 4; g S0 4; r R 1 f64", "w", "g r", NULL},
        {KIND_SGD, "w S:flat/4 4; g S:flat/4 4; r R 1 f64", "w", "g r", NULL},
        {KIND_SGD, "w O 4; g R 4; r R 1 f64", "w", "g r", NULL},
        {KIND_SGD, "w O 4; g O 4; r R 1 f64", "w", "g r", NULL},
        {KIND_SGD, "w R 4; g O:0 4; r R 1 f64", "w", "g r", "g is O:0 along data: the parameter"},
        {KIND_SGD, "w R 4; g R 4; r D 1 f64", "w", "g r", "r is D along data: the parameter"},
        {KIND_SGD, "w R 4; g P+ 4; r R 1 f64", "w", "g r", "all-reduce it first"},
        {KIND_SQUARE_SUMS, "g R 4; q R 1 f64", "q", "g", NULL},
        {KIND_SQUARE_SUMS, "g P+ 4; q R 1 f64", "q", "g", "reduce it first"},
        {KIND_SQUARE_SUMS, "g S0 4; q P+ 1 f64", "q", "g", NULL},
        {KIND_SQUARE_SUMS, "g S0 4; q S0 1 f64", "q", "g", "make it P+"},
        {KIND_SQUARE_SUMS, "g S:flat/64 64; q P+ 1 f64", "q", "g", "whole in S:flat/4096"},
        {KIND_SQUARE_SUMS, "g S:flat/4096 4096; q P+ 2 f64", "q", "g", NULL},
        {KIND_SQUARE_SUMS, "g S:flat/4096 4096; q R 2 f64", "q", "g", "make it P+"},
        {KIND_ADD_BLOCKS, "q R 3 f64; s R 1 f64", "s", "q", NULL},
        {KIND_ADD_BLOCKS, "q P+ 3 f64; s R 1 f64", "s", "q", "gather or reduce it first"},
        {KIND_SGD, "w R 4; v S0 4; g R 4; r R 1 f64", "w v", "g r", "v is S0 along data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) one_op_judge(&cases[i]);
}
END_TEST

START_TEST(communications_are_judged_by_what_they_make_of_placements) {
    const OneOp cases[] = {
        {KIND_ALL_REDUCE, "x P+ 4; y R 4", "y", "x", NULL},
        {KIND_ALL_REDUCE, "x Pmax 4; y R 4", "y", "x", NULL, REDUCE_MAX},
        {KIND_ALL_REDUCE, "x P+ 4; y R 4", "y", "x", "count it once per rank", REDUCE_MAX},
        {KIND_ALL_REDUCE, "x P+ 4; y P+ 4", "y", "x", "its inputs make it R"},
        {KIND_ALL_REDUCE, "x O 4; y R 4", "y", "x", NULL},
        {KIND_ALL_REDUCE, "x O:1 4; y R 4", "y", "x", "the other members hold nothing"},
        {KIND_ALL_REDUCE, "x R 4; y R 4", "y", "x", "count it once per rank"},
        {KIND_ALL_REDUCE, "x S0 4; y R 4", "y", "x", "count it once per rank"},
        {KIND_REDUCE, "x P+ 4; y O:1 4", "y", "x", NULL, .peer = 1},
        {KIND_REDUCE, "x P+ 4; y O:1 4", "y", "x", "its inputs make it O:0"},
        {KIND_REDUCE, "x P+ 4; y R 4", "y", "x", "its inputs make it O:0"},
        {KIND_REDUCE, "x R 4; y O:0 4", "y", "x", "count it once per rank"},
        {KIND_REDUCE_SCATTER, "x P+ 4x3; y S0 2x3", "y", "x", NULL},
        {KIND_REDUCE_SCATTER, "x P+ 4x3; y R 2x3", "y", "x", "gets a shard of the result"},
        {KIND_REDUCE_SCATTER, "x R 4x3; y S0 2x3", "y", "x", "count it once per rank"},
        {KIND_REDUCE_SCATTER, "x P+ 2x4; y S1 2x2", "y", "x", "follow one another in memory"},
        {KIND_REDUCE_SCATTER, "x P+ 4x3; y S0:zigzag 2x3", "y", "x",
         "y is S0:zigzag along data: its pieces do not follow"},
        {KIND_ALL_GATHER, "x S0 2x3; y R 4x3", "y", "x", NULL},
        {KIND_ALL_GATHER, "x S0 2x3; y S0 4x3", "y", "x", "its inputs make it R"},
        {KIND_ALL_GATHER, "x S1 1x3; y R 1x6", "y", "x", NULL},
        {KIND_ALL_GATHER, "x S1 2x3; y R 2x6", "y", "x", "follow one another in memory"},
        {KIND_ALL_GATHER, "x D 2; y R 4", "y", "x", NULL},
        {KIND_ALL_GATHER, "x P+ 2; y R 4", "y", "x", "a part of a sum is no piece of it"},
        {KIND_ALL_GATHER, "x R 2; y R 4", "y", "x", "an all_gather puts shards together"},
        {KIND_REDUCE_SCATTER, "x P+ 4x3; v P+ 2; y S0 2x3; w S0 1", "y w", "x v", NULL},
        {KIND_REDUCE_SCATTER, "x P+ 4x3; v P+ 2; y S0 2x3; w R 1", "y w", "x v",
         "w is R along data: every rank gets a shard"},
        {KIND_REDUCE_SCATTER, "x P+ 4x3; v R 2; y S0 2x3; w S0 1", "y w", "x v",
         "v is R along data: reducing"},
        {KIND_REDUCE_SCATTER, "x P+ 4; v P+ 2; y S0 1; w S0 2", "y w", "x v",
         "reduce_scatter of 4 elements in 1 part over 2 ranks writes 2, not 1"},
        {KIND_REDUCE_SCATTER, "x P+ 4; v P+ 2; y S0 3", "y", "x v",
         "of 2 inputs in 1 part has 1 outputs"},
        {KIND_ALL_GATHER, "x S0 2x3; v S0 1; y R 4x3; w R 2", "y w", "x v", NULL},
        {KIND_ALL_GATHER, "x S0 2x3; v R 1; y R 4x3; w R 2", "y w", "x v",
         "v is R along data: an all_gather puts shards together"},
        {KIND_ALL_GATHER, "x S0 2x3; v S0 1; y R 4x3; w S0 2", "y w", "x v",
         "its inputs make it R"},
        {KIND_ALL_GATHER, "x S0 2; v S0 1; y R 2; w R 4", "y w", "x v",
         "all_gather of 2 elements in 1 part over 2 ranks writes 4, not 2"},
        {KIND_SCATTER, "a R 2x3; b R 2x3; y S0 2x3", "y", "a b", NULL},
        {KIND_SCATTER, "x O:1 4x3; y S0 2x3", "y", "x", NULL, .peer = 1},
        {KIND_SCATTER, "x O:1 4x3; y S0 2x3", "y", "x", "a scatter takes what its root has"},
        {KIND_SCATTER, "x P+ 4x3; y S0 2x3", "y", "x", "a scatter takes what its root has"},
        {KIND_SCATTER, "x S0 4x3; y S0 2x3", "y", "x", "a scatter takes what its root has"},
        {KIND_SCATTER, "x R 4x3; y D 2x3", "y", "x", NULL},
        {KIND_SCATTER, "x R 4x3; y R 2x3", "y", "x", "every rank gets its own rows"},
        {KIND_SCATTER, "x R 3x3; y S0 2x3", "y", "x", "scatter of 9 elements"},
        {KIND_GATHER, "x S0 2x3; a O:0 2x3; b O:0 2x3", "a b", "x", NULL},
        {KIND_GATHER, "x D 2x3; y O:1 4x3", "y", "x", NULL, .peer = 1},
        {KIND_GATHER, "x S0 2x3; y R 4x3", "y", "x", "its inputs make it O:0"},
        {KIND_GATHER, "x P+ 2x3; y O:0 4x3", "y", "x", "a gather puts rows together"},
        {KIND_GATHER, "x S1 2x3; y O:0 4x3", "y", "x", "a gather puts rows together"},
        {KIND_GATHER, "x S0 2x3; y O:0 2x3", "y", "x", "gather of 6 elements"},
        {KIND_ALL_TO_ALL, "x S0 1x2x3; y S1 2x1x3", "y", "x", NULL},
        {KIND_ALL_TO_ALL, "x S0 2x4; y S1 4x2", "y", "x", "follow one another in memory"},
        {KIND_ALL_TO_ALL, "x S0 1x2x3; y R 2x1x3", "y", "x", "an all_to_all gives shards"},
        {KIND_ALL_TO_ALL, "x P+ 2x3; y R 2x3", "y", "x", "an all_to_all takes shards"},
        {KIND_ALL_TO_ALL, "x S0 2x3; y S0 2x3", "y", "x", "another dimension"},
        {KIND_ALL_TO_ALL, "x D 4; y D 4", "y", "x", NULL},
        {KIND_ALL_TO_ALL_V, "x D 4; c D 2 i64; y D 8; r D 2 i64", "y r", "x c", NULL},
        {KIND_ALL_TO_ALL_V, "x O 4; c R 2 i64; y D 8; r D 2 i64", "y r", "x c", NULL},
        {KIND_ALL_TO_ALL_V, "x D 4; c D 2 i64; y R 8; r D 2 i64", "y r", "x c",
         "its inputs make it D"},
        {KIND_ALL_TO_ALL_V, "x D 4; c D 2 i64; y D 8; r R 2 i64", "y r", "x c",
         "its inputs make it D"},
        {KIND_ALL_TO_ALL_V, "x R 4; c D 2 i64; y D 8; r D 2 i64", "y r", "x c",
         "x is R along data: an all_to_all_v takes"},
        {KIND_ALL_TO_ALL_V, "x D 4; c P+ 2 i64; y D 8; r D 2 i64", "y r", "x c",
         "c is P+ along data: counts are"},
        {KIND_ALL_TO_ALL_V, "x D 4; c D 3 i64; y D 8; r D 2 i64", "y r", "x c",
         "c has 3 counts for 2 members"},
        {KIND_ALL_TO_ALL_V, "x D 4; c D 2; y D 8; r D 2 i64", "y r", "x c", "expected i64"},
        {KIND_ALL_TO_ALL_V, "x D 4; y D 8; r D 2 i64", "y r", "x", "has 1 inputs"},
        {KIND_BROADCAST, "x R 4", "x", "x", NULL},
        {KIND_BROADCAST, "x D 4; y R 4", "y", "x", NULL},
        {KIND_BROADCAST, "x O:1 4; y R 4", "y", "x", NULL, .peer = 1},
        {KIND_BROADCAST, "x O:1 4; y R 4", "y", "x", "it is not the root that holds it"},
        {KIND_BROADCAST, "x P+ 4; y R 4", "y", "x", "the root has a part of the sum only"},
        {KIND_BROADCAST, "x S0 4; y R 4", "y", "x", "the root has a shard only"},
        {KIND_SEND, "x O 4", "", "x", NULL, .peer = 1},
        {KIND_SEND, "x P+ 4", "", "x", "another rank's part of the sum", .peer = 1},
        {KIND_SEND, "x O:0 4", "", "x", "the other members hold nothing", .peer = 1},
        {KIND_RECEIVE, "y O 4", "y", "", NULL, .peer = 1},
        {KIND_RECEIVE, "y S0 4", "y", "", "what another rank sent is O", .peer = 1},
        {KIND_RECEIVE, "y P+ 4", "y", "", "what another rank sent is O", .peer = 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) one_op_judge(&cases[i]);
}
END_TEST

// The members that are not the root may leave the whole out.
START_TEST(a_root_has_the_whole_of_what_is_scattered_and_gathered) {
    for (int gather = 0; gather < 2; gather++) {
        Program p = {0};
        Plan *plan = make_program(&p, 2);
        make_tensor(&p, "piece", ROLE_PARAMETER, PLACEMENT_SHARD(0), SHAPE(2, 3), DTYPE_F32);
        make_op(&p, plan,
                (OpSpec){.name = "move", .kind = gather ? KIND_GATHER : KIND_SCATTER, .lane = 2},
                gather ? "" : "piece", gather ? "piece" : "");
        ck_assert_fails(check_one(&p), ERR_PLAN,
                        gather ? "move: rank 0 is its root and has no place for the whole"
                               : "move: rank 0 is its root and brings nothing to scatter");
        program_finish(&p);
    }
}
END_TEST

// A second piece of the same logical tensor, as of another micro-batch.
static void make_twin(Program *p, const char *name, const char *of) {
    const Tensor *t = &p->tensors[program_find_tensor(p, of)];
    TensorSpec spec = {.name = name,
                       .logical = t->logical,
                       .micro_batch = 1,
                       .dtype = (Dtype)t->dtype,
                       .role = (Role)t->role};
    memcpy(spec.placement, t->placement, sizeof spec.placement);
    ck_assert_ok(program_add_tensor(p, &spec, NULL));
}

static void make_activation(Program *p, Plan *plan, const char *y, const char *x, bool reduced) {
    const OpSpec sum = {.name = "sum", .kind = KIND_ALL_REDUCE, .lane = 2};
    if (reduced) make_op(p, plan, sum, x, x);
    make_op(p, plan, (OpSpec){.name = "act", .kind = KIND_RELU}, y, x);
}

// Micro-batches do the same work on tensors that are declared alike; whether the sum was reduced
// is to be asked of each.
START_TEST(the_same_work_is_judged_anew_where_its_operands_lie_otherwise) {
    for (int reduced = 0; reduced < 4; reduced++) {
        Program p = {0};
        Plan *plan = make_program(&p, 2);
        make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
        make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
        make_twin(&p, "x2", "x");
        make_twin(&p, "y2", "y");
        make_activation(&p, plan, "y", "x", true);
        make_activation(&p, plan, "y2", "x2", reduced & 1);
        make_activation(&p, plan, "y2", "x2", reduced & 2);
        ck_assert_int_eq(plan->ops[1].work, plan->ops[plan->op_count - 1].work);
        if (reduced == 1)
            ck_assert_ok(check_one(&p));
        else if (reduced == 3)
            ck_assert_fails(check_one(&p), ERR_PLAN, "count it once per rank");
        else
            ck_assert_fails(check_one(&p), ERR_PLAN, "act: x2 is P+ along data: not a linear");
        program_finish(&p);
    }
}
END_TEST

SUITE("check_placements", a_bias_may_not_be_added_to_a_partial_sum,
      a_nonlinear_function_of_a_partial_sum_is_refused,
      a_linear_function_of_a_partial_sum_is_a_partial_sum,
      computations_are_judged_by_how_their_operands_lie,
      communications_are_judged_by_what_they_make_of_placements,
      a_root_has_the_whole_of_what_is_scattered_and_gathered,
      the_same_work_is_judged_anew_where_its_operands_lie_otherwise)
