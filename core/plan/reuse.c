// SPDX-License-Identifier: MIT
// Dependencies that make shared memory safe. A tensor that takes memory over waits for the last
// operation, on each other lane, that touched a tensor there before: in this step, or else in the
// step before. Its own lane it need not wait for, because a lane keeps plan order; for the same
// reason the last operation of a lane stands for all before it.
//
// Regions are cut into pieces at every offset where a tensor begins or ends, so that tensors cover
// whole pieces. Two sweeps over the operations in plan order note, for each piece and lane, who
// touched it last: the first one leaves what the step before leaves, the second finds the
// dependencies. Time and memory grow with the operands and with the pieces that tensors cover.
#include "core/base/arena.h"
#include "core/plan/build.h"
#include "core/plan/lower_internal.h"

#include <stdlib.h>
#include <string.h>

// The last to have touched a piece of memory on one lane. `op` NONE: nobody.
typedef struct {
    int32_t op, tensor;
    int32_t distance;  // 1: in the step before
} Tenant;

typedef struct {
    const Program *p;
    const Plan *plan;
    const Life *lives;
    int k;            // of the plan in the program
    int lanes;        // of the program
    int32_t *piece;   // [tensor] the first piece it covers; NONE: its memory is not shared
    int32_t *pieces;  // [tensor] how many
    Tenant *tenants;  // [piece * lanes + lane]
    int32_t *touch;   // [tensor * lanes + lane] its last operation there since it lives, or NONE
    Tenant *wait;     // [lane] what the operation at hand must wait for
    int piece_count;
} Reuse;

static bool shares(const Program *p, const Life *lives, int t) {
    const Tensor *tensor = &p->tensors[t];
    return tensor->alias == NONE && lives[t].used && !layout_keeps_place((Role)tensor->role);
}

static int by_offset(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int find_cut(const int64_t *cuts, int count, int64_t offset) {
    const int64_t *found = bsearch(&offset, cuts, (size_t)count, sizeof *cuts, by_offset);
    return (int)(found - cuts);
}

// Cut one region; its pieces are numbered from r->piece_count on.
static void cut_region(Reuse *r, Pool pool, Role role, int64_t *cuts) {
    const Program *p = r->p;
    int count = 0, distinct = 0;
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        if (!shares(p, r->lives, t) || tensor->pool != pool || tensor->role != role) continue;
        cuts[count++] = tensor->offset;
        cuts[count++] = tensor->offset + layout_aligned(tensor->bytes);
    }
    qsort(cuts, (size_t)count, sizeof *cuts, by_offset);
    for (int i = 0; i < count; i++)
        if (i == 0 || cuts[i] != cuts[i - 1]) cuts[distinct++] = cuts[i];
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        if (!shares(p, r->lives, t) || tensor->pool != pool || tensor->role != role) continue;
        int from = find_cut(cuts, distinct, tensor->offset),
            to = find_cut(cuts, distinct, tensor->offset + layout_aligned(tensor->bytes));
        r->piece[t] = r->piece_count + from;
        r->pieces[t] = to - from;
    }
    r->piece_count += distinct;
}

static Status reuse_init(Reuse *r, Arena *a, const Program *p, const Life *lives) {
    int n = p->tensor_count;
    *r = (Reuse){.p = p, .lives = lives, .lanes = p->lane_count};
    int64_t *cuts = ARENA_NEW(a, int64_t, 2 * n + 1);
    r->piece = ARENA_NEW(a, int32_t, n + 1);
    r->pieces = ARENA_NEW(a, int32_t, n + 1);
    r->touch = ARENA_NEW(a, int32_t, (size_t)n * (size_t)r->lanes + 1);
    r->wait = ARENA_NEW(a, Tenant, r->lanes + 1);
    if (!cuts || !r->piece || !r->pieces || !r->touch || !r->wait)
        FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", n);
    for (int t = 0; t < n; t++) r->piece[t] = NONE;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int role = 0; role < ROLE_COUNT; role++) cut_region(r, (Pool)pool, (Role)role, cuts);
    r->tenants = ARENA_NEW(a, Tenant, (size_t)r->piece_count * (size_t)r->lanes + 1);
    if (!r->tenants) FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", n);
    return OK;
}

