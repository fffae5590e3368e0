// SPDX-License-Identifier: MIT
// Recording of spans, and the breakdown of a step's time (docs/formats.md, Reports), which is
// timeline_breakdown().
#include "core/record/timeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const source_names[] = {
#define X(constant, name) name,
    SOURCE_LIST(X)
#undef X
};

static const char *const category_names[] = {
#define X(constant, name) name,
    TIME_CATEGORY_LIST(X)
#undef X
};

const char *span_source_name(SpanSource s) { return source_names[s]; }
const char *time_category_name(TimeCategory b) { return category_names[b]; }

int span_source_find(const char *name) {
    for (int i = 0; i < SOURCE_COUNT; i++)
        if (!strcmp(name, source_names[i])) return i;
    return -1;
}

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

Status timeline_create(Timeline *t, int rank, int step_capacity, int span_capacity) {
    *t = (Timeline){.rank = rank, .step_capacity = step_capacity, .span_capacity = span_capacity};
    t->steps = calloc((size_t)max64(step_capacity, 1), sizeof *t->steps);
    t->spans = calloc((size_t)max64(span_capacity, 1), sizeof *t->spans);
    if (t->steps && t->spans) return OK;
    timeline_destroy(t);
    FAIL(ERR_MEMORY, "no memory to record %d steps with %d spans; record fewer steps",
         step_capacity, span_capacity);
}

void timeline_destroy(Timeline *t) {
    free(t->spans);
    free(t->steps);
    *t = (Timeline){0};
}

// Once something did not fit, later spans are not kept either: the spans of a record are those of
// its first steps, without holes.
StepRecord *timeline_begin_step(Timeline *t, int plan, int step, int64_t start_ps) {
    t->open = (StepRecord){
        .start_ps = start_ps,
        .loss = (double)NAN,
        .step = step,
        .span_first = t->span_count,
        .plan = (uint8_t)plan,
        .complete = t->dropped == 0 && t->step_count < t->step_capacity,
    };
    return &t->open;
}

// Lanes end nearly in order, so that the place of a span is found in a step or two.
void timeline_add_span(Timeline *t, const Span *span) {
    StepRecord *s = &t->open;
    s->complete = s->complete && t->span_count < t->span_capacity;
    if (!s->complete) return;
    int at = t->span_count++;
    for (; at > s->span_first && t->spans[at - 1].end_ps > span->end_ps; at--)
        t->spans[at] = t->spans[at - 1];
    t->spans[at] = *span;
    t->spans[at].plan = s->plan;
    t->spans[at].step = s->step;
    t->spans[at].rank = t->rank;
    s->span_count++;
}

void timeline_end_step(Timeline *t, int64_t end_ps) {
    StepRecord *s = &t->open;
    s->end_ps = end_ps;
    if (!s->complete) {
        t->span_count = s->span_first;
        s->span_count = 0;
        t->dropped++;
    }
    if (t->step_count < t->step_capacity)
        t->steps[t->step_count++] = *s;
    else if (s->rows > 0) {
        t->unrecorded++;
        t->last_unrecorded = *s;
    }
}

// The instant from which a span belongs to category `b` or one before it; it does so until its end.
static int64_t counted_from(const Work *w, const Span *span, TimeCategory b) {
    if (b >= TIME_HOST) return span->start_ps - span->issue_ps;
    int64_t arrival = min64(span->end_ps, span->start_ps + span->wait_ns * 1000);
    switch (kind_class(work_kind(w))) {
    case CLASS_COMPUTE:
        if (b >= TIME_CONTENDED) return span->start_ps;
        return max64(span->start_ps, span->end_ps - span->cpu_ns * 1000);
    case CLASS_COMMUNICATION:
        if (b >= TIME_WAITING || (b == TIME_BUBBLE && w->kind == KIND_RECEIVE))
            return span->start_ps;
        return b >= TIME_EXPOSED_COMM ? arrival : span->end_ps;
    case CLASS_HOST: break;
    }
    return span->end_ps;
}

// The length of a union of intervals that come in decreasing order of their end. All of [frontier,
// end) that a later one could reach is covered already: the interval that starts at the frontier
// ends no earlier than any that follows. So what a new one adds lies below the frontier.
typedef struct {
    int64_t frontier, covered;
} Union;

static void union_add(Union *u, int64_t begin, int64_t end) {
    u->covered += max64(0, min64(end, u->frontier) - begin);
    u->frontier = min64(u->frontier, begin);
}

// With the contended part of a compute span put first, every part of a span that counts for some
// level or one before it ends where the span ends, so one pass over the spans, from the last end to
// the first, measures all levels' unions at once. A level's time is what its union adds.
void timeline_breakdown(const Program *p, const Timeline *t, const StepRecord *s,
                        int64_t out_ps[TIME_COUNT]) {
    const Plan *plan = &p->plans[s->plan];
    Union level[TIME_IDLE];
    for (int b = 0; b < TIME_IDLE; b++) level[b] = (Union){.frontier = s->end_ps};
    for (int i = s->span_count - 1; i >= 0; i--) {
        const Span *span = &t->spans[s->span_first + i];
        const Work *w = op_work(p, &plan->ops[span->op]);
        for (int b = 0; b < TIME_IDLE; b++)
            union_add(&level[b], max64(s->start_ps, counted_from(w, span, (TimeCategory)b)),
                      span->end_ps);
    }
    int64_t before = 0;
    for (int b = 0; b < TIME_IDLE; b++) {
        out_ps[b] = level[b].covered - before;
        before = level[b].covered;
    }
    out_ps[TIME_IDLE] = s->end_ps - s->start_ps - before;
}

double timeline_coverage(const Timeline *t, const StepRecord *s) {
    if (s->end_ps == s->start_ps) return 1;
    Union u = {.frontier = s->end_ps};
    for (int i = s->span_count - 1; i >= 0; i--) {
        const Span *span = &t->spans[s->span_first + i];
        union_add(&u, max64(s->start_ps, span->start_ps - span->issue_ps), span->end_ps);
    }
    return (double)u.covered / (double)(s->end_ps - s->start_ps);
}
