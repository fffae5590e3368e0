// SPDX-License-Identifier: MIT
// How much arithmetic an operation does, by a formula over the shapes of its operands that
// KIND_LIST names for its kind: two flops a multiply-add, padding included. What memory alone
// limits counts as none.
#ifndef CORE_PLAN_FLOPS_H
#define CORE_PLAN_FLOPS_H

#include "core/plan/build.h"

// The formulas, one per name in KIND_LIST, for operands at full extent. False: more than INT64_MAX.
// Without the operands that a formula reads there are 0, and plan_check() refuses the operation.
#define X(constant, name, class, rule, flops, attributes, operands) \
    bool flops_rule_##flops(const Program *p, const OpSpec *op, int64_t *out);
KIND_LIST(X)
#undef X

// Of an operation by its kind and operands; of a fused one 0, whose members tell.
// ERR_PLAN, with its name: more than INT64_MAX.
Status flops_of_spec(const Program *p, const OpSpec *op, int64_t *out) MUST_USE;

// Of an operation of a plan, of a fused one of all its members.
Status flops_of_op(const Program *p, const Plan *plan, const Op *op, int64_t *out) MUST_USE;

#endif
