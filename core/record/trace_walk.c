// SPDX-License-Identifier: MIT
// A JSON file is walked member by member; each value is parsed by itself, so that no tree of a
// large file is ever in memory.
#include "core/record/trace_internal.h"

#include <ctype.h>
#include <string.h>

// The largest value is the table of steps, 8 columns of up to 4,194,304 rows: 1.6 GiB.
#define VALUE_MOST_TREE ((size_t)2 << 30)

#define MEND "; the file is damaged: copy it again, or record it again"

char trace_walk_peek(TraceReader *r) {
    while (r->at < r->end && isspace((unsigned char)*r->at)) r->at++;
    return r->at < r->end ? *r->at : '\0';
}

// Lines are counted on from the last place that was asked for, so that asking often costs nothing.
int trace_walk_line(TraceReader *r) {
    if (r->at < r->counted || r->line == 0) {
        r->counted = r->begin;
        r->line = 1;
    }
    for (; r->counted < r->at; r->counted++) r->line += *r->counted == '\n';
    return r->line;
}

Status trace_walk_unexpected(TraceReader *r, const char *expected) {
    int line = trace_walk_line(r);
    if (r->at >= r->end)
        FAIL(ERR_FORMAT, "%s:%d: expected %s, found the end of the file: it was cut off" MEND,
             r->name, line, expected);
    unsigned char c = (unsigned char)*r->at;
    if (isprint(c))
        FAIL(ERR_FORMAT, "%s:%d: expected %s, found '%c'" MEND, r->name, line, expected, c);
    FAIL(ERR_FORMAT, "%s:%d: expected %s, found byte 0x%02x" MEND, r->name, line, expected, c);
}

Status trace_walk_expect(TraceReader *r, char c, const char *what) {
    if (trace_walk_peek(r) != c) return trace_walk_unexpected(r, what);
    r->at++;
    return OK;
}

Status trace_walk_value(TraceReader *r, json_t **out) {
    const size_t flags = JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    json_error_t error;
    if (trace_walk_peek(r) == '\0') return trace_walk_unexpected(r, "a value");
    int line = trace_walk_line(r);
    snprintf(r->place, sizeof r->place, "%s:%d", r->name, line);
    TRY(json_check_tree(r->at, (size_t)(r->end - r->at), VALUE_MOST_TREE, r->place));
    *out = json_loadb(r->at, (size_t)(r->end - r->at), flags, &error);
    if (*out) {
        r->at += error.position;
        return OK;
    }
    line += error.line > 0 ? error.line - 1 : 0;
    const char *what = json_error_words(&error);
    if (what != error.text) FAIL(ERR_FORMAT, "%s:%d: %s" MEND, r->name, line, what);
    FAIL(ERR_FORMAT, "%s:%d: not JSON: %s" MEND, r->name, line, what);
}

static Status walk_key(TraceReader *r, json_t **out) {
    if (trace_walk_peek(r) != '"') return trace_walk_unexpected(r, "the name of a member");
    TRY(trace_walk_value(r, out));
    Status s = trace_walk_expect(r, ':', "':'");
    if (s != OK) json_decref(*out);
    return s;
}

Status trace_walk_object(TraceReader *r, Status (*member)(TraceReader *r, const char *name)) {
    TRY(trace_walk_expect(r, '{', "'{', as a trace begins"));
    for (bool more = trace_walk_peek(r) != '}'; more;) {
        json_t *key;
        TRY(walk_key(r, &key));
        Status s = member(r, json_string_value(key));
        json_decref(key);
        TRY(s);
        more = trace_walk_peek(r) == ',';
        r->at += more;
    }
    TRY(trace_walk_expect(r, '}', "',' or '}'"));
    return trace_walk_peek(r) == '\0' && r->at == r->end
               ? OK
               : trace_walk_unexpected(r, "the end of the file");
}

Status trace_walk_array(TraceReader *r, Status (*item)(TraceReader *r, const json_t *value)) {
    TRY(trace_walk_expect(r, '[', "a list"));
    for (bool more = trace_walk_peek(r) != ']'; more;) {
        json_t *value;
        TRY(trace_walk_value(r, &value));
        Status s = item ? item(r, value) : OK;
        json_decref(value);
        TRY(s);
        more = trace_walk_peek(r) == ',';
        r->at += more;
    }
    return trace_walk_expect(r, ']', "',' or ']'");
}
