// SPDX-License-Identifier: MIT
#include "core/base/nearest.h"
#include "core/base/units.h"
#include "tests/support/testing.h"

#include <string.h>

static int64_t size_of(const char *text) {
    int64_t x = -1;
    ck_assert_ok(units_parse_size(&x, text));
    return x;
}

static int64_t duration_of(const char *text, int64_t bare_ps) {
    int64_t x = -1;
    ck_assert_ok(units_parse_duration(&x, text, bare_ps));
    return x;
}

static int64_t bandwidth_of(const char *text) {
    int64_t x = -1;
    ck_assert_ok(units_parse_bandwidth(&x, text));
    return x;
}

static int64_t count_of(const char *text) {
    int64_t x = -1;
    ck_assert_ok(units_parse_count(&x, text));
    return x;
}

START_TEST(sizes_have_binary_and_decimal_units) {
    ck_assert_int_eq(size_of("4096"), 4096);
    ck_assert_int_eq(size_of("0"), 0);
    ck_assert_int_eq(size_of("7B"), 7);
    ck_assert_int_eq(size_of("64KiB"), 65536);
    ck_assert_int_eq(size_of("64 KiB"), 65536);
    ck_assert_int_eq(size_of("1MB"), 1000000);
    ck_assert_int_eq(size_of("1kB"), 1000);
    ck_assert_int_eq(size_of("1.5GiB"), 1610612736);  // 1.5 * 2^30
    ck_assert_int_eq(size_of(".5KiB"), 512);
    ck_assert_int_eq(size_of("80GB"), INT64_C(80000000000));
    ck_assert_int_eq(size_of("1K"), 1024);
    ck_assert_int_eq(size_of("1.5k"), 1536);
    ck_assert_int_eq(size_of("1M"), 1048576);
    ck_assert_int_eq(size_of("80G"), INT64_C(80) << 30);
    ck_assert_int_eq(size_of("2T"), INT64_C(2) << 40);
    ck_assert_int_eq(size_of("2TiB"), INT64_C(2199023255552));
}
END_TEST

// 0.3 KiB is 307.2 bytes, 0.0005 kB half a byte.
START_TEST(text_between_two_whole_numbers_is_rounded_to_the_nearest) {
    ck_assert_int_eq(size_of("0.3KiB"), 307);
    ck_assert_int_eq(size_of("0.0005kB"), 1);
    ck_assert_int_eq(bandwidth_of("9bit/s"), 1);  // 1.125
}
END_TEST

START_TEST(durations_are_picoseconds_and_a_bare_number_is_what_the_caller_says) {
    ck_assert_int_eq(duration_of("10us", 0), 10000000);
    ck_assert_int_eq(duration_of("10µs", 0), 10000000);
    ck_assert_int_eq(duration_of("1.5ms", 0), 1500000000);
    ck_assert_int_eq(duration_of("30", PS_PER_S), 30 * PS_PER_S);
    ck_assert_int_eq(duration_of("0.25", PS_PER_S), PS_PER_S / 4);
    ck_assert_int_eq(duration_of("30ns", PS_PER_S), 30000);
    ck_assert_int_eq(duration_of("2min", 0), 120 * PS_PER_S);
    ck_assert_int_eq(duration_of("1h", 0), 3600 * PS_PER_S);
    ck_assert_int_eq(duration_of("0", 0), 0);
    int64_t x;
    ck_assert_fails(units_parse_duration(&x, "30", 0), ERR_USAGE,
                    "\"30\" is not a duration: give a number with ps, ns");
}
END_TEST

START_TEST(bandwidths_are_bytes_a_second_from_bytes_or_bits) {
    ck_assert_int_eq(bandwidth_of("25GB/s"), INT64_C(25000000000));
    ck_assert_int_eq(bandwidth_of("100Gbit/s"), INT64_C(12500000000));  // 100e9 / 8
    ck_assert_int_eq(bandwidth_of("1 MiB/s"), 1048576);
    ck_assert_int_eq(bandwidth_of("1.6Tbit/s"), INT64_C(200000000000));
    ck_assert_int_eq(bandwidth_of("300B/s"), 300);
    ck_assert_int_eq(bandwidth_of("8Mbit/s"), 1000000);
    ck_assert_int_eq(bandwidth_of("8kbit/s"), 1000);
}
END_TEST

