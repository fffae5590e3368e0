// SPDX-License-Identifier: MIT
// The steps of program_lower().
#ifndef CORE_PLAN_LOWER_INTERNAL_H
#define CORE_PLAN_LOWER_INTERNAL_H

#include "core/plan/lower.h"

// Replace chains of operations by fused ones: bit f of `fusions` allows Fusion f.
Status fuse_plan(Program *p, Plan *plan, uint32_t fusions) MUST_USE;

// Decide pools and offsets, add reuse dependencies, set pool_bytes and role_bytes.
Status layout_tensors(Program *p) MUST_USE;

enum { LAYOUT_ALIGN = 64 };  // bytes, of every offset

// The life of a tensor's memory, aliases included: where each plan touches it.
typedef struct {
    int32_t first[PLANS], last[PLANS];  // op indices; first NONE: never
    bool communicated, used;
} Life;

bool layout_keeps_place(Role r);        // for the whole run: its memory is never shared
int64_t layout_aligned(int64_t bytes);  // rounded up to LAYOUT_ALIGN

// Add to every plan the DEP_REUSE dependencies that make the offsets of `lives` safe; offsets count
// from the beginning of their region.
Status reuse_add_deps(Program *p, const Life *lives) MUST_USE;

#endif
