// SPDX-License-Identifier: MIT
// Binding to a device with lanes: which scalars the host mirrors, where its copies lie, which
// operation waits for which, and what the device prepares. executor_stream.c uses it.
#include "parallel/run/executor_stream.h"

#include <stdlib.h>
#include <string.h>

// Room in the host pool, which is made when all of it is known.
static int64_t reserve(Stream *s, int64_t bytes) {
    int64_t at = s->host_bytes;
    s->host_bytes += stream_aligned(bytes);
    return at;
}

static Halves reserve_halves(Stream *s, int64_t bytes) {
    return (Halves){.offset = reserve(s, 2 * stream_aligned(bytes)),
                    .bytes = stream_aligned(bytes)};
}

// --- scalars that the host writes: those that no operation of any plan does

static void find_mirrored(const Program *p, bool *mirrored) {
    for (int t = 0; t < p->tensor_count; t++)
        mirrored[t] = p->tensors[t].role == ROLE_SCALAR && p->tensors[t].offset != NONE &&
                      p->tensors[t].alias == NONE;
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++) {
            const Op *op = &p->plans[k].ops[i];
            for (int o = 0; o < op->outputs; o++)
                mirrored[program_root(p, op_outputs(&p->plans[k], op)[o])] = false;
        }
}

static int by_address(const void *a, const void *b) {
    const unsigned char *x = ((const ScalarRange *)a)->device,
                        *y = ((const ScalarRange *)b)->device;
    return (x > y) - (x < y);
}

// Scalars with nothing but the filling of their alignment between them are one range, and one copy.
static void join_ranges(Stream *s) {
    int count = 0;
    qsort(s->ranges, (size_t)s->range_count, sizeof *s->ranges, by_address);
    for (int i = 0; i < s->range_count; i++) {
        ScalarRange *last = count ? &s->ranges[count - 1] : NULL, next = s->ranges[i];
        if (last && next.device <= last->device + stream_aligned(last->copies.bytes))
            last->copies.bytes = next.device + next.copies.bytes - last->device;
        else
            s->ranges[count++] = next;
    }
    s->range_count = count;
}

Status stream_allocate(Executor *e, Arena *a) {
    const Program *p = e->program;
    Stream *s = ARENA_NEW(a, Stream, 1);
    bool *mirrored = ARENA_NEW(a, bool, p->tensor_count + 1);
    if (!s || !mirrored) FAIL(ERR_MEMORY, "out of memory for binding a program");
    *s = (Stream){.methods = e->device->queue, .first_lane = NONE, .last_plan = NONE};
    e->stream = s;
    s->plans = ARENA_NEW(a, StreamPlan, p->plan_count);
    s->ranges = ARENA_NEW(a, ScalarRange, p->tensor_count + 1);
    if (!s->plans || !s->ranges) FAIL(ERR_MEMORY, "out of memory for binding a program");
    for (int lane = p->lane_count; lane-- > 0;) {
        LaneKind kind = (LaneKind)p->lanes[lane].kind;
        bool computes = s->first_lane != NONE && p->lanes[s->first_lane].kind == LANE_COMPUTE;
        if (kind == LANE_COMPUTE || (kind != LANE_COMMUNICATION && !computes)) s->first_lane = lane;
    }
    if (s->first_lane == NONE) FAIL(ERR_PLAN, "the program has no lane that computes");
    find_mirrored(p, mirrored);
    for (int t = 0; t < p->tensor_count; t++)
        if (mirrored[t])
            s->ranges[s->range_count++] = (ScalarRange){.device = executor_data(e, t),
                                                        .copies = {.bytes = p->tensors[t].bytes}};
    join_ranges(s);
    for (int i = 0; i < s->range_count; i++) {
        ScalarRange *r = &s->ranges[i];
        r->copies = reserve_halves(s, r->copies.bytes);
        r->mirror = (unsigned char *)ARENA_NEW(a, int64_t, r->copies.bytes / 8);
        if (!r->mirror) FAIL(ERR_MEMORY, "out of memory for binding a program");
    }
    return OK;
}

