// SPDX-License-Identifier: MIT
// Quantities as people write them: "64KiB", "1.5ms", "25GB/s", "10k", "1,2,4..64". All are whole
// numbers inside (bytes, picoseconds, bytes per second); text that falls between two of them is
// rounded to the nearest. What is printed has three significant digits and parses again.
#ifndef CORE_BASE_UNITS_H
#define CORE_BASE_UNITS_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define PS_PER_NS INT64_C(1000)
#define PS_PER_US INT64_C(1000000)
#define PS_PER_MS INT64_C(1000000000)
#define PS_PER_S INT64_C(1000000000000)

// Parsing. A number with an optional fraction, or as 1e6, at most one space, a unit; never
// negative. ERR_USAGE says what was found and which forms are accepted, and leaves *out alone.

// Bytes: B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024; K or k, M, G, T are the
// same, as nccl-tests, dd and ls have it), or nothing for bytes.
Status units_parse_size(int64_t *bytes, const char *text) MUST_USE;

// Picoseconds: ps, ns, us, ms, s, min, h. A bare number counts `bare_ps` (PS_PER_S: seconds);
// with bare_ps 0 a unit must be written, except for 0.
Status units_parse_duration(int64_t *ps, const char *text, int64_t bare_ps) MUST_USE;

// Bytes per second: B/s … TB/s, KiB/s … TiB/s, bit/s, kbit/s … Tbit/s; a unit must be written.
// "Gb/s" and "Gbps" are refused, because they are read both ways.
Status units_parse_bandwidth(int64_t *bytes_per_s, const char *text) MUST_USE;

// A count: k, M, G, T (powers of 1000), or nothing. Nothing is rounded here: "1.5k" is 1500,
// "1.5" is an error.
Status units_parse_count(int64_t *count, const char *text) MUST_USE;

enum { UNITS_LIST = 64 };
typedef struct {
    int64_t items[UNITS_LIST];
    int count;
} IntList;

// Counts between commas; "4..64" stands for doubling from 4 until 64: 4,8,16,32,64.
Status units_parse_list(IntList *out, const char *text) MUST_USE;

// The same of sizes: "8,1KiB..1GiB".
Status units_parse_sizes(IntList *out, const char *text) MUST_USE;

// numerator / denominator, rounded up, or INT64_MAX where that is less. Neither is negative.
int64_t units_divide_up(__int128 numerator, __int128 denominator);

// Picoseconds for an amount at permille thousandths of a rate above 0, rounded up; INT64_MAX when
// it is longer than fits.
int64_t units_ps_at(int64_t amount, int64_t per_s, int32_t permille);

// Printing, into `out`, which is returned: "64KiB", "1.5ms", "25GB/s", "10k".
enum { UNITS_TEXT = 32 };
char *units_print_real(char out[UNITS_TEXT], double value);  // no digit more than needed: "0.1"
char *units_print_size(char out[UNITS_TEXT], int64_t bytes);
char *units_print_duration(char out[UNITS_TEXT], int64_t ps);
char *units_print_bandwidth(char out[UNITS_TEXT], int64_t bytes_per_s);
char *units_print_count(char out[UNITS_TEXT], int64_t count);

// The same for files: every digit, "1.234567us", so that it reads back equal. From 0 to 10^18 - 1.
char *units_exact_size(char out[UNITS_TEXT], int64_t bytes);
char *units_exact_duration(char out[UNITS_TEXT], int64_t ps);
char *units_exact_bandwidth(char out[UNITS_TEXT], int64_t bytes_per_s);

#endif
