// SPDX-License-Identifier: MIT
// First fit, the largest first, of tensors that are in use for some time each: the lowest offset at
// which a tensor meets none that it may not share memory with. Begin at region_place().
//
// Tensors of one offset and size form a shelf. Each two of them may take memory over from each
// other, and who may take over from the later of two may from the earlier (an order is
// transitive), so a new tensor has to ask its neighbours in time only. Shelves are sorted by
// offset, in classes of sizes that differ by a factor of two at most, so that few begin near enough
// below an offset to reach it.
//
// Where all memory below some offset is certain to be taken, at one of the times that a tensor is
// in use, the search begins there: a segment tree over time keeps these heights. Without it every
// tensor would try every shelf, and plans of ten thousand layers took minutes.
#include "core/base/array.h"
#include "core/plan/lower_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t offset, bytes;
    int32_t *stays;  // in Lives.stays, in the order of time
    int count, capacity;
} Shelf;

enum { SIZE_CLASSES = 64 };

typedef struct {
    Shelf *shelves;  // by offset, then bytes
    int count, capacity;
    int64_t most;  // bytes of the largest
} SizeClass;

// Below `low` memory is taken at all times of a node, below `high` at one of them.
typedef struct {
    int64_t low, high, raise;  // raise: what the nodes below are still to be raised to
} Height;

struct Region {
    const Lives *l;
    SizeClass classes[SIZE_CLASSES];
    uint64_t used;    // bit c: class c has a shelf
    Height *heights;  // owned; node i has the nodes 2i and 2i + 1 below it
    int times;        // at the bottom of the tree, a power of two
    bool loads;
};

Status region_create(Region **out, const Lives *l, bool loads) {
    Region *r = calloc(1, sizeof *r);
    *out = r;
    if (!r) FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", l->p->tensor_count);
    r->l = l;
    r->loads = loads;
    r->times = 1;
    while (r->times < l->time[l->p->plan_count]) r->times *= 2;
    r->heights = calloc(2 * (size_t)r->times, sizeof *r->heights);
    if (!r->heights)
        FAIL(ERR_MEMORY, "out of memory for the layout of %d tensors", l->p->tensor_count);
    return OK;
}

void region_destroy(Region *r) {
    if (!r) return;
    for (int c = 0; c < SIZE_CLASSES; c++) {
        for (int i = 0; i < r->classes[c].count; i++) free(r->classes[c].shelves[i].stays);
        free(r->classes[c].shelves);
    }
    free(r->heights);
    free(r);
}

// --- heights

static void raise_node(Height *h, int64_t to) {
    if (h->low < to) h->low = to;
    if (h->high < to) h->high = to;
    if (h->raise < to) h->raise = to;
}

static void hand_down(Height *h, int node) {
    if (!h[node].raise) return;
    raise_node(&h[2 * node], h[node].raise);
    raise_node(&h[2 * node + 1], h[node].raise);
    h[node].raise = 0;
}

typedef struct {
    int32_t first, last;  // times
    int64_t offset, end;
} Block;

// A block lies on everything that is taken below it: where the height reaches its offset, it
// reaches its end now. `node` is of the times `from` to `to`.
static void add_block(Height *h, int node, int from, int to, const Block *b) {
    if (b->last < from || to < b->first || h[node].high < b->offset) return;
    if (b->first <= from && to <= b->last && h[node].low >= b->offset) {
        raise_node(&h[node], b->end);
        return;
    }
    if (from == to) return;
    int middle = from + (to - from) / 2;
    const Height *left = &h[2 * node], *right = &h[2 * node + 1];
    hand_down(h, node);
    add_block(h, 2 * node, from, middle, b);
    add_block(h, 2 * node + 1, middle + 1, to, b);
    h[node].low = left->low < right->low ? left->low : right->low;
    h[node].high = left->high > right->high ? left->high : right->high;
}

static int64_t height(Height *h, int node, int from, int to, int32_t first, int32_t last) {
    if (last < from || to < first) return 0;
    if ((first <= from && to <= last) || h[node].low == h[node].high) return h[node].high;
    int middle = from + (to - from) / 2;
    hand_down(h, node);
    int64_t left = height(h, 2 * node, from, middle, first, last),
            right = height(h, 2 * node + 1, middle + 1, to, first, last);
    return left > right ? left : right;
}

// The times at which nobody else may have the memory for certain: until the earliest operation that
// waits for its ends, and since the latest that its first one waits for. A load may be made to
// wait, so that with loads it is only the time in use.
static Block certain_block(const Region *r, const Stay *s) {
    const Lives *l = r->l;
    const PlanOrder *o = &l->orders[s->plan];
    Block b = {.first = s->first, .last = s->last};
    if (r->loads) return b;
    b.first = l->time[s->plan] + o->latest[s->begin] + 1;
    for (int at = s->end; at != NONE; at = l->ends[at].next) {
        int32_t until = l->time[s->plan] + o->earliest[l->ends[at].op] - 1;
        if (until > b.last) b.last = until;
    }
    return b;
}

