// SPDX-License-Identifier: MIT
// Lists of the operations of each lane: see core/plan/lane_order.h.
#include "core/plan/lane_order.h"

Status lane_order_init(LaneOrder *o, Arena *a, const Program *p, int plan) {
    *o = (LaneOrder){.program = p, .plan = &p->plans[plan]};
    o->first = ARENA_NEW(a, int32_t, p->lane_count + 1);
    o->next = ARENA_NEW(a, int32_t, o->plan->op_count + 1);
    if (!o->first || !o->next) FAIL(ERR_MEMORY, "out of memory for the lanes of a plan");
    for (int lane = 0; lane < p->lane_count; lane++) o->first[lane] = NONE;
    for (int op = o->plan->op_count - 1; op >= 0; op--) {
        int lane = o->plan->ops[op].lane;
        o->next[op] = o->first[lane];
        o->first[lane] = op;
    }
    return OK;
}
