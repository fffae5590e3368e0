// SPDX-License-Identifier: MIT
// Ranks with a device of their own. Every lane works by itself: an operation starts when those it
// depends on and the one before it on its lane have ended, and the host has issued it. A
// collective's messages travel over the network by its schedule, each member from its arrival on,
// and for a member it ends when it has ended its own last round; a message between two ranks leaves
// when both have come to it.
// Read advance() first, then arrive() for collectives and meet_peer() for messages.
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/plan/group.h"
#include "parallel/strategy/collective_work.h"
#include "sim/members.h"
#include "sim/rank_progress.h"
#include "sim/simulate.h"
#include "sim/transfer.h"

#include <stdlib.h>

// What a lane is doing.
typedef struct {
    bool busy;
    bool issued;  // by the host; until then the operation waits, ready on the device
    int64_t ready_ps, start_ps;
    int32_t pending;  // of a collective
    int32_t number;   // of a message: its sequence number among those with this peer and tag
    bool under_way;   // of a message: both ends have come to it
    int64_t arrival_ps;
} Activity;

typedef struct {
    RankProgress progress;
    Activity *lanes;
    int32_t *begun;  // per lane: collectives begun
    MessagePeers peers;
    int step;
    int64_t begin_ps;  // of the step
    bool ended;
} DeviceRank;

// One collective of one group, from its first member's arrival to its last member's end.
typedef struct {
    int32_t leader, lane, begun;  // member 0 of the group, its lane, the sequence number there
    int32_t next;                 // of the same leader and lane, or of the unused ones; or NONE
    int32_t transfer, arrived, left;
    int64_t arrival_ps;  // of the last member
    int32_t *ranks;      // owned: the members
    int capacity;        // of ranks
} PendingCollective;

typedef struct {
    const SimulateOptions *o;
    Timeline *const *timelines;
    const TopologyOptions *network_of;  // NULL: communication takes its cost
    Engine engine;
    Network network;
    Topology topology;
    Transfers transfers;
    ClassOrder *orders;
    int lanes;  // of every program
    DeviceRank *ranks;
    int32_t *pending_of;         // per leader and lane: the first of its pending, or NONE
    PendingCollective *pending;  // owned
    int pending_count, pending_capacity;
    int32_t spare;
    bool alone;     // no collective travels while another does
    int64_t ended;  // executions of operations that have ended
    int16_t actor;
} Simulation;

enum { ISSUED, WORK_ENDS, COLLECTIVE_ENDS, MESSAGE_ENDS };

static const LaneOrder *order_of(const Simulation *s, int rank) {
    return s->ranks[rank].progress.order;
}
static const Program *program_of(const Simulation *s, int rank) {
    return order_of(s, rank)->program;
}
static const Work *work_of(const Simulation *s, int rank, int op) {
    return op_work(program_of(s, rank), &order_of(s, rank)->plan->ops[op]);
}

static void record(Simulation *s, int rank, int op, const Activity *a, int64_t arrival_ps) {
    const OpCost *cost = &s->o->costs[rank]->ops[s->o->plan][op];
    int64_t now = s->engine.now_ps, wait = arrival_ps > a->start_ps ? arrival_ps - a->start_ps : 0;
    s->ended++;
    bool computes = kind_class(work_kind(work_of(s, rank, op))) == CLASS_COMPUTE;
    timeline_add_span(s->timelines[rank],
                      &(Span){.start_ps = a->start_ps,
                              .end_ps = now,
                              .op = op,
                              .lane = order_of(s, rank)->plan->ops[op].lane,
                              .wait_ns = wait / 1000,
                              .cpu_ns = computes ? (now - a->start_ps + 999) / 1000 : 0,
                              .issue_ps = a->start_ps - a->ready_ps,
                              .source = cost->source});
}

static Status advance(Simulation *s, int rank);

static Status end_operation(Simulation *s, int rank, int lane, int64_t arrival_ps) {
    DeviceRank *r = &s->ranks[rank];
    int op = r->progress.at[lane];
    record(s, rank, op, &r->lanes[lane], arrival_ps);
    r->lanes[lane] = (Activity){0};
    rank_progress_finish(&r->progress, op);
    return advance(s, rank);
}

// --- collectives

