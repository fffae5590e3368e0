// SPDX-License-Identifier: MIT
// One rank's trace. Events before the "tandem" section, which says what they mean, are left
// for a second walk.
#include "core/record/trace.h"

#include "core/base/array.h"
#include "core/base/file.h"
#include "core/base/printable.h"
#include "core/plan/check.h"
#include "core/plan_text/plan_text.h"
#include "core/record/trace_internal.h"

#include <stdlib.h>
#include <string.h>

enum { SHARDS_MAX = 1 << 20, RANKS_MAX = 1 << 30, BATCH_MAX = 1 << 24 };
enum { PROGRAM_BYTES_MAX = 64 << 20 };

void trace_finish(Trace *t) {
    program_finish(&t->program);
    timeline_destroy(&t->timeline);
    *t = (Trace){0};
}

// --- the "tandem" section

static Status check_schema(const TraceReader *r, const json_t *section) {
    const char *schema;
    TRY(json_get_string(&schema, section, r->place, "schema"));
    if (strcmp(schema, "tandem.trace.v1") == 0) return OK;
    FAIL(ERR_FORMAT,
         "%s: schema: expected \"tandem.trace.v1\", found \"%.60s\": another version of Tandem "
         "wrote it; record it again with this one",
         r->place, schema);
}

// A word that programs will print.
static Status check_word(const TraceReader *r, const char *key, const char *word) {
    if (printable(word) && strlen(word) < STATUS_TEXT) return OK;
    FAIL(ERR_FORMAT, "%s: %s: expected a name, found \"%.60s\"", r->place, key, word);
}

static Status read_run(TraceReader *r, const json_t *section) {
    RunInfo *run = &r->trace->run;
    int64_t checked;
    TRY(run_info_from_json(run, r->arena, section, r->place));
    TRY(json_get_int_in(&checked, section, 1, RANKS_MAX, r->place, "ranks"));
    TRY(json_get_int_in(&checked, section, 0, SHARDS_MAX, r->place, "shards"));
    TRY(json_get_int_in(&checked, section, 0, BATCH_MAX, r->place, "batch"));
    TRY(check_word(r, "kind", run->kind));
    TRY(check_word(r, "model", run->model));
    TRY(check_word(r, "device", run->device));
    TRY(check_word(r, "comm", run->comm));
    int dtype = dtype_find(run->dtype, (int)strlen(run->dtype));
    if (dtype < 0 || !dtype_is_real((Dtype)dtype))
        FAIL(ERR_FORMAT, "%s: dtype: expected f32, f64 or bf16, found \"%.60s\"", r->place,
             run->dtype);
    return OK;
}

// Every micro-batch of every shard is at least one operation, so that who emits this program again
// for another number of ranks makes one as large, not as large as these numbers are.
static Status check_cut(const TraceReader *r, const json_t *section) {
    const RunInfo *run = &r->trace->run;
    const Program *p = &r->trace->program;
    int64_t accumulate = 1, most = 0;
    if (json_find(section, "strategy.accumulate"))
        TRY(json_get_int_in(&accumulate, section, 1, INT32_MAX, r->place, "strategy.accumulate"));
    for (int k = 0; k < p->plan_count; k++)
        if (p->plans[k].op_count > most) most = p->plans[k].op_count;
    int64_t parts = run->shards / run->ranks * accumulate;
    if (parts <= most) return OK;
    FAIL(ERR_FORMAT,
         "%s: shards %d and strategy.accumulate %lld are %lld parts of a step on each of %d ranks, "
         "but the program has only %lld operations",
         r->place, run->shards, (long long)accumulate, (long long)parts, run->ranks,
         (long long)most);
}

// The program gets the checks that it gets before it runs: a trace can be executed.
static Status read_program(TraceReader *r, const json_t *section) {
    const char *text;
    char place[STATUS_TEXT / 2];
    Program *p = &r->trace->program;
    TRY(json_get_string(&text, section, r->place, "program"));
    size_t length = strlen(text);
    if (length > PROGRAM_BYTES_MAX)
        FAIL(ERR_FORMAT, "%s: program: %zu bytes, expected at most %d", r->place, length,
             PROGRAM_BYTES_MAX);
    snprintf(place, sizeof place, "%s, program", r->name);
    TRY(plan_text_parse_class(p, &r->trace->class, text, length, place));
    if (program_ranks(p) != r->trace->run.ranks)
        FAIL(ERR_FORMAT, "%s: the run has %d ranks, the mesh of its program %d", r->place,
             r->trace->run.ranks, program_ranks(p));
    Status s = program_check(p);
    if (s == ERR_PLAN) FAIL(ERR_FORMAT, "%s: %s", place, status_message());
    r->trace->program_text = s == OK ? arena_string_n(r->arena, text, length) : NULL;
    if (s == OK && !r->trace->program_text) FAIL(ERR_MEMORY, "%s: out of memory", r->name);
    return s;
}

