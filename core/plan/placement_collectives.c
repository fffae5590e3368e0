// SPDX-License-Identifier: MIT
// The rules of communications: what a group that varies along an axis makes of a placement along
// it. Along an axis that it does not vary along, everything stays as it lies.
#include "core/plan/group.h"
#include "core/plan/piece.h"
#include "core/plan/placement_rules.h"

// Does a group vary along an axis: not at all, over some of its coordinates, or over all?
typedef enum { SPAN_NONE, SPAN_SOME, SPAN_ALL } Span;

// Members of a list differ along an axis, and are all of the ranks that agree with them on the axes
// along which none differ, in rank order: then the list is as good as its axes.
static bool list_differs(const Program *p, const Group *g, int axis) {
    const Axis *along = &p->axes[axis];
    const int32_t *rank = &p->members[g->first];
    for (int i = 1; i < g->size; i++)
        if (axis_coordinate(along, rank[i]) != axis_coordinate(along, rank[0])) return true;
    return false;
}

static bool list_is_whole(const Program *p, const Group *g) {
    int64_t size = 1;
    for (int a = 0; a < p->axis_count; a++)
        if (list_differs(p, g, a)) size *= p->axes[a].size;
    for (int i = 1; i < g->size; i++)
        if (p->members[g->first + i] <= p->members[g->first + i - 1]) return false;
    return size == g->size;
}

static Span span(const Program *p, int group, int axis) {
    const Group *g = &p->groups[group];
    if (!g->axes)
        return !list_differs(p, g, axis) ? SPAN_NONE : list_is_whole(p, g) ? SPAN_ALL : SPAN_SOME;
    if (!(g->axes >> axis & 1)) return SPAN_NONE;
    return axis == g->at_axis && g->at_count < p->axes[axis].size ? SPAN_SOME : SPAN_ALL;
}

bool placement_group_varies(const Program *p, int group, int axis) {
    return span(p, group, axis) != SPAN_NONE;
}

static Span span_of(const Along *a) { return span(a->p, op_work(a->p, a->op)->group, a->axis); }

// The coordinate of a collective's root along the axis.
static int root_coordinate(const Along *a) {
    const Work *w = op_work(a->p, a->op);
    if (w->peer < 0 || w->peer >= group_size(a->p, w->group)) return NONE;  // refused elsewhere
    return axis_coordinate(&a->p->axes[a->axis], group_member(a->p, w->group, 0, w->peer));
}

// Held by every rank for itself: by whoever executes this program.
static bool own(Placement p) {
    return (p.place == PLACE_ONLY && !p.block) || p.place == PLACE_DIFFERS;
}

static const Tensor *operand(const Along *a, int i) {
    return &a->p->tensors[op_outputs(a->plan, a->op)[i]];
}

// --- along other axes

// Output o is made of inputs o, o + outputs, ... (its parts), which lie alike; it lies as they do.
static Status pass(const Along *a) {
    for (int o = 0; o < a->op->outputs && o < a->op->inputs; o++) {
        for (int i = o; i < a->op->inputs; i += a->op->outputs)
            if (!placement_equal(along_input(a, i), along_input(a, o)))
                return along_refuse_input(a, i, "its other parts do not lie alike");
        TRY(along_write(a, o, along_input(a, o)));
    }
    return OK;
}

// --- reductions

// What is reduced is a part of the result, or a value of each member's own.
static Status check_parts(const Along *a) {
    const Work *w = op_work(a->p, a->op);
    PlaceKind part = w->reduce == REDUCE_MAX ? PLACE_PARTIAL_MAX : PLACE_PARTIAL_SUM;
    for (int i = 0; i < a->op->inputs; i++) {
        Placement x = along_input(a, i);
        if (span_of(a) == SPAN_SOME && x.place != PLACE_ONLY)
            return along_refuse_input(a, i,
                                      "the group reaches some of the ranks that hold it only");
        if (x.place == PLACE_ONLY && x.block)
            return along_refuse_input(a, i, "the other members hold nothing");
        if (x.place != part && !own(x))
            return along_refuse_input(
                a, i, "reducing what is not a partial result would count it once per rank");
    }
    return OK;
}

Status placement_rule_all_reduce(const Along *a) {
    if (span_of(a) == SPAN_NONE) return pass(a);
    TRY(check_parts(a));
    for (int o = 0; o < a->op->outputs; o++) TRY(along_write(a, o, PLACEMENT_REPLICATED));
    return OK;
}

// Only the root has the result.
Status placement_rule_reduce(const Along *a) {
    if (span_of(a) == SPAN_NONE) return pass(a);
    TRY(check_parts(a));
    for (int o = 0; o < a->op->outputs; o++)
        TRY(along_write(a, o, PLACEMENT_AT(root_coordinate(a))));
    return OK;
}

// --- shards

