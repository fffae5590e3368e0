// SPDX-License-Identifier: MIT
// The parts of plan_check().
#ifndef CORE_PLAN_CHECK_INTERNAL_H
#define CORE_PLAN_CHECK_INTERNAL_H

#include "core/base/arena.h"
#include "core/plan/check.h"

// Is there no cycle of dependencies and places on lanes?
Status check_order(const Program *p, const Plan *plan, Arena *scratch) MUST_USE;

// Do operand counts, shapes and types fit the kind (the operand patterns of KIND_LIST)?
Status check_operands(const Program *p, const Plan *plan, const Op *op) MUST_USE;

// Do views and extents stay within the memory that they are of (check_views.c)?
Status check_views(const Program *p) MUST_USE;

// Does a max_pool_backward undo the very pooling that wrote its index? `writer` is the operation
// that wrote each tensor last, or NONE.
Status check_pool_index(const Program *p, const Plan *plan, const Op *op,
                        const int32_t *writer) MUST_USE;

// Do placements type-check? `state[tensor * AXES + axis]` is the placement now: a
// collective changes it.
Status check_placements(const Program *p, const Plan *plan, const Op *op,
                        Placement *state) MUST_USE;

// Is every rank in one class, and are the tables that all programs share alike (check_set.c)?
Status check_set(const ProgramSet *set) MUST_USE;

// Execute plan `k` of every rank without cost: matching collectives, pairs, no deadlock.
Status check_ranks(const ProgramSet *set, int k) MUST_USE;

#endif
