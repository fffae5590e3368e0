// SPDX-License-Identifier: MIT
// A thread's time is work, shares of communications, waiting, and the executor's own time between
// these. Spans say all but the last, for communications are in flight while a thread does other
// things. It is found where the thread begins something: nothing was waited for since anything
// began or ended last, so that what lies between, without shares of communications that were done
// there, is the executor's. Read step_costs_read() first.
#include "sim/step_costs.h"

#include "sim/members.h"

#include <stdlib.h>
#include <string.h>

int64_t step_costs_of_span(const Span *span, bool share) {
    if (share && span->cpu_ns) return span->cpu_ns * 1000;
    int64_t ps = span->end_ps - span->start_ps - (share ? span->wait_ns * 1000 : 0);
    return ps > 0 ? ps : 0;
}

// Where a span begins or ends.
typedef struct {
    int64_t ps;
    int span;  // of the step
    bool ends;
} Edge;

// The communication in flight on a lane, as the sweep over a step goes by.
typedef struct {
    const Span *span;     // NULL: none
    int64_t shares_left;  // that are not known to be done
} LaneSweep;

typedef struct {
    const Program *program;
    const Plan *plan;
    const Timeline *timeline;
    const int64_t *shares;  // per operation: pieces in which the rank does a communication
    Edge *edges;            // room for a step's
    LaneSweep *lanes;
} Reader;

static const Work *work_of(const Reader *r, const Span *span) {
    return op_work(r->program, &r->plan->ops[span->op]);
}

// Is the rank's share done as soon as the communication begins? Else it is when others have come.
static bool is_prompt(const Reader *r, const Span *span) {
    return !span->wait_ns || work_is_send(work_of(r, span));
}

static int by_time(const void *left, const void *right) {
    const Edge *a = left, *b = right;
    if (a->ps != b->ps) return a->ps < b->ps ? -1 : 1;
    if (a->span != b->span) return a->span < b->span ? -1 : 1;
    return a->ends - b->ends;
}

static void sort_edges(const Reader *r, const StepRecord *step) {
    const Span *spans = &r->timeline->spans[step->span_first];
    for (int k = 0; k < step->span_count; k++) {
        r->edges[2 * k] = (Edge){spans[k].start_ps, k, false};
        r->edges[2 * k + 1] = (Edge){spans[k].end_ps, k, true};
    }
    qsort(r->edges, (size_t)step->span_count * 2, sizeof *r->edges, by_time);
}

// What the thread did for communications in flight in the gap that ends now. The share of a
// receive, and the last one of a collective, comes right before its end: it is in no gap.
static int64_t shares_in_gap(const Reader *r, int64_t now_ps, int64_t gap_ps) {
    int64_t done_ps = 0;
    for (int lane = 0; lane < r->program->lane_count; lane++) {
        LaneSweep *l = &r->lanes[lane];
        if (!l->span || !r->shares[l->span->op] ||
            (work_is_message(work_of(r, l->span)) && !is_prompt(r, l->span)))
            continue;
        int64_t shares = r->shares[l->span->op], begin_ps = l->span->start_ps;
        if (shares == 1 && !is_prompt(r, l->span)) begin_ps += l->span->wait_ns * 1000;
        int64_t share_ps = step_costs_of_span(l->span, true) / shares;
        for (; l->shares_left && share_ps <= gap_ps - done_ps && begin_ps + share_ps <= now_ps;
             l->shares_left--)
            done_ps += share_ps;
    }
    return done_ps;
}

static void read_gaps(const Reader *r, const StepRecord *step, int64_t *gap_ps, int64_t *turn_ps) {
    sort_edges(r, step);
    memset(r->lanes, 0, (size_t)r->program->lane_count * sizeof *r->lanes);
    int edges = 2 * step->span_count;
    int64_t before = edges ? r->edges[0].ps : step->end_ps;
    *turn_ps = before - step->start_ps + (edges ? step->end_ps - r->edges[edges - 1].ps : 0);
    for (int i = 0; i < edges; i++) {
        const Edge *e = &r->edges[i];
        const Span *span = &r->timeline->spans[step->span_first + e->span];
        bool communicates = work_communicates(work_of(r, span));
        if (!e->ends && (!communicates || is_prompt(r, span)))
            gap_ps[span->op] = e->ps - before - shares_in_gap(r, e->ps, e->ps - before);
        if (communicates)
            r->lanes[span->lane] =
                e->ends ? (LaneSweep){0} : (LaneSweep){span, r->shares[span->op]};
        if (e->ends || (communicates && is_prompt(r, span))) before = e->ps;
    }
}

static Status init(Reader *r, Arena *a, int rank) {
    int64_t *shares = ARENA_NEW(a, int64_t, r->plan->op_count);
    r->shares = shares;
    r->lanes = ARENA_NEW(a, LaneSweep, r->program->lane_count + 1);
    r->edges = ARENA_NEW(a, Edge, 2 * (size_t)r->plan->op_count + 1);
    if (!shares || !r->lanes || !r->edges)
        FAIL(ERR_MEMORY, "out of memory for the costs of a plan");
    for (int i = 0; i < r->plan->op_count; i++) {
        const Work *w = op_work(r->program, &r->plan->ops[i]);
        if (work_communicates(w)) shares[i] = members_shares(r->program, w, rank);
    }
    return OK;
}

Status step_costs_read(StepCosts *out, Arena *a, const Program *p, int plan, const Timeline *t,
                       const int *rows, int count) {
    Reader r = {.program = p, .plan = &p->plans[plan], .timeline = t};
    const size_t ops = (size_t)r.plan->op_count;
    int64_t *ps = ARENA_NEW(a, int64_t, (size_t)count * ops);
    int64_t *busy_ps = ARENA_NEW(a, int64_t, (size_t)count * ops);
    int64_t *gap_ps = ARENA_NEW(a, int64_t, (size_t)count * ops);
    int64_t *turn_ps = ARENA_NEW(a, int64_t, count);
    if (!ps || !busy_ps || !gap_ps || !turn_ps)
        FAIL(ERR_MEMORY, "out of memory for %d steps", count);
    if (count) TRY(init(&r, a, t->rank));
    for (int i = 0; i < count; i++) {
        const StepRecord *step = &t->steps[rows[i]];
        for (int k = 0; k < step->span_count; k++) {
            const Span *span = &t->spans[step->span_first + k];
            bool share = work_communicates(work_of(&r, span));
            const size_t at = (size_t)i * ops + (size_t)span->op;
            ps[at] = step_costs_of_span(span, share);
            busy_ps[at] = span->cpu_ns * 1000 < ps[at] ? span->cpu_ns * 1000 : ps[at];
        }
        read_gaps(&r, step, &gap_ps[(size_t)i * ops], &turn_ps[i]);
    }
    *out = (StepCosts){.count = count,
                       .ops = (int)ops,
                       .ps = ps,
                       .busy_ps = busy_ps,
                       .gap_ps = gap_ps,
                       .turn_ps = turn_ps};
    return OK;
}