void *stream_scalar(const Executor *e, int tensor) {
    const Stream *s = e->stream;
    const unsigned char *at = executor_data(e, tensor);
    for (int i = 0; i < s->range_count; i++) {
        const ScalarRange *r = &s->ranges[i];
        if (at >= r->device && at < r->device + r->copies.bytes)
            return r->mirror + (at - r->device);
    }
    return NULL;
}

// --- who waits for whom

// For each operation, how many operations of each lane have ended when it begins, as far as its own
// lane and its dependencies say: a vector clock (Mattern 1988). Lanes are walked as the executor
// walks them, so that an operation comes after what it depends on.
typedef struct {
    const Executor *e;
    const Plan *plan;
    const BoundPlan *bound;
    StreamPlan *out;
    int32_t *clock;  // [op][lane]
    int32_t *place;  // [op]: how many of its lane come before it
    int32_t *at;     // [lane]: how many have been walked
    bool *walked;
    int lanes, wait_count;
} Walk;

static int32_t *clock_of(const Walk *w, int op) { return &w->clock[(int64_t)op * w->lanes]; }

// What operation `op` ends after, beside itself.
static void join_clock(const Walk *w, int32_t *into, int op) {
    const int32_t *from = clock_of(w, op);
    for (int lane = 0; lane < w->lanes; lane++)
        if (from[lane] > into[lane]) into[lane] = from[lane];
    int lane = w->plan->ops[op].lane;
    if (w->place[op] + 1 > into[lane]) into[lane] = w->place[op] + 1;
}

// The last operation of each lane that `op` depends on directly, unless its own lane covers it.
static void find_needed(const Walk *w, int op, int32_t *last) {
    const Op *o = &w->plan->ops[op];
    for (int lane = 0; lane < w->lanes; lane++) last[lane] = NONE;
    for (int d = 0; d < o->dep_count; d++) {
        const Dep *dep = &w->plan->deps[o->dep_first + d];
        int lane = w->plan->ops[dep->op].lane;
        if (dep->distance || clock_of(w, op)[lane] > w->place[dep->op]) continue;
        if (last[lane] == NONE || w->place[dep->op] > w->place[last[lane]]) last[lane] = dep->op;
    }
}

static bool is_covered(const Walk *w, const int32_t *last, int lane) {
    for (int other = 0; other < w->lanes; other++)
        if (other != lane && last[other] != NONE &&
            clock_of(w, last[other])[lane] > w->place[last[lane]])
            return true;
    return false;
}

static void walk_op(Walk *w, int op, int32_t *last) {
    StreamOp *o = &w->out->ops[op];
    int lane = w->plan->ops[op].lane, first = w->bound->lane_first[lane];
    if (w->place[op] > 0)
        join_clock(w, clock_of(w, op), w->bound->lane_ops[first + w->place[op] - 1]);
    find_needed(w, op, last);
    o->wait_first = w->wait_count;
    for (int from = 0; from < w->lanes; from++) {
        // What communicates has ended before this operation is given.
        if (last[from] == NONE || w->e->program->lanes[from].kind == LANE_COMMUNICATION) continue;
        if (!is_covered(w, last, from)) w->out->waits[w->wait_count++] = last[from];
    }
    o->wait_count = w->wait_count - o->wait_first;
    for (int from = 0; from < w->lanes; from++)
        if (last[from] != NONE) join_clock(w, clock_of(w, op), last[from]);
    w->walked[op] = true;
    w->at[lane]++;
}

static bool may_walk(const Walk *w, int op) {
    const Op *o = &w->plan->ops[op];
    for (int d = 0; d < o->dep_count; d++) {
        const Dep *dep = &w->plan->deps[o->dep_first + d];
        if (!dep->distance && !w->walked[dep->op]) return false;
    }
    return true;
}

static void walk(Walk *w, int32_t *last) {
    for (int op = 0; op < w->plan->op_count; op++) w->out->ops[op].event = NONE;
    for (int left = w->plan->op_count; left > 0;)
        for (int lane = 0; lane < w->lanes; lane++) {
            int first = w->bound->lane_first[lane], end = w->bound->lane_first[lane + 1];
            for (int op; first + w->at[lane] < end; left--) {
                op = w->bound->lane_ops[first + w->at[lane]];
                if (!may_walk(w, op)) break;  // plan_check() let no cycle pass
                walk_op(w, op, last);
            }
        }
}

