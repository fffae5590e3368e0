// SPDX-License-Identifier: MIT
// Plans on a device that works beside the host (core/device/queue.h). An operation is not run here
// but given to the lane of the device that stands for its own, as soon as the device can be told
// what it has to wait for: so the host is ahead, and "done" means given.
//
// - An operation waits for the events of those operations of other lanes that it depends on, unless
//   another wait covers them (bind_stream.c).
// - The host carries out communication, in memory that it shares with the device. A communication
//   starts when the events of what it depends on have been reached, and what depends on it is given
//   when it has ended.
// - A load writes to host memory, of which there are two halves, and gives the copy of one.
// - A turn begins with a copy of the scalars that the host writes. It comes after all of the turn
//   before, and before all of this one. Rows in use are read when an operation is given.
// - A guard is looked at by the device, but that of a communication by the host.
// - In a traced run events around each operation tell its times, after the turn.
#include "parallel/run/executor_stream.h"

#include <string.h>

static bool communicates(const Executor *e, int lane) {
    return e->program->lanes[lane].kind == LANE_COMMUNICATION;
}

static StreamOp *stream_op(const Executor *e, int op) { return &e->stream->plans[e->plan].ops[op]; }

static bool is_traced(const Executor *e) { return e->timeline && e->stream->methods->event_ns; }

static unsigned char *half_of(const Stream *s, Halves h, int64_t turn) {
    return s->host + h.offset + (turn & 1) * h.bytes;
}

// --- a turn

Status executor_stream_begin(Executor *e) {
    Stream *s = e->stream;
    int64_t turn = s->turns++;
    int begun = s->begun + (int)(turn & 1), lanes = e->program->lane_count;
    // The copies of two turns ago must have run before their half is written again.
    if (turn >= 2) TRY(s->methods->synchronise(s->queue, begun));
    for (int lane = 0; lane < lanes && s->last_plan != NONE; lane++)
        if (s->plans[s->last_plan].ends[lane])
            TRY(s->methods->wait(s->queue, s->first_lane, s->lane_end + lane));
    for (int i = 0; i < s->range_count; i++) {
        const ScalarRange *r = &s->ranges[i];
        unsigned char *copy = half_of(s, r->copies, turn);
        memcpy(copy, r->mirror, (size_t)r->copies.bytes);
        TRY(s->methods->write(s->queue, s->first_lane, r->device, copy, r->copies.bytes));
    }
    TRY(s->methods->record(s->queue, s->first_lane, begun));
    for (int lane = 0; lane < lanes; lane++)
        if (s->plans[e->plan].begins[lane]) TRY(s->methods->wait(s->queue, lane, begun));
    s->last_plan = e->plan;
    s->settled = false;
    return OK;
}

static Status add_spans(Executor *e) {
    const Stream *s = e->stream;
    const BoundPlan *b = &e->plans[e->plan];
    TRY(s->methods->synchronise(s->queue, NONE));
    for (int i = 0; i < plan_of(e)->op_count; i++) {
        SpanTimes t = {0};
        int op = b->lane_ops[i];
        if (b->ops[op].class == CLASS_COMMUNICATION) continue;
        TRY(s->methods->event_ns(s->queue, s->span + 2 * op, &t.start_ns));
        TRY(s->methods->event_ns(s->queue, s->span + 2 * op + 1, &t.end_ns));
        executor_record_span(e, plan_of(e)->ops[op].lane, op, t);
    }
    return OK;
}

static Status end_turn(Executor *e) {
    const Stream *s = e->stream;
    for (int lane = 0; lane < e->program->lane_count; lane++)
        if (s->plans[e->plan].ends[lane])
            TRY(s->methods->record(s->queue, lane, s->lane_end + lane));
    return is_traced(e) ? add_spans(e) : OK;
}

// --- giving operations to the device

// Only rows in use are copied.
static Status copy_rows(Executor *e, int lane, int tensor, int64_t rows, const void *from) {
    const Tensor *t = &e->program->tensors[tensor];
    int64_t bytes = t->bytes / t->shape[0] * rows;
    if (bytes == 0) return OK;
    return e->stream->methods->write(e->stream->queue, lane, executor_data(e, tensor), from, bytes);
}

static Status give_load(Executor *e, int lane, int op) {
    Stream *s = e->stream;
    StreamOp *o = stream_op(e, op);
    const BoundOp *b = &e->plans[e->plan].ops[op];
    const Op *what = &plan_of(e)->ops[op];
    const int32_t *output = op_outputs(plan_of(e), what);
    int64_t time = o->loads++;
    int event = o->load_event + (int)(time & 1);
    LoadCall call = b->load;
    unsigned char *to = half_of(s, o->rows, time);
    bool samples = call.x.data, labels = call.labels.data;  // either may be another rank's
    if (samples) call.x.data = to;
    if (labels)
        call.labels.data = samples ? to + stream_aligned(e->program->tensors[output[0]].bytes) : to;
    call.first_row = *b->first_row;
    call.rows = operand_rows(samples ? &call.x : &call.labels);
    if (time >= 2) TRY(s->methods->synchronise(s->queue, event));
    e->hooks.load(e->hooks.context, &call);
    if (samples) TRY(copy_rows(e, lane, output[0], call.rows, call.x.data));
    if (labels) TRY(copy_rows(e, lane, output[what->outputs - 1], call.rows, call.labels.data));
    return s->methods->record(s->queue, lane, event);
}

