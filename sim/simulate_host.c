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
//             ^                |    |  | \--> DOING_WORK, an operation -+
//             |                |    |  +----> DOING_TURN, a step begins +
//          EVENT_WAKE          |    +--> ENDED, when no step is left
//             |                v
//          WAKING <-------- WAITING
//             host_notify(): a peer went on
//
// In a replay a rank may see late that a communication has ended: DOING_NOTICE until it does.
// Ranks that DO something need their core: host_start_work() adds one to it. A core divides its
// time equally (processor sharing). Whenever the number of its busy ranks changes,
// host_update_demand() takes off what each has had, and host_schedule_core() sets the one event
// (EVENT_CORE) at which the first of them will have had enough: host_end_slice().
#include "sim/host_internal.h"

// --- cores: processor sharing

static int host_busy_ranks(const HostSimulation *s, int core) {
    int count = 0;
    for (int r = core; r < s->o->ranks; r += s->host->cores) count += host_needs_core(&s->ranks[r]);
    return count;
}

// Each of n busy ranks has had an n-th of the time since; rounded down, so that none ends early.
static void host_update_demand(HostSimulation *s, int core) {
    int n = host_busy_ranks(s, core);
    int64_t passed = n ? (s->engine.now_ps - s->core_ps[core]) / n : 0;
    for (int r = core; r < s->o->ranks; r += s->host->cores)
        if (host_needs_core(&s->ranks[r])) s->ranks[r].demand_ps -= passed;
    s->core_ps[core] = s->engine.now_ps;
}

