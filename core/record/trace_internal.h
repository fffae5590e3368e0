// SPDX-License-Identifier: MIT
// The parts of the reader of traces.
#ifndef CORE_RECORD_TRACE_INTERNAL_H
#define CORE_RECORD_TRACE_INTERNAL_H

#include "core/record/trace.h"

#include <stdbool.h>

// A span as read: which row of `steps` it belongs to, its place among the events, its line.
typedef struct {
    Span span;
    int record, sequence, line;
} Event;

typedef struct {
    Trace *trace;
    Arena *arena;                  // of the caller
    const char *name;              // of the file
    const char *begin, *at, *end;  // the text
    const char *counted;           // up to where lines are counted, for trace_walk_line()
    int line;                      // there; 0: not yet
    Event *events;                 // owned
    int count, capacity;
    int first_tid;      // of lane 0
    bool known;         // the "tandem" section was read
    const char *later;  // the list of events, when it comes before the section; else NULL
    bool walked;        // a list of events was met
    char place[4200];   // "path:line" of the value at hand, for messages
} TraceReader;

// --- trace_walk.c: the text, value by value

char trace_walk_peek(TraceReader *r);  // the next byte that is not space; '\0' at the end
int trace_walk_line(TraceReader *r);   // that the reader is in, from 1

// ERR_FORMAT: expected that, found what is at hand.
Status trace_walk_unexpected(TraceReader *r, const char *expected) MUST_USE;

// Pass over one byte, which must be `c`.
Status trace_walk_expect(TraceReader *r, char c, const char *what) MUST_USE;

// The value at hand, owned by the caller; r->place is where it begins.
Status trace_walk_value(TraceReader *r, json_t **out) MUST_USE;

// "{name: value, ...}" up to the end of the text: `member` is called with the reader at each value.
Status trace_walk_object(TraceReader *r,
                         Status (*member)(TraceReader *r, const char *name)) MUST_USE;

// "[value, ...]": `item` is called with each value; NULL passes over them.
Status trace_walk_array(TraceReader *r,
                        Status (*item)(TraceReader *r, const json_t *value)) MUST_USE;

// --- trace_spans.c

// The table "steps" of a section. Rows in the order of time, without holes in any column.
Status trace_read_steps(TraceReader *r, const json_t *section, int rank) MUST_USE;

// Sort the events into the steps of the timeline, and see that each step has its spans, once.
Status trace_place_spans(TraceReader *r) MUST_USE;

#endif
