// SPDX-License-Identifier: MIT
// Colour refinement (sim/fold.h) by hashes of 64 bits: read fold_init(), then refine(). A group is
// looked at once, from its first member, so that a round takes time in proportion to ranks times
// groups, however large the groups are.
#include "sim/fold.h"

#include "core/base/hash.h"
#include "core/plan/group.h"
#include "sim/members.h"

#include <string.h>

// The messages of a program, each other end once.
typedef struct {
    const Program *program;
    const Work **works;
    int count;
} ProgramMessages;

typedef struct {
    FoldInput in;
    Fold *f;
    Arena *arena;    // scratch
    uint64_t *hash;  // [ranks] what a rank is like, as far as is known
    int32_t *seen;   // [ranks] per colour: the last group that it was seen in
    int32_t *slots;  // [slot_count] table of hashes: a rank, or NONE
    int32_t visits;  // groups looked at
    int slot_count;  // a power of two
    bool *collects;  // [group] is there a collective over it?
    ProgramMessages *programs;
    int program_count, last;
} Refinement;

static const Program *program_of(const Refinement *x, int rank) {
    return x->in.costs[rank]->program;
}

static int node_of(const Refinement *x, int rank) {
    return x->in.devices_per_node ? rank / x->in.devices_per_node : 0;
}

// Equal hashes get one colour, numbered by the first rank that has it.
static void number_colours(Refinement *x) {
    Fold *f = x->f;
    for (int i = 0; i < x->slot_count; i++) x->slots[i] = NONE;
    f->count = 0;
    for (int r = 0; r < x->in.ranks; r++) {
        uint64_t at = x->hash[r] ^ x->hash[r] >> 32;
        int slot = (int)(at & (uint64_t)(x->slot_count - 1));
        while (x->slots[slot] != NONE && x->hash[x->slots[slot]] != x->hash[r])
            slot = (slot + 1) & (x->slot_count - 1);
        if (x->slots[slot] == NONE) {
            x->slots[slot] = r;
            f->colours[r] = f->count++;
        } else
            f->colours[r] = f->colours[x->slots[slot]];
    }
}

// --- groups

// Members of a group on the node of member k, which follow it in order.
static int run_length(const Refinement *x, const Program *p, int group, int rank, int k) {
    int size = group_size(p, group), node = node_of(x, group_member(p, group, rank, k)), end = k;
    while (end < size && node_of(x, group_member(p, group, rank, end)) == node) end++;
    return end - k;
}

// The colours of members, each once and in any order, and how members lie on nodes. A list whose
// nodes are not in order is like no other.
static uint64_t hash_group(Refinement *x, const Program *p, int group, int leader) {
    int size = group_size(p, group), node = NONE;
    uint64_t colours = 0, nodes = hash_u64(HASH_START, (uint64_t)group);
    bool ordered = true;
    x->visits++;
    for (int k = 0, run = 0; k < size; k += run) {
        int first = group_member(p, group, leader, k);
        run = run_length(x, p, group, leader, k);
        ordered &= node_of(x, first) > node;
        node = node_of(x, first);
        nodes = hash_u64(nodes, (uint64_t)run);
        for (int m = k; m < k + run; m++) {
            int colour = x->f->colours[group_member(p, group, leader, m)];
            if (x->seen[colour] != x->visits) colours += hash_u64(HASH_START, (uint64_t)colour);
            x->seen[colour] = x->visits;
        }
    }
    if (!ordered) nodes = hash_u64(nodes, (uint64_t)leader);
    return hash_u64(nodes, colours);
}

static void refine_group(Refinement *x, const Program *p, int group, int leader) {
    uint64_t hash = hash_group(x, p, group, leader);
    for (int k = 0, run = 0; k < group_size(p, group); k += run) {
        run = run_length(x, p, group, leader, k);
        for (int m = k; m < k + run; m++) {
            uint64_t *of = &x->hash[group_member(p, group, leader, m)];
            *of = hash_u64(hash_u64(*of, hash), (uint64_t)run);
        }
    }
}

