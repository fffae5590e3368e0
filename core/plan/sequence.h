// SPDX-License-Identifier: MIT
// What a rank issues to the others of a group, as they see it: sequences that must be equal on both
// sides, or ranks would wait for each other for ever or take what was meant for something else.
// Ranks of different programs compare them before the first step.
#ifndef CORE_PLAN_SEQUENCE_H
#define CORE_PLAN_SEQUENCE_H

#include "core/base/arena.h"
#include "core/plan/program.h"

// distance 0: the collectives of a group, lane by lane, which are the same at all members. Else the
// messages to the member that is so many places further along the group (0 < distance < size), tag
// by tag; or, with `receives`, from that member, which are the messages that it sends here.
typedef struct {
    int group, distance;
    bool receives;
} Sequence;

// One of them: a hash of what both sides must agree on, and where it is in the program.
typedef struct {
    uint64_t hash;
    int32_t plan, op;
} SequenceItem;

Status sequence_list(const Program *p, Sequence s, Arena *a, SequenceItem **out,
                     int *count) MUST_USE;
// 0: there is nothing in it.
Status sequence_fingerprint(const Program *p, Sequence s, uint64_t *out) MUST_USE;

#endif
