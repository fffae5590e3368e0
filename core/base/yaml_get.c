// SPDX-License-Identifier: MIT
// Values of a YAML tree, with types and units; errors name the file, the line and the key.
#include "core/base/yaml.h"

#include "core/base/nearest.h"
#include "core/base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

Status yaml_fail(const YamlNode *n, const char *file, int line, const char *fmt, ...) {
    char text[STATUS_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return status_fail(ERR_FORMAT, file, line, "%s:%d:%d: %s", n->source, n->line, n->column, text);
}

const YamlNode *yaml_find(const YamlNode *mapping, const char *key) {
    if (mapping->kind != YAML_MAPPING) return NULL;
    for (const YamlNode *m = mapping->first; m; m = m->next)
        if (strcmp(m->key, key) == 0) return m;
    return NULL;
}

// --- expected and found

// What stands there, and of which key: `"ranks" is "two"`, `an item is a list`.
static Status fail_expected(const YamlNode *n, const char *expected) {
    const char *key = n->key ? n->key : "value", *quote = n->key ? "\"" : "";
    if (n->kind == YAML_SEQUENCE)
        YAML_FAIL(n, "%s%s%s: expected %s, found a list", quote, key, quote, expected);
    if (n->kind == YAML_MAPPING)
        YAML_FAIL(n, "%s%s%s: expected %s, found a mapping", quote, key, quote, expected);
    if (!*n->text && !n->quoted)
        YAML_FAIL(n, "%s%s%s: expected %s, found nothing", quote, key, quote, expected);
    YAML_FAIL(n, "%s%s%s: expected %s, found %s\"%.60s\"", quote, key, quote, expected,
              n->quoted ? "the text " : "", n->text);
}

Status yaml_expect(const YamlNode *n, YamlKind kind) {
    static const char *const texts[] = {"a single value", "a list", "a mapping"};
    return n->kind == kind ? OK : fail_expected(n, texts[kind]);
}

static bool is_plain_scalar(const YamlNode *n) {
    return n->kind == YAML_SCALAR && !n->quoted && *n->text;
}

Status yaml_get_int(int64_t *out, const YamlNode *n, int64_t min, int64_t max) {
    if (!n) return OK;
    char expected[96];
    if (min == INT64_MIN && max == INT64_MAX)
        snprintf(expected, sizeof expected, "a whole number");
    else if (max == INT64_MAX)
        snprintf(expected, sizeof expected, "a whole number of at least %lld", (long long)min);
    else
        snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)min,
                 (long long)max);
    if (!is_plain_scalar(n) || isspace((unsigned char)*n->text)) return fail_expected(n, expected);
    char *end;
    errno = 0;
    long long value = strtoll(n->text, &end, 10);
    if (*end || errno || value < min || value > max) return fail_expected(n, expected);
    *out = value;
    return OK;
}

Status yaml_get_real(double *out, const YamlNode *n, double min, double max) {
    if (!n) return OK;
    char expected[96];
    if (isinf(min) && isinf(max))
        snprintf(expected, sizeof expected, "a number");
    else if (isinf(max))
        snprintf(expected, sizeof expected, "a number of at least %g", min);
    else
        snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
    if (!is_plain_scalar(n)) return fail_expected(n, expected);
    char *end;
    double value = strtod(n->text, &end);
    if (*end || !isfinite(value) || value < min || value > max) return fail_expected(n, expected);
    *out = value;
    return OK;
}

Status yaml_get_bool(bool *out, const YamlNode *n) {
    if (!n) return OK;
    bool yes = is_plain_scalar(n) && strcmp(n->text, "true") == 0;
    if (!yes && !(is_plain_scalar(n) && strcmp(n->text, "false") == 0))
        return fail_expected(n, "true or false");
    *out = yes;
    return OK;
}

Status yaml_get_string(const char **out, const YamlNode *n) {
    if (!n) return OK;
    if (n->kind != YAML_SCALAR || !*n->text) return fail_expected(n, "text");
    *out = n->text;
    return OK;
}

