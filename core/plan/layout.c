// SPDX-License-Identifier: MIT
// Memory layout. Each role has a region in each pool. Parameters, optimiser state, scalars and
// scratch keep their place for the whole run. Gradients, activations, inputs and buffers live
// from their first operation to their last and share memory when their lives, in plan order,
// do not overlap; operations on different lanes do not follow plan order by themselves, so
// sharing adds dependencies.
#include "core/base/arena.h"
#include "core/plan/build.h"
#include "core/plan/lower_internal.h"

#include <stdlib.h>

enum { ALIGN = 64 };

// The life of a tensor's memory, aliases included: where each plan touches it.
typedef struct {
    int32_t first[PLANS], last[PLANS];  // op indices; first NONE: never
    bool communicated, used;
} Life;

static int64_t align_up(int64_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

static bool keeps_its_place(Role r) {
    return r == ROLE_PARAMETER || r == ROLE_OPTIMISER || r == ROLE_SCALAR || r == ROLE_SCRATCH;
}

static void touch(Life *l, int plan, int op, bool communication) {
    if (l->first[plan] == NONE) l->first[plan] = op;
    l->last[plan] = op;
    l->used = true;
    l->communicated = l->communicated || communication;
}

static void find_lives(const Program *p, Life *lives) {
    for (int t = 0; t < p->tensor_count; t++) {
        for (int k = 0; k < PLANS; k++) lives[t].first[k] = lives[t].last[k] = NONE;
        // The host and the kernels use these; and an edited plan may leave a parameter alone.
        lives[t].used = keeps_its_place((Role)p->tensors[t].role);
    }
    for (int k = 0; k < p->plan_count; k++) {
        const Plan *plan = &p->plans[k];
        for (int i = 0; i < plan->op_count; i++) {
            const Op *op = &plan->ops[i];
            bool communication = op_communicates(p, op);
            for (int o = 0; o < op->outputs + op->inputs; o++)
                touch(&lives[program_root(p, op_outputs(plan, op)[o])], k, i, communication);
        }
    }
}

static bool lives_overlap(const Life *a, const Life *b) {
    for (int k = 0; k < PLANS; k++)
        if (a->first[k] != NONE && b->first[k] != NONE && a->first[k] <= b->last[k] &&
            b->first[k] <= a->last[k])
            return true;
    return false;
}

static bool memory_overlaps(const Tensor *a, const Tensor *b) {
    return a->pool == b->pool && a->role == b->role && a->offset < b->offset + align_up(b->bytes) &&
           b->offset < a->offset + align_up(a->bytes);
}

typedef struct {
    const Program *p;
    const Life *lives;
    int32_t *placed;  // tensors of the region that have an offset
    int count;
} Region;

// The lowest offset at which the tensor collides with nobody alive at the same time.
static int64_t first_fit(const Region *r, int tensor) {
    Tensor candidate = r->p->tensors[tensor];
    candidate.offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < r->count; i++) {
            const Tensor *other = &r->p->tensors[r->placed[i]];
            bool together = keeps_its_place((Role)other->role) ||
                            lives_overlap(&r->lives[tensor], &r->lives[r->placed[i]]);
            if (!together || !memory_overlaps(&candidate, other)) continue;
            candidate.offset = other->offset + align_up(other->bytes);
            moved = true;
        }
    }
    return candidate.offset;
}

static void sort_by_size(const Program *p, int32_t *tensors,
                         int count) {  // stable: equal sizes stay in table order
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && p->tensors[tensors[k]].bytes > p->tensors[tensors[k - 1]].bytes;
             k--) {
            int32_t t = tensors[k];
            tensors[k] = tensors[k - 1];
            tensors[k - 1] = t;
        }
}

// Give the tensors of one role in one pool their offsets; the size of the region.
static int64_t place_region(Program *p, const Life *lives, Pool pool, Role role, int32_t *members,
                            int32_t *placed) {
    int count = 0;
    for (int t = 0; t < p->tensor_count; t++) {
        Tensor *tensor = &p->tensors[t];
        if (tensor->alias == NONE && lives[t].used && tensor->pool == pool && tensor->role == role)
            members[count++] = t;
    }
    int64_t end = 0;
    if (!keeps_its_place(role)) sort_by_size(p, members, count);
    Region r = {p, lives, placed, 0};
    for (int i = 0; i < count; i++) {
        Tensor *t = &p->tensors[members[i]];
        t->offset = keeps_its_place(role) ? end : first_fit(&r, members[i]);
        placed[r.count++] = members[i];
        if (t->offset + align_up(t->bytes) > end) end = t->offset + align_up(t->bytes);
    }
    return end;
}