START_TEST(bits_that_may_be_bytes_are_refused_with_both_spellings) {
    int64_t x;
    ck_assert_fails(units_parse_bandwidth(&x, "25Gb/s"), ERR_USAGE,
                    "\"25Gb/s\" can be read as bits and as bytes: give 25Gbit/s or 25GB/s");
    ck_assert_fails(units_parse_bandwidth(&x, "1.5Mbps"), ERR_USAGE, "give 1.5Mbit/s or 1.5MB/s");
    ck_assert_fails(units_parse_bandwidth(&x, "9b/s"), ERR_USAGE, "give 9bit/s or 9B/s");
    ck_assert_fails(units_parse_bandwidth(&x, "25GB"), ERR_USAGE,
                    "is not a bandwidth: give a number with B/s");
    ck_assert_fails(units_parse_bandwidth(&x, "25"), ERR_USAGE, "is not a bandwidth");
}
END_TEST

START_TEST(counts_are_exact) {
    ck_assert_int_eq(count_of("64M"), 64000000);
    ck_assert_int_eq(count_of("10k"), 10000);
    ck_assert_int_eq(count_of("1.5k"), 1500);
    ck_assert_int_eq(count_of("1e6"), 1000000);
    ck_assert_int_eq(count_of("2.5E3"), 2500);
    ck_assert_int_eq(count_of("1.25e1k"), 12500);
    ck_assert_int_eq(count_of("0e99"), 0);
    ck_assert_int_eq(count_of("999999999999999999"), INT64_C(999999999999999999));
    ck_assert_int_eq(count_of("123456789"), 123456789);
    int64_t x;
    ck_assert_fails(units_parse_count(&x, "1.5"), ERR_USAGE,
                    "\"1.5\" is not a count: give a whole number");
    ck_assert_fails(units_parse_count(&x, "1.2345k"), ERR_USAGE, "is not a count");
    ck_assert_fails(units_parse_count(&x, "1.25e1"), ERR_USAGE, "is not a count");
    ck_assert_fails(units_parse_count(&x, "1e"), ERR_USAGE, "is not a count");
    ck_assert_fails(units_parse_count(&x, "1e-3"), ERR_USAGE, "is not a count");
    ck_assert_fails(units_parse_count(&x, "1e18"), ERR_USAGE, "\"1e18\" is too large for a count");
    ck_assert_fails(units_parse_count(&x, "1e999"), ERR_USAGE, "is too large");
    ck_assert_fails(units_parse_count(&x, "99999999999999999999"), ERR_USAGE, "is too large");
    ck_assert_fails(units_parse_count(&x, "99999999999999999999x"), ERR_USAGE, "is not a count");
}
END_TEST

START_TEST(what_is_not_a_quantity_is_refused_and_leaves_the_value_alone) {
    static const char *const bad[] = {"",     " ",      "x",   "-5",    "+5",   ".",
                                      "5 ",   "5  KiB", " 5",  "5KiBs", "5kib", "1.2.3",
                                      "0x10", "1e-3",   "5Mb", "٣"};
    int64_t x = 77;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_fails(units_parse_size(&x, bad[i]), ERR_USAGE,
                        "is not a size: give bytes, or a number with KiB");
    ck_assert_int_eq(x, 77);
}
END_TEST

// The largest int64 is 9223372036854775807: 8 EiB less one; 106.75 days of picoseconds.
START_TEST(what_does_not_fit_is_refused) {
    int64_t x = 77;
    ck_assert_fails(units_parse_size(&x, "8388608TiB"), ERR_USAGE,
                    "\"8388608TiB\" is too large for a size");
    ck_assert_int_eq(size_of("8388607TiB"), INT64_C(8388607) << 40);
    ck_assert_fails(units_parse_duration(&x, "2563h", 0), ERR_USAGE, "too large for a duration");
    ck_assert_int_eq(duration_of("2562h", 0), 2562 * 3600 * PS_PER_S);
    ck_assert_fails(units_parse_size(&x, "999999999999999999TB"), ERR_USAGE, "too large");
    ck_assert_fails(units_parse_size(&x, "9999999999999999999"), ERR_USAGE, "too large");
    ck_assert_fails(units_parse_duration(&x, "0.4ps", 0), ERR_USAGE,
                    "\"0.4ps\" is too small for a duration");
    ck_assert_int_eq(x, 77);
}
END_TEST

static void check_list(const char *text, int count, const int64_t *items) {
    IntList l;
    ck_assert_ok(units_parse_list(&l, text));
    ck_assert_int_eq(l.count, count);
    for (int i = 0; i < count; i++) ck_assert_int_eq(l.items[i], items[i]);
}

START_TEST(lists_take_counts_and_doublings) {
    check_list("8", 1, (const int64_t[]){8});
    check_list("1,2,4..64", 7, (const int64_t[]){1, 2, 4, 8, 16, 32, 64});
    check_list("3..12,1k", 4, (const int64_t[]){3, 6, 12, 1000});
    check_list("5..5", 1, (const int64_t[]){5});
    check_list("1..1024", 11, (const int64_t[]){1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024});
}
END_TEST