static void refine_groups(Refinement *x) {
    const Program *p = program_of(x, 0);
    for (int g = 0; g < p->group_count; g++)
        for (int r = 0; r < x->in.ranks && x->collects[g]; r++)
            if (group_position(p, g, r) == 0) refine_group(x, p, g, r);
}

// --- messages

static bool is_like(const Work *a, const Work *b) {
    return a->group == b->group && a->peer == b->peer;
}

static Status find_messages(Refinement *x, ProgramMessages *m, const Program *p) {
    const Plan *plan = &p->plans[x->in.plan];
    *m = (ProgramMessages){.program = p};
    m->works = ARENA_NEW(x->arena, const Work *, p->work_count + 1);
    bool *known = ARENA_NEW(x->arena, bool, p->work_count + 1);
    if (!m->works || !known) FAIL(ERR_MEMORY, "out of memory for folding ranks");
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        int k = 0;
        if (known[plan->ops[i].work] || !work_communicates(w)) continue;
        known[plan->ops[i].work] = true;
        if (!work_is_message(w)) x->collects[w->group] = true;
        while (k < m->count && !is_like(m->works[k], w)) k++;
        if (work_is_message(w) && k == m->count) m->works[m->count++] = w;
    }
    return OK;
}

static Status find_programs(Refinement *x) {
    int capacity = 0;
    for (int r = 0; r < x->in.ranks; r++) {
        const Program *p = program_of(x, r);
        int k = 0;
        while (k < x->program_count && x->programs[k].program != p) k++;
        if (k < x->program_count) continue;
        if (k == capacity) {
            ProgramMessages *more = ARENA_NEW(x->arena, ProgramMessages, 2 * capacity + 16);
            if (!more) FAIL(ERR_MEMORY, "out of memory for folding ranks");
            if (k) memcpy(more, x->programs, (size_t)k * sizeof *more);
            x->programs = more;
            capacity = 2 * capacity + 16;
        }
        TRY(find_messages(x, &x->programs[x->program_count++], p));
    }
    return OK;
}

static const ProgramMessages *messages_of(Refinement *x, int rank) {
    const Program *p = program_of(x, rank);
    if (x->programs[x->last].program == p) return &x->programs[x->last];
    for (x->last = 0; x->programs[x->last].program != p;) x->last++;
    return &x->programs[x->last];
}

static void refine_messages(Refinement *x) {
    for (int r = 0; r < x->in.ranks; r++) {
        const ProgramMessages *m = messages_of(x, r);
        for (int i = 0; i < m->count; i++) {
            int peer = members_peer(m->program, m->works[i], r);
            x->hash[r] = hash_u64(x->hash[r], (uint64_t)x->f->colours[peer]);
            x->hash[r] = hash_u64(x->hash[r], node_of(x, peer) == node_of(x, r));
        }
    }
}

// --- all of it

static void refine(Refinement *x) {
    int before = 0;
    while (x->f->count > before && x->f->count < x->in.ranks) {
        before = x->f->count;
        for (int r = 0; r < x->in.ranks; r++)
            x->hash[r] = hash_u64(HASH_START, (uint64_t)x->f->colours[r]);
        refine_groups(x);
        refine_messages(x);
        number_colours(x);
    }
}

static Status take_representatives(Fold *f, Arena *a) {
    f->representatives = ARENA_NEW(a, int32_t, f->count);
    f->multiplicities = ARENA_NEW(a, int32_t, f->count);
    if (!f->representatives || !f->multiplicities)
        FAIL(ERR_MEMORY, "out of memory for folding %d ranks", f->ranks);
    for (int r = 0, next = 0; r < f->ranks; r++) {
        if (f->colours[r] == next) f->representatives[next++] = r;
        f->multiplicities[f->colours[r]]++;
    }
    return OK;
}

