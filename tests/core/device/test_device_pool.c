// SPDX-License-Identifier: MIT
// Pooling, by hand and against the reference.
#include "tests/support/device_agree.h"
#include "tests/support/device_hand.h"

static void at_least(Case *c, int64_t terms) {
    if (c->terms < terms) c->terms = terms;
}

// --- the largest of a window

static void pool(Case *c, int64_t kernel, int64_t stride) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 4, 4), 1, 5, 2, 0, 5, 3, 2, 1, -1, -2, 7, 7, -3, -1, 7,
           7);
    TENSOR(c, "dy", REAL(c), SHAPE(ROWS, 1, 2, 2), 1, 2, 3, 4);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 1, 2, 2));
    OUTPUT(c, "index", DTYPE_U8, SHAPE(ROWS, 1, 2, 2));
    OUTPUT(c, "dx", REAL(c), SHAPE(ROWS, 1, 4, 4));
    const int64_t attrs[] = {kernel, stride, 0};
    case_op(c, KIND_MAX_POOL, false, attrs, "y index", "x");
    case_op(c, KIND_MAX_POOL_BACKWARD, false, attrs, "dx", "dy index");
}

// x =  1  5 | 2 0
//      5  3 | 2 1
//     -1 -2 | 7 7
//     -3 -1 | 7 7
static void pool_apart(Case *c, const Device *d) {
    pool(c, 2, 2);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 5, 2, -1, 7);
    EXPECT(c, &got, "index", 1, 0, 0, 0);
    EXPECT(c, &got, "dx", 0, 1, 2, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0);
}

// Windows of 3 at distance 1: in all four the first 7 is x[2,2], which is at place (2,2), (2,1),
// (1,2) and (1,1) of them.
static void pool_overlapping(Case *c, const Device *d) {
    pool(c, 3, 1);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 7, 7, 7, 7);
    EXPECT(c, &got, "index", 8, 7, 5, 4);
    EXPECT(c, &got, "dx", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 + 2 + 3 + 4, 0, 0, 0, 0, 0);
}

// Windows of 3 at distance 2 with padding of 1, around a plane of numbers below zero: the padding
// is nowhere the largest, and a place is counted from the window's corner, which lies in it.
//   x =  -1 -5 -3 -4
//        -2 -6 -9 -8
//        -7 -3 -5 -6
//        -9 -8 -4 -2
static void pool_padded(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 4, 4), -1, -5, -3, -4, -2, -6, -9, -8, -7, -3, -5, -6,
           -9, -8, -4, -2);
    TENSOR(c, "dy", REAL(c), SHAPE(ROWS, 1, 2, 2), 1, 2, 3, 4);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 1, 2, 2));
    OUTPUT(c, "index", DTYPE_U8, SHAPE(ROWS, 1, 2, 2));
    OUTPUT(c, "dx", REAL(c), SHAPE(ROWS, 1, 4, 4));
    const int64_t attrs[] = {3, 2, 1};
    case_op(c, KIND_MAX_POOL, false, attrs, "y index", "x");
    case_op(c, KIND_MAX_POOL_BACKWARD, false, attrs, "dx", "dy index");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", -1, -3, -2, -2);
    EXPECT(c, &got, "index", 4, 4, 1, 8);
    EXPECT(c, &got, "dx", 1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4);
}

// A window whose first position is padding, and whose first number is a NaN.
static void pool_padded_nan(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 2, 2), none, 5, none, 7);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 1, 1, 1));
    OUTPUT(c, "index", DTYPE_U8, SHAPE(ROWS, 1, 1, 1));
    case_op(c, KIND_MAX_POOL, false, (int64_t[]){3, 2, 1}, "y index", "x");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", none);
    EXPECT(c, &got, "index", 4);
}

static void pool_nan(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 2, 2), 1, none, 3, none);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 1, 1, 1));
    OUTPUT(c, "index", DTYPE_U8, SHAPE(ROWS, 1, 1, 1));
    case_op(c, KIND_MAX_POOL, false, (int64_t[]){2, 2, 0}, "y index", "x");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", none);
    EXPECT(c, &got, "index", 1);
}

