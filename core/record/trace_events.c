// SPDX-License-Identifier: MIT
// Events that viewers need besides the spans: names, the order of lanes, bars of whole steps.
#include "core/record/trace_events.h"

#include "core/base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static Status quote(const char **out, Arena *a, const char *name) {
    json_t *value = json_text(name);
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    *out = text ? arena_string(a, text) : NULL;
    free(text);
    json_decref(value);
    if (!*out) FAIL(ERR_MEMORY, "no memory to write a trace");
    return OK;
}

Status trace_names_make(TraceNames *out, Arena *a, const Program *p) {
    out->works = ARENA_NEW(a, const char *, p->work_count);
    if (!out->works) FAIL(ERR_MEMORY, "no memory to write a trace");
    for (int i = 0; i < p->work_count; i++)
        TRY(quote(&out->works[i], a, program_name(p, p->works[i].name)));
    for (int i = 0; i < p->plan_count; i++)
        TRY(quote(&out->plans[i], a, program_name(p, p->plans[i].name)));
    return OK;
}

static void write_name(FILE *out, const char *what, int rank, int tid, const char *name) {
    fprintf(out, "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":%s}},\n",
            what, rank, tid, name);
}

static void write_order(FILE *out, const char *what, int rank, int tid, int order) {
    fprintf(out,
            "{\"ph\":\"M\",\"name\":\"%s_sort_index\",\"pid\":%d,\"tid\":%d,"
            "\"args\":{\"sort_index\":%d}}",
            what, rank, tid, order);
}

Status trace_events_lanes(FILE *out, Arena *a, const Program *p, int rank) {
    const int steps = TRACE_FIRST_TID + p->lane_count;
    char process[32];
    snprintf(process, sizeof process, "\"rank %d\"", rank);
    write_name(out, "process_name", rank, TRACE_FIRST_TID, process);
    write_order(out, "process", rank, TRACE_FIRST_TID, rank);
    fputs(",\n", out);
    for (int i = 0; i < p->lane_count; i++) {
        const char *name;
        TRY(quote(&name, a, program_name(p, p->lanes[i].name)));
        write_name(out, "thread_name", rank, TRACE_FIRST_TID + i, name);
        write_order(out, "thread", rank, TRACE_FIRST_TID + i, i);
        fputs(",\n", out);
    }
    write_name(out, "thread_name", rank, steps, "\"step\"");
    write_order(out, "thread", rank, steps, -1);
    return OK;
}

// The format's unit is the microsecond. The digits below a nanosecond only where they are not zero:
// measured times have none.
void trace_events_us(FILE *out, const char *key, int64_t ps) {
    uint64_t size = ps < 0 ? 0 - (uint64_t)ps : (uint64_t)ps;
    fprintf(out, "\"%s\":%s%" PRIu64 ".%03" PRIu64, key, ps < 0 ? "-" : "", size / 1000000,
            size / 1000 % 1000);
    if (size % 1000) fprintf(out, "%03" PRIu64, size % 1000);
    putc(',', out);
}

void trace_events_begin(FILE *out, int rank, int tid, int64_t start_ps, int64_t end_ps) {
    fprintf(out, ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,", rank, tid);
    trace_events_us(out, "ts", start_ps);
    trace_events_us(out, "dur", end_ps - start_ps);
}

void trace_events_step(FILE *out, const TraceNames *n, const Program *p, int rank,
                       const StepRecord *s) {
    trace_events_begin(out, rank, TRACE_FIRST_TID + p->lane_count, s->start_ps, s->end_ps);
    if (s->rows)
        fprintf(out, "\"name\":\"step %d\"", s->step);
    else
        fprintf(out, "\"name\":%s", n->plans[s->plan]);
    fprintf(out, ",\"cat\":\"step\",\"args\":{\"plan\":%s,\"epoch\":%d,\"rows\":%d",
            n->plans[s->plan], s->epoch, s->rows);
    if (isfinite(s->loss)) fprintf(out, ",\"loss\":%.17g", s->loss);
    fputs("}}", out);
}
