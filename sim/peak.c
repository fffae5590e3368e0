// SPDX-License-Identifier: MIT
// One walk over the plan's operands finds when each tensor is first and last touched; another adds
// up what is there.
#include "sim/peak.h"

typedef struct {
    int32_t first, last;  // operations; first NONE: the plan does not touch it
} Stay;

static bool shares_memory(const Program *p, int tensor) {
    return !role_keeps_place((Role)p->tensors[tensor].role);
}

static int64_t bytes_of(const Tensor *t) {
    return tensor_elements(t) * dtype_bytes((Dtype)t->dtype);
}

static void find_stays(Stay *stays, const Program *p, const Plan *plan) {
    for (int t = 0; t < p->tensor_count; t++) stays[t] = (Stay){NONE, NONE};
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        for (int k = 0; k < op->outputs + op->inputs; k++) {
            Stay *s = &stays[program_root(p, op_outputs(plan, op)[k])];
            if (s->first == NONE) s->first = i;
            s->last = i;
        }
    }
}

Status peak_find(Peak *out, Arena *a, const Program *p, int plan) {
    const Plan *step = &p->plans[plan];
    Stay *stays = ARENA_NEW(a, Stay, p->tensor_count + 1);
    int64_t *change = ARENA_NEW(a, int64_t, step->op_count + 1), now = 0;
    if (!stays || !change) FAIL(ERR_MEMORY, "out of memory for %d tensors", p->tensor_count);
    find_stays(stays, p, step);
    for (int t = 0; t < p->tensor_count; t++) {
        if (stays[t].first == NONE || !shares_memory(p, t)) continue;
        change[stays[t].first] += bytes_of(&p->tensors[t]);
        change[stays[t].last + 1] -= bytes_of(&p->tensors[t]);
    }
    *out = (Peak){.op = NONE};
    for (int i = 0; i < step->op_count; i++) {
        now += change[i];
        if (now > out->in_use) *out = (Peak){i, now};
    }
    return OK;
}