static Status read_section(TraceReader *r, const json_t *section) {
    int64_t rank, dropped, first_tid = 0;
    if (r->known) FAIL(ERR_FORMAT, "%s: a second \"tandem\" section; keep one", r->place);
    if (!json_is_object(section))
        FAIL(ERR_FORMAT, "%s: expected the \"tandem\" section, an object", r->place);
    TRY(check_schema(r, section));
    TRY(read_run(r, section));
    TRY(json_get_int_in(&rank, section, 0, r->trace->run.ranks - 1, r->place, "rank"));
    TRY(json_get_int_in(&dropped, section, 0, INT64_MAX, r->place, "dropped"));
    if (json_find(section, "first_tid"))  // older ones begin at 0
        TRY(json_get_int_in(&first_tid, section, 0, 1, r->place, "first_tid"));
    r->first_tid = (int)first_tid;
    TRY(json_get_int(&r->trace->origin_ns, section, r->place, "clock.origin_ns"));
    TRY(read_program(r, section));
    TRY(check_cut(r, section));
    TRY(trace_read_steps(r, section, (int)rank));
    r->trace->timeline.dropped = dropped;
    r->known = true;
    return OK;
}

// --- the events

static Status get_optional(int64_t *out, const TraceReader *r, const json_t *event, int64_t high,
                           const char *at) {
    *out = 0;
    return json_find(event, "%s", at) ? json_get_int_in(out, event, 0, high, r->place, at) : OK;
}

static Status read_source(uint8_t *out, const TraceReader *r, const json_t *event) {
    const char *name;
    *out = SOURCE_MEASURED;
    if (!json_find(event, "args.source")) return OK;
    TRY(json_get_string(&name, event, r->place, "args.source"));
    int source = span_source_find(name);
    if (source < 0)
        FAIL(ERR_FORMAT,
             "%s: args.source: expected measured, replayed, calibrated or roofline, found "
             "\"%.60s\"",
             r->place, name);
    *out = (uint8_t)source;
    return OK;
}

// The operation must exist in the plan of its step, under the name that the event has, on its lane.
static Status read_op(Span *out, const TraceReader *r, const json_t *event) {
    int64_t op, tid;
    const int first_tid = r->first_tid;
    const char *name;
    const Program *p = &r->trace->program;
    const Plan *plan = &p->plans[out->plan];
    if (!plan->op_count)
        FAIL(ERR_FORMAT, "%s: args.op: plan %s has no operation", r->place,
             program_name(p, plan->name));
    TRY(json_get_int_in(&op, event, 0, plan->op_count - 1, r->place, "args.op"));
    TRY(json_get_int_in(&tid, event, first_tid, first_tid + p->lane_count - 1, r->place, "tid"));
    TRY(json_get_string(&name, event, r->place, "name"));
    if (strcmp(name, op_name(p, &plan->ops[op])))
        FAIL(ERR_FORMAT,
             "%s: operation %d of plan \"%s\" is \"%s\", but the event is of \"%.60s\": "
             "the program is of another run",
             r->place, (int)op, program_name(p, plan->name), op_name(p, &plan->ops[op]), name);
    int64_t lane = tid - first_tid;
    if (lane != plan->ops[op].lane)
        FAIL(ERR_FORMAT, "%s: tid: %s runs on lane %d, whose tid is %d, found %d", r->place, name,
             plan->ops[op].lane, first_tid + plan->ops[op].lane, (int)tid);
    out->op = (int32_t)op;
    out->lane = (uint8_t)lane;
    return OK;
}

// args.step and args.plan say again what the row says.
static Status check_row(const TraceReader *r, const json_t *event, const StepRecord *step) {
    int64_t number;
    const char *plan,
        *want = program_name(&r->trace->program, r->trace->program.plans[step->plan].name);
    if (json_find(event, "args.step")) {
        TRY(json_get_int(&number, event, r->place, "args.step"));
        if (number != step->step)
            FAIL(ERR_FORMAT, "%s: args.step: expected %d, as its row of steps has, found %lld",
                 r->place, step->step, (long long)number);
    }
    if (json_find(event, "args.plan")) {
        TRY(json_get_string(&plan, event, r->place, "args.plan"));
        if (strcmp(plan, want))
            FAIL(ERR_FORMAT, "%s: args.plan: expected %s, as its row of steps has, found \"%.60s\"",
                 r->place, want, plan);
    }
    return OK;
}

