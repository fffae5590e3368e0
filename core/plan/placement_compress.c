// SPDX-License-Identifier: MIT
// The rules of compression: a gradient is a part of a sum, and so is what is left of it; along
// other axes it is whole or a piece.
#include "core/plan/placement_rules.h"

static bool replicated(Placement p) { return p.place == PLACE_REPLICATE; }

static bool whole_or_sum(Placement p) { return replicated(p) || p.place == PLACE_PARTIAL_SUM; }

// A piece of a gradient is compressed by itself: what is made of it is each rank's own (D).
static bool is_piece(Placement p) {
    return p.place == PLACE_SHARD && p.cut != CUT_FLAT && !p.shift && !p.terms;
}

static bool is_own(Placement p) { return p.place == PLACE_DIFFERS; }

// Factors of all pieces that outlive a step, one below the other.
static bool is_stacked(Placement p) { return is_piece(p) && placement_is_cut(p, 0); }

static Status refuse_gradient(const Along *a, int i) {
    return along_refuse_input(a, i, "it is whole, a piece, or a part of a sum");
}

// Errors of shards, a row each, add up to what has not been sent: where rows are cut, one of them
// is a part of that sum. Behind the rows are the dimensions of the gradient, cut as that is.
Status placement_rule_feed_error(const Along *a) {
    Placement error = along_input(a, 0);
    if (is_piece(error) && error.dim > 0)
        return along_write(a, 0, placement_moved(error, error.dim - 1));
    if (!replicated(error) && !is_piece(error))
        return along_refuse_input(a, 0, "an error is whole, or cut by shards or as its gradient");
    return along_write(a, 0, replicated(error) ? error : PLACEMENT_SUM);
}

Status placement_rule_keep_error(const Along *a) {
    Placement x = along_input(a, 0);
    if (is_piece(x)) return along_write(a, 0, placement_moved(x, x.dim + 1));
    if (!whole_or_sum(x)) return refuse_gradient(a, 0);
    return along_write(a, 0, replicated(x) ? x : PLACEMENT_SHARD(0));
}

// Products with a factor that all ranks have, linear in the matrix; or of a piece and its factor.
// What is left of it, x - p q', is linear in x and q.
Status placement_rule_low_rank(const Along *a) {
    Placement x = along_input(a, 0), factor = along_input(a, 1);
    bool piece = is_piece(x);
    if (!piece && !whole_or_sum(x)) return refuse_gradient(a, 0);
    if (piece && !is_own(factor) && !is_stacked(factor))
        return along_refuse_input(a, 1, "it is not the factor of this rank's piece");
    if (!piece && !replicated(factor))
        return along_refuse_input(a, 1, "it is needed whole; gather or reduce it first");
    if (a->op->inputs < 3) return along_write(a, 0, piece ? PLACEMENT_DIFFERS : x);
    if (!(piece ? is_own(along_input(a, 2)) : placement_equal(along_input(a, 2), x)))
        return along_refuse_input(a, 2, "the matrix does not lie alike");
    return along_write(a, 0, x);
}

// A rank that has its own of all inputs makes its piece of them.
static Status make_piece(const Along *a) {
    Placement declared = a->p->tensors[op_outputs(a->plan, a->op)[0]].placement[a->axis];
    for (int i = 0; i < a->op->inputs; i++)
        if (!is_own(along_input(a, i)))
            return along_refuse_input(a, i, "another factor is of each rank's piece alone");
    return along_write(a, 0, is_piece(declared) ? declared : PLACEMENT_DIFFERS);
}

static bool has_own(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (is_own(along_input(a, i))) return true;
    return false;
}

// Gradients of factors or of lists of elements.
Status placement_rule_expand(const Along *a) {
    return has_own(a) ? make_piece(a) : placement_rule_whole(a);
}

// Each rank takes the largest elements of its own piece, or part of a sum; the rest is such still.
Status placement_rule_top_k(const Along *a) {
    Placement x = along_input(a, 0);
    if (!is_piece(x) && !whole_or_sum(x)) return refuse_gradient(a, 0);
    TRY(along_write(a, 0, replicated(x) ? x : PLACEMENT_DIFFERS));
    return along_write(a, 1, x);
}
