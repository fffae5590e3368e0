// SPDX-License-Identifier: MIT
// Rules of the operations that tensor parallelism needs: a bias by itself, tables and losses that
// are cut along the vocabulary.
#include "core/plan/piece.h"

#include "tests/support/one_op.h"

#define VOCABULARY(z, m, l, i) "z " z " 2x3; m " m " 2; l " l " 2 i32; i " i " 3 i64; "

static void judge_all(const OneOp *cases, size_t count) {
    for (size_t i = 0; i < count; i++) one_op_judge(&cases[i]);
}
START_TEST(a_bias_is_added_to_a_sum_and_lies_as_the_channels_do) {
    const OneOp cases[] = {
        {KIND_TO_CHUNKS, "x P+ 2x6x4; y P+ 3x16", "y", "x", NULL},
        {KIND_TO_CHUNKS, "x S1 2x3x4; y S0 1x24", "y", "x", NULL},
        {KIND_TO_CHUNKS, "x S0 2x6x4; y D 3x16", "y", "x", NULL},
        {KIND_TO_CHUNKS, "x S1:zigzag 2x4x4; y S0 1x32", "y", "x", "along dim= in intervals"},
        {KIND_TO_CHUNKS, "x S2 2x6x4; y D 3x16", "y", "x", NULL},
        {KIND_TO_CHUNKS, "x S2 2x6x4; y R 3x16", "y", "x", "its inputs make it D"},
        {KIND_FROM_CHUNKS, "y D 3x16; x S2 2x6x4", "x", "y", NULL},
        {KIND_FROM_CHUNKS, "y D 3x16; x S1 2x6x4", "x", "y", "its inputs make it S0"},
        {KIND_TO_CHUNKS, "x R 2x5x4; y R 3x16", "y", "x", NULL},
        {KIND_TO_CHUNKS, "x R 2x5x4; y R 3x14", "y", "x", "W pieces along dim, with room for N"},
        {KIND_FROM_CHUNKS, "y S0 1x24; x S1 2x3x4", "x", "y", NULL},
        {KIND_FROM_CHUNKS, "y S0 1x24; x S2 2x3x4", "x", "y", "make it S1"},
        {KIND_FROM_CHUNKS, "y D 3x16; x S0 2x6x4", "x", "y", NULL},
        {KIND_FROM_CHUNKS, "y S1 3x16; x R 2x6x4", "x", "y", "chunks are whole, cut by S0"},
        {KIND_LINEAR_BIAS, "x R 2x4; b R 4; y R 2x4", "y", "x b", NULL},
        {KIND_LINEAR_BIAS, "x S0 2x4; b R 4; y S0 2x4", "y", "x b", NULL},
        {KIND_LINEAR_BIAS, "x S1:zigzag 2x6x4; b R 4; y S1:zigzag 2x6x4", "y", "x b", NULL},
        {KIND_LINEAR_BIAS, "x S2 2x3x4; b S0 4; y S2 2x3x4", "y", "x b", NULL},
        {KIND_LINEAR_BIAS, "x S2 2x3x4; b R 4; y S2 2x3x4", "y", "x b",
         "b is R along data: the input is not cut alike"},
        {KIND_LINEAR_BIAS, "x R 2x4; b S0 4; y R 2x4", "y", "x b",
         "b is S0 along data: the input is not cut alike"},
        {KIND_LINEAR_BIAS, "x P+ 2x4; b R 4; y P+ 2x4", "y", "x b",
         "x is P+ along data: a bias is added once, to the sum"},
        {KIND_CONV2D_BIAS, "x S1 2x4x3x3; b S0 4; y S1 2x4x3x3", "y", "x b", NULL},
        {KIND_CONV2D_BIAS, "x S3 2x4x3x3; b R 4; y S3 2x4x3x3", "y", "x b", NULL},
        {KIND_CONV2D_BIAS, "x P+ 2x4x3x3; b R 4; y P+ 2x4x3x3", "y", "x b", "reduce it first"},
    };
    judge_all(cases, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(a_table_is_cut_along_its_rows_with_their_index) {
    const OneOp cases[] = {
        {KIND_EMBEDDING, "t R 2x3 i32; w S0 5x4; r S0 5 i64; y P+ 2x3x4", "y", "t w r", NULL},
        {KIND_EMBEDDING, "t S0 2x3 i32; w R 5x4; r R 5 i64; y S0 2x3x4", "y", "t w r", NULL},
        {KIND_EMBEDDING, "t R 2x3 i32; w S0 5x4; r S0 5 i64; y R 2x3x4", "y", "t w r",
         "its inputs make it P+"},
        {KIND_EMBEDDING, "t R 2x3 i32; w S0 5x4; r R 5 i64; y P+ 2x3x4", "y", "t w r",
         "r is R along data: it is not the index of what this rank has"},
        {KIND_EMBEDDING, "t R 2x3 i32; w R 5x4; r S0 5 i64; y R 2x3x4", "y", "t w r",
         "r is S0 along data: it is not the index of what this rank has"},
        {KIND_EMBEDDING, "t S0 2x3 i32; w S0 5x4; r S0 5 i64; y P+ 2x3x4", "y", "t w r",
         "t is S0 along data: each rank has some rows of the table for all tokens"},
        {KIND_EMBEDDING, "t R 2x3 i32; w S0:zigzag 6x4; r S0:zigzag 6 i64; y P+ 2x3x4", "y",
         "t w r", "r is S0:zigzag along data"},
        {KIND_EMBEDDING_BACKWARD, "t R 2x3 i32; g R 2x3x4; r S0 5 i64; d S0 5x4", "d", "t g r",
         NULL},
        {KIND_EMBEDDING_BACKWARD, "t R 2x3 i32; g R 2x3x4; r S0 5 i64; d R 5x4", "d", "t g r",
         "its inputs make it S0"},
        {KIND_EMBEDDING_BACKWARD, "t R 2x3 i32; g S2 2x3x4; r S0 5 i64; d S0 5x4", "d", "t g r",
         "g is S2 along data: each rank writes some rows, of all tokens"},
    };
    judge_all(cases, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(a_slice_is_taken_of_what_is_whole) {
    const OneOp cases[] = {
        {KIND_SLICE, "x R 2x6x4; i S0 3 i64; y S1 2x3x4", "y", "x i", NULL},
        {KIND_SLICE, "x R 2x5x4; i S0 3 i64; y S1 2x3x4", "y", "x i", NULL},
        {KIND_SLICE, "x R 2x6x4; i S0:zigzag 4 i64; y S1:zigzag 2x4x4", "y", "x i", NULL},
        {KIND_SLICE, "x S0 2x6x4; i R 6 i64; y S0 2x6x4", "y", "x i", NULL},
        {KIND_SLICE, "x P+ 2x6x4; i R 6 i64; y P+ 2x6x4", "y", "x i", NULL},
        {KIND_SLICE, "x R 2x6x4; i S0 3 i64; y R 2x3x4", "y", "x i", "its inputs make it S1"},
        {KIND_SLICE, "x R 2x6x4; i S0 3 i64; y S2 2x6x4", "y", "x i", "but for N places of dim"},
        {KIND_SLICE, "x P+ 2x6x4; i S0 3 i64; y S1 2x3x4", "y", "x i",
         "x is P+ along data: a rank takes its slice of what it has whole"},
        {KIND_SLICE, "x S1 2x3x4; i R 6 i64; y R 2x6x4", "y", "x i", "would be one of a piece"},
    };
    judge_all(cases, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(a_loss_reduces_a_few_numbers_of_each_row) {
    const OneOp cases[] = {
        {KIND_VOCABULARY_MAX, "z S1 2x3; i S0 3 i64; m Pmax 2", "m", "z i", NULL},
        {KIND_VOCABULARY_MAX, "z S0 2x3; i R 3 i64; m S0 2", "m", "z i", NULL},
        {KIND_VOCABULARY_MAX, "z S1 2x3; i S0 3 i64; m R 2", "m", "z i", "its inputs make it Pmax"},
        {KIND_VOCABULARY_MAX, "z S1 2x3; m Pmax 2", "m", "z", "with their index beside"},
        {KIND_VOCABULARY_MAX, "z S1 2x3; i R 3 i64; m Pmax 2", "m", "z i", "it is not the index"},
        {KIND_VOCABULARY_MAX, "z P+ 2x3; i R 3 i64; m Pmax 2", "m", "z i", "reduce it first"},
        {KIND_VOCABULARY_SUMS, VOCABULARY("S1", "R", "R", "S0") "s P+ 2x3; e S1 2x3", "s e",
         "z m l i", NULL},
        {KIND_VOCABULARY_SUMS, VOCABULARY("S0", "S0", "S0", "R") "s S0 2x3; e S0 2x3", "s e",
         "z m l i", NULL},
        {KIND_VOCABULARY_SUMS, VOCABULARY("S1", "Pmax", "R", "S0") "s P+ 2x3; e S1 2x3", "s e",
         "z m l i", "m is Pmax along data: reduce it first"},
        {KIND_VOCABULARY_SUMS, VOCABULARY("S1", "R", "S0", "S0") "s P+ 2x3; e S1 2x3", "s e",
         "z m l i", "l is S0 along data: the rows do not lie alike"},
        {KIND_VOCABULARY_SUMS, VOCABULARY("S1", "R", "R", "S0") "s R 2x3; e S1 2x3", "s e",
         "z m l i", "its inputs make it P+"},
    };
    judge_all(cases, sizeof cases / sizeof *cases);
}
END_TEST

// The dimension that is taken apart is 1 in these: heads are cut.
START_TEST(pieces_of_rows_are_exchanged) {
    const OneOp cases[] = {
        {KIND_APART, "x S2 2x4x3; p S0 1x2x2x6", "p", "x", NULL},
        {KIND_APART, "x S0 2x4x3; p S2 1x2x2x6", "p", "x", NULL},
        {KIND_APART, "x S2 2x4x3; p S1 1x2x2x6", "p", "x", "its inputs make it S0"},
        {KIND_APART, "x S2:inner 2x4x3; p S0 1x2x2x6", "p", "x", NULL},
        {KIND_TOGETHER, "p S3 1x2x2x6; x S2 2x4x3", "x", "p", NULL},
        {KIND_TOGETHER, "p S0 1x2x2x6; x S2:inner 2x4x3", "x", "p", "its inputs make it S2"},
        {KIND_APART, "x S1 2x4x3; p S1 1x2x2x6", "p", "x", "or along what is exchanged"},
        {KIND_APART, "x S2:zigzag 2x4x3; p S0:zigzag 1x2x2x6", "p", "x", "what is exchanged"},
        {KIND_APART, "x P+ 2x4x3; p P+ 1x2x2x6", "p", "x", "reduce it first"},
        {KIND_APART, "x S2 2x4x3; p S0 1x3x2x4", "p", "x", "are not 1 × 3 pieces of 4 along 1"},
        {KIND_TOGETHER, "p S0 1x2x2x6; x S2 2x4x3", "x", "p", NULL},
        {KIND_TOGETHER, "p S2 1x2x2x6; x S0 2x4x3", "x", "p", NULL},
        {KIND_TOGETHER, "p S1 1x2x2x6; x S2 2x4x3", "x", "p", "or along what is exchanged"},
    };
    judge_all(cases, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(positions_of_pieces_need_an_index) {
    const OneOp cases[] = {
        {KIND_ROTARY, "x S1 2x3x4; p S0 3 i64; y S1 2x3x4", "y", "x p", NULL},
        {KIND_ROTARY, "x S1:zigzag 2x4x4; p S0:zigzag 4 i64; y S1:zigzag 2x4x4", "y", "x p", NULL},
        {KIND_ROTARY, "x S2 2x3x4; p R 3 i64; y S2 2x3x4", "y", "x p", NULL},
        {KIND_ROTARY, "x P+ 2x3x4; p R 3 i64; y P+ 2x3x4", "y", "x p", NULL},
        {KIND_ROTARY, "x S1:zigzag 2x4x4; p S0 4 i64; y S1:zigzag 2x4x4", "y", "x p",
         "p is S0 along data: it is not the index of what this rank has"},
        {KIND_ROTARY, "x S1 2x3x4; p R 3 i64; y S1 2x3x4", "y", "x p", "p is R along data"},
        {KIND_POSITIONS, "x S1:zigzag 2x4x4; w R 8x4; p S0:zigzag 4 i64; y S1:zigzag 2x4x4", "y",
         "x w p", NULL},
        {KIND_POSITIONS, "x S1:zigzag 2x4x4; w R 8x4; p S0 4 i64; y S1:zigzag 2x4x4", "y", "x w p",
         "p is S0 along data: it is not the index of what this rank has"},
        {KIND_POSITIONS, "x S1 2x4x4; w S0 4x4; p S0 4 i64; y S1 2x4x4", "y", "x w p",
         "w is S0 along data: the input is not cut alike"},
        {KIND_POSITIONS, "x R 2x4x4; w R 8x4; y R 2x4x4", "y", "x w",
         "a table of 8 positions for 4, without an index"},
        {KIND_POSITIONS_BACKWARD, "g S1:zigzag 2x4x4; p S0:zigzag 4 i64; d P+ 8x4", "d", "g p",
         NULL},
        {KIND_POSITIONS_BACKWARD, "g S1 2x4x4; p S0 4 i64; d S0 4x4", "d", "g p",
         "its inputs make it P+"},
        {KIND_ROTARY, "x S2:zigzag 2x3x4; p R 3 i64; y S2:zigzag 2x3x4", "y", "x p",
         "it may be cut by rows, by positions or by heads"},
    };
    judge_all(cases, sizeof cases / sizeof *cases);
}
END_TEST

#define NORM(x, t, w) "x " x " 2x3x2; t " t " 1x3x3 f64; w " w " 3; b " w " 3; "

START_TEST(batch_normalisation_has_channels_with_all_that_is_theirs) {
    const OneOp cases[] = {
        {KIND_BATCH_NORM_STATISTICS, "x S1 2x3; t S2 1x3x3 f64", "t", "x", NULL},
        {KIND_BATCH_NORM_STATISTICS, "x S1 2x3; t R 1x3x3 f64", "t", "x", "its inputs make it S2"},
        {KIND_BATCH_NORM, NORM("S1", "S2", "S0") "y S1 2x3x2", "y", "x t w b", NULL},
        {KIND_BATCH_NORM, NORM("S1", "R", "S0") "y S1 2x3x2", "y", "x t w b",
         "t is R along data: the channels do not lie alike"},
        {KIND_BATCH_NORM, NORM("S1", "S2", "R") "y S1 2x3x2", "y", "x t w b",
         "w is R along data: the channels do not lie alike"},
        {KIND_BATCH_NORM_INFERENCE, NORM("S1", "S2", "S0") "y S1 2x3x2; m S0 3; v S0 3", "y",
         "x m v w b", NULL},
        {KIND_BATCH_NORM_REDUCE, NORM("S1", "S2", "S0") "g S1 2x3x2; s S1 2x3 f64", "s", "g x t",
         NULL},
        {KIND_BATCH_NORM_REDUCE, NORM("S1", "S2", "S0") "g S1 2x3x2; s P+ 2x3 f64", "s", "g x t",
         "its inputs make it S1"},
        {KIND_BATCH_NORM_BACKWARD_WEIGHT, "s S1 2x3 f64; d S0 3; e S0 3", "d e", "s", NULL},
        {KIND_BATCH_NORM_BACKWARD_WEIGHT, "s S0 2x3 f64; d S0 3; e S0 3", "d e", "s",
         "sums over a rank's rows"},
        {KIND_BATCH_NORM_BACKWARD_INPUT,
         NORM("S1", "S2", "S0") "g S1 2x3x2; s S1 2x3 f64; "
                                "d S1 2x3x2",
         "d", "g x t s w", NULL},
        {KIND_BATCH_NORM_BACKWARD_INPUT,
         NORM("S1", "S2", "S0") "g S1 2x3x2; s R 2x3 f64; "
                                "d S1 2x3x2",
         "d", "g x t s w", "the statistics are not of the same rows and channels"},
        {KIND_BATCH_NORM_UPDATE, "m S0 3; v S0 3; t S2 1x3x3 f64", "m v", "m v t", NULL},
        {KIND_BATCH_NORM_UPDATE, "m R 3; v R 3; t S2 1x3x3 f64", "m v", "m v t",
         "m is R along data: the statistics of the batch do not lie alike"},
    };
    judge_all(cases, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(pieces_of_columns_are_put_together_row_by_row) {
    const OneOp cases[] = {
        {KIND_CONCATENATE, "a S1 1x3; b S1 1x3; y S1 2x3", "y", "a b", NULL},
        {KIND_CONCATENATE, "a S2 1x3x2; b S2 2x3x2; y S2 3x3x2", "y", "a b", NULL},
        {KIND_CONCATENATE, "a P+ 1x3; b P+ 1x3; y P+ 2x3", "y", "a b", NULL},
        {KIND_CONCATENATE, "a S0 1x3; b S0 1x3; y S0 2x3", "y", "a b",
         "a is S0 along data: a shard of it is no shard of the whole"},
        {KIND_CONCATENATE, "a S1 1x4; b S1 1x4; y S1 4x2", "y", "a b", "is no shard of the whole"},
        {KIND_CONCATENATE, "a S1 1x4; b S1 1x4; y S0 8", "y", "a b", "is no shard of the whole"},
        {KIND_CONCATENATE, "a S:flat/4 4; b S:flat/4 4; y S:flat/4 8", "y", "a b",
         "is no shard of the whole"},
    };
    judge_all(cases, sizeof cases / sizeof *cases);
}
END_TEST

// --- masks, which have attributes

// x (4,6,5) over two ranks with indices of dimensions 1 and 2, as many as are given.
static Status check_mask(Placement x, const Placement *index, int count, int64_t row,
                         int64_t inner) {
    static const char *const inputs[] = {"x s t f", "x s t f i1", "x s t f i1 i2"};
    const int64_t attrs[] = {build_attr_real(0.5), 0, row, inner}, whole[] = {4, 6, 5};
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    int64_t shape[DIMS] = {4, 6, 5};
    int logical, dims;
    LogicalSpec l = {.name = "x", .shape = {4, 6, 5}, .dims = 3, .role = ROLE_PARAMETER};
    ck_assert_ok(program_add_logical(&p, &l, &logical));
    Tensor t = {.logical = logical, .placement = {x}, .extent_times = 1};
    ck_assert_ok(piece_capacity(&p, &t, shape, &dims));
    for (int i = 0; i < 2; i++) {
        TensorSpec s = {.name = i ? "y" : "x", .logical = logical, .placement = {x}};
        s.role = i ? ROLE_OPTIMISER : ROLE_PARAMETER;
        memcpy(s.shape, shape, sizeof shape);
        ck_assert_ok(program_add_tensor(&p, &s, NULL));
    }
    for (int i = 0; i < 3; i++)
        make_tensor(&p, (const char *[]){"s", "t", "f"}[i], ROLE_SCALAR, PLACEMENT_REPLICATED,
                    SHAPE(1), DTYPE_I64);
    for (int i = 0; i < count; i++)
        ck_assert_ok(
            piece_add_index(&p, i ? "i2" : "i1", whole[i + 1], (Placement[AXES]){index[i]}, NULL));
    make_op(&p, plan, (OpSpec){.name = "op", .kind = KIND_DROPOUT, .attrs = attrs}, "y",
            inputs[count]);
    Status s = program_check(&p);
    program_finish(&p);
    return s;
}

START_TEST(a_mask_is_drawn_for_whole_rows_wherever_they_are_cut) {
    const Placement whole = PLACEMENT_REPLICATED, cut = PLACEMENT_SHARD(0),
                    middle = PLACEMENT_SHARD(1), last = PLACEMENT_SHARD(2),
                    zigzag = {.place = PLACE_SHARD, .cut = CUT_ZIGZAG},
                    middle_zigzag = {.place = PLACE_SHARD, .dim = 1, .cut = CUT_ZIGZAG};
    ck_assert_ok(check_mask(whole, NULL, 0, 0, 0));
    ck_assert_ok(check_mask(middle, &cut, 1, 30, 5));
    ck_assert_ok(check_mask(middle_zigzag, &zigzag, 1, 30, 5));
    ck_assert_ok(check_mask(last, (Placement[]){whole, cut}, 2, 30, 5));
    ck_assert_fails(check_mask(middle, NULL, 0, 30, 5), ERR_PLAN,
                    "x is S1 along data: it needs the index of that dimension");
    ck_assert_fails(check_mask(last, &whole, 1, 30, 5), ERR_PLAN,
                    "x is S2 along data: it needs the index of that dimension");
    ck_assert_fails(check_mask(middle_zigzag, &cut, 1, 30, 5), ERR_PLAN,
                    "i1 is S0 along data: it is not the index");
    ck_assert_fails(check_mask(middle, &cut, 1, 0, 5), ERR_PLAN, "op: row=15, but x has 30");
    ck_assert_fails(check_mask(last, (Placement[]){whole, cut}, 2, 30, 3), ERR_PLAN,
                    "op: inner=3, but x has 5");
}
END_TEST

// --- attributes

static Status check_loss(int columns, int64_t classes, double smoothing, bool backward) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    const int64_t attrs[] = {classes, build_attr_real(smoothing)};
    make_tensor(&p, "e", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(2, 5), DTYPE_F32);
    make_tensor(&p, "s", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(2, columns), DTYPE_F32);
    make_tensor(&p, "l", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_I32);
    make_tensor(&p, "c", ROLE_SCALAR, PLACEMENT_REPLICATED, SHAPE(1), DTYPE_F64);
    make_tensor(&p, "d", ROLE_OPTIMISER, PLACEMENT_REPLICATED, SHAPE(2, 5), DTYPE_F32);
    make_tensor(&p, "loss", ROLE_SCALAR, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F64);
    Kind kind = backward ? KIND_VOCABULARY_LOSS_BACKWARD : KIND_VOCABULARY_LOSS;
    make_op(&p, plan, (OpSpec){.name = "op", .kind = kind, .attrs = attrs}, backward ? "d" : "loss",
            backward ? "e s l c" : "s l c");
    Status s = program_check(&p);
    program_finish(&p);
    return s;
}

START_TEST(a_loss_has_a_sum_for_smoothing_and_knows_its_classes) {
    ck_assert_ok(check_loss(3, 5, 0, false));
    ck_assert_ok(check_loss(4, 5, 0.1, true));
    ck_assert_fails(check_loss(3, 5, 0.1, false), ERR_PLAN, "op: smoothing=0.1 needs a fourth sum");
    ck_assert_fails(check_loss(5, 5, 0, false), ERR_PLAN, "op: 5 sums of a row, expected 3 or 4");
    ck_assert_fails(check_loss(4, 5, 2, false), ERR_PLAN, "smoothing is 2");
    ck_assert_fails(check_loss(3, 0, 0, false), ERR_PLAN, "classes=0, expected 1 or more");
    ck_assert_fails(check_loss(3, 4, 0, true), ERR_PLAN, "op: classes=4, but e has 5");
}
END_TEST

SUITE("check cuts", a_loss_has_a_sum_for_smoothing_and_knows_its_classes,
      a_bias_is_added_to_a_sum_and_lies_as_the_channels_do,
      a_table_is_cut_along_its_rows_with_their_index, a_slice_is_taken_of_what_is_whole,
      a_loss_reduces_a_few_numbers_of_each_row, pieces_of_rows_are_exchanged,
      pieces_of_columns_are_put_together_row_by_row, positions_of_pieces_need_an_index,
      batch_normalisation_has_channels_with_all_that_is_theirs,
      a_mask_is_drawn_for_whole_rows_wherever_they_are_cut)
