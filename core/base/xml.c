// SPDX-License-Identifier: MIT
// One pass over the text with a pointer to the element that is open; read parse() first.
#include "core/base/xml.h"

#include "core/base/file.h"
#include "core/base/printable.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { XML_DEPTH = 64 };            // of elements in elements
enum { XML_MOST_BYTES = 4 << 20 };  // of a file: a node's description is some KiB

typedef struct Open Open;
struct Open {
    XmlNode node;  // of the tree
    Open *parent, *last;
    XmlAttribute *last_attribute;
};

typedef struct {
    const char *at, *end, *source;
    int line;
    Arena *arena;
    Open *open;  // the innermost element that has not ended
    int depth;
} Reader;

#define FAIL_HERE(r, fmt, ...) FAIL(ERR_FORMAT, "%s:%d: " fmt, (r)->source, (r)->line, __VA_ARGS__)

Status xml_fail(const XmlNode *n, const char *file, int line, const char *fmt, ...) {
    char text[400];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    return status_fail(ERR_FORMAT, file, line, "%s:%d: <%s>: %s", n->source, n->line, n->name,
                       text);
}

// --- words

static bool begins(const Reader *r, const char *word) {
    size_t length = strlen(word);
    return (size_t)(r->end - r->at) >= length && !memcmp(r->at, word, length);
}

static void step(Reader *r) { r->line += *r->at++ == '\n'; }

static void skip_space(Reader *r) {
    while (r->at < r->end && isspace((unsigned char)*r->at)) step(r);
}

static Status cut_off(const Reader *r) {
    if (!r->open) FAIL_HERE(r, "%s", "the file ends before an element does: it was cut off");
    FAIL_HERE(r, "the file ends within <%s> of line %d: it was cut off", r->open->node.name,
              r->open->node.line);
}

// Past the next occurrence of a word.
static Status skip_to(Reader *r, const char *word) {
    while (r->at < r->end && !begins(r, word)) step(r);
    if (r->at == r->end) return cut_off(r);
    r->at += strlen(word);
    return OK;
}

static bool is_name(char c) { return isalnum((unsigned char)c) || strchr("_-.:", c); }

static Status read_name(const char **out, Reader *r, const char *of) {
    const char *begin = r->at;
    while (r->at < r->end && *r->at && is_name(*r->at)) r->at++;
    if (r->at == r->end) return cut_off(r);
    if (r->at == begin) FAIL_HERE(r, "expected the name of an %s", of);
    *out = arena_string_n(r->arena, begin, (size_t)(r->at - begin));
    if (!*out) FAIL(ERR_MEMORY, "%s: out of memory", r->source);
    return OK;
}

// In place: the character that stands behind '&'. 0: none of the five.
static char entity(const char *text, size_t *length) {
    static const struct {
        const char *text;
        char is;
    } all[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *length = strlen(all[i].text);
        if (!strncmp(text, all[i].text, *length)) return all[i].is;
    }
    return 0;
}

static Status take_entities(Reader *r, char *value) {
    char *to = value;
    for (const char *from = value; *from; to++) {
        size_t length = 1;
        *to = *from == '&' ? entity(from, &length) : *from;
        if (!*to) FAIL_HERE(r, "%s", "\"&\" stands for itself as \"&amp;\"");
        from += length;
    }
    *to = '\0';
    return OK;
}

static Status read_value(const char **out, Reader *r) {
    char quote = *r->at;
    if (quote != '"' && quote != '\'') FAIL_HERE(r, "%s", "expected a value in quotes after \"=\"");
    const char *begin = ++r->at;
    while (r->at < r->end && *r->at != quote && *r->at != '<' && *r->at) step(r);
    if (r->at == r->end) return cut_off(r);
    if (*r->at != quote) FAIL_HERE(r, "%s", "a value without its closing quote");
    char *value = arena_string_n(r->arena, begin, (size_t)(r->at - begin));
    if (!value) FAIL(ERR_MEMORY, "%s: out of memory", r->source);
    r->at++;
    *out = value;
    return take_entities(r, value);
}

// --- tags

static Status read_attribute(Reader *r, Open *o) {
    XmlAttribute *a = ARENA_NEW(r->arena, XmlAttribute, 1);
    if (!a) FAIL(ERR_MEMORY, "%s: out of memory", r->source);
    a->line = r->line;
    TRY(read_name(&a->name, r, "attribute"));
    skip_space(r);
    if (r->at == r->end) return cut_off(r);
    if (*r->at != '=')
        FAIL_HERE(r, "<%s>: attribute %.60s has no value: expected %.60s=\"...\"", o->node.name,
                  a->name, a->name);
    r->at++;
    skip_space(r);
    if (r->at == r->end) return cut_off(r);
    if (xml_find(&o->node, a->name))
        FAIL_HERE(r, "<%s>: attribute %.60s is there twice", o->node.name, a->name);
    TRY(read_value(&a->value, r));
    if (o->last_attribute)
        o->last_attribute->next = a;
    else
        o->node.attributes = a;
    o->last_attribute = a;
    return OK;
}