static Status new_pending(Simulation *s, int32_t *out, int rank, int group, int lane) {
    const Program *p = program_of(s, rank);
    int32_t i = s->spare;
    if (i == NONE) {
        TRY(ARRAY_RESERVE(s->pending, s->pending_capacity, s->pending_count + 1));
        i = s->pending_count++;
        s->pending[i] = (PendingCollective){0};
    } else
        s->spare = s->pending[i].next;
    PendingCollective *c = &s->pending[i];
    c->left = group_size(p, group);
    TRY(ARRAY_RESERVE(c->ranks, c->capacity, c->left));
    for (int k = 0; k < c->left; k++) c->ranks[k] = group_member(p, group, rank, k);
    int32_t *first = &s->pending_of[c->ranks[0] * s->lanes + lane];
    c->leader = c->ranks[0];
    c->lane = lane;
    c->begun = s->ranks[rank].begun[lane];
    c->next = *first;
    c->arrived = 0;
    *first = i;
    *out = i;
    return OK;
}

static int32_t find_pending(const Simulation *s, int leader, int lane, int begun) {
    int32_t i = s->pending_of[leader * s->lanes + lane];
    while (i != NONE && s->pending[i].begun != begun) i = s->pending[i].next;
    return i;
}

static void free_pending(Simulation *s, int32_t i) {
    PendingCollective *m = &s->pending[i];
    int32_t *link = &s->pending_of[m->leader * s->lanes + m->lane];
    while (*link != i) link = &s->pending[*link].next;
    *link = m->next;
    m->next = s->spare;
    s->spare = i;
}

static int64_t cost_of(const Simulation *s, int rank, int op) {
    return costs_op_ps(s->o->costs[rank], s->o->plan, op, s->ranks[rank].step);
}

// The lane's leader is the collective, at each member.
static int64_t recorded_cost(const Simulation *s, int32_t i, int member) {
    int rank = s->pending[i].ranks[member];
    return cost_of(s, rank, s->ranks[rank].progress.at[s->pending[i].lane]);
}

// All members have arrived; from now on the collective takes each as long as was recorded.
static Status end_as_recorded(Simulation *s, int32_t i) {
    for (int m = 0; m < s->pending[i].left; m++)
        TRY(engine_push(&s->engine, NULL, recorded_cost(s, i, m),
                        (Event){s->actor, COLLECTIVE_ENDS, i, m}));
    return OK;
}

// A rank comes to a collective, whose sequence number on the lane is the same at all members: they
// issue the same collectives in the same order.
static Status arrive(Simulation *s, int rank, int op, int lane) {
    const Program *p = program_of(s, rank);
    const Work *w = work_of(s, rank, op);
    DeviceRank *r = &s->ranks[rank];
    int begun = ++r->begun[lane];
    int32_t i = find_pending(s, group_member(p, w->group, rank, 0), lane, begun);
    bool first = i == NONE;
    if (first) TRY(new_pending(s, &i, rank, w->group, lane));
    r->lanes[lane].pending = i;
    s->pending[i].arrived++;
    s->pending[i].arrival_ps = s->engine.now_ps;
    if (!s->network_of)
        return s->pending[i].arrived == group_size(p, w->group) ? end_as_recorded(s, i) : OK;
    if (first) {
        const TransferCall call = {.what = collective_work_collective(p, w),
                                   .alone = s->alone,
                                   .element_bytes = dtype_bytes((Dtype)w->dtype),
                                   .devices = s->pending[i].ranks,
                                   .done = {s->actor, COLLECTIVE_ENDS, i, 0}};
        TRY(transfer_begin(&s->transfers, &s->pending[i].transfer, &call));
    }
    return transfer_arrive(&s->transfers, s->pending[i].transfer, group_position(p, w->group, rank),
                           0);
}

static Status end_collective(Simulation *s, int32_t i, int member) {
    PendingCollective *m = &s->pending[i];
    int rank = m->ranks[member], lane = m->lane;
    int64_t arrival = m->arrival_ps;
    if (--m->left == 0) free_pending(s, i);
    return end_operation(s, rank, lane, arrival);
}

// --- messages

// The lane on which the peer waits for this message; NONE: the peer has not come to it.
static int find_other_end(Simulation *s, int rank, int op, int peer, int32_t number) {
    const DeviceRank *other = &s->ranks[peer];
    for (int lane = 0; lane < s->lanes; lane++) {
        int theirs = other->progress.at[lane];
        const Activity *a = &other->lanes[lane];
        if (theirs == NONE || !a->issued || a->under_way || a->number != number) continue;
        const Program *p = program_of(s, rank), *q = program_of(s, peer);
        const Work *w = work_of(s, peer, theirs);
        if (members_are_ends(p, work_of(s, rank, op), q, w) && members_peer(q, w, peer) == rank)
            return lane;
    }
    return NONE;
}

