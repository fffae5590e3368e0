// SPDX-License-Identifier: MIT
// Ranks as threads on the cores of a host. Communication is as in shared memory
// (parallel/comm/perform.c): a member goes through the rounds of the schedule, in each of which it
// does a share of the work itself once its sources have come as far; when all members have ended
// their last round, the collective has ended for all. A rank communicates between its other
// operations only, as the executor does (parallel/run/executor.c).
//
// A rank's thread, by what it does (Doing). host_run_rank() decides, every other arrow is an event:
//
//             +------------------- host_end_work() --------------------+
//             v                                                        |
//       DOING_NOTHING --> host_run_rank() --> DOING_SHARE, a round ----+
//             ^                |    |   \--> DOING_WORK, an operation -+
//             |                |    |
//          EVENT_WAKE          |    +--> ENDED, when no step is left
//             |                v
//          WAKING <-------- WAITING
//             host_notify(): a peer went on
//
// Ranks that DO something need their core: host_start_work() adds one to it. A core divides its
// time equally (processor sharing). Whenever the number of its busy ranks changes,
// host_update_demand() takes off what each has had, and host_schedule_core() sets the one event
// (EVENT_CORE) at which the first of them will have had enough: host_end_slice().
#include "core/base/arena.h"
#include "parallel/strategy/collective_work.h"
#include "sim/engine.h"
#include "sim/members.h"
#include "sim/rank_progress.h"
#include "sim/simulate.h"

// What a rank's thread does.
typedef enum { DOING_NOTHING, DOING_WORK, DOING_SHARE, WAITING, WAKING, ENDED } Doing;

// The communication in flight on a lane of a rank.
typedef struct {
    bool in_flight;
    Collective what;        // of a collective
    int64_t round, rounds;  // ended; in all
    int64_t share, shares;  // rounds in which this rank does something: done; in all
    int64_t start_ps, arrival_ps;
    int32_t number;  // of a message: its sequence number among those with this peer and tag
    bool taken;      // a send whose receiver has it
} LaneComm;

typedef struct {
    RankProgress progress;
    LaneComm *comms;   // per lane
    int32_t *begun;    // per lane: comms begun, the one in flight included
    int32_t *numbers;  // per peer, sent and received messages
    Doing doing;
    int op, lane;       // being worked on
    int step;           // of the options' steps
    int64_t since_ps;   // of the work; or of the wait
    int64_t demand_ps;  // CPU time still needed
} SimRank;

typedef struct {
    const SimulateOptions *o;
    const HostModel *host;
    Timeline *const *timelines;
    Engine engine;
    LaneOrder order;
    SimRank *ranks;
    int *members;         // room for a group
    int64_t *core_ps;     // per core: the time up to which its ranks' demand is reduced
    EventId *core_event;  // per core: when its first busy rank will have had enough, or 0
    int64_t ended;        // executions of operations that have ended
    int16_t actor;
} Simulation;

enum { EVENT_CORE, EVENT_WAKE };

static int host_core(const Simulation *s, int rank) { return rank % s->host->cores; }
static bool host_needs_core(const SimRank *r) {
    return r->doing == DOING_WORK || r->doing == DOING_SHARE;
}
static bool host_oversubscribed(const Simulation *s) { return s->o->ranks > s->host->cores; }

// --- cores: processor sharing

static int host_busy_ranks(const Simulation *s, int core) {
    int count = 0;
    for (int r = core; r < s->o->ranks; r += s->host->cores) count += host_needs_core(&s->ranks[r]);
    return count;
}

// Each of n busy ranks has had an n-th of the time since; rounded down, so that none ends early.
static void host_update_demand(Simulation *s, int core) {
    int n = host_busy_ranks(s, core);
    int64_t passed = n ? (s->engine.now_ps - s->core_ps[core]) / n : 0;
    for (int r = core; r < s->o->ranks; r += s->host->cores)
        if (host_needs_core(&s->ranks[r])) s->ranks[r].demand_ps -= passed;
    s->core_ps[core] = s->engine.now_ps;
}

