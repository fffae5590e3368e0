// SPDX-License-Identifier: MIT
// JSON through jansson, with errors that name the file and the place.
#ifndef CORE_BASE_JSON_H
#define CORE_BASE_JSON_H

#include "core/base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

// Read a file, plain or gzip, with or without a byte-order mark; "-" is standard input. The caller
// owns *out: json_decref(). ERR_INPUT when it cannot be read or is larger than JSON_MOST_BYTES when
// unpacked; ERR_FORMAT when its tree would take more than JSON_MOST_TREE, and "path:line:column:
// what" when it is not JSON or has a key twice.
#define JSON_MOST_BYTES ((size_t)256 << 20)
#define JSON_MOST_TREE ((size_t)1 << 30)
Status json_read_file(json_t **out, const char *path) MUST_USE;

// About how many bytes of memory the tree of the first value in a text takes: a few bytes of text,
// "{}," a million times, are hundreds of bytes each as a tree. Counted before anything is made.
size_t json_tree_bytes(const char *text, size_t length);

// ERR_FORMAT, with `name` in front, when the first value's tree takes more than `most` bytes.
Status json_check_tree(const char *text, size_t length, size_t most, const char *name) MUST_USE;

// What jansson found wrong, for somebody who does not know jansson.
const char *json_error_words(const json_error_t *error);

// A text without the byte-order mark that some editors put in front of it.
const char *json_skip_mark(const char *text, size_t *length);

// The value at a place below `root`, "strategy.ranks" or "loss[3].mean", printf-like; an empty
// place is root itself. Keys with a dot or a bracket cannot be named so. `source` is the name of
// the file for messages. ERR_FORMAT says what is missing there, or what was expected and found:
//     run.json: strategy.ranks: expected a whole number, found a string
// Strings and nodes are borrowed from root. *out is left alone on failure.
Status json_get_int(int64_t *out, const json_t *root, const char *source, const char *at, ...)
    PRINTF_LIKE(4, 5) MUST_USE;
Status json_get_real(double *out, const json_t *root, const char *source, const char *at, ...)
    PRINTF_LIKE(4, 5) MUST_USE;  // whole numbers too
Status json_get_bool(bool *out, const json_t *root, const char *source, const char *at, ...)
    PRINTF_LIKE(4, 5) MUST_USE;
Status json_get_string(const char **out, const json_t *root, const char *source, const char *at,
                       ...) PRINTF_LIKE(4, 5) MUST_USE;
Status json_get_object(json_t **out, const json_t *root, const char *source, const char *at, ...)
    PRINTF_LIKE(4, 5) MUST_USE;
Status json_get_array(json_t **out, const json_t *root, const char *source, const char *at, ...)
    PRINTF_LIKE(4, 5) MUST_USE;

// A whole number, with ERR_FORMAT also for one outside low .. high.
Status json_get_int_in(int64_t *out, const json_t *root, int64_t low, int64_t high,
                       const char *source, const char *at) MUST_USE;

// A number; NaN for null, which is how json_number() writes it.
Status json_get_real_or_nan(double *out, const json_t *root, const char *source,
                            const char *at) MUST_USE;

// The value at a place, or NULL when there is none: for what may be left out.
json_t *json_find(const json_t *root, const char *at, ...) PRINTF_LIKE(2, 3);

// A string; bytes that are not UTF-8, which JSON cannot hold, become '?'. A new reference,
// NULL without memory.
json_t *json_text(const char *s);

// A number, or null when it is not finite (JSON has no NaN). A new reference, NULL without memory.
json_t *json_number(double value);

// A finite number as the shortest text that reads back equal, "0.1", "2.0"; returned.
enum { JSON_NUMBER = 40 };
char *json_print_number(char out[JSON_NUMBER], double value);

// Indented; arrays of plain values on one line; members in their order; numbers as the shortest
// text that reads back equal.
void json_write(FILE *f, const json_t *value);

// The same as a file that appears complete or not at all, compressed when the name ends in .gz.
Status json_write_file(const json_t *value, const char *path) MUST_USE;

#endif
