// SPDX-License-Identifier: MIT
// A cut is an increasing map from the places of a piece to those of what was cut, in O(1) and with
// the number of places that go on alike. Cuts of one dimension are composed, innermost first; a
// flat place is a place in every dimension. Nothing is listed, so nothing is allocated.
#include "core/plan/piece.h"

#include "core/plan/build.h"
#include "core/plan/share.h"

#include <string.h>

// One cut: `elements` for `count` coordinates, of which this is one.
typedef struct {
    Placement how;
    int64_t elements;
    int count, coordinate;
} Cutting;

static Shares shares(const Cutting *c) {
    Shares s = {.elements = c->elements, .count = c->count};
    if (c->how.cut == CUT_ZIGZAG) s.count *= 2;
    if (c->how.cut == CUT_INTERLEAVED) s.elements /= c->how.block;
    if (c->how.cut == CUT_FLAT) s.unit = c->how.block;
    return s;
}

// Whose piece a coordinate has: its own, or in a ring that of one before.
static int piece_of(const Cutting *c) {
    int i = (c->coordinate - c->how.shift % c->count) % c->count;
    return i < 0 ? i + c->count : i;
}

static int64_t cut_elements(const Cutting *c) {
    Shares s = shares(c);
    int i = piece_of(c);
    int64_t n = share_elements(s, i);
    if (c->how.cut == CUT_ZIGZAG) return n + share_elements(s, s.count - 1 - i);
    return c->how.cut == CUT_INTERLEAVED ? n * c->how.block : n;
}

// Where place `at` of a coordinate's piece lies in what was cut; *run: how many places, with this
// one, lie one after the other.
static int64_t cut_map(const Cutting *c, int64_t at, int64_t *run) {
    Shares s = shares(c);
    int i = piece_of(c);
    int64_t n = share_elements(s, i), section = 0;
    if (c->how.cut == CUT_ZIGZAG && at >= n) {
        at -= n;
        i = s.count - 1 - i;
        n = share_elements(s, i);
    }
    if (c->how.cut == CUT_INTERLEAVED) {
        section = at / n * s.elements;
        at %= n;
    }
    *run = n - at;
    return section + share_begin(s, i) + at;
}

static bool cuts(const Program *p, const Tensor *t, int axis, int dim) {
    Placement how = t->placement[axis];
    if (how.place != PLACE_SHARD || p->axes[axis].size < 2) return false;
    return dim == FLAT_DIM ? how.cut == CUT_FLAT : how.cut != CUT_FLAT && how.dim == dim;
}

int piece_axes(const Program *p, const Tensor *t, int dim, int axes[AXES]) {
    int count = 0;
    for (int inner = 0; inner < 2; inner++)
        for (int a = p->axis_count - 1; a >= 0; a--)
            if (cuts(p, t, a, dim) && t->placement[a].inner == inner) axes[count++] = a;
    return count;
}

static Cutting cutting(const Program *p, const Tensor *t, int axis, int64_t elements) {
    return (Cutting){t->placement[axis], elements, p->axes[axis].size, 0};
}

// The cuts of a dimension, one after the other, at a coordinate, of how many elements is not said;
// how many. Flat ones that are alike are one.
static int find_cuts(const Program *p, const Tensor *t, int dim, const int coordinate[AXES],
                     Cutting out[AXES]) {
    int axes[AXES], all = piece_axes(p, t, dim, axes), count = 0;
    for (int i = 0; i < all; i++) {
        Cutting c = cutting(p, t, axes[i], 0), *last = count ? &out[count - 1] : NULL;
        c.coordinate = coordinate[axes[i]];
        if (dim == FLAT_DIM && last && placement_equal(last->how, c.how)) {
            last->coordinate = last->coordinate * c.count + c.coordinate;
            last->count *= c.count;
        } else {
            out[count++] = c;
        }
    }
    return count;
}