// Set the event at which the first busy rank of the core will have had enough.
static Status host_schedule_core(Simulation *s, int core) {
    int n = host_busy_ranks(s, core);
    int64_t least = INT64_MAX;
    for (int r = core; r < s->o->ranks; r += s->host->cores)
        if (host_needs_core(&s->ranks[r]) && s->ranks[r].demand_ps < least)
            least = s->ranks[r].demand_ps;
    if (s->core_event[core]) engine_cancel(&s->engine, s->core_event[core]);
    s->core_event[core] = 0;
    if (!n) return OK;
    if (least > INT64_MAX / n)
        FAIL(ERR_FAILED, "simulated time ends after 106 days: %d ranks of a core need longer", n);
    const Event event = {s->actor, EVENT_CORE, core, 0};
    return engine_push(&s->engine, &s->core_event[core], least > 0 ? least * n : 0, event);
}

static Status host_start_work(Simulation *s, int rank, Doing what, int op, int lane,
                              int64_t demand_ps) {
    SimRank *r = &s->ranks[rank];
    int core = host_core(s, rank);
    host_update_demand(s, core);
    r->doing = what;
    r->op = op;
    r->lane = lane;
    r->since_ps = s->engine.now_ps;
    r->demand_ps = demand_ps;
    return host_schedule_core(s, core);
}

// --- operations and what they cost

static const Work *host_work(const Simulation *s, int op) {
    return op_work(s->o->program, &s->order.plan->ops[op]);
}

static int64_t host_cost(const Simulation *s, int rank, int op) {
    return s->o->costs[rank]->ops[s->o->plan][op].ps;
}

// The executor's own time before an operation; before the first of a step it has a time for the
// whole step besides.
static int64_t host_dispatch(const Simulation *s, int rank) {
    const SimRank *r = &s->ranks[rank];
    bool first = r->progress.left == s->order.plan->op_count;
    return s->o->costs[rank]->dispatch_ps + (first ? s->o->costs[rank]->turn_ps : 0);
}

static int64_t host_demand(const Simulation *s, int rank, int op) {
    int64_t cost_ps = host_cost(s, rank, op), dispatch_ps = host_dispatch(s, rank);
    return cost_ps > INT64_MAX - dispatch_ps ? INT64_MAX : cost_ps + dispatch_ps;
}

static void host_record(Simulation *s, int rank, int op, int64_t start_ps, int64_t wait_ps,
                        int64_t cpu_ps) {
    s->ended++;
    timeline_add_span(s->timelines[rank],
                      &(Span){.start_ps = start_ps,
                              .end_ps = s->engine.now_ps,
                              .op = op,
                              .lane = s->order.plan->ops[op].lane,
                              .wait_ns = wait_ps / 1000,
                              .cpu_ns = cpu_ps / 1000,
                              .source = s->o->costs[rank]->ops[s->o->plan][op].source});
}

// --- communication

static Members host_members(Simulation *s, int rank, int op) {
    Members m = {.ranks = s->members};
    members_find(&m, s->o->program, host_work(s, op), rank);
    return m;
}

// The message's other end: same tag and number, in flight on any lane of the peer. NULL: the peer
// has not come to it.
static LaneComm *host_other_end(Simulation *s, int rank, int op, const LaneComm *c) {
    int peer = host_members(s, rank, op).peer;
    SimRank *other = &s->ranks[peer];
    for (int lane = 0; lane < s->o->program->lane_count; lane++) {
        int theirs = other->progress.at[lane];
        LaneComm *g = &other->comms[lane];
        if (theirs == NONE || !g->in_flight || g->number != c->number) continue;
        if (members_are_ends(s->o->program, host_work(s, op), host_work(s, theirs)) &&
            host_members(s, peer, theirs).peer == rank)
            return g;
    }
    return NULL;
}

// The rounds that a rank has ended of the lane's collective with sequence number `begun`: -1 when
// it has not come to it, INT64_MAX when the collective has ended for it.
static int64_t host_rounds(const SimRank *r, int lane, int32_t begun) {
    if (r->begun[lane] < begun) return -1;
    if (r->begun[lane] > begun || !r->comms[lane].in_flight) return INT64_MAX;
    return r->comms[lane].round;
}

