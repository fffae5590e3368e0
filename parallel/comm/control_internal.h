// SPDX-License-Identifier: MIT
// The control block: the words that ranks poll, and what they publish beside them. The launcher
// makes it once; all ranks see it.
#ifndef PARALLEL_COMM_CONTROL_INTERNAL_H
#define PARALLEL_COMM_CONTROL_INTERNAL_H

#include "parallel/comm/comm_world.h"

#include <stdatomic.h>

// Words that several ranks poll have cache lines of their own. A comment names who writes; everyone
// may read. Plain fields are published by the atomic word named beside them.

// A prepared call, as its rank published it: written before the rank first arrives with it, and
// published by that arrival. Segments of its arrays lie among the rank's, from `input` on (part by
// part), `output`, `work` and `counts`.
typedef struct {
    uint64_t signature;  // call_signature(): must be equal at all members
    int32_t input, output, work, counts;
    int32_t parts, inputs, outputs;  // segments: of one part, of the result
    Dtype dtype;
    Reduce reduce;
    Collective what;  // of a collective
} Published;

// What a member brings to a collective.
typedef struct {
    uint64_t signature;
    int64_t start_ns;
    int32_t handle;  // of the call at that member
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
    uint64_t post;   // published by `address`, as the following: the sender's count of messages
    int32_t handle;  // of the sender's call
    int64_t start_ns;
    _Alignas(64) _Atomic uint64_t taken;  // the receiver's: the last post that was fetched
    int64_t taken_start_ns;               // published by `taken`
} SharedLane;

enum { EXCHANGE_BYTES = 8192 };  // of one round; larger exchanges take several

typedef struct {
    _Alignas(64) _Atomic uint32_t bell;    // a futex: counts how often peers woke this rank
    _Atomic uint32_t asleep;               // the rank's own
    _Atomic uintptr_t awaits;              // the rank's own: the one word it sleeps for; 0: any
    _Alignas(64) _Atomic uint64_t posts;   // the rank's own: messages sent
    _Atomic int32_t lanes_used;            // the rank's own: its calls have lanes below this
    _Atomic uint64_t word;                 // the rank's own: comm_post()
    _Atomic int64_t in_transit_ns;         // the rank's own: until then its data are on a link
    _Atomic bool away;                     // the rank's own: comm_set_away()
    _Alignas(64) _Atomic int64_t at_step;  // the rank's own: its position
    _Atomic int32_t at_plan, at_op;
    _Atomic int64_t waits_ns;    // the rank's own: when it last looked for peers in vain
    _Atomic uint64_t waits_for;  // the rank's own: which, a bit each, if it has waited for a while
    _Alignas(64) _Atomic uint64_t exchanges;  // the rank's own: rounds of exchanges
    // Published by `exchanges`; for even and odd rounds, as above.
    uint64_t exchange_size[2];
    unsigned char exchanged[2][EXCHANGE_BYTES];
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
    _Atomic uint64_t word;  // the launcher's: comm_world_post()
    SharedRank ranks[];
} Control;

#endif
