// SPDX-License-Identifier: MIT
// XML documents of elements and attributes as small trees, with errors that name file and line: the
// part of XML in which programs keep configurations. Comments, processing instructions and a
// declaration are passed over; text between elements, document types and CDATA are refused.
#ifndef CORE_BASE_XML_H
#define CORE_BASE_XML_H

#include "core/base/arena.h"

#include <stdint.h>

typedef struct XmlAttribute XmlAttribute;
struct XmlAttribute {  // everything in the arena
    const char *name, *value;
    int line;                  // from 1
    const XmlAttribute *next;  // in the order of the file
};

typedef struct XmlNode XmlNode;
struct XmlNode {
    const char *source;  // name of the file
    const char *name;
    int line;  // where its tag begins
    const XmlAttribute *attributes;
    const XmlNode *parent;  // NULL: the root
    const XmlNode *first;   // element within it, in the order of the file
    const XmlNode *next;    // within the same parent
};

// Read a file ("-": standard input; may be gzip). ERR_INPUT when it cannot be read, ERR_FORMAT
// "path:line: what" for what is not such a document, also for one that was cut off anywhere.
Status xml_read_file(const XmlNode **out, Arena *a, const char *path) MUST_USE;

// The same from memory; `source` is its name in messages.
Status xml_parse(const XmlNode **out, Arena *a, const char *text, size_t length,
                 const char *source) MUST_USE;

// The attribute's value; NULL: the element has none of that name.
const char *xml_find(const XmlNode *n, const char *name);

// The value of an attribute, which must be there and a number from min to max. ERR_FORMAT says what
// was expected and what was found.
Status xml_get_int(int64_t *out, const XmlNode *n, const char *name, int64_t min,
                   int64_t max) MUST_USE;

// For errors of the caller's own: "file:line: <name>: …".
#define XML_FAIL(node, ...) return xml_fail((node), __FILE__, __LINE__, __VA_ARGS__)
Status xml_fail(const XmlNode *n, const char *file, int line, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

#endif