START_TEST(lists_that_are_none_are_refused) {
    IntList l;
    ck_assert_fails(units_parse_list(&l, ""), ERR_USAGE,
                    "is not a list: give whole numbers between commas");
    ck_assert_fails(units_parse_list(&l, "1,,2"), ERR_USAGE, "is not a list");
    ck_assert_fails(units_parse_list(&l, "1,2,"), ERR_USAGE, "is not a list");
    ck_assert_fails(units_parse_list(&l, "1,x"), ERR_USAGE, "\"x\" is not a count");
    ck_assert_fails(units_parse_list(&l, "4..60"), ERR_USAGE,
                    "\"4..60\" does not end where doubling 4 arrives");
    ck_assert_fails(units_parse_list(&l, "8..4"), ERR_USAGE, "does not end");
    ck_assert_fails(units_parse_list(&l, "0..4"), ERR_USAGE, "does not end");
    char many[400] = "1";
    for (int i = 0; i < UNITS_LIST; i++) strcat(many, ",1");
    ck_assert_fails(units_parse_list(&l, many), ERR_USAGE, "has more than 64 items");
}
END_TEST

#define CHECK_PRINT(print, value, want) ck_assert_str_eq(print((char[UNITS_TEXT]){0}, value), want)

START_TEST(printing_keeps_three_significant_digits) {
    CHECK_PRINT(units_print_size, 0, "0B");
    CHECK_PRINT(units_print_size, 1023, "1023B");
    CHECK_PRINT(units_print_size, 65536, "64KiB");
    CHECK_PRINT(units_print_size, 1000000, "977KiB");  // 976.56
    CHECK_PRINT(units_print_size, 1536, "1.5KiB");
    CHECK_PRINT(units_print_size, 1264, "1.23KiB");   // 1.2344
    CHECK_PRINT(units_print_size, 12700, "12.4KiB");  // 12.402
    CHECK_PRINT(units_print_size, INT64_MAX, "8388608TiB");
    CHECK_PRINT(units_print_size, -65536, "-64KiB");
    CHECK_PRINT(units_print_duration, 1, "1ps");
    CHECK_PRINT(units_print_duration, 1500000000, "1.5ms");
    CHECK_PRINT(units_print_duration, 29 * PS_PER_US, "29us");
    CHECK_PRINT(units_print_duration, 12345 * PS_PER_S, "12345s");  // no unit above it
    CHECK_PRINT(units_print_bandwidth, INT64_C(25000000000), "25GB/s");
    CHECK_PRINT(units_print_bandwidth, INT64_C(12500000000), "12.5GB/s");
    CHECK_PRINT(units_print_count, 999, "999");
    CHECK_PRINT(units_print_count, 60000, "60k");
    CHECK_PRINT(units_print_count, 12345, "12.3k");
    CHECK_PRINT(units_print_count, 1000000, "1M");
}
END_TEST

START_TEST(rounding_up_into_the_next_unit_uses_that_unit) {
    CHECK_PRINT(units_print_duration, 999500, "1us");  // 999.5 ns
    CHECK_PRINT(units_print_duration, 999499, "999ns");
    CHECK_PRINT(units_print_duration, 9995, "10ns");  // 9.995
    CHECK_PRINT(units_print_duration, 99949, "99.9ns");
    CHECK_PRINT(units_print_duration, 99950, "100ns");
    CHECK_PRINT(units_print_size, 1048576 - 512, "1MiB");  // 1023.5 KiB
    CHECK_PRINT(units_print_size, 1048576 - 513, "1023KiB");
    CHECK_PRINT(units_print_count, 999950, "1M");  // 999.95 k
    CHECK_PRINT(units_print_count, 999499999, "999M");
}
END_TEST

// Half a unit of the third digit: at most one part in 200 (1.00 … 1.01), whatever the value.
START_TEST(what_is_printed_parses_again_to_three_digits) {
    char text[UNITS_TEXT];
    for (int64_t x = 1; x < INT64_C(1) << 58; x = x * 7 / 5 + 1) {
        ck_assert_close(size_of(units_print_size(text, x)), x, (double)x / 200);
        ck_assert_close(duration_of(units_print_duration(text, x), 0), x, (double)x / 200);
        ck_assert_close(bandwidth_of(units_print_bandwidth(text, x)), x, (double)x / 200);
        ck_assert_close(count_of(units_print_count(text, x)), x, (double)x / 200);
    }
}
END_TEST

static const char *nearest_of(const char *word, const char *a, const char *b, const char *c) {
    Nearest n = {.word = word};
    nearest_offer(&n, a);
    nearest_offer(&n, b);
    nearest_offer(&n, c);
    return n.best ? n.best : "";
}

