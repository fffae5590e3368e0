// SPDX-License-Identifier: MIT
// The file is walked member by member; each member and each event is parsed by itself, so that no
// tree of a large file is ever in memory. Events before the "tandem" section, which says what they
// mean, are left for a second walk.
#include "core/record/trace.h"

#include "core/base/file.h"
#include "core/plan/text.h"
#include "core/record/record_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A span as read: which record of `steps` it belongs to, and its place among the events.
typedef struct {
    Span span;
    int record, sequence;
} Event;

typedef struct {
    Trace *trace;
    Arena *arena;  // of the caller
    Arena file;    // holds the text while it is read
    const char *path;
    const char *begin, *at, *end;  // the text
    Event *events;                 // owned
    int count, capacity;
    bool known;        // the "tandem" section was read
    char place[4200];  // "path:line" of the value at hand, for messages
} Reader;

void trace_finish(Trace *t) {
    program_finish(&t->program);
    timeline_destroy(&t->timeline);
    *t = (Trace){0};
}

static int line_of(const Reader *r, const char *at) {
    int line = 1;
    for (const char *c = r->begin; c < at; c++) line += *c == '\n';
    return line;
}

// --- walking the text

static char peek(Reader *r) {
    while (r->at < r->end && isspace((unsigned char)*r->at)) r->at++;
    return r->at < r->end ? *r->at : '\0';
}

static Status unexpected(const Reader *r, const char *expected) {
    const char *more = "; the file is damaged, record it again";
    if (r->at >= r->end)
        FAIL(ERR_FORMAT, "%s:%d: expected %s, found the end of the file%s", r->path,
             line_of(r, r->at), expected, more);
    FAIL(ERR_FORMAT, "%s:%d: expected %s, found '%c'%s", r->path, line_of(r, r->at), expected,
         *r->at, more);
}

static Status expect(Reader *r, char c, const char *what) {
    if (peek(r) != c) return unexpected(r, what);
    r->at++;
    return OK;
}

// The value at hand, owned by the caller.
static Status take_value(Reader *r, json_t **out) {
    json_error_t error;
    if (peek(r) == '\0') return unexpected(r, "a value");
    *out = json_loadb(r->at, (size_t)(r->end - r->at), JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY,
                      &error);
    if (!*out)
        FAIL(ERR_FORMAT, "%s:%d: %s; the file is damaged, record it again", r->path,
             line_of(r, r->at) + (error.line > 0 ? error.line - 1 : 0), error.text);
    r->at += error.position;
    return OK;
}

// --- the "tandem" section

static Status find_plan(uint8_t *out, const Reader *r, const json_t *root, const char *at) {
    const char *name;
    TRY(json_get_string(&name, root, r->place, "%s", at));
    int plan = program_find_plan(&r->trace->program, name);
    if (plan == NONE)
        FAIL(ERR_FORMAT, "%s: %s: there is no plan \"%s\" in the program", r->place, at, name);
    *out = (uint8_t)plan;
    return OK;
}

static Status read_step(StepRecord *out, const Reader *r, const json_t *steps, int i) {
    char at[32];
#define AT(column) (snprintf(at, sizeof at, column "[%d]", i), at)
    int64_t step, epoch, rows;
    *out = (StepRecord){0};
    TRY(find_plan(&out->plan, r, steps, AT("plan")));
    TRY(get_int_in(&step, steps, INT32_MIN, INT32_MAX, r->place, AT("step")));
    TRY(get_int_in(&epoch, steps, INT32_MIN, INT32_MAX, r->place, AT("epoch")));
    TRY(get_int_in(&rows, steps, 0, INT32_MAX, r->place, AT("rows")));
    TRY(json_get_int(&out->start_ps, steps, r->place, "start_ps[%d]", i));
    TRY(get_int_in(&out->end_ps, steps, out->start_ps, INT64_MAX, r->place, AT("end_ps")));
    TRY(json_get_bool(&out->complete, steps, r->place, "complete[%d]", i));
    TRY(get_real_or_nan(&out->loss, steps, r->place, AT("loss")));
#undef AT
    out->step = (int32_t)step;
    out->epoch = (int32_t)epoch;
    out->rows = (int32_t)rows;
    return OK;
}