static Status give(Executor *e, int lane, int op) {
    Stream *s = e->stream;
    const StreamPlan *plan = &s->plans[e->plan];
    const StreamOp *o = stream_op(e, op);
    if (e->comm) comm_note_position(e->comm, e->plan, op, e->step);
    if (e->hooks.before) e->hooks.before(e->hooks.context, e->rank, e->plan, op);
    for (int i = 0; i < o->wait_count; i++)
        TRY(s->methods->wait(s->queue, lane, plan->ops[plan->waits[o->wait_first + i]].event));
    if (is_traced(e)) TRY(s->methods->record(s->queue, lane, s->span + 2 * op));
    if (e->plans[e->plan].ops[op].class == CLASS_COMPUTE)
        TRY(s->methods->run(s->queue, lane, o->prepared));
    else
        TRY(give_load(e, lane, op));
    if (is_traced(e)) TRY(s->methods->record(s->queue, lane, s->span + 2 * op + 1));
    if (o->event != NONE) TRY(s->methods->record(s->queue, lane, o->event));
    return executor_end_op(e, lane, op);
}

// --- communication

// Has the device come to where the communication may begin? *event: NONE, or the first of the
// events that it has not reached.
static Status may_communicate(Executor *e, int op, int *event) {
    Stream *s = e->stream;
    const StreamPlan *plan = &s->plans[e->plan];
    const StreamOp *o = stream_op(e, op);
    bool reached = s->settled;
    *event = s->begun + (int)((s->turns - 1) & 1);  // it waits for all of the turn before
    if (!reached) TRY(s->methods->reached(s->queue, *event, &reached));
    s->settled = reached;
    for (int i = 0; i < o->wait_count && reached; i++) {
        *event = plan->ops[plan->waits[o->wait_first + i]].event;
        TRY(s->methods->reached(s->queue, *event, &reached));
    }
    if (reached) *event = NONE;
    return OK;
}

// A guard that an operation wrote comes to the host first.
static Status fetch_guard(Executor *e, int lane, int op) {
    Stream *s = e->stream;
    BoundOp *b = &e->plans[e->plan].ops[op];
    int guard = plan_of(e)->ops[op].guard;
    if (guard == NONE || stream_scalar(e, guard)) return OK;
    unsigned char *to = s->host + s->guard_at;
    TRY(s->methods->read(s->queue, lane, to, executor_data(e, guard), sizeof(int64_t)));
    TRY(s->methods->record(s->queue, lane, s->lane_end + lane));
    TRY(s->methods->synchronise(s->queue, s->lane_end + lane));
    b->guard = to;
    return OK;
}

// *event: what the lane's communication waits for, if for anything.
static Status serve(Executor *e, int lane, bool *moved, int *event) {
    for (int op; (op = executor_leader(e, lane)) != NONE; *moved = true) {
        if (!e->lanes[lane].in_flight) {
            if (!executor_may_start(e, op)) return OK;
            TRY(may_communicate(e, op, event));
            if (*event != NONE) return OK;
            TRY(fetch_guard(e, lane, op));
            TRY(executor_start_communication(e, lane, op));
            *moved = true;
        }
        if (e->lanes[lane].in_flight) TRY(executor_progress(e, lane, moved));
        if (executor_leader(e, lane) == op) return OK;
    }
    return OK;
}

// As far as every lane gets now. *event: of one that a communication waits for, or NONE.
static Status advance_lanes(Executor *e, bool *moved, int *event) {
    for (int lane = 0; lane < e->program->lane_count; lane++) {
        int wanted = NONE;
        if (communicates(e, lane)) {
            TRY(serve(e, lane, moved, &wanted));
            if (wanted != NONE) *event = wanted;
            continue;
        }
        for (int op; (op = executor_leader(e, lane)) != NONE; *moved = true) {
            if (!executor_may_start(e, op)) break;
            TRY(give(e, lane, op));
        }
    }
    return OK;
}

Status executor_stream_advance(Executor *e, bool *done, bool *moved) {
    *done = false;
    for (;;) {
        bool any = false;
        int event = NONE;
        TRY(advance_lanes(e, &any, &event));
        *moved = *moved || any;
        *done = e->remaining == 0;
        if (*done) return end_turn(e);
        if (any) continue;
        if (event == NONE) return OK;
        TRY(e->stream->methods->synchronise(e->stream->queue, event));  // nothing else can be done
    }
}