// Rows that one extent counts together, such as the tokens of a sample, are not cut apart.
static int64_t unit_of(const Tensor *t, int dim) { return dim == 0 ? t->extent_times : 1; }

// Elements of a dimension, or of the flat tensor, at a coordinate.
static int64_t held_elements(const Program *p, const Tensor *t, int dim, int64_t elements,
                             const int coordinate[AXES]) {
    int64_t unit = unit_of(t, dim);
    Cutting steps[AXES];
    int count = find_cuts(p, t, dim, coordinate, steps);
    elements /= unit;
    for (int i = 0; i < count; i++) {
        steps[i].elements = elements;
        elements = cut_elements(&steps[i]);
    }
    return elements * unit;
}

// The composed map of a dimension, or of the flat tensor.
static int64_t map_place(const PieceWalk *w, int dim, int64_t elements, int64_t at, int64_t *run) {
    int64_t unit = unit_of(w->t, dim), within = at % unit;
    Cutting steps[AXES];
    int count = find_cuts(w->p, w->t, dim, w->coordinate, steps);
    elements /= unit;
    at /= unit;
    for (int i = 0; i < count; i++) {
        steps[i].elements = elements;
        elements = cut_elements(&steps[i]);
    }
    *run = elements - at;
    for (int i = count - 1; i >= 0; i--) {
        int64_t alike;
        at = cut_map(&steps[i], at, &alike);
        if (alike < *run) *run = alike;
    }
    *run = *run * unit - within;
    return at * unit + within;
}

// The sizes that pieces of a dimension can have: few, because shares differ by one unit.
enum { SIZES = 64 };
typedef struct {
    int64_t size[SIZES];
    int count;
    bool too_many;
} Sizes;

static void add_size(Sizes *s, int64_t size) {
    for (int i = 0; i < s->count; i++)
        if (s->size[i] == size) return;
    s->too_many = s->count == SIZES;
    if (!s->too_many) s->size[s->count++] = size;
}

// Shares of a contiguous cut have two sizes; pairs of a zigzag have three, in no simple order.
static void add_sizes(Sizes *s, const Cutting *c) {
    if (c->how.cut == CUT_ZIGZAG) {
        Cutting at = *c;
        for (; at.coordinate < c->count; at.coordinate++) add_size(s, cut_elements(&at));
        return;
    }
    int64_t sections = c->how.cut == CUT_INTERLEAVED ? c->how.block : 1;
    int64_t least = c->elements / sections / c->count;
    add_size(s, least * sections);
    if (c->elements / sections % c->count) add_size(s, (least + 1) * sections);
}

static int64_t largest(const Sizes *s) {
    int64_t most = 0;
    for (int i = 0; i < s->count; i++)
        if (s->size[i] > most) most = s->size[i];
    return most;
}

// The largest piece of a dimension after all its cuts.
static Status dim_capacity(const Program *p, const Tensor *t, int dim, int64_t whole,
                           int64_t *out) {
    int axes[AXES], count = piece_axes(p, t, dim, axes);
    Sizes now = {.size = {whole}, .count = 1};
    for (int i = 0; i < count; i++) {
        Sizes next = {0};
        for (int k = 0; k < now.count; k++) {
            Cutting c = cutting(p, t, axes[i], now.size[k]);
            if (c.how.cut == CUT_INTERLEAVED && c.elements % c.how.block)
                FAIL(ERR_PLAN,
                     "tensor %s: %lld elements of dimension %d are not %d sections of equal size",
                     program_name(p, t->name), (long long)c.elements, dim, (int)c.how.block);
            add_sizes(&next, &c);
        }
        if (next.too_many)
            FAIL(ERR_PLAN, "tensor %s: dimension %d is cut into pieces of more than %d sizes",
                 program_name(p, t->name), dim, SIZES);
        now = next;
    }
    *out = largest(&now);
    return OK;
}

