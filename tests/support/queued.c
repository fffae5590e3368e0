// SPDX-License-Identifier: MIT
#include "tests/support/queued.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "core/plan/build.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LANES = 32, RANGES = 2 * OPERANDS, HOST = LANES };  // HOST: its place in a clock

// --- what all ranks share

static QueuedOptions options;
static QueuedReport seen;
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static void report(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&seen_lock);
    if (!seen.unordered++) vsnprintf(seen.first, sizeof seen.first, format, arguments);
    pthread_mutex_unlock(&seen_lock);
    va_end(arguments);
}

static void count(int64_t *what, int64_t more) {
    pthread_mutex_lock(&seen_lock);
    *what += more;
    pthread_mutex_unlock(&seen_lock);
}

QueuedReport queued_report(void) { return seen; }

// --- commands

typedef struct {
    const unsigned char *begin, *end;
    bool writes;
} Range;

typedef struct {
    const char *name;
    int lane;
    int64_t tick;  // how many commands its lane has been given, with this one
    int count;
    Range ranges[RANGES];
} Access;

typedef enum { RUN, WRITE, READ, RECORD, WAIT } CommandKind;

typedef struct {
    CommandKind kind;
    KernelCall call;  // with operands and rows of its own
    Operand operands[OPERANDS];
    int64_t live[OPERANDS];
    void *to;
    const void *from;
    int64_t bytes;
    uint64_t source;  // hash of what a WRITE copies
    int event;
    int64_t number;  // which record() of the event
} Command;

typedef struct {
    Command *commands;
    int first, count, capacity;
    int64_t clock[LANES];  // what of every lane is ordered before what is given next
    int64_t ticks;
} QueueLane;

typedef struct {
    int64_t recorded, reached, ns;
    int64_t clock[LANES];
} Event;

struct DeviceQueue {
    int rank, lanes, events;
    QueueLane lane[LANES];
    Event *event;
    int64_t host_clock[LANES];
    Access *accesses;
    int access_count, access_capacity;
    KernelCall **prepared;
    int prepared_count;
    Rng rng;
    int waits;
};

// --- memory

typedef struct {
    size_t bytes;
} PoolHead;  // in a page before the pool

enum { PAGE = 4096 };

// Local pools of the ranks of this thread, which are mapped for the time of a command.
static _Thread_local struct {
    void *pool;
    size_t bytes;
} local[8];

static void protect_pools(int protection) {
    for (int i = 0; i < 8; i++)
        if (local[i].pool) mprotect(local[i].pool, local[i].bytes, protection);
}

static size_t mapped(const void *pool) {
    return ((const PoolHead *)((const char *)pool - PAGE))->bytes;
}

static Status pool_create(void **out, QueuePool what, int rank, int64_t bytes) {
    size_t size = ((size_t)bytes + PAGE) / PAGE * PAGE;
    char *memory =
        mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) FAIL(ERR_MEMORY, "rank %d: no pool of %zu bytes", rank, size);
    ((PoolHead *)(void *)memory)->bytes = size;
    *out = memory + PAGE;
    for (int i = 0; i < 8 && what == QUEUE_POOL_LOCAL; i++) {
        if (local[i].pool) continue;
        local[i].pool = *out;
        local[i].bytes = size;
        mprotect(*out, size, PROT_NONE);
        break;
    }
    count(&seen.pools, 1);
    return OK;
}

static void pool_destroy(void *pool, QueuePool what, int rank) {
    for (int i = 0; i < 8; i++)
        if (local[i].pool == pool) local[i].pool = NULL;
    munmap((char *)pool - PAGE, mapped(pool) + PAGE);
    count(&seen.pools, -1);
}

// --- which commands are ordered

static void later_clock(int64_t *clock, const int64_t *other) {
    for (int i = 0; i < LANES; i++)
        if (other[i] > clock[i]) clock[i] = other[i];
}

static void add_range(Access *a, const void *begin, int64_t bytes, bool writes) {
    assert(a->count < RANGES);
    const unsigned char *at = begin;
    if (bytes > 0) a->ranges[a->count++] = (Range){at, at + bytes, writes};
}

static bool conflicts(const Access *a, const Access *b) {
    for (int i = 0; i < a->count; i++)
        for (int k = 0; k < b->count; k++) {
            const Range *x = &a->ranges[i], *y = &b->ranges[k];
            if ((x->writes || y->writes) && x->begin < y->end && y->begin < x->end) return true;
        }
    return false;
}