static Status read_span(Span *out, const TraceReader *r, const json_t *event,
                        const StepRecord *step) {
    int64_t flags, first = step->start_ps, last = step->end_ps;
    *out = (Span){.rank = r->trace->timeline.rank, .step = step->step, .plan = step->plan};
    TRY(check_row(r, event, step));
    TRY(read_op(out, r, event));
    TRY(json_get_int_in(&out->start_ps, event, first, last, r->place, "args.ps[0]"));
    TRY(json_get_int_in(&out->end_ps, event, out->start_ps, last, r->place, "args.ps[1]"));
    int64_t longest_ns = (out->end_ps - out->start_ps + 999) / 1000;
    TRY(get_optional(&out->wait_ns, r, event, longest_ns, "args.wait_ns"));
    TRY(get_optional(&out->cpu_ns, r, event, TIMELINE_LAST_PS / 1000, "args.cpu_ns"));
    TRY(get_optional(&out->issue_ps, r, event, out->start_ps - first, "args.issue_ps"));
    TRY(get_optional(&flags, r, event, UINT8_MAX, "args.flags"));
    out->flags = (uint8_t)flags;
    return read_source(&out->source, r, event);
}

// Spans are the complete events that name an operation; the names of lanes and the bars of steps
// are for viewers.
static Status read_event(TraceReader *r, const json_t *event) {
    if (!json_is_object(event)) FAIL(ERR_FORMAT, "%s: expected an event, an object", r->place);
    const char *phase = json_string_value(json_object_get(event, "ph"));
    if (!phase || strcmp(phase, "X") || !json_find(event, "args.op")) return OK;
    int64_t record;
    const Timeline *t = &r->trace->timeline;
    if (!t->step_count) FAIL(ERR_FORMAT, "%s: a span, but \"steps\" has no rows", r->place);
    TRY(json_get_int_in(&record, event, 0, t->step_count - 1, r->place, "args.record"));
    TRY(ARRAY_RESERVE(r->events, r->capacity, r->count + 1));
    Event *e = &r->events[r->count];
    TRY(read_span(&e->span, r, event, &t->steps[record]));
    e->record = (int)record;
    e->line = r->line;
    e->sequence = r->count++;
    return OK;
}

// --- the file

static Status read_member(TraceReader *r, const char *name) {
    trace_walk_peek(r);
    if (!strcmp(name, "traceEvents")) {
        if (r->walked)
            return trace_walk_unexpected(r, "one list \"traceEvents\", here is a second");
        r->walked = true;
        r->later = r->known ? NULL : r->at;
        return trace_walk_array(r, r->known ? read_event : NULL);
    }
    json_t *value;
    TRY(trace_walk_value(r, &value));
    Status s = strcmp(name, "tandem") ? OK : read_section(r, value);
    json_decref(value);
    return s;
}

static Status not_tandem(const TraceReader *r) {
    FAIL(ERR_FORMAT,
         "%s: no \"tandem\" section: a trace of another program, such as a profiler's, cannot be "
         "replayed; give what train --trace wrote",
         r->name);
}

static Status read_text(TraceReader *r) {
    char first = trace_walk_peek(r);
    if (r->at == r->end)
        FAIL(ERR_FORMAT, "%s: the file is empty; copy it again, or record it again", r->name);
    if (first == '[') return not_tandem(r);
    if (first != '{')
        FAIL(ERR_FORMAT, "%s:%d: not a trace, which begins with '{'; give what train --trace wrote",
             r->name, trace_walk_line(r));
    TRY(trace_walk_object(r, read_member));
    if (!r->known) return not_tandem(r);
    if (!r->walked)
        FAIL(ERR_FORMAT, "%s: the list \"traceEvents\" is missing; record it again", r->name);
    if (r->later) {
        r->at = r->later;
        TRY(trace_walk_array(r, read_event));
    }
    return trace_place_spans(r);
}

Status trace_parse(Trace *out, Arena *a, const char *text, size_t length, const char *name) {
    *out = (Trace){0};
    text = json_skip_mark(text, &length);
    TraceReader r = {
        .trace = out, .arena = a, .name = name, .begin = text, .at = text, .end = text + length};
    Status s = read_text(&r);
    free(r.events);
    if (s != OK) trace_finish(out);
    return s;
}

Status trace_read(Trace *out, Arena *a, const char *path) {
    Arena file = {0};
    char *text;
    size_t length;
    *out = (Trace){0};
    Status s = file_read(&text, &length, &file, path);
    if (s == OK) s = trace_parse(out, a, text, length, path);
    arena_finish(&file);
    return s;
}
