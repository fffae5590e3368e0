// SPDX-License-Identifier: MIT
// Each level of each group is a transfer of its own; a member walks from one to the next: enter().
// An event's kind is the level that a member has ended, `a` names collective and group.
#include "sim/levels.h"

#include "core/base/array.h"
#include "core/plan/program.h"

#include <stdlib.h>
#include <string.h>

static int64_t share_up(int64_t elements, int members) {
    return (elements + members - 1) / members;
}

int levels_of(Level out[LEVELS_MOST], const Collective *c, int nodes, int per_node) {
    bool cut = c->kind == COLLECTIVE_ALL_REDUCE || c->kind == COLLECTIVE_REDUCE_SCATTER ||
               c->kind == COLLECTIVE_ALL_GATHER;
    if (!cut || nodes < 2 || per_node < 2) return 0;
    const Collective within = {COLLECTIVE_ALL_GATHER, ALGORITHM_RING, per_node, 0, c->elements, 0};
    const Collective across = {c->kind, ALGORITHM_RING, nodes, 0, share_up(c->elements, per_node),
                               0};
    int count = 0;
    if (c->kind != COLLECTIVE_ALL_GATHER) {
        out[count] = (Level){within, false};
        out[count++].what.kind = COLLECTIVE_REDUCE_SCATTER;
    }
    out[count++] = (Level){across, true};
    if (c->kind != COLLECTIVE_REDUCE_SCATTER) out[count++] = (Level){within, false};
    return count;
}

static Status handle(void *context, Event event);

Status leveled_transfers_init(LeveledTransfers *l, Engine *e, Transfers *t,
                              const Topology *topology) {
    int nodes = topology->nodes, per_node = topology->devices_per_node;
    *l = (LeveledTransfers){.engine = e,
                            .transfers = t,
                            .topology = topology,
                            .spare = NONE,
                            .groups = nodes > per_node ? nodes : per_node,
                            .counts = calloc((size_t)nodes, sizeof *l->counts),
                            .firsts = calloc((size_t)nodes, sizeof *l->firsts)};
    if (!l->counts || !l->firsts) FAIL(ERR_MEMORY, "out of memory for %d nodes", nodes);
    return engine_add_actor(e, &l->actor, l, handle, NULL);
}

void leveled_transfers_finish(LeveledTransfers *l) {
    for (int i = 0; i < l->count; i++) {
        free(l->items[i].members);
        free(l->items[i].places);
        free(l->items[i].devices);
        free(l->items[i].transfers);
    }
    free(l->items);
    free(l->counts);
    free(l->firsts);
    *l = (LeveledTransfers){0};
}

// --- who is where

static int device_of(const TransferCall *call, int member) {
    return call->devices ? call->devices[member] : member;
}

static int node_of(const LeveledTransfers *l, const TransferCall *call, int member) {
    return device_of(call, member) / l->topology->devices_per_node;
}

// On how many nodes the members are, with how many each; 0 where these differ. Nodes are numbered
// in the order of their first members: firsts[node] is how many members are on those before.
static void spread(LeveledTransfers *l, const TransferCall *call, int *nodes, int *per_node) {
    int ranks = call->what.ranks;
    *nodes = 0;
    for (int m = 0; m < ranks; m++) l->counts[node_of(l, call, m)] = 0;
    for (int m = 0; m < ranks; m++) *nodes += l->counts[node_of(l, call, m)]++ == 0;
    *per_node = l->counts[node_of(l, call, 0)];
    for (int m = 0; m < ranks; m++)
        if (l->counts[node_of(l, call, m)] != *per_node) *per_node = 0;
}

static void number_members(LeveledTransfers *l, LeveledTransfer *x) {
    const TransferCall *call = &x->call;
    int ranks = call->what.ranks, next = 0;
    for (int m = 0; m < ranks; m++) l->counts[node_of(l, call, m)] = 0;
    for (int m = 0; m < ranks; m++) {
        int node = node_of(l, call, m);
        if (!l->counts[node]) l->firsts[node] = x->per_node * next++;
        int place = l->firsts[node] + l->counts[node]++;
        x->places[m] = place;
        x->members[place] = m;
        x->devices[place] = device_of(call, m);
        x->devices[ranks + place % x->per_node * x->nodes + place / x->per_node] =
            device_of(call, m);
    }
}

