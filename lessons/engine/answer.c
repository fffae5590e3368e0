// SPDX-License-Identifier: MIT
// Reading and writing answers. Quantities go through core/base/units.h, so that a lesson takes and
// shows what the programs do.
#include "lessons/engine/answer.h"

#include "core/base/text.h"
#include "core/base/units.h"
#include "lessons/engine/translate.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- quantities

// A plain number or a fraction, "3/8", and what follows it.
static bool read_number(double *out, const char *text, const char **rest) {
    char *end;
    double top = strtod(text, &end), under;
    if (end == text || !isfinite(top)) return false;
    while (*end == ' ') end++;
    if (*end == '/') {
        const char *below = end + 1;
        under = strtod(below, &end);
        if (end == below || !isfinite(under) || under == 0) return false;
        top /= under;
        while (*end == ' ') end++;
    }
    *out = top;
    *rest = end;
    return true;
}

static bool read_whole(double *out, const char *text) {
    int64_t count;
    if (*text == '-' || units_parse_count(&count, text) != OK) return false;
    *out = (double)count;
    return true;
}

static bool read_bytes(double *out, const char *text) {
    int64_t bytes;
    const char *rest;
    double bare;
    if (read_number(&bare, text, &rest) && *rest == '\0' && bare != floor(bare)) return false;
    if (units_parse_size(&bytes, text) != OK) return false;
    *out = (double)bytes;
    return true;
}

static bool read_seconds(double *out, const char *text) {
    int64_t ps;
    if (units_parse_duration(&ps, text, 0) != OK) return false;
    *out = (double)ps / (double)PS_PER_S;
    return true;
}

static bool read_rate(double *out, const char *text) {
    int64_t bytes_per_s;
    if (units_parse_bandwidth(&bytes_per_s, text) != OK) return false;
    *out = (double)bytes_per_s;
    return true;
}

static bool read_share(double *out, const char *text) {
    const char *rest;
    if (!read_number(out, text, &rest)) return false;
    if (*rest == '%') {
        *out /= 100;
        rest++;
    }
    return *rest == '\0';
}

static bool read_times(double *out, const char *text) {
    const char *rest;
    if (!read_number(out, text, &rest)) return false;
    return *rest == '\0' || ((*rest == 'x' || *rest == 'X') && rest[1] == '\0');
}

static bool read_plain(double *out, const char *text) {
    const char *rest;
    return read_number(out, text, &rest) && *rest == '\0';
}

// How each unit is read, written and described.
static const struct {
    bool (*read)(double *out, const char *text);
    const char *expected;  // "X is not ..."
} UNITS[] = {
    [UNIT_NUMBER] = {read_plain, N_("a number, such as 0.25, -3e-4 or 3/8")},
    [UNIT_COUNT] = {read_whole, N_("a whole number, such as 12 or 3k")},
    [UNIT_BYTES] = {read_bytes, N_("an amount of data, such as 150 MB, 143 MiB or 4096 (bytes)")},
    [UNIT_SECONDS] = {read_seconds, N_("a time with its unit, such as 2.5 ms or 800 us")},
    [UNIT_RATE] = {read_rate, N_("bytes per second, such as 25 GB/s")},
    [UNIT_SHARE] = {read_share, N_("a share, such as 0.12 or 12 %")},
    [UNIT_TIMES] = {read_times, N_("how many times, such as 3.2x or 3.2")},
};

// A number without an exponent where it can do without, and without zeros at its end.
static void print_number(char *out, size_t size, int digits, double value) {
    double magnitude = fabs(value);
    if (magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e7)) {
        snprintf(out, size, "%.*e", digits - 1, value);
        return;
    }
    int before = magnitude < 1 ? 0 : (int)floor(log10(magnitude)) + 1;
    int leading = magnitude > 0 && magnitude < 1 ? (int)-floor(log10(magnitude)) - 1 : 0;
    int after = digits - before + leading;
    snprintf(out, size, "%.*f", after > 0 ? after : 0, value);
    if (!strchr(out, '.')) return;
    char *end = out + strlen(out);
    while (end[-1] == '0') *--end = '\0';
    if (end[-1] == '.') end[-1] = '\0';
}

typedef struct {
    const char *name;
    double size;
} Scale;
enum { SCALES = 5 };

// With the largest unit that leaves at least 1 before the point once it is rounded; nothing is 0 of
// the plain unit.
static void print_scaled(char *out, size_t size, const Scale scales[SCALES], const char *behind,
                         int digits, double value) {
    double rounded = fabs(value) * (1 + 0.5 * pow(10, -digits));
    int k = 0;
    while (k < SCALES - 1 && (value == 0 ? scales[k].size != 1 : rounded < scales[k].size)) k++;
    print_number(out, size, digits, value / scales[k].size);
    text_append(out, size, " %s%s", scales[k].name, behind);
}

char *answer_print_value(char *out, size_t size, AnswerUnit unit, int digits, double value) {
    static const Scale BYTES[SCALES] = {
        {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}};
    static const Scale SECONDS[SCALES] = {
        {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"ps", 1e-12}};
    if (isinf(value)) {
        snprintf(out, size, "%s", _("infinity"));
        return out;
    }
    switch (unit) {
    case UNIT_BYTES: print_scaled(out, size, BYTES, "", digits, value); break;
    case UNIT_RATE: print_scaled(out, size, BYTES, "/s", digits, value); break;
    case UNIT_SECONDS: print_scaled(out, size, SECONDS, "", digits, value); break;
    case UNIT_COUNT: snprintf(out, size, "%.0f", value); break;
    case UNIT_NUMBER: print_number(out, size, digits, value); break;
    case UNIT_SHARE:
        print_number(out, size, digits, 100 * value);
        text_append(out, size, " %%");
        break;
    case UNIT_TIMES:
        print_number(out, size, digits, value);
        text_append(out, size, "x");
        break;
    }
    return out;
}