// Whom a new tensor in `tensor`'s memory finds there on the other lanes.
static void take_over(Reuse *r, int tensor, int own_lane) {
    for (int q = r->piece[tensor]; q < r->piece[tensor] + r->pieces[tensor]; q++)
        for (int lane = 0; lane < r->lanes; lane++) {
            const Tenant *before = &r->tenants[(size_t)q * (size_t)r->lanes + (size_t)lane];
            Tenant *wait = &r->wait[lane];
            if (lane == own_lane || before->op == NONE || before->tensor == tensor) continue;
            bool later = wait->op == NONE || before->distance < wait->distance ||
                         (before->distance == wait->distance && before->op > wait->op);
            if (later) *wait = *before;
        }
}

// The tensor's life is over: it is the last tenant on the lanes that touched it.
static void leave(Reuse *r, int tensor) {
    for (int lane = 0; lane < r->lanes; lane++) {
        int32_t *touch = &r->touch[(size_t)tensor * (size_t)r->lanes + (size_t)lane];
        if (*touch == NONE) continue;
        for (int q = r->piece[tensor]; q < r->piece[tensor] + r->pieces[tensor]; q++)
            r->tenants[(size_t)q * (size_t)r->lanes + (size_t)lane] = (Tenant){*touch, tensor, 0};
        *touch = NONE;
    }
}

static Status add_waits(Reuse *r, int op, DepList *out) {
    for (int lane = 0; lane < r->lanes; lane++) {
        const Tenant *w = &r->wait[lane];
        if (w->op != NONE) TRY(dep_list_add(out, op, w->op, DEP_REUSE, w->distance));
    }
    return OK;
}

// One operation of a sweep; `out` is NULL in the first.
static Status sweep_op(Reuse *r, int i, DepList *out) {
    const Op *op = &r->plan->ops[i];
    for (int lane = 0; lane < r->lanes; lane++) r->wait[lane].op = NONE;
    for (int o = 0; o < op->outputs + op->inputs; o++) {
        int t = program_root(r->p, op_outputs(r->plan, op)[o]);
        if (r->piece[t] == NONE) continue;
        if (r->lives[t].first[r->k] == i) take_over(r, t, op->lane);
        r->touch[(size_t)t * (size_t)r->lanes + op->lane] = i;
    }
    if (out) TRY(add_waits(r, i, out));
    for (int o = 0; o < op->outputs + op->inputs; o++) {
        int t = program_root(r->p, op_outputs(r->plan, op)[o]);
        if (r->piece[t] != NONE && r->lives[t].last[r->k] == i) leave(r, t);
    }
    return OK;
}

static Status sweep_plan(Reuse *r, Plan *plan, int k) {
    size_t tenants = (size_t)r->piece_count * (size_t)r->lanes,
           touches = (size_t)r->p->tensor_count * (size_t)r->lanes;
    DepList deps = {0};
    r->plan = plan;
    r->k = k;
    for (size_t i = 0; i < tenants; i++) r->tenants[i].op = NONE;
    for (size_t i = 0; i < touches; i++) r->touch[i] = NONE;
    Status s = OK;
    for (int i = 0; i < plan->op_count && s == OK; i++) s = sweep_op(r, i, NULL);
    for (size_t i = 0; i < tenants; i++) r->tenants[i].distance = 1;
    for (int i = 0; i < plan->op_count && s == OK; i++) s = sweep_op(r, i, &deps);
    if (s == OK) s = plan_add_deps(plan, &deps);
    dep_list_finish(&deps);
    return s;
}

Status reuse_add_deps(Program *p, const Life *lives) {
    Arena scratch = {0};
    Reuse r;
    Status s = reuse_init(&r, &scratch, p, lives);
    for (int k = 0; k < p->plan_count && s == OK; k++) s = sweep_plan(&r, &p->plans[k], k);
    arena_finish(&scratch);
    return s;
}
