// SPDX-License-Identifier: MIT
// Dependencies that make shared memory safe where the order of a plan does not do so already: a
// load waits for those that used its memory before (lives_hand_over() lets it), and what begins in
// a step for those that used its memory last in the step before.
//
// Regions are cut into pieces at every offset where a tensor begins or ends, so that tensors cover
// whole pieces. Two sweeps over the operations note who has each piece: the first leaves what the
// step before leaves, the second finds the dependencies. Time and memory grow with the operands and
// with the pieces that tensors cover.
#include "core/plan/build.h"
#include "core/plan/lower_internal.h"

#include <stdlib.h>

typedef struct {
    const Program *p;
    const Lives *lives;
    int32_t *piece;     // [tensor] the first piece it covers; NONE: its memory is not shared
    int32_t *pieces;    // [tensor] how many
    int32_t *tenant;    // [piece] the stay that had it last, or NONE
    uint8_t *distance;  // [piece] 1: in the step before
    int32_t wait[2][UINT8_MAX + 1];  // [distance][lane] what the operation at hand must wait for
    int piece_count;
} Reuse;

static int by_offset(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int find_cut(const int64_t *cuts, int count, int64_t offset) {
    const int64_t *found = bsearch(&offset, cuts, (size_t)count, sizeof *cuts, by_offset);
    return (int)(found - cuts);
}

static int64_t end_of(const Reuse *r, int tensor) {
    return r->p->tensors[tensor].offset + layout_aligned(r->lives->room[tensor]);
}

// Cut one region; its pieces are numbered from r->piece_count on.
static void cut_region(Reuse *r, Pool pool, Role role, int64_t *cuts) {
    const Tensor *tensors = r->p->tensors;
    int count, distinct = 0;
    const int32_t *members = lives_members(r->lives, pool, role, &count);
    int64_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += layout_aligned(r->lives->room[members[i]]);
    bool apart = bytes == r->p->role_bytes[pool][role];  // each has memory of its own
    for (int i = 0; i < count && !apart; i++) {
        cuts[2 * i] = tensors[members[i]].offset;
        cuts[2 * i + 1] = end_of(r, members[i]);
    }
    if (!apart) qsort(cuts, 2 * (size_t)count, sizeof *cuts, by_offset);
    for (int i = 0; i < 2 * count && !apart; i++)
        if (i == 0 || cuts[i] != cuts[i - 1]) cuts[distinct++] = cuts[i];
    for (int i = 0; i < count; i++) {
        const Tensor *t = &tensors[members[i]];
        int from = apart ? i : find_cut(cuts, distinct, t->offset);
        r->piece[members[i]] = r->piece_count + from;
        r->pieces[members[i]] = apart ? 1 : find_cut(cuts, distinct, end_of(r, members[i])) - from;
    }
    r->piece_count += apart ? count : distinct;
}

static Status reuse_init(Reuse *r, Arena *a, const Program *p, const Lives *lives) {
    int n = p->tensor_count;
    *r = (Reuse){.p = p,
                 .lives = lives,
                 .piece = ARENA_NEW(a, int32_t, n + 1),
                 .pieces = ARENA_NEW(a, int32_t, n + 1)};
    int64_t *cuts = ARENA_NEW(a, int64_t, 2 * n + 1);
    if (!cuts || !r->piece || !r->pieces)
        FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", n);
    for (int t = 0; t < n; t++) r->piece[t] = NONE;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int role = 0; role < ROLE_COUNT; role++)
            if (!role_keeps_place((Role)role)) cut_region(r, (Pool)pool, (Role)role, cuts);
    r->tenant = ARENA_NEW(a, int32_t, r->piece_count + 1);
    r->distance = ARENA_NEW(a, uint8_t, r->piece_count + 1);
    if (!r->tenant || !r->distance)
        FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", n);
    return OK;
}

// Has `before`, of this step or the one before, ended anyhow when `op` begins? A lane goes on from
// step to step: once one of its operations has ended in this step, all of the step before have.
static bool ended_anyhow(const PlanOrder *o, int before, int distance, int op) {
    if (distance == 0) return plan_order_holds(o, before, op);
    int lane = o->plan->ops[before].lane;
    return lane == o->plan->ops[op].lane || o->ended[(size_t)op * (size_t)o->lanes + lane] > 0;
}

