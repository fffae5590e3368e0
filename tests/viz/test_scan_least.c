// SPDX-License-Identifier: MIT
// Where a sweep is least: the interval of a flat one, and of one that was measured.
#include "core/plan/program.h"
#include "tests/support/testing.h"
#include "viz/scan_least.h"

#include <math.h>

static void least_is(ScanLeast l, int at, int low, int high) {
    ck_assert_msg(l.at == at && l.low == low && l.high == high, "%d in %d to %d", l.at, l.low,
                  l.high);
}

START_TEST(neighbours_within_a_share_are_as_good_as_the_least) {
    const double ms[] = {100.5, 110, 100.9, 100, 101, 101.1};
    least_is(scan_least_flat(ms, 6, 0.01), 3, 2, 4);  // 100.5 is not a neighbour
    least_is(scan_least_flat(ms, 6, 0), 3, 3, 3);
    least_is(scan_least_flat(ms, 6, 0.2), 3, 0, 5);
}
END_TEST

START_TEST(values_that_are_not_there_are_never_least) {
    const double ms[] = {(double)NAN, 5, (double)NAN, 5.01}, none[] = {(double)NAN};
    least_is(scan_least_flat(ms, 4, 0.01), 1, 1, 1);
    least_is(scan_least_flat(none, 1, 0.01), NONE, NONE, NONE);
    least_is(scan_least_flat(none, 0, 0.01), NONE, NONE, NONE);
}
END_TEST

START_TEST(a_least_far_below_its_spread_is_certain) {
    const double a[] = {9, 9.1, 9.2}, b[] = {4.9, 5, 5.1}, c[] = {7, 7.1, 7.2};
    const double *const repeats[] = {a, b, c};
    ScanLeast l;
    ck_assert_ok(scan_least_bootstrap(&l, repeats, (int[]){3, 3, 3}, 3));
    least_is(l, 1, 1, 1);
}
END_TEST

// The middle two overlap to the half; the outer ones never come near. In a resample each of the
// overlapping two is least in far more than 2.5 % of the cases.
START_TEST(repeats_that_overlap_leave_both_in_the_interval) {
    const double a[] = {20, 21, 22, 23, 24}, b[] = {4, 5, 6, 7, 8}, c[] = {4.5, 5.5, 6.5, 7.5, 8.5},
                 d[] = {20, 21, 22, 23, 24};
    const double *const repeats[] = {a, b, c, d};
    ScanLeast l, again;
    ck_assert_ok(scan_least_bootstrap(&l, repeats, (int[]){5, 5, 5, 5}, 4));
    least_is(l, 1, 1, 2);
    ck_assert_ok(scan_least_bootstrap(&again, repeats, (int[]){5, 5, 5, 5}, 4));
    least_is(again, l.at, l.low, l.high);
}
END_TEST

START_TEST(a_value_without_repeats_is_passed_over) {
    const double a[] = {3, 3.1};
    const double *const repeats[] = {NULL, a};
    ScanLeast l;
    ck_assert_ok(scan_least_bootstrap(&l, repeats, (int[]){0, 2}, 2));
    least_is(l, 1, 1, 1);
    ck_assert_ok(scan_least_bootstrap(&l, repeats, (int[]){0, 0}, 2));
    least_is(l, NONE, NONE, NONE);
}
END_TEST

SUITE("scan_least", neighbours_within_a_share_are_as_good_as_the_least,
      values_that_are_not_there_are_never_least, a_least_far_below_its_spread_is_certain,
      repeats_that_overlap_leave_both_in_the_interval, a_value_without_repeats_is_passed_over)