// Set the event at which the first busy rank of the core will have had enough.
static Status host_schedule_core(HostSimulation *s, int core) {
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

Status host_start_work(HostSimulation *s, int rank, Doing what, int op, int lane,
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

void host_record(HostSimulation *s, int rank, int op, int64_t start_ps, int64_t wait_ps,
                 int64_t cpu_ps) {
    s->ended++;
    timeline_add_span(s->timelines[rank],
                      &(Span){.start_ps = start_ps,
                              .end_ps = s->engine.now_ps,
                              .op = op,
                              .lane = host_order(s, rank)->plan->ops[op].lane,
                              .wait_ns = wait_ps / 1000,
                              .cpu_ns = cpu_ps / 1000,
                              .source = s->o->costs[rank]->ops[s->o->plan][op].source});
}

static int64_t host_dispatch(const HostSimulation *s, int rank, int op) {
    return costs_dispatch_ps(s->o->costs[rank], op, s->ranks[rank].step);
}

static int64_t host_demand(const HostSimulation *s, int rank, int op) {
    int64_t cost_ps = host_cost(s, rank, op), dispatch_ps = host_dispatch(s, rank, op);
    return cost_ps > INT64_MAX - dispatch_ps ? INT64_MAX : cost_ps + dispatch_ps;
}

// --- the rank's thread

static Status host_run_rank(HostSimulation *s, int rank);

// A step begins with the rank's own time for it, in which it serves nobody.
static Status host_begin_step(HostSimulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    int64_t turn_ps = costs_turn_ps(s->o->costs[rank], r->step);
    timeline_begin_step(s->timelines[rank], s->o->plan, r->step, s->engine.now_ps);
    if (!turn_ps) return host_run_rank(s, rank);
    return host_start_work(s, rank, DOING_TURN, NONE, NONE, turn_ps);
}

static Status host_end_step(HostSimulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    timeline_end_step(s->timelines[rank], s->engine.now_ps);
    r->doing = ENDED;
    if (++r->step >= (s->o->steps ? s->o->steps : 1)) return OK;
    rank_progress_begin(&r->progress);
    return host_begin_step(s, rank);
}

// The thread has the core and decides what to do next, as executor_advance() does.
static Status host_run_rank(HostSimulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    const Program *p = host_program(s, rank);
    bool busy = false;
    int left = r->progress.left;
    r->doing = DOING_NOTHING;
    for (int lane = 0; lane < p->lane_count && !busy; lane++)
        if (p->lanes[lane].kind == LANE_COMMUNICATION) TRY(host_advance_lane(s, rank, lane, &busy));
    if (busy) return OK;
    if (!r->progress.left) return host_end_step(s, rank);
    int op = rank_progress_ready_work(&r->progress);
    if (op != NONE)
        return host_start_work(s, rank, DOING_WORK, op, host_order(s, rank)->plan->ops[op].lane,
                               host_demand(s, rank, op));
    if (r->progress.left < left) return host_run_rank(s, rank);  // another lane may begin now
    r->doing = WAITING;
    r->since_ps = s->engine.now_ps;
    return OK;
}

// The operation, or the round, has had the CPU time that it needs.
static Status host_end_work(HostSimulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    int op = r->op;
    Doing done = r->doing;
    r->doing = DOING_NOTHING;
    if (done == DOING_NOTICE) r->comms[r->lane].noticed = true;
    if (done == DOING_TURN || done == DOING_NOTICE) return host_run_rank(s, rank);
    if (done == DOING_SHARE) {
        LaneComm *c = &r->comms[r->lane];
        c->share++;
        TRY(host_end_round(s, rank, op, c));
        return host_run_rank(s, rank);
    }
    int64_t start = r->since_ps + host_dispatch(s, rank, op), now = s->engine.now_ps;
    host_record(s, rank, op, start < now ? start : now, 0,
                costs_busy_ps(s->o->costs[rank], s->o->plan, op, r->step));
    rank_progress_finish(&r->progress, op);
    return host_run_rank(s, rank);
}

// A time slice ends: ranks that have had enough go on, the others share the core anew.
static Status host_end_slice(HostSimulation *s, int core) {
    s->core_event[core] = 0;
    host_update_demand(s, core);
    for (int r = core; r < s->o->ranks; r += s->host->cores)
        if (host_needs_core(&s->ranks[r]) && s->ranks[r].demand_ps <= 0) TRY(host_end_work(s, r));
    host_update_demand(s, core);
    return host_schedule_core(s, core);
}

static Status host_handle(void *context, Event e) {
    HostSimulation *s = context;
    if (e.kind == EVENT_CORE) return host_end_slice(s, e.a);
    return host_run_rank(s, e.a);
}

// --- the simulation

static const RankProgress *host_progress(void *context, int rank) {
    return &((HostSimulation *)context)->ranks[rank].progress;
}

static bool host_is_started(void *context, int rank, int lane) {
    return ((HostSimulation *)context)->ranks[rank].comms[lane].in_flight;
}

static Status host_deadlock(HostSimulation *s, Arena *a) {
    const DeadlockReport still = {s, s->o->ranks, host_progress, host_is_started,
                                  host_find_missing};
    return rank_progress_deadlock(&still, a);
}

static Status host_watch(void *context) {
    const HostSimulation *s = context;
    return simulate_watch(s->o, s->ended, s->executions);
}

static Status host_init_rank(HostSimulation *s, Arena *a, int rank) {
    SimRank *r = &s->ranks[rank];
    const LaneOrder *order;
    TRY(class_order_of(&order, &s->orders, a, s->o, rank));
    int lanes = order->program->lane_count;
    TRY(costs_complete(s->o->costs[rank], s->o->plan));
    TRY(rank_progress_init(&r->progress, a, order));
    r->comms = ARENA_NEW(a, LaneComm, lanes + 1);
    r->begun = ARENA_NEW(a, int32_t, lanes + 1);
    TRY(message_peers_init(&r->peers, a, order->program, order->plan, rank));
    if (!r->comms || !r->begun)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    return OK;
}

static Status host_run(HostSimulation *s, Arena *a) {
    TRY(engine_init(&s->engine));
    TRY(engine_add_actor(&s->engine, &s->actor, s, host_handle, NULL));
    engine_watch(&s->engine, s, host_watch);
    s->ranks = ARENA_NEW(a, SimRank, s->o->ranks);
    s->core_ps = ARENA_NEW(a, int64_t, s->host->cores);
    s->core_event = ARENA_NEW(a, EventId, s->host->cores);
    if (!s->ranks || !s->core_ps || !s->core_event)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    for (int r = 0; r < s->o->ranks; r++) TRY(host_init_rank(s, a, r));
    for (int r = 0; r < s->o->ranks; r++) TRY(host_begin_step(s, r));
    TRY(engine_run(&s->engine));
    for (int r = 0; r < s->o->ranks; r++)
        if (s->ranks[r].doing != ENDED) return host_deadlock(s, a);
    return OK;
}

Status simulate_host(Timeline *const timelines[], const SimulateOptions *options,
                     const HostModel *host) {
    Arena scratch = {0};
    HostSimulation s = {.o = options,
                        .host = host,
                        .timelines = timelines,
                        .executions = simulate_executions(options)};
    Status status = host_run(&s, &scratch);
    engine_finish(&s.engine);
    arena_finish(&scratch);
    return status;
}
