// SPDX-License-Identifier: MIT
#include "sim/engine.h"

#include "core/base/arena.h"

#include <assert.h>
#include <stdlib.h>

Status engine_init(Engine *e) {
    *e = (Engine){0};
    TRY(ARRAY_RESERVE(e->nodes, e->node_capacity, 4 * ENGINE_LISTS));
    for (int k = 0; k < ENGINE_LISTS; k++) e->nodes[k] = (EventNode){.next = k, .previous = k};
    e->node_count = ENGINE_LISTS;
    return OK;
}

void engine_finish(Engine *e) {
    free(e->nodes);
    *e = (Engine){0};
}

Status engine_add_actor(Engine *e, int16_t *actor, void *context, EventHandler *handle,
                        SettleHandler *settle) {
    if (e->actor_count == ENGINE_ACTORS)
        FAIL(ERR_FAILED, "a simulation has at most %d kinds of actors", ENGINE_ACTORS);
    *actor = (int16_t)e->actor_count++;
    e->actors[*actor].context = context;
    e->actors[*actor].handle = handle;
    e->actors[*actor].settle = settle;
    return OK;
}

// List 0 holds the events of now; list k those whose highest bit that differs from now is bit k-1.
// An event stays right where it is as long as now moves within the lists below.
static int list_of(const Engine *e, int64_t time_ps) {
    uint64_t differs = (uint64_t)(time_ps ^ e->now_ps);
    return differs ? 64 - __builtin_clzll(differs) : 0;
}

static void append(Engine *e, EventId id) {
    int head = list_of(e, e->nodes[id].time_ps), last = e->nodes[head].previous;
    e->nodes[id].next = head;
    e->nodes[id].previous = last;
    e->nodes[last].next = id;
    e->nodes[head].previous = id;
    e->waiting |= UINT64_C(1) << head;
}

static void unlink_node(Engine *e, EventId id) {
    int next = e->nodes[id].next, previous = e->nodes[id].previous;
    e->nodes[previous].next = next;
    e->nodes[next].previous = previous;
    if (next == previous && next < ENGINE_LISTS) e->waiting &= ~(UINT64_C(1) << next);
}

static void release(Engine *e, EventId id) {
    e->nodes[id].next = e->spare;
    e->spare = id;
}

static Status time_after(const Engine *e, int64_t *time_ps, int64_t delay_ps) {
    assert(delay_ps >= 0);
    if (delay_ps > INT64_MAX - e->now_ps)
        FAIL(ERR_FAILED, "simulated time ends after 106 days: an event would come %lld s later",
             (long long)(delay_ps / 1000000000000));
    *time_ps = e->now_ps + delay_ps;
    return OK;
}

Status engine_push(Engine *e, EventId *id, int64_t delay_ps, Event event) {
    int64_t time_ps;
    TRY(time_after(e, &time_ps, delay_ps));
    EventId i = e->spare;
    if (i) {
        e->spare = e->nodes[i].next;
    } else {
        TRY(ARRAY_RESERVE(e->nodes, e->node_capacity, e->node_count + 1));
        i = e->node_count++;
    }
    e->nodes[i].time_ps = time_ps;
    e->nodes[i].event = event;
    append(e, i);
    if (id) *id = i;
    return OK;
}

Status engine_move(Engine *e, EventId id, int64_t delay_ps) {
    int64_t time_ps;
    TRY(time_after(e, &time_ps, delay_ps));
    unlink_node(e, id);
    e->nodes[id].time_ps = time_ps;
    append(e, id);
    return OK;
}

void engine_cancel(Engine *e, EventId id) {
    unlink_node(e, id);
    release(e, id);
}

Status engine_deliver(Engine *e, Event event) {
    return e->actors[event.actor].handle(e->actors[event.actor].context, event);
}

void engine_settle(Engine *e, int16_t actor) { e->unsettled |= UINT32_C(1) << actor; }

static Status run_instant(Engine *e) {
    for (;;) {
        while (e->waiting & 1) {
            EventId id = e->nodes[0].next;
            Event event = e->nodes[id].event;  // a copy: the handler may make the array grow
            unlink_node(e, id);
            release(e, id);
            e->event_count++;
            TRY(engine_deliver(e, event));
        }
        if (!e->unsettled) return OK;
        int actor = __builtin_ctz(e->unsettled);
        e->unsettled &= e->unsettled - 1;
        TRY(e->actors[actor].settle(e->actors[actor].context));
    }
}

// Go to the time of the next event, if it is not after `last_ps`. The earliest is in the lowest list
// in use; all of that list now belongs into lower ones.
static int advance(Engine *e, int64_t last_ps) {
    if (!e->waiting) return 0;
    int head = __builtin_ctzll(e->waiting);
    int64_t least = INT64_MAX;
    for (int i = e->nodes[head].next; i != head; i = e->nodes[i].next)
        if (e->nodes[i].time_ps < least) least = e->nodes[i].time_ps;
    if (least > last_ps) return 0;
    e->now_ps = least;
    int next = e->nodes[head].next;
    e->nodes[head].next = e->nodes[head].previous = head;
    e->waiting &= e->waiting - 1;
    for (int i = next; i != head; i = next) {
        next = e->nodes[i].next;
        append(e, i);
    }
    return 1;
}

Status engine_run_until(Engine *e, int64_t time_ps) {
    do TRY(run_instant(e));
    while (advance(e, time_ps));
    return OK;
}

Status engine_run(Engine *e) { return engine_run_until(e, INT64_MAX); }
