// SPDX-License-Identifier: MIT
// The gradients of a plan that are partial sums along `data`, and where each is complete.
#include "parallel/strategy/strategy_internal.h"

#include "core/plan/build.h"

static int last_writer(const Plan *plan, int tensor) {
    for (int i = plan->op_count - 1; i >= 0; i--)
        for (int o = 0; o < plan->ops[i].outputs; o++)
            if (op_outputs(plan, &plan->ops[i])[o] == tensor) return i;
    return NONE;
}

// The tensors of one shard are told apart by their field `shard`; they share a logical tensor.
static Status find_parts(const Program *p, const Plan *plan, int first, int parts, Gradient *out) {
    *out = (Gradient){.part = {first}, .ready = {last_writer(plan, first)}};
    for (int s = 1; s < parts; s++) {
        out->part[s] = NONE;
        for (int t = 0; t < p->tensor_count; t++)
            if (p->tensors[t].logical == p->tensors[first].logical && p->tensors[t].shard == s)
                out->part[s] = t;
        if (out->part[s] == NONE)
            FAIL(ERR_PLAN, "%s has no piece of local shard %d", tensor_name(p, first), s);
        out->ready[s] = last_writer(plan, out->part[s]);
    }
    for (int s = 0; s < parts; s++)
        if (out->ready[s] == NONE)
            FAIL(ERR_PLAN, "%s is never computed", tensor_name(p, out->part[s]));
    return OK;
}

Status gradients_find(const Program *p, const Plan *plan, Role role, int parts, Arena *a,
                      Gradient **out, int *count) {
    if (parts < 1 || parts > PARTS)
        FAIL(ERR_PLAN, "%d shards on one rank; at most %d", parts, PARTS);
    *count = 0;
    *out = ARENA_NEW(a, Gradient, p->tensor_count + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for %d gradients", p->tensor_count);
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        bool partial = tensor->placement[0].place == PLACE_PARTIAL_SUM && tensor->role == role &&
                       tensor->shard == 0;
        if (!partial || last_writer(plan, t) == NONE) continue;
        TRY(find_parts(p, plan, t, parts, &(*out)[*count]));
        (*count)++;
    }
    return OK;
}

Status strategy_place_after(Plan *plan, const int *after, int placed, Arena *a) {
    int n = plan->op_count, old = n - placed, count = 0;
    int *order = ARENA_NEW(a, int, n + 1);
    uint8_t *keep = ARENA_NEW(a, uint8_t, n + 1);
    if (!order || !keep) FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", n);
    for (int i = 0; i < n; i++) keep[i] = 1;
    for (int i = 0; i < old; i++) {
        order[count++] = i;
        for (int k = 0; k < placed; k++)
            if (after[k] == i) order[count++] = old + k;
    }
    return plan_select(plan, order, keep);
}