// --- words

enum { WORDS = 1024 };  // bytes of the longest list of words

// The place of n->word in a list of words, or -1; the nearest, in *n, lies in `copy`, which is cut
// into its words.
static int find_word(Nearest *n, char copy[WORDS], const char *words, const char *separator) {
    snprintf(copy, WORDS, "%s", words);
    char *rest = copy;
    for (int i = 0; rest; i++) {
        const char *word = strsep(&rest, separator);
        if (*word && strcmp(word, n->word) == 0) return i;
        if (*word) nearest_offer(n, word);
    }
    return -1;
}

Status yaml_get_choice(int *out, const YamlNode *n, const char *words) {
    if (!n) return OK;
    TRY(yaml_expect(n, YAML_SCALAR));
    Nearest near = {.word = n->text};
    char copy[WORDS];
    int found = find_word(&near, copy, words, "|");
    if (found >= 0) {
        *out = found;
        return OK;
    }
    char expected[256];
    snprintf(expected, sizeof expected, "one of %s", words);
    if (!near.best) return fail_expected(n, expected);
    YAML_FAIL(n, "\"%s\": expected %s, found \"%.60s\" (did you mean %s?)",
              n->key ? n->key : "value", expected, n->text, near.best);
}

Status yaml_check_keys(const YamlNode *mapping, const char *required, const char *optional) {
    TRY(yaml_expect(mapping, YAML_MAPPING));
    char copies[2][WORDS];
    for (const YamlNode *m = mapping->first; m; m = m->next) {
        Nearest near = {.word = m->key};
        if (find_word(&near, copies[0], required, " ") >= 0) continue;
        if (find_word(&near, copies[1], optional, " ") >= 0) continue;
        YamlNode key = {.source = m->source, .line = m->key_line, .column = m->key_column};
        if (near.best)
            YAML_FAIL(&key, "unknown key \"%.60s\" (did you mean %s?)", m->key, near.best);
        YAML_FAIL(&key, "unknown key \"%.60s\": expected one of %s%s%s", m->key, required,
                  *required && *optional ? " " : "", optional);
    }
    snprintf(copies[0], WORDS, "%s", required);
    for (char *rest = copies[0]; rest;) {
        const char *word = strsep(&rest, " ");
        if (*word && !yaml_find(mapping, word))
            YAML_FAIL(mapping, "the key \"%s\" is missing here", word);
    }
    return OK;
}

// --- quantities with units

typedef Status (*UnitParser)(int64_t *out, const char *text);

static Status get_quantity(int64_t *out, const YamlNode *n, UnitParser parse) {
    if (!n) return OK;
    TRY(yaml_expect(n, YAML_SCALAR));
    if (parse(out, n->text) != OK)
        YAML_FAIL(n, "%s%s%s", n->key ? n->key : "", n->key ? ": " : "", status_message());
    return OK;
}

static Status parse_duration(int64_t *ps, const char *text) {
    return units_parse_duration(ps, text, 0);
}

Status yaml_get_size(int64_t *bytes, const YamlNode *n) {
    return get_quantity(bytes, n, units_parse_size);
}
Status yaml_get_duration(int64_t *ps, const YamlNode *n) {
    return get_quantity(ps, n, parse_duration);
}
Status yaml_get_bandwidth(int64_t *bytes_per_s, const YamlNode *n) {
    return get_quantity(bytes_per_s, n, units_parse_bandwidth);
}

// --- writing

// A word that no reader takes for anything but text: letters first, nothing that
// YAML gives a meaning.
static bool is_safe(const char *text) {
    static const char *const reserved[] = {"true", "false", "yes", "no", "on",
                                           "off",  "null",  "y",   "n"};
    if (!isalpha((unsigned char)*text) && *text != '/') return false;
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_./+-", *p)) return false;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcasecmp(text, reserved[i]) == 0) return false;
    return true;
}

void yaml_write_string(FILE *f, const char *text) {
    if (is_safe(text)) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            fprintf(f, "\\x%02x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}