// Lanes that the first one does not order before their first operation, or after their last.
static void find_ends(const Walk *w) {
    int first = w->e->stream->first_lane, most = w->bound->lane_first[first + 1];
    int last = most > w->bound->lane_first[first] ? w->bound->lane_ops[most - 1] : NONE;
    for (int lane = 0; lane < w->lanes; lane++) {
        int begin = w->bound->lane_first[lane], count = w->bound->lane_first[lane + 1] - begin;
        if (w->e->program->lanes[lane].kind == LANE_COMMUNICATION || !count || lane == first)
            continue;
        w->out->begins[lane] = !clock_of(w, w->bound->lane_ops[begin])[first];
        w->out->ends[lane] = last == NONE || clock_of(w, last)[lane] < count;
    }
}

static Status find_waits(Executor *e, Arena *a, int k) {
    const Plan *plan = &e->program->plans[k];
    StreamPlan *out = &e->stream->plans[k];
    int lanes = e->program->lane_count;
    size_t ops = (size_t)plan->op_count + 1;
    Walk w = {.e = e, .plan = plan, .bound = &e->plans[k], .out = out, .lanes = lanes};
    out->ops = ARENA_NEW(a, StreamOp, plan->op_count + 1);
    out->waits = ARENA_NEW(a, int32_t, plan->dep_count + 1);
    out->begins = ARENA_NEW(a, bool, lanes);
    out->ends = ARENA_NEW(a, bool, lanes);
    w.clock = calloc(ops * (size_t)lanes, sizeof *w.clock);
    w.place = calloc(ops, sizeof *w.place);
    w.walked = calloc(ops, sizeof *w.walked);
    w.at = calloc(2 * (size_t)lanes, sizeof *w.at);
    bool room = out->ops && out->waits && out->begins && out->ends && w.clock && w.place &&
                w.walked && w.at;
    for (int lane = 0; room && lane < lanes; lane++)
        for (int i = w.bound->lane_first[lane]; i < w.bound->lane_first[lane + 1]; i++)
            w.place[w.bound->lane_ops[i]] = i - w.bound->lane_first[lane];
    if (room) {
        walk(&w, w.at + lanes);
        find_ends(&w);
    }
    free(w.clock);
    free(w.place);
    free(w.walked);
    free(w.at);
    if (!room) FAIL(ERR_MEMORY, "out of memory for binding a plan");
    for (int i = 0; i < w.wait_count; i++) {
        StreamOp *o = &out->ops[out->waits[i]];
        if (o->event == NONE) o->event = e->stream->events++;
    }
    return OK;
}

// --- what operations need

static Status check_extents(const Executor *e, const Plan *plan, const Op *op) {
    for (int i = 0; i < op->outputs + op->inputs; i++) {
        int extent = e->program->tensors[op_outputs(plan, op)[i]].extent;
        if (extent != NONE && !stream_scalar(e, extent))
            FAIL(ERR_UNAVAILABLE,
                 "%s: an operation writes %s, the rows in use of its operands, which device %s has "
                 "to know before",
                 op_name(e->program, op), tensor_name(e->program, extent), e->device->name);
    }
    return OK;
}

static Status reserve_load(Executor *e, const Plan *plan, const Op *op, StreamOp *o) {
    const Program *p = e->program;
    int64_t bytes = 0;
    if (op->guard != NONE || !stream_scalar(e, op_inputs(plan, op)[0]))
        FAIL(ERR_UNAVAILABLE,
             "%s: the host loads before device %s has come to it, so it has no guard, and no "
             "operation writes its first row",
             op_name(p, op), e->device->name);
    for (int i = 0; i < op->outputs; i++)
        bytes += stream_aligned(p->tensors[op_outputs(plan, op)[i]].bytes);
    o->rows = reserve_halves(e->stream, bytes);
    o->load_event = e->stream->events;
    e->stream->events += 2;
    return OK;
}

static Status prepare(Executor *e, const Op *op, BoundOp *b, StreamOp *o) {
    if (op->guard != NONE) {
        b->call.guard = executor_data(e, op->guard);
        b->call.guard_is_i64 = b->guard_is_i64;
    }
    return e->stream->methods->prepare(e->stream->queue, &b->call, &o->prepared);
}