// Is the memory of a shard, as it is cut along the axes of the group, the shard'th of equal
// chunks of the memory of the whole? A flat shard is; of a dimension, the innermost cut, contiguous
// and even, is where the dimensions before it have one element.
static const char *chunk_fault(const Along *a, const Tensor *shard, const Tensor *whole) {
    int axes[AXES], group = op_work(a->p, a->op)->group;
    Placement how = shard->placement[a->axis];
    int dim = how.cut == CUT_FLAT ? FLAT_DIM : how.dim;
    int count = piece_axes(a->p, shard, dim, axes), members = 0;
    for (int i = 0; i < a->p->axis_count; i++)
        members += a->p->axes[i].size > 1 && span(a->p, group, i) != SPAN_NONE;
    for (int i = 0; i < count; i++) {
        bool over = span(a->p, group, axes[i]) != SPAN_NONE;
        if (over != (i >= count - members)) return "its innermost cuts are not those of the group";
        if (over && !placement_equal(shard->placement[axes[i]], how))
            return "it is cut differently along the axes of the group";
    }
    if (members > count) return "it is not cut along all axes of the group";
    int64_t unit = op_work(a->p, a->op)->unit > 1 ? op_work(a->p, a->op)->unit : 1;
    if (how.shift) return "it is another coordinate's piece";
    if (how.cut == CUT_FLAT)
        return how.block == unit ? NULL : "unit= of the collective is not the N of S:flat/N";
    if (tensor_elements(shard) % unit) return "unit= of the collective does not divide its pieces";
    if (how.cut != CUT_CONTIGUOUS) return "its pieces do not follow one another in memory";
    for (int d = 0; d < dim; d++)
        if (shard->shape[d] != 1) return "its pieces do not follow one another in memory";
    bool even = whole->dims == shard->dims &&
                whole->shape[dim] == shard->shape[dim] * group_size(a->p, group);
    return even ? NULL : "its pieces are not of equal size; cut it flat";
}

static bool is_shard(Placement p) { return p.place == PLACE_SHARD; }

static Status check_span_all(const Along *a) {
    if (span_of(a) == SPAN_ALL || !a->op->inputs) return OK;
    return along_refuse_input(a, 0, "the group reaches some of the ranks that hold it only");
}

static Status gather_one(const Along *a, int i) {
    Placement x = along_input(a, i);
    if (placement_is_partial(x))
        return along_refuse_input(a, i, "a part of a sum is no piece of it; reduce it first");
    if (!is_shard(x) && !own(x))
        return along_refuse_input(a, i, "an all_gather puts shards together");
    const char *fault =
        is_shard(x) ? chunk_fault(a, operand(a, a->op->outputs + i), operand(a, i)) : NULL;
    if (fault) return along_refuse_input(a, i, fault);
    return along_write(a, i, PLACEMENT_REPLICATED);
}

// Shard to whole. What is each member's own becomes a list of all members' values.
Status placement_rule_all_gather(const Along *a) {
    if (span_of(a) == SPAN_NONE) return pass(a);
    TRY(check_span_all(a));
    for (int i = 0; i < a->op->inputs && i < a->op->outputs; i++) TRY(gather_one(a, i));
    return OK;
}

static Status scatter_one(const Along *a, int o) {
    Placement declared = operand(a, o)->placement[a->axis];
    if (!is_shard(declared))
        return along_refuse_output(a, o, "every rank gets a shard of the result, so it is S");
    const char *fault = chunk_fault(a, operand(a, o), operand(a, a->op->outputs + o));
    if (fault) return along_refuse_output(a, o, fault);
    return along_write(a, o, declared);
}

// Partial to shard.
Status placement_rule_reduce_scatter(const Along *a) {
    if (span_of(a) == SPAN_NONE) return pass(a);
    TRY(check_span_all(a));
    TRY(check_parts(a));
    for (int o = 0; o < a->op->outputs && o < a->op->inputs; o++) TRY(scatter_one(a, o));
    return OK;
}

// Shard to shard of another dimension: dimension `from` comes together, `to` is cut. Chunks are
// consecutive in memory where all dimensions before them have one element.
static const char *exchange_fault(const Along *a, int from, int to) {
    const Tensor *y = operand(a, 0), *x = operand(a, 1);
    int size = group_size(a->p, op_work(a->p, a->op)->group);
    if (from == to) return "an all_to_all cuts another dimension than the one it puts together";
    for (int d = 0; d < to; d++)
        if (x->shape[d] != 1) return "its pieces do not follow one another in memory";
    for (int d = 0; d < from; d++)
        if (y->shape[d] != 1) return "its pieces do not follow one another in memory";
    bool even = x->dims == y->dims && y->shape[from] == x->shape[from] * size &&
                x->shape[to] == y->shape[to] * size;
    return even ? NULL : "its pieces are not of equal size";
}

static bool contiguous(Placement p) {
    return is_shard(p) && p.cut == CUT_CONTIGUOUS && !p.shift && !p.terms;
}

Status placement_rule_all_to_all(const Along *a) {
    if (span_of(a) == SPAN_NONE) return pass(a);
    Placement x = along_input(a, 0), declared = operand(a, 0)->placement[a->axis];
    TRY(check_span_all(a));
    if (own(x)) return along_write(a, 0, PLACEMENT_DIFFERS);
    if (!contiguous(x))
        return along_refuse_input(a, 0, "an all_to_all takes shards of a dimension");
    if (!contiguous(declared))
        return along_refuse_output(a, 0, "an all_to_all gives shards of a dimension");
    const char *fault = exchange_fault(a, x.dim, declared.dim);
    if (fault) return along_refuse_input(a, 0, fault);
    return along_write(a, 0, declared);
}

