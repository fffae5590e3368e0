// SPDX-License-Identifier: MIT
// Events are written one by one, a line each, because a run of minutes has millions; the section
// that says what they mean is a small tree.
#include "core/record/trace.h"

#include "core/base/file.h"
#include "core/plan_text/plan_text.h"
#include "core/record/trace_events.h"

#include <inttypes.h>
#include <stdlib.h>

Status trace_path(char *out, size_t size, const char *directory, int rank, bool compressed) {
    int length = snprintf(out, size, "%s/rank%d.json%s", directory, rank, compressed ? ".gz" : "");
    if (length < 0 || (size_t)length >= size)
        FAIL(ERR_IO, "%.80s...: the name of the directory is too long", directory);
    return OK;
}

// --- the "tandem" section

// The program of the rank's class, with the place of the class in the mesh.
static Status program_to_json(json_t **out, const ProgramSet *set, int rank) {
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (!memory) FAIL(ERR_MEMORY, "no memory to print the program");
    Status s = plan_text_print(set, program_set_class(set, rank), memory);
    if (fclose(memory) == 0 && s == OK) *out = json_text(text);
    free(text);
    TRY(s);
    if (!*out) FAIL(ERR_MEMORY, "no memory to print the program");
    return OK;
}

// The table of steps, column by column. `value` is an expression of the record `s`.
static int add_steps(json_t *section, const Program *p, const Timeline *t) {
    json_t *steps = json_object();
    int failed = 0;
#define COLUMN(name, value)                                 \
    do {                                                    \
        json_t *column = json_array();                      \
        for (int i = 0; i < t->step_count; i++) {           \
            const StepRecord *s = &t->steps[i];             \
            failed |= json_array_append_new(column, value); \
        }                                                   \
        failed |= json_object_set_new(steps, name, column); \
    } while (0)
    COLUMN("step", json_integer(s->step));
    COLUMN("plan", json_text(program_name(p, p->plans[s->plan].name)));
    COLUMN("start_ps", json_integer(s->start_ps));
    COLUMN("end_ps", json_integer(s->end_ps));
    COLUMN("epoch", json_integer(s->epoch));
    COLUMN("rows", json_integer(s->rows));
    COLUMN("complete", json_boolean(s->complete));
    COLUMN("loss", json_number(s->loss));
#undef COLUMN
    return failed | json_object_set_new(section, "steps", steps);
}

static Status fill_section(json_t *section, const RunInfo *run, int64_t origin_ns,
                           const ProgramSet *set, const Timeline *t) {
    json_t *program = NULL, *clock = json_object();
    int failed = json_object_set_new(section, "schema", json_string("tandem.trace.v1"));
    failed |= json_object_set_new(section, "rank", json_integer(t->rank));
    failed |= json_object_set_new(clock, "origin_ns", json_integer(origin_ns));
    failed |= json_object_set_new(section, "clock", clock);
    failed |= json_object_set_new(section, "first_tid", json_integer(TRACE_FIRST_TID));
    failed |= json_object_set_new(section, "dropped", json_integer(t->dropped));
    TRY(run_info_to_json(section, run));
    TRY(program_to_json(&program, set, t->rank));
    failed |= json_object_set_new(section, "program", program);
    failed |= add_steps(section, program_set_program(set, t->rank), t);
    if (failed) FAIL(ERR_MEMORY, "no memory to write the trace of rank %d", t->rank);
    return OK;
}

// --- the events

// `record` is the index of the step in "steps": the number of a step need not be unique.
static void write_span(FILE *out, const TraceNames *q, const Program *p, const Span *s,
                       int record) {
    int work = p->plans[s->plan].ops[s->op].work;
    const Work *w = &p->works[work];
    trace_events_begin(out, s->rank, TRACE_FIRST_TID + s->lane, s->start_ps, s->end_ps);
    fprintf(out,
            "\"name\":%s,\"cat\":\"%s\",\"args\":{\"step\":%d,\"plan\":%s,\"record\":%d,\"op\":%d",
            q->works[work], phase_name((Phase)w->phase), s->step, q->plans[s->plan], record, s->op);
    fprintf(out, ",\"kind\":\"%s\",\"ps\":[%" PRId64 ",%" PRId64 "]", kind_name(work_kind(w)),
            s->start_ps, s->end_ps);
    if (s->wait_ns) fprintf(out, ",\"wait_ns\":%" PRId64, s->wait_ns);
    if (s->cpu_ns) fprintf(out, ",\"cpu_ns\":%" PRId64, s->cpu_ns);
    if (s->issue_ps) fprintf(out, ",\"issue_ps\":%" PRId64, s->issue_ps);
    if (w->payload_bytes) fprintf(out, ",\"bytes\":%" PRId64, w->payload_bytes);
    if (s->source != SOURCE_MEASURED)
        fprintf(out, ",\"source\":\"%s\"", span_source_name((SpanSource)s->source));
    if (s->flags) fprintf(out, ",\"flags\":%d", s->flags);
    fputs("}}", out);
}

static Status write_events(FILE *out, Arena *a, const Program *p, const Timeline *t) {
    TraceNames q;
    TRY(trace_names_make(&q, a, p));
    TRY(trace_events_lanes(out, a, p, t->rank));
    for (int i = 0; i < t->step_count; i++) {
        const StepRecord *step = &t->steps[i];
        trace_events_step(out, &q, p, t->rank, step);
        for (int k = 0; k < step->span_count; k++)
            write_span(out, &q, p, &t->spans[step->span_first + k], i);
    }
    return OK;
}

static Status write_trace(FILE *out, const RunInfo *run, int64_t origin_ns, const ProgramSet *set,
                          const Timeline *t) {
    const Program *p = program_set_program(set, t->rank);
    Arena names = {0};
    json_t *section = json_object();
    Status s = fill_section(section, run, origin_ns, set, t);
    if (s == OK) {
        fputs("{\n\"tandem\": ", out);
        json_write(out, section);
        fputs(",\n\"displayTimeUnit\": \"ns\",\n\"traceEvents\": [\n", out);
        s = write_events(out, &names, p, t);
        fputs("\n]\n}\n", out);
    }
    json_decref(section);
    arena_finish(&names);
    return s;
}

Status trace_write(const char *path, const RunInfo *run, int64_t origin_ns, const ProgramSet *set,
                   const Timeline *t) {
    OutputFile f = {0};
    TRY(file_create(&f, path));
    Status s = write_trace(f.stream, run, origin_ns, set, t);
    if (s == OK) return file_commit(&f);
    file_discard(&f);
    return s;
}
