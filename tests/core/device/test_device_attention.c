// SPDX-License-Identifier: MIT
// Attention by hand, against the reference over swept shapes, and its gradients; with query, key
// and value in three tensors and in one.
#include "tests/support/device_hand.h"
#include "tests/support/device_near.h"
#include "tests/support/gradient.h"

typedef struct {
    int64_t rows, capacity, T, D, heads, kv_heads, causal;
    bool packed;
} Shape;

static int64_t y_channels(const Shape *s) { return s->heads * s->D; }
static int64_t kv_channels(const Shape *s) { return s->kv_heads * s->D; }
static int64_t packed_channels(const Shape *s) { return y_channels(s) + 2 * kv_channels(s); }

static void sequence(Case *c, const Shape *s, const char *name, int64_t channels, Fill fill) {
    case_tensor(c, name, REAL(c), fill, SHAPE(ROWS, s->T, channels));
}

static void build(Case *c, const Shape *s) {
    const int64_t attrs[] = {s->heads, s->kv_heads, s->causal};
    for (int side = 0; side < 2; side++) {  // what is read, and its gradients
        Fill fill = side ? FILL_OUTPUT : FILL_RANDOM;
        sequence(c, s, side ? "dq" : "q", y_channels(s), s->packed ? FILL_OUTPUT : fill);
        sequence(c, s, side ? "dk" : "k", kv_channels(s), s->packed ? FILL_OUTPUT : fill);
        sequence(c, s, side ? "dv" : "v", kv_channels(s), s->packed ? FILL_OUTPUT : fill);
        sequence(c, s, side ? "dqkv" : "qkv", packed_channels(s), s->packed ? fill : FILL_OUTPUT);
    }
    sequence(c, s, "y", y_channels(s), FILL_OUTPUT);
    sequence(c, s, "lse", s->heads, FILL_OUTPUT);
    sequence(c, s, "dy", y_channels(s), FILL_RANDOM);
    case_op(c, s->packed ? KIND_ATTENTION_PACKED : KIND_ATTENTION, false, attrs, "y lse",
            s->packed ? "qkv" : "q k v");
    case_op(c, s->packed ? KIND_ATTENTION_PACKED_BACKWARD : KIND_ATTENTION_BACKWARD, false, attrs,
            s->packed ? "dqkv" : "dq dk dv", s->packed ? "dy y lse qkv" : "dy y lse q k v");
    snprintf(c->text, sizeof c->text, "%s rows %lld, T %lld, D %lld, heads %lld and %lld%s%s",
             dtype_name(REAL(c)), (long long)s->rows, (long long)s->T, (long long)s->D,
             (long long)s->heads, (long long)s->kv_heads, s->causal ? ", causal" : "",
             s->packed ? ", packed" : "");
}

static void set(Case *c, const char *name, const double *values) {
    case_set(c, gradient_tensor(c, name), values);
}
#define SET(c, name, ...) set(c, name, (const double[]){__VA_ARGS__})

static void near(const Case *c, const Values *got, const char *name, int64_t n,
                 const double *want) {
    double u = REAL(c) == DTYPE_F32 ? 0x1p-24 : 0x1p-53;
    for (int64_t i = 0; i < n; i++) {
        double is = got->of[gradient_tensor(c, name)][i];
        ck_assert_msg(fabs(is - want[i]) <= 8 * u * (1 + fabs(want[i])),
                      "%s: %s[%lld] is %.17g, not %.17g", c->text, name, (long long)i, is, want[i]);
    }
}

// Two positions, two heads of one channel, one of keys: both keys are equal, and so is what they
// count, 1/2, or 1 where the first query sees itself alone. ds = dy (v - y) p.
static const Shape two = {
    .rows = 1, .capacity = 1, .T = 2, .D = 1, .heads = 2, .kv_heads = 1, .packed = false};