// What each has for itself to whomever its counts say. Along other axes, all who have the same send
// the same: counts that differ make a difference.
Status placement_rule_all_to_all_v(const Along *a) {
    Placement x = along_input(a, 0), counts = along_input(a, 1);
    if (span_of(a) == SPAN_NONE) {
        if (counts.place != PLACE_REPLICATE && !own(x))
            return along_refuse_input(a, 1, "what it counts is not each rank's own");
        if (placement_is_partial(counts))
            return along_refuse_input(a, 1, "a part of a sum counts nothing");
        TRY(along_write(a, 0, x));
        return along_write(a, 1, counts);
    }
    TRY(check_span_all(a));
    if (!own(x)) return along_refuse_input(a, 0, "an all_to_all_v takes what each rank has (D)");
    if (!own(counts) && counts.place != PLACE_REPLICATE)
        return along_refuse_input(a, 1, "counts are each rank's own (D)");
    TRY(along_write(a, 0, PLACEMENT_DIFFERS));
    return along_write(a, 1, PLACEMENT_DIFFERS);
}

// --- from one to others

// What the root has, everybody gets.
Status placement_rule_broadcast(const Along *a) {
    if (span_of(a) == SPAN_NONE) return pass(a);
    for (int i = 0; i < a->op->inputs; i++) {
        Placement x = along_input(a, i);
        if (placement_is_partial(x))
            return along_refuse_input(a, i, "the root has a part of the sum only; reduce it first");
        if (is_shard(x)) return along_refuse_input(a, i, "the root has a shard only");
        if (x.place == PLACE_ONLY && x.block && x.block - 1 != root_coordinate(a))
            return along_refuse_input(a, i, "it is not the root that holds it");
        if (span_of(a) == SPAN_SOME && x.place == PLACE_DIFFERS)
            return along_refuse_input(a, i,
                                      "the group reaches some of the ranks that hold it only");
    }
    for (int o = 0; o < a->op->outputs; o++) TRY(along_write(a, o, PLACEMENT_REPLICATED));
    return OK;
}

// A piece of what the root has goes to each: rows that are cut, or a value of each one's own.
Status placement_rule_scatter(const Along *a) {
    Placement declared = operand(a, 0)->placement[a->axis];
    if (span_of(a) == SPAN_NONE) return pass(a);
    TRY(check_span_all(a));
    for (int i = 0; i < a->op->inputs; i++) {
        Placement x = along_input(a, i);
        bool at_root = x.place == PLACE_ONLY && x.block - 1 == root_coordinate(a);
        if (x.place == PLACE_REPLICATE || own(x) || at_root) continue;
        return along_refuse_input(a, i, "a scatter takes what its root has");
    }
    if (declared.place != PLACE_DIFFERS && !(contiguous(declared) && declared.dim == 0))
        return along_refuse_output(a, 0, "every rank gets its own rows, so it is S0 (or D)");
    return along_write(a, 0, declared);
}

// Only the root has the pieces of all.
Status placement_rule_gather(const Along *a) {
    Placement x = along_input(a, 0);
    if (span_of(a) == SPAN_NONE) return pass(a);
    TRY(check_span_all(a));
    if (!own(x) && !(contiguous(x) && x.dim == 0))
        return along_refuse_input(a, 0,
                                  "a gather puts rows together that are cut (S0), or what "
                                  "each rank has for itself (D)");
    for (int o = 0; o < a->op->outputs; o++)
        TRY(along_write(a, o, PLACEMENT_AT(root_coordinate(a))));
    return OK;
}

Status placement_rule_send(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++) {
        Placement x = along_input(a, i);
        if (span_of(a) == SPAN_NONE) continue;
        if (placement_is_partial(x) && !is_shard(x))
            return along_refuse_input(
                a, i, "the receiver would have another rank's part of the sum; reduce it first");
        if (x.place == PLACE_ONLY && x.block)
            return along_refuse_input(a, i, "the other members hold nothing");
    }
    return OK;
}

// It lies as its sender's does, with which it is compared (check_ranks.c): in a ring the piece of
// a coordinate before this one, or a sum with that coordinate's terms.
Status placement_rule_receive(const Along *a) {
    for (int o = 0; o < a->op->outputs; o++) {
        Placement declared = operand(a, o)->placement[a->axis];
        bool in_ring = is_shard(declared) && (declared.shift || declared.terms);
        if (span_of(a) != SPAN_NONE && !in_ring &&
            (placement_is_partial(declared) || is_shard(declared)))
            return along_refuse_output(
                a, o, "what another rank sent is O (this rank has it) or D (each has its own)");
        TRY(along_write(a, o, declared));
    }
    return OK;
}

// A barrier moves nothing.
Status placement_rule_nothing(const Along *a) { return OK; }
