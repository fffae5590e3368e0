// SPDX-License-Identifier: MIT
// Kernels that compress gradients, on every device: by hand, against the reference over swept
// shapes, and what they promise of factors and of what is left.
#include "tests/support/device_hand.h"
#include "tests/support/device_near.h"

#include <float.h>
#include <string.h>

// --- by hand

// Error row 1 is added; row 1 is written, and row 0 stays.
static void feedback(Case *c, const Device *d) {
    const int64_t row = 1;
    TENSOR(c, "error", REAL(c), SHAPE(2, 4), 1, 2, 3, 4, 5, 6, 7, 8);
    TENSOR(c, "sum", REAL(c), SHAPE(2, 2), 0.5, 0.25, -1, 0);
    OUTPUT(c, "first", REAL(c), SHAPE(2, 2));
    TENSOR(c, "kept", REAL(c), SHAPE(2, 2, 2), 9, 9, 9, 9, 0, 0, 0, 0);
    case_op(c, KIND_FEED_ERROR, true, &row, "sum", "error");
    case_op(c, KIND_FEED_ERROR, false, &row, "first", "error");
    case_op(c, KIND_KEEP_ERROR, false, &row, "kept", "sum");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "sum", 5.5, 6.25, 6, 8);
    EXPECT(c, &got, "first", 5, 6, 7, 8);
    EXPECT(c, &got, "kept", 9, 9, 9, 9, 5.5, 6.25, 6, 8);
}

// x (2,2,2) is a matrix (2,4).
static void products(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8);
    TENSOR(c, "q", REAL(c), SHAPE(4, 2), 1, 0, 0, 1, 1, 0, 0, -1);
    OUTPUT(c, "p", REAL(c), SHAPE(2, 2));
    OUTPUT(c, "right", REAL(c), SHAPE(4, 2));
    OUTPUT(c, "rest", REAL(c), SHAPE(2, 2, 2));
    OUTPUT(c, "whole", REAL(c), SHAPE(2, 2, 2));
    case_op(c, KIND_LOW_RANK_LEFT, false, NULL, "p", "x q");
    case_op(c, KIND_LOW_RANK_RIGHT, false, NULL, "right", "x p");
    case_op(c, KIND_LOW_RANK_WHOLE, false, NULL, "whole", "p q");
    case_op(c, KIND_LOW_RANK_REST, false, NULL, "rest", "x p q");
    case_op(c, KIND_LOW_RANK_REST, false, NULL, "x", "x p q");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "p", 4, -2, 12, -2);
    EXPECT(c, &got, "right", 64, -12, 80, -16, 96, -20, 112, -24);
    EXPECT(c, &got, "whole", 4, -2, 4, 2, 12, -2, 12, 2);
    EXPECT(c, &got, "rest", -3, 4, -1, 2, -7, 8, -5, 6);
    EXPECT(c, &got, "x", -3, 4, -1, 2, -7, 8, -5, 6);
}

// Of the two that are as large as the third, the first. A NaN is larger than all.
static void largest(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(2, 3), 1, -2, 0.5, 2, -3, -2);
    TENSOR(c, "y", REAL(c), SHAPE(3), none, 5, infinite);
    OUTPUT(c, "pairs", REAL(c), SHAPE(3, 2));
    OUTPUT(c, "rest", REAL(c), SHAPE(2, 3));
    OUTPUT(c, "sum", REAL(c), SHAPE(2, 3));
    OUTPUT(c, "two", REAL(c), SHAPE(2, 2));
    OUTPUT(c, "back", REAL(c), SHAPE(3));
    case_op(c, KIND_TOP_K, false, NULL, "pairs rest", "x");
    case_op(c, KIND_SPREAD, false, (const int64_t[]){0, 3, 3}, "sum", "pairs");
    case_op(c, KIND_TOP_K, false, NULL, "two y", "y");
    case_op(c, KIND_SPREAD, false, (const int64_t[]){0, 2, 2}, "back", "two");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "rest", 1, 0, 0.5, 0, 0, -2);
    EXPECT(c, &got, "sum", 0, -2, 0, 2, -3, 0);
    EXPECT(c, &got, "y", 0, 5, 0);
    EXPECT(c, &got, "back", none, 0, infinite);
}

