// SPDX-License-Identifier: MIT
// The rules of batch normalisation. Rows may be cut, and then what a rank knows of them is its own
// (D) until a collective has put it together (R); or channels (C), each of which a rank has whole,
// so that all that belongs to one lies with it: statistics (P,3,C), sums (2,C), parameters (C).
#include "core/plan/placement_rules.h"

static bool differs(Placement p) { return p.place == PLACE_DIFFERS; }

// How a tensor whose dimension `channels` is C lies beside x (B,C,..): as the channels do; where
// rows are cut alike on all ranks.
static Placement beside(Placement x, int channels) {
    if (placement_is_cut(x, 1)) return placement_moved(x, channels);
    return placement_is_cut(x, 0) ? PLACEMENT_REPLICATED : x;
}

static Status refuse_beside(const Along *a, int i) {
    bool channels = placement_is_cut(along_input(a, 0), 1);
    return along_refuse_input(
        a, i, channels ? "the channels do not lie alike" : "the rows do not lie alike");
}

// Inputs from..to, of shape (C), are parameters or statistics of x.
static Status beside_channels(const Along *a, int from, int to) {
    for (int i = from; i <= to; i++)
        if (!placement_equal(along_input(a, i), beside(along_input(a, 0), 0)))
            return refuse_beside(a, i);
    return OK;
}

// x, and a gradient of its shape: whole, or cut by rows or channels.
static Status rows_or_channels(const Along *a, int count) {
    TRY(along_refuse_partial(a));
    for (int i = 0; i < count; i++) {
        Placement x = along_input(a, i);
        if (x.place == PLACE_SHARD && !placement_is_cut(x, 0) && !placement_is_cut(x, 1))
            return along_refuse_input(a, i, "it may be cut by rows or by channels");
        if (!placement_equal(x, along_input(a, 0)))
            return along_refuse_input(a, i, "the operands do not lie alike");
    }
    return OK;
}

// Statistics of cut rows are each rank's own or, once they have been put together, everybody's.
static Status statistics_fit(const Along *a, int i) {
    Placement x = along_input(a, 0), s = along_input(a, i);
    if (placement_equal(s, beside(x, 2)) || (placement_is_cut(x, 0) && differs(s))) return OK;
    return refuse_beside(a, i);
}

Status placement_rule_batch_norm_statistics(const Along *a) {
    Placement x = along_input(a, 0);
    TRY(rows_or_channels(a, 1));
    return along_write(a, 0, placement_is_cut(x, 0) ? PLACEMENT_DIFFERS : beside(x, 2));
}

Status placement_rule_batch_norm(const Along *a) {
    TRY(rows_or_channels(a, 1));
    TRY(statistics_fit(a, 1));
    TRY(beside_channels(a, 2, 3));
    return along_write(a, 0, along_input(a, 0));
}

Status placement_rule_batch_norm_inference(const Along *a) {
    TRY(rows_or_channels(a, 1));
    TRY(beside_channels(a, 1, 4));
    return along_write(a, 0, along_input(a, 0));
}

// With everybody's statistics a rank's sums are a part of everybody's.
Status placement_rule_batch_norm_reduce(const Along *a) {
    Placement x = along_input(a, 0), statistics = along_input(a, 2);
    TRY(rows_or_channels(a, 2));
    TRY(statistics_fit(a, 2));
    if (!placement_is_cut(x, 0)) return along_write(a, 0, beside(x, 1));
    return along_write(a, 0, placement_is_whole(statistics) ? PLACEMENT_SUM : PLACEMENT_DIFFERS);
}

// The loss is a sum over the ranks, and so are the gradients of parameters, whether or not a rank
// normalises with statistics of its own.
Status placement_rule_batch_norm_backward_weight(const Along *a) {
    Placement sums = along_input(a, 0);
    if (placement_is_cut(sums, 1))
        sums = placement_moved(sums, 0);
    else if (sums.place == PLACE_PARTIAL_MAX || sums.place == PLACE_SHARD)
        return along_refuse_input(a, 0, "sums over a rank's rows are its own, or a part of a sum");
    if (differs(sums)) sums = PLACEMENT_SUM;
    TRY(along_write(a, 0, sums));
    return along_write(a, 1, sums);
}

Status placement_rule_batch_norm_backward_input(const Along *a) {
    Placement x = along_input(a, 0), statistics = along_input(a, 2),
              want = placement_is_cut(x, 1) ? beside(x, 1) : statistics;
    TRY(rows_or_channels(a, 2));
    TRY(statistics_fit(a, 2));
    if (!placement_equal(along_input(a, 3), want))
        return along_refuse_input(a, 3, "the statistics are not of the same rows and channels");
    TRY(beside_channels(a, 4, 4));
    return along_write(a, 0, x);
}

// Running statistics, outputs and inputs in one, follow those of the batch.
Status placement_rule_batch_norm_update(const Along *a) {
    Placement statistics = along_input(a, 2), want = statistics;
    TRY(along_refuse_partial(a));
    if (placement_is_cut(statistics, 2))
        want = placement_moved(statistics, 0);
    else if (statistics.place == PLACE_SHARD)
        return along_refuse_input(a, 2, "it may be cut by channels");
    for (int i = 0; i < 2; i++) {
        if (!placement_equal(along_input(a, i), want))
            return along_refuse_input(a, i, "the statistics of the batch do not lie alike");
        TRY(along_write(a, i, want));
    }
    return OK;
}
