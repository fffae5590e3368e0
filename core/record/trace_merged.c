// SPDX-License-Identifier: MIT
// One file with all ranks, for viewers: what a rank's file has for replaying is left out, and what
// only makes sense to the eye is added: an arrow from each operation that makes a gradient to the
// communication that sends it, and a counter of the bytes that are on their way.
#include "core/base/file.h"
#include "core/record/trace.h"
#include "core/record/trace_events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Viewers take hundreds of megabytes badly; a span with its arrow is about 200 bytes.
enum { SPANS_MOST = 1000000 };

// A change of the bytes in flight.
typedef struct {
    int64_t ps, bytes;
} Edge;

// The rank that is being written.
typedef struct {
    FILE *out;
    const Program *program;
    const Timeline *timeline;
    TraceNames names;
    const Span **span_of;  // per operation of a step; NULL: it has none
    Edge *edges;           // two per span
    int64_t *arrows;       // how many there are, over all ranks
} Merged;

static void write_span(const Merged *m, const Span *s) {
    int work = m->program->plans[s->plan].ops[s->op].work;
    const Work *w = &m->program->works[work];
    trace_events_begin(m->out, s->rank, TRACE_FIRST_TID + s->lane, s->start_ps, s->end_ps);
    fprintf(m->out, "\"name\":%s,\"cat\":\"%s\",\"args\":{\"kind\":\"%s\"", m->names.works[work],
            phase_name((Phase)w->phase), kind_name((Kind)w->kind));
    if (s->wait_ns) fprintf(m->out, ",\"wait_ns\":%" PRId64, s->wait_ns);
    if (s->cpu_ns) fprintf(m->out, ",\"cpu_ns\":%" PRId64, s->cpu_ns);
    if (w->payload_bytes) fprintf(m->out, ",\"bytes\":%" PRId64, w->payload_bytes);
    fputs("}}", m->out);
}

// --- arrows

// One end of an arrow, which binds to the bar that begins there.
static void write_end(const Merged *m, const char *phase, const Span *s) {
    fprintf(m->out, ",\n{\"ph\":\"%s\",\"id\":%" PRId64 ",\"pid\":%d,\"tid\":%d,", phase,
            *m->arrows, s->rank, TRACE_FIRST_TID + s->lane);
    trace_events_us(m->out, "ts", s->start_ps);
    fputs("\"name\":\"gradient\",\"cat\":\"flow\"}", m->out);
}

// From what a communication of the backward pass waits for, in this step, to the communication.
static void write_arrows(const Merged *m, const Plan *plan, const Span *s) {
    const Op *op = &plan->ops[s->op];
    if (!op_communicates(m->program, op)) return;
    for (int i = 0; i < op->dep_count; i++) {
        const Dep *d = &plan->deps[op->dep_first + i];
        const Span *from = d->distance == 0 ? m->span_of[d->op] : NULL;
        if (!from || op_communicates(m->program, &plan->ops[d->op])) continue;
        if (op_work(m->program, &plan->ops[d->op])->phase != PHASE_BACKWARD) continue;
        ++*m->arrows;
        write_end(m, "s", from);
        write_end(m, "f\",\"bp\":\"e", s);
    }
}

// --- bytes in flight

static int by_time(const void *left, const void *right) {
    const Edge *a = left, *b = right;
    if (a->ps != b->ps) return a->ps < b->ps ? -1 : 1;
    return (a->bytes > b->bytes) - (a->bytes < b->bytes);  // what has arrived is gone first
}