// --- shelves

static int class_of(int64_t bytes) {
    int c = 0;
    for (; bytes > 1; bytes /= 2) c++;
    return c;
}

// The first stay on a shelf that ends at `time` or later.
static int first_after(const Region *r, const Shelf *s, int32_t time) {
    int low = 0, high = s->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (r->l->stays[s->stays[middle]].last < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool meets_in_plan(const Region *r, const Shelf *s, const Stay *stay) {
    const Stay *stays = r->l->stays;
    int i = first_after(r, s, stay->first);
    const Stay *before = i > 0 ? &stays[s->stays[i - 1]] : NULL,
               *after = i < s->count ? &stays[s->stays[i]] : NULL;
    if (after && after->first <= stay->last) return true;
    if (before && before->plan == stay->plan && !lives_hand_over(r->l, before, stay)) return true;
    return after && after->plan == stay->plan && !lives_hand_over(r->l, stay, after);
}

static bool meets(const Region *r, const Shelf *s, int tensor) {
    for (int at = r->l->first_stay[tensor]; at != NONE; at = r->l->stays[at].next)
        if (meets_in_plan(r, s, &r->l->stays[at])) return true;
    return false;
}

// The first shelf of a class behind (offset, bytes), or there.
static int find_shelf(const SizeClass *c, int64_t offset, int64_t bytes) {
    int low = 0, high = c->count;
    while (low < high) {
        int middle = (low + high) / 2;
        const Shelf *s = &c->shelves[middle];
        if (s->offset < offset || (s->offset == offset && s->bytes < bytes))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The lowest offset from `*offset` on at which the tensor meets no shelf of the class; did it move?
// `*at` is the first shelf that was not looked at: those before it end below the offset, or the
// tensor does not meet them, wherever it lies. A shelf that it meets leaves no place below its end.
static bool pass_class(const Region *r, const SizeClass *c, int *at, int tensor, int64_t *offset,
                       int64_t bytes) {
    const int64_t before = *offset;
    int near = c->count ? find_shelf(c, before - c->most + 1, 0) : 0;
    if (near > *at) *at = near;
    for (; *at < c->count && c->shelves[*at].offset < *offset + bytes; ++*at) {
        const Shelf *s = &c->shelves[*at];
        if (s->offset + s->bytes > *offset && meets(r, s, tensor)) *offset = s->offset + s->bytes;
    }
    return *offset > before;
}

// Classes of large shelves come first: a step over one of these passes many small ones.
static int64_t first_free(const Region *r, int tensor, int64_t offset, int64_t bytes) {
    int at[SIZE_CLASSES] = {0};
    bool moved = true;
    while (moved) {
        moved = false;
        for (uint64_t left = r->used; left;) {
            int c = SIZE_CLASSES - 1 - __builtin_clzll(left);
            left ^= UINT64_C(1) << c;
            moved |= pass_class(r, &r->classes[c], &at[c], tensor, &offset, bytes);
        }
    }
    return offset;
}

static Status put_on_shelf(Region *r, const Stay *stay, int64_t offset, int64_t bytes) {
    SizeClass *c = &r->classes[class_of(bytes)];
    int at = find_shelf(c, offset, bytes);
    if (at == c->count || c->shelves[at].offset != offset || c->shelves[at].bytes != bytes) {
        TRY(ARRAY_RESERVE(c->shelves, c->capacity, c->count + 1));
        memmove(&c->shelves[at + 1], &c->shelves[at], (size_t)(c->count - at) * sizeof(Shelf));
        c->shelves[at] = (Shelf){.offset = offset, .bytes = bytes};
        c->count++;
        r->used |= UINT64_C(1) << (c - r->classes);
        if (bytes > c->most) c->most = bytes;
    }
    Shelf *s = &c->shelves[at];
    TRY(ARRAY_RESERVE(s->stays, s->capacity, s->count + 1));
    int i = first_after(r, s, stay->first);
    memmove(&s->stays[i + 1], &s->stays[i], (size_t)(s->count - i) * sizeof *s->stays);
    s->stays[i] = (int32_t)(stay - r->l->stays);
    s->count++;
    return OK;
}

Status region_place(Region *r, int tensor, int64_t *offset) {
    const Lives *l = r->l;
    int64_t bytes = layout_aligned(l->room[tensor]);
    *offset = 0;
    for (int at = l->first_stay[tensor]; at != NONE; at = l->stays[at].next) {
        int64_t h = height(r->heights, 1, 0, r->times - 1, l->stays[at].first, l->stays[at].last);
        if (h > *offset) *offset = h;
    }
    *offset = first_free(r, tensor, *offset, bytes);
    for (int at = l->first_stay[tensor]; at != NONE; at = l->stays[at].next) {
        Block b = certain_block(r, &l->stays[at]);
        b.offset = *offset;
        b.end = *offset + bytes;
        add_block(r->heights, 1, 0, r->times - 1, &b);
        TRY(put_on_shelf(r, &l->stays[at], *offset, bytes));
    }
    return OK;
}