static Status read_steps(Reader *r, const json_t *section, int rank) {
    json_t *steps, *column;
    TRY(json_get_object(&steps, section, r->place, "steps"));
    TRY(json_get_array(&column, steps, r->place, "step"));
    int count = (int)json_array_size(column);
    Timeline *t = &r->trace->timeline;
    TRY(timeline_create(t, rank, count, 0));
    for (; t->step_count < count; t->step_count++)
        TRY(read_step(&t->steps[t->step_count], r, steps, t->step_count));
    return OK;
}

static Status read_program(Reader *r, const json_t *section) {
    const char *text;
    char place[STATUS_TEXT];
    TRY(json_get_string(&text, section, r->place, "program"));
    snprintf(place, sizeof place, "%s, program", r->path);
    return program_parse(&r->trace->program, text, strlen(text), place);
}

static Status read_section(Reader *r, const json_t *section) {
    const char *schema;
    int64_t rank, dropped;
    if (r->known) FAIL(ERR_FORMAT, "%s: a second \"tandem\" section", r->place);
    TRY(json_get_string(&schema, section, r->place, "schema"));
    if (strcmp(schema, "tandem.trace.v1"))
        FAIL(ERR_FORMAT,
             "%s: schema \"%s\" is not known here, only \"tandem.trace.v1\"; record it again",
             r->place, schema);
    TRY(run_info_from_json(&r->trace->run, r->arena, section, r->place));
    TRY(get_int_in(&rank, section, 0, r->trace->run.ranks - 1, r->place, "rank"));
    TRY(get_int_in(&dropped, section, 0, INT64_MAX, r->place, "dropped"));
    TRY(json_get_int(&r->trace->origin_ns, section, r->place, "clock.origin_ns"));
    TRY(read_program(r, section));
    TRY(read_steps(r, section, (int)rank));
    r->trace->timeline.dropped = dropped;
    r->known = true;
    return OK;
}

// --- the events

static Status get_optional(int64_t *out, const Reader *r, const json_t *event, int64_t high,
                           const char *at) {
    *out = 0;
    return json_find(event, "%s", at) ? get_int_in(out, event, 0, high, r->place, at) : OK;
}

static Status read_source(uint8_t *out, const Reader *r, const json_t *event) {
    const char *name;
    *out = SOURCE_MEASURED;
    if (!json_find(event, "args.source")) return OK;
    TRY(json_get_string(&name, event, r->place, "args.source"));
    int source = source_find(name);
    if (source < 0) FAIL(ERR_FORMAT, "%s: args.source: \"%s\" is none", r->place, name);
    *out = (uint8_t)source;
    return OK;
}

// The operation must exist in the plan of its step, under the name that the event has.
static Status read_op(Span *out, const Reader *r, const json_t *event) {
    int64_t op, lane;
    const char *name;
    const Program *p = &r->trace->program;
    const Plan *plan = &p->plans[out->plan];
    TRY(get_int_in(&op, event, 0, plan->op_count - 1, r->place, "args.op"));
    TRY(get_int_in(&lane, event, 0, p->lane_count - 1, r->place, "tid"));
    TRY(json_get_string(&name, event, r->place, "name"));
    if (strcmp(name, op_name(p, &plan->ops[op])))
        FAIL(ERR_FORMAT,
             "%s: operation %d of plan \"%s\" is \"%s\", but the event is of \"%s\": "
             "the program is of another run",
             r->place, (int)op, program_name(p, plan->name), op_name(p, &plan->ops[op]), name);
    out->op = (int32_t)op;
    out->lane = (uint8_t)lane;
    return OK;
}

