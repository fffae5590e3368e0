// SPDX-License-Identifier: MIT
// A context-parallel program at work, and the expansion of attention into a ring.
#ifndef PARALLEL_STRATEGY_CONTEXT_INTERNAL_H
#define PARALLEL_STRATEGY_CONTEXT_INTERNAL_H

#include "core/base/arena.h"
#include "core/plan/mesh.h"
#include "core/plan/program_copy.h"
#include "parallel/strategy/context.h"

enum { CONTEXT_MOST = 64 };  // ranks of a ring

typedef struct {
    ProgramCopy copy;  // from the model's program to the one that is cut
    ContextKind kind;
    int axis, ranks, group;
    int tensor;                             // the axis of that name, or NONE
    int64_t positions;                      // of the whole sequence
    int send, receive;                      // lanes: of keys and values
    int send_gradients, receive_gradients;  // of what is added to their gradients
    int reduce;                             // of sums over the ranks of the axis
    int32_t index[CONTEXT_MOST];            // positions of the piece `hop` before, or NONE
    int32_t divided, slice;                 // of the part that ranks of `tensor` divide it into:
                                            // in the whole sequence, and in the piece; or NONE
    Arena *arena;
    uint8_t *chunks;   // [logical tensor] pieces of rows, which have positions, one by one
    uint8_t *partial;  // [tensor of `from`] it is summed over the positions
    // Of experts, [tensor of `from`]: it counts choices; of such, those of all ranks, or NONE.
    uint8_t *chosen;
    int32_t *gathered;
    bool balances;  // the operation that is copied takes these
} Context;

// The tensor that says where the positions of the piece are that the coordinate `hop` before has.
Status context_index(Context *c, int hop, int32_t *out) MUST_USE;

// How rows lie whose positions are cut: the piece of the coordinate `hop` before.
Placement context_piece(const Context *c, int hop);

bool context_is_attention(Kind k);

// context_experts.c: find what layers of experts have; how their queues lie, if it is one; the
// tensor that an operation takes; and an operation on choices, a gathering of them behind it.
Status context_find_experts(Context *c) MUST_USE;
bool context_place_queues(const Context *c, TensorSpec *spec, const Tensor *t);
Status context_take(ProgramCopy *copy, int from, int32_t *out) MUST_USE;
Status context_add_experts(Context *c, const Op *op) MUST_USE;

// An attention operation of `from`, forward or backward, as hop after hop around the ring.
Status context_add_ring(Context *c, const Op *op) MUST_USE;

// The same with all-to-alls around an attention operation of some heads of all positions.
Status context_add_exchange(Context *c, const Op *op) MUST_USE;

// Do the ranks divide the heads? ERR_USAGE with the arithmetic.
Status context_check_heads(const Context *c) MUST_USE;

#endif
