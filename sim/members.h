// SPDX-License-Identifier: MIT
// The two ends of a message between ranks, and its sequence number; a rank's part of a collective.
#ifndef SIM_MEMBERS_H
#define SIM_MEMBERS_H

#include "core/base/arena.h"
#include "core/plan/program.h"

// The rank at the other end of a send or receive; NONE: it is a collective.
int members_peer(const Program *p, const Work *w, int rank);

// Are they a send and a receive with one tag: with equal sequence numbers, ends of one message?
// The two may be of different programs.
bool members_are_ends(const Program *p, const Work *a, const Program *q, const Work *b);

// In how many pieces a rank of a host does its share of a communication: the rounds of the schedule
// in which it has something to do.
int64_t members_shares(const Program *p, const Work *w, int rank);

// Messages to and from each peer are counted by tag, which gives them their sequence numbers.
enum { MESSAGE_COUNTS = 2 * MESSAGE_TAGS };
typedef struct {
    int32_t rank, counts[MESSAGE_COUNTS];
} MessagePeer;

// The peers of one rank: those that it has messages with in a plan.
typedef struct {
    MessagePeer *peers;
    int count;
} MessagePeers;

// In the arena. ERR_MEMORY.
Status message_peers_init(MessagePeers *m, Arena *a, const Program *p, const Plan *plan,
                          int rank) MUST_USE;

// The sequence number of the next message of this work to or from the peer, from 1 on.
int32_t message_peers_next(MessagePeers *m, const Program *p, const Work *w, int peer);

#endif
