// SPDX-License-Identifier: MIT
// Memory layout. Each role has a region in each pool. Parameters, optimiser state, scalars and
// scratch keep their place for the whole run. Gradients, activations, inputs and buffers share
// memory where one has surely ended when the other begins (lives.c says when, region.c finds the
// place). That adds no order to the plan, but for loads, which may wait (reuse.c).
#include "core/base/arena.h"
#include "core/plan/lower_internal.h"

#include <stdlib.h>

int64_t layout_aligned(int64_t bytes) {
    return (bytes + LAYOUT_ALIGN - 1) / LAYOUT_ALIGN * LAYOUT_ALIGN;
}

// Larger tensors first; equal sizes in table order.
typedef struct {
    int64_t bytes;
    int32_t tensor;
} Member;

static int by_size(const void *left, const void *right) {
    const Member *a = left, *b = right;
    return a->bytes != b->bytes ? (a->bytes < b->bytes) - (a->bytes > b->bytes)
                                : (a->tensor > b->tensor) - (a->tensor < b->tensor);
}

// Is one of the members begun by a load of the host?
static bool begun_by_load(const Lives *l, const Member *members, int count) {
    for (int i = 0; i < count; i++)
        for (int at = l->first_stay[members[i].tensor]; at != NONE; at = l->stays[at].next) {
            const Plan *plan = &l->p->plans[l->stays[at].plan];
            if (kind_class(op_kind(l->p, &plan->ops[l->stays[at].begin])) == CLASS_HOST)
                return true;
        }
    return false;
}

static int find_members(const Program *p, const Lives *l, Pool pool, Role role, Member *out) {
    int count;
    const int32_t *members = lives_members(l, pool, role, &count);
    for (int i = 0; i < count; i++) out[i] = (Member){l->room[members[i]], members[i]};
    return count;
}

// Give tensors that share memory their offsets.
static Status share_region(Program *p, const Lives *l, Member *members, int count) {
    Region *r;
    qsort(members, (size_t)count, sizeof *members, by_size);
    Status s = region_create(&r, l, begun_by_load(l, members, count));
    for (int i = 0; i < count && s == OK; i++)
        s = region_place(r, members[i].tensor, &p->tensors[members[i].tensor].offset);
    region_destroy(r);
    return s;
}

// Give the tensors of one role in one pool their offsets, and say how large the region is.
static Status place_region(Program *p, const Lives *l, Pool pool, Role role, Member *members) {
    int count = find_members(p, l, pool, role, members);
    int64_t *end = &p->role_bytes[pool][role], at = 0;
    *end = 0;
    if (!count) return OK;
    for (int i = 0; role_keeps_place(role) && i < count; i++) {
        p->tensors[members[i].tensor].offset = at;
        at += layout_aligned(members[i].bytes);
    }
    if (!role_keeps_place(role)) TRY(share_region(p, l, members, count));
    for (int i = 0; i < count; i++) {
        int64_t to = p->tensors[members[i].tensor].offset + layout_aligned(members[i].bytes);
        if (to > *end) *end = to;
    }
    return OK;
}

static void add_region_offsets(Program *p, const Lives *l) {
    int64_t base[POOL_COUNT][ROLE_COUNT];
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        p->pool_bytes[pool] = 0;
        for (int role = 0; role < ROLE_COUNT; role++) {
            base[pool][role] = p->pool_bytes[pool];
            p->pool_bytes[pool] += p->role_bytes[pool][role];
        }
    }
    for (int t = 0; t < p->tensor_count; t++) {
        Tensor *tensor = &p->tensors[t];
        if (tensor->alias == NONE && l->used[t]) tensor->offset += base[tensor->pool][tensor->role];
    }
    for (int t = 0; t < p->tensor_count; t++) {  // aliases view what now has its place
        if (p->tensors[t].alias == NONE) continue;
        const Tensor *root = &p->tensors[program_root(p, t)];
        p->tensors[t].offset = root->offset;
        p->tensors[t].pool = root->pool;
    }
}

static Status place_all(Program *p, const Lives *l, Arena *scratch) {
    Member *members = ARENA_NEW(scratch, Member, p->tensor_count + 1);
    if (!members) FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", p->tensor_count);
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int role = 0; role < ROLE_COUNT; role++)
            TRY(place_region(p, l, (Pool)pool, (Role)role, members));
    return OK;
}

// Peers must address what is communicated, the host what it writes: scalars, and what loads fill.
static void choose_pools(Program *p, const Lives *l, bool host_pool) {
    for (int t = 0; t < p->tensor_count; t++) {
        Tensor *tensor = &p->tensors[t];
        bool scalar = host_pool && tensor->role == ROLE_SCALAR;
        tensor->offset = NONE;
        tensor->pool = l->communicated[t] ? POOL_SHARED : scalar ? POOL_HOST : POOL_LOCAL;
    }
    for (int i = 0; host_pool && i < l->stay_count; i++) {
        const Stay *s = &l->stays[i];
        const Plan *plan = &p->plans[s->plan];
        bool loaded = kind_class(op_kind(p, &plan->ops[s->begin])) == CLASS_HOST;
        if (loaded && !l->communicated[s->tensor]) p->tensors[s->tensor].pool = POOL_HOST;
    }
}

static Status layout(Program *p, bool host_pool, Arena *scratch, Lives *l) {
    TRY(lives_init(l, scratch, p));
    choose_pools(p, l, host_pool);
    TRY(lives_find_regions(l, scratch));
    TRY(place_all(p, l, scratch));
    TRY(reuse_add_deps(p, l));
    add_region_offsets(p, l);
    return OK;
}

Status layout_tensors(Program *p, bool host_pool) {
    Arena scratch = {0};
    Lives l = {0};
    Status s = layout(p, host_pool, &scratch, &l);
    lives_finish(&l);
    arena_finish(&scratch);
    return s;
}
