// SPDX-License-Identifier: MIT
// Attributes of kinds that work on sequences, and the arithmetic that follows from them.
#include "core/plan/check.h"
#include "core/plan/flops.h"
#include "tests/support/plan_maker.h"

#include <math.h>
#include <stdlib.h>

enum { B = 2, T = 3 };

// One operation of a kind on operands of so many channels; NULL: it is accepted.
static void judge(Kind kind, const int64_t *attrs, const char *outputs, const char *inputs,
                  const char *refusal) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    char names[100], *end;
    snprintf(names, sizeof names, "%s %s", outputs, inputs);
    for (char *word = strtok_r(names, " ", &end); word; word = strtok_r(NULL, " ", &end))
        make_tensor(&p, word, ROLE_PARAMETER, PLACEMENT_REPLICATED,
                    SHAPE(B, T, atoll(word + strspn(word, "abcdefghijklmnopqrstuvwxyz"))),
                    DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "op", .kind = kind, .attrs = attrs}, outputs, inputs);
    if (refusal)
        ck_assert_fails(program_check(&p), ERR_PLAN, refusal);
    else
        ck_assert_ok(program_check(&p));
    program_finish(&p);
}
#define ATTRS(...) ((const int64_t[]){__VA_ARGS__})

START_TEST(heads_divide_channels_and_heads_of_keys_divide_heads) {
    judge(KIND_ATTENTION, ATTRS(4, 2, 0), "y12 l4", "q12 k6 v6", NULL);
    judge(KIND_ATTENTION, ATTRS(4, 2, 1), "y12", "q12 k6 v6", NULL);
    judge(KIND_ATTENTION, ATTRS(5, 5, 0), "y12", "q12 k12 v12",
          "heads=5 does not divide channels 12");
    judge(KIND_ATTENTION, ATTRS(0, 1, 0), "y12", "q12 k12 v12",
          "heads=0 does not divide channels 12");
    judge(KIND_ATTENTION, ATTRS(-4, 1, 0), "y12", "q12 k12 v12", "heads=-4 does not divide");
    judge(KIND_ATTENTION, ATTRS(4, 3, 0), "y12", "q12 k9 v9", "kv_heads=3 does not divide heads 4");
    judge(KIND_ATTENTION, ATTRS(4, 2, 0), "y12", "q12 k12 v12",
          "heads=4, kv_heads=2: v has 12 channels, not 6");
    judge(KIND_ATTENTION, ATTRS(4, 2, 2), "y12", "q12 k6 v6", "causal is 2, expected 0 or 1");
    judge(KIND_ATTENTION, ATTRS(4, 2, 0), "y12 l3", "q12 k6 v6", "heads = 4 in dimension 2");
    judge(KIND_ATTENTION_PACKED, ATTRS(4, 2, 0), "y12", "x24", NULL);
    judge(KIND_ATTENTION_PACKED, ATTRS(4, 4, 0), "y12", "x24", "qkv has 24 channels, not 36");
    judge(KIND_ATTENTION_BACKWARD, ATTRS(4, 2, 0), "dq12 dk6 dv6", "dy12 y12 l4 q12 k6 v6", NULL);
    judge(KIND_ATTENTION_BACKWARD, ATTRS(4, 1, 0), "dq12 dk6 dv6", "dy12 y12 l4 q12 k6 v6",
          "v has 6 channels, not 3");
    judge(KIND_ATTENTION_PACKED_BACKWARD, ATTRS(4, 2, 0), "dx24", "dy12 y12 l4 x24", NULL);
    judge(KIND_ATTENTION_PACKED_BACKWARD, ATTRS(4, 4, 0), "dx24", "dy12 y12 l4 x24",
          "qkv has 24 channels, not 36");
}
END_TEST

static void judge_real(Kind kind, int64_t first, double real, const char *outputs,
                       const char *inputs, const char *refusal) {
    judge(kind, ATTRS(first, build_attr_real(real)), outputs, inputs, refusal);
}

START_TEST(a_turned_head_has_pairs_of_channels) {
    judge_real(KIND_ROTARY, 2, 1e4, "y12", "x12", NULL);
    judge_real(KIND_ROTARY, 5, 1e4, "y12", "x12", "heads=5 does not divide channels 12");
    judge_real(KIND_ROTARY, 4, 1e4, "y12", "x12", "heads=4: a head has 3 channels, which are not");
    judge_real(KIND_ROTARY_BACKWARD, 2, 0, "y12", "x12", "theta is 0, expected more than 0");
    judge_real(KIND_ROTARY_BACKWARD, 2, (double)NAN, "y12", "x12", "theta is nan");
}
END_TEST

