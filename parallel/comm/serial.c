// SPDX-License-Identifier: MIT
// All ranks in one thread: the specification of every communicator. A collective happens when its
// last member arrives, element by element; nothing here is shared with the engine that is
// compared with it.
#include "core/base/bf16.h"
#include "core/base/f16.h"
#include "core/base/text.h"
#include "parallel/comm/comm_internal.h"

#include <assert.h>
#include <string.h>

typedef union {
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
} Value;

static Value add(Dtype d, Reduce reduce, Value a, Value b) {
    bool max = reduce == REDUCE_MAX;
    switch (d) {
    case DTYPE_BF16:  // their sums are f32 until they are saved
    case DTYPE_F16:
    case DTYPE_F32:
        a.f32 = max ? (a.f32 > b.f32 || a.f32 != a.f32 ? a.f32 : b.f32) : a.f32 + b.f32;
        break;
    case DTYPE_F64:
        a.f64 = max ? (a.f64 > b.f64 || a.f64 != a.f64 ? a.f64 : b.f64) : a.f64 + b.f64;
        break;
    case DTYPE_I32:
        a.i32 =
            max ? (a.i32 > b.i32 ? a.i32 : b.i32) : (int32_t)((uint32_t)a.i32 + (uint32_t)b.i32);
        break;
    case DTYPE_I64:
        a.i64 =
            max ? (a.i64 > b.i64 ? a.i64 : b.i64) : (int64_t)((uint64_t)a.i64 + (uint64_t)b.i64);
        break;
    case DTYPE_U8:
    case DTYPE_COUNT: assert(0);
    }
    return a;
}

// --- elements of a member's arrays

// A member's call, and its pool, in which the call's segments lie.
typedef struct {
    const CommCall *call;
    char *pool;
} Party;

// Element `e`; *count is cut to those that lie behind one another from there.
static char *elements(const Party *p, const CommSegment *segments, int64_t e, int64_t *count) {
    while (e >= segments->elements) e -= (segments++)->elements;
    if (*count > segments->elements - e) *count = segments->elements - e;
    return p->pool + segments->offset + e * dtype_bytes(p->call->dtype);
}

static char *element(const Party *p, const CommSegment *segments, int64_t e) {
    int64_t one = 1;
    return elements(p, segments, e, &one);
}

static Value load(const Party *p, const CommSegment *segments, int64_t e) {
    Value v = {0};
    uint16_t half;
    Dtype d = p->call->dtype;
    const char *from = element(p, segments, e);
    if (!dtype_is_half(d)) {
        memcpy(&v, from, (size_t)dtype_bytes(d));
        return v;
    }
    memcpy(&half, from, sizeof half);
    v.f32 = d == DTYPE_F16 ? f16_to_f32(half) : bf16_to_f32(half);
    return v;
}

static void save(const Party *p, const CommSegment *segments, int64_t e, Value v) {
    Dtype d = p->call->dtype;
    char *to = element(p, segments, e);
    if (!dtype_is_half(d)) {
        memcpy(to, &v, (size_t)dtype_bytes(d));
        return;
    }
    uint16_t half = d == DTYPE_F16 ? f16_from_f32(v.f32) : bf16_from_f32(v.f32);
    memcpy(to, &half, sizeof half);
}

// --- collectives; parties[m] is member m

// The left fold ((g0+g1)+g2)+…, a member's parts in order (docs/contract.md, 3).
static Value fold(const Party parties[], int members, int64_t e) {
    Value sum = load(&parties[0], parties[0].call->input, e);
    for (int m = 0; m < members; m++) {
        const CommCall *call = parties[m].call;
        for (int p = m == 0; p < call->parts; p++)
            sum = add(call->dtype, call->reduce, sum,
                      load(&parties[m], call->input + p * call->input_count, e));
    }
    return sum;
}