static Status meet_peer(Simulation *s, int rank, int op, int lane) {
    const Program *p = program_of(s, rank);
    const Work *w = work_of(s, rank, op);
    DeviceRank *r = &s->ranks[rank];
    int peer = members_peer(p, w, rank);
    Activity *mine = &r->lanes[lane];
    mine->number = message_peers_next(&r->peers, p, w, peer);
    int their_lane = find_other_end(s, rank, op, peer, mine->number);
    if (their_lane == NONE) return OK;
    Activity *theirs = &s->ranks[peer].lanes[their_lane];
    mine->under_way = theirs->under_way = true;
    mine->arrival_ps = theirs->arrival_ps = s->engine.now_ps;
    int64_t ends = ((int64_t)rank * s->lanes + lane) << 32 | (peer * s->lanes + their_lane);
    const Event event = {s->actor, MESSAGE_ENDS, 0, ends};
    if (!s->network_of) return engine_push(&s->engine, NULL, cost_of(s, rank, op), event);
    Path path = work_is_send(w) ? topology_path(&s->topology, rank, peer)
                                : topology_path(&s->topology, peer, rank);
    return network_start(&s->network, &path, w->payload_bytes, event);
}

static Status end_of_message(Simulation *s, int64_t end) {
    int rank = (int)(end / s->lanes), lane = (int)(end % s->lanes);
    return end_operation(s, rank, lane, s->ranks[rank].lanes[lane].arrival_ps);
}

// --- a rank

static Status start(Simulation *s, int rank, int op, int lane) {
    Activity *a = &s->ranks[rank].lanes[lane];
    a->issued = true;
    a->start_ps = s->engine.now_ps;
    const Work *w = work_of(s, rank, op);
    if (work_communicates(w))
        return work_is_message(w) ? meet_peer(s, rank, op, lane) : arrive(s, rank, op, lane);
    return engine_push(&s->engine, NULL, cost_of(s, rank, op),
                       (Event){s->actor, WORK_ENDS, rank, lane});
}

// Everything that the operation waits for has ended. It starts as soon as the host has issued it.
static Status become_ready(Simulation *s, int rank, int op, int lane) {
    const DeviceRank *r = &s->ranks[rank];
    int64_t now = s->engine.now_ps;
    r->lanes[lane] = (Activity){.busy = true, .ready_ps = now};
    const int64_t *issued = s->o->costs[rank]->issued_ps;
    if (!issued || issued[op] <= now - r->begin_ps) return start(s, rank, op, lane);
    return engine_push(&s->engine, NULL, issued[op] - (now - r->begin_ps),
                       (Event){s->actor, ISSUED, rank, lane});
}

static Status be_issued(Simulation *s, int rank, int lane) {
    return start(s, rank, s->ranks[rank].progress.at[lane], lane);
}

// Start what may start; with nothing left the step ends, and the next one begins.
static Status advance(Simulation *s, int rank) {
    DeviceRank *r = &s->ranks[rank];
    while (!r->progress.left) {
        timeline_end_step(s->timelines[rank], s->engine.now_ps);
        r->ended = ++r->step >= (s->o->steps ? s->o->steps : 1);
        if (r->ended) return OK;
        r->begin_ps = s->engine.now_ps;
        timeline_begin_step(s->timelines[rank], s->o->plan, r->step, r->begin_ps);
        rank_progress_begin(&r->progress);
    }
    for (int lane = 0; lane < s->lanes; lane++) {
        int op = r->progress.at[lane];
        if (op != NONE && !r->lanes[lane].busy && rank_progress_may_start(&r->progress, op))
            TRY(become_ready(s, rank, op, lane));
    }
    return OK;
}

static Status handle(void *context, Event e) {
    Simulation *s = context;
    switch (e.kind) {
    case ISSUED: return be_issued(s, e.a, (int)e.b);
    case WORK_ENDS: return end_operation(s, e.a, (int)e.b, 0);
    case COLLECTIVE_ENDS: return end_collective(s, e.a, (int)e.b);
    case MESSAGE_ENDS: TRY(end_of_message(s, e.b >> 32)); return end_of_message(s, e.b & INT32_MAX);
    default: return OK;
    }
}

// --- the simulation

static const RankProgress *progress_of(void *context, int rank) {
    return &((Simulation *)context)->ranks[rank].progress;
}

static bool is_started(void *context, int rank, int lane) {
    return ((Simulation *)context)->ranks[rank].lanes[lane].busy;
}

