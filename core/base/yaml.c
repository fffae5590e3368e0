// SPDX-License-Identifier: MIT
// From the events of libyaml to a tree; what we do not take (anchors, tags, several documents) is
// refused here. Reading values from the tree: yaml_get.c.
#include "core/base/yaml.h"

#include "core/base/file.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH = 64 };                 // of collections in collections: the reader recurses
enum { YAML_MOST_BYTES = 1 << 20 };  // of a file: people write them

typedef struct {
    yaml_parser_t yaml;
    yaml_event_t event;  // the current one, freed by advance()
    Arena *arena;
    const char *source;
} Parser;

// The next event into p->event.
static Status advance(Parser *p) {
    yaml_event_delete(&p->event);
    if (yaml_parser_parse(&p->yaml, &p->event)) return OK;
    const yaml_parser_t *y = &p->yaml;
    if (y->error == YAML_MEMORY_ERROR) FAIL(ERR_MEMORY, "%s: out of memory", p->source);
    if (y->error == YAML_READER_ERROR)
        FAIL(ERR_FORMAT, "%s: byte %zu: %s; the file must be UTF-8 text", p->source,
             y->problem_offset, y->problem);
    FAIL(ERR_FORMAT, "%s:%zu:%zu: %s; check its spaces and quotes", p->source,
         y->problem_mark.line + 1, y->problem_mark.column + 1, y->problem);
}

// A failure at the current event.
#define FAIL_HERE(p, ...) return fail_at((p), __LINE__, __VA_ARGS__)
static Status fail_at(const Parser *p, int line, const char *what) {
    yaml_mark_t at = p->event.start_mark;
    return status_fail(ERR_FORMAT, __FILE__, line, "%s:%zu:%zu: %s", p->source, at.line + 1,
                       at.column + 1, what);
}

static YamlNode *node_new(Parser *p, YamlKind kind) {
    YamlNode *n = ARENA_NEW(p->arena, YamlNode, 1);
    if (!n) return NULL;
    *n = (YamlNode){.kind = kind,
                    .source = p->source,
                    .line = (int)p->event.start_mark.line + 1,
                    .column = (int)p->event.start_mark.column + 1};
    return n;
}

static Status read_node(YamlNode **out, Parser *p, int depth);

static Status read_scalar(YamlNode **out, Parser *p) {
    const char *value = (const char *)p->event.data.scalar.value;
    size_t length = p->event.data.scalar.length;
    if (p->event.data.scalar.anchor || p->event.data.scalar.tag)
        FAIL_HERE(p, "anchors and tags are not used here: write the value itself");
    if (memchr(value, '\0', length)) FAIL_HERE(p, "the text contains a zero byte");
    YamlNode *n = node_new(p, YAML_SCALAR);
    if (n) n->text = arena_string_n(p->arena, value, length);
    if (!n || !n->text) FAIL(ERR_MEMORY, "%s: out of memory", p->source);
    n->quoted = p->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    *out = n;
    return OK;
}

// The key at the current event; moves on to its value.
static Status read_key(const YamlNode **out, Parser *p) {
    if (p->event.type != YAML_SCALAR_EVENT) FAIL_HERE(p, "expected a key, a single word");
    YamlNode *key;
    TRY(read_scalar(&key, p));
    *out = key;
    return advance(p);
}

static int by_key(const void *a, const void *b) {
    const YamlNode *left = *(const YamlNode *const *)a, *right = *(const YamlNode *const *)b;
    int order = strcmp(left->key, right->key);
    if (order == 0) order = (left->key_line > right->key_line) - (left->key_line < right->key_line);
    if (order == 0)
        order = (left->key_column > right->key_column) - (left->key_column < right->key_column);
    return order;
}

