// SPDX-License-Identifier: MIT
// Walks back from the end of a step by what the record says (Kelley, Walker, "Critical-path
// planning and scheduling", 1959, on a schedule that is simulated). Read critical_path_find(), then
// walk(). Times are integers, so that what lets something start is found by equality.
#include "sim/critical_path.h"

#include "core/base/array.h"
#include "core/plan/group.h"
#include "core/plan/lane_order.h"
#include "sim/members.h"

#include <stdlib.h>

// What is the same for all ranks with one program.
typedef struct WalkClass {
    const Program *program;
    const Plan *plan;
    int32_t *previous;  // per operation: the one before it on its lane, or NONE
    int32_t *sequence;  // of a collective: those on its lane before it
    struct WalkClass *next;
} WalkClass;

typedef struct {
    const SimulateOptions *o;
    Timeline *const *timelines;
    Arena scratch;
    WalkClass *classes;
    const WalkClass **class_of;  // per simulated rank, as below
    const Span ***spans;         // per operation: its span in the last step; NULL: not made yet
    CriticalStretch *stretches;  // owned; the last first
    int count, capacity;
    int64_t start_ps;
} Walk;

typedef struct {
    int32_t rank, op;
} At;

static const StepRecord *last_step(const Walk *w, int rank) {
    const Timeline *t = w->timelines[rank];
    return &t->steps[t->step_count - 1];
}

static Status make_class(Walk *w, const Program *p) {
    WalkClass *c = ARENA_NEW(&w->scratch, WalkClass, 1);
    if (!c) FAIL(ERR_MEMORY, "out of memory for a critical path");
    const Plan *plan = &p->plans[w->o->plan];
    *c = (WalkClass){.program = p,
                     .plan = plan,
                     .previous = ARENA_NEW(&w->scratch, int32_t, plan->op_count + 1),
                     .sequence = ARENA_NEW(&w->scratch, int32_t, plan->op_count + 1),
                     .next = w->classes};
    int32_t *last = ARENA_NEW(&w->scratch, int32_t, p->lane_count + 1);
    int32_t *collectives = ARENA_NEW(&w->scratch, int32_t, p->lane_count + 1);
    if (!c->previous || !c->sequence || !last || !collectives)
        FAIL(ERR_MEMORY, "out of memory for a critical path");
    for (int l = 0; l < p->lane_count; l++) last[l] = NONE;
    for (int i = 0; i < plan->op_count; i++) {
        const Work *work = op_work(p, &plan->ops[i]);
        int lane = plan->ops[i].lane;
        c->previous[i] = last[lane];
        last[lane] = i;
        c->sequence[i] = collectives[lane];
        collectives[lane] += work_communicates(work) && !work_is_message(work);
    }
    w->classes = c;
    return OK;
}

static Status find_class(const WalkClass **out, Walk *w, const Program *p) {
    const WalkClass *c = w->classes;
    while (c && c->program != p) c = c->next;
    if (!c) TRY(make_class(w, p));
    *out = c ? c : w->classes;
    return OK;
}

static Status list_spans(Walk *w, int rank) {
    if (w->spans[rank]) return OK;
    const Span **of = ARENA_NEW(&w->scratch, const Span *, w->class_of[rank]->plan->op_count + 1);
    if (!of) FAIL(ERR_MEMORY, "out of memory for a critical path");
    const StepRecord *step = last_step(w, rank);
    for (int i = 0; i < step->span_count; i++) {
        const Span *span = &w->timelines[rank]->spans[step->span_first + i];
        of[span->op] = span;
    }
    w->spans[rank] = of;
    return OK;
}

static Status span_at(const Span **out, Walk *w, At at) {
    TRY(list_spans(w, at.rank));
    *out = w->spans[at.rank][at.op];
    if (*out) return OK;
    const WalkClass *c = w->class_of[at.rank];
    FAIL(ERR_FAILED, "critical path: rank %d has no record of %s", fold_rank(w->o->fold, at.rank),
         op_name(c->program, &c->plan->ops[at.op]));
}

static const Work *work_at(const Walk *w, At at) {
    const WalkClass *c = w->class_of[at.rank];
    return op_work(c->program, &c->plan->ops[at.op]);
}

// --- communication

// The operation of another member in the same collective: as many were on the lane before it.
static Status same_collective(At *out, const Walk *w, At at, int member) {
    const WalkClass *mine = w->class_of[at.rank], *theirs = w->class_of[member];
    int lane = mine->plan->ops[at.op].lane, op = at.op;
    for (op = mine == theirs ? at.op : 0; op < theirs->plan->op_count; op++) {
        const Work *work = op_work(theirs->program, &theirs->plan->ops[op]);
        if (theirs->plan->ops[op].lane == lane && theirs->sequence[op] == mine->sequence[at.op] &&
            work_communicates(work) && !work_is_message(work))
            break;
    }
    *out = (At){member, op};
    if (op < theirs->plan->op_count) return OK;
    FAIL(ERR_FAILED, "critical path: rank %d has no part in %s", fold_rank(w->o->fold, member),
         op_name(mine->program, &mine->plan->ops[at.op]));
}