static void equal_keys(Case *c, const Device *d) {
    build(c, &two);
    SET(c, "q", 1, 2, 3, -1);
    SET(c, "k", 1, 1);
    SET(c, "v", 2, 6);
    SET(c, "dy", 1, 2, 3, 4);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 4, 4, 4, 4);
    near(c, &got, "lse", 4, (const double[]){1 + log(2), 2 + log(2), 3 + log(2), -1 + log(2)});
    near(c, &got, "dv", 2, (const double[]){5, 5});     // (1 + 2 + 3 + 4) / 2
    near(c, &got, "dk", 2, (const double[]){-10, 10});  // ds = -dy, dy: 1 1 + 2 2 + 3 3 - 4 1
}

static void equal_scores_causal(Case *c, const Device *d) {
    Shape causal = two;
    causal.causal = 1;
    build(c, &causal);
    SET(c, "q", 0, 0, 0, 0);
    SET(c, "k", 1, 5);
    SET(c, "v", 2, 6);
    SET(c, "dy", 1, 2, 3, 4);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 2, 2, 4, 4);
    near(c, &got, "lse", 4, (const double[]){0, 0, log(2), log(2)});
    near(c, &got, "dv", 2, (const double[]){6.5, 3.5});      // 1 + 2 + (3 + 4) / 2, (3 + 4) / 2
    near(c, &got, "dq", 4, (const double[]){0, 0, 12, 16});  // dy (5 - 1)
    near(c, &got, "dk", 2, (const double[]){0, 0});
}

// The same, each position with its two queries, key and value side by side.
static void packed_by_hand(Case *c, const Device *d) {
    Shape packed = two;
    packed.packed = true;
    build(c, &packed);
    SET(c, "qkv", 1, 2, 1, 2, 3, -1, 1, 6);
    SET(c, "dy", 1, 2, 3, 4);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 4, 4, 4, 4);
    near(c, &got, "dqkv", 8, (const double[]){0, 0, -10, 5, 0, 0, 10, 5});
}

// q k / sqrt(4) = ln 3 and 0: weights 3/4 and 1/4.
static void scaled(Case *c, const Device *d) {
    const Shape s = {.rows = 1, .capacity = 1, .T = 2, .D = 4, .heads = 1, .kv_heads = 1};
    const double three = 2 * log(3), l = REAL(c) == DTYPE_F32 ? (double)(float)three : three;
    build(c, &s);
    SET(c, "q", l, 9, 0, 0, 0, 0, 0, 0);
    SET(c, "k", 1, 0, 5, 6, 0, 0, 7, 8);
    SET(c, "v", 4, 0, 8, 0, 0, 4, 8, 0);
    Values got = run_lowered(c, d);
    near(c, &got, "y", 4, (const double[]){3, 1, 8, 0});
    near(c, &got, "lse", 1, (const double[]){log(4)});
}

START_TEST(attention_by_hand) {
    by_hand(1, equal_keys);
    by_hand(1, equal_scores_causal);
    by_hand(1, packed_by_hand);
    by_hand(1, scaled);
}
END_TEST

// --- against the reference

// A score is a sum of D products, and a result one of T terms, whose weights are off as much as
// the scores are.
static void agree(const Shape *s, Dtype dtype, double factor) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++) {
        Case c;
        case_init(&c, dtype, s->capacity, s->rows);
        build(&c, s);
        int q = gradient_tensor(&c, s->packed ? "qkv" : "q");
        for (int64_t i = 0; i < case_elements(&c, q); i++) c.before[q][i] *= factor;
        double score = factor * (s->packed ? factor : 1) * sqrt((double)s->D);
        near_agree(&c, devices[d], 2 * (double)(s->T + s->D + 16) * (1 + score));
        case_finish(&c);
    }
}

static void agree_in_all(Shape s) {
    for (int i = 0; i < 8; i++) {
        s.causal = i & 1;
        s.packed = i & 2;
        agree(&s, i & 4 ? DTYPE_F64 : DTYPE_F32, 1);
    }
}