static Status take_item(LeveledTransfers *l, int32_t *id, int ranks) {
    int32_t i = l->spare;
    if (i == NONE) {
        if (l->count >= INT32_MAX / l->groups)
            FAIL(ERR_FAILED, "%d collectives in levels at once, of %d groups", l->count, l->groups);
        TRY(ARRAY_RESERVE(l->items, l->capacity, l->count + 1));
        i = l->count++;
        l->items[i] = (LeveledTransfer){.spare = NONE};
    }
    LeveledTransfer *x = &l->items[i];
    TRY(ARRAY_RESERVE(x->members, x->member_capacity, ranks));
    TRY(ARRAY_RESERVE(x->places, x->place_capacity, ranks));
    TRY(ARRAY_RESERVE(x->devices, x->device_capacity, 2 * ranks));
    TRY(ARRAY_RESERVE(x->transfers, x->transfer_capacity, LEVELS_MOST * l->groups));
    l->spare = x->spare;
    *id = i;
    return OK;
}

Status leveled_transfer_begin(LeveledTransfers *l, int32_t *id, const TransferCall *call) {
    Level levels[LEVELS_MOST];
    int nodes, per_node;
    *id = NONE;
    spread(l, call, &nodes, &per_node);
    int count = levels_of(levels, &call->what, nodes, per_node);
    if (!count) return OK;
    TRY(take_item(l, id, call->what.ranks));
    LeveledTransfer *x = &l->items[*id];
    x->call = *call;
    x->nodes = nodes;
    x->per_node = per_node;
    x->level_count = count;
    x->left = call->what.ranks;
    memcpy(x->levels, levels, sizeof levels);
    for (int i = 0; i < LEVELS_MOST * l->groups; i++) x->transfers[i] = NONE;
    number_members(l, x);
    return OK;
}

// --- from level to level

static Status begin_group(LeveledTransfers *l, int32_t id, int level, int group) {
    LeveledTransfer *x = &l->items[id];
    const Level *v = &x->levels[level];
    const int32_t *devices = x->devices + (v->across ? x->call.what.ranks : 0);
    const TransferCall call = {.what = v->what,
                               .element_bytes = x->call.element_bytes,
                               .devices = devices + (int64_t)group * v->what.ranks,
                               .add_bytes_per_s = x->call.add_bytes_per_s,
                               .done = {l->actor, (int16_t)level, id * l->groups + group, 0}};
    return transfer_begin(l->transfers, &x->transfers[level * l->groups + group], &call);
}

static Status end_member(LeveledTransfers *l, int32_t id, int member) {
    Event done = l->items[id].call.done;
    done.b = member;
    if (--l->items[id].left == 0) {
        l->items[id].spare = l->spare;
        l->spare = id;
    }
    return engine_deliver(l->engine, done);
}

static Status enter(LeveledTransfers *l, int32_t id, int member, int level) {
    const LeveledTransfer *x = &l->items[id];
    if (level == x->level_count) return end_member(l, id, member);
    int node = x->places[member] / x->per_node, place = x->places[member] % x->per_node;
    bool across = x->levels[level].across;
    int group = across ? place : node;
    const int32_t *transfer = &x->transfers[level * l->groups + group];
    if (*transfer == NONE) TRY(begin_group(l, id, level, group));
    return transfer_arrive(l->transfers, *transfer, across ? node : place, 0);
}

static Status handle(void *context, Event event) {
    LeveledTransfers *l = context;
    int32_t id = event.a / l->groups;
    int group = event.a % l->groups, position = (int)event.b;
    const LeveledTransfer *x = &l->items[id];
    int place = x->levels[event.kind].across ? position * x->per_node + group
                                             : group * x->per_node + position;
    return enter(l, id, x->members[place], event.kind + 1);
}

Status leveled_transfer_arrive(LeveledTransfers *l, int32_t id, int member) {
    return enter(l, id, member, 0);
}
