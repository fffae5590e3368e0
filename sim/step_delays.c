// SPDX-License-Identifier: MIT
// A communication is over when its last share is done. Who did that ends first, right after its
// share, and was late for it by the time since it could begin; the others are late by the time
// since then. Who has no share, as all but the root of a gather, only sees the end. A thread that
// was busy could not begin, nor see anything, before it had ended what it
// did. Read step_delays_read() first.
#include "sim/step_delays.h"

#include "core/plan/group.h"
#include "sim/members.h"

#include <stdlib.h>

// A rank's part in a communication. Parts of one communication have equal keys: of a collective its
// first member, lane and sequence number there; of a message its ends, tag and sequence number.
enum { KEYS = 5 };
typedef struct {
    int32_t key[KEYS];
    int32_t rank, op;
    bool receives;
    bool shares;  // it has a share of the communication, and so may be who ends it
} Part;

typedef struct {
    const StepDelays *d;
    Part *parts;
    int count;
    const Span **span_of;  // [rank][operation]: of the step
    int *first;            // [rank]: where its operations begin in span_of
    int64_t *offset_ps;    // [rank]: of its clock to rank 0's
    int64_t **gap_ps;      // [rank]: of its costs
    int64_t **notice_ps;
} Reader;

static const Program *program_of(const Reader *r, int rank) { return r->d->costs[rank].program; }
static const Plan *plan_of(const Reader *r, int rank) {
    return &program_of(r, rank)->plans[r->d->plan];
}
// --- which parts belong together

static int by_key(const void *left, const void *right) {
    const Part *a = left, *b = right;
    for (int k = 0; k < KEYS; k++)
        if (a->key[k] != b->key[k]) return a->key[k] < b->key[k] ? -1 : 1;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

static bool same_key(const Part *a, const Part *b) {
    for (int k = 0; k < KEYS; k++)
        if (a->key[k] != b->key[k]) return false;
    return true;
}

static Status add_parts(Reader *r, Arena *a, int rank) {
    const Program *p = program_of(r, rank);
    const Plan *plan = plan_of(r, rank);
    MessagePeers peers;
    int32_t *begun = ARENA_NEW(a, int32_t, p->lane_count + 1);
    if (!begun) FAIL(ERR_MEMORY, "out of memory for what ranks were late");
    TRY(message_peers_init(&peers, a, p, plan, rank));
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        if (!work_communicates(w)) continue;
        const int64_t shares = members_shares(p, w, rank);
        Part part = {.rank = rank,
                     .op = i,
                     .receives = work_is_message(w) && !work_is_send(w),
                     .shares = shares > 0};
        int lane = plan->ops[i].lane;
        if (work_is_message(w)) {
            int peer = members_peer(p, w, rank), from = part.receives ? peer : rank;
            const int32_t key[KEYS] = {1, from, part.receives ? rank : peer,
                                       (int32_t)work_attr(p, w, 0),
                                       message_peers_next(&peers, p, w, peer)};
            for (int k = 0; k < KEYS; k++) part.key[k] = key[k];
        } else {
            ++begun[lane];
            if (shares > 1) continue;
            part.key[1] = group_member(p, w->group, rank, 0);
            part.key[2] = lane;
            part.key[3] = begun[lane];
        }
        r->parts[r->count++] = part;
    }
    return OK;
}

// --- one communication of one step, in times of rank 0's clock

static int64_t clock_of(const Reader *r, const Part *p, int64_t ps) {
    return ps + r->offset_ps[p->rank];
}
static const Span *span_of(const Reader *r, const Part *p) {
    return r->span_of[r->first[p->rank] + p->op];
}
static int64_t end_of(const Reader *r, const Part *p) {
    return clock_of(r, p, span_of(r, p)->end_ps);
}
static int64_t start_of(const Reader *r, const Part *p) {
    return clock_of(r, p, span_of(r, p)->start_ps);
}

