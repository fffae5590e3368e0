// SPDX-License-Identifier: MIT
// YAML documents as small trees, through libyaml, with errors that name file, line and column.
// The part of YAML that people write by hand: mappings, sequences, scalars, one document; no
// anchors, no tags.
#ifndef CORE_BASE_YAML_H
#define CORE_BASE_YAML_H

#include "core/base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING } YamlKind;

typedef struct YamlNode YamlNode;
struct YamlNode {  // everything in the arena
    YamlKind kind;
    bool quoted;               // a scalar in quotes or a block: text, whatever it looks like
    int line, column;          // where it begins, from 1
    int key_line, key_column;  // where its key begins
    int count;                 // of items or members
    const char *source;        // name of the file
    const char *key;           // of a member of a mapping; NULL otherwise
    const char *text;          // of a scalar; terminated
    const YamlNode *first;     // item or member, in the order of the file
    const YamlNode *next;      // in the collection that this node belongs to
};

// Read a file ("-": standard input; may be gzip). ERR_INPUT when it cannot be read, ERR_FORMAT
// "path:line:column: what" for what is not YAML, for a key given twice, and for an empty document.
Status yaml_read_file(const YamlNode **out, Arena *a, const char *path) MUST_USE;

// The same from memory; `source` is its name in messages.
Status yaml_parse(const YamlNode **out, Arena *a, const char *text, size_t length,
                  const char *source) MUST_USE;

// For errors of the caller's own: "file:line:column: …".
#define YAML_FAIL(node, ...) return yaml_fail((node), __FILE__, __LINE__, __VA_ARGS__)
Status yaml_fail(const YamlNode *n, const char *file, int line, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

// A mapping whose keys are all among `required` and `optional` (words between spaces) and that has
// all the required ones. The error names the nearest known key.
Status yaml_check_keys(const YamlNode *mapping, const char *required,
                       const char *optional) MUST_USE;

// The member of that key; NULL when there is none, or when `mapping` is not a mapping.
const YamlNode *yaml_find(const YamlNode *mapping, const char *key);

// The value of a node. With n NULL, *out stays as it is: TRY(yaml_get_int(&x, yaml_find(m, "x"), 1,
// 8)) reads an optional member. ERR_FORMAT says what was expected and what was found.
Status yaml_get_int(int64_t *out, const YamlNode *n, int64_t min, int64_t max) MUST_USE;
Status yaml_get_real(double *out, const YamlNode *n, double min, double max) MUST_USE;
Status yaml_get_bool(bool *out, const YamlNode *n) MUST_USE;           // true, false
Status yaml_get_string(const char **out, const YamlNode *n) MUST_USE;  // in the tree's arena

// Which of the words of "ring|tree|direct", from 0.
Status yaml_get_choice(int *out, const YamlNode *n, const char *words) MUST_USE;

// With units, as core/base/units.h accepts them.
Status yaml_get_size(int64_t *bytes, const YamlNode *n) MUST_USE;
Status yaml_get_duration(int64_t *ps, const YamlNode *n) MUST_USE;
Status yaml_get_bandwidth(int64_t *bytes_per_s, const YamlNode *n) MUST_USE;

// That the node is a mapping, a sequence, a scalar.
Status yaml_expect(const YamlNode *n, YamlKind kind) MUST_USE;

// Write text as a scalar that reads back as this text: as it is where that is safe, else in quotes.
void yaml_write_string(FILE *f, const char *text);

#endif
