// SPDX-License-Identifier: MIT
// The parts of plan_check().
#ifndef CORE_PLAN_CHECK_INTERNAL_H
#define CORE_PLAN_CHECK_INTERNAL_H

#include "core/base/arena.h"
#include "core/base/text.h"
#include "core/plan/check.h"

#include <string.h>

// Shapes: the same one, and as messages write it, "2x3". At most SHAPE_TEXT bytes.
enum { SHAPE_TEXT = 96 };
static inline bool check_same_shape(const Tensor *a, const Tensor *b) {
    return a->dims == b->dims && !memcmp(a->shape, b->shape, sizeof a->shape[0] * a->dims);
}
static inline const char *check_shape_text(const int64_t *shape, int dims, char out[SHAPE_TEXT]) {
    *out = '\0';
    for (int d = 0; d < dims; d++)
        text_append(out, SHAPE_TEXT, "%s%lld", d ? "x" : "", (long long)shape[d]);
    return out;
}

// Do operand counts, shapes and types fit the kind (the operand patterns of KIND_LIST)?
Status check_operands(const Program *p, const Plan *plan, const Op *op) MUST_USE;

// Are attributes in their ranges, and do heads divide the channels (check_attributes.c)?
Status check_attributes(const Program *p, const Plan *plan, const Op *op) MUST_USE;

// Do a communication's peer, tag, parts and memory let every member do it?
Status check_communication(const Program *p, const Plan *plan, const Op *op) MUST_USE;
Status check_communication_lanes(const Program *p) MUST_USE;  // are there few enough?

// Are sources and results scalars of the right kind, and does no operation write what the run
// writes (check_scalars.c)?
Status check_scalars(const Program *p) MUST_USE;

// Do views and extents stay within the memory that they are of (check_views.c)?
Status check_views(const Program *p) MUST_USE;

// Does a max_pool_backward undo the very pooling that wrote its index? `writer` is the operation
// that wrote each tensor last, or NONE.
Status check_pool_index(const Program *p, const Plan *plan, const Op *op,
                        const int32_t *writer) MUST_USE;

// Does the shape of every tensor follow from its logical tensor and its placements, and does an
// extent lie as the rows that it counts (check_pieces.c)?
Status check_pieces(const Program *p) MUST_USE;

// What the rules said of the operation that did some work last: how its operands lay before, and
// its outputs afterwards. [operand * AXES + axis], in the arena; NULL: they were not asked yet.
typedef struct {
    Placement *before, *after;
} PlacementJudged;

// How the tensors of a plan lie, after the operations that were checked so far.
typedef struct {
    Placement *now;           // [tensor * AXES + axis]
    int32_t *holder;          // [root]: the name that its memory was written under last, or NONE
    uint8_t *written;         // [tensor]: has it a value of its own, under this name?
    PlacementJudged *judged;  // [work]
    Arena *arena;             // of these
} PlacementState;

// Before the first operation: as declared.
Status placement_state_init(PlacementState *s, const Program *p, Arena *scratch) MUST_USE;

// Do the placements of an operation type-check? `like`: the operation that did the same work last,
// if check_operands() says the same of both, else NULL.
Status check_placements(const Program *p, const Plan *plan, const Op *op, const Op *like,
                        PlacementState *s) MUST_USE;

// Behind the last operation: is what outlives the plan as it is declared?
Status check_placements_left(const Program *p, const Plan *plan, const PlacementState *s) MUST_USE;

// How what a class of ranks sends lies when it is sent. Per plan and operation NULL, or of a send
// [input * AXES + axis]; a plan that sends nothing has no table.
typedef struct {
    Arena arena;
    Placement **of[PLANS];
} ClassSends;

// A send that passed the checks above is noted, as its operands lie now.
Status check_note_send(const Program *p, int k, const Op *op, const PlacementState *s,
                       ClassSends *out) MUST_USE;

// Is a tensor's value there in the next plan: parameters and what goes with them?
static inline bool outlives_plan(const Program *p, int tensor) {
    return role_persists((Role)p->tensors[tensor].role);
}

// Is every rank in one class, and are the tables that all programs share alike (check_set.c)?
Status check_set(const ProgramSet *set) MUST_USE;

// Execute plan `k` of every rank without cost: matching collectives, pairs, no deadlock.
Status check_ranks(const ProgramSet *set, int k, const ClassSends *sends_of_class) MUST_USE;

#endif
