// SPDX-License-Identifier: MIT
// The rules of compression: a gradient is a part of a sum, and so is what is left of it.
#include "core/plan/placement_rules.h"

static bool replicated(Placement p) { return p.place == PLACE_REPLICATE; }

static bool whole_or_sum(Placement p) { return replicated(p) || p.place == PLACE_PARTIAL_SUM; }

// Errors of shards, a row each, add up to what has not been sent: where rows are cut, one of them
// is a part of that sum.
Status placement_rule_feed_error(const Along *a) {
    Placement error = along_input(a, 0);
    if (!replicated(error) &&
        !(error.place == PLACE_SHARD && error.cut != CUT_FLAT && error.dim == 0))
        return along_refuse_input(a, 0, "an error is whole, or cut by shards");
    return along_write(a, 0, replicated(error) ? error : PLACEMENT_SUM);
}

Status placement_rule_keep_error(const Along *a) {
    Placement x = along_input(a, 0);
    if (!whole_or_sum(x)) return along_refuse_input(a, 0, "it is whole, or a part of a sum");
    return along_write(a, 0, replicated(x) ? x : PLACEMENT_SHARD(0));
}

// Products with a factor that all ranks have: linear in the matrix. What is left of it, x - p q',
// is linear in x and q.
Status placement_rule_low_rank(const Along *a) {
    Placement x = along_input(a, 0);
    if (!whole_or_sum(x)) return along_refuse_input(a, 0, "it is whole, or a part of a sum");
    if (!replicated(along_input(a, 1)))
        return along_refuse_input(a, 1, "it is needed whole; gather or reduce it first");
    if (a->op->inputs > 2 && !placement_equal(along_input(a, 2), x))
        return along_refuse_input(a, 2, "the matrix does not lie alike");
    return along_write(a, 0, x);
}

// Each rank takes the largest elements of its own part of a sum; the rest is a part of one still.
Status placement_rule_top_k(const Along *a) {
    Placement x = along_input(a, 0);
    if (!whole_or_sum(x)) return along_refuse_input(a, 0, "it is whole, or a part of a sum");
    TRY(along_write(a, 0, replicated(x) ? x : PLACEMENT_DIFFERS));
    return along_write(a, 1, x);
}