static Status for_each_op(Executor *e, bool queue_is_open) {
    for (int k = 0; k < e->program->plan_count; k++) {
        const Plan *plan = &e->program->plans[k];
        for (int i = 0; i < plan->op_count; i++) {
            const Op *op = &plan->ops[i];
            BoundOp *b = &e->plans[k].ops[i];
            StreamOp *o = &e->stream->plans[k].ops[i];
            if (queue_is_open && b->class == CLASS_COMPUTE) TRY(prepare(e, op, b, o));
            if (queue_is_open || b->class == CLASS_COMMUNICATION) continue;
            TRY(check_extents(e, plan, op));
            if (b->class == CLASS_HOST) TRY(reserve_load(e, plan, op, o));
        }
    }
    return OK;
}

// The host looks at what lasts, at gradients and at scalars, and where operations are observed at
// every tensor that they write.
static bool is_viewed(const Executor *e, const Tensor *t) {
    return e->hooks.after || (t->role != ROLE_ACTIVATION && t->role != ROLE_INPUT &&
                              t->role != ROLE_BUFFER && t->role != ROLE_SCRATCH);
}

static int64_t largest_viewed(const Executor *e) {
    int64_t most = 0;
    for (int t = 0; t < e->program->tensor_count; t++)
        if (is_viewed(e, &e->program->tensors[t]) && e->program->tensors[t].bytes > most)
            most = e->program->tensors[t].bytes;
    return most;
}

Status stream_bind(Executor *e, Arena *a) {
    const Program *p = e->program;
    Stream *s = e->stream;
    int most = 0;
    for (int k = 0; k < p->plan_count; k++) {
        TRY(find_waits(e, a, k));
        if (p->plans[k].op_count > most) most = p->plans[k].op_count;
    }
    TRY(for_each_op(e, false));
    s->view_at = reserve(s, largest_viewed(e));
    s->guard_at = reserve(s, sizeof(int64_t));
    s->begun = s->events;
    s->lane_end = s->begun + 2;
    s->span = s->lane_end + p->lane_count;
    s->events = s->span + (s->methods->event_ns ? 2 * most : 0);
    void *host;
    TRY(s->methods->pool_create(&host, QUEUE_POOL_HOST, e->rank, s->host_bytes));
    s->host = host;
    TRY(s->methods->open(&s->queue, e->rank, p->lane_count, s->events));
    return for_each_op(e, true);
}

void stream_destroy(Executor *e) {
    const QueueMethods *m = e->device->queue;
    if (e->stream) m->close(e->stream->queue);
    if (e->stream && e->stream->host) m->pool_destroy(e->stream->host, QUEUE_POOL_HOST, e->rank);
    if (e->local) m->pool_destroy(e->local, QUEUE_POOL_LOCAL, e->rank);
}

// --- what the host looks at

// A lane that all others have been waited for copies.
Status stream_view(Executor *e, int tensor, const void **out) {
    Stream *s = e->stream;
    const void *from = executor_data(e, tensor);
    *out = from ? s->host + s->view_at : NULL;
    if (!from) return OK;
    assert(is_viewed(e, &e->program->tensors[tensor]));
    TRY(s->methods->synchronise(s->queue, NONE));
    TRY(s->methods->read(s->queue, s->first_lane, s->host + s->view_at, from,
                         e->program->tensors[tensor].bytes));
    return s->methods->synchronise(s->queue, NONE);
}

Status stream_write(Executor *e, int tensor, const void *from) {
    Stream *s = e->stream;
    int64_t bytes = e->program->tensors[tensor].bytes;
    unsigned char *mirror = stream_scalar(e, tensor);
    if (mirror) memcpy(mirror, from, (size_t)bytes);
    TRY(s->methods->synchronise(s->queue, NONE));
    memcpy(s->host + s->view_at, from, (size_t)bytes);
    TRY(s->methods->write(s->queue, s->first_lane, executor_data(e, tensor), s->host + s->view_at,
                          bytes));
    return s->methods->synchronise(s->queue, NONE);
}
