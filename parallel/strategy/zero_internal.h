// SPDX-License-Identifier: MIT
// The parts of zero_apply().
#ifndef PARALLEL_STRATEGY_ZERO_INTERNAL_H
#define PARALLEL_STRATEGY_ZERO_INTERNAL_H

#include "parallel/strategy/strategy_internal.h"

enum { ZERO_BLOCK = 4096 };  // elements; what clipping sums apart (docs/contract.md, 6)

typedef struct {
    Join join;
    const Model *model;
    int stage;
    int gather_lane, holders_gather_lane;  // of parameters; of experts' among those with the same
    int32_t *shard;   // [tensor] its flat shard: another tensor, or itself; NONE: not yet asked for
    uint8_t *master;  // [tensor] a parameter in f32 that is updated, and that passes read as a copy
    int tensors;      // as many have one
    int masters;      // so many are
} Zero;

// The axes along which data parallel ranks hold the same of a tensor, or parts of its sum, so that
// it is sharded along them: all, of experts that ranks along "expert" share, "data", or none. And
// the group and lane of such ranks, for gradients or for the gathering of parameters.
uint16_t zero_axes(const Zero *z, int tensor);
int zero_group(const Zero *z, int tensor);
int zero_lane(const Zero *z, int tensor, bool gathers);

// The flat shard of what the program had before: of a gradient that is a partial sum, or of a
// parameter that all hold, a tensor beside it; of anything else that an update keeps, it itself,
// which is cut then. ERR_PLAN, ERR_MEMORY.
Status zero_shard_of(Zero *z, int tensor, int32_t *out) MUST_USE;

// What goes together in one collective: a rank's share of a tensor, and the whole, of which there
// is one for each part.
typedef struct {
    int32_t share;
    const int32_t *whole;  // [parts]
} ZeroPair;
typedef struct {
    Kind kind;  // reduce_scatter or all_gather
    Phase phase;
    const char *name;  // what is behind the kind's: "bucket0"
    int parts, shard, micro_batch;
} ZeroCut;

// Where the bucket ends that begins with pairs[first]: it closes once it has reached its cap.
int zero_bucket_end(const Zero *z, const ZeroPair *pairs, int count, int first);

// Add it behind operation `after`, one collective for each group of ranks and type.
Status zero_add_collectives(Zero *z, Plan *plan, const ZeroCut *c, const ZeroPair *pairs, int count,
                            int after) MUST_USE;

// The same operation on shards, in the place of operation i.
Status zero_shard_op(Zero *z, Plan *plan, int i) MUST_USE;

// Let the updates of a plan work on shards: those of which this is true.
bool zero_updates_shards(const Zero *z, const Plan *plan, const Op *op);
Status zero_shard_updates(Zero *z, Plan *plan) MUST_USE;

// Stages 1 and 2: note masters, which is for zero_shard_of() to know; and let each rank convert its
// shares of them, and add what gathers the copies, in buckets as gradients have. Without overlap
// all go when the last one is converted, and the passes, in `deps`, wait for all.
Status zero_find_masters(Zero *z, const Plan *step) MUST_USE;
Status zero_gather_copies(Zero *z, Plan *plan, DepList *deps) MUST_USE;

// Does it write a copy of a parameter in the passes' type?
bool zero_writes_copy(const Program *p, const Plan *plan, const Op *op);

// Let every operation of the plan, but the updates, read buffers instead of parameters (stage 3);
// of parameters that have copies in another type each rank converts its shard, and copies are
// gathered. Add what gathers them, and collect in `deps` what keeps them few: what a unit needs, a
// block of the model or a layer outside of blocks, is gathered at once, when of all that units
// before it needed only the last `prefetch` may still be read; without overlap, when everything
// before it is computed.
Status zero_add_gathers(Zero *z, Plan *plan, DepList *deps) MUST_USE;

#endif
