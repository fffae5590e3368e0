// SPDX-License-Identifier: MIT
// Collectives on a network, message by message, by their schedules
// (parallel/collective/collective.h); one that travels alone may be priced by a formula instead
// (sim/transfer_direct.h). A member goes through the rounds in order: it starts a round
// when the sources of its steps have ended the rounds before; all its messages then travel at once;
// when the last has arrived, it adds up what is to be added and has ended the round. Steps within a
// device cost nothing but the adding, and a round in which a member does nothing ends at once.
//
// Any number of collectives may be under way. Nothing is allocated for one of at most as many
// members as a finished one had.
#ifndef SIM_TRANSFER_H
#define SIM_TRANSFER_H

#include "parallel/collective/walk.h"
#include "sim/topology.h"

typedef struct {
    Collective what;
    int64_t element_bytes;
    const int32_t
        *devices;  // [what.ranks] where the members are; borrowed. NULL: member i on device i
    int64_t add_bytes_per_s;  // at which a member adds a chunk to another; 0: in no time
    bool alone;  // nothing else travels from its first message to its last: it may be priced by
                 // formula (sim/transfer_direct.h)
    Event done;  // delivered when a member has ended its last round, `b` being the member
} TransferCall;

// Where a member is: one line of the cache, as thousands of members take turns.
typedef struct {
    int64_t round;         // that it is in, which is how many it has ended; -1: not arrived
    int64_t added_bytes;   // in this round; 0 where adding takes no time
    int64_t chunk;         // that it takes from another member in the step looked up last,
    int32_t source;        // and from which
    int32_t steps;         // of the round; -1: not looked up
    int32_t next_step;     // the first whose source is not known to be there
    int32_t messages;      // that it still expects in this round; before it starts: looked up
    int32_t first_waiter;  // of the members that wait for this one; -1: none
    int32_t next_waiter;   // that waits for the same member
    int32_t channel;       // of the network, from the last source that sent alone; -1: none
    int32_t channel_source;
    bool waits;  // for the source of the next step, which is the one looked up last
} TransferMember;

typedef struct {
    TransferCall call;
    CollectiveSizes sizes;  // of chunks
    int64_t rounds;
    bool by_formula;
    int arrived;                // of one by formula: members
    TransferMember *members;    // owned
    int member_capacity, left;  // left: members that have not ended
    int32_t spare;
} Transfer;

typedef struct {
    Engine *engine;  // borrowed, like network and topology
    Network *network;
    const Topology *topology;
    int16_t actor;
    Transfer *items;    // owned
    int64_t *delay_ps;  // owned: room for the ends of one that is priced by formula
    int count, capacity, delay_capacity;
    int32_t spare;  // first of the finished ones, linked by `spare`; -1: none
} Transfers;

Status transfers_init(Transfers *t, Engine *e, Network *n, const Topology *topology) MUST_USE;
void transfers_finish(Transfers *t);

// A collective that nobody has reached yet. Its id is good until its last member has ended.
Status transfer_begin(Transfers *t, int32_t *id, const TransferCall *call) MUST_USE;

// A member reaches it, `delay_ps` from now. Each must once.
Status transfer_arrive(Transfers *t, int32_t id, int member, int64_t delay_ps) MUST_USE;

#endif
