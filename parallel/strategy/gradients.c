// SPDX-License-Identifier: MIT
// The gradients of a plan that are partial sums along `data`, and where each is complete.
#include "parallel/strategy/strategy_internal.h"

#include "core/plan/build.h"
#include "core/plan/mesh.h"

#include <assert.h>
#include <stdlib.h>

typedef struct {
    const Program *p;
    int parts;
    int32_t *writer;  // [tensor] the last operation that needs it apart, or NONE
    int32_t *first;   // [logical] its first tensor, or NONE
    int32_t *next;    // [tensor] the next of the same logical tensor, or NONE
} Search;

// Does it write the operand, or read a part of a sum in the forward pass?
static bool needs_apart(const Program *p, const Op *op, int operand) {
    return operand < op->outputs || op_work(p, op)->phase == PHASE_FORWARD;
}

static Status search_init(Search *s, Arena *a, const Program *p, const Plan *plan, int parts) {
    *s = (Search){.p = p,
                  .parts = parts,
                  .writer = ARENA_NEW(a, int32_t, p->tensor_count + 1),
                  .first = ARENA_NEW(a, int32_t, p->logical_count + 1),
                  .next = ARENA_NEW(a, int32_t, p->tensor_count + 1)};
    if (!s->writer || !s->first || !s->next)
        FAIL(ERR_MEMORY, "out of memory for %d tensors", p->tensor_count);
    for (int t = 0; t < p->tensor_count; t++) s->writer[t] = NONE;
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        for (int k = 0; k < op->outputs + op->inputs; k++)
            if (needs_apart(p, op, k)) s->writer[op_outputs(plan, op)[k]] = i;
    }
    for (int l = 0; l < p->logical_count; l++) s->first[l] = NONE;
    for (int t = p->tensor_count - 1; t >= 0; t--) {
        s->next[t] = s->first[p->tensors[t].logical];
        s->first[p->tensors[t].logical] = t;
    }
    return OK;
}

// The tensors of one shard are told apart by their field `shard`; they share a logical tensor.
static Status find_parts(const Search *s, Arena *a, int first, Gradient *out) {
    const Program *p = s->p;
    *out = (Gradient){ARENA_NEW(a, int32_t, s->parts), ARENA_NEW(a, int32_t, s->parts), NONE};
    if (!out->part || !out->ready) FAIL(ERR_MEMORY, "out of memory for %d shards", s->parts);
    for (int i = 0; i < s->parts; i++) out->part[i] = i ? NONE : first;
    for (int t = s->first[p->tensors[first].logical]; t != NONE; t = s->next[t]) {
        int shard = p->tensors[t].shard;
        if (shard > 0 && shard < s->parts) out->part[shard] = t;
    }
    for (int i = 0; i < s->parts; i++) {
        if (out->part[i] == NONE)
            FAIL(ERR_PLAN, "%s has no piece of local shard %d", tensor_name(p, first), i);
        out->ready[i] = s->writer[out->part[i]];
        if (out->ready[i] == NONE)
            FAIL(ERR_PLAN, "%s is never computed", tensor_name(p, out->part[i]));
        if (out->ready[i] > out->complete) out->complete = out->ready[i];
    }
    return OK;
}

static bool is_partial_along(const Program *p, const Tensor *t, uint16_t axes) {
    for (int a = 0; a < p->axis_count; a++)
        if (axes >> a & 1 && t->placement[a].place == PLACE_PARTIAL_SUM) return true;
    return false;
}

Status gradients_find(const Program *p, const Plan *plan, Role role, int parts, Arena *a,
                      Gradient **out, int *count) {
    int data = mesh_find_axis(p, MESH_DATA);
    if (data == NONE) FAIL(ERR_PLAN, "the program has no mesh axis \"data\"");
    return gradients_find_along(p, plan, role, (uint16_t)(1 << data), parts, a, out, count);
}

Status gradients_find_along(const Program *p, const Plan *plan, Role role, uint16_t axes, int parts,
                            Arena *a, Gradient **out, int *count) {
    Search s;
    if (parts < 1 || parts > PARTS)
        FAIL(ERR_PLAN, "%d shards on one rank; at most %d", parts, PARTS);
    TRY(search_init(&s, a, p, plan, parts));
    *count = 0;
    *out = ARENA_NEW(a, Gradient, p->tensor_count + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for %d gradients", p->tensor_count);
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        bool partial =
            is_partial_along(p, tensor, axes) && tensor->role == role && tensor->shard == 0;
        if (partial && s.writer[t] != NONE) TRY(find_parts(&s, a, t, &(*out)[(*count)++]));
    }
    return OK;
}

// Those of one operation go in reverse table order, as in PyTorch's reversed parameter list.
static int by_readiness(const void *left, const void *right) {
    const Gradient *a = left, *b = right;
    return a->complete != b->complete ? (a->complete > b->complete) - (a->complete < b->complete)
                                      : (a->part[0] < b->part[0]) - (a->part[0] > b->part[0]);
}

void gradients_sort(Gradient *g, int count) { qsort(g, (size_t)count, sizeof *g, by_readiness); }

int gradients_bucket(const Program *p, const StrategyOptions *options, const Gradient *g, int count,
                     int first, int *after) {
    int64_t cap = options->bucket_bytes[first > 0], bytes = 0;
    *after = NONE;
    for (int i = first; i < count; i++) {
        bytes += p->tensors[g[i].part[0]].bytes;
        if (g[i].complete > *after) *after = g[i].complete;
        if (bytes >= cap) return i + 1;
    }
    return count;
}

Status strategy_place_after(Plan *plan, const int *after, int placed, Arena *a) {
    int n = plan->op_count, old = n - placed, count = 0;
    int *order = ARENA_NEW(a, int, n + 1);
    int *first = ARENA_NEW(a, int, n + 2);  // [1 + operation] of those that go behind it, or NONE
    int *next = ARENA_NEW(a, int, placed + 1);
    uint8_t *keep = ARENA_NEW(a, uint8_t, n + 1);
    if (!order || !first || !next || !keep)
        FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", n);
    for (int i = 0; i <= n; i++) {
        keep[i] = 1;
        first[i] = NONE;
    }
    for (int k = placed - 1; k >= 0; k--) {
        assert(after[k] < old);  // operations that are placed do not go behind each other
        next[k] = first[after[k] + 1];
        first[after[k] + 1] = k;
    }
    for (int i = NONE; i < old; i++) {
        if (i != NONE) order[count++] = i;
        for (int k = first[i + 1]; k != NONE; k = next[k]) order[count++] = old + k;
    }
    return plan_select(plan, order, keep);
}