static Status open_element(Reader *r, Open **root) {
    Open *o = ARENA_NEW(r->arena, Open, 1), *parent = r->open;
    if (!o) FAIL(ERR_MEMORY, "%s: out of memory", r->source);
    o->node = (XmlNode){.source = r->source, .line = r->line, .name = "?"};
    if (++r->depth > XML_DEPTH)
        FAIL_HERE(r, "elements within each other more than %d deep", XML_DEPTH);
    r->at++;
    TRY(read_name(&o->node.name, r, "element"));
    if (*root && !parent) FAIL_HERE(r, "<%.60s> follows the end of the document", o->node.name);
    o->parent = parent;
    o->node.parent = parent ? &parent->node : NULL;
    if (!parent)
        *root = o;
    else if (parent->last)
        parent->last->node.next = &o->node;
    else
        parent->node.first = &o->node;
    if (parent) parent->last = o;
    r->open = o;
    return OK;
}

static void close_element(Reader *r) {
    r->open = r->open->parent;
    r->depth--;
}

// "<name a="1" ...>" or "<name .../>".
static Status read_start(Reader *r, Open **root) {
    TRY(open_element(r, root));
    for (;;) {
        const char *before = r->at;
        skip_space(r);
        if (r->at == r->end) return cut_off(r);
        if (begins(r, "/>")) {
            r->at += 2;
            close_element(r);
            return OK;
        }
        if (*r->at == '>') {
            r->at++;
            return OK;
        }
        if (r->at + 1 == r->end && *r->at == '/') return cut_off(r);
        if (r->at == before)
            FAIL_HERE(r, "<%.60s>: expected a space, \">\" or \"/>\"", r->open->node.name);
        TRY(read_attribute(r, r->open));
    }
}

static Status read_end(Reader *r) {
    const char *name;
    r->at += 2;
    TRY(read_name(&name, r, "element"));
    if (!r->open) FAIL_HERE(r, "</%.60s> ends what has not begun", name);
    if (strcmp(name, r->open->node.name))
        FAIL_HERE(r, "</%.60s> ends <%.60s> of line %d: expected </%.60s>", name,
                  r->open->node.name, r->open->node.line, r->open->node.name);
    skip_space(r);
    if (r->at == r->end) return cut_off(r);
    if (*r->at != '>') FAIL_HERE(r, "</%.60s: expected \">\"", name);
    r->at++;
    close_element(r);
    return OK;
}

static Status parse(Open **root, Reader *r) {
    for (;;) {
        skip_space(r);
        if (r->at == r->end) return r->open || !*root ? cut_off(r) : OK;
        if (*r->at != '<')
            FAIL_HERE(r, "expected an element, found \"%c\"; is it XML?",
                      isprint((unsigned char)*r->at) ? *r->at : '?');
        if (begins(r, "<!--"))
            TRY(skip_to(r, "-->"));
        else if (begins(r, "<?"))
            TRY(skip_to(r, "?>"));
        else if (r->end - r->at < 4 && !memcmp(r->at, "<!--", (size_t)(r->end - r->at)))
            return cut_off(r);
        else if (begins(r, "<!"))
            FAIL_HERE(r, "%s", "expected an element; document types and CDATA are not read");
        else if (begins(r, "</"))
            TRY(read_end(r));
        else
            TRY(read_start(r, root));
    }
}

Status xml_parse(const XmlNode **out, Arena *a, const char *text, size_t length,
                 const char *source) {
    static const char mark[] = "\xef\xbb\xbf";  // of UTF-8
    size_t skipped = length >= 3 && !memcmp(text, mark, 3) ? 3 : 0;
    Reader r = {text + skipped, text + length, source, 1, a, NULL, 0};
    Open *root = NULL;
    if (memchr(text, '\0', length)) FAIL(ERR_FORMAT, "%s: has a zero byte, and is no XML", source);
    TRY(parse(&root, &r));
    *out = &root->node;
    return OK;
}

Status xml_read_file(const XmlNode **out, Arena *a, const char *path) {
    char *text;
    size_t length;
    TRY(file_read_most(&text, &length, a, XML_MOST_BYTES, path));
    return xml_parse(out, a, text, length, path);
}

// --- values

const char *xml_find(const XmlNode *n, const char *name) {
    for (const XmlAttribute *a = n->attributes; a; a = a->next)
        if (!strcmp(a->name, name)) return a->value;
    return NULL;
}

Status xml_get_int(int64_t *out, const XmlNode *n, const char *name, int64_t min, int64_t max) {
    const char *text = xml_find(n, name);
    if (!text) XML_FAIL(n, "expected an attribute %s, found none", name);
    char *end, shown[64];
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*text && !*end && !errno && number >= min && number <= max) {
        *out = number;
        return OK;
    }
    snprintf(shown, sizeof shown, "%s", text);
    printable_make(shown);
    XML_FAIL(n, "%s: expected a whole number from %lld to %lld, found \"%s\"", name, (long long)min,
             (long long)max, shown);
}