static Status box_capacity(const Program *p, const Tensor *t, int64_t box[DIMS]) {
    const Logical *l = &p->logicals[t->logical];
    for (int d = 0; d < DIMS; d++) box[d] = 1;
    for (int d = 0; d < l->dims; d++) {
        TRY(dim_capacity(p, t, d, l->shape[d] / unit_of(t, d), &box[d]));
        box[d] *= unit_of(t, d);
    }
    return OK;
}

static int64_t product(const int64_t shape[DIMS]) {
    return shape[0] * shape[1] * shape[2] * shape[3];
}

Status piece_capacity(const Program *p, const Tensor *t, int64_t shape[DIMS], int *dims) {
    const Logical *l = &p->logicals[t->logical];
    for (int a = 0; a < p->axis_count; a++) {
        Placement how = t->placement[a];
        if (how.place == PLACE_SHARD && how.cut != CUT_FLAT && how.dim >= l->dims) {
            char text[PLACEMENT_TEXT];
            FAIL(ERR_PLAN, "tensor %s: %s along %s, but %s has %d dimension%s",
                 program_name(p, t->name), placement_text(how, text), p->axes[a].name,
                 program_name(p, l->name), l->dims, l->dims == 1 ? "" : "s");
        }
    }
    TRY(box_capacity(p, t, shape));
    *dims = l->dims;
    if (!placements_are_flat(t->placement, p->axis_count)) return OK;
    const int any[AXES] = {0};
    Cutting steps[AXES];
    int count = find_cuts(p, t, FLAT_DIM, any, steps);
    int64_t elements = product(shape);
    for (int i = 0; i < count; i++) {
        steps[i].elements = elements;
        elements = share_capacity(shares(&steps[i]));
    }
    for (int d = 0; d < DIMS; d++) shape[d] = d ? 1 : elements;
    *dims = 1;
    return OK;
}

void piece_walk(PieceWalk *w, const Program *p, const Tensor *t, const int coordinate[AXES]) {
    const Logical *l = &p->logicals[t->logical];
    *w = (PieceWalk){.p = p, .t = t};
    memcpy(w->coordinate, coordinate, sizeof w->coordinate);
    if (box_capacity(p, t, w->capacity) != OK) return;  // nothing is held: plan_check() refused it
    for (int d = 0; d < DIMS; d++)
        w->held[d] = d < l->dims ? held_elements(p, t, d, l->shape[d], coordinate) : 1;
    w->end = held_elements(p, t, FLAT_DIM, product(w->capacity), coordinate);
}

// Elements that follow `place` in the box and, past dimension d, are alike in the logical tensor;
// 0 with *skip: so many places belong to nobody.
static int64_t map_box(const PieceWalk *w, int64_t place, int64_t *whole, int64_t *skip) {
    const Logical *l = &w->p->logicals[w->t->logical];
    int64_t index[DIMS], stride = 1, whole_stride = 1, run = 1, offset = 0;
    bool entire = true;  // are all dimensions behind this one held whole?
    int64_t rest = place;
    for (int d = l->dims - 1; d >= 0; d--) {
        index[d] = rest % w->capacity[d];
        rest /= w->capacity[d];
    }
    *whole = *skip = 0;
    for (int d = l->dims - 1; d >= 0; d--) {
        if (index[d] >= w->held[d]) *skip = (w->capacity[d] - index[d]) * stride - offset;
        int64_t alike = 0;
        if (index[d] < w->held[d])
            *whole += map_place(w, d, l->shape[d], index[d], &alike) * whole_stride;
        if (entire) run = alike * stride - offset;
        entire = entire && w->held[d] == l->shape[d] && w->capacity[d] == l->shape[d];
        offset += index[d] * stride;
        stride *= w->capacity[d];
        whole_stride *= l->shape[d];
    }
    return *skip ? 0 : run;
}

