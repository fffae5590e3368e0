// SPDX-License-Identifier: MIT
// Collectives and messages on an emulated star of links (parallel/collective/star.h), between ranks
// that see each other's memory. Data are pulled round after round, as soon as the sources have
// them. Beside its progress a member publishes when, in the model, it ended each round; from these
// moments, and from what its sources send, it reckons the end of its own next round. The operation
// is complete when the members have met again and the clock has reached the model's end of this
// member's last round (shared.c).
//
// Many ranks may share few cores, so only those are woken that can go on: the last member to arrive
// wakes all, and after a round a member wakes those that take something from it.
#include "parallel/comm/comm_internal.h"

enum { STAGE_GATHER, STAGE_RUN, STAGE_MEET };

static SharedLink *shared_link(const Comm *c, const CommRequest *r, int position) {
    return &c->world->links[r->group->ranks[position] * COMM_LANES + r->call->lane];
}

// --- all members arrive, and all end: `met` counts both, collective after collective

static uint64_t met_when(const CommRequest *r, bool ended) {
    uint64_t members = (uint64_t)r->group->count;
    return (2 * (r->sequence - 1) + (ended ? 2 : 1)) * members;
}

static void meet(Comm *c, const CommRequest *r, bool ended) {
    _Atomic uint64_t *met = &shared_link(c, r, 0)->met;
    if (atomic_fetch_add(met, 1) + 1 != met_when(r, ended)) return;
    for (int m = 0; m < r->group->count; m++)
        if (m != r->group->position) world_ring_for(c->world, r->group->ranks[m], met);
}

static bool all_met(Comm *c, CommRequest *r, bool ended) {
    return request_await(r, &shared_link(c, r, 0)->met, met_when(r, ended));
}

// --- rounds

// Bytes that this member sends in a round; a bit is set for each member that takes some.
static int64_t sent_bytes(const Comm *c, const CommRequest *r, int64_t round, uint64_t *takers) {
    const Collective *what = &r->what;
    int64_t elements = 0, begin, count;
    CollectiveStep s;
    *takers = 0;
    for (int m = 0; m < what->ranks; m++) {
        if (!collective_step_from(what, round, r->group->position, m, &s)) continue;
        collective_chunk(what, s.chunk, &begin, &count);
        elements += count;
        *takers |= UINT64_C(1) << m;
    }
    if (r->call->counts) elements = pieces_sent(c, r);
    return elements * dtype_bytes(r->call->dtype);
}

static int64_t received_elements(const Comm *c, const CommRequest *r, const CollectiveStep *s) {
    int64_t begin, count;
    if (r->call->counts) return pieces_received(c, r, s->source);
    collective_chunk(&r->what, s->chunk, &begin, &count);
    return count;
}

// Publish that `ended` rounds are done, at r->end_ns in the model, and wake the members that wait
// for it: those that take something in the next round, and all of them at a border of the window.
static void publish(Comm *c, CommRequest *r, int64_t ended) {
    const CommGroup *g = r->group;
    SharedLane *mine = shared_lane(c, r, g->position);
    uint64_t takers = 0;
    int64_t bytes = ended < collective_rounds(&r->what) ? sent_bytes(c, r, ended, &takers) : 0;
    shared_link(c, r, g->position)->rounds[ended % (2 * LINK_WINDOW)] =
        (LinkRound){r->end_ns, bytes};
    atomic_store(&mine->progress, (r->sequence << 32) + 1 + (uint64_t)ended);
    if (ended % LINK_WINDOW == 0) takers = UINT64_MAX;
    for (int m = 0; m < g->count; m++)
        if (takers >> m & 1 && m != g->position)
            world_ring_for(c->world, g->ranks[m], &mine->progress);
}

// A member's last 2 LINK_WINDOW moments can be read. It begins a window's last round, whose end
// overwrites the first of them, when everyone has ended the window before.
static Status window_open(Comm *c, CommRequest *r, bool *open) {
    int64_t ended = r->round + 1;
    *open = true;
    if (ended % LINK_WINDOW) return OK;
    for (int m = 0; m < r->group->count && *open; m++)
        TRY(perform_await(c, r, m, ended - LINK_WINDOW, open));
    return OK;
}

// The model's end of the current round, whose sources have ended the rounds before.
static int64_t round_end_ns(const Comm *c, const CommRequest *r, int steps) {
    int64_t start_ns = r->end_ns, busiest = 0, received = 0;
    int messages = 0;
    for (int i = 0; i < steps; i++) {
        CollectiveStep s = collective_step(&r->what, r->round, r->group->position, i);
        if (s.source == r->group->position) continue;
        const LinkRound *theirs =
            &shared_link(c, r, s.source)->rounds[r->round % (2 * LINK_WINDOW)];
        if (theirs->end_ns > start_ns) start_ns = theirs->end_ns;
        if (theirs->sent_bytes > busiest) busiest = theirs->sent_bytes;
        received += received_elements(c, r, &s) * dtype_bytes(r->call->dtype);
        messages++;
    }
    if (messages == 0) return r->end_ns;
    if (received > busiest) busiest = received;
    return start_ns + star_latency_ns(&c->world->link) + star_bytes_ns(&c->world->link, busiest);
}

static Status run_rounds(Comm *c, CommRequest *r, bool *ended) {
    int64_t rounds = collective_rounds(&r->what);
    for (; r->round < rounds; r->round++) {
        int steps = collective_steps(&r->what, r->round, r->group->position);
        TRY(window_open(c, r, ended));
        if (*ended) TRY(perform_pull(c, r, steps, ended));
        if (!*ended) return OK;
        r->end_ns = round_end_ns(c, r, steps);
        publish(c, r, r->round + 1);
    }
    *ended = true;
    return OK;
}

// --- a collective

void link_arrive(Comm *c, CommRequest *r) {
    perform_note_arrival(c, r);
    r->end_ns = r->start_ns;
    publish(c, r, 0);
    meet(c, r, false);
}

// All have arrived; have all brought the same call?
static Status check_members(Comm *c, CommRequest *r) {
    bool there;
    for (int m = 0; m < r->group->count; m++) TRY(perform_await(c, r, m, 0, &there));
    return OK;
}

static void note_arrival(const Comm *c, CommRequest *r) {
    for (int m = 0; m < r->group->count; m++) {
        int64_t start_ns = shared_lane(c, r, m)->arrival[r->sequence & 1].start_ns;
        if (r->arrival_ns < start_ns) r->arrival_ns = start_ns;
    }
}

Status link_advance(Comm *c, CommRequest *r, bool *done) {
    if (r->stage == STAGE_GATHER) {
        if (!all_met(c, r, false)) return OK;
        TRY(check_members(c, r));
        r->stage = STAGE_RUN;
    }
    if (r->stage == STAGE_RUN) {
        bool ended;
        TRY(run_rounds(c, r, &ended));
        if (!ended) return OK;
        meet(c, r, true);
        r->stage = STAGE_MEET;
    }
    *done = all_met(c, r, true);
    if (*done) note_arrival(c, r);
    return OK;
}

// --- a message

void link_message(const Comm *c, CommRequest *r) {
    const CommCall *call = r->call;
    if (!c->world->links) return;
    int64_t elements = call->receive ? call_segments_elements(call->output, call->output_count)
                                     : call_segments_elements(call->input, call->input_count);
    r->end_ns = r->arrival_ns + star_latency_ns(&c->world->link) +
                star_bytes_ns(&c->world->link, elements * dtype_bytes(call->dtype));
}
