// SPDX-License-Identifier: MIT
#include "sim/simulate.h"

#include "core/base/arena.h"
#include "sim/engine.h"

#include <stdio.h>
#include <string.h>

// What a rank's thread does.
typedef enum { DOING_NOTHING, DOING_WORK, DOING_SHARE, WAITING, WAKING, ENDED } Doing;

// A communication of the rank, from its start until all members have done their share.
typedef struct {
    bool in_flight, shared;  // shared: this rank has done its share of the work
    int64_t start_ps, arrival_ps, cpu_ps;
} Flight;

typedef struct {
    const Plan *plan;
    uint8_t *done;
    int32_t *at;      // per lane: the operation that leads it
    Flight *flights;  // per lane
    int left;         // operations that have not ended
    Doing doing;
    int op, lane;       // being worked on
    int64_t since_ps;   // of the work, without dispatching; or of the wait
    int64_t demand_ps;  // CPU time still needed
    int64_t end_ps;
} SimRank;

typedef struct {
    const SimulateOptions *o;
    Timeline *const *timelines;
    Engine engine;
    SimRank *ranks;
    int *members;         // room for a group
    int64_t *core_ps;     // per core: when its customers' demand was last brought up to date
    EventId *core_event;  // per core: when its first customer will be through, or 0
    int16_t actor;
} Simulation;

enum { EVENT_CORE, EVENT_WAKE };

static int core_of(const Simulation *s, int rank) { return rank % s->o->host->cores; }
static bool runs(const SimRank *r) { return r->doing == DOING_WORK || r->doing == DOING_SHARE; }

// --- cores: processor sharing

static int customers(const Simulation *s, int core) {
    int count = 0;
    for (int r = core; r < s->o->ranks; r += s->o->host->cores) count += runs(&s->ranks[r]);
    return count;
}

// Each of n customers has had an n-th of the time since; rounded down, so that nobody ends early.
static void charge(Simulation *s, int core) {
    int n = customers(s, core);
    int64_t passed = n ? (s->engine.now_ps - s->core_ps[core]) / n : 0;
    for (int r = core; r < s->o->ranks; r += s->o->host->cores)
        if (runs(&s->ranks[r])) s->ranks[r].demand_ps -= passed;
    s->core_ps[core] = s->engine.now_ps;
}