static void note_wait(Reuse *r, const PlanOrder *o, int before, int distance, int op) {
    int32_t *wait = &r->wait[distance][o->plan->ops[before].lane];
    if (ended_anyhow(o, before, distance, op)) return;
    if (*wait == NONE || o->lane_place[*wait] < o->lane_place[before]) *wait = before;
}

// What the new tenant finds in its memory.
static void take_over(Reuse *r, const Stay *s) {
    const Lives *l = r->lives;
    const PlanOrder *o = &l->orders[s->plan];
    for (int q = r->piece[s->tensor]; q < r->piece[s->tensor] + r->pieces[s->tensor]; q++) {
        bool known = q > r->piece[s->tensor] && r->tenant[q] == r->tenant[q - 1] &&
                     r->distance[q] == r->distance[q - 1];
        if (r->tenant[q] == NONE || known) continue;
        for (int at = l->stays[r->tenant[q]].end; at != NONE; at = l->ends[at].next)
            note_wait(r, o, l->ends[at].op, r->distance[q], s->begin);
    }
    for (int q = r->piece[s->tensor]; q < r->piece[s->tensor] + r->pieces[s->tensor]; q++) {
        r->tenant[q] = (int32_t)(s - l->stays);
        r->distance[q] = 0;
    }
}

// Does another wait make this one needless?
static bool implied(const Reuse *r, const PlanOrder *o, int distance, int lane) {
    int before = r->wait[distance][lane];
    for (int d = 0; d <= distance; d++)
        for (int other = 0; other < o->lanes; other++) {
            int by = r->wait[d][other];
            if (by == NONE || (d == distance && other == lane)) continue;
            if (ended_anyhow(o, before, distance - d, by)) return true;
        }
    return false;
}

static Status add_waits(const Reuse *r, const PlanOrder *o, int op, DepList *out) {
    for (int distance = 0; distance < 2; distance++)
        for (int lane = 0; lane < o->lanes; lane++) {
            int before = r->wait[distance][lane];
            if (before == NONE || implied(r, o, distance, lane)) continue;
            TRY(dep_list_add(out, op, before, DEP_REUSE, distance));
        }
    return OK;
}

// The stay of a tensor in a plan, or NULL.
static const Stay *stay_in(const Lives *l, int tensor, int k) {
    int at = l->first_stay[tensor];
    while (at != NONE && l->stays[at].plan != k) at = l->stays[at].next;
    return at == NONE ? NULL : &l->stays[at];
}

// One operation of a sweep; `out` is NULL in the first.
static Status sweep_op(Reuse *r, int k, int op, DepList *out) {
    const Plan *plan = &r->p->plans[k];
    const PlanOrder *o = &r->lives->orders[k];
    bool begins = false;
    for (int i = 0; i < plan->ops[op].outputs + plan->ops[op].inputs; i++) {
        int root = r->lives->root[op_outputs(plan, &plan->ops[op])[i]];
        if (r->piece[root] == NONE) continue;
        const Stay *s = stay_in(r->lives, root, k);
        bool has_it = r->tenant[r->piece[root]] == s - r->lives->stays;
        if (s->begin != op || (has_it && r->distance[r->piece[root]] == 0 && out)) continue;
        for (int lane = 0; !begins && lane < o->lanes; lane++)
            r->wait[0][lane] = r->wait[1][lane] = NONE;
        begins = true;
        take_over(r, s);
    }
    return begins && out ? add_waits(r, o, op, out) : OK;
}

static Status sweep_plan(Reuse *r, Plan *plan, int k) {
    DepList deps = {0};
    const int32_t *op_at = r->lives->orders[k].op_at;
    Status s = OK;
    for (int q = 0; q < r->piece_count; q++) r->tenant[q] = NONE;
    for (int at = 0; at < plan->op_count && s == OK; at++) s = sweep_op(r, k, op_at[at], NULL);
    for (int q = 0; q < r->piece_count; q++) r->distance[q] = 1;
    for (int at = 0; at < plan->op_count && s == OK; at++) s = sweep_op(r, k, op_at[at], &deps);
    if (s == OK) s = plan_add_deps(plan, &deps);
    dep_list_finish(&deps);
    return s;
}

Status reuse_add_deps(Program *p, const Lives *lives) {
    Arena scratch = {0};
    Reuse r;
    Status s = reuse_init(&r, &scratch, p, lives);
    for (int k = 0; k < p->plan_count && s == OK; k++) s = sweep_plan(&r, &p->plans[k], k);
    arena_finish(&scratch);
    return s;
}
