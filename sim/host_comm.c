// SPDX-License-Identifier: MIT
// Communication of the ranks of a host, as in shared memory: see sim/simulate_host.c. Read
// host_advance_lane() first.
#include "core/plan/group.h"
#include "parallel/strategy/collective_work.h"
#include "sim/host_internal.h"

// Whom a communication is with: the other end of a message; the members of a collective, by their
// position, and our own.
static int host_peer(const HostSimulation *s, int rank, int op) {
    return members_peer(host_program(s, rank), host_work(s, rank, op), rank);
}
static int host_member_count(const HostSimulation *s, int rank, int op) {
    return group_size(host_program(s, rank), host_work(s, rank, op)->group);
}
static int host_member(const HostSimulation *s, int rank, int op, int i) {
    return group_member(host_program(s, rank), host_work(s, rank, op)->group, rank, i);
}
static int host_position(const HostSimulation *s, int rank, int op) {
    return group_position(host_program(s, rank), host_work(s, rank, op)->group, rank);
}

// The message's other end: same tag and number, in flight on any lane of the peer. NULL: the peer
// has not come to it.
static LaneComm *host_other_end(HostSimulation *s, int rank, int op, const LaneComm *c) {
    int peer = host_peer(s, rank, op);
    SimRank *other = &s->ranks[peer];
    const Program *p = host_program(s, rank), *q = host_program(s, peer);
    for (int lane = 0; lane < q->lane_count; lane++) {
        int theirs = other->progress.at[lane];
        LaneComm *g = &other->comms[lane];
        if (theirs == NONE || !g->in_flight || g->number != c->number) continue;
        if (members_are_ends(p, host_work(s, rank, op), q, host_work(s, peer, theirs)) &&
            host_peer(s, peer, theirs) == rank)
            return g;
    }
    return NULL;
}

// The rounds that a rank has ended of the lane's collective with sequence number `begun`: -1 when
// it has not come to it, INT64_MAX when the collective has ended for it. Messages on the lane are
// not counted: members may have sent and received different numbers of them.
static int64_t host_rounds(const SimRank *r, int lane, int32_t begun) {
    const LaneComm *c = &r->comms[lane];
    if (r->begun[lane] < begun) return -1;
    if (r->begun[lane] > begun || !c->in_flight || c->number) return INT64_MAX;
    return c->round;
}

// The communication begins on this rank. A send's share is to leave its message for the receiver.
static LaneComm host_begin_comm(HostSimulation *s, int rank, int op) {
    const Program *p = host_program(s, rank);
    const Work *w = host_work(s, rank, op);
    LaneComm c = {.in_flight = true, .start_ps = s->engine.now_ps, .rounds = 1, .shares = 1};
    if (work_is_message(w)) {
        c.number = message_peers_next(&s->ranks[rank].peers, p, w, host_peer(s, rank, op));
        return c;
    }
    c.what = collective_work_collective(p, w);
    c.rounds = collective_pushes(&c.what) ? 1 : collective_rounds(&c.what);
    c.shares = members_shares(p, w, rank);
    return c;
}

// A rank that waits may go on: one that spins sees it soon, one that sleeps must be woken.
static Status host_notify(HostSimulation *s, int rank, int other) {
    const HostModel *h = s->host;
    SimRank *r = &s->ranks[other];
    if (r->doing != WAITING || other == rank) return OK;
    int64_t patience = host_oversubscribed(s) ? h->yield_ps : h->spin_ps;
    bool spins = s->engine.now_ps - r->since_ps <= patience;
    int64_t delay = spins                                       ? h->poll_ps
                    : host_core(s, other) == host_core(s, rank) ? h->wake_same_core_ps
                                                                : h->wake_ps;
    r->doing = WAKING;
    return engine_push(&s->engine, NULL, delay, (Event){s->actor, EVENT_WAKE, other, 0});
}

static Status host_notify_members(HostSimulation *s, int rank, int op) {
    for (int i = 0; i < host_member_count(s, rank, op); i++)
        TRY(host_notify(s, rank, host_member(s, rank, op, i)));
    return OK;
}

// The rank comes to its lane's communication. The last to come sets the arrival time of all.
static Status host_arrive(HostSimulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    int op = r->progress.at[lane];
    bool message = work_is_message(host_work(s, rank, op));
    r->begun[lane] += !message;
    r->comms[lane] = host_begin_comm(s, rank, op);
    if (message) {
        LaneComm *c = &r->comms[lane], *other = host_other_end(s, rank, op, c);
        c->arrival_ps = s->engine.now_ps;
        if (other) other->arrival_ps = s->engine.now_ps;
        return host_notify(s, rank, host_peer(s, rank, op));
    }
    for (int i = 0; i < host_member_count(s, rank, op); i++) {
        SimRank *member = &s->ranks[host_member(s, rank, op, i)];
        if (host_rounds(member, lane, r->begun[lane]) >= 0)
            member->comms[lane].arrival_ps = s->engine.now_ps;
    }
    return host_notify_members(s, rank, op);
}