// Announce when the first customer will be through.
static Status announce(Simulation *s, int core) {
    int n = customers(s, core);
    int64_t least = INT64_MAX;
    for (int r = core; r < s->o->ranks; r += s->o->host->cores)
        if (runs(&s->ranks[r]) && s->ranks[r].demand_ps < least) least = s->ranks[r].demand_ps;
    if (s->core_event[core]) engine_cancel(&s->engine, s->core_event[core]);
    s->core_event[core] = 0;
    if (!n) return OK;
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

// --- what a rank may do

static const Work *work_of(const Simulation *s, const SimRank *r, int op) {
    return &s->o->program->works[r->plan->ops[op].work];
}

static int next_on_lane(const SimRank *r, int lane, int from) {
    while (from < r->plan->op_count && r->plan->ops[from].lane != lane) from++;
    return from < r->plan->op_count ? from : NONE;
}

static bool may_start(const SimRank *r, int op) {
    for (int d = 0; d < r->plan->ops[op].dep_count; d++) {
        const Dep *dep = &r->plan->deps[r->plan->ops[op].dep_first + d];
        if (dep->distance == 0 && !r->done[dep->op]) return false;
    }
    return true;
}

static int64_t cost_of(const Simulation *s, int rank, int op) {
    return s->o->costs[rank]->ops[s->o->plan][op].ps;
}

static int64_t dispatch_of(const Simulation *s, int rank) {
    int64_t measured = s->o->costs[rank]->dispatch_ps;
    return measured ? measured : s->o->host->dispatch_ps;
}

static int64_t demand_of(const Simulation *s, int rank, int op) {
    int64_t ps = cost_of(s, rank, op);
    bool busy = s->o->corun && s->o->ranks > 1 && s->o->host->cores > 1;
    return busy ? (int64_t)((__int128)ps * s->o->host->corun_permille / 1000) : ps;
}

static void record(Simulation *s, int rank, int op, int lane, int64_t start_ps, int64_t wait_ps,
                   int64_t cpu_ps) {
    timeline_add_span(s->timelines[rank],
                      &(Span){.start_ps = start_ps,
                              .end_ps = s->engine.now_ps,
                              .op = op,
                              .lane = (uint8_t)lane,
                              .wait_ns = wait_ps / 1000,
                              .cpu_ns = cpu_ps / 1000,
                              .source = s->o->costs[rank]->ops[s->o->plan][op].source});
}

static void finish(SimRank *r, int op, int lane) {
    r->done[op] = 1;
    r->at[lane] = next_on_lane(r, lane, op + 1);
    r->left--;
}

// --- communication: every member arrives, does its share when all have, and is through when all
// have

static int members_of(Simulation *s, int rank, int op) {
    int position, group = work_of(s, &s->ranks[rank], op)->group;
    group_ranks(s->o->program, group, rank, s->members, &position);
    return s->o->program->groups[group].size;
}

// Has every member come to this operation, or (shared) done its share of it or ended it?
static bool all_have(Simulation *s, int rank, int lane, bool shared) {
    int op = s->ranks[rank].at[lane], count = members_of(s, rank, op);
    for (int m = 0; m < count; m++) {
        const SimRank *other = &s->ranks[s->members[m]];
        const Flight *f = &other->flights[lane];
        if (other->done[op]) continue;
        if (other->at[lane] != op || !f->in_flight || (shared && !f->shared)) return false;
    }
    return true;
}

// Members that wait may go on now: a spinning one sees it soon, a sleeping one must be woken.
static Status tell_members(Simulation *s, int rank, int op) {
    const HostModel *h = s->o->host;
    int count = members_of(s, rank, op);
    bool crowded = s->o->ranks > h->cores;
    for (int m = 0; m < count; m++) {
        int other = s->members[m];
        SimRank *r = &s->ranks[other];
        if (r->doing != WAITING || other == rank) continue;
        bool spins = !crowded && s->engine.now_ps - r->since_ps <= h->spin_ps;
        int64_t delay = spins                                   ? h->poll_ps
                        : core_of(s, other) == core_of(s, rank) ? h->wake_same_core_ps
                                                                : h->wake_ps;
        r->doing = WAKING;
        TRY(engine_push(&s->engine, NULL, delay, (Event){s->actor, EVENT_WAKE, other, 0}));
    }
    return OK;
}

static Status arrive(Simulation *s, int rank, int lane) {
    SimRank *r = &s->ranks[rank];
    r->flights[lane] = (Flight){.in_flight = true, .start_ps = s->engine.now_ps};
    int op = r->at[lane], count = members_of(s, rank, op);
    for (int m = 0; m < count; m++)  // whoever comes last is when all have arrived
        if (s->ranks[s->members[m]].flights[lane].in_flight)
            s->ranks[s->members[m]].flights[lane].arrival_ps = s->engine.now_ps;
    return tell_members(s, rank, op);
}

// Serve the lane's communication; *busy when the thread now works on it.
static Status serve(Simulation *s, int rank, int lane, bool *busy) {
    SimRank *r = &s->ranks[rank];
    for (int op = r->at[lane]; op != NONE && !*busy; op = r->at[lane]) {
        Flight *f = &r->flights[lane];
        if (!f->in_flight) {
            if (!may_start(r, op)) return OK;
            TRY(arrive(s, rank, lane));
        }
        if (!f->shared) {
            if (!all_have(s, rank, lane, false)) return OK;
            *busy = true;
            f->cpu_ps = cost_of(s, rank, op);
            return occupy(s, rank, DOING_SHARE, op, lane, f->cpu_ps);
        }
        if (!all_have(s, rank, lane, true)) return OK;
        record(s, rank, op, lane, f->start_ps, f->arrival_ps - f->start_ps, f->cpu_ps);
        *f = (Flight){0};
        finish(r, op, lane);
    }
    return OK;
}

static int ready_work(const Simulation *s, const SimRank *r) {
    int best = NONE;
    for (int lane = 0; lane < s->o->program->lane_count; lane++) {
        int op = s->o->program->lanes[lane].kind == LANE_COMMUNICATION ? NONE : r->at[lane];
        if (op != NONE && (best == NONE || op < best) && may_start(r, op)) best = op;
    }
    return best;
}

// The rank's thread has the CPU and decides what to do next.
static Status proceed(Simulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    bool busy = false;
    for (int lane = 0; lane < s->o->program->lane_count && !busy; lane++)
        if (s->o->program->lanes[lane].kind == LANE_COMMUNICATION) TRY(serve(s, rank, lane, &busy));
    if (busy) return OK;
    int op = ready_work(s, r);
    if (op != NONE) {
        TRY(occupy(s, rank, DOING_WORK, op, r->plan->ops[op].lane,
                   demand_of(s, rank, op) + dispatch_of(s, rank)));
        return OK;
    }
    r->doing = r->left ? WAITING : ENDED;
    r->since_ps = s->engine.now_ps;
    if (!r->left) r->end_ps = s->engine.now_ps;
    return OK;
}

// The thread's work is done.
static Status conclude(Simulation *s, int rank) {
    SimRank *r = &s->ranks[rank];
    int op = r->op, lane = r->lane;
    if (r->doing == DOING_SHARE) {
        r->flights[lane].shared = true;
        r->doing = DOING_NOTHING;
        TRY(tell_members(s, rank, op));
        return proceed(s, rank);
    }
    int64_t start = r->since_ps + dispatch_of(s, rank);
    record(s, rank, op, lane, start < s->engine.now_ps ? start : s->engine.now_ps, 0,
           demand_of(s, rank, op));
    r->doing = DOING_NOTHING;
    finish(r, op, lane);
    return proceed(s, rank);
}

// Whoever has had all it needs goes on; the others share the core anew.
static Status core_event(Simulation *s, int core) {
    s->core_event[core] = 0;
    charge(s, core);
    for (int r = core; r < s->o->ranks; r += s->o->host->cores)
        if (runs(&s->ranks[r]) && s->ranks[r].demand_ps <= 0) TRY(conclude(s, r));
    charge(s, core);
    return announce(s, core);
}

static Status handle(void *context, Event e) {
    Simulation *s = context;
    if (e.kind == EVENT_CORE) return core_event(s, e.a);
    s->ranks[e.a].doing = DOING_NOTHING;
    return proceed(s, e.a);
}

static Status deadlock(const Simulation *s) {
    char text[STATUS_TEXT] = "";
    size_t used = 0;
    for (int k = 0; k < s->o->ranks; k++) {
        const SimRank *r = &s->ranks[k];
        for (int lane = 0; lane < s->o->program->lane_count && used < sizeof text - 128; lane++) {
            if (r->at[lane] == NONE) continue;
            used += (size_t)snprintf(
                text + used, sizeof text - used, "%srank %d %s %s", used ? "; " : "", k,
                r->flights[lane].in_flight ? "waits for its peers at" : "has not begun",
                op_name(s->o->program, &r->plan->ops[r->at[lane]]));
        }
    }
    FAIL(ERR_FAILED, "deadlock: %s", text);
}

static Status run_events(Simulation *s) {
    for (int r = 0; r < s->o->ranks; r++) TRY(proceed(s, r));
    TRY(engine_run(&s->engine));
    for (int r = 0; r < s->o->ranks; r++)
        if (s->ranks[r].doing != ENDED) return deadlock(s);
    return OK;
}

static Status simulation_init(Simulation *s, Arena *a) {
    const SimulateOptions *o = s->o;
    TRY(engine_init(&s->engine));
    TRY(engine_add_actor(&s->engine, &s->actor, s, handle, NULL));
    s->ranks = ARENA_NEW(a, SimRank, o->ranks);
    s->members = ARENA_NEW(a, int, o->ranks);
    s->core_ps = ARENA_NEW(a, int64_t, o->host->cores);
    s->core_event = ARENA_NEW(a, EventId, o->host->cores);
    if (!s->ranks || !s->members || !s->core_ps || !s->core_event)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", o->ranks);
    for (int k = 0; k < o->ranks; k++) {
        SimRank *r = &s->ranks[k];
        TRY(costs_complete(o->costs[k], o->plan));
        r->plan = &o->program->plans[o->plan];
        r->left = r->plan->op_count;
        r->done = ARENA_NEW(a, uint8_t, r->left + 1);
        r->at = ARENA_NEW(a, int32_t, o->program->lane_count);
        r->flights = ARENA_NEW(a, Flight, o->program->lane_count);
        if (!r->done || !r->at || !r->flights)
            FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", o->ranks);
        for (int lane = 0; lane < o->program->lane_count; lane++)
            r->at[lane] = next_on_lane(r, lane, 0);
    }
    return OK;
}

Status simulate_host(Timeline *const timelines[], const SimulateOptions *options) {
    Arena scratch = {0};
    Simulation s = {.o = options, .timelines = timelines};
    for (int r = 0; r < options->ranks; r++) timeline_begin_step(timelines[r], options->plan, 0, 0);
    Status status = simulation_init(&s, &scratch);
    if (status == OK) status = run_events(&s);
    for (int r = 0; r < options->ranks && status == OK; r++)
        timeline_end_step(timelines[r], s.ranks[r].end_ps);
    engine_finish(&s.engine);
    arena_finish(&scratch);
    return status;
}