// Scalars are one number, of 64 bits.
static void judge_dropout(double rate, int64_t layer, const char *refusal) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    const int64_t attrs[] = {build_attr_real(rate), layer, 0, 0};
    make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(B, T), DTYPE_F32);
    make_tensor(&p, "y", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(B, T), DTYPE_F32);
    ck_assert_ok(program_add_scalar(&p, "seed", DTYPE_I64, 1, NULL));
    make_op(&p, plan, (OpSpec){.name = "op", .kind = KIND_DROPOUT, .attrs = attrs}, "y",
            "x seed seed seed");
    if (refusal)
        ck_assert_fails(program_check(&p), ERR_PLAN, refusal);
    else
        ck_assert_ok(program_check(&p));
    program_finish(&p);
}

START_TEST(dropout_keeps_something) {
    judge_dropout(0, 0, NULL);
    judge_dropout(0.999, UINT32_MAX, NULL);
    judge_dropout(1, 0, "rate is 1, expected 0 to less than 1");
    judge_dropout(-0.1, 0, "rate is -0.1, expected 0 to less than 1");
    judge_dropout((double)NAN, 0, "rate is nan");
    judge_dropout(0.1, -1, "layer is -1, expected a number of 32 bits");
    judge_dropout(0.1, 1ll << 32, "layer is 4294967296, expected a number of 32 bits");
}
END_TEST

START_TEST(an_eps_is_not_negative) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    int64_t eps = build_attr_real(-1e-6);
    make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(B, T, 4), DTYPE_F32);
    make_tensor(&p, "y", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(B, T, 4), DTYPE_F32);
    make_tensor(&p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "op", .kind = KIND_RMS_NORM, .attrs = &eps}, "y", "x w");
    ck_assert_fails(program_check(&p), ERR_PLAN, "eps is -1e-06, expected 0 or more");
    program_finish(&p);
}
END_TEST

// Rows that errors have, and pairs that a list has.
START_TEST(compression_stays_within_its_rows_and_lists) {
    const struct {
        Kind kind;
        int64_t attrs[3], out[2], in[2];
        const char *refusal;
    } cases[] = {
        {KIND_FEED_ERROR, {1}, {2, 3}, {2, 6}, NULL},
        {KIND_FEED_ERROR, {2}, {2, 3}, {2, 6}, "row is 2, expected 0 to 1"},
        {KIND_FEED_ERROR, {-1}, {2, 3}, {2, 6}, "row is -1, expected 0 to 1"},
        {KIND_FEED_ERROR, {0}, {2, 3}, {2, 5}, "expected the elements of a row"},
        {KIND_KEEP_ERROR, {1}, {2, 6}, {2, 3}, NULL},
        {KIND_KEEP_ERROR, {2}, {2, 6}, {2, 3}, "row is 2, expected 0 to 1"},
        {KIND_KEEP_ERROR, {1}, {2, 7}, {2, 3}, "expected the elements of a row"},
        {KIND_SPREAD, {1, 2, 4}, {2, 3}, {8, 2}, NULL},
        {KIND_SPREAD, {0, 9, 9}, {2, 3}, {8, 2}, "period is 9, expected 1 to 8"},
        {KIND_SPREAD, {4, 1, 4}, {2, 3}, {8, 2}, "first is 4, expected 0 to 3"},
        {KIND_SPREAD, {3, 2, 4}, {2, 3}, {8, 2}, "count is 2, expected 1 to 1"},
        {KIND_SPREAD, {0, 1, 4}, {2, 3}, {8, 3}, "2 in dimension 1"},
        {KIND_ORTHOGONALISE, {0}, {3, 2}, {3, 2}, NULL},
        {KIND_ORTHOGONALISE, {0}, {3, 2}, {3, 1}, "R = 2 in dimension 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Program p = {0};
        Plan *plan = make_program(&p, 1);
        make_tensor(&p, "y", ROLE_PARAMETER, PLACEMENT_REPLICATED, 2, cases[i].out, DTYPE_F32);
        make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, 2, cases[i].in, DTYPE_F32);
        make_op(&p, plan, (OpSpec){.name = "op", .kind = cases[i].kind, .attrs = cases[i].attrs},
                "y", "x");
        if (cases[i].refusal)
            ck_assert_fails(program_check(&p), ERR_PLAN, cases[i].refusal);
        else
            ck_assert_ok(program_check(&p));
        program_finish(&p);
    }
}
END_TEST

// x (4,1,3) is a matrix of 4 rows of 3 elements, or 4 of one row, and nothing else.
static void judge_matrices(int64_t stack, int64_t N, int64_t M, int64_t K, const char *refusal) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4, 1, 3), DTYPE_F32);
    make_tensor(&p, "p", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(N, 2), DTYPE_F32);
    make_tensor(&p, "q", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(M, 2), DTYPE_F32);
    make_tensor(&p, "pairs", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(K, 2), DTYPE_F32);
    int64_t flops;
    int op;
    op = plan->op_count;
    make_op(&p, plan, (OpSpec){.name = "left", .kind = KIND_LOW_RANK_LEFT, .attrs = &stack}, "p",
            "x q");
    ck_assert_ok(flops_of_op(&p, plan, &plan->ops[op], &flops));
    ck_assert_int_eq(flops, 2 * 12 * 2);  // each of 12 elements meets two columns
    make_op(&p, plan, (OpSpec){.name = "largest", .kind = KIND_TOP_K}, "pairs x", "x");
    if (refusal)
        ck_assert_fails(program_check(&p), ERR_PLAN, refusal);
    else
        ck_assert_ok(program_check(&p));
    program_finish(&p);
}

