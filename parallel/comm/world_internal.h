// SPDX-License-Identifier: MIT
// The memory that ranks meet at: a control block, what each rank publishes, then every rank's pool.
#ifndef PARALLEL_COMM_WORLD_INTERNAL_H
#define PARALLEL_COMM_WORLD_INTERNAL_H

#include "parallel/comm/control_internal.h"

// A rank's place in `memory`, at the same address in every process.
typedef struct {
    char *pool;  // page-aligned
    Published *calls;
    CommSegment *segments;
    CommRoom room;
} RankMemory;

struct CommWorld {
    CommKind kind;
    int ranks;
    bool oversubscribed;  // more ranks than cores: they yield to each other before they sleep
    int64_t timeout_ns, spin_ns;
    RankMemory of[COMM_RANKS];
    Control *control;  // in `memory`
    StarLink link;
    SharedLink *links;  // in `memory`, [rank][lane]; NULL: no link is emulated
    void *memory;       // owned mapping
    size_t memory_bytes;
    Comm *ends[COMM_RANKS];  // serial: who has joined
    struct {
        size_t size;
        void *all;
    } exchange[COMM_RANKS];  // serial: where each wants the exchange that is not complete yet
};

extern const CommMethods comm_serial_methods, comm_thread_methods, comm_shm_methods;

// Record a failure of `rank` unless there is one, and wake everyone. writer: the rank that reports;
// whoever reports a rank that is gone does so in its stead, and completes what it half wrote.
void world_fail(CommWorld *w, Status s, int writer, int rank, const char *message);
Status world_check(const CommWorld *w);  // ERR_PEER with the recorded message, or OK

// Wake a rank if it sleeps: to be called after the (sequentially consistent) store it may wait for.
void world_ring(CommWorld *w, int rank);
void world_ring_for(CommWorld *w, int rank, const void *word);  // unless it waits for another one

static inline SharedRank *shared_rank(const Comm *c, int rank) {
    return &c->world->control->ranks[rank];
}
static inline SharedLane *shared_lane(const Comm *c, const CommRequest *r, int position) {
    return &shared_rank(c, r->group->ranks[position])->lanes[r->call->lane];
}
static inline const Published *world_published(const CommWorld *w, int rank, int32_t handle) {
    return &w->of[rank].calls[handle - 1];
}

#endif
