// SPDX-License-Identifier: MIT
// How long a collective takes by a formula for each round of its schedule, as if it were alone.
//
// Alpha-beta (Hockney, 1994): a message of k bytes takes alpha + k beta, h messages that a member
// sends or receives at once alpha + h k beta; alpha is the latency of the path, 1 / beta its
// bandwidth. A schedule takes what its messages take one by one where chunks are of one size and
// nodes have as many members each (sim/transfer.h).
//
// LogGP (Alexandrov, Ionescu, Schauser, Scheiman, 1995): h messages of k bytes take
//
//     o + h (k - 1) G + (h - 1) g + L + o
//
// L and G are latency and 1 / bandwidth of the path; overhead o and gap g are the machine's.
//
//     ring       all-reduce 2 (n - 1) rounds of S / n bytes, reduce-scatter and all-gather n - 1
//                broadcast: a piece over n - 1 pairs, and the others one behind the other
//     direct     an all-reduce two rounds, others one, of n - 1 messages each
//     in levels  within each node, then across, then within (sim/levels.h)
//
// A chain has no such form: sums and results pass each other on its way.
#ifndef SIM_CLOSED_FORM_H
#define SIM_CLOSED_FORM_H

#include "core/platform/machine.h"
#include "parallel/collective/collective.h"

typedef enum { CLOSED_NONE, CLOSED_ALPHA_BETA, CLOSED_LOGGP } ClosedModel;

typedef struct {
    ClosedModel model;
    int64_t overhead_ps, gap_ps;  // of LogGP
    LinkModel within, across;     // whole paths within a node and between two
    bool levels;                  // what has a form of levels takes that
} ClosedForm;

// Of the members of a group: on how many nodes they are, and how many on the fullest and on the
// emptiest of these.
typedef struct {
    int32_t nodes, most, least;
} GroupSpread;

// From the last arrival to the last end. ERR_USAGE for a chain, and for bandwidths
// below 1 byte/s a message; ERR_FAILED for more than 106 days.
Status closed_form_collective(int64_t *ps, const ClosedForm *f, const Collective *c,
                              int64_t element_bytes, const GroupSpread *spread) MUST_USE;

// A message between two members, in one node or across.
Status closed_form_message(int64_t *ps, const ClosedForm *f, int64_t bytes, bool across) MUST_USE;

#endif