static void copy(const Party *to, int64_t to_at, const Party *from, int64_t from_at,
                 int64_t count) {
    for (int64_t e = 0, next; e < count; e += next) {
        next = count - e;
        char *out = elements(to, to->call->output, to_at + e, &next);
        const char *in = elements(from, from->call->input, from_at + e, &next);
        memmove(out, in, (size_t)(next * dtype_bytes(from->call->dtype)));
    }
}

// Chunk by chunk of a schedule with one chunk a member, as its definition says.
static void perform_plainly(const Party parties[], const Collective *c) {
    Collective shares = {.kind = c->kind == COLLECTIVE_ALL_TO_ALL ? COLLECTIVE_ALL_TO_ALL
                                                                  : COLLECTIVE_ALL_GATHER,
                         .ranks = c->ranks,
                         .elements = c->elements,
                         .unit = c->unit,
                         .sizes = c->sizes,
                         .size_count = c->size_count};
    for (int m = 0; m < c->ranks; m++) {
        const Party *own = &parties[m], *root = &parties[c->root];
        int64_t begin, count;
        collective_chunk(&shares, m, &begin, &count);
        for (int64_t e = begin; e < begin + count; e++) {
            if (c->kind == COLLECTIVE_REDUCE_SCATTER)
                save(own, own->call->output, e - begin, fold(parties, c->ranks, e));
            if (c->kind == COLLECTIVE_REDUCE)
                save(root, root->call->output, e, fold(parties, c->ranks, e));
            if (c->kind != COLLECTIVE_ALL_REDUCE) continue;
            Value sum = fold(parties, c->ranks, e);
            for (int r = 0; r < c->ranks; r++) save(&parties[r], parties[r].call->output, e, sum);
        }
        if (c->kind == COLLECTIVE_SCATTER) copy(own, 0, root, begin, count);
        if (c->kind == COLLECTIVE_GATHER) copy(root, begin, own, 0, count);
        for (int r = 0; r < c->ranks; r++) {
            if (c->kind == COLLECTIVE_ALL_GATHER) copy(&parties[r], begin, own, 0, count);
            if (c->kind == COLLECTIVE_BROADCAST) copy(&parties[r], begin, root, begin, count);
            if (c->kind == COLLECTIVE_ALL_TO_ALL) copy(own, r * count, &parties[r], begin, count);
        }
    }
}

// Where a step of a schedule reads, or (FROM_RESULT of the destination) writes.
static Value step_value(const Party *p, const Collective *c, CollectiveStep s, int64_t e) {
    const CommCall *call = p->call;
    if (s.from == FROM_RESULT) {
        int64_t begin, count, at = collective_result_place(c, s.source, s.chunk);
        collective_chunk(c, s.chunk, &begin, &count);
        return at < 0 ? load(p, call->work, begin + e) : load(p, call->output, at + e);
    }
    int64_t at = collective_input_place(c, s.chunk) + e;
    Value sum = load(p, call->input, at);
    for (int i = 1; i < call->parts; i++)
        sum = add(call->dtype, call->reduce, sum, load(p, call->input + i * call->input_count, at));
    return sum;
}

// What is not in rank order: step by step. Here every fold has two terms at most.
static void perform_schedule(const Party parties[], const Collective *c) {
    for (int64_t t = 0; t < collective_rounds(c); t++)
        for (int r = 0; r < c->ranks; r++) {
            CollectiveStep first = collective_step(c, t, r, 0);
            int steps = collective_steps(c, t, r);
            const CommCall *call = parties[r].call;
            int64_t begin, count, at = collective_result_place(c, r, first.chunk);
            collective_chunk(c, first.chunk, &begin, &count);
            assert(steps <= 2);
            for (int64_t e = 0; e < count; e++) {
                Value v = step_value(&parties[first.source], c, first, e);
                if (steps == 2)
                    v = add(call->dtype, call->reduce, v,
                            step_value(&parties[r], c, collective_step(c, t, r, 1), e));
                save(&parties[r], at < 0 ? call->work : call->output, at < 0 ? begin + e : at + e,
                     v);
            }
        }
}