static Status last_member(At *last, int64_t *arrival_ps, Walk *w, At at) {
    const Fold *f = w->o->fold;
    const Program *p = w->class_of[at.rank]->program;
    int group = work_at(w, at)->group;
    int count = f ? fold_members(f, at.rank, group).count : group_size(p, group);
    *arrival_ps = INT64_MIN;
    for (int i = 0; i < count; i++) {
        At member;
        const Span *span;
        TRY(same_collective(&member, w, at,
                            f ? fold_members(f, at.rank, group).colours[i]
                              : group_member(p, group, at.rank, i)));
        TRY(span_at(&span, w, member));
        if (span->start_ps <= *arrival_ps) continue;
        *arrival_ps = span->start_ps;
        *last = member;
    }
    return OK;
}

// Is it a message that rank `at.rank`, whose number in the run is `number`, exchanges with the rank
// numbered `peer`, in the direction and with the tag that match `other`?
static bool is_end_of(const Walk *w, At at, int number, int peer, At other) {
    const Program *p = w->class_of[at.rank]->program, *q = w->class_of[other.rank]->program;
    const Work *work = work_at(w, at);
    return work_is_message(work) && members_are_ends(q, work_at(w, other), p, work) &&
           members_peer(p, work, number) == peer;
}

// Messages between two ranks with one tag match in the order in which their ends start.
static bool starts_before(const Span *a, const Span *b) {
    if (a->start_ps != b->start_ps) return a->start_ps < b->start_ps;
    return a->lane != b->lane ? a->lane < b->lane : a->op < b->op;
}

// How many of a rank's messages that match `other` start before `at`.
static Status number_of(int *out, Walk *w, At at, int number, int peer, At other) {
    const Span *span, *mine;
    TRY(span_at(&mine, w, at));
    *out = 0;
    for (int op = 0; op < w->class_of[at.rank]->plan->op_count; op++) {
        const At that = {at.rank, op};
        if (!is_end_of(w, that, number, peer, other)) continue;
        TRY(span_at(&span, w, that));
        *out += starts_before(span, mine);
    }
    return OK;
}

static Status other_end(At *out, Walk *w, At at) {
    int here = fold_rank(w->o->fold, at.rank);
    int peer = members_peer(w->class_of[at.rank]->program, work_at(w, at), here);
    int rank = fold_index(w->o->fold, peer), mine = NONE;
    for (int op = 0; op < w->class_of[rank]->plan->op_count; op++) {
        const At that = {rank, op};
        int theirs;
        if (!is_end_of(w, that, peer, here, at)) continue;
        if (mine == NONE) TRY(number_of(&mine, w, at, here, peer, that));
        TRY(number_of(&theirs, w, that, peer, here, at));
        *out = that;
        if (theirs == mine) return OK;
    }
    FAIL(ERR_FAILED, "critical path: rank %d has no other end of %s", peer,
         program_name(w->class_of[at.rank]->program, work_at(w, at)->name));
}

// Who came last to a communication, and when; `at` becomes the sender of a message.
static Status last_to_come(At *last, int64_t *arrival_ps, Walk *w, At *at) {
    const Span *mine, *theirs;
    At other;
    if (!work_is_message(work_at(w, *at))) return last_member(last, arrival_ps, w, *at);
    TRY(other_end(&other, w, *at));
    TRY(span_at(&mine, w, *at));
    TRY(span_at(&theirs, w, other));
    bool peer_last = theirs->start_ps > mine->start_ps;
    *last = peer_last ? other : *at;
    *arrival_ps = peer_last ? theirs->start_ps : mine->start_ps;
    if (!work_is_send(work_at(w, *at))) *at = other;
    return OK;
}

// --- the walk

// What of it lies in the step.
static Status add(Walk *w, At at, int64_t start_ps, int64_t end_ps) {
    TRY(ARRAY_RESERVE(w->stretches, w->capacity, w->count + 1));
    if (start_ps < w->start_ps) start_ps = w->start_ps;
    w->stretches[w->count++] = (CriticalStretch){at.rank, at.op, start_ps, end_ps};
    return OK;
}

