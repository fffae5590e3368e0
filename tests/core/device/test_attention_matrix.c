// SPDX-License-Identifier: MIT
// Attention with the matrix of scores in memory: against attention as one kernel, the forward and
// the gradients; against the reference; by hand; and dropout whose mask is kept.
#include "tests/support/device_hand.h"
#include "tests/support/device_near.h"
#include "tests/support/gradient.h"

typedef struct {
    int64_t rows, capacity, T, D, heads, kv_heads, causal;
} Shape;

static void sequence(Case *c, const Shape *s, const char *name, int64_t channels, Fill fill) {
    case_tensor(c, name, REAL(c), fill, SHAPE(ROWS, s->T, channels));
}

static void matrix(Case *c, const Shape *s, const char *name) {
    case_tensor(c, name, REAL(c), FILL_OUTPUT, SHAPE(ROWS, s->heads, s->T, s->T));
}

// Both ways, of one qkv and one dy. `one`: with the kernel that keeps no scores, too.
static void build(Case *c, const Shape *s, bool one) {
    const int64_t heads[] = {s->heads, s->kv_heads, s->causal}, causal[] = {s->causal};
    int64_t C = s->heads * s->D, E = C + 2 * s->kv_heads * s->D;
    static const char *const matrices[] = {"s", "p", "dp", "ds"};
    sequence(c, s, "qkv", E, FILL_RANDOM);
    sequence(c, s, "dy", C, FILL_RANDOM);
    sequence(c, s, "y", C, FILL_OUTPUT);
    sequence(c, s, "dv", s->kv_heads * s->D, FILL_OUTPUT);
    sequence(c, s, "dqkv", E, FILL_OUTPUT);
    for (int i = 0; i < 4; i++) matrix(c, s, matrices[i]);
    case_op(c, KIND_ATTENTION_SCORES, false, heads, "s", "qkv");
    case_op(c, KIND_ATTENTION_SOFTMAX, false, causal, "p", "s");
    case_op(c, KIND_ATTENTION_VALUES, false, heads, "y", "p qkv");
    case_op(c, KIND_ATTENTION_VALUES_BACKWARD, false, heads, "dp dv", "dy p qkv");
    case_op(c, KIND_ATTENTION_SOFTMAX_BACKWARD, false, causal, "ds", "dp p");
    case_op(c, KIND_ATTENTION_SCORES_BACKWARD, false, heads, "dqkv", "ds dv qkv");
    snprintf(c->text, sizeof c->text, "%s rows %lld, T %lld, D %lld, heads %lld and %lld%s",
             dtype_name(REAL(c)), (long long)s->rows, (long long)s->T, (long long)s->D,
             (long long)s->heads, (long long)s->kv_heads, s->causal ? ", causal" : "");
    if (!one) return;
    sequence(c, s, "lse", s->heads, FILL_OUTPUT);
    sequence(c, s, "y1", C, FILL_OUTPUT);
    sequence(c, s, "dqkv1", E, FILL_OUTPUT);
    case_op(c, KIND_ATTENTION_PACKED, false, heads, "y1 lse", "qkv");
    case_op(c, KIND_ATTENTION_PACKED_BACKWARD, false, heads, "dqkv1", "dy y1 lse qkv");
}

static const int64_t lengths[] = {1, 2, 9, 33}, sizes[] = {1, 4, 17},
                     heads_of[][2] = {{1, 1}, {2, 2}, {4, 2}, {3, 1}},
                     rows_of[][2] = {{1, 1}, {2, 3}};

static Shape shape_of(int i) {
    return (Shape){.rows = rows_of[i % 2][0],
                   .capacity = rows_of[i % 2][1],
                   .T = lengths[i % 4],
                   .D = sizes[i % 3],
                   .heads = heads_of[i / 3 % 4][0],
                   .kv_heads = heads_of[i / 3 % 4][1],
                   .causal = i / 2 % 2};
}
enum { SHAPES = 24 };

static void equal(const Case *c, const Values *got, const char *a, const char *b, double margin) {
    int first = gradient_tensor(c, a), second = gradient_tensor(c, b);
    const Tensor *t = &c->p.tensors[first];
    int64_t live = case_elements(c, first) / t->shape[0] * c->rows;
    for (int64_t i = 0; i < live; i++)
        ck_assert_msg(fabs(got->of[first][i] - got->of[second][i]) <= margin,
                      "%s: %s[%lld] is %.17g, but %s %.17g", c->text, a, (long long)i,
                      got->of[first][i], b, got->of[second][i]);
}

