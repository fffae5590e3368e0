// SPDX-License-Identifier: MIT
// One walk over the plan of a step.
#include "parallel/strategy/traffic.h"

#include "core/plan/group.h"
#include "core/plan/placement_rules.h"
#include "parallel/strategy/collective_work.h"

double traffic_bytes(const Program *p, const Work *w, int rank) {
    if (work_is_message(w)) return work_is_send(w) ? (double)w->payload_bytes : 0;
    Collective c = collective_work_collective(p, w);
    int64_t bytes = dtype_bytes((Dtype)w->dtype);
    if (rank == NONE) return (double)collective_bytes_total(&c, bytes) / c.ranks;
    return (double)collective_bytes_sent(&c, group_position(p, w->group, rank), bytes);
}

static uint16_t axes_of(const Program *p, int group) {
    uint16_t axes = 0;
    for (int a = 0; a < p->axis_count; a++)
        if (placement_group_varies(p, group, a)) axes |= (uint16_t)(1 << a);
    return axes;
}

static Traffic *find(Traffic *list, int *count, const Traffic *like) {
    for (int i = 0; i < *count; i++)
        if (list[i].axes == like->axes && list[i].kind == like->kind &&
            list[i].phase == like->phase)
            return &list[i];
    list[*count] = (Traffic){.axes = like->axes, .kind = like->kind, .phase = like->phase};
    return &list[(*count)++];
}

Status traffic_of_step(const Program *p, int rank, Arena *a, Traffic **out, int *count) {
    int k = program_find_when(p, WHEN_EACH_STEP, 0), most = 0;
    const Plan *plan = k == NONE ? NULL : &p->plans[k];
    *count = 0;
    for (int i = 0; plan && i < plan->op_count; i++) most += op_communicates(p, &plan->ops[i]);
    *out = ARENA_NEW(a, Traffic, most + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for %d communications", most);
    for (int i = 0; plan && i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        if (!work_communicates(w)) continue;
        Traffic *t =
            find(*out, count,
                 &(Traffic){
                     .axes = axes_of(p, w->group), .kind = work_kind(w), .phase = (Phase)w->phase});
        t->count++;
        t->bytes += traffic_bytes(p, w, rank);
    }
    return OK;
}

Traffic traffic_along(const Traffic *list, int count, uint16_t axes) {
    Traffic sum = {.axes = axes};
    for (int i = 0; i < count; i++) {
        if (list[i].axes != axes) continue;
        sum.count += list[i].count;
        sum.bytes += list[i].bytes;
    }
    return sum;
}