// The ranks that the lane waits for: members that have not arrived, or a message's other end.
static int find_missing(void *context, int rank, int lane, int *out) {
    Simulation *s = context;
    const DeviceRank *r = &s->ranks[rank];
    const Program *p = program_of(s, rank);
    const Work *w = work_of(s, rank, r->progress.at[lane]);
    int count = 0;
    if (work_is_message(w)) {
        *out = members_peer(p, w, rank);
        return 1;
    }
    for (int i = 0; i < group_size(p, w->group); i++) {
        int other = group_member(p, w->group, rank, i);
        if (s->ranks[other].begun[lane] < r->begun[lane]) out[count++] = other;
    }
    return count;
}

static Status deadlock(Simulation *s, Arena *a) {
    const DeadlockReport still = {s, s->o->ranks, progress_of, is_started, find_missing};
    return rank_progress_deadlock(&still, a);
}

static Status watch(void *context) {
    const Simulation *s = context;
    return simulate_watch(s->o, s->ended);
}

static Status init_rank(Simulation *s, Arena *a, int rank) {
    DeviceRank *r = &s->ranks[rank];
    const LaneOrder *order;
    TRY(class_order_of(&order, &s->orders, a, s->o, rank));
    TRY(costs_complete(s->o->costs[rank], s->o->plan));
    TRY(rank_progress_init(&r->progress, a, order));
    r->lanes = ARENA_NEW(a, Activity, s->lanes + 1);
    r->begun = ARENA_NEW(a, int32_t, s->lanes + 1);
    TRY(message_peers_init(&r->peers, a, order->program, order->plan, rank));
    if (!r->lanes || !r->begun)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    timeline_begin_step(s->timelines[rank], s->o->plan, 0, 0);
    return OK;
}

// Does one lane carry all communication, and is all of it direct all-reduces of all ranks? Nobody
// begins one of these before all have ended the one before.
static bool communicates_in_turn(const LaneOrder *o, int ranks) {
    int lane = NONE;
    for (int i = 0; i < o->plan->op_count; i++) {
        const Op *op = &o->plan->ops[i];
        const Work *w = op_work(o->program, op);
        if (!work_communicates(w)) continue;
        if (lane != NONE && lane != op->lane) return false;
        lane = op->lane;
        if (w->kind != KIND_ALL_REDUCE || w->algorithm != ALGORITHM_DIRECT ||
            group_size(o->program, w->group) != ranks)
            return false;
    }
    return true;
}

static Status init(Simulation *s, Arena *a, const TopologyOptions *topology) {
    TRY(engine_init(&s->engine));
    TRY(engine_add_actor(&s->engine, &s->actor, s, handle, NULL));
    engine_watch(&s->engine, s, watch);
    TRY(network_init(&s->network, &s->engine));
    if (topology) TRY(topology_init(&s->topology, &s->network, topology));
    TRY(transfers_init(&s->transfers, &s->engine, &s->network, &s->topology));
    s->lanes = s->o->costs[0]->program->lane_count;
    int slots = s->o->ranks * s->lanes;
    s->ranks = ARENA_NEW(a, DeviceRank, s->o->ranks);
    s->pending_of = ARENA_NEW(a, int32_t, slots + 1);
    if (!s->ranks || !s->pending_of)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    for (int i = 0; i < slots; i++) s->pending_of[i] = NONE;
    for (int r = 0; r < s->o->ranks; r++) TRY(init_rank(s, a, r));
    s->alone = true;
    for (const ClassOrder *o = s->orders; o; o = o->next)
        s->alone &= communicates_in_turn(&o->lanes, s->o->ranks);
    return OK;
}

static Status run(Simulation *s, Arena *a, const TopologyOptions *topology) {
    if (topology && topology->nodes * topology->devices_per_node < s->o->ranks)
        FAIL(ERR_USAGE, "%d ranks need a device each, and the machine has %d", s->o->ranks,
             topology->nodes * topology->devices_per_node);
    TRY(init(s, a, topology));
    for (int r = 0; r < s->o->ranks; r++) TRY(advance(s, r));
    TRY(engine_run(&s->engine));
    for (int r = 0; r < s->o->ranks; r++)
        if (!s->ranks[r].ended) return deadlock(s, a);
    return OK;
}

static void finish(Simulation *s) {
    transfers_finish(&s->transfers);
    network_finish(&s->network);
    engine_finish(&s->engine);
    for (int i = 0; i < s->pending_count; i++) free(s->pending[i].ranks);
    free(s->pending);
}

Status simulate_devices(Timeline *const timelines[], const SimulateOptions *options,
                        const TopologyOptions *topology) {
    Arena scratch = {0};
    Simulation s = {.o = options, .timelines = timelines, .network_of = topology, .spare = NONE};
    Status status = run(&s, &scratch, topology);
    finish(&s);
    arena_finish(&scratch);
    return status;
}
