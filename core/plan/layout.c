// SPDX-License-Identifier: MIT
// Memory layout. Each role has a region in each pool. Parameters, optimiser state, scalars and
// scratch keep their place for the whole run. Gradients, activations, inputs and buffers live from
// their first operation to their last and share memory when their lives, in plan order, do not
// overlap (first fit, the largest first). Operations on different
// lanes do not follow plan order by themselves, so sharing adds dependencies (reuse.c).
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/plan/build.h"
#include "core/plan/lower_internal.h"

#include <stdlib.h>
#include <string.h>

int64_t layout_aligned(int64_t bytes) {
    return (bytes + LAYOUT_ALIGN - 1) / LAYOUT_ALIGN * LAYOUT_ALIGN;
}

bool layout_keeps_place(Role r) {
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
        lives[t].used = layout_keeps_place((Role)p->tensors[t].role);
    }
    for (int i = 0; i < p->lane_count; i++)  // peers take partial sums from it
        if (p->lanes[i].scratch != NONE && p->lanes[i].kind == LANE_COMMUNICATION)
            lives[p->lanes[i].scratch].communicated = true;
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

// When a tensor has its memory, in time that counts the operations of one plan after the other.
typedef struct {
    int32_t first, last, tensor;
} Stay;

// An offset at which tensors lie, one after the other: no two of them live at the same time.
typedef struct {
    int64_t offset;
    Stay *stays;  // in the order of time
    int count, capacity;
} Shelf;

typedef struct {
    const Program *p;
    const Life *lives;
    Shelf *shelves;  // by offset
    int count, capacity;
    int32_t begin[PLANS];  // of each plan, in time
} Region;

static void region_init(Region *r, const Program *p, const Life *lives) {
    *r = (Region){.p = p, .lives = lives};
    for (int k = 1; k < p->plan_count; k++)
        r->begin[k] = r->begin[k - 1] + p->plans[k - 1].op_count;
}

static void region_finish(Region *r) {
    for (int i = 0; i < r->count; i++) free(r->shelves[i].stays);
    free(r->shelves);
}

static bool stay_of(const Region *r, int tensor, int k, Stay *out) {
    const Life *l = &r->lives[tensor];
    if (l->first[k] == NONE) return false;
    *out = (Stay){r->begin[k] + l->first[k], r->begin[k] + l->last[k], tensor};
    return true;
}

// The first stay on a shelf that ends at `time` or later.
static int first_after(const Shelf *s, int32_t time) {
    int low = 0, high = s->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (s->stays[middle].last < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Where the memory ends that the shelf holds during the life of a tensor; 0: it holds none.
static int64_t shelf_end(const Region *r, const Shelf *s, int tensor) {
    int64_t end = 0;
    Stay stay;
    for (int k = 0; k < r->p->plan_count; k++) {
        if (!stay_of(r, tensor, k, &stay)) continue;
        for (int i = first_after(s, stay.first); i < s->count && s->stays[i].first <= stay.last;
             i++) {
            int64_t e = s->offset + layout_aligned(r->p->tensors[s->stays[i].tensor].bytes);
            if (e > end) end = e;
        }
    }
    return end;
}

// The lowest offset at which the tensor collides with none that lives at the same time.
static int64_t first_fit(const Region *r, int tensor) {
    int64_t offset = 0, bytes = layout_aligned(r->p->tensors[tensor].bytes);
    for (int i = 0; i < r->count && r->shelves[i].offset < offset + bytes; i++) {
        int64_t end = shelf_end(r, &r->shelves[i], tensor);
        if (end > offset) offset = end;
    }
    return offset;
}

// The shelf at `offset`, which is put up where there is none.
static Status find_shelf(Region *r, int64_t offset, Shelf **out) {
    int low = 0, high = r->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (r->shelves[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == r->count || r->shelves[low].offset != offset) {
        TRY(ARRAY_RESERVE(r->shelves, r->capacity, r->count + 1));
        memmove(&r->shelves[low + 1], &r->shelves[low], (size_t)(r->count - low) * sizeof(Shelf));
        r->shelves[low] = (Shelf){.offset = offset};
        r->count++;
    }
    *out = &r->shelves[low];
    return OK;
}

static Status put_on_shelf(Region *r, int tensor) {
    Shelf *s;
    Stay stay;
    TRY(find_shelf(r, r->p->tensors[tensor].offset, &s));
    for (int k = 0; k < r->p->plan_count; k++) {
        if (!stay_of(r, tensor, k, &stay)) continue;
        TRY(ARRAY_RESERVE(s->stays, s->capacity, s->count + 1));
        int at = first_after(s, stay.first);
        memmove(&s->stays[at + 1], &s->stays[at], (size_t)(s->count - at) * sizeof(Stay));
        s->stays[at] = stay;
        s->count++;
    }
    return OK;
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

// Give the tensors of one role in one pool their offsets; the size of the region.
static Status place_region(Program *p, Region *r, Pool pool, Role role, Member *members,
                           int64_t *end) {
    int count = 0;
    for (int t = 0; t < p->tensor_count; t++) {
        Tensor *tensor = &p->tensors[t];
        if (tensor->alias == NONE && r->lives[t].used && tensor->pool == pool &&
            tensor->role == role)
            members[count++] = (Member){tensor->bytes, t};
    }
    *end = 0;
    bool keeps = layout_keeps_place(role);
    if (!keeps) qsort(members, (size_t)count, sizeof *members, by_size);
    for (int i = 0; i < count; i++) {
        Tensor *t = &p->tensors[members[i].tensor];
        t->offset = keeps ? *end : first_fit(r, members[i].tensor);
        if (!keeps) TRY(put_on_shelf(r, members[i].tensor));
        if (t->offset + layout_aligned(t->bytes) > *end)
            *end = t->offset + layout_aligned(t->bytes);
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

static Status place_all(Program *p, const Life *lives, Arena *scratch) {
    Member *members = ARENA_NEW(scratch, Member, p->tensor_count + 1);
    if (!members) FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", p->tensor_count);
    Status s = OK;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int role = 0; role < ROLE_COUNT && s == OK; role++) {
            Region r;
            region_init(&r, p, lives);
            s = place_region(p, &r, (Pool)pool, (Role)role, members, &p->role_bytes[pool][role]);
            region_finish(&r);
        }
    return s;
}

Status layout_tensors(Program *p) {
    Arena scratch = {0};
    Life *lives = ARENA_NEW(&scratch, Life, p->tensor_count + 1);
    if (!lives) FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", p->tensor_count);
    find_lives(p, lives);
    for (int t = 0; t < p->tensor_count; t++) {
        p->tensors[t].offset = NONE;
        p->tensors[t].pool = lives[t].communicated ? POOL_SHARED : POOL_LOCAL;
    }
    Status s = place_all(p, lives, &scratch);
    if (s == OK) s = reuse_add_deps(p, lives);
    if (s == OK) add_region_offsets(p, lives);
    arena_finish(&scratch);
    return s;
}