// Rounds in which the member has something to do.
static int64_t host_count_shares(const Collective *c, int64_t rounds, int member) {
    if (collective_pushes(c)) return 1;
    int64_t shares = 0;
    for (int64_t t = 0; t < rounds; t++) shares += collective_steps(c, t, member) > 0;
    return shares;
}

// The communication begins on this rank. A send's share is to leave its message for the receiver.
static LaneComm host_begin_comm(Simulation *s, int rank, int op) {
    const Work *w = host_work(s, op);
    LaneComm c = {.in_flight = true, .start_ps = s->engine.now_ps, .rounds = 1, .shares = 1};
    if (work_is_message(w)) {
        int at = members_message_count_at(s->o->program, w, host_members(s, rank, op).peer);
        c.number = ++s->ranks[rank].numbers[at];
        return c;
    }
    c.what = collective_work_collective(s->o->program, w);
    c.rounds = collective_pushes(&c.what) ? 1 : collective_rounds(&c.what);
    c.shares = host_count_shares(&c.what, c.rounds, host_members(s, rank, op).position);
    return c;
}

// A rank that waits may go on: one that spins sees it soon, one that sleeps must be woken.
static Status host_notify(Simulation *s, int rank, int other) {
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

static Status host_notify_members(Simulation *s, int rank, int op) {
    Members m = host_members(s, rank, op);
    for (int i = 0; i < m.count; i++) TRY(host_notify(s, rank, m.ranks[i]));
    return OK;
}

// The rank comes to its lane's communication. The last to come sets the arrival time of all.
static Status host_arrive(Simulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    int op = r->progress.at[lane];
    r->begun[lane]++;
    r->comms[lane] = host_begin_comm(s, rank, op);
    if (work_is_message(host_work(s, op))) {
        LaneComm *c = &r->comms[lane], *other = host_other_end(s, rank, op, c);
        c->arrival_ps = s->engine.now_ps;
        if (other) other->arrival_ps = s->engine.now_ps;
        return host_notify(s, rank, host_members(s, rank, op).peer);
    }
    Members m = host_members(s, rank, op);
    for (int i = 0; i < m.count; i++)
        if (host_rounds(&s->ranks[m.ranks[i]], lane, r->begun[lane]) >= 0)
            s->ranks[m.ranks[i]].comms[lane].arrival_ps = s->engine.now_ps;
    return host_notify_members(s, rank, op);
}

// Have the sources of the next round ended the rounds before it?
static bool host_round_is_ready(Simulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    const LaneComm *c = &r->comms[lane];
    int op = r->progress.at[lane], begun = r->begun[lane];
    const Work *w = host_work(s, op);
    if (work_is_send(w)) return true;
    if (work_is_message(w)) {
        const LaneComm *sender = host_other_end(s, rank, op, c);
        return sender && sender->round == 1;
    }
    Members m = host_members(s, rank, op);
    for (int i = 0; i < m.count && collective_pushes(&c->what); i++)
        if (host_rounds(&s->ranks[m.ranks[i]], lane, begun) < 0) return false;
    if (collective_pushes(&c->what)) return true;
    int steps = collective_steps(&c->what, c->round, m.position);
    for (int i = 0; i < steps; i++) {
        int source = m.ranks[collective_step(&c->what, c->round, m.position, i).source];
        if (host_rounds(&s->ranks[source], lane, begun) < c->round) return false;
    }
    return true;
}

static bool host_has_share(Simulation *s, int rank, int lane) {
    const LaneComm *c = &s->ranks[rank].comms[lane];
    int op = s->ranks[rank].progress.at[lane];
    return work_is_message(host_work(s, op)) || collective_pushes(&c->what) ||
           collective_steps(&c->what, c->round, host_members(s, rank, op).position) > 0;
}

// Has the communication ended? Then no other rank reads this one's memory or writes to it.
static bool host_is_through(Simulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    int op = r->progress.at[lane];
    const Work *w = host_work(s, op);
    if (work_is_message(w)) return !work_is_send(w) || r->comms[lane].taken;
    Members m = host_members(s, rank, op);
    for (int i = 0; i < m.count; i++)
        if (host_rounds(&s->ranks[m.ranks[i]], lane, r->begun[lane]) < r->comms[lane].rounds)
            return false;
    return true;
}

// The next round's share of the operation's CPU time.
static int64_t host_share_cost(const Simulation *s, int rank, int op, const LaneComm *c) {
    __int128 all = host_cost(s, rank, op);
    return (int64_t)(all * (c->share + 1) / c->shares - all * c->share / c->shares);
}

static Status host_end_round(Simulation *s, int rank, int op, LaneComm *c) {
    c->round++;
    if (!work_is_message(host_work(s, op))) return host_notify_members(s, rank, op);
    LaneComm *other = work_is_send(host_work(s, op)) ? NULL : host_other_end(s, rank, op, c);
    if (other) other->taken = true;
    return host_notify(s, rank, host_members(s, rank, op).peer);
}

static void host_end_comm(Simulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    LaneComm *c = &r->comms[lane];
    int op = r->progress.at[lane];
    int64_t wait = c->arrival_ps > c->start_ps ? c->arrival_ps - c->start_ps : 0;
    host_record(s, rank, op, c->start_ps, wait, host_cost(s, rank, op));
    *c = (LaneComm){0};
    rank_progress_finish(&r->progress, op);
}

// As far as the lane's communications get without CPU time; *busy: the thread now works on one.
static Status host_advance_lane(Simulation *s, int rank, int lane, bool *busy) {
    SimRank *r = &s->ranks[rank];
    for (int op; (op = r->progress.at[lane]) != NONE && !*busy;) {
        LaneComm *c = &r->comms[lane];
        if (!c->in_flight) {
            if (!rank_progress_may_start(&r->progress, op)) return OK;
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
        host_end_comm(s, rank, lane);
    }
    return OK;
}

// --- the rank's thread

static Status host_run_rank(Simulation *s, int rank);

static Status host_end_step(Simulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    int64_t now = s->engine.now_ps;
    timeline_end_step(s->timelines[rank], now);
    r->doing = ENDED;
    if (++r->step >= (s->o->steps ? s->o->steps : 1)) return OK;
    timeline_begin_step(s->timelines[rank], s->o->plan, r->step, now);
    rank_progress_begin(&r->progress);
    return host_run_rank(s, rank);
}

// The thread has the core and decides what to do next, as executor_advance() does.
static Status host_run_rank(Simulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    const Program *p = s->o->program;
    bool busy = false;
    r->doing = DOING_NOTHING;
    for (int lane = 0; lane < p->lane_count && !busy; lane++)
        if (p->lanes[lane].kind == LANE_COMMUNICATION) TRY(host_advance_lane(s, rank, lane, &busy));
    if (busy) return OK;
    if (!r->progress.left) return host_end_step(s, rank);
    int op = rank_progress_ready_work(&r->progress);
    if (op != NONE)
        return host_start_work(s, rank, DOING_WORK, op, s->order.plan->ops[op].lane,
                               host_demand(s, rank, op));
    r->doing = WAITING;
    r->since_ps = s->engine.now_ps;
    return OK;
}

// The operation, or the round, has had the CPU time that it needs.
static Status host_end_work(Simulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    int op = r->op;
    bool share = r->doing == DOING_SHARE;
    r->doing = DOING_NOTHING;
    if (share) {
        LaneComm *c = &r->comms[r->lane];
        c->share++;
        TRY(host_end_round(s, rank, op, c));
        return host_run_rank(s, rank);
    }
    int64_t start = r->since_ps + host_dispatch(s, rank), now = s->engine.now_ps;
    host_record(s, rank, op, start < now ? start : now, 0, host_cost(s, rank, op));
    rank_progress_finish(&r->progress, op);
    return host_run_rank(s, rank);
}

// A time slice ends: ranks that have had enough go on, the others share the core anew.
static Status host_end_slice(Simulation *s, int core) {
    s->core_event[core] = 0;
    host_update_demand(s, core);
    for (int r = core; r < s->o->ranks; r += s->host->cores)
        if (host_needs_core(&s->ranks[r]) && s->ranks[r].demand_ps <= 0) TRY(host_end_work(s, r));
    host_update_demand(s, core);
    return host_schedule_core(s, core);
}

static Status host_handle(void *context, Event e) {
    Simulation *s = context;
    if (e.kind == EVENT_CORE) return host_end_slice(s, e.a);
    return host_run_rank(s, e.a);
}

// --- the simulation

static const RankProgress *host_progress(void *context, int rank) {
    return &((Simulation *)context)->ranks[rank].progress;
}

static bool host_is_started(void *context, int rank, int lane) {
    return ((Simulation *)context)->ranks[rank].comms[lane].in_flight;
}

// The ranks that the lane waits for: members with rounds left, or a message's other end.
static int host_find_missing(void *context, int rank, int lane, int *out) {
    Simulation *s = context;
    const SimRank *r = &s->ranks[rank];
    Members m = host_members(s, rank, r->progress.at[lane]);
    int count = 0;
    if (m.peer != NONE) out[count++] = m.peer;
    for (int i = 0; i < m.count && m.peer == NONE; i++) {
        int64_t rounds = host_rounds(&s->ranks[m.ranks[i]], lane, r->begun[lane]);
        if (m.ranks[i] != rank && rounds < r->comms[lane].rounds) out[count++] = m.ranks[i];
    }
    return count;
}

static Status host_deadlock(Simulation *s, Arena *a) {
    const DeadlockReport still = {s, s->o->ranks, host_progress, host_is_started,
                                  host_find_missing};
    return rank_progress_deadlock(&still, a);
}

static Status host_watch(void *context) {
    const Simulation *s = context;
    return simulate_watch(s->o, s->ended);
}

static Status host_init_rank(Simulation *s, Arena *a, int rank) {
    SimRank *r = &s->ranks[rank];
    int lanes = s->o->program->lane_count;
    TRY(costs_complete(s->o->costs[rank], s->o->plan));
    TRY(rank_progress_init(&r->progress, a, &s->order));
    r->comms = ARENA_NEW(a, LaneComm, lanes + 1);
    r->begun = ARENA_NEW(a, int32_t, lanes + 1);
    r->numbers = ARENA_NEW(a, int32_t, s->o->ranks * MESSAGE_COUNTS);
    if (!r->comms || !r->begun || !r->numbers)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    timeline_begin_step(s->timelines[rank], s->o->plan, 0, 0);
    return OK;
}

static Status host_run(Simulation *s, Arena *a) {
    TRY(engine_init(&s->engine));
    TRY(engine_add_actor(&s->engine, &s->actor, s, host_handle, NULL));
    engine_watch(&s->engine, s, host_watch);
    TRY(lane_order_init(&s->order, a, s->o->program, s->o->plan));
    s->ranks = ARENA_NEW(a, SimRank, s->o->ranks);
    s->members = ARENA_NEW(a, int, s->o->ranks);
    s->core_ps = ARENA_NEW(a, int64_t, s->host->cores);
    s->core_event = ARENA_NEW(a, EventId, s->host->cores);
    if (!s->ranks || !s->members || !s->core_ps || !s->core_event)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    for (int r = 0; r < s->o->ranks; r++) TRY(host_init_rank(s, a, r));
    for (int r = 0; r < s->o->ranks; r++) TRY(host_run_rank(s, r));
    TRY(engine_run(&s->engine));
    for (int r = 0; r < s->o->ranks; r++)
        if (s->ranks[r].doing != ENDED) return host_deadlock(s, a);
    return OK;
}

Status simulate_host(Timeline *const timelines[], const SimulateOptions *options,
                     const HostModel *host) {
    Arena scratch = {0};
    Simulation s = {.o = options, .host = host, .timelines = timelines};
    Status status = host_run(&s, &scratch);
    engine_finish(&s.engine);
    arena_finish(&scratch);
    return status;
}