// Lists of two shards, of each the second tensor; an index beyond the tensor counts for nothing.
static void lists(Case *c, const Device *d) {
    TENSOR(c, "a", REAL(c), SHAPE(2), 7, 8);
    TENSOR(c, "b", REAL(c), SHAPE(4), 0, 1, 0, 3);
    TENSOR(c, "c", REAL(c), SHAPE(2), 9, 9);
    TENSOR(c, "d", REAL(c), SHAPE(4), 0, 4, 5, 0);
    OUTPUT(c, "list", REAL(c), SHAPE(8, 2));
    OUTPUT(c, "sum", REAL(c), SHAPE(4));
    OUTPUT(c, "short", REAL(c), SHAPE(2));
    const char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        char outputs[16], pairs[4];
        snprintf(pairs, sizeof pairs, "p%s", names[i]);
        snprintf(outputs, sizeof outputs, "%s %s", pairs, names[i]);
        OUTPUT(c, pairs, REAL(c), SHAPE(2, 2));
        case_op(c, KIND_TOP_K, false, NULL, outputs, names[i]);
    }
    case_op(c, KIND_CONCATENATE, false, NULL, "list", "pa pb pc pd");
    case_op(c, KIND_SPREAD, false, (const int64_t[]){2, 2, 4}, "sum", "list");
    case_op(c, KIND_SPREAD, false, (const int64_t[]){2, 2, 4}, "short", "list");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "sum", 0, 5, 5, 3);
    EXPECT(c, &got, "short", 0, 5);
}

// The second column loses the first; the third, which was nothing else, and the fourth, of zeros,
// become unit vectors that are left.
static void columns(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(4, 4), 0, 2, 0, 0, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    OUTPUT(c, "y", REAL(c), SHAPE(4, 4));
    case_op(c, KIND_ORTHOGONALISE, false, NULL, "y", "x");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);
}

// However small a column is, it keeps its direction.
static void small_column(Case *c, const Device *d) {
    double size = REAL(c) == DTYPE_F32 ? 0x1p-120 : 0x1p-900;
    TENSOR(c, "x", REAL(c), SHAPE(2, 1), 3 * size, -4 * size);
    int y = OUTPUT(c, "y", REAL(c), SHAPE(2, 1));
    case_op(c, KIND_ORTHOGONALISE, false, NULL, "y", "x");
    Values got = run_lowered(c, d);
    ck_assert_msg(fabs(got.of[y][0] - 0.6) < 1e-6 && fabs(got.of[y][1] + 0.8) < 1e-6,
                  "%s: (%g, %g)", c->text, got.of[y][0], got.of[y][1]);
}

START_TEST(an_error_goes_in_and_out_by_rows) { by_hand(1, feedback); }
END_TEST
START_TEST(products_with_factors_by_hand) { by_hand(1, products); }
END_TEST
START_TEST(the_largest_elements_by_hand) { by_hand(1, largest); }
END_TEST
START_TEST(lists_of_shards_are_added_in_their_order) { by_hand(1, lists); }
END_TEST
START_TEST(columns_become_orthonormal_by_hand) {
    by_hand(1, columns);
    by_hand(1, small_column);
}
END_TEST

// --- every device as the reference

static const int64_t shapes[][3] = {{1, 1, 1},  {2, 3, 1},   {3, 2, 2},   {5, 7, 4},
                                    {16, 9, 3}, {33, 65, 8}, {10, 300, 2}};

static void each(void (*test)(Case *c, const Device *d, int64_t N, int64_t M, int64_t R)) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int k = 0; k < 2 * count; k++) {
            Case c;
            const int64_t *s = shapes[i];
            case_init(&c, k % 2 ? DTYPE_F64 : DTYPE_F32, 1, 1);
            snprintf(c.text, sizeof c.text, "%s %s: N %lld, M %lld, R %lld", devices[k / 2]->name,
                     dtype_name(c.dtype), (long long)s[0], (long long)s[1], (long long)s[2]);
            test(&c, devices[k / 2], s[0], s[1], s[2]);
            case_finish(&c);
        }
}