START_TEST(pooling_takes_the_first_of_the_largest) {
    by_hand(1, pool_apart);
    by_hand(1, pool_overlapping);
    by_hand(1, pool_nan);
    by_hand(1, pool_padded);
    by_hand(1, pool_padded_nan);
}
END_TEST

// Of relu and max_pool, a model's plan does the backward of relu first, on the pooled values
// (core/nn/emit.c). The other order, that of the chain rule, must give the same bits.
static void exchange_backwards(Case *c, Fill fill, const int64_t *attrs) {
    int64_t H = attrs[0] + 2 * attrs[1] - 2 * attrs[2],
            OH = 3;  // three windows each way, and a row that none covers
    case_tensor(c, "x", REAL(c), fill, SHAPE(ROWS, 2, H + 1, H));
    case_tensor(c, "dy", REAL(c), fill, SHAPE(ROWS, 2, OH, OH));
    OUTPUT(c, "relu", REAL(c), SHAPE(ROWS, 2, H + 1, H));
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 2, OH, OH));
    OUTPUT(c, "index", DTYPE_U8, SHAPE(ROWS, 2, OH, OH));
    OUTPUT(c, "kept", REAL(c), SHAPE(ROWS, 2, OH, OH));
    OUTPUT(c, "dx", REAL(c), SHAPE(ROWS, 2, H + 1, H));
    OUTPUT(c, "drelu", REAL(c), SHAPE(ROWS, 2, H + 1, H));
    OUTPUT(c, "dx_by_the_chain_rule", REAL(c), SHAPE(ROWS, 2, H + 1, H));
    case_op(c, KIND_RELU, false, NULL, "relu", "x");
    case_op(c, KIND_MAX_POOL, false, attrs, "y index", "relu");
    case_op(c, KIND_RELU_BACKWARD, false, NULL, "kept", "dy y");
    case_op(c, KIND_MAX_POOL_BACKWARD, false, attrs, "dx", "kept index");
    case_op(c, KIND_MAX_POOL_BACKWARD, false, attrs, "drelu", "dy index");
    case_op(c, KIND_RELU_BACKWARD, false, NULL, "dx_by_the_chain_rule", "drelu relu");
    Values got = case_run(c, &device_reference, (CaseRun){.junk = JUNK_NAN});
    int dx = program_find_tensor(&c->p, "dx"),
        chain = program_find_tensor(&c->p, "dx_by_the_chain_rule");
    ck_assert_mem_eq(got.of[dx], got.of[chain], (size_t)case_elements(c, dx) * sizeof(double));
}

START_TEST(relus_and_poolings_backward_may_change_places) {
    static const int64_t windows[][3] = {{2, 2, 0}, {3, 2, 0}, {3, 1, 0}, {2, 3, 0}, {3, 2, 1}};
    for (int i = 0; i < 2 * 5 * (FILL_COUNT - FILL_RANDOM); i++) {
        Case c;
        case_init(&c, i % 2 ? DTYPE_F64 : DTYPE_F32, 8, 7);
        exchange_backwards(&c, (Fill)(FILL_RANDOM + i / 10), windows[i / 2 % 5]);
        case_finish(&c);
    }
}
END_TEST

// --- averages

static void average(Case *c, const Device *d, int64_t height, int64_t width, int64_t stride,
                    Values *got) {
    const int64_t attrs[] = {height, width, stride};
    int64_t OH = (4 - height) / stride + 1, OW = (5 - width) / stride + 1;
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 4, 5), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
           16, 17, 18, 19, 20);
    TENSOR(c, "dy", REAL(c), SHAPE(ROWS, 1, OH, OW), 36, 72, 108, 144, 180, 216);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 1, OH, OW));
    OUTPUT(c, "dx", REAL(c), SHAPE(ROWS, 1, 4, 5));
    case_op(c, KIND_AVG_POOL, false, attrs, "y", "x");
    case_op(c, KIND_AVG_POOL_BACKWARD, false, attrs, "dx", "dy");
    *got = run_lowered(c, d);
}

