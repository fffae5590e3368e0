// SPDX-License-Identifier: MIT
// Pieces of a dimension, one after the other: by hand, there and back, and where rows are not used.
#include "tests/support/device_sweep.h"

#define EVEN(dim) ((int64_t[]){dim, 0})

// x[b, t, c] = 100 b + 10 t + c: two rows of four positions of two channels, for two ranks.
static void positions_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 4, 2), 0, 1, 10, 11, 20, 21, 30, 31, 100, 101, 110, 111,
           120, 121, 130, 131);
    OUTPUT(c, "chunks", REAL(c), SHAPE(2, 8));
    OUTPUT(c, "back", REAL(c), SHAPE(ROWS, 4, 2));
    case_op(c, KIND_TO_CHUNKS, false, EVEN(1), "chunks", "x");
    case_op(c, KIND_FROM_CHUNKS, false, EVEN(1), "back", "chunks");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "chunks", 0, 1, 10, 11, 100, 101, 110, 111, 20, 21, 30, 31, 120, 121, 130, 131);
    EXPECT(c, &got, "back", 0, 1, 10, 11, 20, 21, 30, 31, 100, 101, 110, 111, 120, 121, 130, 131);
}

static void channels_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 3), 1, 2, 3, 4, 5, 6);
    OUTPUT(c, "chunks", REAL(c), SHAPE(3, 2));
    case_op(c, KIND_TO_CHUNKS, false, EVEN(2), "chunks", "x");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "chunks", 1, 4, 2, 5, 3, 6);
}

// Five channels for two ranks: two and three, with room for three each.
static void uneven_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 5), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    OUTPUT(c, "chunks", REAL(c), SHAPE(2, 6));
    OUTPUT(c, "back", REAL(c), SHAPE(ROWS, 5));
    case_op(c, KIND_TO_CHUNKS, false, EVEN(1), "chunks", "x");
    case_op(c, KIND_FROM_CHUNKS, false, EVEN(1), "back", "chunks");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "chunks", 1, 2, 0, 6, 7, 0, 3, 4, 5, 8, 9, 10);
    EXPECT(c, &got, "back", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
}

// Query, key and value of three channels each, for two ranks: of each section one and two.
static void sections_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 9), 1, 2, 3, 4, 5, 6, 7, 8, 9);
    OUTPUT(c, "chunks", REAL(c), SHAPE(2, 6));
    OUTPUT(c, "back", REAL(c), SHAPE(ROWS, 1, 9));
    case_op(c, KIND_TO_CHUNKS, false, (int64_t[]){2, 3}, "chunks", "x");
    case_op(c, KIND_FROM_CHUNKS, false, (int64_t[]){2, 3}, "back", "chunks");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "chunks", 1, 4, 7, 0, 0, 0, 2, 3, 5, 6, 8, 9);
    EXPECT(c, &got, "back", 1, 2, 3, 4, 5, 6, 7, 8, 9);
}

START_TEST(pieces_follow_one_another_and_go_back) {
    by_hand(2, positions_by_hand);
    by_hand(2, channels_by_hand);
    by_hand(2, uneven_by_hand);
    by_hand(1, sections_by_hand);
}
END_TEST

// Of four channels this rank has the last and the second; the third place is nobody's.
static void slice_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 2, 4), 1, 2, 3, 4, 5, 6, 7, 8);
    TENSOR(c, "index", DTYPE_I64, SHAPE(3), 3, 1, -1);
    TENSOR(c, "position", DTYPE_I64, SHAPE(1), 1);
    OUTPUT(c, "channels", REAL(c), SHAPE(ROWS, 2, 3));
    OUTPUT(c, "positions", REAL(c), SHAPE(ROWS, 1, 4));
    case_op(c, KIND_SLICE, false, (int64_t[]){2}, "channels", "x index");
    case_op(c, KIND_SLICE, false, (int64_t[]){1}, "positions", "x position");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "channels", 4, 2, 0, 8, 6, 0);
    EXPECT(c, &got, "positions", 5, 6, 7, 8);
}

START_TEST(a_slice_has_the_places_of_its_index) { by_hand(1, slice_by_hand); }
END_TEST

// The second of two rows is not in use: zeros in its place, so that sums over ranks are of numbers.
START_TEST(rows_that_are_not_in_use_are_zeros) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++) {
        Case c;
        case_init(&c, DTYPE_F64, 2, 1);
        TENSOR(&c, "x", REAL(&c), SHAPE(ROWS, 2, 1), 1, 2, 3, 4);
        OUTPUT(&c, "chunks", REAL(&c), SHAPE(2, 2));
        case_op(&c, KIND_TO_CHUNKS, false, EVEN(1), "chunks", "x");
        Values got = run_lowered(&c, devices[d]);
        EXPECT(&c, &got, "chunks", 1, 0, 2, 0);
        case_finish(&c);
    }
}
END_TEST

static void build(Case *c, const Shape *s) {
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "y", FILL_OUTPUT);
    case_tensor(c, "chunks", REAL(c), FILL_OUTPUT, SHAPE(s->T, s->capacity * s->C));
    case_op(c, KIND_TO_CHUNKS, false, EVEN(1), "chunks", "x");
    case_op(c, KIND_FROM_CHUNKS, false, EVEN(1), "y", "chunks");
    case_tensor(c, "own", REAL(c), FILL_OUTPUT, SHAPE(ROWS, 1, s->C));
    TENSOR(c, "index", DTYPE_I64, SHAPE(1), (double)s->T - 1);
    case_op(c, KIND_SLICE, false, (int64_t[]){1}, "own", "y index");
}

START_TEST(devices_agree_to_the_last_bit) {
    for (int64_t T = 1; T < 6; T++) agree(build, (Shape){.T = T, .C = 2 * T + 1}, 0);
}
END_TEST

SUITE("device chunks", pieces_follow_one_another_and_go_back, a_slice_has_the_places_of_its_index,
      rows_that_are_not_in_use_are_zeros, devices_agree_to_the_last_bit)
