// SPDX-License-Identifier: MIT
// All ranks in one thread: the specification of every communicator. A collective happens when its
// last member arrives, element by element; nothing here is shared with the engine that is
// compared with it.
#include "core/base/text.h"
#include "parallel/comm/comm_internal.h"

#include <assert.h>
#include <stdio.h>
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
    case DTYPE_BF16:
    case DTYPE_U8:
    case DTYPE_COUNT: assert(0);
    }
    return a;
}

// --- elements of a member's arrays

static char *element(CommWorld *w, const CommCall *call, const CommSegment *segments, int64_t e) {
    while (e >= segments->elements) e -= (segments++)->elements;
    return world_pool(w, call->ranks[call->position]) + segments->offset +
           e * dtype_bytes(call->dtype);
}

static Value load(CommWorld *w, const CommCall *call, const CommSegment *segments, int64_t e) {
    Value v = {0};
    memcpy(&v, element(w, call, segments, e), (size_t)dtype_bytes(call->dtype));
    return v;
}

static void save(CommWorld *w, const CommCall *call, const CommSegment *segments, int64_t e,
                 Value v) {
    memcpy(element(w, call, segments, e), &v, (size_t)dtype_bytes(call->dtype));
}

// --- collectives; calls[m] is member m's

typedef const CommCall *const Calls[];

// The left fold ((g0+g1)+g2)+…, a member's parts in order (docs/contract.md, 3).
static Value fold(CommWorld *w, Calls calls, int64_t e) {
    Value sum = load(w, calls[0], calls[0]->input, e);
    for (int m = 0; m < calls[0]->ranks_count; m++)
        for (int p = m == 0; p < calls[m]->parts; p++)
            sum = add(calls[m]->dtype, calls[m]->reduce, sum,
                      load(w, calls[m], calls[m]->input + p * calls[m]->segment_count, e));
    return sum;
}

static void copy(CommWorld *w, const CommCall *to, int64_t to_at, const CommCall *from,
                 int64_t from_at, int64_t count) {
    for (int64_t e = 0; e < count; e++)
        save(w, to, to->output, to_at + e, load(w, from, from->input, from_at + e));
}

// Chunk by chunk of a schedule with one chunk a member, as its definition says.
static void perform_plainly(CommWorld *w, Calls calls, const Collective *c) {
    Collective shares = {.kind = c->kind == COLLECTIVE_ALL_TO_ALL ? COLLECTIVE_ALL_TO_ALL
                                                                  : COLLECTIVE_ALL_GATHER,
                         .ranks = c->ranks,
                         .elements = c->elements};
    for (int m = 0; m < c->ranks; m++) {
        int64_t begin, count;
        collective_chunk(&shares, m, &begin, &count);
        for (int64_t e = begin; e < begin + count; e++) {
            if (c->kind == COLLECTIVE_REDUCE_SCATTER)
                save(w, calls[m], calls[m]->output, e - begin, fold(w, calls, e));
            if (c->kind == COLLECTIVE_REDUCE)
                save(w, calls[c->root], calls[c->root]->output, e, fold(w, calls, e));
            if (c->kind != COLLECTIVE_ALL_REDUCE) continue;
            Value sum = fold(w, calls, e);
            for (int r = 0; r < c->ranks; r++) save(w, calls[r], calls[r]->output, e, sum);
        }
        for (int r = 0; r < c->ranks; r++) {
            if (c->kind == COLLECTIVE_ALL_GATHER) copy(w, calls[r], begin, calls[m], 0, count);
            if (c->kind == COLLECTIVE_BROADCAST)
                copy(w, calls[r], begin, calls[c->root], begin, count);
            if (c->kind == COLLECTIVE_ALL_TO_ALL)
                copy(w, calls[m], r * count, calls[r], begin, count);
        }
    }
}

// Where a step of a schedule reads, or (FROM_RESULT of the destination) writes.
static Value step_value(CommWorld *w, const CommCall *call, const Collective *c, CollectiveStep s,
                        int64_t e) {
    if (s.from == FROM_RESULT) {
        int64_t begin, count, at = collective_result_place(c, s.source, s.chunk);
        collective_chunk(c, s.chunk, &begin, &count);
        return at < 0 ? load(w, call, call->work, begin + e) : load(w, call, call->output, at + e);
    }
    int64_t at = collective_input_place(c, s.chunk) + e;
    Value sum = load(w, call, call->input, at);
    for (int p = 1; p < call->parts; p++)
        sum = add(call->dtype, call->reduce, sum,
                  load(w, call, call->input + p * call->segment_count, at));
    return sum;
}

