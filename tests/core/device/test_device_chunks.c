// SPDX-License-Identifier: MIT
// Pieces of a dimension, one after the other: by hand, there and back, and where rows are not used.
#include "tests/support/device_sweep.h"

// x[b, t, c] = 100 b + 10 t + c: two rows of four positions of two channels, for two ranks.
static void positions_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 4, 2), 0, 1, 10, 11, 20, 21, 30, 31, 100, 101, 110, 111,
           120, 121, 130, 131);
    OUTPUT(c, "chunks", REAL(c), SHAPE(2, 8));
    OUTPUT(c, "back", REAL(c), SHAPE(ROWS, 4, 2));
    case_op(c, KIND_TO_CHUNKS, false, (int64_t[]){1}, "chunks", "x");
    case_op(c, KIND_FROM_CHUNKS, false, (int64_t[]){1}, "back", "chunks");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "chunks", 0, 1, 10, 11, 100, 101, 110, 111, 20, 21, 30, 31, 120, 121, 130, 131);
    EXPECT(c, &got, "back", 0, 1, 10, 11, 20, 21, 30, 31, 100, 101, 110, 111, 120, 121, 130, 131);
}

static void channels_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 3), 1, 2, 3, 4, 5, 6);
    OUTPUT(c, "chunks", REAL(c), SHAPE(3, 2));
    case_op(c, KIND_TO_CHUNKS, false, (int64_t[]){2}, "chunks", "x");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "chunks", 1, 4, 2, 5, 3, 6);
}

START_TEST(pieces_follow_one_another_and_go_back) {
    by_hand(2, positions_by_hand);
    by_hand(2, channels_by_hand);
}
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
        case_op(&c, KIND_TO_CHUNKS, false, (int64_t[]){1}, "chunks", "x");
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
    case_op(c, KIND_TO_CHUNKS, false, (int64_t[]){1}, "chunks", "x");
    case_op(c, KIND_FROM_CHUNKS, false, (int64_t[]){1}, "y", "chunks");
}

START_TEST(devices_agree_to_the_last_bit) {
    for (int64_t T = 1; T < 6; T++) agree(build, (Shape){.T = T, .C = 2 * T + 1}, 0);
}
END_TEST

SUITE("device chunks", pieces_follow_one_another_and_go_back, rows_that_are_not_in_use_are_zeros,
      devices_agree_to_the_last_bit)