static int64_t *counts_at(const Party *p, const CommSegment *s) {
    return (int64_t *)(void *)(p->pool + s->offset);
}

// An all-to-all with counts: to each member, one source after the other.
static Status perform_pieces(Comm *c, const CommRequest *r, const Party parties[]) {
    int members = r->group->count;
    int64_t unit = r->call->unit > 1 ? r->call->unit : 1;
    const int64_t *counts[COMM_RANKS] = {0};
    for (int m = 0; m < members; m++) counts[m] = counts_at(&parties[m], parties[m].call->counts);
    for (int to = 0; to < members; to++) {
        const CommCall *call = parties[to].call;
        int64_t at = 0;
        TRY(pieces_check_room(c, r, to, counts,
                              call_segments_elements(call->output, call->output_count)));
        for (int from = 0; from < members; from++) {
            int64_t begin = 0;
            for (int i = 0; i < to; i++) begin += counts[from][i] * unit;
            copy(&parties[to], at, &parties[from], begin, counts[from][to] * unit);
            at += counts[from][to] * unit;
            if (from != to)
                call_note_taken(c->world->ends[r->group->ranks[to]], call, counts[from][to] * unit);
            counts_at(&parties[to], call->received)[from] = counts[from][to];
        }
    }
    return OK;
}

// --- meeting

static CommRequest *pending_of(const CommWorld *w, int rank, int lane) {
    return w->ends[rank] ? w->ends[rank]->pending[lane] : NULL;
}

static void finish(CommWorld *w, CommRequest *r, int64_t arrival_ns) {
    r->stage = 1;
    r->arrival_ns = arrival_ns;
    w->ends[r->group->ranks[r->group->position]]->pending[r->call->lane] = NULL;
}

// Of a collective, the members that have not arrived; of a message, the peer.
static uint64_t missing(const CommWorld *w, const CommRequest *r) {
    const CommGroup *g = r->group;
    uint64_t set = 0;
    if (r->call->point_to_point) return UINT64_C(1) << g->ranks[r->call->root];
    for (int m = 0; m < g->count; m++) {
        const CommRequest *theirs = pending_of(w, g->ranks[m], r->call->lane);
        if (!theirs || theirs->sequence != r->sequence) set |= UINT64_C(1) << g->ranks[m];
    }
    return set;
}

static Status perform(Comm *c, const CommRequest *r, const Party parties[]) {
    CollectiveKind kind = r->call->kind;
    if (r->call->counts) return perform_pieces(c, r, parties);
    for (int m = 0; m < r->group->count; m++)
        call_note_taken(c->world->ends[r->group->ranks[m]], parties[m].call,
                        call_schedule_taken(&r->what, m));
    if (collective_in_rank_order(&r->what) || kind == COLLECTIVE_ALL_GATHER ||
        kind == COLLECTIVE_BROADCAST)
        perform_plainly(parties, &r->what);
    else
        perform_schedule(parties, &r->what);
    return OK;
}

static Status meet(Comm *c, CommRequest *r) {
    CommWorld *w = c->world;
    const CommGroup *g = r->group;
    int lane = r->call->lane;
    Party parties[COMM_RANKS];
    if (missing(w, r)) return OK;
    uint64_t ours = world_published(w, c->rank, r->call->handle)->signature;
    for (int m = 0; m < g->count; m++) {
        const CommCall *call = pending_of(w, g->ranks[m], lane)->call;
        const Published *theirs = world_published(w, g->ranks[m], call->handle);
        if (theirs->signature != ours) return call_disagree(c, r, m, theirs);
        parties[m] = (Party){call, w->of[g->ranks[m]].pool};
    }
    TRY(perform(c, r, parties));
    for (int m = 0; m < g->count; m++) finish(w, pending_of(w, g->ranks[m], lane), r->start_ns);
    return OK;
}

