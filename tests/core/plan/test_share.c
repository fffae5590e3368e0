// SPDX-License-Identifier: MIT
#include "core/plan/share.h"
#include "tests/support/testing.h"

// As drawn in share.h.
START_TEST(ten_elements_are_shared_by_four) {
    const int64_t by_one[] = {0, 2, 5, 7, 10}, by_four[] = {0, 0, 4, 8, 10};
    for (int i = 0; i <= 4; i++) {
        ck_assert_int_eq(share_begin((Shares){10, 1, 4}, i), by_one[i]);
        ck_assert_int_eq(share_begin((Shares){10, 4, 4}, i), by_four[i]);
    }
    ck_assert_int_eq(share_elements((Shares){10, 4, 4}, 3), 2);
    ck_assert_int_eq(share_capacity((Shares){10, 4, 4}), 4);
    ck_assert_int_eq(share_room((Shares){10, 4, 4}), 12);
    ck_assert_int_eq(share_capacity((Shares){3, 4, 2}), 3);  // no larger than all
    ck_assert_int_eq(share_room((Shares){3, 4, 2}), 3);
}
END_TEST

// Shares begin at multiples of the unit, cover everything once and have the room that they are
// promised, both in a buffer of their own and where they lie in the whole.
START_TEST(shares_tile_the_array_and_fit_their_capacity) {
    for (int64_t n = 0; n <= 70; n++)
        for (int64_t unit = 0; unit <= 9; unit++)
            for (int count = 1; count <= 9; count++) {
                const Shares s = {n, unit, count};
                const ShareSizes sizes = share_sizes(s);
                int64_t step = unit > 1 ? unit : 1, at = 0, least = INT64_MAX, most = 0;
                for (int i = 0; i < count; i++) {
                    ck_assert_int_eq(share_begin(s, i), at);
                    ck_assert(at % step == 0 || at == n);
                    int64_t own = share_elements(s, i), units = (own + step - 1) / step;
                    ck_assert_int_eq(share_size(&sizes, i), own);
                    ck_assert_int_ge(own, 0);
                    ck_assert_int_le(own, share_capacity(s));
                    ck_assert_int_le(at + share_capacity(s), share_room(s));
                    if (units < least) least = units;
                    if (units > most) most = units;
                    at += own;
                }
                ck_assert_int_eq(at, n);
                ck_assert_int_le(most - least, 1);
                ck_assert_int_eq(share_capacity(s), most * step < n ? most * step : n);
                ck_assert_int_ge(share_room(s), n);
                ck_assert_int_lt(share_room(s), n + step);
            }
}
END_TEST

START_TEST(large_arrays_do_not_overflow) {
    const int64_t n = (INT64_C(1) << 62) + 1;
    const Shares s = {n, 4096, 1 << 20};
    ck_assert_int_eq(share_begin(s, 1 << 19), INT64_C(1) << 61);
    ck_assert_int_eq(share_begin(s, 1 << 20), n);
    const Shares by_one = {n, 1, INT32_MAX};
    const ShareSizes sizes = share_sizes(by_one);
    for (int64_t i = INT32_MAX - 9; i < INT32_MAX; i++)
        ck_assert_int_eq(share_size(&sizes, i), share_elements(by_one, i));
}
END_TEST

SUITE("share", ten_elements_are_shared_by_four, shares_tile_the_array_and_fit_their_capacity,
      large_arrays_do_not_overflow)
