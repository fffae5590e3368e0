// SPDX-License-Identifier: MIT
// Parsing and printing. A number is kept as digits and a power of ten until its unit is known, so
// that no floating-point number comes between text and value.
#include "core/base/units.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 Wide;  // a number of 18 digits times the largest unit fits

typedef struct {
    const char *name;
    int64_t scale, divisor;  // one of it is scale / divisor
} Unit;

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define TIB (INT64_C(1) << 40)
#define KILO INT64_C(1000)
#define MEGA INT64_C(1000000)
#define GIGA INT64_C(1000000000)
#define TERA INT64_C(1000000000000)

// The first PRINTED units of a table are those that are printed, ascending; the rest is only read.
// clang-format off
static const Unit SIZES[] = {
    {"B", 1, 1}, {"KiB", KIB, 1}, {"MiB", MIB, 1}, {"GiB", GIB, 1}, {"TiB", TIB, 1},
    {"kB", KILO, 1}, {"KB", KILO, 1}, {"MB", MEGA, 1}, {"GB", GIGA, 1}, {"TB", TERA, 1},
    {"K", KIB, 1}, {"k", KIB, 1}, {"M", MIB, 1}, {"G", GIB, 1}, {"T", TIB, 1},
    {"", 1, 1}, {0}};
static const Unit DURATIONS[] = {
    {"ps", 1, 1}, {"ns", PS_PER_NS, 1}, {"us", PS_PER_US, 1}, {"ms", PS_PER_MS, 1},
    {"s", PS_PER_S, 1}, {"µs", PS_PER_US, 1}, {"min", 60 * PS_PER_S, 1}, {"h", 3600 * PS_PER_S, 1},
    {0}};
static const Unit BANDWIDTHS[] = {
    {"B/s", 1, 1}, {"kB/s", KILO, 1}, {"MB/s", MEGA, 1}, {"GB/s", GIGA, 1}, {"TB/s", TERA, 1},
    {"KB/s", KILO, 1}, {"KiB/s", KIB, 1}, {"MiB/s", MIB, 1}, {"GiB/s", GIB, 1}, {"TiB/s", TIB, 1},
    {"bit/s", 1, 8}, {"kbit/s", KILO, 8}, {"Mbit/s", MEGA, 8}, {"Gbit/s", GIGA, 8},
    {"Tbit/s", TERA, 8}, {0}};
static const Unit COUNTS[] = {
    {"", 1, 1}, {"k", KILO, 1}, {"M", MEGA, 1}, {"G", GIGA, 1}, {"T", TERA, 1},
    {"K", KILO, 1}, {0}};
// clang-format on
enum { PRINTED = 5 };
static const int64_t LARGEST = INT64_C(1000000000000000000);  // 18 digits are below

static const char SIZE_FORMS[] =
    "bytes, or a number with KiB, MiB, GiB or TiB (K, M, G, T: powers of 1024), or with kB, MB, GB "
    "or TB (of 1000), such as 64KiB";
static const char DURATION_FORMS[] = "a number with ps, ns, us, ms, s, min or h, such as 1.5ms";
static const char BANDWIDTH_FORMS[] =
    "a number with B/s, kB/s, MB/s, GB/s, Mbit/s, Gbit/s, ..., such as 25GB/s";
static const char COUNT_FORMS[] = "a whole number, with k, M, G or T if you like, such as 10k";

// --- parsing

typedef struct {
    int64_t digits;    // the number without its point
    int64_t fraction;  // 10 to the power of the digits after the point
    const char *unit;  // what follows
    bool huge;         // too large to be kept; digits and fraction mean nothing
} Number;

// "e6", as people write large counts; `text` is behind the e.
static const char *exponent_parse(Number *n, const char *text) {
    int power = 0;
    for (; isdigit((unsigned char)*text); text++)
        if (power < 100) power = power * 10 + (*text - '0');
    for (; power > 0 && n->digits; power--) {
        if (n->fraction > 1)
            n->fraction /= 10;
        else if (n->digits < LARGEST / 10)
            n->digits *= 10;
        else
            n->huge = true;
    }
    return text;
}

// At most 18 digits, so that `digits` cannot overflow.
static bool number_parse(Number *n, const char *text) {
    *n = (Number){.fraction = 1};
    int count = 0;
    bool point = false;
    for (;; text++) {
        if (*text == '.' && !point) {
            point = true;
            continue;
        }
        if (!isdigit((unsigned char)*text)) break;
        if (++count > 18) {
            if (point) return false;
            n->huge = true;
            continue;
        }
        n->digits = n->digits * 10 + (*text - '0');
        if (point) n->fraction *= 10;
    }
    if (count && (*text == 'e' || *text == 'E') && isdigit((unsigned char)text[1]))
        text = exponent_parse(n, text + 1);
    if (count && *text == ' ' && text[1]) text++;
    n->unit = text;
    return count > 0;
}

