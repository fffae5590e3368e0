// SPDX-License-Identifier: MIT
// The memory that ranks meet at: a control block, then every rank's pool.
#ifndef PARALLEL_COMM_WORLD_INTERNAL_H
#define PARALLEL_COMM_WORLD_INTERNAL_H

#include "parallel/comm/comm.h"

#include <stdatomic.h>

// Words that several ranks poll have cache lines of their own. A comment names who writes; everyone
// may read. Plain fields are published by the atomic word named beside them.

// What a member brings to a collective.
typedef struct {
    uint64_t signature;  // call_signature(): must be equal at all members
    int64_t start_ns;
} Arrival;

typedef struct {
    // Written by the rank: the sequence number of its collective << 32, plus 1 for having arrived,
    // plus the rounds that it has ended.
    _Alignas(64) _Atomic uint64_t progress;
    // Published by `progress`; two, for even and odd sequence numbers: a member that starts the
    // next collective must not overwrite what its peers still read of this one. (They have ended
    // this one when the next one ends.)
    Arrival arrival[2];

    // A point-to-point message that waits to be fetched. The receiver writes `taken` and
    // `taken_start_ns`, the sender the rest.
    _Alignas(64) _Atomic uint64_t address;  // p2p.c: receiver, tag and sequence number
    uint64_t post;  // published by `address`, as the following: the sender's count of messages
    Dtype dtype;
    int segment_count;
    int64_t start_ns;
    CommSegment segments[COMM_MESSAGE_SEGMENTS];
    _Alignas(64) _Atomic uint64_t taken;  // the receiver's: the last post that was fetched
    int64_t taken_start_ns;               // published by `taken`
} SharedLane;

typedef struct {
    _Alignas(64) _Atomic uint32_t bell;    // a futex: counts how often peers woke this rank
    _Atomic uint32_t asleep;               // the rank's own
    _Atomic uintptr_t awaits;              // the rank's own: the one word it sleeps for; 0: any
    _Alignas(64) _Atomic uint64_t posts;   // the rank's own: messages sent
    _Atomic uint64_t agreements;           // the rank's own
    _Atomic int64_t in_transit_ns;         // the rank's own: until then its data are on a link
    uint64_t agree_value[2];               // published by `agreements`; even and odd, as above
    _Alignas(64) _Atomic int64_t at_step;  // the rank's own: its position
    _Atomic int32_t at_plan, at_op;
    uint32_t sent[COMM_RANKS][COMM_TAGS], received[COMM_RANKS][COMM_TAGS];  // seen by the rank only
    SharedLane lanes[COMM_LANES];
} SharedRank;

// On an emulated link, per rank and lane: what a member publishes when it has ended a round, and
// before its first.
typedef struct {
    int64_t end_ns;      // when that was, in the model
    int64_t sent_bytes;  // by it to others in the round that follows
} LinkRound;

enum { LINK_WINDOW = 64 };  // by how many rounds a member may be ahead, and as many again
typedef struct {
    // Stored at the group's first member: arrivals plus departures so far.
    _Alignas(64) _Atomic uint64_t met;
    // Written by the rank, published by `progress`: after e rounds, at e mod 2 LINK_WINDOW.
    _Alignas(64) LinkRound rounds[2 * LINK_WINDOW];
} SharedLink;

typedef struct {
    _Alignas(64) _Atomic uint32_t failure;  // 0, WRITING + the rank that writes, or WRITTEN
    Status status;                          // published by `failure`, as the following
    int rank;
    char message[STATUS_TEXT];
    SharedRank ranks[];
} Control;

struct CommWorld {
    CommKind kind;
    int ranks;
    bool oversubscribed;  // more ranks than cores: they yield to each other before they sleep
    int64_t timeout_ns, spin_ns;
    int64_t pool_bytes, pool_stride;
    char *pools;       // rank r's begins at r * pool_stride; page-aligned, in `memory`
    Control *control;  // in `memory`
    StarLink link;
    SharedLink *links;  // in `memory`, [rank][lane]; NULL: no link is emulated
    void *memory;       // owned mapping
    size_t memory_bytes;
    Comm *ends[COMM_RANKS];  // serial: who has joined
    uint64_t agree_value[COMM_RANKS];
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
static inline SharedLane *shared_lane(const Comm *c, const CommCall *call, int position) {
    return &shared_rank(c, call->ranks[position])->lanes[call->lane];
}
static inline char *world_pool(const CommWorld *w, int rank) {
    return w->pools + rank * w->pool_stride;
}

#endif
