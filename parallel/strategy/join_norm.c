// SPDX-License-Identifier: MIT
// The norm of all gradients where each rank holds pieces of them: shards of ZeRO, or the experts
// that are its own. A rank knows the sums of squares of its blocks and leaves zeros in the place of
// the others; one all-reduce of the sums of all such gradients makes them whole. Where pieces end
// where blocks end, adding zeros does so to the last bit in any order, and all ranks then add all
// blocks as one rank would (docs/contract.md, 6).
#include "core/plan/mesh.h"
#include "parallel/strategy/strategy_internal.h"

static bool is_cut(const Join *j, int tensor) {
    int axis = mesh_expert_axis(j->p);
    return j->p->tensors[tensor].placement[axis].place == PLACE_SHARD;
}

Status join_norm(Join *j, Plan *plan, bool all) {
    int32_t *sums = ARENA_NEW(&j->arena, int32_t, plan->op_count + 1);
    int count = 0, last = NONE, group = j->group, lane = j->lane;
    uint16_t axes = j->axes;
    if (!all && j->options->experts > 1) {  // those that hold the same know it
        axes = mesh_expert_axes(j->p);
        group = program_find_group(j->p, "experts");
        lane = program_find_lane(j->p, "experts");
    }
    if (!sums) FAIL(ERR_MEMORY, "out of memory for the norm of the gradients");
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        if (op_kind(j->p, op) != KIND_SQUARE_SUMS) continue;
        if (!all && !is_cut(j, op_inputs(plan, op)[0])) continue;
        sums[count] = op_outputs(plan, op)[0];
        mesh_place(j->p->tensors[sums[count++]].placement, axes, PLACEMENT_SUM);
        last = i;
    }
    if (!count) return OK;
    return join_add(j, plan,
                    &(OpSpec){.name = "all_reduce.gradients.squares",
                              .kind = KIND_ALL_REDUCE,
                              .phase = PHASE_UPDATE,
                              .dtype = DTYPE_F64,
                              .lane = lane,
                              .group = group,
                              .outputs = sums,
                              .inputs = sums,
                              .output_count = count,
                              .input_count = count},
                    last);
}
