// SPDX-License-Identifier: MIT
// The order of lowering: fuse (fuse.c), size scratch, lay out memory (layout.c).
#include "core/plan/lower.h"

#include "core/base/team.h"
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "core/plan/lower_internal.h"

#include <stdio.h>

static int64_t scratch_bytes(const Program *p, const Plan *plan, const Op *op,
                             const DeviceTraits *traits) {
    const Work *w = op_work(p, op);
    if (work_communicates(w)) return w->work_bytes;
    if (kind_class(work_kind(w)) != CLASS_COMPUTE || !traits->scratch_bytes) return 0;
    return op->member_count
               ? traits->scratch_bytes(p, plan, &plan->members[op->member_first], op->member_count)
               : traits->scratch_bytes(p, plan, op, 1);
}

static Status add_scratch(Program *p, int lane, int64_t bytes) {
    char name[256];
    int logical;
    snprintf(name, sizeof name, "%s.scratch", program_name(p, p->lanes[lane].name));
    TRY(program_add_logical(
        p,
        &(LogicalSpec){
            .name = name, .shape = {bytes}, .dims = 1, .dtype = DTYPE_U8, .role = ROLE_SCRATCH},
        &logical));
    return program_add_tensor(
        p, &(TensorSpec){.name = name, .logical = logical, .dtype = DTYPE_U8, .role = ROLE_SCRATCH},
        &p->lanes[lane].scratch);
}

// Operations of one lane run one after the other, so that each lane needs what the largest of its
// operations does; those of two lanes may run at the same time.
static Status add_scratches(Program *p, const DeviceTraits *traits) {
    int64_t most[UINT8_MAX + 1] = {0};
    for (int k = 0; k < p->plan_count; k++) {
        const Plan *plan = &p->plans[k];
        for (int i = 0; i < plan->op_count; i++) {
            int64_t bytes = scratch_bytes(p, plan, &plan->ops[i], traits);
            if (bytes > most[plan->ops[i].lane]) most[plan->ops[i].lane] = bytes;
        }
    }
    for (int lane = 0; lane < p->lane_count; lane++)
        if (most[lane]) TRY(add_scratch(p, lane, most[lane]));
    return OK;
}

// The plan's data dependencies are derived, as plan_check() needs them too.
static Status lower_plan(Program *p, Plan *plan, uint32_t fusions) {
    Arena scratch = {0};
    PlanOrder order;
    if (!fusions) return OK;
    Status s = plan_order_init(&order, &scratch, p, plan);
    if (s == OK) s = fuse_plan(p, plan, &order, fusions);
    arena_finish(&scratch);
    TRY(s);
    return plan_derive_deps(p, plan);
}

Status program_lower(Program *p, const DeviceTraits *traits) {
    if (p->lowered)
        FAIL(ERR_PLAN, "the program is already lowered, for %s", program_name(p, p->device));
    TRY(program_add_name(p, traits->name, &p->device));
    p->lowered = true;
    for (int i = 0; i < p->plan_count; i++) TRY(lower_plan(p, &p->plans[i], traits->fusions));
    TRY(add_scratches(p, traits));
    return layout_tensors(p, traits->own_memory);
}

typedef struct {
    ProgramSet *set;
    const DeviceTraits *traits;
} Lowering;

static Status lower_class(void *context, int i) {
    const Lowering *l = context;
    return program_lower(&l->set->programs[i], l->traits);
}

Status program_set_lower(ProgramSet *s, const DeviceTraits *traits) {
    Lowering lowering = {s, traits};
    TRY(team_each(s->count, lower_class, &lowering));
    Status checked = plan_check(s);
    if (checked == ERR_PLAN)
        FAIL(ERR_PLAN, "as lowered for %s: %s", traits->name, status_message());
    return checked;
}
