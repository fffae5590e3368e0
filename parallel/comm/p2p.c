// SPDX-License-Identifier: MIT
// Messages between two ranks that see each other's memory. The sender leaves a note in its lane's
// words: for whom, tag, number, and the handle of its call. The receiver looks through the sender's
// lanes for the note it expects, copies, and marks it as taken.
//
// Both count their messages for each (peer, tag), so that the n-th receive takes the n-th send. A
// sender overwrites a note only after it was taken, hence a note that bears our rank and the number
// we expect stays as it is until we have taken it.
#include "parallel/comm/comm_internal.h"

static int peer_of(const CommRequest *r) { return r->group->ranks[r->call->root]; }

uint32_t p2p_number(Comm *c, const CommRequest *r) {
    SharedRank *mine = shared_rank(c, c->rank);
    return ++(r->call->receive ? mine->received : mine->sent)[peer_of(r)][r->call->tag];
}

// Never 0, which is an empty note.
static uint64_t address_of(int receiver, int tag, uint64_t number) {
    return (uint64_t)(receiver + 1) << 48 | (uint64_t)tag << 32 | number;
}

void p2p_post(Comm *c, CommRequest *r) {
    const CommCall *call = r->call;
    SharedRank *mine = shared_rank(c, c->rank);
    SharedLane *note = &mine->lanes[call->lane];
    int receiver = peer_of(r);
    uint64_t number = p2p_number(c, r),
             post = atomic_load_explicit(&mine->posts, memory_order_relaxed) + 1;
    note->post = r->sequence = post;
    note->handle = call->handle;
    note->start_ns = r->start_ns;
    atomic_store(&note->address, address_of(receiver, call->tag, number));
    atomic_store(&mine->posts, post);
    world_ring(c->world, receiver);
}

static Status take(Comm *c, CommRequest *r, SharedLane *note, int sender) {
    const CommCall *call = r->call;
    const RankMemory *theirs = &c->world->of[sender];
    const Published *sent = world_published(c->world, sender, note->handle);
    const CommSegment *segments = &theirs->segments[sent->input];
    int64_t elements = call_segments_elements(segments, sent->inputs);
    TRY(call_message_disagree(c, r, sender, sent->dtype, elements));
    Term from = {{theirs->pool, segments, sent->inputs}, 0, 1};
    Term to = {{c->pool, call->output, call->output_count}, 0, 1};
    fold_terms(call->dtype, REDUCE_SUM, false, &to, 1, &from, 1, elements);
    call_note_taken(c, call, elements);
    r->arrival_ns = note->start_ns > r->start_ns ? note->start_ns : r->start_ns;
    link_message(c, r);
    note->taken_start_ns = r->start_ns;
    atomic_store(&note->taken, note->post);
    world_ring(c->world, sender);
    return OK;
}

// If the note is not there, whoever posts the next message may bring it: `posts` is read first.
static Status fetch(Comm *c, CommRequest *r, bool *done) {
    int sender = peer_of(r);
    SharedRank *theirs = shared_rank(c, sender);
    uint64_t posts = atomic_load(&theirs->posts),
             address = address_of(c->rank, r->call->tag, r->sequence);
    int lanes = atomic_load(&theirs->lanes_used);
    for (int l = 0; l < lanes; l++) {
        if (atomic_load(&theirs->lanes[l].address) != address) continue;
        *done = true;
        return take(c, r, &theirs->lanes[l], sender);
    }
    request_await(r, &theirs->posts, posts + 1);
    return OK;
}

Status p2p_advance(Comm *c, CommRequest *r, bool *done) {
    if (r->call->receive) return fetch(c, r, done);
    SharedLane *note = &shared_rank(c, c->rank)->lanes[r->call->lane];
    *done = request_await(r, &note->taken, r->sequence);
    if (!*done) return OK;
    call_note_taken(c, r->call, call_segments_elements(r->call->input, r->call->input_count));
    r->arrival_ns = note->taken_start_ns > r->start_ns ? note->taken_start_ns : r->start_ns;
    link_message(c, r);
    return OK;
}
