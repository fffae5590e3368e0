// SPDX-License-Identifier: MIT
// Events are written one by one, a line each, because a run of minutes has millions; the section
// that says what they mean is a small tree.
#include "core/record/trace.h"

#include "core/base/file.h"
#include "core/plan_text/plan_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

Status trace_path(char *out, size_t size, const char *directory, int rank, bool compressed) {
    int length = snprintf(out, size, "%s/rank%d.json%s", directory, rank, compressed ? ".gz" : "");
    if (length < 0 || (size_t)length >= size)
        FAIL(ERR_IO, "%.80s...: the name of the directory is too long", directory);
    return OK;
}

// --- the "tandem" section

static Status program_to_json(json_t **out, const Program *p) {
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (!memory) FAIL(ERR_MEMORY, "no memory to print the program");
    Status s = plan_text_print(p, memory);
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

static Status fill_section(json_t *section, const RunInfo *run, int64_t origin_ns, const Program *p,
                           const Timeline *t) {
    json_t *program = NULL, *clock = json_object();
    int failed = json_object_set_new(section, "schema", json_string("tandem.trace.v1"));
    failed |= json_object_set_new(section, "rank", json_integer(t->rank));
    failed |= json_object_set_new(clock, "origin_ns", json_integer(origin_ns));
    failed |= json_object_set_new(section, "clock", clock);
    failed |= json_object_set_new(section, "dropped", json_integer(t->dropped));
    TRY(run_info_to_json(section, run));
    TRY(program_to_json(&program, p));
    failed |= json_object_set_new(section, "program", program);
    failed |= add_steps(section, p, t);
    if (failed) FAIL(ERR_MEMORY, "no memory to write the trace of rank %d", t->rank);
    return OK;
}

// --- the events

// The names of all works and plans as JSON strings, so that an event is one fprintf.
typedef struct {
    const char **works, *plans[PLANS];
} Quoted;

static Status quote(const char **out, Arena *a, const char *name) {
    json_t *value = json_text(name);
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    *out = text ? arena_string(a, text) : NULL;
    free(text);
    json_decref(value);
    if (!*out) FAIL(ERR_MEMORY, "no memory to write a trace");
    return OK;
}

static Status quote_names(Quoted *q, Arena *a, const Program *p) {
    q->works = ARENA_NEW(a, const char *, p->work_count);
    if (!q->works) FAIL(ERR_MEMORY, "no memory to write a trace");
    for (int i = 0; i < p->work_count; i++)
        TRY(quote(&q->works[i], a, program_name(p, p->works[i].name)));
    for (int i = 0; i < p->plan_count; i++)
        TRY(quote(&q->plans[i], a, program_name(p, p->plans[i].name)));
    return OK;
}

static void write_name_event(FILE *out, const char *what, int rank, int lane, const char *name) {
    fprintf(out, "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":%s}},\n",
            what, rank, lane, name);
}

// Lane `lane_count` shows the steps; it comes first.
static Status write_lanes(FILE *out, Arena *a, const Program *p, const Timeline *t) {
    char process[32];
    snprintf(process, sizeof process, "\"rank %d\"", t->rank);
    write_name_event(out, "process_name", t->rank, 0, process);
    for (int i = 0; i < p->lane_count; i++) {
        const char *name;
        TRY(quote(&name, a, program_name(p, p->lanes[i].name)));
        write_name_event(out, "thread_name", t->rank, i, name);
    }
    write_name_event(out, "thread_name", t->rank, p->lane_count, "\"step\"");
    fprintf(out,
            "{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":%d,\"tid\":%d,"
            "\"args\":{\"sort_index\":-1}}",
            t->rank, p->lane_count);
    return OK;
}

// The format's unit is the microsecond. The digits below a nanosecond only where they are not zero:
// measured times have none.
static void write_us(FILE *out, const char *key, int64_t ps) {
    uint64_t size = ps < 0 ? 0 - (uint64_t)ps : (uint64_t)ps;
    fprintf(out, "\"%s\":%s%" PRIu64 ".%03" PRIu64, key, ps < 0 ? "-" : "", size / 1000000,
            size / 1000 % 1000);
    if (size % 1000) fprintf(out, "%03" PRIu64, size % 1000);
    putc(',', out);
}

static void write_place(FILE *out, int rank, int lane, int64_t start_ps, int64_t end_ps) {
    fprintf(out, ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,", rank, lane);
    write_us(out, "ts", start_ps);
    write_us(out, "dur", end_ps - start_ps);
}

static void write_step(FILE *out, const Quoted *q, int rank, int lane, const StepRecord *s) {
    write_place(out, rank, lane, s->start_ps, s->end_ps);
    fprintf(out, "\"name\":\"step %d\",\"cat\":\"step\",\"args\":{\"plan\":%s", s->step,
            q->plans[s->plan]);
    fprintf(out, ",\"epoch\":%d,\"rows\":%d", s->epoch, s->rows);
    if (isfinite(s->loss)) fprintf(out, ",\"loss\":%.17g", s->loss);
    fputs("}}", out);
}

// `record` is the index of the step in "steps": the number of a step need not be unique.
static void write_span(FILE *out, const Quoted *q, const Program *p, const Span *s, int record) {
    int work = p->plans[s->plan].ops[s->op].work;
    const Work *w = &p->works[work];
    write_place(out, s->rank, s->lane, s->start_ps, s->end_ps);
    fprintf(out,
            "\"name\":%s,\"cat\":\"%s\",\"args\":{\"step\":%d,\"plan\":%s,\"record\":%d,\"op\":%d",
            q->works[work], phase_name((Phase)w->phase), s->step, q->plans[s->plan], record, s->op);
    fprintf(out, ",\"kind\":\"%s\",\"ps\":[%" PRId64 ",%" PRId64 "]", kind_name(work_kind(w)),
            s->start_ps, s->end_ps);
    if (s->wait_ns) fprintf(out, ",\"wait_ns\":%" PRId64, s->wait_ns);
    if (s->cpu_ns) fprintf(out, ",\"cpu_ns\":%" PRId64, s->cpu_ns);
    if (w->payload_bytes) fprintf(out, ",\"bytes\":%" PRId64, w->payload_bytes);
    if (s->source != SOURCE_MEASURED)
        fprintf(out, ",\"source\":\"%s\"", span_source_name((SpanSource)s->source));
    if (s->flags) fprintf(out, ",\"flags\":%d", s->flags);
    fputs("}}", out);
}

static Status write_events(FILE *out, Arena *a, const Program *p, const Timeline *t) {
    Quoted q;
    TRY(quote_names(&q, a, p));
    TRY(write_lanes(out, a, p, t));
    for (int i = 0; i < t->step_count; i++) {
        const StepRecord *step = &t->steps[i];
        write_step(out, &q, t->rank, p->lane_count, step);
        for (int k = 0; k < step->span_count; k++)
            write_span(out, &q, p, &t->spans[step->span_first + k], i);
    }
    return OK;
}

static Status write_trace(FILE *out, const RunInfo *run, int64_t origin_ns, const Program *p,
                          const Timeline *t) {
    Arena names = {0};
    json_t *section = json_object();
    Status s = fill_section(section, run, origin_ns, p, t);
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

Status trace_write(const char *path, const RunInfo *run, int64_t origin_ns, const Program *p,
                   const Timeline *t) {
    OutputFile f = {0};
    TRY(file_create(&f, path));
    Status s = write_trace(f.stream, run, origin_ns, p, t);
    if (s == OK) return file_commit(&f);
    file_discard(&f);
    return s;
}