static void watch(DeviceQueue *q, Access access) {
    QueueLane *l = &q->lane[access.lane];
    access.tick = ++l->ticks;
    l->clock[access.lane] = access.tick;
    for (int i = 0; i < q->access_count; i++) {
        const Access *before = &q->accesses[i];
        if (before->tick <= l->clock[before->lane] || !conflicts(before, &access)) continue;
        report("rank %d: nothing orders %s of lane %d before %s of lane %d", q->rank, before->name,
               before->lane, access.name, access.lane);
    }
    if (q->access_count == q->access_capacity) {
        q->access_capacity = 2 * q->access_capacity + 64;
        q->accesses = realloc(q->accesses, (size_t)q->access_capacity * sizeof *q->accesses);
    }
    q->accesses[q->access_count++] = access;
}

// --- carrying out

static void carry_out(DeviceQueue *q, int lane) {
    QueueLane *l = &q->lane[lane];
    Command *c = &l->commands[l->first++];
    Event *e = &q->event[c->event];
    for (int i = 0; c->kind == RUN && i < c->call.outputs + c->call.inputs; i++)
        if (c->operands[i].live) c->operands[i].live = &c->live[i];
    c->call.operand = c->operands;
    protect_pools(PROT_READ | PROT_WRITE);
    switch (c->kind) {
    case RUN: {
        const void *g = c->call.guard;
        bool off = g && (c->call.guard_is_i64 ? *(const int64_t *)g == 0 : *(const double *)g == 0);
        if (!off) device_run(&device_reference, &c->call);
        break;
    }
    case WRITE:
        if (hash_bytes(HASH_START, c->from, (size_t)c->bytes) != c->source)
            report("rank %d: memory of the host changed before its copy on lane %d had run",
                   q->rank, lane);
        memcpy(c->to, c->from, (size_t)c->bytes);
        break;
    case READ: memcpy(c->to, c->from, (size_t)c->bytes); break;
    case RECORD:
        e->reached = c->number;
        e->ns = clock_ns();
        break;
    case WAIT: break;
    }
    protect_pools(PROT_NONE);
    if (l->first == l->count) l->first = l->count = 0;
}

static bool is_ready(const DeviceQueue *q, int lane) {
    const QueueLane *l = &q->lane[lane];
    if (l->first == l->count) return false;
    const Command *c = &l->commands[l->first];
    return c->kind != WAIT || q->event[c->event].reached >= c->number;
}

// One command of a lane that is drawn, or of the first that has one; false: none is ready.
static bool step(DeviceQueue *q) {
    int start = options.order == QUEUED_SHUFFLED ? (int)rng_below(&q->rng, (uint32_t)q->lanes) : 0;
    for (int i = 0; i < q->lanes; i++) {
        int lane = (start + i) % q->lanes;
        if (!is_ready(q, lane)) continue;
        carry_out(q, lane);
        return true;
    }
    return false;
}

static void work(DeviceQueue *q) {
    if (options.order == QUEUED_EAGER)
        while (step(q)) {
        }
    if (options.order == QUEUED_SHUFFLED)
        for (uint32_t n = rng_below(&q->rng, 4); n > 0; n--) step(q);
}

static Command *give(DeviceQueue *q, int lane, CommandKind kind) {
    QueueLane *l = &q->lane[lane];
    assert(lane >= 0 && lane < q->lanes);
    if (l->count == l->capacity) {
        l->capacity = 2 * l->capacity + 64;
        l->commands = realloc(l->commands, (size_t)l->capacity * sizeof *l->commands);
    }
    later_clock(l->clock, q->host_clock);
    Command *c = &l->commands[l->count++];
    memset(c, 0, sizeof *c);
    c->kind = kind;
    return c;
}

// --- methods

static Status queue_open(DeviceQueue **out, int rank, int lanes, int events) {
    DeviceQueue *q = calloc(1, sizeof *q);
    assert(lanes <= LANES);
    q->rank = rank;
    q->lanes = lanes;
    q->events = events;
    q->event = calloc((size_t)events + 1, sizeof *q->event);
    rng_init(&q->rng, options.seed, RNG_TEST, (uint32_t)rank, 0);
    *out = q;
    return OK;
}

static void queue_close(DeviceQueue *q) {
    if (!q) return;
    while (step(q)) {
    }
    for (int i = 0; i < q->lanes; i++) free(q->lane[i].commands);
    for (int i = 0; i < q->prepared_count; i++) free(q->prepared[i]);
    free(q->prepared);
    free(q->accesses);
    free(q->event);
    free(q);
}

static Status queue_prepare(DeviceQueue *q, const KernelCall *call, void **out) {
    q->prepared = realloc(q->prepared, ((size_t)q->prepared_count + 1) * sizeof *q->prepared);
    KernelCall *copy = malloc(sizeof *copy);
    assert(call->outputs + call->inputs <= OPERANDS);
    *copy = *call;
    *out = q->prepared[q->prepared_count++] = copy;
    return OK;
}

static int64_t operand_elements(const Operand *o) {
    int64_t n = operand_rows(o);
    for (int i = 1; i < o->dims; i++) n *= o->shape[i];
    return n;
}