// The payload of a communication is on its way from the arrival of the last member to the end.
static void write_bytes(const Merged *m, const StepRecord *step) {
    const Timeline *t = m->timeline;
    const Plan *plan = &m->program->plans[step->plan];
    int64_t bytes = 0;
    int count = 0;
    for (int k = 0; k < step->span_count; k++) {
        const Span *s = &t->spans[step->span_first + k];
        int64_t payload = op_work(m->program, &plan->ops[s->op])->payload_bytes;
        int64_t start_ps = s->start_ps + s->wait_ns * 1000;
        if (!payload || start_ps >= s->end_ps) continue;
        m->edges[count++] = (Edge){start_ps, payload};
        m->edges[count++] = (Edge){s->end_ps, -payload};
    }
    qsort(m->edges, (size_t)count, sizeof *m->edges, by_time);
    for (int i = 0; i < count; i++) {
        bytes += m->edges[i].bytes;
        if (i + 1 < count && m->edges[i + 1].ps == m->edges[i].ps) continue;
        fprintf(m->out, ",\n{\"ph\":\"C\",\"pid\":%d,\"tid\":%d,", t->rank, TRACE_FIRST_TID);
        trace_events_us(m->out, "ts", m->edges[i].ps);
        fprintf(m->out, "\"name\":\"bytes in flight\",\"args\":{\"bytes\":%" PRId64 "}}", bytes);
    }
}

// --- the file

static void write_step(const Merged *m, const StepRecord *step) {
    const Plan *plan = &m->program->plans[step->plan];
    const Span *spans = m->timeline->spans + step->span_first;
    memset(m->span_of, 0, (size_t)plan->op_count * sizeof *m->span_of);
    for (int k = 0; k < step->span_count; k++) m->span_of[spans[k].op] = &spans[k];
    trace_events_step(m->out, &m->names, m->program, m->timeline->rank, step);
    for (int k = 0; k < step->span_count; k++) {
        write_span(m, &spans[k]);
        write_arrows(m, plan, &spans[k]);
    }
    write_bytes(m, step);
}

static Status write_rank(Merged *m, Arena *a, int steps) {
    const Program *p = m->program;
    int ops = 1;
    for (int k = 0; k < p->plan_count; k++)
        if (p->plans[k].op_count > ops) ops = p->plans[k].op_count;
    m->span_of = ARENA_NEW(a, const Span *, ops);
    m->edges = ARENA_NEW(a, Edge, 2 * ops);
    if (!m->span_of || !m->edges) FAIL(ERR_MEMORY, "no memory to write a trace");
    TRY(trace_names_make(&m->names, a, p));
    TRY(trace_events_lanes(m->out, a, p, m->timeline->rank));
    for (int i = 0; i < m->timeline->step_count && i < steps; i++)
        write_step(m, &m->timeline->steps[i]);
    return OK;
}

// As many steps of all ranks as have SPANS_MOST spans together; one at least.
static int steps_shown(const Timeline *const timelines[], int ranks) {
    int64_t spans = 0;
    int steps = 0, most = 0;
    for (int r = 0; r < ranks; r++)
        if (timelines[r]->step_count > most) most = timelines[r]->step_count;
    while (steps < most && (steps == 0 || spans <= SPANS_MOST)) {
        for (int r = 0; r < ranks; r++)
            if (steps < timelines[r]->step_count)
                spans += 1 + timelines[r]->steps[steps].span_count;
        steps += spans <= SPANS_MOST || steps == 0;
    }
    return steps;
}

static Status write_all(FILE *out, const Program *const programs[],
                        const Timeline *const timelines[], int ranks, int steps) {
    Status s = OK;
    int64_t arrows = 0;
    fputs("{\n\"displayTimeUnit\": \"ns\",\n\"traceEvents\": [\n", out);
    for (int r = 0; r < ranks && s == OK; r++) {
        Arena a = {0};
        Merged m = {.out = out, .program = programs[r], .timeline = timelines[r]};
        m.arrows = &arrows;
        if (r) fputs(",\n", out);
        s = write_rank(&m, &a, steps);
        arena_finish(&a);
    }
    fputs("\n]\n}\n", out);
    return s;
}

Status trace_write_merged(const char *path, int *steps, const Program *const programs[],
                          const Timeline *const timelines[], int ranks) {
    OutputFile f = {0};
    *steps = steps_shown(timelines, ranks);
    TRY(file_create(&f, path));
    Status s = write_all(f.stream, programs, timelines, ranks, *steps);
    if (s == OK) return file_commit(&f);
    file_discard(&f);
    return s;
}
