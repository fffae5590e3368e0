// SPDX-License-Identifier: MIT
// What jansson lacks: a bound on the memory that a file of others takes, errors that name file and
// place, numbers that read back equal. Read json_read_file() first.
#include "core/base/json.h"

#include "core/base/file.h"
#include "core/base/units.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE = 256 };  // bytes of the longest place

// --- reading a file

// What jansson allocates, measured: an empty object takes 224 bytes, an array 112, an item of an
// array up to 16 besides its value's 32, a member 80 besides its key. Every value but the first
// follows one of "[{,:", so counting these outside strings is enough.
enum { OBJECT_BYTES = 256, ARRAY_BYTES = 112, ITEM_BYTES = 48, MEMBER_BYTES = 80 };

// Where the string that begins before `at` ends: behind its closing quote.
static size_t string_end(const char *text, size_t length, size_t at) {
    while (at < length && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
    return at < length ? at + 1 : length;
}

size_t json_tree_bytes(const char *text, size_t length) {
    size_t bytes = 0, depth = 0, at = 0;
    while (at < length) {
        char c = text[at++];
        if (c == '"') {
            size_t end = string_end(text, length, at);
            bytes += end - at;
            at = end;
        }
        bytes += c == '{' ? OBJECT_BYTES : c == '[' ? ARRAY_BYTES + ITEM_BYTES : 0;
        bytes += c == ',' ? ITEM_BYTES : c == ':' ? MEMBER_BYTES : 0;
        depth += c == '{' || c == '[';
        depth -= depth && (c == '}' || c == ']');
        if (!depth && c != ' ' && c != '\n' && c != '\t' && c != '\r') break;
    }
    return bytes;
}

Status json_check_tree(const char *text, size_t length, size_t most, const char *name) {
    size_t bytes = json_tree_bytes(text, length);
    char need[UNITS_TEXT], limit[UNITS_TEXT];
    if (bytes <= most) return OK;
    FAIL(ERR_FORMAT,
         "%s: reading it would take %s of memory, for more values than a file of this kind has "
         "(at most %s)",
         name, units_print_size(need, (int64_t)bytes), units_print_size(limit, (int64_t)most));
}

const char *json_error_words(const json_error_t *error) {
    switch (json_error_code(error)) {
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "a text with the character \\u0000, which no text here can hold";
    case json_error_premature_end_of_input: return "the file ends within a value: it was cut off";
    case json_error_end_of_input_expected: return "something follows the end of the value";
    case json_error_invalid_utf8: return "text that is not UTF-8";
    case json_error_stack_overflow: return "more than 2048 lists and objects inside each other";
    case json_error_out_of_memory: return "no memory to read it";
    default: return error->text;
    }
}

const char *json_skip_mark(const char *text, size_t *length) {
    bool marked = *length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
    *length -= marked ? 3 : 0;
    return text + (marked ? 3 : 0);
}

static Status parse(json_t **out, const char *text, size_t length, const char *name) {
    json_error_t error;
    text = json_skip_mark(text, &length);
    TRY(json_check_tree(text, length, JSON_MOST_TREE, name));
    *out = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (*out) return OK;
    if (error.line < 0) FAIL(ERR_FORMAT, "%s: %s", name, json_error_words(&error));
    FAIL(ERR_FORMAT, "%s:%d:%d: %s", name, error.line, error.column, json_error_words(&error));
}

Status json_read_file(json_t **out, const char *path) {
    Arena file = {0};
    char *text;
    size_t length;
    json_t *value = NULL;
    Status s = file_read_most(&text, &length, &file, JSON_MOST_BYTES, path);
    if (s == OK) s = parse(&value, text, length, path);
    arena_finish(&file);
    if (s == OK) *out = value;
    return s;
}

// --- reading values

// Walk `place` from root; NULL when a step is not there.
static json_t *walk(const json_t *root, const char *place) {
    const json_t *at = root;
    const char *p = place;
    while (*p && at) {
        if (*p == '[') {
            char *end;
            at = json_array_get(at, strtoul(p + 1, &end, 10));
            p = *end == ']' ? end + 1 : end;
        } else {
            char key[PLACE];
            p += *p == '.';
            size_t length = strcspn(p, ".[");
            snprintf(key, sizeof key, "%.*s", (int)length, p);
            at = json_object_get(at, key);
            p += length;
        }
    }
    return (json_t *)at;
}

json_t *json_find(const json_t *root, const char *at, ...) {
    char place[PLACE];
    va_list args;
    va_start(args, at);
    vsnprintf(place, sizeof place, at, args);
    va_end(args);
    return walk(root, place);
}

static const char *type_text(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    case JSON_NULL: return "null";
    }
    return "?";
}

typedef enum { WANT_INT, WANT_REAL, WANT_BOOL, WANT_STRING, WANT_OBJECT, WANT_ARRAY } Want;

static bool is_wanted(const json_t *value, Want want) {
    switch (want) {
    case WANT_INT: return json_is_integer(value);
    case WANT_REAL: return json_is_number(value);
    case WANT_BOOL: return json_is_boolean(value);
    case WANT_STRING: return json_is_string(value);
    case WANT_OBJECT: return json_is_object(value);
    case WANT_ARRAY: return json_is_array(value);
    }
    return false;
}