START_TEST(matrices_give_what_one_kernel_gives) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++)
        for (int i = 0; i < 2 * SHAPES; i++) {
            const Shape s = shape_of(i / 2);
            Case c;
            case_init(&c, i % 2 ? DTYPE_F64 : DTYPE_F32, s.capacity, s.rows);
            build(&c, &s, true);
            Values got = run_lowered(&c, devices[d]);
            double margin = (i % 2 ? 0x1p-53 : 0x1p-24) * 8 * (double)(s.T + s.D + 16) *
                            (double)s.D * (double)s.heads;
            equal(&c, &got, "y", "y1", margin);
            equal(&c, &got, "dqkv", "dqkv1", margin);
            case_finish(&c);
        }
}
END_TEST

START_TEST(matrices_agree_with_the_reference) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++)
        for (int i = 0; i < 2 * SHAPES; i++) {
            const Shape s = shape_of(i / 2);
            Case c;
            case_init(&c, i % 2 ? DTYPE_F64 : DTYPE_F32, s.capacity, s.rows);
            build(&c, &s, false);
            near_agree(&c, devices[d],
                       8 * (double)(s.T + s.D + 16) * (1 + sqrt((double)s.D)) * (double)s.heads);
            case_finish(&c);
        }
}
END_TEST

static void set(Case *c, const char *name, const double *values) {
    case_set(c, gradient_tensor(c, name), values);
}

// One head of one channel, two positions: scores are q k, and causal the first query sees itself.
// Equal keys of 1: both rows have equal scores, so that probabilities are 1 0, 1/2 1/2.
static void by_hand_causal(Case *c, const Device *d) {
    const Shape s = {
        .rows = 1, .capacity = 1, .T = 2, .D = 1, .heads = 1, .kv_heads = 1, .causal = 1};
    build(c, &s, false);
    set(c, "qkv", (const double[]){3, 1, 2, 5, 1, 6});  // q k v of each position
    set(c, "dy", (const double[]){1, 4});
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "s", 3, 3, 5, 5);
    EXPECT(c, &got, "p", 1, 0, 0.5, 0.5);
    EXPECT(c, &got, "y", 2, 4);
    EXPECT(c, &got, "dp", 2, 6, 8, 24);  // dy v
    EXPECT(c, &got, "dv", 3, 2);         // 1 + 4 / 2, 4 / 2
    EXPECT(c, &got, "ds", 0, 0, -4, 4);  // p (dp - 16) in the second row
    EXPECT(c, &got, "dqkv", 0, -20, 3, 0, 20, 2);
}

START_TEST(matrices_by_hand) { by_hand(1, by_hand_causal); }
END_TEST

// --- dropout

// The mask is where y is not zero, and the gradient passes it as it passes one drawn again.
static void kept_mask(Case *c, const Device *d) {
    enum { N = 40 };
    const int64_t attrs[4] = {build_attr_real(0.5), 3}, rate[] = {attrs[0]};
    case_tensor(c, "x", REAL(c), FILL_RANDOM, SHAPE(ROWS, N));
    case_tensor(c, "y", REAL(c), FILL_OUTPUT, SHAPE(ROWS, N));
    case_tensor(c, "mask", DTYPE_U8, FILL_OUTPUT, SHAPE(ROWS, N));
    case_tensor(c, "dy", REAL(c), FILL_RANDOM, SHAPE(ROWS, N));
    case_tensor(c, "dx", REAL(c), FILL_OUTPUT, SHAPE(ROWS, N));
    case_tensor(c, "dx1", REAL(c), FILL_OUTPUT, SHAPE(ROWS, N));
    case_tensor(c, "seed", DTYPE_I64, FILL_RANDOM, SHAPE(1));
    case_tensor(c, "step", DTYPE_I64, FILL_RANDOM, SHAPE(1));
    case_tensor(c, "first_row", DTYPE_I64, FILL_RANDOM, SHAPE(1));
    set(c, "seed", (const double[]){7});
    set(c, "step", (const double[]){2});
    set(c, "first_row", (const double[]){1});
    case_op(c, KIND_DROPOUT, false, attrs, "y mask", "x seed step first_row");
    case_op(c, KIND_DROPOUT_MASK_BACKWARD, false, rate, "dx", "dy mask");
    case_op(c, KIND_DROPOUT_BACKWARD, false, attrs, "dx1", "dy seed step first_row");
    Values got = run_lowered(c, d);
    int y = gradient_tensor(c, "y"), mask = gradient_tensor(c, "mask"), kept = 0;
    for (int64_t i = 0; i < N; i++) {
        ck_assert_int_eq(got.of[mask][i] != 0, got.of[y][i] != 0);
        kept += got.of[y][i] != 0;
    }
    ck_assert_int_gt(kept, N / 4);
    ck_assert_int_lt(kept, 3 * N / 4);
    equal(c, &got, "dx", "dx1", 0);
}

START_TEST(a_kept_mask_is_the_one_that_would_be_drawn_again) { by_hand(1, kept_mask); }
END_TEST

SUITE("attention_matrix", matrices_by_hand, matrices_give_what_one_kernel_gives,
      matrices_agree_with_the_reference, a_kept_mask_is_the_one_that_would_be_drawn_again)