START_TEST(the_nearest_word_has_the_fewest_letters_wrong) {
    ck_assert_str_eq(nearest_of("rank", "batch", "ranks", "trace"), "ranks");
    ck_assert_str_eq(nearest_of("btach", "patch", "batch", "match"),
                     "batch");  // a swap is one mistake, not two
    ck_assert_str_eq(nearest_of("zeor", "zebra", "hero", "zero"), "zero");
    ck_assert_str_eq(nearest_of("micro", "macros", "micro-batches", "data"), "micro-batches");
    ck_assert_str_eq(nearest_of("rat", "cat", "bat", "hat"), "cat");  // the first of equals
    ck_assert_str_eq(nearest_of("f33", "f32", "f64", "bf16"), "f32");
    ck_assert_str_eq(nearest_of("quux", "ranks", "batch", "data"), "");
    ck_assert_str_eq(nearest_of("", "ranks", "batch", "data"), "");
    ck_assert_str_eq(nearest_of("a", "ranks", "ab", "data"), "ab");
    char longest[200];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert_str_eq(nearest_of(longest, "ranks", longest, "data"), "");
}
END_TEST

START_TEST(exact_printing_loses_no_digit) {
    static const int64_t values[] = {0,       1,       999,    1000,       1001,
                                     1234567, 1000500, 262144, 1536 << 10, 999999999999999999};
    char text[UNITS_TEXT];
    ck_assert_str_eq(units_exact_duration(text, 1234567), "1.234567us");
    ck_assert_str_eq(units_exact_duration(text, 1000500), "1.0005us");
    ck_assert_str_eq(units_exact_duration(text, 5 * PS_PER_MS), "5ms");
    ck_assert_str_eq(units_exact_bandwidth(text, 2039000000001), "2.039000000001TB/s");
    ck_assert_str_eq(units_exact_size(text, 1536 << 10), "1536KiB");
    ck_assert_str_eq(units_exact_size(text, 1025), "1025B");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        int64_t back = -1;
        ck_assert_ok(units_parse_duration(&back, units_exact_duration(text, values[i]), 0));
        ck_assert_int_eq(back, values[i]);
        ck_assert_ok(units_parse_bandwidth(&back, units_exact_bandwidth(text, values[i])));
        ck_assert_int_eq(back, values[i]);
        ck_assert_ok(units_parse_size(&back, units_exact_size(text, values[i])));
        ck_assert_int_eq(back, values[i]);
    }
}
END_TEST

START_TEST(divisions_are_rounded_up_and_stop_at_the_largest_number) {
    ck_assert_int_eq(units_divide_up(0, 7), 0);
    ck_assert_int_eq(units_divide_up(14, 7), 2);
    ck_assert_int_eq(units_divide_up(15, 7), 3);
    ck_assert_int_eq(units_divide_up(INT64_MAX, 1), INT64_MAX);
    ck_assert_int_eq(units_divide_up((__int128)INT64_MAX * 3 + 1, 3), INT64_MAX);
    // The largest numerator there is: adding to it before dividing would overflow.
    const __int128 largest = (__int128)(((unsigned __int128)1 << 127) - 1);
    ck_assert_int_eq(units_divide_up(largest, largest), 1);
    ck_assert_int_eq(units_divide_up(largest, largest - 1), 2);
}
END_TEST

START_TEST(an_amount_at_a_share_of_a_rate_takes_whole_picoseconds) {
    ck_assert_int_eq(units_ps_at(0, 1, 1), 0);
    ck_assert_int_eq(units_ps_at(1000, 1000000000, 1000), PS_PER_US);
    ck_assert_int_eq(units_ps_at(1000, 1000000000, 500), 2 * PS_PER_US);
    ck_assert_int_eq(units_ps_at(1, 42000000000, 1000), 24);  // 23.8
    ck_assert_int_eq(units_ps_at(INT64_MAX, 1, 1), INT64_MAX);
}
END_TEST

SUITE("units", sizes_have_binary_and_decimal_units,
      text_between_two_whole_numbers_is_rounded_to_the_nearest,
      durations_are_picoseconds_and_a_bare_number_is_what_the_caller_says,
      bandwidths_are_bytes_a_second_from_bytes_or_bits,
      bits_that_may_be_bytes_are_refused_with_both_spellings, counts_are_exact,
      what_is_not_a_quantity_is_refused_and_leaves_the_value_alone, what_does_not_fit_is_refused,
      lists_take_counts_and_doublings, lists_that_are_none_are_refused,
      printing_keeps_three_significant_digits, rounding_up_into_the_next_unit_uses_that_unit,
      what_is_printed_parses_again_to_three_digits, the_nearest_word_has_the_fewest_letters_wrong,
      exact_printing_loses_no_digit, divisions_are_rounded_up_and_stop_at_the_largest_number,
      an_amount_at_a_share_of_a_rate_takes_whole_picoseconds)