// When the rank last ended something before it ended this.
static int64_t free_at(const Reader *r, const Part *p, int row) {
    const Timeline *t = &r->d->traces[p->rank].timeline;
    int64_t before = span_of(r, p) - &t->spans[t->steps[row].span_first];
    return before ? clock_of(r, p, span_of(r, p)[-1].end_ps) : INT64_MIN;
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static void be_late(const Reader *r, int64_t *ps, int64_t from, int64_t to) {
    int64_t late = to - from - r->d->poll_ps;
    if (late > 0) *ps += late;
}

// Who did the last share: of a message the receiver.
static bool is_before(const Reader *r, const Part *p, const Part *first) {
    if (p->key[0]) return p->receives;
    return p->shares && (!first->shares || end_of(r, p) < end_of(r, first));
}

static void find_delays(const Reader *r, const Part *parts, int count, int step) {
    const Part *first = &parts[0];
    int row = r->d->rows[step];
    int64_t arrival = INT64_MIN;
    for (int i = 0; i < count; i++) {
        bool sent = parts[i].key[0] && !parts[i].receives;  // the message is there after its share
        int64_t share = sent ? step_costs_of_span(span_of(r, &parts[i]), true) : 0;
        arrival = later(arrival, start_of(r, &parts[i]) + share);
        if (is_before(r, &parts[i], first)) first = &parts[i];
    }
    if (!first->shares) return;
    int64_t done = end_of(r, first);
    int64_t share_at = done - step_costs_of_span(span_of(r, first), true);
    const StepCosts *c = &r->d->costs[first->rank].steps;
    be_late(r, &r->gap_ps[first->rank][step_costs_at(c, first->op, step)],
            later(arrival, free_at(r, first, row)), share_at);
    for (int i = 0; i < count; i++) {
        const Part *p = &parts[i];
        c = &r->d->costs[p->rank].steps;
        if (p != first)
            be_late(r, &r->notice_ps[p->rank][step_costs_at(c, p->op, step)],
                    later(done, free_at(r, p, row)), end_of(r, p));
    }
}

// --- all of them

static Status init(Reader *r, Arena *a) {
    const StepDelays *d = r->d;
    size_t ops = 0;
    r->first = ARENA_NEW(a, int, d->ranks);
    r->offset_ps = ARENA_NEW(a, int64_t, d->ranks);
    r->gap_ps = ARENA_NEW(a, int64_t *, d->ranks);
    r->notice_ps = ARENA_NEW(a, int64_t *, d->ranks);
    if (!r->first || !r->offset_ps || !r->gap_ps || !r->notice_ps)
        FAIL(ERR_MEMORY, "out of memory for what %d ranks were late", d->ranks);
    for (int k = 0; k < d->ranks; k++) {
        r->first[k] = (int)ops;
        ops += (size_t)plan_of(r, k)->op_count;
    }
    r->span_of = ARENA_NEW(a, const Span *, ops);
    r->parts = ARENA_NEW(a, Part, ops);
    if (!r->span_of || !r->parts)
        FAIL(ERR_MEMORY, "out of memory for what %d ranks were late", d->ranks);
    for (int k = 0; k < d->ranks; k++) TRY(add_parts(r, a, k));
    qsort(r->parts, (size_t)r->count, sizeof *r->parts, by_key);
    return OK;
}

static bool have_a_clock(Reader *r) {
    const int64_t day_ns = INT64_C(86400) * 1000000000;
    for (int k = 0; k < r->d->ranks; k++) {
        int64_t apart_ns;
        if (__builtin_sub_overflow(r->d->traces[k].origin_ns, r->d->traces[0].origin_ns,
                                   &apart_ns) ||
            apart_ns > day_ns || apart_ns < -day_ns)
            return false;
        r->offset_ps[k] = apart_ns * 1000;
    }
    return true;
}

static void read_step(const Reader *r, int step) {
    for (int k = 0; k < r->d->ranks; k++) {
        const Timeline *t = &r->d->traces[k].timeline;
        const StepRecord *record = &t->steps[r->d->rows[step]];
        for (int i = 0; i < record->span_count; i++) {
            const Span *span = &t->spans[record->span_first + i];
            r->span_of[r->first[k] + span->op] = span;
        }
    }
    for (int i = 0, end; i < r->count; i = end) {
        for (end = i + 1; end < r->count && same_key(&r->parts[i], &r->parts[end]);) end++;
        if (end - i > 1) find_delays(r, &r->parts[i], end - i, step);
    }
}

Status step_delays_read(const StepDelays *d, Arena *a) {
    Reader r = {.d = d};
    int count = d->ranks ? d->costs[0].steps.count : 0;
    if (!count || d->ranks < 2) return OK;
    TRY(init(&r, a));
    if (!have_a_clock(&r)) return OK;
    for (int k = 0; k < d->ranks; k++) {
        StepCosts *c = &d->costs[k].steps;
        r.notice_ps[k] = ARENA_NEW(a, int64_t, (size_t)count * (size_t)c->ops);
        r.gap_ps[k] = c->gap_ps;
        if (!r.notice_ps[k])
            FAIL(ERR_MEMORY, "out of memory for what %d ranks were late", d->ranks);
        c->notice_ps = r.notice_ps[k];
    }
    for (int step = 0; step < count; step++) read_step(&r, step);
    return OK;
}