// Shapes on both sides of where blocks of 64 queries and 256 keys end.
START_TEST(attention_agrees) {
    static const int64_t lengths[] = {1, 2, 17, 63, 64, 65, 130}, sizes[] = {1, 3, 8, 17},
                         heads[][2] = {{1, 1}, {2, 2}, {4, 2}, {3, 1}},
                         rows[][2] = {{1, 1}, {2, 3}, {0, 2}};
    for (int i = 0; i < 7 * 4; i++)
        agree_in_all((Shape){.rows = rows[i % 3][0],
                             .capacity = rows[i % 3][1],
                             .T = lengths[i % 7],
                             .D = sizes[i / 7],
                             .heads = heads[(i + i / 7) % 4][0],
                             .kv_heads = heads[(i + i / 7) % 4][1]});
    agree_in_all((Shape){.rows = 1, .capacity = 1, .T = 321, .D = 16, .heads = 2, .kv_heads = 1});
    agree_in_all((Shape){.rows = 1, .capacity = 1, .T = 513, .D = 4, .heads = 1, .kv_heads = 1});
}
END_TEST

// Nearly all of the weight is one key's, and exp() of a score alone would be too large for f32.
START_TEST(scores_of_hundreds_do_not_overflow) {
    Shape s = {.rows = 1, .capacity = 1, .T = 300, .D = 16, .heads = 1, .kv_heads = 1};
    for (s.causal = 0; s.causal < 2; s.causal++) {
        agree(&s, DTYPE_F32, 300);
        agree(&s, DTYPE_F64, 3000);
    }
}
END_TEST

// --- what a query sees

static void copy_bits(const Case *c, const Values *v, const char *name, int64_t n, double *out) {
    memcpy(out, v->of[gradient_tensor(c, name)], (size_t)n * sizeof *out);
}

// Another key and value at the last position change no other position, and those that they do
// not reach keep their bits.
static void causal_sees_no_future(Case *c, const Device *d) {
    enum { T = 70, C = 6 };
    const Shape s = {
        .rows = 1, .capacity = 1, .T = T, .D = 3, .heads = 2, .kv_heads = 2, .causal = 1};
    double before[T * C], after[T * C];
    build(c, &s);
    Values got = run_lowered(c, d);
    copy_bits(c, &got, "y", T * C, before);
    for (int i = 0; i < C; i++) {
        c->before[gradient_tensor(c, "k")][(T - 1) * C + i] += 1;
        c->before[gradient_tensor(c, "v")][(T - 1) * C + i] -= 1;
    }
    got = run_lowered(c, d);
    copy_bits(c, &got, "y", T * C, after);
    ck_assert_mem_eq(before, after, (T - 1) * C * sizeof(double));
    for (int i = (T - 1) * C; i < T * C; i++)
        ck_assert_msg(before[i] != after[i], "%s: y[%d] does not see its own key", c->text, i);
}

START_TEST(no_query_sees_a_later_key) { by_hand(1, causal_sees_no_future); }
END_TEST

// --- gradients

static void check_gradients(const Shape *s) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++) {
        Case c;
        case_init(&c, DTYPE_F64, s->capacity, s->rows);
        build(&c, s);
        ck_assert_ok(program_lower(&c.p, devices[d]->traits));
        const double *dy = c.before[gradient_tensor(&c, "dy")];
        if (s->packed) {
            gradient_check(&c, devices[d], "qkv", "dqkv", "y", dy);
        } else {
            gradient_check(&c, devices[d], "q", "dq", "y", dy);
            gradient_check(&c, devices[d], "k", "dk", "y", dy);
            gradient_check(&c, devices[d], "v", "dv", "y", dy);
        }
        case_finish(&c);
    }
}

START_TEST(gradients_of_attention) {
    Shape s = {.rows = 2, .capacity = 3, .T = 5, .D = 3, .heads = 4, .kv_heads = 2};
    for (int i = 0; i < 4; i++) {
        s.causal = i & 1;
        s.packed = i & 2;
        check_gradients(&s);
    }
}
END_TEST

SUITE("device attention", attention_by_hand, attention_agrees, scores_of_hundreds_do_not_overflow,
      no_query_sees_a_later_key, gradients_of_attention)