static Status quantity_parse(int64_t *out, const char *text, const char *what, const Unit *units,
                             const Unit *bare, const char *forms, bool whole) {
    Number n;
    if (!number_parse(&n, text))
        FAIL(ERR_USAGE, "\"%.60s\" is not a %s: give %s", text, what, forms);
    const Unit *u = *n.unit || !bare ? units : bare;
    while (u->name && strcmp(u->name, n.unit) != 0) u++;
    if (!u->name && n.digits == 0 && !*n.unit) {
        *out = 0;
        return OK;
    }
    if (!u->name) FAIL(ERR_USAGE, "\"%.60s\" is not a %s: give %s", text, what, forms);
    if (n.huge) FAIL(ERR_USAGE, "\"%.60s\" is too large for a %s", text, what);
    Wide value = (Wide)n.digits * (Wide)u->scale, divisor = (Wide)n.fraction * (Wide)u->divisor;
    if (whole && value % divisor)
        FAIL(ERR_USAGE, "\"%.60s\" is not a %s: give %s", text, what, forms);
    Wide rounded = (value + divisor / 2) / divisor;
    if (rounded > INT64_MAX) FAIL(ERR_USAGE, "\"%.60s\" is too large for a %s", text, what);
    if (rounded == 0 && n.digits) FAIL(ERR_USAGE, "\"%.60s\" is too small for a %s", text, what);
    *out = (int64_t)rounded;
    return OK;
}

Status units_parse_size(int64_t *bytes, const char *text) {
    return quantity_parse(bytes, text, "size", SIZES, NULL, SIZE_FORMS, false);
}

Status units_parse_duration(int64_t *ps, const char *text, int64_t bare_ps) {
    const Unit bare[] = {{"", bare_ps, 1}, {0}};
    return quantity_parse(ps, text, "duration", DURATIONS, bare_ps ? bare : NULL, DURATION_FORMS,
                          false);
}

Status units_parse_count(int64_t *count, const char *text) {
    return quantity_parse(count, text, "count", COUNTS, NULL, COUNT_FORMS, true);
}

Status units_parse_bandwidth(int64_t *bytes_per_s, const char *text) {
    Number n;
    if (number_parse(&n, text)) {
        const char *after = n.unit;
        char prefix[2] = {0};
        if (*after && strchr("kKMGT", *after)) prefix[0] = *after++;
        if (!strcmp(after, "b/s") || !strcmp(after, "bps") || !strcmp(after, "Bps")) {
            int length = (int)(n.unit - text);
            FAIL(ERR_USAGE,
                 "\"%.60s\" can be read as bits and as bytes: give %.*s%sbit/s or %.*s%sB/s", text,
                 length, text, prefix, length, text, prefix);
        }
    }
    return quantity_parse(bytes_per_s, text, "bandwidth", BANDWIDTHS, NULL, BANDWIDTH_FORMS, false);
}

// --- lists

static Status list_add(IntList *l, int64_t item, const char *text) {
    if (l->count == UNITS_LIST)
        FAIL(ERR_USAGE, "\"%.60s\" has more than %d items: give fewer", text, UNITS_LIST);
    l->items[l->count++] = item;
    return OK;
}

typedef Status ParseItem(int64_t *out, const char *text);

// One item, "4" or "4..64"; `item` is ours to change.
static Status list_add_item(IntList *l, char *item, const char *text, ParseItem *parse) {
    char *dots = strstr(item, "..");
    if (dots) *dots = '\0';
    int64_t first, last;
    TRY(parse(&first, item));
    if (!dots) return list_add(l, first, text);
    TRY(parse(&last, dots + 2));
    int64_t i = first;
    for (; i > 0 && i < last && i <= INT64_MAX / 2; i *= 2) TRY(list_add(l, i, text));
    if (i != last || first == 0)
        FAIL(ERR_USAGE,
             "\"%s..%s\" does not end where doubling %s arrives: give 4..64, or a list 1,2,3", item,
             dots + 2, item);
    return list_add(l, last, text);
}

static Status list_parse(IntList *out, const char *text, ParseItem *parse, const char *what) {
    IntList l = {.count = 0};
    for (const char *p = text;;) {
        size_t length = strcspn(p, ",");
        char item[64];
        if (length == 0 || length >= sizeof item)
            FAIL(ERR_USAGE, "\"%.60s\" is not a list: give %s", text, what);
        memcpy(item, p, length);
        item[length] = '\0';
        TRY(list_add_item(&l, item, text, parse));
        if (p[length] == '\0') break;
        p += length + 1;
    }
    *out = l;
    return OK;
}

