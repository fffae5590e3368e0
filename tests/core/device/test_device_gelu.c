// SPDX-License-Identifier: MIT
// GELU against the C library's erfc in long double, against the reference, and against itself where
// it lies elsewhere.
#include "tests/support/device_agree.h"
#include "tests/support/device_hand.h"

static void at_least(Case *c, int64_t terms) {
    if (c->terms < terms) c->terms = terms;
}

static void gelu(Case *c, int64_t n, const double *x, const double *dy) {
    case_set(c, case_tensor(c, "x", REAL(c), FILL_OUTPUT, SHAPE(n)), x);
    case_set(c, case_tensor(c, "dy", REAL(c), FILL_OUTPUT, SHAPE(n)), dy);
    OUTPUT(c, "y", REAL(c), SHAPE(n));
    OUTPUT(c, "dx", REAL(c), SHAPE(n));
    case_op(c, KIND_GELU, false, NULL, "y", "x");
    case_op(c, KIND_GELU_BACKWARD, false, NULL, "dx", "dy x");
}

// Phi(0) = 1/2, so gelu(0) = 0 and its slope there is 1/2. Far out it is x and slope 1, or 0.
static void gelu_at_the_ends(Case *c, const Device *d) {
    const double x[] = {0, -0.0, 40, -40, none, infinite, 0x1p100, -0x1p100},
                 dy[] = {2, 4, 3, 3, 1, 1, 5, 5};
    gelu(c, 8, x, dy);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 0, 0, 40, 0, none, infinite, 0x1p100, 0);
    EXPECT(c, &got, "dx", 1, 2, 3, 0, none, none, 5, 0);
}

// As case_init() rounds numbers: what the type holds.
static double held(Dtype d, double x) { return d == DTYPE_F32 ? (double)(float)x : x; }

// Phi(x) is erfc(-x / sqrt(2)) / 2 in long double. The relative error that is allowed in u, half
// the spacing of numbers at 1: 8. The reference in f64 may lose as much as rounding x / sqrt(2)
// costs, a relative error of 2 u, which erfc() magnifies by x^2 in its tail. Of the gradient the
// two terms count by their size, as they may cancel.
static void check_gelu(const Case *c, const Device *d, const Values *got, int64_t i) {
    bool f32 = c->dtype == DTYPE_F32, plain = d == &device_reference;
    double u = f32 ? 0x1p-24 : 0x1p-53, least = f32 ? 0x1p-147 : 0x1p-1072;
    long double x = (long double)got->of[program_find_tensor(&c->p, "x")][i],
                dy = (long double)got->of[program_find_tensor(&c->p, "dy")][i];
    long double below = erfcl(-x * sqrtl(0.5L)) / 2,
                bell = expl(-x * x / 2) / sqrtl(2 * acosl(-1.0L));
    double allowed = (8 + (plain && !f32 ? 4 * (double)(x * x) : 0)) * u;
    double y = got->of[program_find_tensor(&c->p, "y")][i],
           dx = got->of[program_find_tensor(&c->p, "dx")][i];
    if (!(fabsl((long double)y - x * below) <=
          (long double)allowed * fabsl(x * below) + (long double)(least * fabs((double)x) + least)))
        ck_abort_msg("%s: gelu(%.17g) is %.17g, not %.17Lg", c->text, (double)x, y, x * below);
    if (!(fabsl((long double)dx - dy * (below + x * bell)) <=
          (long double)allowed * fabsl(dy) * (below + fabsl(x) * bell) + (long double)(64 * least)))
        ck_abort_msg("%s: the gradient at %.17g is %.17g, not %.17Lg", c->text, (double)x, dx,
                     dy * (below + x * bell));
}

// A fine net over where it is neither 0 nor x, and numbers of every size.
static void gelu_everywhere(Case *c, const Device *d) {
    enum { N = 40009 };
    double *x = ARENA_NEW(&c->arena, double, N), *dy = ARENA_NEW(&c->arena, double, N);
    double end = REAL(c) == DTYPE_F32 ? 14.5 : 39;
    for (int i = 0; i < N; i++) {
        x[i] = i % 2 ? end * (2.0 * i / (N - 1) - 1) : ldexp(i % 4 ? 1 : -1, -(i % 1000) / 8);
        x[i] = held(REAL(c), x[i]);
        dy[i] = held(REAL(c), i % 3 ? 1.25 : -0.75);
    }
    gelu(c, N, x, dy);
    Values got = run_lowered(c, d);
    for (int i = 0; i < N; i++) check_gelu(c, d, &got, i);
}

START_TEST(gelu_is_exact_to_a_few_units) {
    by_hand(1, gelu_at_the_ends);
    by_hand(1, gelu_everywhere);
}
END_TEST

// One element more or less moves each into a vector or out of it: its bits stay.
static void gelu_tails(Case *c, const Device *d) {
    enum { N = 67 };
    double x[N], dy[N];
    for (int i = 0; i < N; i++) x[i] = held(REAL(c), -7 + 0.213 * i), dy[i] = held(REAL(c), 0.7);
    gelu(c, N, x, dy);
    Values all = run_lowered(c, d);
    for (int64_t first = 1; first < 20; first++) {
        Case part;
        case_init(&part, REAL(c), 1, 1);
        gelu(&part, N - 2 * first, x + first, dy + first);
        Values got = run_lowered(&part, d);
        for (int t = 0; t < part.p.tensor_count; t++) {
            const char *name = tensor_name(&part.p, t);
            if (!case_is_output(&part, t)) continue;
            const double *whole = all.of[program_find_tensor(&c->p, name)];
            for (int64_t i = 0; i < N - 2 * first; i++)
                ck_assert_msg(!memcmp(&got.of[t][i], &whole[first + i], sizeof(double)),
                              "%s: %s[%lld] depends on where it lies", c->text, name, (long long)i);
        }
        case_finish(&part);
    }
}

START_TEST(gelus_bits_are_equal_in_vectors_and_beyond) { by_hand(1, gelu_tails); }
END_TEST

static void build_gelu(Case *c, const Sizes *s) {
    case_tensor(c, "x", s->dtype, s->fill, SHAPE(ROWS, s->C));
    case_tensor(c, "y", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_tensor(c, "dy", s->dtype, s->fill, SHAPE(ROWS, s->C));
    case_tensor(c, "dx", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_op(c, KIND_GELU, false, NULL, "y", "x");
    case_op(c, KIND_GELU_BACKWARD, false, NULL, "dx", "dy x");
    at_least(c, 16);  // roundings; test_device.c has the exact bound
}

// No number but 0 has an exact one.
START_TEST(gelus_agree) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < SWEPT_ROWS * 5 * 4 * count; i++) {
        static const int64_t widths[] = {1, 3, 17, 64, 1001};
        Sizes s = {.dtype = i & 1 ? DTYPE_F64 : DTYPE_F32,
                   .fill = i & 2 ? FILL_EDGE : FILL_RANDOM,
                   .rows = swept_rows[i / 4 % SWEPT_ROWS][0],
                   .capacity = swept_rows[i / 4 % SWEPT_ROWS][1],
                   .C = widths[i / 4 / SWEPT_ROWS % 5]};
        device_agree(devices[i / (20 * SWEPT_ROWS)], build_gelu, &s, NONE);
    }
}
END_TEST

SUITE("device gelu", gelu_is_exact_to_a_few_units, gelus_bits_are_equal_in_vectors_and_beyond,
      gelus_agree)
