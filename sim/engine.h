// SPDX-License-Identifier: MIT
// Discrete events in integer picoseconds. Events come out by time, those of one time in the order
// in which they went in: a sequence of insertions has one outcome, on any machine.
//
// What happens belongs to actors: the network, the cores of a host, the lanes of ranks. An event is
// a few integers for one of them. What depends on everything that happens at an instant (the shares
// of a link) is settled once all its events are applied; what that adds to the same instant is
// applied and settled again, before time goes on.
//
// The queue is a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan, "Faster algorithms for the shortest
// path problem", 1990). Time never runs backwards, so an event can wait in a list for the
// highest digit, to base 64, in which its time differs from now. Only when all before it are
// used up is a list sorted, by the digits below: inserting, moving and cancelling cost the same
// at any number of events. Lists keep their order, and events of one time are always in one
// list: that is the sequence number. A list whose events all have one time, as where many ranks
// do the same, need not be sorted: it becomes the list of that instant as it is.
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

// What `kind`, `a` and `b` mean is the actor's business.
typedef struct {
    int16_t actor, kind;
    int32_t a;
    int64_t b;
} Event;

typedef int32_t EventId;  // of an event that has not come out yet; then it names another. 0: none

typedef Status EventHandler(void *context, Event event);
typedef Status SettleHandler(void *context);
typedef Status WatchHandler(void *context);

// An event, or the head of a list, which knows between which times its events are.
typedef struct {
    int64_t time_ps;         // of a head: not after the earliest of its list,
    int32_t next, previous;  // in a circular list
    union {
        Event event;
        struct {
            int64_t last_ps;  // and not before the latest
            bool exact;       // there is an event of time_ps: nothing was taken out of the list
        };
    };
} EventNode;

enum { ENGINE_PLACES = 11, ENGINE_LISTS = ENGINE_PLACES * 64, ENGINE_ACTORS = 32 };
enum { ENGINE_WATCHED = 1 << 12 };

typedef struct {
    int64_t now_ps;
    int64_t event_count;  // that have come out
    EventNode *nodes;     // owned; the first ENGINE_LISTS are the heads of the lists
    int node_count, node_capacity;
    EventId spare;                    // first of the unused nodes, linked by `next`; 0: none
    uint64_t waiting[ENGINE_PLACES];  // bit d: the list of digit d at this place is not empty
    uint32_t unsettled;               // bit k: actor k wants to settle this instant
    void *watch_context;
    WatchHandler *watch;  // called every ENGINE_WATCHED events; NULL: nobody watches
    int actor_count;
    struct {
        void *context;
        EventHandler *handle;
        SettleHandler *settle;
    } actors[ENGINE_ACTORS];
} Engine;

Status engine_init(Engine *e) MUST_USE;  // at time 0
void engine_finish(Engine *e);

// `handle` gets the actor's events; `settle`, which may be NULL, is called as engine_settle() says.
// An error from either ends engine_run().
Status engine_add_actor(Engine *e, int16_t *actor, void *context, EventHandler *handle,
                        SettleHandler *settle) MUST_USE;

// Call `watch` now and then while events come out, in real time: to show progress, or to stop. An
// error from it ends engine_run(). It does not change what is simulated.
void engine_watch(Engine *e, void *context, WatchHandler *watch);

// An event `delay_ps` (not negative) from now; at no delay it comes after those of this instant
// that are there already. *id may be NULL. ERR_FAILED past the end of time, 2^63 ps or 106 days.
Status engine_push(Engine *e, EventId *id, int64_t delay_ps, Event event) MUST_USE;

// Let it come `delay_ps` from now instead, as if it had been inserted now.
Status engine_move(Engine *e, EventId id, int64_t delay_ps) MUST_USE;
void engine_cancel(Engine *e, EventId id);

// Hand an event to its actor at once, without queueing: what somebody else waits for has happened.
Status engine_deliver(Engine *e, Event event) MUST_USE;

// Call the actor's `settle` when all events of this instant are applied.
void engine_settle(Engine *e, int16_t actor);

// Until no event is left, or none up to and including a time; now is then the last event's time.
Status engine_run(Engine *e) MUST_USE;
Status engine_run_until(Engine *e, int64_t time_ps) MUST_USE;

#endif
