// SPDX-License-Identifier: MIT
// Ranks as threads on the cores of a host. Communication is as in shared memory
// (parallel/comm/perform.c): a member goes through the rounds of the schedule, in each of which it
// does a share of the work itself once its sources have come as far; when all members have ended
// their last round, everyone is through. A rank does so between its other operations only.
#include "core/base/arena.h"
#include "parallel/strategy/collective_work.h"
#include "sim/engine.h"
#include "sim/members.h"
#include "sim/progress.h"
#include "sim/simulate.h"

// What a rank's thread does.
typedef enum { DOING_NOTHING, DOING_WORK, DOING_SHARE, WAITING, WAKING, ENDED } Doing;

// A communication of the rank, from its start until it is through.
typedef struct {
    bool in_flight;
    Collective what;        // of a collective
    int64_t round, rounds;  // ended; in all
    int64_t share, shares;  // rounds in which this rank does something: done; in all
    int64_t start_ps, arrival_ps;
    int32_t number;  // of a message: the how manieth to or from this peer with this tag
    bool taken;      // a send whose receiver has it
} Flight;

typedef struct {
    RankProgress progress;
    Flight *flights;   // per lane
    int32_t *begun;    // per lane: communications begun, the one in flight included
    int32_t *numbers;  // per peer, sent and received messages
    Doing doing;
    int op, lane;       // being worked on
    int step;           // of the options' steps
    int64_t since_ps;   // of the work; or of the wait
    int64_t demand_ps;  // CPU time still needed
    int64_t step_ps;    // when the step began
} SimRank;

typedef struct {
    const SimulateOptions *o;
    const HostModel *host;
    Timeline *const *timelines;
    Engine engine;
    LaneOrder order;
    SimRank *ranks;
    int *members;         // room for a group
    int64_t *core_ps;     // per core: when its customers' demand was last brought up to date
    EventId *core_event;  // per core: when its first customer will be through, or 0
    int16_t actor;
} Simulation;

enum { EVENT_CORE, EVENT_WAKE };

static int core_of(const Simulation *s, int rank) { return rank % s->host->cores; }
static bool runs(const SimRank *r) { return r->doing == DOING_WORK || r->doing == DOING_SHARE; }
static bool oversubscribed(const Simulation *s) { return s->o->ranks > s->host->cores; }

// --- cores: processor sharing

static int customers(const Simulation *s, int core) {
    int count = 0;
    for (int r = core; r < s->o->ranks; r += s->host->cores) count += runs(&s->ranks[r]);
    return count;
}

// Each of n customers has had an n-th of the time since; rounded down, so that nobody ends early.
static void charge(Simulation *s, int core) {
    int n = customers(s, core);
    int64_t passed = n ? (s->engine.now_ps - s->core_ps[core]) / n : 0;
    for (int r = core; r < s->o->ranks; r += s->host->cores)
        if (runs(&s->ranks[r])) s->ranks[r].demand_ps -= passed;
    s->core_ps[core] = s->engine.now_ps;
}

// Announce when the first customer will be through.
static Status announce(Simulation *s, int core) {
    int n = customers(s, core);
    int64_t least = INT64_MAX;
    for (int r = core; r < s->o->ranks; r += s->host->cores)
        if (runs(&s->ranks[r]) && s->ranks[r].demand_ps < least) least = s->ranks[r].demand_ps;
    if (s->core_event[core]) engine_cancel(&s->engine, s->core_event[core]);
    s->core_event[core] = 0;
    if (!n) return OK;
    if (least > INT64_MAX / n)
        FAIL(ERR_FAILED, "simulated time ends after 106 days: %d ranks of a core need longer", n);
    const Event event = {s->actor, EVENT_CORE, core, 0};
    return engine_push(&s->engine, &s->core_event[core], least > 0 ? least * n : 0, event);
}

static Status occupy(Simulation *s, int rank, Doing what, int op, int lane, int64_t demand_ps) {
    SimRank *r = &s->ranks[rank];
    int core = core_of(s, rank);
    charge(s, core);
    r->doing = what;
    r->op = op;
    r->lane = lane;
    r->since_ps = s->engine.now_ps;
    r->demand_ps = demand_ps;
    return announce(s, core);
}

// --- operations and what they cost

static const Work *work_of(const Simulation *s, int op) {
    return op_work(s->o->program, &s->order.plan->ops[op]);
}

static int64_t cost_of(const Simulation *s, int rank, int op) {
    return s->o->costs[rank]->ops[s->o->plan][op].ps;
}

// What the executor does before an operation; and before the first of a step, what it does
// for the whole step.
static int64_t dispatch_of(const Simulation *s, int rank) {
    const SimRank *r = &s->ranks[rank];
    bool first = r->progress.left == s->order.plan->op_count;
    return s->o->costs[rank]->dispatch_ps + (first ? s->o->costs[rank]->turn_ps : 0);
}

