// SPDX-License-Identifier: MIT
// Conversions: where an operation cannot take its inputs as they lie, these are reduced, put
// together or sliced. The candidates for each are tried (split_candidates.c), the cheapest that the
// operation's rule takes are chosen (split_convert.c), and added to the plan (split_collective.c).
#ifndef PARALLEL_STRATEGY_SPLIT_CONVERT_H
#define PARALLEL_STRATEGY_SPLIT_CONVERT_H

#include "parallel/strategy/split_internal.h"

// --- split_candidates.c

// Something that an operation reads, and the ways in which it could lie.
enum { SPLIT_CANDIDATES = 8 };
typedef struct {
    int tensor, holder;  // the name that is converted, and that under which it was written last
    bool view, fits;     // it is read as another name; that can lie as its memory does
    Placement is, how[SPLIT_CANDIDATES];
    int64_t cost[SPLIT_CANDIDATES];     // bytes sent
    int32_t variant[SPLIT_CANDIDATES];  // what there is besides; or NONE
    int count;
} SplitOperand;

// The cheapest choice of candidates that the operation's rule takes, with which gradients lie as
// their parameters: best[i] of each of *count operands (room for 2 OPERANDS). Without `all` only
// those that models need without place=: sums are reduced, positions are put together. False:
// there is none. `s` stays as it is, but for outputs and names that are read.
bool split_find_choice(Split *x, const Plan *plan, const Op *op, SplitState *s, bool all,
                       SplitOperand *operands, int *count, int *best);

// How outputs lie once inputs have been converted as they have to be. ERR_PLAN: they cannot.
Status split_infer_converted(Split *x, const Plan *plan, const Op *op, SplitState *s) MUST_USE;

// Do the gradients that an operation has written lie as their parameters, or are they sums? The
// uses of a weight have been reduced, each by itself, before the update adds them up.
bool split_is_as_wished(const Split *x, const Plan *plan, const Op *op, const SplitState *s);

// Is it from a shard of one dimension to one of another?
static inline bool split_exchanges(Placement is, Placement want) {
    return is.place == PLACE_SHARD && want.place == PLACE_SHARD && is.dim != want.dim;
}

// May the positions of a tensor (B,T,C) be divided?
bool split_has_positions(const Split *x, const Tensor *t);

// --- split_convert.c

// Find conversions of the operands of an operation with which its rule takes it, the cheapest;
// append them, and write how its outputs lie. ERR_PLAN: there are none.
Status split_convert(Split *x, int op) MUST_USE;

// After the operation: its operands lie as before, but for what it wrote.
void split_convert_end(Split *x, int op);

// --- split_collective.c

// Append what puts tensors together, to go behind the last operation that uses them: an all-reduce
// in place; or operations that make of a tensor, which `home` of `to` holds as `is` says, another
// one, *out of `to`, which lies in another way: a sum becomes shards by a reduce_scatter, a shard
// whole by an all_gather, over copies in the order of the pieces. A shard of another dimension is
// made by an all_to_all.
Status split_all_reduce(Split *x, const Op *op, const int32_t *tensors, int count) MUST_USE;
Status split_repartition(Split *x, const Op *op, int tensor, int32_t home, Placement is,
                         Placement want, int32_t *out) MUST_USE;

Status split_exchange(Split *x, const Op *op, int tensor, int32_t home, Placement is,
                      Placement want, int32_t *out) MUST_USE;

// This rank's slice of what `home` holds whole; and `tensor`, a view, of `home` that is whole.
Status split_slice(Split *x, const Op *op, int tensor, int32_t home, Placement want,
                   int32_t *out) MUST_USE;
Status split_view(Split *x, int tensor, int32_t home, int32_t *out) MUST_USE;

#endif