static void products_agree(Case *c, const Device *d, int64_t N, int64_t M, int64_t R) {
    case_tensor(c, "x", REAL(c), FILL_RANDOM, SHAPE(N, M));
    case_tensor(c, "q", REAL(c), FILL_RANDOM, SHAPE(M, R));
    OUTPUT(c, "p", REAL(c), SHAPE(N, R));
    OUTPUT(c, "right", REAL(c), SHAPE(M, R));
    OUTPUT(c, "rest", REAL(c), SHAPE(N, M));
    OUTPUT(c, "whole", REAL(c), SHAPE(N, M));
    case_op(c, KIND_LOW_RANK_LEFT, false, NULL, "p", "x q");
    case_op(c, KIND_LOW_RANK_RIGHT, false, NULL, "right", "x p");
    case_op(c, KIND_LOW_RANK_REST, false, NULL, "rest", "x p q");
    case_op(c, KIND_LOW_RANK_WHOLE, false, NULL, "whole", "p q");
    near_agree(c, d, 64);
}

static void selection_agrees(Case *c, const Device *d, int64_t N, int64_t M, int64_t R) {
    case_tensor(c, "x", REAL(c),
                (Fill)(N % 3 ? N % 3 == 1 ? FILL_EDGE : FILL_INTEGER : FILL_RANDOM), SHAPE(N, M));
    OUTPUT(c, "pairs", REAL(c), SHAPE(N * M / R, 2));
    OUTPUT(c, "rest", REAL(c), SHAPE(N, M));
    OUTPUT(c, "sum", REAL(c), SHAPE(N, M));
    case_op(c, KIND_TOP_K, false, NULL, "pairs rest", "x");
    case_op(c, KIND_SPREAD, false, (const int64_t[]){0, N * M / R, N * M / R}, "sum", "pairs");
    Values want = case_run(c, &device_reference, (CaseRun){.junk = JUNK_NAN});
    ck_assert_ok(program_lower(&c->p, d->traits));
    Values got = case_run(c, d, (CaseRun){.junk = JUNK_NUMBER});
    for (int t = 0; t < c->p.tensor_count; t++)
        if (case_is_output(c, t)) case_compare_bits(c, t, &got, &want);
}

// Two matrices (N,M), one below the other, and their factors.
static void stacks_agree(Case *c, const Device *d, int64_t N, int64_t M, int64_t R) {
    static const int64_t two[] = {2};
    case_tensor(c, "x", REAL(c), FILL_RANDOM, SHAPE(2, N, M));
    case_tensor(c, "q", REAL(c), FILL_RANDOM, SHAPE(2 * M, R));
    OUTPUT(c, "p", REAL(c), SHAPE(2 * N, R));
    OUTPUT(c, "right", REAL(c), SHAPE(2 * M, R));
    OUTPUT(c, "rest", REAL(c), SHAPE(2, N, M));
    OUTPUT(c, "whole", REAL(c), SHAPE(2, N, M));
    case_op(c, KIND_LOW_RANK_LEFT, false, two, "p", "x q");
    case_op(c, KIND_LOW_RANK_RIGHT, false, two, "right", "x p");
    case_op(c, KIND_LOW_RANK_REST, false, two, "rest", "x p q");
    case_op(c, KIND_LOW_RANK_WHOLE, false, two, "whole", "p q");
    near_agree(c, d, 64);
}