// x =  1  2  3  4  5
//      6  7  8  9 10
//     11 12 13 14 15
//     16 17 18 19 20
static void average_apart(Case *c, const Device *d) {
    Values got;
    average(c, d, 2, 2, 2, &got);
    EXPECT(c, &got, "y", (1 + 2 + 6 + 7) / 4.0, (3 + 4 + 8 + 9) / 4.0, (11 + 12 + 16 + 17) / 4.0,
           (13 + 14 + 18 + 19) / 4.0);
    EXPECT(c, &got, "dx", 9, 9, 18, 18, 0, 9, 9, 18, 18, 0, 27, 27, 36, 36, 0, 27, 27, 36, 36, 0);
}

// Windows of 3 x 3 at distance 1: the middle of each is its mean. Where they overlap, gradients of
// 36/9, 72/9, ... add up.
static void average_overlapping(Case *c, const Device *d) {
    Values got;
    average(c, d, 3, 3, 1, &got);
    EXPECT(c, &got, "y", 7, 8, 9, 12, 13, 14);
    EXPECT(c, &got, "dx", 4, 12, 24, 20, 12, 20, 48, 84, 64, 36, 20, 48, 84, 64, 36, 16, 36, 60, 44,
           24);
}

static void average_all(Case *c, const Device *d) {
    Values got;
    average(c, d, 4, 5, 1, &got);
    EXPECT(c, &got, "y", 10.5);
    for (int i = 0; i < 20; i++)
        ck_assert_close(got.of[program_find_tensor(&c->p, "dx")][i], 36.0 / 20, 1e-7);
}

// Two columns at distance 3: what lies between gets nothing.
static void average_gaps(Case *c, const Device *d) {
    Values got;
    average(c, d, 1, 2, 3, &got);
    EXPECT(c, &got, "y", 1.5, 4.5, 16.5, 19.5);
    EXPECT(c, &got, "dx", 18, 18, 0, 36, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 54, 0, 72, 72);
}

START_TEST(averages_by_hand) {
    by_hand(1, average_apart);
    by_hand(1, average_overlapping);
    by_hand(1, average_all);
    by_hand(1, average_gaps);
}
END_TEST

// --- on every device: the largest without arithmetic, so exact, but for overlapping gradients

static void build_max_pool(Case *c, const Sizes *s) {
    case_tensor(c, "x", s->dtype, s->fill, SHAPE(ROWS, s->C, s->H, s->W));
    const int64_t shape[] = {ROWS, s->C, conv_height(s), conv_width(s)};
    case_tensor(c, "y", s->dtype, FILL_OUTPUT, 4, shape);
    if (s->index) case_tensor(c, "index", DTYPE_U8, FILL_OUTPUT, 4, shape);
    case_op(c, KIND_MAX_POOL, false, &s->kernel, s->index ? "y index" : "y", "x");
}

static void build_max_pool_backward(Case *c, const Sizes *s) {
    const int64_t shape[] = {ROWS, s->C, conv_height(s), conv_width(s)};
    case_tensor(c, "dy", s->dtype, s->fill, 4, shape);
    device_agree_index(c, &s->kernel, s->H, s->W, shape);
    case_tensor(c, "dx", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C, s->H, s->W));
    case_op(c, KIND_MAX_POOL_BACKWARD, false, &s->kernel, "dx", "dy index");
    if (s->stride < s->kernel) at_least(c, s->kernel * s->kernel);
}

