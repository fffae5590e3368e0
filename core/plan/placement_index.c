// SPDX-License-Identifier: MIT
// The rules of operations whose arithmetic depends on where an element lies in the whole tensor.
#include "core/plan/placement_rules.h"

Status along_check_index(const Along *a, int i, Placement dimension) {
    if (i >= a->op->inputs || placement_equal(along_input(a, i), dimension)) return OK;
    return along_refuse_input(a, i, "it is not the index of what this rank has");
}

// The index of a dimension that is cut, or is not, as `dimension` says: there must be one if it is.
// Whoever infers how things will lie adds it afterwards.
static Status need_index(const Along *a, int i, Placement dimension) {
    if (a->infers) return OK;
    if (i >= a->op->inputs && !placement_is_whole(dimension))
        return along_refuse_input(a, 0, "it needs the index of that dimension beside it");
    return along_check_index(a, i, dimension);
}

static Placement index_of(Placement x, int dim) {
    return placement_is_cut(x, dim) ? placement_moved(x, 0) : PLACEMENT_REPLICATED;
}

// An element's number is that of its place in the whole, which begins at the first row and goes on
// with dimensions that have an index where they are cut.
Status placement_rule_dropout(const Along *a) {
    Placement x = along_input(a, 0), first = along_input(a, 3);
    int dims = a->p->tensors[op_inputs(a->plan, a->op)[0]].dims;
    bool rows = placement_is_cut(x, 0), last = dims == 3 && placement_is_cut(x, 2);
    if (!placement_is_whole(x) && !rows && !last && !placement_is_cut(x, 1))
        return along_refuse_input(a, 0, "it may be cut by rows, by channels or by positions");
    for (int i = 1; i < 3; i++)
        if (!placement_is_whole(along_input(a, i)))
            return along_refuse_input(a, i, "all ranks draw from one stream");
    if (rows != (first.place == PLACE_DIFFERS))
        return along_refuse_input(a, 3, "it is not where the rows begin");
    TRY(need_index(a, 4, index_of(x, 1)));
    TRY(need_index(a, 5, index_of(x, 2)));
    TRY(along_write(a, 0, x));
    return along_write(a, 1, x);
}

// Rows, whole heads, or positions with their index: each is counted from the first of all.
Status placement_rule_rotary(const Along *a) {
    Placement x = along_input(a, 0);
    bool heads = placement_is_cut(x, 2) && x.cut == CUT_CONTIGUOUS;
    if (x.place == PLACE_PARTIAL_MAX)
        return along_refuse_input(a, 0, "a sum of maxima is no maximum of sums; reduce it first");
    if (x.place == PLACE_SHARD && !heads && !placement_is_cut(x, 0) && !placement_is_cut(x, 1))
        return along_refuse_input(a, 0, "it may be cut by rows, by positions or by heads");
    TRY(need_index(a, 1, index_of(x, 1)));
    return along_write(a, 0, x);
}
