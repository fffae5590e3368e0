// SPDX-License-Identifier: MIT
// The order of lowering: fuse (fuse.c), size scratch, lay out memory (layout.c).
#include "core/plan/lower.h"

#include "core/plan/build.h"
#include "core/plan/lower_internal.h"

#include <stddef.h>

// One scratch area serves all computation: operations of the compute lane run one after the other.
static Status add_scratch(Program *p, const DeviceTraits *traits) {
    int64_t most = 0;
    for (int k = 0; k < p->plan_count; k++) {
        const Plan *plan = &p->plans[k];
        for (int i = 0; i < plan->op_count; i++) {
            const Op *op = &plan->ops[i];
            if (kind_class(op_kind(p, op)) != CLASS_COMPUTE || !traits->scratch_bytes) continue;
            int64_t bytes = op->member_count
                                ? traits->scratch_bytes(p, plan, &plan->members[op->member_first],
                                                        op->member_count)
                                : traits->scratch_bytes(p, plan, op, 1);
            if (bytes > most) most = bytes;
        }
    }
    if (!most) return OK;
    int logical;
    TRY(program_add_logical(
        p,
        &(LogicalSpec){
            .name = "scratch", .shape = {most}, .dims = 1, .dtype = DTYPE_U8, .role = ROLE_SCRATCH},
        &logical));
    return program_add_tensor(
        p,
        &(TensorSpec){
            .name = "scratch", .logical = logical, .dtype = DTYPE_U8, .role = ROLE_SCRATCH},
        NULL);
}

Status program_lower(Program *p, const DeviceTraits *traits) {
    if (p->lowered)
        FAIL(ERR_PLAN, "the program is already lowered, for %s", program_name(p, p->device));
    TRY(program_add_name(p, traits->name, &p->device));
    p->lowered = true;
    for (int i = 0; i < p->plan_count; i++) {
        TRY(fuse_plan(p, &p->plans[i], traits->fusions));
        TRY(plan_derive_deps(p, &p->plans[i]));
    }
    TRY(add_scratch(p, traits));
    return layout_tensors(p);
}
