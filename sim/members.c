// SPDX-License-Identifier: MIT
// Who communicates, as the plan names them: by position in a group, never by number.
#include "sim/members.h"

#include "core/plan/group.h"
#include "parallel/strategy/collective_work.h"

int members_peer(const Program *p, const Work *w, int rank) {
    return work_is_message(w) ? group_peer(p, w->group, rank, w->peer) : NONE;
}

bool members_are_ends(const Program *p, const Work *a, const Program *q, const Work *b) {
    return work_is_message(a) && work_is_message(b) && a->kind != b->kind &&
           work_attr(p, a, 0) == work_attr(q, b, 0);
}

int64_t members_shares(const Program *p, const Work *w, int rank) {
    if (work_is_message(w)) return 1;
    const Collective c = collective_work_collective(p, w);
    if (collective_pushes(&c)) return 1;
    int64_t shares = 0, rounds = collective_rounds(&c);
    for (int64_t t = 0; t < rounds; t++)
        shares += collective_steps(&c, t, group_position(p, w->group, rank)) > 0;
    return shares;
}

static MessagePeer *find_peer(const MessagePeers *m, int rank) {
    for (int i = 0; i < m->count; i++)
        if (m->peers[i].rank == rank) return &m->peers[i];
    return NULL;
}

// The messages of a plan go over a few works: with so many peers at most.
static int count_messages(const Program *p, const Plan *plan) {
    int count = 0;
    for (int i = 0; i < plan->op_count; i++) count += work_is_message(op_work(p, &plan->ops[i]));
    return count;
}

Status message_peers_init(MessagePeers *m, Arena *a, const Program *p, const Plan *plan, int rank) {
    int most = count_messages(p, plan);
    *m = (MessagePeers){0};
    if (!most) return OK;
    if (most > program_ranks(p)) most = program_ranks(p);
    m->peers = ARENA_NEW(a, MessagePeer, most);
    if (!m->peers) FAIL(ERR_MEMORY, "out of memory for simulating a rank");
    for (int i = 0; i < plan->op_count; i++) {
        int peer = members_peer(p, op_work(p, &plan->ops[i]), rank);
        if (peer != NONE && !find_peer(m, peer)) m->peers[m->count++].rank = peer;
    }
    return OK;
}

int32_t message_peers_next(MessagePeers *m, const Program *p, const Work *w, int peer) {
    return ++find_peer(m, peer)
                 ->counts[(uint64_t)work_attr(p, w, 0) % MESSAGE_TAGS * 2 + work_is_send(w)];
}
