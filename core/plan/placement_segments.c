// SPDX-License-Identifier: MIT
// The rules of segments, y (B,T,C) = x + the first row of weight (S,C): rows and positions may lie
// on several ranks, which all hold the whole weight, or channels, which are the weight's columns.
#include "core/plan/placement_rules.h"

enum { CHANNELS = 2, COLUMNS = 1 };

// Where the weight of such an input is, and whether the input may be so.
static Status weight_of(const Along *a, Placement *out) {
    Placement x = along_input(a, 0);
    *out = PLACEMENT_REPLICATED;
    if (placement_is_partial(x)) return along_refuse_input(a, 0, "reduce it first");
    bool cut = x.place == PLACE_SHARD;
    if (x.place != PLACE_REPLICATE && (!cut || x.cut == CUT_FLAT || x.dim > CHANNELS))
        return along_refuse_input(a, 0, "it may be cut by rows, positions or channels");
    if (!cut || x.dim != CHANNELS) return OK;
    *out = x;
    out->dim = COLUMNS;
    return OK;
}

Status placement_rule_segments(const Along *a) {
    Placement want;
    TRY(weight_of(a, &want));
    if (!placement_equal(along_input(a, 1), want))
        return along_refuse_input(a, 1, "the input is not cut alike");
    return along_write(a, 0, along_input(a, 0));
}

// Rows and positions on several ranks give each a part of the sum.
Status placement_rule_segments_backward(const Along *a) {
    Placement sum;
    TRY(weight_of(a, &sum));
    if (along_input(a, 0).place == PLACE_SHARD && sum.place == PLACE_REPLICATE) sum = PLACEMENT_SUM;
    return along_write(a, 0, sum);
}
