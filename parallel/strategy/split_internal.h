// SPDX-License-Identifier: MIT
// What the files of the split share. Read split.c first.
#ifndef PARALLEL_STRATEGY_SPLIT_INTERNAL_H
#define PARALLEL_STRATEGY_SPLIT_INTERNAL_H

#include "core/base/arena.h"
#include "core/nn/model.h"
#include "core/plan/build.h"
#include "parallel/strategy/split.h"

// How the tensors of a program lie along the axis at some point of a plan.
typedef struct {
    Placement *now;   // [tensor * AXES + axis]
    int32_t *holder;  // [tensor that has memory] the name under which it was written last, or NONE
} SplitState;

// A tensor of `from` that lies in another way besides, in a tensor of `to`.
typedef struct {
    Placement how;
    int32_t name;          // that tensor, or a view of it whose shape this has
    int32_t tensor, next;  // next: of the same tensor of `from`, or NONE
} SplitVariant;

// How a tensor of `from` lay before an operation read a variant of it.
typedef struct {
    int32_t tensor, taken;
    Placement now;
} SplitSwap;

typedef struct {
    Program *from;  // before; its operations may be changed, its tensors stay
    Program *to;    // after: so far
    const Plan *plan;
    Plan *out;
    int axis, group, lane;  // the axis in both, and its ranks and their communication in `to`
    Arena arena;
    SplitState state;
    const Model *model;
    bool placed;           // some layers say place=
    int32_t *asker;        // [logical tensor] the layer whose place= says how it lies, or NONE;
    int asker_count;       // of those that there were before the split
    Placement *parameter;  // [logical tensor] of a parameter: how it shall lie
    Placement *wish;       // [logical tensor] of a gradient: how its parameter lies; else none
                           // (PLACE_COUNT)
    int32_t *taken;        // [tensor of `from`] that of `to`, or NONE
    int32_t *used;         // [tensor of `from`] the last operation of `out` that reads or writes it
    bool sequence;         // positions are cut where that is cheaper
    bool numbers;          // and before along another axis: tables of positions stay whole
    int32_t *first;        // [tensor of `from`] its first variant, or NONE
    SplitVariant *variants;
    int variant_count, variant_capacity;
    SplitSwap *swapped;  // of the operation at work
    int swapped_count, swapped_capacity;
    int32_t *together;  // scratch: what one collective reduces, of any plan or all tensors
    uint8_t *whole;     // scratch, [logical tensor]
    int *after;         // [added] the operation behind which a conversion goes
    OpSpec *added;      // conversions of the plan at work, which are appended at its end
    int added_count, added_capacity, after_capacity;
} Split;

// --- split_rules.c

// What an operation makes of the placements of its inputs: written to `s` for its outputs, or
// ERR_PLAN, and `s` as it was.
Status split_infer(const Split *x, const Plan *plan, const Op *op, SplitState *s) MUST_USE;

// The same of inputs whose names have been read.
Status split_judge(const Split *x, const Plan *plan, const Op *op, SplitState *s) MUST_USE;

// Before an operation reads: a name lies as what its memory was last written as.
Status split_read_name(const Split *x, const Plan *plan, const Op *op, int tensor,
                       SplitState *s) MUST_USE;
Status split_read_names(const Split *x, const Plan *plan, const Op *op, SplitState *s) MUST_USE;

// Take the state of another time; note that an operation has written its outputs.
Status split_state_init(const Split *x, SplitState *s, Arena *a) MUST_USE;
void split_state_begin(const Split *x, SplitState *s);
void split_state_copy(const Split *x, SplitState *to, const SplitState *from);
void split_state_write(const Split *x, const Plan *plan, const Op *op, SplitState *s);

static inline Placement *split_now(const Split *x, const SplitState *s, int tensor) {
    return &s->now[tensor * AXES + x->axis];
}

// Ranks along the axis.
static inline int split_ranks(const Split *x) { return x->from->axes[x->axis].size; }

// A product of a weight: y <- x weight [bias], of experts y <- x weight load.
bool split_multiplies(Kind k);
bool split_has_bias(const Split *x, const Op *op);

// Attributes of an operation on this rank: heads are those of a piece. `out` has ATTRIBUTES places.
void split_attributes(const Split *x, const Plan *plan, const Op *op, const SplitState *s,
                      int64_t *out);

// Heads that the ranks cannot share: ERR_USAGE, with those numbers of ranks that can.
Status split_check_heads(const Split *x, const Plan *plan, const Op *op,
                         const SplitState *s) MUST_USE;

// --- split_choose.c

// Place the parameters of the model, from what the step does with them.
Status split_choose(Split *x) MUST_USE;

// Cut tables of positions by these. ERR_USAGE when the ranks cannot share the positions equally.
Status split_place_positions(Split *x) MUST_USE;

// --- split_vocabulary.c

// Let tables of tokens and the loss over them be computed with a part of the rows and classes on
// each rank, if the model reads tokens; and cut their weights.
Status split_vocabulary(Split *x) MUST_USE;
void split_place_vocabulary(Split *x);

// --- split_index.c

// An operation that is copied reads an index where it needs one: change its attributes and append
// it to its *count inputs, which are tensors of `to`.
Status split_index(Split *x, const Op *op, int64_t *attrs, int32_t *inputs, int *count) MUST_USE;

// The index of a dimension of a tensor that along the axis shall lie so: a tensor of `to`.
Status split_index_of(Split *x, int tensor, int dim, Placement how, int32_t *out) MUST_USE;

// --- split.c

// The tensor of `to` for one of `from`; and the shape of what lies so along the axis.
Status split_take(Split *x, int tensor, int32_t *out) MUST_USE;
Status split_cut_shape(const Split *x, TensorSpec *spec, const Tensor *t) MUST_USE;

#endif