static int rank_of(const CommRequest *r, int position) { return r->group->ranks[position]; }

static bool matches(const CommRequest *a, const CommRequest *b) {
    const CommCall *x = a->call, *y = b->call;
    return y->point_to_point && x->receive != y->receive && x->tag == y->tag &&
           a->sequence == b->sequence && rank_of(a, x->root) == rank_of(b, b->group->position) &&
           rank_of(b, y->root) == rank_of(a, a->group->position);
}

static Status hand_over(Comm *c, CommRequest *send, CommRequest *receive, int64_t now_ns) {
    int sender = rank_of(send, send->group->position),
        receiver = rank_of(receive, receive->group->position);
    const Party from = {send->call, c->world->of[sender].pool},
                to = {receive->call, c->world->of[receiver].pool};
    int64_t elements = call_segments_elements(send->call->input, send->call->input_count);
    TRY(call_message_disagree(c, receive, sender, send->call->dtype, elements));
    copy(&to, 0, &from, 0, elements);
    call_note_taken(c->world->ends[sender], send->call, elements);
    call_note_taken(c->world->ends[receiver], receive->call, elements);
    finish(c->world, send, now_ns);
    finish(c->world, receive, now_ns);
    return OK;
}

static Status match(Comm *c, CommRequest *r) {
    for (int l = 0; l < COMM_LANES; l++) {
        CommRequest *other = pending_of(c->world, rank_of(r, r->call->root), l);
        if (!other || !matches(r, other)) continue;
        return hand_over(c, r->call->receive ? other : r, r->call->receive ? r : other,
                         r->start_ns);
    }
    return OK;
}

static Status serial_start(Comm *c, const CommCall *call, CommRequest *r, int64_t start_ns) {
    TRY(call_begin(c, call, r, start_ns));
    r->sequence = call->point_to_point ? p2p_number(c, r) : ++c->sequence[call->lane];
    return call->point_to_point ? match(c, r) : meet(c, r);
}

static Status serial_test(Comm *c, CommRequest *r, bool *done) {
    *done = r->stage == 1;
    return *done ? OK : world_check(c->world);
}

static Status serial_idle(Comm *c, const CommRequest *const r[], int count, int64_t until_ns) {
    return OK;
}

// What each brings waits where the caller has it; the last one to come serves everybody.
static Status serial_exchange(Comm *c, const void *mine, size_t size, void *all) {
    CommWorld *w = c->world;
    TRY(world_check(w));
    memcpy((char *)all + (size_t)c->rank * size, mine, size);
    w->exchange[c->rank].size = size;
    w->exchange[c->rank].all = all;
    c->exchanges++;
    for (int m = 0; m < w->ranks; m++)
        if (!w->ends[m] || w->ends[m]->exchanges < c->exchanges) return OK;
    for (int m = 0; m < w->ranks; m++) TRY(call_exchange_disagree(c, m, w->exchange[m].size, size));
    for (int from = 0; from < w->ranks; from++)
        for (int to = 0; to < w->ranks; to++)
            if (to != from)
                memcpy((char *)w->exchange[to].all + (size_t)from * size,
                       (char *)w->exchange[from].all + (size_t)from * size, size);
    return OK;
}

void comm_world_explain(const CommWorld *w, char *text, size_t size) {
    char name[CALL_TEXT], ranks[RANKS_TEXT];
    if (size) text[0] = '\0';
    for (int m = 0; m < w->ranks; m++)
        for (int l = 0; l < COMM_LANES; l++) {
            const CommRequest *r = pending_of(w, m, l);
            if (!r || !size) continue;
            text_append(text, size, "%srank %d waits at %s for %s", *text ? "; " : "", m,
                        call_text(name, r->call), call_ranks_text(ranks, missing(w, r)));
        }
}

const CommMethods comm_serial_methods = {"serial", serial_start, serial_test, serial_idle,
                                         serial_exchange};