// What ended at the instant at which `at`, ready on its device, was issued already: a dependency,
// else the operation before it on its lane.
static Status find_cause(At *out, Walk *w, At at, int64_t start_ps) {
    const WalkClass *c = w->class_of[at.rank];
    const Op *op = &c->plan->ops[at.op];
    const Span *span;
    for (int d = 0; d <= op->dep_count; d++) {
        const Dep *dep = &c->plan->deps[op->dep_first + d];
        int before = d == op->dep_count ? c->previous[at.op] : dep->distance ? NONE : dep->op;
        if (before == NONE) continue;
        *out = (At){at.rank, before};
        TRY(span_at(&span, w, *out));
        if (span->end_ps == start_ps) return OK;
    }
    FAIL(ERR_FAILED, "critical path: nothing ends on rank %d when %s starts, at %lld ps",
         fold_rank(w->o->fold, at.rank), op_name(c->program, op), (long long)start_ps);
}

// The message that the host waited for last before it issued `at`. False: for none in the step.
static bool find_message(At *out, const Walk *w, At at) {
    if (!w->o->costs[fold_rank(w->o->fold, at.rank)]->waits) return false;
    for (*out = at; out->op > 0;)
        if (work_at(w, (At){at.rank, --out->op})->kind == KIND_RECEIVE) return true;
    return false;
}

// Each operation is on the path at most once, at an earlier place in the order of causes.
static Status walk(Walk *w, At at) {
    const Span *span;
    TRY(span_at(&span, w, at));
    for (int64_t end_ps = span->end_ps; end_ps > w->start_ps;) {
        int64_t start_ps = span->start_ps;
        At cause = at;
        if (work_communicates(work_at(w, at))) TRY(last_to_come(&cause, &start_ps, w, &at));
        TRY(add(w, at, start_ps, end_ps));
        if (start_ps <= w->start_ps) return OK;
        TRY(span_at(&span, w, cause));
        bool issued = span->issue_ps > 0;
        if (!issued) {
            TRY(find_cause(&at, w, cause, start_ps));
        } else if (!find_message(&at, w, cause)) {
            return add(w, (At){cause.rank, NONE}, last_step(w, cause.rank)->start_ps, start_ps);
        }
        TRY(span_at(&span, w, at));
        end_ps = issued ? span->end_ps : start_ps;
        if (issued) TRY(add(w, (At){cause.rank, NONE}, end_ps, start_ps));
    }
    return OK;
}

static Status find_end(At *out, int64_t *end_ps, Walk *w) {
    int count = fold_count(w->o->fold, w->o->ranks);
    *out = (At){NONE, NONE};
    *end_ps = w->start_ps = 0;
    for (int r = 0; r < count; r++) {
        const StepRecord *step = last_step(w, r);
        if (!step->complete) FAIL(ERR_FAILED, "critical path: the step's record is not complete");
        if (step->start_ps > w->start_ps) w->start_ps = step->start_ps;
        if (step->end_ps <= *end_ps) continue;
        *end_ps = step->end_ps;
        out->rank = r;
    }
    if (out->rank == NONE) return OK;
    const StepRecord *step = last_step(w, out->rank);
    for (int i = 0; i < step->span_count; i++) {
        const Span *span = &w->timelines[out->rank]->spans[step->span_first + i];
        if (span->end_ps == *end_ps && span->op > out->op) out->op = span->op;
    }
    return OK;
}

static Status init(Walk *w) {
    int count = fold_count(w->o->fold, w->o->ranks);
    w->class_of = ARENA_NEW(&w->scratch, const WalkClass *, count);
    w->spans = ARENA_NEW(&w->scratch, const Span **, count);
    if (!w->class_of || !w->spans) FAIL(ERR_MEMORY, "out of memory for a critical path");
    for (int r = 0; r < count; r++)
        TRY(find_class(&w->class_of[r], w, w->o->costs[fold_rank(w->o->fold, r)]->program));
    return OK;
}

static Status find(CriticalPath *out, Arena *a, Walk *w) {
    At end;
    TRY(init(w));
    TRY(find_end(&end, &out->end_ps, w));
    out->start_ps = w->start_ps;
    if (end.op != NONE) TRY(walk(w, end));
    out->count = w->count;
    out->stretches = ARENA_NEW(a, CriticalStretch, w->count + 1);
    if (!out->stretches) FAIL(ERR_MEMORY, "out of memory for a critical path");
    for (int i = 0; i < w->count; i++) out->stretches[i] = w->stretches[w->count - 1 - i];
    return OK;
}

Status critical_path_find(CriticalPath *out, Arena *a, const SimulateOptions *o,
                          Timeline *const timelines[]) {
    Walk w = {.o = o, .timelines = timelines};
    *out = (CriticalPath){0};
    Status s = find(out, a, &w);
    free(w.stretches);
    arena_finish(&w.scratch);
    return s;
}
