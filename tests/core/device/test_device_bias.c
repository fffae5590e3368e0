// SPDX-License-Identifier: MIT
// A bias by itself: by hand, in place, against the reference, in bf16, and after a product whose
// inputs are cut into pieces, where the sum of the pieces and one bias are the whole layer.
#include "tests/support/device_sweep.h"

static void vectors_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 2), 1, 2, 3, 4);
    TENSOR(c, "bias", REAL(c), SHAPE(2), 10, -20);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 2));
    case_op(c, KIND_LINEAR_BIAS, false, NULL, "y", "x bias");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 11, -18, 13, -16);
}

static void images_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 2, 1, 3), 1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6);
    TENSOR(c, "bias", REAL(c), SHAPE(2), 10, -20);
    case_op(c, KIND_CONV2D_BIAS, false, NULL, "x", "x bias");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "x", 11, 12, 13, -16, -15, -14, 9, 8, 7, -24, -25, -26);
}

START_TEST(a_bias_is_added_to_its_channel_and_in_place) {
    by_hand(2, vectors_by_hand);
    by_hand(2, images_by_hand);
}
END_TEST

static void build_vectors(Case *c, const Shape *s) {
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    case_tensor(c, "bias", REAL(c), FILL_RANDOM, SHAPE(s->C));
    case_op(c, KIND_LINEAR_BIAS, false, NULL, "y", "x bias");
}

static void build_images(Case *c, const Shape *s) {
    case_tensor(c, "x", REAL(c), FILL_RANDOM, SHAPE(ROWS, s->C, s->T, 3));
    case_tensor(c, "y", REAL(c), FILL_OUTPUT, SHAPE(ROWS, s->C, s->T, 3));
    case_tensor(c, "bias", REAL(c), FILL_RANDOM, SHAPE(s->C));
    case_op(c, KIND_CONV2D_BIAS, false, NULL, "y", "x bias");
}

START_TEST(devices_agree_to_the_last_bit) {
    static const int64_t lengths[] = {1, 3, 17}, channels[] = {1, 5, 32};
    for (int i = 0; i < 9; i++) {
        agree(build_vectors, (Shape){.T = lengths[i % 3], .C = channels[i / 3]}, 0);
        agree(build_images, (Shape){.T = lengths[i % 3], .C = channels[i / 3]}, 0);
    }
}
END_TEST

// In bf16 256 + 1 + 2 is 258 + 2, as what is kept between two operations is rounded by each.
START_TEST(a_bias_in_bf16_is_added_to_what_was_rounded) {
    Case c;
    case_init(&c, DTYPE_BF16, 1, 1);
    snprintf(c.text, sizeof c.text, "bf16");
    TENSOR(&c, "x", DTYPE_BF16, SHAPE(ROWS, 2), 256, 258);
    TENSOR(&c, "bias", DTYPE_BF16, SHAPE(2), 1, 2);
    OUTPUT(&c, "y", DTYPE_BF16, SHAPE(ROWS, 2));
    case_op(&c, KIND_LINEAR_BIAS, false, NULL, "y", "x bias");
    Values got = run_lowered(&c, &device_reference);
    EXPECT(&c, &got, "y", 256, 260);
    case_finish(&c);
}
END_TEST

// --- the inputs of a product in pieces

enum { C = 7, K = 3, P = 5 };  // channels in and out; places of an image, or 1

// Channels from .. from + count of rows of `places` each, which a piece has alone.
static void copy_channels(const double *whole, int64_t rows, int64_t from, int64_t count,
                          int64_t places, double *out) {
    for (int64_t r = 0; r < rows; r++)
        memcpy(&out[r * count * places], &whole[(r * C + from) * places],
               (size_t)(count * places) * sizeof *out);
}

static int piece_of(Case *c, const char *name, int of, int dims, const int64_t *shape, int64_t rows,
                    int64_t from) {
    double values[2 * C * P];
    int64_t places = dims == 4 && shape[0] == ROWS ? P : 1;
    int t = case_tensor(c, name, REAL(c), FILL_OUTPUT, dims, shape);
    copy_channels(c->before[of], rows, from, shape[1], places, values);
    case_set(c, t, values);
    return t;
}

// Pieces of 7 channels for `ranks`, whose products are added up, and then the bias; beside the
// product with its bias. Integers: the sums are exact.
static void row_parallel(Case *c, const Device *d, bool images, int ranks) {
    static const int64_t point[] = {1, 1, 0};
    Kind product = images ? KIND_CONV2D : KIND_LINEAR;
    const int64_t *attrs = images ? point : NULL;
    int dims = images ? 4 : 2;
    int64_t P1 = images ? P : 1;
    int x = case_tensor(c, "x", REAL(c), FILL_INTEGER, dims, (int64_t[]){ROWS, C, P1, 1}),
        w = case_tensor(c, "w", REAL(c), FILL_INTEGER, dims, (int64_t[]){K, C, 1, 1});
    case_tensor(c, "bias", REAL(c), FILL_INTEGER, SHAPE(K));
    const int64_t out[] = {ROWS, K, P1, 1};
    int whole = case_tensor(c, "whole", REAL(c), FILL_OUTPUT, dims, out),
        y = case_tensor(c, "y", REAL(c), FILL_OUTPUT, dims, out);
    case_op(c, product, false, attrs, "whole", "x w bias");
    for (int r = 0; r < ranks; r++) {
        char xr[8], wr[8], yr[8], in[20];
        int64_t from = r * C / ranks, count = (r + 1) * C / ranks - from;
        snprintf(xr, sizeof xr, "x%d", r);
        snprintf(wr, sizeof wr, "w%d", r);
        snprintf(yr, sizeof yr, "y%d", r);
        snprintf(in, sizeof in, "%s %s", xr, wr);
        piece_of(c, xr, x, dims, (int64_t[]){ROWS, count, P1, 1}, 2, from);
        piece_of(c, wr, w, dims, (int64_t[]){K, count, 1, 1}, K, from);
        case_tensor(c, yr, REAL(c), FILL_OUTPUT, dims, out);
        case_op(c, product, false, attrs, yr, in);
        case_op(c, KIND_FOLD, r > 0, NULL, "y", yr);
    }
    case_op(c, images ? KIND_CONV2D_BIAS : KIND_LINEAR_BIAS, false, NULL, "y", "y bias");
    Values got = run_lowered(c, d);
    for (int64_t i = 0; i < case_elements(c, y); i++)
        ck_assert_double_eq(got.of[y][i], got.of[whole][i]);
}

#define ROW_PARALLEL(name, images, ranks) \
    static void name(Case *c, const Device *d) { row_parallel(c, d, images, ranks); }
ROW_PARALLEL(vectors_1, false, 1)
ROW_PARALLEL(vectors_2, false, 2)
ROW_PARALLEL(vectors_3, false, 3)
ROW_PARALLEL(vectors_4, false, 4)
ROW_PARALLEL(images_1, true, 1)
ROW_PARALLEL(images_2, true, 2)
ROW_PARALLEL(images_3, true, 3)
ROW_PARALLEL(images_4, true, 4)

START_TEST(pieces_of_a_product_and_one_bias_are_the_whole_layer) {
    static const HandTest tests[] = {vectors_1, vectors_2, vectors_3, vectors_4,
                                     images_1,  images_2,  images_3,  images_4};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) by_hand(2, tests[i]);
}
END_TEST

SUITE("device bias", a_bias_is_added_to_its_channel_and_in_place, devices_agree_to_the_last_bit,
      a_bias_in_bf16_is_added_to_what_was_rounded,
      pieces_of_a_product_and_one_bias_are_the_whole_layer)
