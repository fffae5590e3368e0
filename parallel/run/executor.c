// SPDX-License-Identifier: MIT
// The loop: executor_advance() runs ready computation, and in between progresses communication.
// What may start is in executor_leader() and executor_may_start(). Binding to memory: bind.c.
#include "parallel/run/executor.h"

#include "core/base/clock.h"
#include "parallel/run/executor_stream.h"

#include <string.h>

int executor_leader(const Executor *e, int lane) {
    const BoundPlan *b = &e->plans[e->plan];
    int at = b->lane_first[lane] + e->lanes[lane].at;
    return at < b->lane_first[lane + 1] ? b->lane_ops[at] : NONE;
}

bool executor_may_start(const Executor *e, int op) {
    const Plan *plan = plan_of(e);
    for (int d = 0; d < plan->ops[op].dep_count; d++) {
        const Dep *dep = &plan->deps[plan->ops[op].dep_first + d];
        if (dep->distance == 0 && !e->plans[e->plan].done[dep->op])
            return false;  // steps do not overlap
    }
    return true;
}

bool executor_guarded_off(const BoundOp *b) {
    if (!b->guard) return false;
    if (b->guard_is_i64) return *(const int64_t *)b->guard == 0;
    return *(const double *)b->guard == 0;
}

void executor_leave(Executor *e, int lane, int op) {
    e->plans[e->plan].done[op] = 1;
    e->lanes[lane].at++;
    e->remaining--;
}

Status executor_end_op(Executor *e, int lane, int op) {
    if (e->hooks.after) TRY(e->hooks.after(e->hooks.context, e->rank, e->plan, op));
    executor_leave(e, lane, op);
    return OK;
}

void executor_record_span(Executor *e, int lane, int op, SpanTimes t) {
    if (!e->timeline) return;
    timeline_add_span(e->timeline, &(Span){.start_ps = (t.start_ns - e->origin_ns) * 1000,
                                           .end_ps = (t.end_ns - e->origin_ns) * 1000,
                                           .op = op,
                                           .step = (int32_t)e->step,
                                           .rank = e->rank,
                                           .wait_ns = t.wait_ns,
                                           .cpu_ns = t.cpu_ns,
                                           .plan = (uint8_t)e->plan,
                                           .lane = (uint8_t)lane,
                                           .source = SOURCE_MEASURED});
}

// --- CPU time

// The clock that a span's cpu_ns is read from.
static int64_t busy_ns(const Executor *e) {
    return e->cpu_of_each ? clock_thread_cpu_ns() : clock_ns();
}

// A reading of the thread's CPU clock is a system call, as long as the short operations of a small
// batch. So, unless each operation's is wanted, the clock is read when the first operation after a
// wait begins and when the next wait does, and meanwhile operations count as busy all the time.
static void begin_stretch(Executor *e) {
    if (!e->timeline || e->cpu_of_each || e->stretch_ns) return;
    e->stretch_span = e->timeline->span_count;
    e->stretch_cpu_ns = clock_thread_cpu_ns();
    e->stretch_ns = clock_ns();
}

// The thread did not have the CPU for all of the stretch: what it lost is taken from its operations
// in proportion to their durations, so that it counts as contended.
static void settle(Executor *e) {
    if (!e->stretch_ns) return;
    int64_t lost = clock_ns() - e->stretch_ns - (clock_thread_cpu_ns() - e->stretch_cpu_ns);
    int64_t total = 0;
    Timeline *t = e->timeline;
    e->stretch_ns = 0;
    for (int i = e->stretch_span; lost > 0 && i < t->span_count; i++)
        if (e->plans[e->plan].ops[t->spans[i].op].class != CLASS_COMMUNICATION)
            total += t->spans[i].cpu_ns;
    if (lost > total) lost = total;
    for (int i = e->stretch_span; lost > 0 && i < t->span_count; i++)
        if (e->plans[e->plan].ops[t->spans[i].op].class != CLASS_COMMUNICATION)
            t->spans[i].cpu_ns -=
                (int64_t)((double)lost * (double)t->spans[i].cpu_ns / (double)total);
}

// --- operations

static void load(Executor *e, BoundOp *b) {
    b->load.first_row = *b->first_row;
    b->load.rows = operand_rows(b->load.x.data ? &b->load.x : &b->load.labels);
    e->hooks.load(e->hooks.context, &b->load);
}

// Run one operation of a compute or host lane to its end.
static Status run(Executor *e, int lane, int op) {
    BoundOp *b = &e->plans[e->plan].ops[op];
    if (e->comm) comm_note_position(e->comm, e->plan, op, e->step);
    if (executor_guarded_off(b)) {
        executor_leave(e, lane, op);
        return OK;
    }
    if (b->extents.count) TRY(executor_check_extents(e, &b->extents));
    if (e->hooks.before) e->hooks.before(e->hooks.context, e->rank, e->plan, op);
    bool timed = e->timeline != NULL;
    begin_stretch(e);
    int64_t start = timed ? clock_ns() : 0, busy = timed && e->cpu_of_each ? busy_ns(e) : start;
    if (b->class == CLASS_COMPUTE)
        device_run(e->device, &b->call);
    else
        load(e, b);
    if (timed) {
        int64_t used = busy_ns(e) - busy, end = e->cpu_of_each ? clock_ns() : start + used;
        executor_record_span(e, lane, op, (SpanTimes){start, end, 0, used});
    }
    return executor_end_op(e, lane, op);
}

