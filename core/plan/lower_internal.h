// SPDX-License-Identifier: MIT
// The steps of program_lower().
#ifndef CORE_PLAN_LOWER_INTERNAL_H
#define CORE_PLAN_LOWER_INTERNAL_H

#include "core/plan/lower.h"

// Replace chains of operations by fused ones: bit f of `fusions` allows Fusion f.
Status fuse_plan(Program *p, Plan *plan, uint32_t fusions) MUST_USE;

// Decide pools and offsets, add reuse dependencies, set pool_bytes and role_bytes.
Status layout_tensors(Program *p) MUST_USE;

#endif
