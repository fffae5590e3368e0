// SPDX-License-Identifier: MIT
// Collectives in levels, within nodes and across: of a group that has as many members on each of
// its nodes. Members with the same place in their nodes exchange a share of the data, so that a
// rail carries S / N bytes of S for N members of a node.
//
//     all-reduce      reduce-scatter in each node, all-reduce of each share among nodes, all-gather
//     reduce-scatter  the first, then a reduce-scatter of each share among nodes
//     all-gather      an all-gather among nodes, then in each node
//
// All of them around rings; a member begins a level when it has ended the one before. Of S bytes on
// M nodes an all-reduce takes
//
//     2 (N - 1) (alpha + S / N / B) + 2 (M - 1) (alpha' + S / N / M / B')
#ifndef SIM_LEVELS_H
#define SIM_LEVELS_H

#include "sim/transfer.h"

enum { LEVELS_MOST = 3 };

// What each group does, in its node or across.
typedef struct {
    Collective what;
    bool across;
} Level;

// The levels of a collective over nodes with `per_node` members each; 0: it has none, since it is
// of another kind, in one node, or of one member a node.
int levels_of(Level out[LEVELS_MOST], const Collective *c, int nodes, int per_node);

// One that is under way.
typedef struct {
    TransferCall call;
    Level levels[LEVELS_MOST];
    int32_t level_count, nodes, per_node, left, spare;
    int32_t *members, *places;  // owned: members node by node; and where each is among these
    int32_t *devices;           // owned: of these members; then place by place, node by node
    int32_t *transfers;         // owned: [level][group], NONE: nobody has come to it
    int member_capacity, place_capacity, device_capacity, transfer_capacity;
} LeveledTransfer;

typedef struct {
    Engine *engine;  // borrowed, like the next two
    Transfers *transfers;
    const Topology *topology;
    int16_t actor;
    LeveledTransfer *items;    // owned, like the next two
    int32_t *counts, *firsts;  // per node: members of the collective that begins
    int count, capacity;
    int32_t spare, groups;  // groups: the most that a level may have
} LeveledTransfers;

Status leveled_transfers_init(LeveledTransfers *l, Engine *e, Transfers *t,
                              const Topology *topology) MUST_USE;
void leveled_transfers_finish(LeveledTransfers *l);

// As transfer_begin(). *id NONE: it has no levels, or its nodes have different numbers of members.
Status leveled_transfer_begin(LeveledTransfers *l, int32_t *id, const TransferCall *call) MUST_USE;

// A member reaches it now.
Status leveled_transfer_arrive(LeveledTransfers *l, int32_t id, int member) MUST_USE;

#endif