static bool op_touches(const Program *p, const Plan *plan, int op, int tensor) {
    for (int o = 0; o < plan->ops[op].outputs + plan->ops[op].inputs; o++)
        if (program_root(p, op_outputs(plan, &plan->ops[op])[o]) == tensor) return true;
    return false;
}

// `later` takes memory over from `earlier`: its first operation waits for the last one, on
// each lane, that touched `earlier` (one lane keeps plan order by itself), within the step or
// from the step before.
static Status add_reuse(const Program *p, Plan *plan, const Life *earlier, int earlier_tensor,
                        const Life *later, int k, int distance) {
    int first = later->first[k];
    for (int lane = 0; lane < p->lane_count; lane++) {
        if (lane == plan->ops[first].lane) continue;
        for (int i = earlier->last[k]; i >= earlier->first[k]; i--) {
            if (plan->ops[i].lane != lane || !op_touches(p, plan, i, earlier_tensor)) continue;
            TRY(plan_add_dep(plan, first, i, DEP_REUSE, distance));
            break;
        }
    }
    return OK;
}

static Status add_reuse_deps(Program *p, const Life *lives) {
    for (int a = 0; a < p->tensor_count; a++)
        for (int b = 0; b < p->tensor_count; b++) {
            const Tensor *ta = &p->tensors[a], *tb = &p->tensors[b];
            if (a == b || ta->alias != NONE || tb->alias != NONE || !lives[a].used ||
                !lives[b].used)
                continue;
            if (keeps_its_place((Role)ta->role) || !memory_overlaps(ta, tb)) continue;
            for (int k = 0; k < p->plan_count; k++) {
                if (lives[a].first[k] == NONE || lives[b].first[k] == NONE) continue;
                int distance = lives[a].last[k] < lives[b].first[k] ? 0 : 1;
                TRY(add_reuse(p, &p->plans[k], &lives[a], a, &lives[b], k, distance));
            }
        }
    return OK;
}

static void add_region_offsets(Program *p, const Life *lives) {
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        int64_t base = 0;
        for (int role = 0; role < ROLE_COUNT; role++) {
            for (int t = 0; t < p->tensor_count; t++) {
                Tensor *tensor = &p->tensors[t];
                if (tensor->alias == NONE && lives[t].used && tensor->pool == pool &&
                    tensor->role == role)
                    tensor->offset += base;
            }
            base += p->role_bytes[pool][role];
        }
        p->pool_bytes[pool] = base;
    }
    for (int t = 0; t < p->tensor_count; t++) {  // aliases view what now has its place
        if (p->tensors[t].alias == NONE) continue;
        const Tensor *root = &p->tensors[program_root(p, t)];
        p->tensors[t].offset = root->offset;
        p->tensors[t].pool = root->pool;
    }
}

Status layout_tensors(Program *p) {
    Arena scratch = {0};
    Life *lives = ARENA_NEW(&scratch, Life, p->tensor_count + 1);
    int32_t *members = ARENA_NEW(&scratch, int32_t, p->tensor_count + 1),
            *placed = ARENA_NEW(&scratch, int32_t, p->tensor_count + 1);
    if (!lives || !members || !placed) {
        arena_finish(&scratch);
        FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", p->tensor_count);
    }
    find_lives(p, lives);
    for (int t = 0; t < p->tensor_count; t++) {
        p->tensors[t].offset = NONE;
        p->tensors[t].pool = lives[t].communicated ? POOL_SHARED : POOL_LOCAL;
    }
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int role = 0; role < ROLE_COUNT; role++)
            p->role_bytes[pool][role] =
                place_region(p, lives, (Pool)pool, (Role)role, members, placed);
    Status s = add_reuse_deps(p, lives);
    add_region_offsets(p, lives);
    arena_finish(&scratch);
    return s;
}