// A stack has the bits of its matrices, each by itself.
static void stacks_are_their_matrices(Case *c, const Device *d, int64_t N, int64_t M, int64_t R) {
    static const char *const made[] = {"p", "right", "rest", "whole", "y"};
    int64_t sizes[5] = {N * R, M * R, N * M, N * M, N * R}, two = 2;
    int of[3][5];
    if (R > N) return;
    int x = case_tensor(c, "x", REAL(c), FILL_RANDOM, SHAPE(2, N, M)),
        q = case_tensor(c, "q", REAL(c), FILL_RANDOM, SHAPE(2 * M, R));
    int64_t elements[] = {N * M, M * R};
    for (int k = 0; k < 3; k++) {  // the stack, then each
        char xs[8], qs[8], out[5][16], in[40];
        const int64_t *attrs = k ? NULL : &two, B = k ? 1 : 2;
        const int64_t first[] = {B * N, B * M};
        snprintf(xs, sizeof xs, k ? "x%d" : "x", k);
        snprintf(qs, sizeof qs, k ? "q%d" : "q", k);
        if (k) {
            int one = case_tensor(c, xs, REAL(c), FILL_RANDOM, SHAPE(N, M)),
                factor = case_tensor(c, qs, REAL(c), FILL_RANDOM, SHAPE(M, R));
            memcpy(c->before[one], &c->before[x][(k - 1) * elements[0]],
                   (size_t)elements[0] * sizeof **c->before);
            memcpy(c->before[factor], &c->before[q][(k - 1) * elements[1]],
                   (size_t)elements[1] * sizeof **c->before);
        }
        for (int o = 0; o < 5; o++) {
            bool whole = o == 2 || o == 3;
            snprintf(out[o], sizeof out[o], k ? "%s%d" : "%s", made[o], k);
            of[k][o] = whole && !k ? OUTPUT(c, out[o], REAL(c), SHAPE(2, N, M))
                       : whole     ? OUTPUT(c, out[o], REAL(c), SHAPE(N, M))
                                   : OUTPUT(c, out[o], REAL(c), SHAPE(first[o == 1], R));
        }
        snprintf(in, sizeof in, "%s %s", xs, qs);
        case_op(c, KIND_LOW_RANK_LEFT, false, attrs, out[0], in);
        case_op(c, KIND_ORTHOGONALISE, false, attrs, out[4], out[0]);
        snprintf(in, sizeof in, "%s %s", xs, out[4]);
        case_op(c, KIND_LOW_RANK_RIGHT, false, attrs, out[1], in);
        snprintf(in, sizeof in, "%s %s %s", xs, out[4], out[1]);
        case_op(c, KIND_LOW_RANK_REST, false, attrs, out[2], in);
        snprintf(in, sizeof in, "%s %s", out[4], out[1]);
        case_op(c, KIND_LOW_RANK_WHOLE, false, attrs, out[3], in);
    }
    Values got = run_lowered(c, d);
    for (int k = 1; k < 3; k++)
        for (int o = 0; o < 5; o++)
            for (int64_t i = 0; i < sizes[o]; i++)
                ck_assert_msg(got.of[of[k][o]][i] == got.of[of[0][o]][(k - 1) * sizes[o] + i],
                              "%s: matrix %d: %s[%lld]", c->text, k, made[o], (long long)i);
}

START_TEST(stacks_agree_with_the_reference) { each(stacks_agree); }
END_TEST
START_TEST(a_stack_has_the_bits_of_its_matrices) { each(stacks_are_their_matrices); }
END_TEST
START_TEST(products_agree_with_the_reference) { each(products_agree); }
END_TEST
START_TEST(selections_agree_bit_for_bit) { each(selection_agrees); }
END_TEST

// --- what they promise

// Whatever is sent and whatever is left are the tensor, exactly; no element that is left is larger.
static void nothing_is_lost(Case *c, const Device *d, int64_t N, int64_t M, int64_t R) {
    int x = case_tensor(c, "x", REAL(c), FILL_RANDOM, SHAPE(N, M));
    int64_t K = N * M / R, sent = 0;
    OUTPUT(c, "pairs", REAL(c), SHAPE(K, 2));
    int rest = OUTPUT(c, "rest", REAL(c), SHAPE(N, M)),
        sum = OUTPUT(c, "sum", REAL(c), SHAPE(N, M));
    case_op(c, KIND_TOP_K, false, NULL, "pairs rest", "x");
    case_op(c, KIND_SPREAD, false, (const int64_t[]){0, K, K}, "sum", "pairs");
    Values got = run_lowered(c, d);
    double least = HUGE_VAL, most = 0;
    for (int64_t i = 0; i < N * M; i++) {
        double s = got.of[sum][i], r = got.of[rest][i];
        ck_assert_msg(s + r == c->before[x][i] && (s == 0 || r == 0), "%s: [%lld]", c->text,
                      (long long)i);
        if (s != 0) least = fmin(least, fabs(s));
        most = fmax(most, fabs(r));
        sent += s != 0;
    }
    ck_assert_msg(least >= most, "%s: %g is left, %g is sent", c->text, most, least);
    ck_assert_int_eq(sent, K);
}

static double dot(const double *y, int64_t N, int64_t R, int64_t a, int64_t b) {
    double sum = 0;
    for (int64_t n = 0; n < N; n++) sum += y[n * R + a] * y[n * R + b];
    return sum;
}

