// SPDX-License-Identifier: MIT
// What transformers need beside attention: rms_norm, rotary, swiglu and dropout; by hand, against
// the reference over swept shapes, and their gradients.
#include "tests/support/device_sweep.h"

static void build_rms_norm(Case *c, const Shape *s) {
    const int64_t eps = build_attr_real(0.25);
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    sequence(c, s, "dx", FILL_OUTPUT);
    case_tensor(c, "weight", REAL(c), FILL_RANDOM, SHAPE(s->C));
    case_tensor(c, "dweight", REAL(c), s->accumulate ? FILL_RANDOM : FILL_OUTPUT, SHAPE(s->C));
    case_op(c, KIND_RMS_NORM, false, &eps, "y", "x weight");
    case_op(c, KIND_RMS_NORM_BACKWARD_INPUT, false, &eps, "dx", "dy x weight");
    case_op(c, KIND_RMS_NORM_BACKWARD_WEIGHT, s->accumulate, &eps, "dweight", "dy x");
}

static void build_rotary(Case *c, const Shape *s) {
    const int64_t attrs[] = {s->heads, build_attr_real(100)};
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    sequence(c, s, "dx", FILL_OUTPUT);
    case_op(c, KIND_ROTARY, false, attrs, "y", "x");
    case_op(c, KIND_ROTARY_BACKWARD, false, attrs, "dx", "dy");
}

static void build_swiglu(Case *c, const Shape *s) {
    sequence(c, s, "gate", FILL_RANDOM);
    sequence(c, s, "up", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    sequence(c, s, "dgate", FILL_OUTPUT);
    sequence(c, s, "dup", FILL_OUTPUT);
    case_op(c, KIND_SWIGLU, false, NULL, "y", "gate up");
    case_op(c, KIND_SWIGLU_BACKWARD, false, NULL, "dgate dup", "dy gate up");
}

static void drop(Case *c, const Shape *s, double rate, int64_t layer, double seed, double step,
                 double first_row) {
    const int64_t attrs[] = {build_attr_real(rate), layer, 0, 0};
    static const char *const names[] = {"seed", "step", "first_row"};
    const double values[] = {seed, step, first_row};
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    sequence(c, s, "dx", FILL_OUTPUT);
    for (int i = 0; i < 3; i++)
        case_set(c, case_tensor(c, names[i], DTYPE_I64, FILL_OUTPUT, SHAPE(1)), &values[i]);
    case_op(c, KIND_DROPOUT, false, attrs, "y", "x seed step first_row");
    case_op(c, KIND_DROPOUT_BACKWARD, false, attrs, "dx", "dy seed step first_row");
}

static void build_dropout(Case *c, const Shape *s) { drop(c, s, 0.3, 5, 1e12 + 7, 11, 1e9 + 1); }

// --- by hand

static const Shape one = {.rows = 1, .capacity = 1, .T = 1, .C = 4, .heads = 1};

// mean x^2 = 15/4, with eps 1/4 it is 4: r = 1/2.
static void rms_norm(Case *c, const Device *d) {
    build_rms_norm(c, &one);
    SET(c, "x", 1, 3, -2, 1);
    SET(c, "weight", 2, 1, 3, -4);
    SET(c, "dy", 4, 0, 4, 2);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 1, 1.5, -3, -2);
    EXPECT(c, &got, "dweight", 2, 0, -4, 1);
    // g = 8 0 12 -8, mean g x = (8 - 24 - 8) / 4 = -6: dx = (g + x 6 / 4) / 2
    EXPECT(c, &got, "dx", 4.75, 2.25, 4.5, -3.25);
}

// The gradient of a position that has been added to keeps what was there.
static void rms_norm_accumulates(Case *c, const Device *d) {
    Shape s = one;
    s.accumulate = true;
    build_rms_norm(c, &s);
    SET(c, "x", 1, 3, -2, 1);
    SET(c, "weight", 2, 1, 3, -4);
    SET(c, "dy", 4, 0, 4, 2);
    SET(c, "dweight", 10, 20, 30, 40);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "dweight", 12, 20, 26, 41);
}

// Two positions of one head: the first is not turned; at the second channels 0 and 2 turn by 1, 1
// and 3 by 1/10, as theta is 100.
static void rotary(Case *c, const Device *d) {
    const Shape s = {.rows = 1, .capacity = 1, .T = 2, .C = 4, .heads = 1};
    build_rotary(c, &s);
    SET(c, "x", 1, 2, 3, 4, 1, 0, 0, 2);
    SET(c, "dy", 1, 2, 3, 4, 1, 0, 0, 2);
    Values got = run_lowered(c, d);
    const double y[] = {1, 2, 3, 4, cos(1), -2 * sin(0.1), sin(1), 2 * cos(0.1)},
                 dx[] = {1, 2, 3, 4, cos(1), 2 * sin(0.1), -sin(1), 2 * cos(0.1)};
    double u = REAL(c) == DTYPE_F32 ? 0x1p-24 : 0x1p-53;
    for (int i = 0; i < 8; i++) {
        ck_assert_double_eq_tol(got.of[gradient_tensor(c, "y")][i], y[i], 8 * u);
        ck_assert_double_eq_tol(got.of[gradient_tensor(c, "dx")][i], dx[i], 8 * u);
    }
}

