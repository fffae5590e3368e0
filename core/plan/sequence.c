// SPDX-License-Identifier: MIT
// Sequences of communication: the operations of each, in the order that the partners see.
#include "core/plan/sequence.h"

#include "core/base/hash.h"
#include "core/plan/group.h"

#include <stdlib.h>

// Offsets and names are a rank's own; so is how much it has room for, where sizes follow later.
static uint64_t collective_hash(const Program *p, int plan, const Op *op) {
    const Work *w = op_work(p, op);
    const uint64_t facts[] = {
        (uint64_t)plan,   op->lane, w->kind,  w->dtype,          w->reduce,
        w->algorithm,     w->order, w->parts, (uint64_t)w->peer, (uint64_t)w->payload_bytes,
        (uint64_t)w->unit};
    uint64_t hash = HASH_START;
    for (size_t f = 0; f < sizeof facts / sizeof *facts; f++) hash = hash_u64(hash, facts[f]);
    for (int i = 0; i < w->attr_count; i++) hash = hash_u64(hash, (uint64_t)work_attr(p, w, i));
    return hash;
}

static uint64_t message_hash(const Program *p, int plan, const Op *op) {
    const Work *w = op_work(p, op);
    uint64_t hash = hash_u64(hash_u64(HASH_START, (uint64_t)plan), w->dtype);
    return hash_u64(hash_u64(hash, (uint64_t)w->payload_bytes), (uint64_t)work_attr(p, w, 0));
}

static bool belongs(const Program *p, Sequence s, const Work *w) {
    if (!work_communicates(w) || w->group != s.group) return false;
    if (s.distance == 0) return !work_is_message(w);
    if (w->kind != (s.receives ? KIND_RECEIVE : KIND_SEND)) return false;
    int size = group_size(p, s.group);
    return ((w->peer - s.distance) % size + size) % size == 0;
}

// Lanes and tags are orders of their own: by them first.
typedef struct {
    SequenceItem item;
    int32_t order;
} Entry;

static int by_order(const void *left, const void *right) {
    const Entry *a = left, *b = right;
    if (a->item.plan != b->item.plan) return a->item.plan < b->item.plan ? -1 : 1;
    if (a->order != b->order) return a->order < b->order ? -1 : 1;
    return (a->item.op > b->item.op) - (a->item.op < b->item.op);
}

static Entry entry_of(const Program *p, int plan, int op, bool collective) {
    const Op *o = &p->plans[plan].ops[op];
    uint64_t hash = collective ? collective_hash(p, plan, o) : message_hash(p, plan, o);
    int order = collective ? o->lane : (int)work_attr(p, op_work(p, o), 0);
    return (Entry){{hash, plan, op}, order};
}

Status sequence_list(const Program *p, Sequence s, Arena *a, SequenceItem **out, int *count) {
    int ops = 0;
    for (int k = 0; k < p->plan_count; k++) ops += p->plans[k].op_count;
    Entry *entries = ARENA_NEW(a, Entry, ops + 1);
    *out = ARENA_NEW(a, SequenceItem, ops + 1);
    *count = 0;
    if (!entries || !*out) FAIL(ERR_MEMORY, "out of memory for %d operations", ops);
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            if (belongs(p, s, op_work(p, &p->plans[k].ops[i])))
                entries[(*count)++] = entry_of(p, k, i, s.distance == 0);
    qsort(entries, (size_t)*count, sizeof *entries, by_order);
    for (int i = 0; i < *count; i++) (*out)[i] = entries[i].item;
    return OK;
}

Status sequence_fingerprint(const Program *p, Sequence s, uint64_t *out) {
    Arena scratch = {0};
    SequenceItem *items = NULL;
    int count = 0;
    uint64_t hash = HASH_START;
    Status status = sequence_list(p, s, &scratch, &items, &count);
    for (int i = 0; i < count; i++) hash = hash_u64(hash, items[i].hash);
    *out = count ? hash : 0;
    arena_finish(&scratch);
    return status;
}