// Columns of any size, of which the last are what the first is, nearly that, or zero.
static void columns_are_orthonormal(Case *c, const Device *d, int64_t N, int64_t M, int64_t R) {
    const double sizes[] = {1, REAL(c) == DTYPE_F32 ? 1e-38 : 1e-300, 0, 1e30};
    const double near = REAL(c) == DTYPE_F32 ? 1e-4 : 1e-12;
    (void)M;
    for (int way = 0; way < 6 && R <= N; way++) {
        int x = way ? program_find_tensor(&c->p, "x")
                    : case_tensor(c, "x", REAL(c), FILL_RANDOM, SHAPE(N, R));
        int y = way ? program_find_tensor(&c->p, "y") : OUTPUT(c, "y", REAL(c), SHAPE(N, R));
        if (!way) case_op(c, KIND_ORTHOGONALISE, false, NULL, "y", "x");
        case_fill(c, x, FILL_RANDOM);
        for (int64_t i = 0; i < N * R; i++) {
            double *at = &c->before[x][i];
            if (way == 4 && i % R) *at = c->before[x][i - i % R];
            if (way == 5 && i % R) *at = c->before[x][i - i % R] + near * *at;
            double value = *at * sizes[way < 4 ? way : 0];
            *at = REAL(c) == DTYPE_F32 ? (double)(float)value : value;
        }
        Values got = run_lowered(c, d);
        double most = (double)N * (REAL(c) == DTYPE_F32 ? 0x1p-20 : 0x1p-49);
        for (int64_t a = 0; a < R; a++)
            for (int64_t b = 0; b <= a; b++) {
                double is = dot(got.of[y], N, R, a, b);
                ck_assert_msg(fabs(is - (a == b)) <= most, "%s: way %d: columns %lld, %lld: %g",
                              c->text, way, (long long)a, (long long)b, is);
            }
    }
}

// p q' of orthonormal p and q = x' p is x where p has as many columns as x has rows.
static void full_rank_is_everything(Case *c, const Device *d, int64_t N, int64_t M, int64_t R) {
    if (R > 1) return;
    int x = case_tensor(c, "x", REAL(c), FILL_RANDOM, SHAPE(N, M));
    case_tensor(c, "q", REAL(c), FILL_RANDOM, SHAPE(M, N));
    OUTPUT(c, "left", REAL(c), SHAPE(N, N));
    OUTPUT(c, "p", REAL(c), SHAPE(N, N));
    OUTPUT(c, "right", REAL(c), SHAPE(M, N));
    int rest = OUTPUT(c, "rest", REAL(c), SHAPE(N, M)),
        whole = OUTPUT(c, "whole", REAL(c), SHAPE(N, M));
    case_op(c, KIND_LOW_RANK_LEFT, false, NULL, "left", "x q");
    case_op(c, KIND_ORTHOGONALISE, false, NULL, "p", "left");
    case_op(c, KIND_LOW_RANK_RIGHT, false, NULL, "right", "x p");
    case_op(c, KIND_LOW_RANK_REST, false, NULL, "rest", "x p right");
    case_op(c, KIND_LOW_RANK_WHOLE, false, NULL, "whole", "p right");
    Values got = run_lowered(c, d);
    double most = (double)N * (REAL(c) == DTYPE_F32 ? 0x1p-21 : 0x1p-50);
    for (int64_t i = 0; i < N * M; i++) {
        ck_assert_msg(fabs(got.of[whole][i] - c->before[x][i]) <= most, "%s: [%lld] %g, not %g",
                      c->text, (long long)i, got.of[whole][i], c->before[x][i]);
        ck_assert_double_le(fabs(got.of[rest][i]), most);
    }
}

START_TEST(what_is_sent_and_what_is_left_are_everything) { each(nothing_is_lost); }
END_TEST
START_TEST(columns_of_any_size_become_orthonormal) { each(columns_are_orthonormal); }
END_TEST
START_TEST(factors_of_full_rank_are_the_matrix) { each(full_rank_is_everything); }
END_TEST

SUITE("device_low_rank", an_error_goes_in_and_out_by_rows, products_with_factors_by_hand,
      the_largest_elements_by_hand, lists_of_shards_are_added_in_their_order,
      columns_become_orthonormal_by_hand, products_agree_with_the_reference,
      stacks_agree_with_the_reference, a_stack_has_the_bits_of_its_matrices,
      selections_agree_bit_for_bit, what_is_sent_and_what_is_left_are_everything,
      columns_of_any_size_become_orthonormal, factors_of_full_rank_are_the_matrix)