// What is not in rank order: step by step. Here every fold has two terms at most.
static void perform_schedule(CommWorld *w, Calls calls, const Collective *c) {
    for (int64_t t = 0; t < collective_rounds(c); t++)
        for (int r = 0; r < c->ranks; r++) {
            CollectiveStep first = collective_step(c, t, r, 0);
            int steps = collective_steps(c, t, r);
            int64_t begin, count, at = collective_result_place(c, r, first.chunk);
            collective_chunk(c, first.chunk, &begin, &count);
            assert(steps <= 2);
            for (int64_t e = 0; e < count; e++) {
                Value v = step_value(w, calls[first.source], c, first, e);
                if (steps == 2)
                    v = add(calls[r]->dtype, calls[r]->reduce, v,
                            step_value(w, calls[r], c, collective_step(c, t, r, 1), e));
                save(w, calls[r], at < 0 ? calls[r]->work : calls[r]->output,
                     at < 0 ? begin + e : at + e, v);
            }
        }
}

// --- meeting

static CommRequest *pending_of(const CommWorld *w, int rank, int lane) {
    return w->ends[rank] ? w->ends[rank]->pending[lane] : NULL;
}

static void finish(CommWorld *w, CommRequest *r, int64_t arrival_ns) {
    const CommCall *call = r->call;
    r->stage = 1;
    r->arrival_ns = arrival_ns;
    w->ends[call->ranks[call->position]]->pending[call->lane] = NULL;
}

// Of a collective, the members that have not arrived; of a message, the peer.
static uint64_t missing(const CommWorld *w, const CommRequest *r) {
    const CommCall *call = r->call;
    uint64_t set = 0;
    if (call->point_to_point) return UINT64_C(1) << call->ranks[call->root];
    for (int m = 0; m < call->ranks_count; m++) {
        const CommRequest *theirs = pending_of(w, call->ranks[m], call->lane);
        if (!theirs || theirs->sequence != r->sequence) set |= UINT64_C(1) << call->ranks[m];
    }
    return set;
}

static Status meet(Comm *c, CommRequest *r) {
    CommWorld *w = c->world;
    const CommCall *call = r->call, *calls[COMM_RANKS] = {0};
    if (missing(w, r)) return OK;
    for (int m = 0; m < call->ranks_count; m++) {
        calls[m] = pending_of(w, call->ranks[m], call->lane)->call;
        if (call_signature(calls[m]) != call_signature(call))
            return call_disagree(c, call, m, call_signature(calls[m]));
    }
    if (collective_in_rank_order(&r->what) || call->kind == COLLECTIVE_ALL_GATHER ||
        call->kind == COLLECTIVE_BROADCAST)
        perform_plainly(w, calls, &r->what);
    else
        perform_schedule(w, calls, &r->what);
    for (int m = 0; m < call->ranks_count; m++)
        finish(w, pending_of(w, call->ranks[m], call->lane), r->start_ns);
    return OK;
}

static bool matches(const CommRequest *a, const CommRequest *b) {
    const CommCall *x = a->call, *y = b->call;
    return y->point_to_point && x->receive != y->receive && x->tag == y->tag &&
           a->sequence == b->sequence && x->ranks[x->root] == y->ranks[y->position] &&
           y->ranks[y->root] == x->ranks[x->position];
}

static Status hand_over(Comm *c, CommRequest *send, CommRequest *receive, int64_t now_ns) {
    int64_t elements = call_segments_elements(send->call->input, send->call->segment_count);
    TRY(call_message_disagree(c, receive->call, send->call->ranks[send->call->position],
                              send->call->dtype, elements));
    copy(c->world, receive->call, 0, send->call, 0, elements);
    finish(c->world, send, now_ns);
    finish(c->world, receive, now_ns);
    return OK;
}

static Status match(Comm *c, CommRequest *r) {
    for (int l = 0; l < COMM_LANES; l++) {
        CommRequest *other = pending_of(c->world, r->call->ranks[r->call->root], l);
        if (!other || !matches(r, other)) continue;
        return hand_over(c, r->call->receive ? other : r, r->call->receive ? r : other,
                         r->start_ns);
    }
    return OK;
}

static Status serial_start(Comm *c, const CommCall *call, CommRequest *r, int64_t start_ns) {
    TRY(world_check(c->world));
    assert(!c->pending[call->lane]);
    *r = (CommRequest){.call = call, .start_ns = start_ns};
    c->pending[call->lane] = r;
    r->sequence = call->point_to_point ? p2p_number(c, call) : ++c->sequence[call->lane];
    if (call->point_to_point) return match(c, r);
    r->what = call_collective(call);
    return meet(c, r);
}

static Status serial_test(Comm *c, CommRequest *r, bool *done) {
    *done = r->stage == 1;
    return *done ? OK : world_check(c->world);
}

static Status serial_idle(Comm *c, const CommRequest *const r[], int count, int64_t until_ns) {
    return OK;
}

static Status serial_agree(Comm *c, uint64_t value) {
    CommWorld *w = c->world;
    w->agree_value[c->rank] = value;
    c->agreements++;
    for (int m = 0; m < w->ranks; m++)
        if (!w->ends[m] || w->ends[m]->agreements < c->agreements) return OK;
    for (int m = 1; m < w->ranks; m++)
        if (w->agree_value[m] != w->agree_value[0])
            return call_agree_fail(m, w->agree_value[m], w->agree_value[0]);
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
                                         serial_agree};