// Have the sources of the next round ended the rounds before it?
static bool host_round_is_ready(HostSimulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    const LaneComm *c = &r->comms[lane];
    int op = r->progress.at[lane], begun = r->begun[lane];
    const Work *w = host_work(s, rank, op);
    if (work_is_send(w)) return true;
    if (work_is_message(w)) {
        const LaneComm *sender = host_other_end(s, rank, op, c);
        return sender && sender->round == 1;
    }
    int members = host_member_count(s, rank, op), position = host_position(s, rank, op);
    for (int i = 0; i < members && collective_pushes(&c->what); i++)
        if (host_rounds(&s->ranks[host_member(s, rank, op, i)], lane, begun) < 0) return false;
    if (collective_pushes(&c->what)) return true;
    int steps = collective_steps(&c->what, c->round, position);
    for (int i = 0; i < steps; i++) {
        int source =
            host_member(s, rank, op, collective_step(&c->what, c->round, position, i).source);
        if (host_rounds(&s->ranks[source], lane, begun) < c->round) return false;
    }
    return true;
}

static bool host_has_share(HostSimulation *s, int rank, int lane) {
    const LaneComm *c = &s->ranks[rank].comms[lane];
    int op = s->ranks[rank].progress.at[lane];
    return work_is_message(host_work(s, rank, op)) || collective_pushes(&c->what) ||
           collective_steps(&c->what, c->round, host_position(s, rank, op)) > 0;
}

// Has the communication ended? Then no other rank reads this one's memory or writes to it.
static bool host_is_through(HostSimulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    int op = r->progress.at[lane];
    const Work *w = host_work(s, rank, op);
    if (work_is_message(w)) return !work_is_send(w) || r->comms[lane].taken;
    for (int i = 0; i < host_member_count(s, rank, op); i++) {
        const SimRank *member = &s->ranks[host_member(s, rank, op, i)];
        if (host_rounds(member, lane, r->begun[lane]) < r->comms[lane].rounds) return false;
    }
    return true;
}

// The next round's share of the operation's CPU time; before the first the executor's own, where
// the recorded steps say it.
static int64_t host_share_cost(const HostSimulation *s, int rank, int op, const LaneComm *c) {
    const Costs *costs = s->o->costs[rank];
    bool begins = !c->share && costs->steps.count;
    __int128 all = host_cost(s, rank, op);
    return (int64_t)(all * (c->share + 1) / c->shares - all * c->share / c->shares) +
           (begins ? costs_dispatch_ps(costs, op, s->ranks[rank].step) : 0);
}

Status host_end_round(HostSimulation *s, int rank, int op, LaneComm *c) {
    c->round++;
    if (!work_is_message(host_work(s, rank, op))) return host_notify_members(s, rank, op);
    LaneComm *other = work_is_send(host_work(s, rank, op)) ? NULL : host_other_end(s, rank, op, c);
    if (other) other->taken = true;
    return host_notify(s, rank, host_peer(s, rank, op));
}

static void host_end_comm(HostSimulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    LaneComm *c = &r->comms[lane];
    int op = r->progress.at[lane];
    int64_t wait = c->arrival_ps > c->start_ps ? c->arrival_ps - c->start_ps : 0;
    host_record(s, rank, op, c->start_ps, wait, host_cost(s, rank, op));
    *c = (LaneComm){0};
    rank_progress_finish(&r->progress, op);
}

Status host_advance_lane(HostSimulation *s, int rank, int lane, bool *busy) {
    SimRank *r = &s->ranks[rank];
    for (int op; (op = r->progress.at[lane]) != NONE && !*busy;) {
        LaneComm *c = &r->comms[lane];
        if (!c->in_flight) {
            if (!rank_progress_may_start(&r->progress, lane)) return OK;
            TRY(host_arrive(s, rank, lane));
        }
        for (; c->round < c->rounds && !host_has_share(s, rank, lane);)
            TRY(host_end_round(s, rank, op, c));
        if (c->round < c->rounds) {
            if (!host_round_is_ready(s, rank, lane)) return OK;
            *busy = true;
            return host_start_work(s, rank, DOING_SHARE, op, lane, host_share_cost(s, rank, op, c));
        }
        if (!host_is_through(s, rank, lane)) return OK;
        int64_t notice_ps = costs_notice_ps(s->o->costs[rank], op, r->step);
        if (notice_ps && !c->noticed) {
            *busy = true;
            return host_start_work(s, rank, DOING_NOTICE, op, lane, notice_ps);
        }
        host_end_comm(s, rank, lane);
    }
    return OK;
}

int host_find_missing(void *context, int rank, int lane, int *out) {
    const HostSimulation *s = context;
    const SimRank *r = &s->ranks[rank];
    int op = r->progress.at[lane], count = 0;
    if (work_is_message(host_work(s, rank, op))) {
        *out = host_peer(s, rank, op);
        return 1;
    }
    for (int i = 0; i < host_member_count(s, rank, op); i++) {
        int other = host_member(s, rank, op, i);
        int64_t rounds = host_rounds(&s->ranks[other], lane, r->begun[lane]);
        if (other != rank && rounds < r->comms[lane].rounds) out[count++] = other;
    }
    return count;
}
