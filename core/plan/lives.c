// SPDX-License-Identifier: MIT
// When the memory of each tensor is in use: from its first operation to its last, which on several
// lanes are several.
#include "core/base/array.h"
#include "core/plan/lower_internal.h"
#include "core/plan/piece.h"

#include <stdlib.h>

// The stay of a tensor in plan k, of which `op` is the first operation if it is new.
static Status find_stay(Lives *l, int tensor, int k, int op, int32_t *out) {
    int32_t before = NONE, time = l->time[k] + l->orders[k].place[op];
    for (*out = l->first_stay[tensor]; *out != NONE; before = *out, *out = l->stays[*out].next)
        if (l->stays[*out].plan == k) return OK;
    TRY(ARRAY_RESERVE(l->stays, l->stay_capacity, l->stay_count + 1));
    *out = l->stay_count++;
    l->stays[*out] =
        (Stay){.tensor = tensor, .plan = k, .first = time, .begin = op, .end = NONE, .next = NONE};
    *(before == NONE ? &l->first_stay[tensor] : &l->stays[before].next) = *out;
    return OK;
}

static Status touch(Lives *l, int tensor, int k, int op) {
    const Plan *plan = &l->p->plans[k];
    int32_t stay;
    TRY(find_stay(l, tensor, k, op, &stay));
    Stay *s = &l->stays[stay];
    int32_t at = s->end;
    s->last = l->time[k] + l->orders[k].place[op];
    while (at != NONE && plan->ops[l->ends[at].op].lane != plan->ops[op].lane)
        at = l->ends[at].next;
    if (at != NONE) {
        l->ends[at].op = op;
        return OK;
    }
    TRY(ARRAY_RESERVE(l->ends, l->end_capacity, l->end_count + 1));
    l->ends[l->end_count] = (End){op, s->end};
    s->end = l->end_count++;
    return OK;
}

static Status find_stays(Lives *l, int k) {
    const Plan *plan = &l->p->plans[k];
    for (int at = 0; at < plan->op_count; at++) {
        int i = l->orders[k].op_at[at];
        const Op *op = &plan->ops[i];
        bool communicates = op_communicates(l->p, op);
        for (int o = 0; o < op->outputs + op->inputs; o++) {
            int root = l->root[op_outputs(plan, op)[o]];
            l->used[root] = 1;
            l->communicated[root] |= communicates;
            if (!role_keeps_place((Role)l->p->tensors[root].role)) TRY(touch(l, root, k, i));
        }
    }
    return OK;
}

// A share lies inside its whole wherever it begins.
static void note_room(Lives *l, int t) {
    const Tensor *tensor = &l->p->tensors[t];
    int64_t bytes = tensor->bytes;
    int at = t;
    if (piece_share_axes(l->p, tensor)) {
        at = tensor->alias;
        bytes = piece_room(l->p, tensor) * dtype_bytes((Dtype)tensor->dtype);
    }
    if (l->room[at] < bytes) l->room[at] = bytes;
}

Status lives_init(Lives *l, Arena *a, const Program *p) {
    *l = (Lives){.p = p,
                 .root = ARENA_NEW(a, int32_t, p->tensor_count + 1),
                 .room = ARENA_NEW(a, int64_t, p->tensor_count + 1),
                 .first_stay = ARENA_NEW(a, int32_t, p->tensor_count + 1),
                 .communicated = ARENA_NEW(a, uint8_t, p->tensor_count + 1),
                 .used = ARENA_NEW(a, uint8_t, p->tensor_count + 1)};
    if (!l->root || !l->room || !l->first_stay || !l->communicated || !l->used)
        FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", p->tensor_count);
    for (int t = 0; t < p->tensor_count; t++) {
        l->root[t] = program_root(p, t);
        l->first_stay[t] = NONE;
        note_room(l, t);
        // The host and the kernels use these; and an edited plan may leave a parameter alone.
        l->used[t] = role_keeps_place((Role)p->tensors[t].role);
    }
    for (int i = 0; i < p->lane_count; i++)  // peers take partial sums from it
        if (p->lanes[i].scratch != NONE && p->lanes[i].kind == LANE_COMMUNICATION)
            l->communicated[p->lanes[i].scratch] = 1;
    for (int k = 0; k < p->plan_count; k++) {
        TRY(plan_order_init(&l->orders[k], a, p, &p->plans[k]));
        l->time[k + 1] = l->time[k] + p->plans[k].op_count;
        TRY(find_stays(l, k));
    }
    return OK;
}

static int region_of(const Lives *l, int t) {
    const Tensor *tensor = &l->p->tensors[t];
    return tensor->alias == NONE && l->used[t] ? tensor->pool * ROLE_COUNT + tensor->role : NONE;
}

// A counting sort.
Status lives_find_regions(Lives *l, Arena *a) {
    int n = l->p->tensor_count;
    int32_t *at = ARENA_NEW(a, int32_t, POOL_COUNT * ROLE_COUNT + 1);
    l->members = ARENA_NEW(a, int32_t, n + 1);
    if (!at || !l->members) FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", n);
    for (int t = 0; t < n; t++)
        if (region_of(l, t) != NONE) l->region_first[region_of(l, t) + 1]++;
    for (int i = 0; i < POOL_COUNT * ROLE_COUNT; i++) {
        l->region_first[i + 1] += l->region_first[i];
        at[i] = l->region_first[i];
    }
    for (int t = 0; t < n; t++)
        if (region_of(l, t) != NONE) l->members[at[region_of(l, t)]++] = t;
    return OK;
}

void lives_finish(Lives *l) {
    free(l->stays);
    free(l->ends);
}

bool lives_hand_over(const Lives *l, const Stay *before, const Stay *after) {
    const PlanOrder *o = &l->orders[after->plan];
    bool loads = kind_class(op_kind(l->p, &o->plan->ops[after->begin])) == CLASS_HOST;
    for (int at = before->end; at != NONE; at = l->ends[at].next) {
        int op = l->ends[at].op;
        if (plan_order_holds(o, op, after->begin)) continue;
        if (!loads || !plan_order_may_wait(o, after->begin, op)) return false;
    }
    return true;
}