// No key twice: sorted, equal ones are neighbours.
static Status check_unique(Parser *p, const YamlNode *mapping) {
    const YamlNode **sorted = ARENA_NEW(p->arena, const YamlNode *, mapping->count), **end = sorted;
    if (!sorted) FAIL(ERR_MEMORY, "%s: out of memory", p->source);
    for (const YamlNode *m = mapping->first; m; m = m->next) *end++ = m;
    qsort(sorted, (size_t)mapping->count, sizeof *sorted, by_key);
    for (const YamlNode **m = sorted; m + 1 < end; m++)
        if (strcmp(m[0]->key, m[1]->key) == 0)
            FAIL(ERR_FORMAT, "%s:%d:%d: \"%.60s\" was given in line %d already: keep one",
                 p->source, m[1]->key_line, m[1]->key_column, m[1]->key, m[0]->key_line);
    return OK;
}

static Status read_collection(YamlNode **out, Parser *p, YamlKind kind, int depth) {
    const yaml_char_t *anchor = kind == YAML_MAPPING ? p->event.data.mapping_start.anchor
                                                     : p->event.data.sequence_start.anchor;
    const yaml_char_t *tag =
        kind == YAML_MAPPING ? p->event.data.mapping_start.tag : p->event.data.sequence_start.tag;
    if (anchor || tag) FAIL_HERE(p, "anchors and tags are not used here: write the value itself");
    if (depth == DEPTH) FAIL_HERE(p, "more than 64 collections inside one another");
    YamlNode *n = node_new(p, kind);
    if (!n) FAIL(ERR_MEMORY, "%s: out of memory", p->source);
    const YamlNode **link = &n->first;
    yaml_event_type_t end = kind == YAML_MAPPING ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    TRY(advance(p));
    for (; p->event.type != end; n->count++) {
        const YamlNode *key = NULL;
        YamlNode *item;
        if (kind == YAML_MAPPING) TRY(read_key(&key, p));
        TRY(read_node(&item, p, depth + 1));
        if (key) {
            item->key = key->text;
            item->key_line = key->line;
            item->key_column = key->column;
        }
        *link = item;
        link = &item->next;
    }
    *out = n;
    return kind == YAML_MAPPING ? check_unique(p, n) : OK;
}

// The node at the current event; moves on to what follows it.
static Status read_node(YamlNode **out, Parser *p, int depth) {
    switch (p->event.type) {
    case YAML_SCALAR_EVENT: TRY(read_scalar(out, p)); break;
    case YAML_SEQUENCE_START_EVENT: TRY(read_collection(out, p, YAML_SEQUENCE, depth)); break;
    case YAML_MAPPING_START_EVENT: TRY(read_collection(out, p, YAML_MAPPING, depth)); break;
    default: FAIL_HERE(p, "aliases are not used here: write the value itself");
    }
    return advance(p);
}

static Status read_document(const YamlNode **out, Parser *p) {
    TRY(advance(p));  // start of the stream
    TRY(advance(p));  // start of the document
    if (p->event.type == YAML_STREAM_END_EVENT)
        FAIL(ERR_FORMAT, "%s: the file is empty", p->source);
    TRY(advance(p));
    YamlNode *root;
    TRY(read_node(&root, p, 0));
    TRY(advance(p));  // past the end of the document
    if (p->event.type != YAML_STREAM_END_EVENT)
        FAIL_HERE(p, "a second document begins here; only one is read");
    *out = root;
    return OK;
}

Status yaml_parse(const YamlNode **out, Arena *a, const char *text, size_t length,
                  const char *source) {
    Parser p = {.arena = a, .source = arena_string(a, source)};
    if (!p.source || !yaml_parser_initialize(&p.yaml))
        FAIL(ERR_MEMORY, "%s: out of memory", source);
    yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, length);
    Status s = read_document(out, &p);
    yaml_event_delete(&p.event);
    yaml_parser_delete(&p.yaml);
    return s;
}

Status yaml_read_file(const YamlNode **out, Arena *a, const char *path) {
    char *text;
    size_t length;
    TRY(file_read_most(&text, &length, a, YAML_MOST_BYTES, path));
    return yaml_parse(out, a, text, length, path);
}
