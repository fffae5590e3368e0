// SPDX-License-Identifier: MIT
// Who takes part in a communication, as seen from a rank.
#ifndef SIM_MEMBERS_H
#define SIM_MEMBERS_H

#include "core/plan/program.h"

typedef struct {
    int *ranks;  // of the group, in order; borrowed, room for all ranks
    int count, position;
    int peer;  // of a send or receive: the rank at the other end; else NONE
} Members;

// Fill in all but `ranks`, where the members go, from the work.
void members_find(Members *m, const Program *p, const Work *w, int rank);

// Are they a send and a receive with one tag: with equal sequence numbers, ends of one message?
bool members_are_ends(const Program *p, const Work *a, const Work *b);

// Messages to and from each peer are counted by tag, which gives them their sequence numbers: the
// place of a count among MESSAGE_COUNTS * ranks of them.
enum { MESSAGE_TAGS = 16, MESSAGE_COUNTS = 2 * MESSAGE_TAGS };
int members_message_count_at(const Program *p, const Work *w, int peer);

#endif