static int64_t element_bytes(const KernelCall *call, int i) {
    return dtype_bytes(kind_operand_dtype(call->kind, call->dtype, call->outputs, i));
}

static Status queue_run(DeviceQueue *q, int lane, const void *prepared) {
    const KernelCall *call = prepared;
    Command *c = give(q, lane, RUN);
    Access access = {.name = kind_name(call->kind), .lane = lane};
    c->call = *call;
    for (int i = 0; i < call->outputs + call->inputs; i++) {
        const Operand *o = &call->operand[i];
        c->operands[i] = *o;
        if (o->live) c->live[i] = *o->live;
        add_range(&access, o->data, operand_elements(o) * element_bytes(call, i),
                  i < call->outputs);
    }
    add_range(&access, call->guard, 8, false);
    watch(q, access);
    count(&seen.runs, 1);
    work(q);
    return OK;
}

static Status copy(DeviceQueue *q, int lane, CommandKind kind, void *to, const void *from,
                   int64_t bytes) {
    Command *c = give(q, lane, kind);
    Access access = {.name = kind == WRITE ? "a copy to the device" : "a copy to the host",
                     .lane = lane};
    c->to = to;
    c->from = from;
    c->bytes = bytes;
    if (kind == WRITE) c->source = hash_bytes(HASH_START, from, (size_t)bytes);
    add_range(&access, to, bytes, true);
    add_range(&access, from, bytes, false);
    watch(q, access);
    count(kind == WRITE ? &seen.writes : &seen.reads, 1);
    work(q);
    return OK;
}

static Status queue_write(DeviceQueue *q, int lane, void *to, const void *from, int64_t bytes) {
    return copy(q, lane, WRITE, to, from, bytes);
}
static Status queue_read(DeviceQueue *q, int lane, void *to, const void *from, int64_t bytes) {
    return copy(q, lane, READ, to, from, bytes);
}

static Status queue_record(DeviceQueue *q, int lane, int event) {
    Command *c = give(q, lane, RECORD);
    Event *e = &q->event[event];
    assert(event >= 0 && event < q->events);
    c->event = event;
    c->number = ++e->recorded;
    memcpy(e->clock, q->lane[lane].clock, sizeof e->clock);
    work(q);
    return OK;
}

static Status queue_wait(DeviceQueue *q, int lane, int event) {
    assert(event >= 0 && event < q->events);
    count(&seen.waits, 1);
    if (q->waits++ == options.dropped_wait) return OK;
    Event *e = &q->event[event];
    if (!e->recorded)
        report("rank %d: lane %d waits for event %d before its record", q->rank, lane, event);
    Command *c = give(q, lane, WAIT);
    c->event = event;
    c->number = e->recorded;
    later_clock(q->lane[lane].clock, e->clock);
    work(q);
    return OK;
}

static Status queue_reached(DeviceQueue *q, int event, bool *out) {
    const Event *e = &q->event[event];
    if (!e->recorded)
        report("rank %d: the host asks for event %d before its record", q->rank, event);
    work(q);
    *out = e->reached == e->recorded;
    if (*out) later_clock(q->host_clock, e->clock);
    return OK;
}

static Status queue_synchronise(DeviceQueue *q, int event) {
    bool all = event == NONE;
    if (!all && !q->event[event].recorded)
        report("rank %d: the host waits for event %d before its record", q->rank, event);
    while (all || q->event[event].reached < q->event[event].recorded)
        if (!step(q)) break;
    for (int i = 0; all && i < q->lanes; i++) {
        if (q->lane[i].first < q->lane[i].count)
            FAIL(ERR_FAILED, "rank %d: lane %d waits for an event that nobody records", q->rank, i);
        later_clock(q->host_clock, q->lane[i].clock);
    }
    if (all) q->access_count = 0;  // ordered before whatever comes
    if (!all && q->event[event].reached < q->event[event].recorded)
        FAIL(ERR_FAILED, "rank %d: event %d is never reached", q->rank, event);
    if (!all) later_clock(q->host_clock, q->event[event].clock);
    return OK;
}

static Status queue_event_ns(DeviceQueue *q, int event, int64_t *ns) {
    *ns = q->event[event].ns;
    return OK;
}

static const QueueMethods methods = {
    .pool_create = pool_create,
    .pool_destroy = pool_destroy,
    .open = queue_open,
    .close = queue_close,
    .prepare = queue_prepare,
    .run = queue_run,
    .write = queue_write,
    .read = queue_read,
    .record = queue_record,
    .wait = queue_wait,
    .reached = queue_reached,
    .synchronise = queue_synchronise,
    .event_ns = queue_event_ns,
};

const Device *queued_device(const QueuedOptions *o) {
    static Device device;
    device = device_reference;
    device.name = "queued";
    device.queue = &methods;
    options = *o;
    seen = (QueuedReport){0};
    return &device;
}