// --- what was typed

// ASCII for the wide forms of an input method: digits, letters and signs (U+FF01 to U+FF5E), the
// ideographic space and comma.
static void narrow(char *out, size_t size, const char *text) {
    size_t used = 0;
    while (*text && used + 1 < size) {
        const unsigned char *c = (const unsigned char *)text;
        if (c[0] == 0xEF && (c[1] == 0xBC || c[1] == 0xBD) && c[2] >= 0x80) {
            int code = ((c[1] & 0x3F) << 6 | (c[2] & 0x3F)) - 0xF00 + 0x20;
            out[used++] = code > 0x20 && code < 0x7F ? (char)code : '?';
            text += 3;
        } else if (c[0] == 0xE3 && c[1] == 0x80 && (c[2] == 0x80 || c[2] == 0x81)) {
            out[used++] = c[2] == 0x80 ? ' ' : ',';
            text += 3;
        } else {
            out[used++] = *text++;
        }
    }
    out[used] = '\0';
}

static char *trim(char *text) {
    while (isspace((unsigned char)*text)) text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1])) *--end = '\0';
    return text;
}

// The items of a list, cut apart in place: at commas, or where there are none at blanks, except
// before a unit ("2 ms 3 ms" are two).
static int cut(char *items[ANSWER_MOST + 1], char *text) {
    bool commas = strchr(text, ',') != NULL;
    int count = 0;
    for (char *at = text; *at && count <= ANSWER_MOST;) {
        items[count++] = at;
        for (; *at; at++) {
            if (commas ? *at == ',' : isspace((unsigned char)*at)) {
                char *next = at + 1;
                while (isspace((unsigned char)*next)) next++;
                if (commas || !(isalpha((unsigned char)*next) || *next == '%')) {
                    *at = '\0';
                    at = next;
                    break;
                }
            }
        }
    }
    for (int i = 0; i < count; i++) items[i] = trim(items[i]);
    return count;
}

static Status read_value(double *out, AnswerUnit unit, const char *text) {
    if (UNITS[unit].read(out, text)) return OK;
    FAIL(ERR_USAGE, _("\"%s\" is not %s"), text, _(UNITS[unit].expected));
}

// Options and things are numbered from 1 where people see them.
static Status read_place(double *out, int count, const char *text) {
    char *end;
    long place = strtol(text, &end, 10);
    if (end == text || *end || place < 1 || place > count)
        FAIL(ERR_USAGE, _("\"%s\" is none of the numbers 1 to %d"), text, count);
    *out = (double)(place - 1);
    return OK;
}

static Status read_order(Answer *out, int count, char *text) {
    int used = 0;
    for (char *rest, *item = strtok_r(text, " \t,<>", &rest); item;
         item = strtok_r(NULL, " \t,<>", &rest)) {
        if (used == count) FAIL(ERR_USAGE, _("there are only %d things to put in order"), count);
        TRY(read_place(&out->values[used], count, item));
        for (int i = 0; i < used; i++)
            if (out->values[i] == out->values[used])
                FAIL(ERR_USAGE, _("%s comes twice; write each number once"), item);
        used++;
    }
    if (used < count)
        FAIL(ERR_USAGE, _("%d of %d numbers are there; write all of them, first to last"), used,
             count);
    return OK;
}

static Status read_values(Answer *out, const AnswerShape *shape, int count, char *text) {
    char *items[ANSWER_MOST + 1];
    int found = cut(items, text);
    if (found != count)
        FAIL(ERR_USAGE, _("expected %d values, separated by commas; found %d"), count, found);
    for (int i = 0; i < count; i++) TRY(read_value(&out->values[i], shape->unit, items[i]));
    return OK;
}

Status answer_parse(Answer *out, const AnswerShape *shape, const char *text) {
    char line[512];
    Answer a = {.count = 1};
    narrow(line, sizeof line, text);
    char *given = trim(line);
    switch (shape->form) {
    case ANSWER_VALUE: TRY(read_value(&a.values[0], shape->unit, given)); break;
    case ANSWER_CHOICE: TRY(read_place(&a.values[0], shape->count, given)); break;
    case ANSWER_ORDER:
        a.count = shape->count;
        TRY(read_order(&a, a.count, given));
        break;
    case ANSWER_CURVE:
        a.count = shape->count;
        TRY(read_values(&a, shape, a.count, given));
        break;
    case ANSWER_INTERVAL:
        a.count = 2;
        TRY(read_values(&a, shape, 2, given));
        if (a.values[0] > a.values[1])
            FAIL(ERR_USAGE, _("the lower end comes first: \"%s\" goes downwards"), text);
        break;
    case ANSWER_FORM_COUNT: break;
    }
    *out = a;
    return OK;
}

char *answer_print(char out[ANSWER_TEXT], const AnswerShape *shape, const Answer *a) {
    bool places = shape->form == ANSWER_CHOICE || shape->form == ANSWER_ORDER;
    *out = '\0';
    for (int i = 0; i < a->count; i++) {
        char value[48];
        if (places)
            snprintf(value, sizeof value, "%d", 1 + (int)a->values[i]);
        else
            answer_print_value(value, sizeof value, shape->unit, 9, a->values[i]);
        text_append(out, ANSWER_TEXT, "%s%s", i == 0 ? "" : places ? " " : ", ", value);
    }
    return out;
}