static Status get(json_t **out, const json_t *root, Want want, const char *source, const char *at,
                  va_list args) {
    static const char *const texts[] = {"a whole number", "a number",  "true or false",
                                        "a string",       "an object", "an array"};
    char place[PLACE];
    vsnprintf(place, sizeof place, at, args);
    json_t *value = walk(root, place);
    if (!value) FAIL(ERR_FORMAT, "%s: %s is missing: expected %s", source, place, texts[want]);
    if (!is_wanted(value, want))
        FAIL(ERR_FORMAT, "%s: %s: expected %s, found %s", source,
             place[0] ? place : "the whole file", texts[want], type_text(value));
    *out = value;
    return OK;
}

// The six getters differ in the type they want and in how it is taken out.
#define GETTER(name, type, want, take)                                                    \
    Status name(type *out, const json_t *root, const char *source, const char *at, ...) { \
        json_t *value = NULL;                                                             \
        va_list args;                                                                     \
        va_start(args, at);                                                               \
        Status s = get(&value, root, want, source, at, args);                             \
        va_end(args);                                                                     \
        if (s == OK) *out = take(value);                                                  \
        return s;                                                                         \
    }
GETTER(json_get_int, int64_t, WANT_INT, json_integer_value)
GETTER(json_get_real, double, WANT_REAL, json_number_value)
GETTER(json_get_bool, bool, WANT_BOOL, json_is_true)
GETTER(json_get_string, const char *, WANT_STRING, json_string_value)
GETTER(json_get_object, json_t *, WANT_OBJECT, )
GETTER(json_get_array, json_t *, WANT_ARRAY, )

Status json_get_int_in(int64_t *out, const json_t *root, int64_t low, int64_t high,
                       const char *source, const char *at) {
    int64_t value;
    TRY(json_get_int(&value, root, source, "%s", at));
    if (value < low && high == INT64_MAX)
        FAIL(ERR_FORMAT, "%s: %s: expected at least %lld, found %lld", source, at, (long long)low,
             (long long)value);
    if (value < low || value > high)
        FAIL(ERR_FORMAT, "%s: %s: expected %lld to %lld, found %lld", source, at, (long long)low,
             (long long)high, (long long)value);
    *out = value;
    return OK;
}

Status json_get_real_or_nan(double *out, const json_t *root, const char *source, const char *at) {
    if (!json_is_null(json_find(root, "%s", at))) return json_get_real(out, root, source, "%s", at);
    *out = (double)NAN;
    return OK;
}

// --- writing

json_t *json_text(const char *s) {
    json_t *value = json_string(s);
    if (value) return value;
    char *copy = strdup(s);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    value = copy ? json_string(copy) : NULL;
    free(copy);
    return value;
}

json_t *json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

char *json_print_number(char out[JSON_NUMBER], double value) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, JSON_NUMBER, "%.*g", digits, value);
        if (strtod(out, NULL) == value) break;
    }
    if (!strpbrk(out, ".e")) strcat(out, ".0");  // stays a real for the next reader
    return out;
}

static void write_real(FILE *f, double value) {
    char text[JSON_NUMBER];
    fputs(json_print_number(text, value), f);
}

static void write_string(FILE *f, const char *s, size_t length) {
    fputc('"', f);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", f);
        else if (c < 0x20 || c == 0x7f)
            fprintf(f, "\\u%04x", c);
        else if (c == 0xc2 && i + 1 < length && (unsigned char)s[i + 1] < 0xa0)
            fprintf(f, "\\u%04x", (unsigned char)s[++i]);  // U+0080 to U+009F: a terminal obeys
        else
            fputc(c, f);
    }
    fputc('"', f);
}

static bool is_plain(const json_t *value) {
    return !json_is_object(value) && !json_is_array(value);
}

static void write_value(FILE *f, const json_t *value, int indent);

static void write_array(FILE *f, const json_t *array, int indent) {
    bool one_line = true;
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item) one_line = one_line && is_plain(item);
    fputc('[', f);
    json_array_foreach(array, i, item) {
        if (i) fputs(one_line ? ", " : ",", f);
        if (!one_line) fprintf(f, "\n%*s", indent + 2, "");
        write_value(f, item, indent + 2);
    }
    if (!one_line) fprintf(f, "\n%*s", indent, "");
    fputc(']', f);
}

static void write_object(FILE *f, json_t *object, int indent) {
    const char *key, *separator = "";
    json_t *item;
    fputc('{', f);
    json_object_foreach(object, key, item) {
        fprintf(f, "%s\n%*s", separator, indent + 2, "");
        write_string(f, key, strlen(key));
        fputs(": ", f);
        write_value(f, item, indent + 2);
        separator = ",";
    }
    if (*separator) fprintf(f, "\n%*s", indent, "");
    fputc('}', f);
}

static void write_value(FILE *f, const json_t *value, int indent) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: write_object(f, (json_t *)value, indent); return;
    case JSON_ARRAY: write_array(f, value, indent); return;
    case JSON_STRING: write_string(f, json_string_value(value), json_string_length(value)); return;
    case JSON_INTEGER: fprintf(f, "%lld", (long long)json_integer_value(value)); return;
    case JSON_REAL: write_real(f, json_real_value(value)); return;
    case JSON_TRUE: fputs("true", f); return;
    case JSON_FALSE: fputs("false", f); return;
    case JSON_NULL: fputs("null", f); return;
    }
}

void json_write(FILE *f, const json_t *value) {
    write_value(f, value, 0);
    fputc('\n', f);
}

Status json_write_file(const json_t *value, const char *path) {
    OutputFile out;
    TRY(file_create(&out, path));
    json_write(out.stream, value);
    return file_commit(&out);
}