// At 0 SiLU is 0 with slope 1/2; far out it is the gate, or 0.
static void swiglu(Case *c, const Device *d) {
    build_swiglu(c, &one);
    SET(c, "gate", 0, 200, -2000, none);
    SET(c, "up", 3, 5, 7, 1);
    SET(c, "dy", 2, 2, 2, 2);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 0, 1000, 0, none);
    EXPECT(c, &got, "dgate", 3, 10, 0, none);
    EXPECT(c, &got, "dup", 0, 400, 0, none);
}

START_TEST(sequences_by_hand) {
    by_hand(1, rms_norm);
    by_hand(1, rms_norm_accumulates);
    by_hand(1, rotary);
    by_hand(1, swiglu);
}
END_TEST

// --- against the reference

// Angles are off by as many roundings as there are positions.
START_TEST(sequences_agree) {
    static const int64_t lengths[] = {1, 2, 31, 33, 100}, channels[] = {2, 6, 24, 130};
    for (int i = 0; i < 5 * 4; i++) {
        int64_t T = lengths[i % 5], C = channels[i / 5];
        agree(build_rms_norm, (Shape){.T = T, .C = C}, (double)(8 + C + 2 * T));
        agree(build_rotary, (Shape){.T = T, .C = C, .heads = i % 2 && C > 2 ? C / 2 : 1},
              (double)(8 + 4 * T));
        agree(build_swiglu, (Shape){.T = T, .C = C}, 16);
        agree(build_dropout, (Shape){.T = T, .C = C + 1}, 0);
    }
}
END_TEST

// --- gradients

START_TEST(gradients_of_sequences) {
    check_gradients(build_rms_norm,
                    (const char *const[][2]){{"x", "dx"}, {"weight", "dweight"}, {NULL, NULL}});
    check_gradients(build_rotary, (const char *const[][2]){{"x", "dx"}, {NULL, NULL}});
    check_gradients(build_swiglu,
                    (const char *const[][2]){{"gate", "dgate"}, {"up", "dup"}, {NULL, NULL}});
    check_gradients(build_dropout, (const char *const[][2]){{"x", "dx"}, {NULL, NULL}});
}
END_TEST

// --- masks

enum { T = 3, C = 7, ROW = T * C, ALL = 8 * ROW };

// The mask of rows from `first` on; all elements are 1.
static void mask_of(const Device *d, int64_t rows, double rate, int64_t layer, double seed,
                    double step, double first, double *out) {
    const Shape s = {.rows = rows, .capacity = rows, .T = T, .C = C};
    Case c;
    case_init(&c, DTYPE_F64, rows, rows);
    drop(&c, &s, rate, layer, seed, step, first);
    int x = gradient_tensor(&c, "x");
    for (int64_t i = 0; i < rows * ROW; i++) c.before[x][i] = 1;
    Values got = run_lowered(&c, d);
    memcpy(out, got.of[gradient_tensor(&c, "y")], (size_t)(rows * ROW) * sizeof *out);
    case_finish(&c);
}

// Rows 100 to 107 at once, or in parts of 1, 2 and 5 as shards and micro-batches are.
START_TEST(a_mask_does_not_depend_on_how_rows_are_cut) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    double whole[ALL], parts[ALL];
    for (int d = 0; d < count; d++) {
        mask_of(devices[d], 8, 0.5, 2, 3, 4, 100, whole);
        mask_of(devices[d], 1, 0.5, 2, 3, 4, 100, parts);
        mask_of(devices[d], 2, 0.5, 2, 3, 4, 101, parts + ROW);
        mask_of(devices[d], 5, 0.5, 2, 3, 4, 103, parts + 3 * ROW);
        ck_assert_mem_eq(whole, parts, sizeof whole);
    }
}
END_TEST

// Each of layer, seed, step and row has numbers of its own.
START_TEST(masks_differ_by_layer_seed_step_and_row) {
    double one_mask[ALL], other[ALL];
    mask_of(&device_reference, 8, 0.5, 2, 3, 4, 100, one_mask);
    for (int i = 0; i < 4; i++) {
        mask_of(&device_reference, 8, 0.5, 2 + (i == 0), 3 + (i == 1), 4 + (i == 2), 100 + (i == 3),
                other);
        int equal = 0;
        for (int e = 0; e < ALL; e++) equal += one_mask[e] == other[e];
        ck_assert_int_gt(equal, ALL / 4);
        ck_assert_int_lt(equal, ALL * 3 / 4);
    }
}
END_TEST

// The stream of core/base/rng.h, element by element, and how many it keeps: of n with probability p
// within five standard deviations.
START_TEST(elements_are_dropped_at_their_rate) {
    const double rates[] = {0, 0.1, 0.5, 0.9};
    for (int i = 0; i < 4; i++) {
        double mask[ALL], kept = 0, rate = rates[i];
        Rng r;
        mask_of(&device_reference, 8, rate, 2, 3, 4, 100, mask);
        rng_init(&r, 3, RNG_DROPOUT, 2, 4);
        for (int e = 0; e < ALL; e++) {
            bool keeps = rng_at(&r, (uint64_t)(100 * ROW + e)) >= (uint32_t)(rate * 0x1p32);
            ck_assert_double_eq(mask[e], keeps ? 1 / (1 - rate) : 0);
            kept += keeps;
        }
        ck_assert_double_le(fabs(kept - ALL * (1 - rate)), 5 * sqrt(ALL * rate * (1 - rate)));
    }
}
END_TEST

SUITE("device sequence", sequences_by_hand, sequences_agree, gradients_of_sequences,
      a_mask_does_not_depend_on_how_rows_are_cut, masks_differ_by_layer_seed_step_and_row,
      elements_are_dropped_at_their_rate)