static Status read_span(Span *out, const Reader *r, const json_t *event, const StepRecord *step) {
    int64_t flags;
    *out = (Span){.rank = r->trace->timeline.rank, .step = step->step, .plan = step->plan};
    TRY(read_op(out, r, event));
    TRY(json_get_int(&out->start_ps, event, r->place, "args.ps[0]"));
    TRY(get_int_in(&out->end_ps, event, out->start_ps, INT64_MAX, r->place, "args.ps[1]"));
    TRY(get_optional(&out->wait_ns, r, event, INT64_MAX / 1000, "args.wait_ns"));
    TRY(get_optional(&out->cpu_ns, r, event, INT64_MAX / 1000, "args.cpu_ns"));
    TRY(get_optional(&flags, r, event, UINT8_MAX, "args.flags"));
    out->flags = (uint8_t)flags;
    return read_source(&out->source, r, event);
}

// Spans are the complete events that name an operation; the names of lanes and the bars of steps
// are for viewers.
static Status read_event(Reader *r, const json_t *event) {
    if (!json_is_object(event)) FAIL(ERR_FORMAT, "%s: expected an event, an object", r->place);
    const char *phase = json_string_value(json_object_get(event, "ph"));
    if (!phase || strcmp(phase, "X") || !json_find(event, "args.op")) return OK;
    int64_t record;
    const Timeline *t = &r->trace->timeline;
    TRY(get_int_in(&record, event, 0, t->step_count - 1, r->place, "args.record"));
    TRY(ARRAY_RESERVE(r->events, r->capacity, r->count + 1));
    Event *e = &r->events[r->count];
    TRY(read_span(&e->span, r, event, &t->steps[record]));
    e->record = (int)record;
    e->sequence = r->count++;
    return OK;
}

// Walk the list of events at hand; keep them, or pass over them until they can be understood.
static Status walk_events(Reader *r, bool keep) {
    int line = line_of(r, r->at);
    const char *counted = r->at;
    TRY(expect(r, '[', "a list of events"));
    if (peek(r) == ']') return expect(r, ']', "]");
    for (;;) {
        json_t *event;
        peek(r);
        for (; counted < r->at; counted++) line += *counted == '\n';
        TRY(take_value(r, &event));
        snprintf(r->place, sizeof r->place, "%s:%d", r->path, line);
        Status s = keep ? read_event(r, event) : OK;
        json_decref(event);
        TRY(s);
        if (peek(r) != ',') return expect(r, ']', "',' or ']' after an event");
        r->at++;
    }
}

// --- the file

static Status take_key(Reader *r, json_t **out) {
    if (peek(r) != '"') return unexpected(r, "the name of a member");
    TRY(take_value(r, out));
    Status s = expect(r, ':', "':'");
    if (s != OK) json_decref(*out);
    peek(r);
    return s;
}

static Status walk_member(Reader *r, const char *key, const char **events) {
    if (!strcmp(key, "traceEvents")) {
        *events = r->known ? NULL : r->at;
        return walk_events(r, r->known);
    }
    json_t *value;
    snprintf(r->place, sizeof r->place, "%s:%d", r->path, line_of(r, r->at));
    TRY(take_value(r, &value));
    Status s = strcmp(key, "tandem") ? OK : read_section(r, value);
    json_decref(value);
    return s;
}

static Status walk_file(Reader *r) {
    const char *events = NULL;
    bool more = peek(r) == '{';
    if (more)
        r->at++;
    else if (peek(r) != '[')
        return unexpected(r, "'{', as a trace begins");
    while (more) {
        json_t *key;
        TRY(take_key(r, &key));
        Status s = walk_member(r, json_string_value(key), &events);
        json_decref(key);
        TRY(s);
        more = peek(r) == ',';
        if (more)
            r->at++;
        else
            TRY(expect(r, '}', "',' or '}'"));
    }
    if (!r->known)
        FAIL(ERR_FORMAT, "%s: no \"tandem\" section: not a trace that train --trace or sim wrote",
             r->path);
    if (!events) return OK;
    r->at = events;
    return walk_events(r, true);
}

