// SPDX-License-Identifier: MIT
// The radix heap of sim/engine.h. Read list_of() first: which list an event waits in follows from
// its time and now alone; advance() moves a list's events closer when now reaches its digit.
#include "sim/engine.h"

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/units.h"

#include <assert.h>
#include <stdlib.h>

enum { DIGIT_BITS = 6, DIGITS = 1 << DIGIT_BITS };

Status engine_init(Engine *e) {
    *e = (Engine){0};
    TRY(ARRAY_RESERVE(e->nodes, e->node_capacity, 2 * ENGINE_LISTS));
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

void engine_watch(Engine *e, void *context, WatchHandler *watch) {
    e->watch_context = context;
    e->watch = watch;
}

// The place of the highest digit in which a time differs from now, and the digit. Nothing that is
// at another digit of this place, or at a higher place, has to move when now becomes that time.
static int list_of(const Engine *e, int64_t time_ps) {
    uint64_t differs = (uint64_t)(time_ps ^ e->now_ps) | 1;
    int place = (63 - __builtin_clzll(differs)) / DIGIT_BITS;
    return place * DIGITS + (int)(time_ps >> place * DIGIT_BITS & (DIGITS - 1));
}

static void open_list(Engine *e, int head) {
    e->waiting[head / DIGITS] |= UINT64_C(1) << head % DIGITS;
}
static void close_list(Engine *e, int head) {
    e->waiting[head / DIGITS] &= ~(UINT64_C(1) << head % DIGITS);
}

static void append(Engine *e, EventId id) {
    EventNode *nodes = e->nodes, *node = &nodes[id];
    int64_t time_ps = node->time_ps;
    int list = list_of(e, time_ps), last = nodes[list].previous;
    EventNode *head = &nodes[list];
    node->next = list;
    node->previous = last;
    nodes[last].next = id;
    head->previous = id;
    if (last == list) {
        head->time_ps = head->last_ps = time_ps;
        head->exact = true;
        open_list(e, list);
    } else if (time_ps <= head->time_ps) {
        head->time_ps = time_ps;
        head->exact = true;
    } else if (time_ps > head->last_ps) {
        head->last_ps = time_ps;
    }
}

// Take an event out of its list before its time has come.
static void unlink_node(Engine *e, EventId id) {
    int next = e->nodes[id].next, previous = e->nodes[id].previous;
    e->nodes[previous].next = next;
    e->nodes[next].previous = previous;
    if (next == previous && next < ENGINE_LISTS) close_list(e, next);
    int list = list_of(e, e->nodes[id].time_ps);
    e->nodes[list].exact &= e->nodes[id].time_ps != e->nodes[list].time_ps;
}

static void release(Engine *e, EventId id) {
    e->nodes[id].next = e->spare;
    e->spare = id;
}

static Status check_delay(const Engine *e, int64_t delay_ps) {
    assert(delay_ps >= 0);
    if (delay_ps > INT64_MAX - e->now_ps)
        FAIL(ERR_FAILED, "simulated time ends after 106 days: an event would come %lld s later",
             (long long)(delay_ps / PS_PER_S));
    return OK;
}

Status engine_push(Engine *e, EventId *id, int64_t delay_ps, Event event) {
    TRY(check_delay(e, delay_ps));
    EventId i = e->spare;
    if (i) {
        e->spare = e->nodes[i].next;
    } else {
        TRY(ARRAY_RESERVE(e->nodes, e->node_capacity, e->node_count + 1));
        i = e->node_count++;
    }
    e->nodes[i].time_ps = e->now_ps + delay_ps;
    e->nodes[i].event = event;
    append(e, i);
    if (id) *id = i;
    return OK;
}

Status engine_move(Engine *e, EventId id, int64_t delay_ps) {
    TRY(check_delay(e, delay_ps));
    unlink_node(e, id);
    e->nodes[id].time_ps = e->now_ps + delay_ps;
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

// The first event of the instant, taken out of its list; 0: there is none. Its node is free.
static EventId take_first(Engine *e, int list) {
    EventNode *head = &e->nodes[list];
    EventId id = head->next;
    if (id == list) return 0;
    head->next = e->nodes[id].next;
    e->nodes[head->next].previous = list;
    if (head->next == list) close_list(e, list);
    release(e, id);
    return id;
}

static Status run_instant(Engine *e) {
    int list = list_of(e, e->now_ps);
    for (;;) {
        EventId id;
        while ((id = take_first(e, list))) {
            e->event_count++;
            if (e->watch && e->event_count % ENGINE_WATCHED == 0) TRY(e->watch(e->watch_context));
            TRY(engine_deliver(e, e->nodes[id].event));
        }
        if (!e->unsettled) return OK;
        int actor = __builtin_ctz(e->unsettled);
        e->unsettled &= e->unsettled - 1;
        TRY(e->actors[actor].settle(e->actors[actor].context));
    }
}

// The list that holds the earliest events, and their time: false if there are none. At the lowest
// place, a list holds events of one time.
static bool find_earliest(const Engine *e, int *list, int64_t *time_ps) {
    int place = 0;
    while (place < ENGINE_PLACES && !e->waiting[place]) place++;
    if (place == ENGINE_PLACES) return false;
    int head = place * DIGITS + __builtin_ctzll(e->waiting[place]), i = e->nodes[head].next;
    *list = head;
    *time_ps = e->nodes[head].time_ps;
    if (place == 0 || e->nodes[head].exact) return true;
    *time_ps = e->nodes[i].time_ps;
    while ((i = e->nodes[i].next) != head)
        if (e->nodes[i].time_ps < *time_ps) *time_ps = e->nodes[i].time_ps;
    return true;
}

// All events of a list have come: it becomes that of the instant.
static void hand_over(Engine *e, int from, int to) {
    int first = e->nodes[from].next, last = e->nodes[from].previous;
    e->nodes[first].previous = e->nodes[last].next = to;
    e->nodes[to].next = first;
    e->nodes[to].previous = last;
    e->nodes[to].time_ps = e->nodes[to].last_ps = e->now_ps;
    e->nodes[to].exact = true;
    open_list(e, to);
}

// Go to the time of the next event, if it is not after `last_ps`; what shares its list now differs
// at a lower place.
static bool advance(Engine *e, int64_t last_ps) {
    int list;
    int64_t time_ps;
    if (!find_earliest(e, &list, &time_ps) || time_ps > last_ps) return false;
    e->now_ps = time_ps;
    if (list < DIGITS) return true;
    bool same = time_ps == e->nodes[list].last_ps;
    int next = e->nodes[list].next;
    if (same) hand_over(e, list, list_of(e, time_ps));
    e->nodes[list].next = e->nodes[list].previous = list;
    close_list(e, list);
    for (int i = next; i != list && !same; i = next) {
        next = e->nodes[i].next;
        append(e, i);
    }
    return true;
}

Status engine_run_until(Engine *e, int64_t time_ps) {
    do TRY(run_instant(e));
    while (advance(e, time_ps));
    return OK;
}

Status engine_run(Engine *e) { return engine_run_until(e, INT64_MAX); }