Status units_parse_list(IntList *out, const char *text) {
    return list_parse(out, text, units_parse_count,
                      "whole numbers between commas, such as 1,2,4..64");
}

Status units_parse_sizes(IntList *out, const char *text) {
    return list_parse(out, text, units_parse_size, "sizes between commas, such as 8,1KiB..1GiB");
}

// --- printing

static uint64_t rounded_ratio(Wide value, Wide divisor) {
    return (uint64_t)((value + divisor / 2) / divisor);
}

// value in the unit u, with three significant digits but no digit of the whole part lost; false
// when rounding reaches the next unit.
static bool quantity_print(char out[UNITS_TEXT], const char *sign, uint64_t value, const Unit *u,
                           int64_t next_scale) {
    uint64_t scale = (uint64_t)u->scale;
    unsigned decimals = 0, ten = 1;
    if (scale > 1)
        for (; decimals < 2 && rounded_ratio((Wide)value * ten * 10, scale) < 1000; decimals++)
            ten *= 10;
    uint64_t scaled = rounded_ratio((Wide)value * ten, scale);
    if (next_scale && (Wide)scaled * scale >= (Wide)next_scale * ten) return false;
    for (; decimals && scaled % 10 == 0; decimals--, ten /= 10) scaled /= 10;
    char fraction[16] = "";
    if (decimals)
        snprintf(fraction, sizeof fraction, ".%0*u", (int)decimals, (unsigned)(scaled % ten));
    snprintf(out, UNITS_TEXT, "%s%llu%s%s", sign, (unsigned long long)(scaled / ten), fraction,
             u->name);
    return true;
}

static char *units_print(char out[UNITS_TEXT], const Unit *units, int64_t value) {
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    int i = 0;
    while (i + 1 < PRINTED && size >= (uint64_t)units[i + 1].scale) i++;
    while (!quantity_print(out, value < 0 ? "-" : "", size, &units[i],
                           i + 1 < PRINTED ? units[i + 1].scale : 0))
        i++;
    return out;
}

char *units_print_size(char out[UNITS_TEXT], int64_t bytes) {
    return units_print(out, SIZES, bytes);
}
char *units_print_duration(char out[UNITS_TEXT], int64_t ps) {
    return units_print(out, DURATIONS, ps);
}
char *units_print_bandwidth(char out[UNITS_TEXT], int64_t bytes_per_s) {
    return units_print(out, BANDWIDTHS, bytes_per_s);
}
char *units_print_count(char out[UNITS_TEXT], int64_t count) {
    return units_print(out, COUNTS, count);
}

// In the largest unit of which it is at least one; `whole`: of which it is a multiple.
static char *exact_print(char out[UNITS_TEXT], const Unit *units, int64_t value, bool whole) {
    int i = 0;
    for (int k = 1; k < PRINTED; k++)
        if (value >= units[k].scale && !(whole && value % units[k].scale)) i = k;
    int64_t rest = value % units[i].scale;
    char fraction[UNITS_TEXT] = "";
    int digits = 0;
    for (int64_t s = units[i].scale; s > 1 && rest; s /= 10) digits++;
    for (; rest && rest % 10 == 0; rest /= 10) digits--;
    if (rest) snprintf(fraction, sizeof fraction, ".%0*lld", digits, (long long)rest);
    snprintf(out, UNITS_TEXT, "%lld%s%s", (long long)(value / units[i].scale), fraction,
             units[i].name);
    return out;
}

char *units_exact_size(char out[UNITS_TEXT], int64_t bytes) {
    return exact_print(out, SIZES, bytes, true);
}
char *units_exact_duration(char out[UNITS_TEXT], int64_t ps) {
    return exact_print(out, DURATIONS, ps, false);
}
char *units_exact_bandwidth(char out[UNITS_TEXT], int64_t bytes_per_s) {
    return exact_print(out, BANDWIDTHS, bytes_per_s, false);
}

int64_t units_divide_up(__int128 numerator, __int128 denominator) {
    __int128 quotient = numerator / denominator + (numerator % denominator != 0);
    return quotient > INT64_MAX ? INT64_MAX : (int64_t)quotient;
}

int64_t units_ps_at(int64_t amount, int64_t per_s, int32_t permille) {
    if (amount == 0) return 0;
    return units_divide_up((__int128)amount * PS_PER_S * 1000, (__int128)per_s * permille);
}

char *units_print_real(char out[UNITS_TEXT], double value) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, UNITS_TEXT, "%.*g", digits, value);
        if (strtod(out, NULL) == value) break;
    }
    return out;
}