static int by_record_and_end(const void *left, const void *right) {
    const Event *a = left, *b = right;
    if (a->record != b->record) return a->record < b->record ? -1 : 1;
    if (a->span.end_ps != b->span.end_ps) return a->span.end_ps < b->span.end_ps ? -1 : 1;
    return a->sequence < b->sequence ? -1 : 1;
}

static Status place_spans(Reader *r) {
    Timeline *t = &r->trace->timeline;
    TRY(ARRAY_RESERVE(t->spans, t->span_capacity, r->count));
    if (r->count) qsort(r->events, (size_t)r->count, sizeof *r->events, by_record_and_end);
    for (int i = 0; i < t->step_count; i++) {
        StepRecord *s = &t->steps[i];
        s->span_first = t->span_count;
        for (; t->span_count < r->count && r->events[t->span_count].record == i; t->span_count++)
            t->spans[t->span_count] = r->events[t->span_count].span;
        s->span_count = t->span_count - s->span_first;
    }
    return OK;
}

static Status read_file(Reader *r) {
    char *text;
    size_t length;
    TRY(file_read(&text, &length, &r->file, r->path));
    r->begin = r->at = text;
    r->end = text + length;
    TRY(walk_file(r));
    return place_spans(r);
}

Status trace_read(Trace *out, Arena *a, const char *path) {
    *out = (Trace){0};
    Reader r = {.trace = out, .arena = a, .path = path};
    Status s = read_file(&r);
    free(r.events);
    arena_finish(&r.file);
    if (s != OK) trace_finish(out);
    return s;
}

// --- all ranks

enum { PATH_BYTES = 4096 };

static Status read_rank(Trace *out, Arena *a, const char *directory, int rank) {
    char path[PATH_BYTES], compressed[PATH_BYTES];
    TRY(trace_path(path, sizeof path, directory, rank, false));
    TRY(trace_path(compressed, sizeof compressed, directory, rank, true));
    bool plain = access(path, F_OK) == 0;
    if (!plain && access(compressed, F_OK) != 0)
        FAIL(ERR_INPUT, "%s: there is no such file, nor a .gz; give a directory that --trace wrote",
             path);
    TRY(trace_read(out, a, plain ? path : compressed));
    if (out->timeline.rank == rank) return OK;
    int found = out->timeline.rank;
    trace_finish(out);
    FAIL(ERR_FORMAT, "%s: expected the trace of rank %d, found that of rank %d",
         plain ? path : compressed, rank, found);
}

static Status read_ranks(Trace **out, int *count, Arena *a, const char *directory) {
    Trace first;
    TRY(read_rank(&first, a, directory, 0));
    *out = ARENA_NEW(a, Trace, first.run.ranks);
    if (!*out) {
        trace_finish(&first);
        FAIL(ERR_MEMORY, "%s: no memory for the traces of %d ranks", directory, first.run.ranks);
    }
    (*out)[(*count)++] = first;
    for (; *count < first.run.ranks; (*count)++) {
        Trace *t = &(*out)[*count];
        TRY(read_rank(t, a, directory, *count));
        int ranks = t->run.ranks;
        if (ranks == first.run.ranks) continue;
        trace_finish(t);
        FAIL(ERR_FORMAT,
             "%s: rank %d is of a run of %d ranks, rank 0 of one of %d; "
             "traces of two runs are mixed",
             directory, *count, ranks, first.run.ranks);
    }
    return OK;
}

Status trace_read_all(Trace **out, int *count, Arena *a, const char *path) {
    struct stat st;
    *count = 0;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        Status s = read_ranks(out, count, a, path);
        for (int i = 0; s != OK && i < *count; i++) trace_finish(&(*out)[i]);
        return s;
    }
    *out = ARENA_NEW(a, Trace, 1);
    if (!*out) FAIL(ERR_MEMORY, "%s: no memory to read it", path);
    TRY(trace_read(*out, a, path));
    *count = 1;
    return OK;
}