// A colour that is in the list of one before has it.
static Status list_members(Refinement *x, Arena *a, const Program *p, int group, int colour) {
    Fold *f = x->f;
    int count = 0, rank = f->representatives[colour];
    if (f->members[(int64_t)colour * f->groups + group].count) return OK;
    if (group_position(p, group, rank) == NONE) return OK;
    x->visits++;
    for (int k = 0; k < group_size(p, group); k++) {
        int member = f->colours[group_member(p, group, rank, k)];
        count += x->seen[member] != x->visits;
        x->seen[member] = x->visits;
    }
    int32_t *colours = ARENA_NEW(a, int32_t, count);
    if (!colours) FAIL(ERR_MEMORY, "out of memory for folding %d ranks", f->ranks);
    for (int c = colour, k = 0; k < count; c++)
        if (x->seen[c] == x->visits) colours[k++] = c;
    for (int k = 0; k < count; k++)
        f->members[(int64_t)colours[k] * f->groups + group] = (FoldMembers){colours, count};
    return OK;
}

static Status take_members(Refinement *x, Arena *a) {
    Fold *f = x->f;
    const Program *p = program_of(x, 0);
    f->groups = p->group_count;
    f->members = ARENA_NEW(a, FoldMembers, (size_t)f->count * (size_t)f->groups + 1);
    if (!f->members) FAIL(ERR_MEMORY, "out of memory for folding %d ranks", f->ranks);
    for (int g = 0; g < f->groups; g++)
        for (int c = 0; c < f->count && x->collects[g]; c++) TRY(list_members(x, a, p, g, c));
    return OK;
}

static Status find_colours(Refinement *x) {
    int ranks = x->in.ranks;
    for (x->slot_count = 2; x->slot_count < 2 * ranks;) x->slot_count *= 2;
    x->hash = ARENA_NEW(x->arena, uint64_t, ranks);
    x->seen = ARENA_NEW(x->arena, int32_t, ranks);
    x->slots = ARENA_NEW(x->arena, int32_t, x->slot_count);
    x->collects = ARENA_NEW(x->arena, bool, program_of(x, 0)->group_count + 1);
    if (!x->hash || !x->seen || !x->slots || !x->collects)
        FAIL(ERR_MEMORY, "out of memory for folding %d ranks", ranks);
    TRY(find_programs(x));
    for (int r = 0; r < ranks; r++)
        x->hash[r] = hash_u64(HASH_START, (uint64_t)(uintptr_t)x->in.costs[r]);
    number_colours(x);
    refine(x);
    return OK;
}

Status fold_init(Fold *f, Arena *a, const FoldInput *in) {
    Arena scratch = {0};
    Refinement x = {.in = *in, .f = f, .arena = &scratch};
    *f = (Fold){.ranks = in->ranks, .colours = ARENA_NEW(a, int32_t, in->ranks)};
    if (!f->colours) FAIL(ERR_MEMORY, "out of memory for folding %d ranks", in->ranks);
    Status s = find_colours(&x);
    if (s == OK) s = take_representatives(f, a);
    if (s == OK) s = take_members(&x, a);
    arena_finish(&scratch);
    return s;
}

static const char *find_refusal(const FoldInput *in, const TopologyOptions *network) {
    if (in->noise && in->noise->variation) return "computations jitter, each by itself";
    if (in->noise && in->noise->straggler_count) return "some of them are slower";
    bool priced = network->pricing.constants || network->closed.model;
    if (!priced) return "collectives go message by message";
    return network->shared_rail ? "devices of a node share a rail" : NULL;
}

Status fold_choose(const Fold **out, const char **why, Arena *a, const FoldInput *in,
                   const TopologyOptions *network) {
    *out = NULL;
    *why = in->ranks > 1 ? find_refusal(in, network) : NULL;
    if (*why || in->ranks == 1) return OK;
    Fold *f = ARENA_NEW(a, Fold, 1);
    if (!f) FAIL(ERR_MEMORY, "out of memory for folding %d ranks", in->ranks);
    TRY(fold_init(f, a, in));
    if (f->count < in->ranks)
        *out = f;
    else
        *why = "no two of them are alike";
    return OK;
}
