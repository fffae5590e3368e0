// SPDX-License-Identifier: MIT
// Rows in use: kernels take them from memory, so a number that a tensor has no room for would have
// them read and write beyond it. Those that the run writes are looked at once, when a plan begins;
// those that an operation writes, before each operation that has such operands.
#include "parallel/run/executor_internal.h"

typedef struct {
    const Program *p;
    const Plan *plan;
    const Executor *e;
    uint8_t *written;   // [tensor]: by an operation of the plan
    int32_t *place;     // [tensor] of an extent, in `rooms`, or NONE
    ExtentRoom *rooms;  // of one operation, or of the plan
    int count;
} Search;

static void note_tensor(Search *s, int op, int tensor, bool written) {
    const Tensor *t = &s->p->tensors[tensor];
    const int64_t *value = t->extent == NONE ? NULL : executor_scalar(s->e, t->extent);
    if (!value || s->written[t->extent] != written) return;
    int32_t *place = &s->place[t->extent];
    if (*place == NONE) {
        *place = s->count++;
        s->rooms[*place] = (ExtentRoom){value, tensor_room(t), t->extent, tensor, op};
    }
    ExtentRoom *room = &s->rooms[*place];
    if (room->room <= tensor_room(t)) return;
    *room = (ExtentRoom){value, tensor_room(t), t->extent, tensor, op};
}

static void note_op(Search *s, int op, const Op *what, bool written) {
    for (int o = 0; o < what->outputs + what->inputs; o++)
        note_tensor(s, op, op_outputs(s->plan, what)[o], written);
    for (int m = 0; m < what->member_count; m++)
        note_op(s, op, &s->plan->members[what->member_first + m], written);
}

// What was found goes to *out, and the search begins anew.
static Status take(Search *s, Arena *a, Extents *out) {
    if (!s->count) return OK;
    ExtentRoom *rooms = ARENA_NEW(a, ExtentRoom, s->count);
    if (!rooms) FAIL(ERR_MEMORY, "%s", "out of memory for binding a plan");
    for (int i = 0; i < s->count; i++) {
        rooms[i] = s->rooms[i];
        s->place[rooms[i].extent] = NONE;
    }
    *out = (Extents){rooms, s->count};
    s->count = 0;
    return OK;
}

static Status search(Search *s, Arena *a, BoundPlan *b) {
    int written = 0;
    for (int t = 0; t < s->p->tensor_count; t++) s->place[t] = NONE;
    for (int i = 0; i < s->plan->op_count; i++)
        for (int o = 0; o < s->plan->ops[i].outputs; o++) {
            int tensor = op_outputs(s->plan, &s->plan->ops[i])[o];
            s->written[tensor] = 1;
            written += s->p->tensors[tensor].role == ROLE_SCALAR;
        }
    for (int i = 0; i < s->plan->op_count; i++) note_op(s, i, &s->plan->ops[i], false);
    TRY(take(s, a, &b->extents));
    for (int i = 0; i < s->plan->op_count && written; i++) {
        note_op(s, i, &s->plan->ops[i], true);
        TRY(take(s, a, &b->ops[i].extents));
    }
    return OK;
}

Status executor_bind_extents(Executor *e, Arena *a, const Plan *plan, BoundPlan *b) {
    int n = e->program->tensor_count;
    Arena scratch = {0};
    Search s = {.p = e->program,
                .plan = plan,
                .e = e,
                .written = ARENA_NEW(&scratch, uint8_t, n + 1),
                .place = ARENA_NEW(&scratch, int32_t, n + 1),
                .rooms = ARENA_NEW(&scratch, ExtentRoom, n + 1)};
    Status status = OK;
    if (s.written && s.place && s.rooms)
        status = search(&s, a, b);
    else
        status = status_fail(ERR_MEMORY, __FILE__, __LINE__, "out of memory for binding a plan");
    arena_finish(&scratch);
    return status;
}

Status executor_check_extents(const Executor *e, const Extents *x) {
    for (int i = 0; i < x->count; i++) {
        const ExtentRoom *r = &x->rooms[i];
        if (*r->value >= 0 && *r->value <= r->room) continue;
        const Program *p = e->program;
        const Plan *plan = plan_of(e);
        FAIL(ERR_FAILED,
             "plan %s: %s: extent %s of %s is %lld, and there is room for 0 to %lld (rank %d, step "
             "%lld)",
             program_name(p, plan->name), op_name(p, &plan->ops[r->op]), tensor_name(p, r->extent),
             tensor_name(p, r->tensor), (long long)*r->value, (long long)r->room, e->rank,
             (long long)e->step);
    }
    return OK;
}
