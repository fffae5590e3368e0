// SPDX-License-Identifier: MIT
// The executor on a device that is only described. Nothing is computed: an operation of a compute,
// copy or host lane lasts as long as the model says, lanes work side by side, and the thread only
// serves communication and waits.
//
// Times follow from each other, as those of streams and events on a GPU do: an operation starts at
// the latest of these: when the plan began on this rank, the end of the one before it on its lane,
// and the ends of its dependencies. A communication arrives then, and ends when the emulated link
// has delivered (without one, when it is seen to be complete). An operation counts as ended when
// the clock has reached its end. So a thread that is late, because ranks share cores, delays
// nothing within the step; it only sees the end of the plan late.
#include "parallel/run/executor_internal.h"

#include "core/base/clock.h"

enum { SPIN_NS = 50000 };  // a sleep ends so much too late

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t start_of(const Executor *e, int lane, int op) {
    const Plan *plan = plan_of(e);
    int64_t start_ns = e->begin_ns;
    if (e->lanes[lane].at > 0) start_ns = later(start_ns, e->lanes[lane].end_ns);
    for (int d = 0; d < plan->ops[op].dep_count; d++) {
        const Dep *dep = &plan->deps[plan->ops[op].dep_first + d];
        if (dep->distance == 0) start_ns = later(start_ns, e->plans[e->plan].end_ns[dep->op]);
    }
    return start_ns;
}

static Status start(Executor *e, int lane, int op) {
    LaneState *l = &e->lanes[lane];
    BoundOp *b = &e->plans[e->plan].ops[op];
    l->start_ns = l->end_ns = start_of(e, lane, op);
    if (e->comm) comm_note_position(e->comm, e->plan, op, e->step);
    if (executor_guarded_off(b)) {
        e->plans[e->plan].end_ns[op] = l->end_ns;
        executor_leave(e, lane, op);
        return OK;
    }
    if (e->hooks.before) e->hooks.before(e->hooks.context, e->rank, e->plan, op);
    if (b->class == CLASS_COMMUNICATION)
        TRY(comm_start(e->comm, &b->comm, &l->request, l->start_ns));
    else
        l->end_ns = l->start_ns + b->modelled_ns;
    l->in_flight = true;
    return OK;
}

// Has the operation in flight ended? It is recorded with the model's times.
static Status end(Executor *e, int lane, int op, bool *ended) {
    LaneState *l = &e->lanes[lane];
    bool communicates = e->plans[e->plan].ops[op].class == CLASS_COMMUNICATION;
    int64_t arrival_ns = l->start_ns;
    if (communicates) {
        TRY(comm_test(e->comm, &l->request, ended));
        if (!*ended) return OK;
        l->end_ns = l->request.end_ns ? l->request.end_ns : clock_ns();
        arrival_ns = later(arrival_ns, l->request.arrival_ns);
        if (arrival_ns > l->end_ns) arrival_ns = l->end_ns;  // who sends may be through before
    } else
        *ended = clock_ns() >= l->end_ns;
    if (!*ended) return OK;
    l->in_flight = false;
    e->plans[e->plan].end_ns[op] = l->end_ns;
    executor_record_span(e, lane, op,
                         (SpanTimes){.start_ns = l->start_ns,
                                     .end_ns = l->end_ns,
                                     .wait_ns = arrival_ns - l->start_ns,
                                     .cpu_ns = communicates ? 0 : l->end_ns - l->start_ns});
    return executor_end_op(e, lane, op);
}

// As far as the lane gets now.
static Status advance_lane(Executor *e, int lane, bool *moved) {
    for (int op; (op = executor_leader(e, lane)) != NONE; *moved = true) {
        bool ended = false;
        if (!e->lanes[lane].in_flight) {
            if (!executor_may_start(e, op)) return OK;
            TRY(start(e, lane, op));
            if (!e->lanes[lane].in_flight) continue;  // skipped
        }
        TRY(end(e, lane, op, &ended));
        if (!ended) return OK;
    }
    return OK;
}

// What ends on one lane may start something on another, hence again.
Status executor_modelled_advance(Executor *e, bool *done, bool *moved) {
    for (bool again = true; again;) {
        again = false;
        for (int lane = 0; lane < e->program->lane_count; lane++)
            TRY(advance_lane(e, lane, &again));
        if (again) *moved = true;
    }
    *done = e->remaining == 0;
    return OK;
}

// One wait for peers and for the clock.
Status executor_modelled_idle(Executor *e) {
    const CommRequest *waiting[COMM_LANES];
    int count = 0;
    int64_t until_ns = INT64_MAX;
    for (int lane = 0; lane < e->program->lane_count; lane++) {
        const LaneState *l = &e->lanes[lane];
        if (!l->in_flight) continue;
        if (e->program->lanes[lane].kind != LANE_COMMUNICATION)
            until_ns = l->end_ns < until_ns ? l->end_ns : until_ns;
        else if (count < COMM_LANES)
            waiting[count++] = &l->request;
    }
    if (count == 0 && until_ns == INT64_MAX)
        FAIL(ERR_PLAN, "rank %d: nothing can run and nothing is in flight in plan %s", e->rank,
             program_name(e->program, plan_of(e)->name));
    if (e->comm) return comm_idle(e->comm, waiting, count, until_ns);
    clock_sleep_ns(until_ns - clock_ns() - SPIN_NS);
    while (clock_ns() < until_ns) {
    }
    return OK;
}