bool piece_next(PieceWalk *w, PieceRun *out) {
    while (w->at < w->end) {
        int64_t flat_run, skip, whole;
        int64_t place = map_place(w, FLAT_DIM, product(w->capacity), w->at, &flat_run);
        int64_t run = map_box(w, place, &whole, &skip);
        if (!skip) {
            *out = (PieceRun){w->at, whole, run < flat_run ? run : flat_run};
            w->at += out->count;
            return true;
        }
        w->at += skip < flat_run ? skip : flat_run;
    }
    return false;
}

int64_t piece_elements(const Program *p, const Tensor *t, const int coordinate[AXES]) {
    PieceWalk w;
    PieceRun run;
    int64_t elements = 0;
    piece_walk(&w, p, t, coordinate);
    while (piece_next(&w, &run)) elements += run.count;
    return elements;
}

void piece_index(const Program *p, const Tensor *t, const int coordinate[AXES], int64_t *out) {
    PieceWalk w;
    PieceRun run;
    for (int64_t i = 0, n = tensor_elements(t); i < n; i++) out[i] = -1;
    piece_walk(&w, p, t, coordinate);
    while (piece_next(&w, &run))
        for (int64_t i = 0; i < run.count; i++) out[run.local + i] = run.whole + i;
}

Status piece_add_index(Program *p, const char *name, int64_t elements,
                       const Placement placement[AXES], int *out) {
    int dims;
    Tensor piece = {.extent_times = 1};
    TensorSpec t = {.name = name, .dtype = DTYPE_I64, .role = ROLE_SCALAR, .source = SCALAR_INDEX};
    TRY(program_add_logical(
        p,
        &(LogicalSpec){
            .name = name, .shape = {elements}, .dims = 1, .dtype = DTYPE_I64, .role = ROLE_SCALAR},
        &t.logical));
    memcpy(t.placement, placement, sizeof t.placement);
    memcpy(piece.placement, placement, sizeof piece.placement);
    piece.logical = t.logical;
    TRY(program_add_name(p, name, &piece.name));
    TRY(piece_capacity(p, &piece, t.shape, &dims));
    return program_add_tensor(p, &t, out);
}

bool piece_is_first(const Program *p, const Tensor *t, const int coordinate[AXES],
                    const int first[AXES]) {
    for (int a = 0; a < p->axis_count; a++) {
        Placement how = t->placement[a];
        bool at_one = how.place == PLACE_ONLY && how.block;
        if (how.place == PLACE_REPLICATE && coordinate[a] != first[a]) return false;
        if (at_one && coordinate[a] != how.block - 1) return false;
    }
    return true;
}

// --- shares inside the whole

// Of alike cuts; check_views() refuses others.
uint16_t piece_share_axes(const Program *p, const Tensor *t) {
    uint16_t axes = 0;
    if (t->alias == NONE || p->tensors[t->alias].logical != t->logical) return 0;
    for (int a = 0; a < p->axis_count; a++)
        if (cuts(p, t, a, FLAT_DIM) && !cuts(p, &p->tensors[t->alias], a, FLAT_DIM))
            axes |= (uint16_t)(1 << a);
    return axes;
}

static Cutting share_cutting(const Program *p, const Tensor *t, const int coordinate[AXES]) {
    Cutting all[AXES];
    find_cuts(p, t, FLAT_DIM, coordinate, all);
    all[0].elements = tensor_elements(&p->tensors[t->alias]);
    return all[0];
}

int64_t piece_room(const Program *p, const Tensor *share) {
    const int any[AXES] = {0};
    Cutting c = share_cutting(p, share, any);
    return share_room(shares(&c));
}

int64_t piece_share_begin(const Program *p, const Tensor *t, const int coordinate[AXES]) {
    if (!piece_share_axes(p, t)) return 0;
    Cutting c = share_cutting(p, t, coordinate);
    return share_begin(shares(&c), c.coordinate);
}

int64_t piece_flat_begin(const Program *p, const Tensor *t, const int coordinate[AXES]) {
    PieceWalk w;
    int64_t run;
    piece_walk(&w, p, t, coordinate);
    return map_place(&w, FLAT_DIM, product(w.capacity), 0, &run);
}