static void judge_matrix(int64_t N, int64_t M, int64_t K, const char *refusal) {
    judge_matrices(0, N, M, K, refusal);
}

START_TEST(factors_fit_the_matrix_and_no_more_is_taken_than_there_is) {
    judge_matrix(4, 3, 12, NULL);
    judge_matrix(3, 4, 12, "x is f32 4x1x3, expected a matrix of N rows of M elements");
    judge_matrix(4, 4, 12, "expected a matrix of N rows of M elements");
    judge_matrix(4, 3, 13, "expected K elements or more");
    judge_matrices(4, 4, 12, 12, NULL);
    judge_matrices(4, 4, 3, 12, "matrices=4 are not of 4 rows and 3 columns in all");
    judge_matrices(2, 4, 6, 12, "expected a matrix of N rows of M elements, or a stack of some");
    judge_matrices(-1, 4, 3, 12, "matrices");
}
END_TEST

static void judge_adam(double beta1, double beta2, double eps, int64_t decoupled,
                       const char *refusal) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    const int64_t attrs[] = {build_attr_real(beta1), build_attr_real(beta2), build_attr_real(eps),
                             build_attr_real(0), decoupled};
    const char *const reals[] = {"w", "m", "v", "g"};
    for (int i = 0; i < 4; i++)
        make_tensor(&p, reals[i], ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(3), DTYPE_F32);
    make_tensor(&p, "rate", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(1), DTYPE_F64);
    make_tensor(&p, "step", ROLE_STATE, PLACEMENT_REPLICATED, SHAPE(1), DTYPE_I64);
    make_op(&p, plan, (OpSpec){.name = "op", .kind = KIND_ADAM, .attrs = attrs}, "w m v",
            "g rate step");
    if (refusal)
        ck_assert_fails(program_check(&p), ERR_PLAN, refusal);
    else
        ck_assert_ok(program_check(&p));
    program_finish(&p);
}

START_TEST(averages_of_adam_forget) {
    judge_adam(0, 0.999, 1e-8, 1, NULL);
    judge_adam(1, 0.999, 1e-8, 1, "beta1 is 1, expected 0 to less than 1");
    judge_adam(0.9, -0.1, 1e-8, 0, "beta2 is -0.1, expected 0 to less than 1");
    judge_adam(0.9, 0.999, -1, 0, "eps is -1, expected 0 or more");
    judge_adam(0.9, 0.999, 1e-8, 7, "decoupled is 7, expected 0 or 1");
}
END_TEST

static int64_t flops(Kind kind, const int64_t *attrs, int64_t length) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    int64_t out;
    make_tensor(&p, "y", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(B, length, 12), DTYPE_F32);
    make_tensor(&p, "x", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(B, length, 36), DTYPE_F32);
    bool backward = kind == KIND_ATTENTION_PACKED_BACKWARD;
    int op = make_op(&p, plan, (OpSpec){.name = "op", .kind = kind, .attrs = attrs},
                     backward ? "x" : "y", backward ? "y y y x" : "x");
    ck_assert_ok(flops_of_op(&p, plan, &plan->ops[op], &out));
    ck_assert_int_eq(op_work(&p, &plan->ops[op])->flops, out);
    program_finish(&p);
    return out;
}

// 2 rows of 5 queries; each sees 5 keys, or all see 1 + 2 + 3 + 4 + 5. A pair is two products of
// 12 channels, in the backward five, of two flops each.
START_TEST(attention_counts_the_pairs_that_are_seen) {
    ck_assert_int_eq(flops(KIND_ATTENTION_PACKED, ATTRS(4, 4, 0), 5), 2 * 25 * 2 * 12 * 2);
    ck_assert_int_eq(flops(KIND_ATTENTION_PACKED, ATTRS(4, 4, 1), 5), 2 * 15 * 2 * 12 * 2);
    ck_assert_int_eq(flops(KIND_ATTENTION_PACKED_BACKWARD, ATTRS(4, 4, 1), 5), 2 * 15 * 5 * 12 * 2);
}
END_TEST

SUITE("check attributes", heads_divide_channels_and_heads_of_keys_divide_heads,
      a_turned_head_has_pairs_of_channels, dropout_keeps_something, an_eps_is_not_negative,
      compression_stays_within_its_rows_and_lists,
      factors_fit_the_matrix_and_no_more_is_taken_than_there_is, averages_of_adam_forget,
      attention_counts_the_pairs_that_are_seen)