START_TEST(pooling_agrees) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    static const int64_t windows[][3] = {{2, 2, 0}, {3, 2, 0},   {1, 1, 0}, {3, 1, 0},
                                         {2, 3, 0}, {5, 3, 0},   {3, 2, 1}, {2, 2, 1},
                                         {5, 1, 2}, {16, 16, 0}, {15, 9, 7}};
    for (int w = 0; w < 11; w++)
        for (int i = 0; i < SWEPT_ROWS * 3 * 2 * 2 * count; i++) {
            Sizes s = {.dtype = i & 1 ? DTYPE_F64 : DTYPE_F32,
                       .index = i & 2,
                       .rows = swept_rows[i / 4 % SWEPT_ROWS][0],
                       .capacity = swept_rows[i / 4 % SWEPT_ROWS][1],
                       .fill = (Fill)(FILL_RANDOM + i / 4 / SWEPT_ROWS % 3),
                       .C = 1 + i % 3,
                       .kernel = windows[w][0],
                       .stride = windows[w][1],
                       .pad = windows[w][2]};
            s.H = s.kernel + i % 4 * s.stride;
            s.W = s.kernel + i % 5 * s.stride + i % 2;  // odd: a column that no window covers
            device_agree(devices[i / (12 * SWEPT_ROWS)], build_max_pool, &s, NONE);
            device_agree(devices[i / (12 * SWEPT_ROWS)], build_max_pool_backward, &s, NONE);
        }
}
END_TEST

static void build_avg_pool(Case *c, const Sizes *s) {
    const int64_t attrs[] = {s->kernel, s->pool, s->stride};
    const int64_t shape[] = {ROWS, s->C, after_window(s->H, s->kernel, s->stride, 0),
                             after_window(s->W, s->pool, s->stride, 0)};
    case_tensor(c, "x", s->dtype, s->fill, SHAPE(ROWS, s->C, s->H, s->W));
    case_tensor(c, "y", s->dtype, FILL_OUTPUT, 4, shape);
    case_tensor(c, "dy", s->dtype, s->fill, 4, shape);
    case_tensor(c, "dx", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C, s->H, s->W));
    case_op(c, KIND_AVG_POOL, false, attrs, "y", "x");
    case_op(c, KIND_AVG_POOL_BACKWARD, false, attrs, "dx", "dy");
    at_least(c, s->kernel * s->pool + 2);
}

START_TEST(averages_agree) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    static const int64_t windows[][3] = {{2, 2, 2}, {3, 3, 2}, {1, 1, 1}, {3, 2, 1},
                                         {2, 3, 3}, {1, 2, 3}, {5, 4, 2}, {7, 9, 1}};
    for (int w = 0; w < 8; w++)
        for (int i = 0; i < SWEPT_ROWS * 3 * 2 * 3 * count; i++) {
            Sizes s = {.dtype = i & 1 ? DTYPE_F64 : DTYPE_F32,
                       .rows = swept_rows[i / 6 % SWEPT_ROWS][0],
                       .capacity = swept_rows[i / 6 % SWEPT_ROWS][1],
                       .fill = (Fill)(FILL_RANDOM + i / 2 % 3),
                       .C = 1 + i % 3,
                       .kernel = windows[w][0],
                       .pool = windows[w][1],
                       .stride = windows[w][2]};
            // Often the whole plane is one window; or a column is left that no window covers.
            s.H = s.kernel + i % 4 * s.stride;
            s.W = s.pool + (i % 4 ? i % 5 * s.stride + i % 2 : 0);
            device_agree(devices[i / (18 * SWEPT_ROWS)], build_avg_pool, &s, NONE);
        }
}
END_TEST

// A NaN in the data is a NaN in the results, in vectors and in what is left over of them.
START_TEST(nans_and_infinities_pass) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < 2 * 20 * count; i++) {
        Sizes s = {.dtype = i & 1 ? DTYPE_F64 : DTYPE_F32,
                   .fill = FILL_NAN,
                   .capacity = 3,
                   .rows = 2,
                   .C = 2,
                   .H = 12,
                   .W = 9 + i / 2 % 20,
                   .kernel = 2,
                   .stride = 2,
                   .pool = 2,
                   .index = true};
        device_agree(devices[i / 40], build_max_pool, &s, NONE);
        device_agree(devices[i / 40], build_avg_pool, &s, NONE);
    }
}
END_TEST

SUITE("device pool", pooling_takes_the_first_of_the_largest,
      relus_and_poolings_backward_may_change_places, averages_by_hand, pooling_agrees,
      averages_agree, nans_and_infinities_pass)