// Do this rank's share of the operation in flight; CPU time counts where something moved.
Status executor_progress(Executor *e, int lane, bool *moved) {
    LaneState *l = &e->lanes[lane];
    int op = executor_leader(e, lane);
    bool timed = e->timeline != NULL, done;
    int64_t busy = timed ? busy_ns(e) : 0, round = l->request.round, stage = l->request.stage;
    TRY(comm_test(e->comm, &l->request, &done));
    bool advanced = done || l->request.round != round || l->request.stage != stage;
    if (timed && advanced) l->cpu_ns += busy_ns(e) - busy;
    if (advanced) *moved = true;
    if (!done) return OK;
    l->in_flight = false;
    int64_t wait = l->request.arrival_ns > l->start_ns ? l->request.arrival_ns - l->start_ns : 0;
    if (timed)
        executor_record_span(e, lane, op, (SpanTimes){l->start_ns, clock_ns(), wait, l->cpu_ns});
    return executor_end_op(e, lane, op);
}

Status executor_start_communication(Executor *e, int lane, int op) {
    LaneState *l = &e->lanes[lane];
    BoundOp *b = &e->plans[e->plan].ops[op];
    comm_note_position(e->comm, e->plan, op, e->step);
    if (executor_guarded_off(b)) {
        executor_leave(e, lane, op);
        return OK;
    }
    if (b->extents.count) TRY(executor_check_extents(e, &b->extents));
    if (e->hooks.before) e->hooks.before(e->hooks.context, e->rank, e->plan, op);
    l->start_ns = clock_ns();
    int64_t busy = e->timeline ? busy_ns(e) : 0;
    TRY(comm_start(e->comm, &b->comm, &l->request, l->start_ns));
    l->cpu_ns = e->timeline ? busy_ns(e) - busy : 0;
    l->in_flight = true;
    return OK;
}

// Communication first: what is in flight moves on, what may start starts.
static Status serve_communication(Executor *e, bool *moved) {
    for (int lane = 0; lane < e->program->lane_count; lane++) {
        if (e->program->lanes[lane].kind != LANE_COMMUNICATION) continue;
        for (bool again = true; again;) {
            int op = executor_leader(e, lane);
            again = false;
            if (op == NONE) break;
            if (!e->lanes[lane].in_flight && executor_may_start(e, op)) {
                TRY(executor_start_communication(e, lane, op));
                *moved = true;
            }
            if (e->lanes[lane].in_flight) TRY(executor_progress(e, lane, moved));
            again = executor_leader(e, lane) != op;
        }
    }
    return OK;
}

// The first operation, in plan order, that leads a compute or host lane and may start.
static int ready_work(const Executor *e, int *lane_of) {
    int best = NONE;
    for (int lane = 0; lane < e->program->lane_count; lane++) {
        int op =
            e->program->lanes[lane].kind == LANE_COMMUNICATION ? NONE : executor_leader(e, lane);
        if (op == NONE || (best != NONE && best < op) || !executor_may_start(e, op)) continue;
        best = op;
        *lane_of = lane;
    }
    return best;
}

Status executor_begin(Executor *e, int plan, int64_t step) {
    e->plan = plan;
    e->step = step;
    e->remaining = plan_of(e)->op_count;
    e->stretch_ns = 0;
    e->begin_ns = clock_ns();
    memset(e->plans[plan].done, 0, (size_t)e->remaining);
    for (int lane = 0; lane < e->program->lane_count; lane++) e->lanes[lane].at = 0;
    TRY(executor_check_extents(e, &e->plans[plan].extents));
    return e->stream ? executor_stream_begin(e) : OK;
}

Status executor_advance(Executor *e, bool *done, bool *moved) {
    *moved = false;
    if (e->device->model) return executor_modelled_advance(e, done, moved);
    if (e->stream) return executor_stream_advance(e, done, moved);
    for (;;) {
        TRY(serve_communication(e, moved));
        *done = e->remaining == 0;
        int lane = 0, op = *done ? NONE : ready_work(e, &lane);
        if (op == NONE) break;
        TRY(run(e, lane, op));
        *moved = true;
    }
    settle(e);
    return OK;
}

Status executor_idle(Executor *e) {
    const CommRequest *waiting[COMM_LANES];
    int count = 0;
    if (e->device->model) return executor_modelled_idle(e);
    for (int lane = 0; lane < e->program->lane_count && count < COMM_LANES; lane++)
        if (e->lanes[lane].in_flight) waiting[count++] = &e->lanes[lane].request;
    if (!count)
        FAIL(ERR_PLAN, "rank %d: nothing can run and nothing is in flight in plan %s", e->rank,
             program_name(e->program, plan_of(e)->name));
    return comm_idle(e->comm, waiting, count, INT64_MAX);
}

Status executor_run(Executor *e, int plan, int64_t step) {
    TRY(executor_begin(e, plan, step));
    for (bool done = false, moved; !done;) {
        TRY(executor_advance(e, &done, &moved));
        if (!done && !moved) TRY(executor_idle(e));
    }
    return OK;
}