static int64_t demand_of(const Simulation *s, int rank, int op) {
    int64_t cost_ps = cost_of(s, rank, op), dispatch_ps = dispatch_of(s, rank);
    return cost_ps > INT64_MAX - dispatch_ps ? INT64_MAX : cost_ps + dispatch_ps;
}

static void record(Simulation *s, int rank, int op, int64_t start_ps, int64_t wait_ps,
                   int64_t cpu_ps) {
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

static Members members_of(Simulation *s, int rank, int op) {
    Members m = {.ranks = s->members};
    members_find(&m, s->o->program, work_of(s, op), rank);
    return m;
}

// The flight of the message's other end: the same tag and number, in flight on any lane.
// NULL: not there yet.
static Flight *other_end(Simulation *s, int rank, int op, const Flight *f) {
    int peer = members_of(s, rank, op).peer;
    SimRank *other = &s->ranks[peer];
    for (int lane = 0; lane < s->o->program->lane_count; lane++) {
        int theirs = other->progress.at[lane];
        Flight *g = &other->flights[lane];
        if (theirs == NONE || !g->in_flight || g->number != f->number) continue;
        if (members_are_ends(s->o->program, work_of(s, op), work_of(s, theirs)) &&
            members_of(s, peer, theirs).peer == rank)
            return g;
    }
    return NULL;
}

// How many rounds of its communication number `begun` on this lane a rank has ended: -1 when it has
// not come to it, INT64_MAX when it is through.
static int64_t rounds_of(const SimRank *r, int lane, int32_t begun) {
    if (r->begun[lane] < begun) return -1;
    if (r->begun[lane] > begun || !r->flights[lane].in_flight) return INT64_MAX;
    return r->flights[lane].round;
}

// The direct all-reduce does both of its rounds at once (parallel/comm/perform.c).
static bool pushes(const Collective *c) {
    return c->kind == COLLECTIVE_ALL_REDUCE && c->algorithm == ALGORITHM_DIRECT;
}

// Rounds in which the member has something to do.
static int64_t count_shares(const Collective *c, int64_t rounds, int member) {
    if (pushes(c)) return 1;
    int64_t shares = 0;
    for (int64_t t = 0; t < rounds; t++) shares += collective_steps(c, t, member) > 0;
    return shares;
}

// The communication begins on this rank. A send has done its share when its note is left.
static Flight begin_flight(Simulation *s, int rank, int op) {
    const Work *w = work_of(s, op);
    Flight f = {.in_flight = true, .start_ps = s->engine.now_ps, .rounds = 1, .shares = 1};
    if (work_is_message(w)) {
        int at = members_message_count_at(s->o->program, w, members_of(s, rank, op).peer);
        f.number = ++s->ranks[rank].numbers[at];
        return f;
    }
    f.what = collective_work_collective(s->o->program, w);
    f.rounds = pushes(&f.what) ? 1 : collective_rounds(&f.what);
    f.shares = count_shares(&f.what, f.rounds, members_of(s, rank, op).position);
    return f;
}

// A rank that waits may go on now: a spinning one sees it soon, a sleeping one must be woken.
static Status tell(Simulation *s, int rank, int other) {
    const HostModel *h = s->host;
    SimRank *r = &s->ranks[other];
    if (r->doing != WAITING || other == rank) return OK;
    int64_t patience = oversubscribed(s) ? h->yield_ps : h->spin_ps;
    bool spins = s->engine.now_ps - r->since_ps <= patience;
    int64_t delay = spins                                   ? h->poll_ps
                    : core_of(s, other) == core_of(s, rank) ? h->wake_same_core_ps
                                                            : h->wake_ps;
    r->doing = WAKING;
    return engine_push(&s->engine, NULL, delay, (Event){s->actor, EVENT_WAKE, other, 0});
}

static Status tell_members(Simulation *s, int rank, int op) {
    Members m = members_of(s, rank, op);
    for (int i = 0; i < m.count; i++) TRY(tell(s, rank, m.ranks[i]));
    return OK;
}

// Whoever comes last is when all have arrived.
static Status arrive(Simulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    int op = r->progress.at[lane];
    r->begun[lane]++;
    r->flights[lane] = begin_flight(s, rank, op);
    if (work_is_message(work_of(s, op))) {
        Flight *f = &r->flights[lane], *other = other_end(s, rank, op, f);
        f->arrival_ps = s->engine.now_ps;
        if (other) other->arrival_ps = s->engine.now_ps;
        return tell(s, rank, members_of(s, rank, op).peer);
    }
    Members m = members_of(s, rank, op);
    for (int i = 0; i < m.count; i++)
        if (rounds_of(&s->ranks[m.ranks[i]], lane, r->begun[lane]) >= 0)
            s->ranks[m.ranks[i]].flights[lane].arrival_ps = s->engine.now_ps;
    return tell_members(s, rank, op);
}

// Have the sources of the next round come as far?
static bool round_is_ready(Simulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    const Flight *f = &r->flights[lane];
    int op = r->progress.at[lane], begun = r->begun[lane];
    const Work *w = work_of(s, op);
    if (work_is_send(w)) return true;
    if (work_is_message(w)) {
        const Flight *sender = other_end(s, rank, op, f);
        return sender && sender->round == 1;
    }
    Members m = members_of(s, rank, op);
    for (int i = 0; i < m.count && pushes(&f->what); i++)
        if (rounds_of(&s->ranks[m.ranks[i]], lane, begun) < 0) return false;
    if (pushes(&f->what)) return true;
    int steps = collective_steps(&f->what, f->round, m.position);
    for (int i = 0; i < steps; i++) {
        int source = m.ranks[collective_step(&f->what, f->round, m.position, i).source];
        if (rounds_of(&s->ranks[source], lane, begun) < f->round) return false;
    }
    return true;
}

static bool has_share(Simulation *s, int rank, int lane) {
    const Flight *f = &s->ranks[rank].flights[lane];
    int op = s->ranks[rank].progress.at[lane];
    return work_is_message(work_of(s, op)) || pushes(&f->what) ||
           collective_steps(&f->what, f->round, members_of(s, rank, op).position) > 0;
}

// Nobody reads what is ours or writes to it any more.
static bool is_through(Simulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    int op = r->progress.at[lane];
    const Work *w = work_of(s, op);
    if (work_is_message(w)) return !work_is_send(w) || r->flights[lane].taken;
    Members m = members_of(s, rank, op);
    for (int i = 0; i < m.count; i++)
        if (rounds_of(&s->ranks[m.ranks[i]], lane, r->begun[lane]) < r->flights[lane].rounds)
            return false;
    return true;
}

// The share of the operation's CPU time that its next round takes.
static int64_t share_cost(const Simulation *s, int rank, int op, const Flight *f) {
    __int128 all = cost_of(s, rank, op);
    return (int64_t)(all * (f->share + 1) / f->shares - all * f->share / f->shares);
}

static Status end_round(Simulation *s, int rank, int op, Flight *f) {
    f->round++;
    if (!work_is_message(work_of(s, op))) return tell_members(s, rank, op);
    Flight *other = work_is_send(work_of(s, op)) ? NULL : other_end(s, rank, op, f);
    if (other) other->taken = true;
    return tell(s, rank, members_of(s, rank, op).peer);
}

static void end_flight(Simulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    Flight *f = &r->flights[lane];
    int op = r->progress.at[lane];
    int64_t wait = f->arrival_ps > f->start_ps ? f->arrival_ps - f->start_ps : 0;
    record(s, rank, op, f->start_ps, wait, cost_of(s, rank, op));
    *f = (Flight){0};
    progress_finish(&r->progress, op);
}

// Serve the lane's communication; *busy when the thread now works on it.
static Status serve(Simulation *s, int rank, int lane, bool *busy) {
    SimRank *r = &s->ranks[rank];
    for (int op; (op = r->progress.at[lane]) != NONE && !*busy;) {
        Flight *f = &r->flights[lane];
        if (!f->in_flight) {
            if (!progress_may_start(&r->progress, op)) return OK;
            TRY(arrive(s, rank, lane));
        }
        for (; f->round < f->rounds && !has_share(s, rank, lane);) TRY(end_round(s, rank, op, f));
        if (f->round < f->rounds) {
            if (!round_is_ready(s, rank, lane)) return OK;
            *busy = true;
            return occupy(s, rank, DOING_SHARE, op, lane, share_cost(s, rank, op, f));
        }
        if (!is_through(s, rank, lane)) return OK;
        end_flight(s, rank, lane);
    }
    return OK;
}

// --- the rank's thread

static Status proceed(Simulation *s, int rank);

static Status end_step(Simulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    int64_t now = s->engine.now_ps;
    timeline_end_step(s->timelines[rank], now);
    r->doing = ENDED;
    if (++r->step >= (s->o->steps ? s->o->steps : 1)) return OK;
    timeline_begin_step(s->timelines[rank], s->o->plan, r->step, now);
    progress_begin(&r->progress);
    return proceed(s, rank);
}

// It has the CPU and decides what to do next.
static Status proceed(Simulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    const Program *p = s->o->program;
    bool busy = false;
    r->doing = DOING_NOTHING;
    for (int lane = 0; lane < p->lane_count && !busy; lane++)
        if (p->lanes[lane].kind == LANE_COMMUNICATION) TRY(serve(s, rank, lane, &busy));
    if (busy) return OK;
    if (!r->progress.left) return end_step(s, rank);
    int op = progress_ready_work(&r->progress);
    if (op != NONE)
        return occupy(s, rank, DOING_WORK, op, s->order.plan->ops[op].lane, demand_of(s, rank, op));
    r->doing = WAITING;
    r->since_ps = s->engine.now_ps;
    return OK;
}

// The thread's work is done.
static Status conclude(Simulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    int op = r->op;
    bool share = r->doing == DOING_SHARE;
    r->doing = DOING_NOTHING;
    if (share) {
        Flight *f = &r->flights[r->lane];
        f->share++;
        TRY(end_round(s, rank, op, f));
        return proceed(s, rank);
    }
    int64_t start = r->since_ps + dispatch_of(s, rank), now = s->engine.now_ps;
    record(s, rank, op, start < now ? start : now, 0, cost_of(s, rank, op));
    progress_finish(&r->progress, op);
    return proceed(s, rank);
}

// Whoever has had all it needs goes on; the others share the core anew.
static Status core_event(Simulation *s, int core) {
    s->core_event[core] = 0;
    charge(s, core);
    for (int r = core; r < s->o->ranks; r += s->host->cores)
        if (runs(&s->ranks[r]) && s->ranks[r].demand_ps <= 0) TRY(conclude(s, r));
    charge(s, core);
    return announce(s, core);
}

static Status handle(void *context, Event e) {
    Simulation *s = context;
    if (e.kind == EVENT_CORE) return core_event(s, e.a);
    return proceed(s, e.a);
}

// --- the whole

static const RankProgress *progress_of(void *context, int rank) {
    return &((Simulation *)context)->ranks[rank].progress;
}

static bool is_started(void *context, int rank, int lane) {
    return ((Simulation *)context)->ranks[rank].flights[lane].in_flight;
}

// Those that have not ended all rounds; of a message the other end.
static int find_missing(void *context, int rank, int lane, int *out) {
    Simulation *s = context;
    const SimRank *r = &s->ranks[rank];
    Members m = members_of(s, rank, r->progress.at[lane]);
    int count = 0;
    if (m.peer != NONE) out[count++] = m.peer;
    for (int i = 0; i < m.count && m.peer == NONE; i++) {
        int64_t rounds = rounds_of(&s->ranks[m.ranks[i]], lane, r->begun[lane]);
        if (m.ranks[i] != rank && rounds < r->flights[lane].rounds) out[count++] = m.ranks[i];
    }
    return count;
}

static Status deadlock(Simulation *s, Arena *a) {
    const DeadlockReport still = {s, s->o->ranks, progress_of, is_started, find_missing};
    return progress_deadlock(&still, a);
}

static Status init_rank(Simulation *s, Arena *a, int rank) {
    SimRank *r = &s->ranks[rank];
    int lanes = s->o->program->lane_count;
    TRY(costs_complete(s->o->costs[rank], s->o->plan));
    TRY(progress_init_rank(&r->progress, a, &s->order));
    r->flights = ARENA_NEW(a, Flight, lanes + 1);
    r->begun = ARENA_NEW(a, int32_t, lanes + 1);
    r->numbers = ARENA_NEW(a, int32_t, s->o->ranks * MESSAGE_COUNTS);
    if (!r->flights || !r->begun || !r->numbers)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    timeline_begin_step(s->timelines[rank], s->o->plan, 0, 0);
    return OK;
}

static Status run(Simulation *s, Arena *a) {
    TRY(engine_init(&s->engine));
    TRY(engine_add_actor(&s->engine, &s->actor, s, handle, NULL));
    TRY(lane_order_init(&s->order, a, s->o->program, s->o->plan));
    s->ranks = ARENA_NEW(a, SimRank, s->o->ranks);
    s->members = ARENA_NEW(a, int, s->o->ranks);
    s->core_ps = ARENA_NEW(a, int64_t, s->host->cores);
    s->core_event = ARENA_NEW(a, EventId, s->host->cores);
    if (!s->ranks || !s->members || !s->core_ps || !s->core_event)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    for (int r = 0; r < s->o->ranks; r++) TRY(init_rank(s, a, r));
    for (int r = 0; r < s->o->ranks; r++) TRY(proceed(s, r));
    TRY(engine_run(&s->engine));
    for (int r = 0; r < s->o->ranks; r++)
        if (s->ranks[r].doing != ENDED) return deadlock(s, a);
    return OK;
}

Status simulate_host(Timeline *const timelines[], const SimulateOptions *options,
                     const HostModel *host) {
    Arena scratch = {0};
    Simulation s = {.o = options, .host = host, .timelines = timelines};
    Status status = run(&s, &scratch);
    engine_finish(&s.engine);
    arena_finish(&scratch);
    return status;
}
