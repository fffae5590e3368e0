// SPDX-License-Identifier: MIT
// The norm of all gradients where each rank holds pieces of them: shards of ZeRO, or the experts
// that are its own. A rank knows the sums of squares of its blocks and leaves zeros in the place of
// the others; one all-reduce of the sums of all such gradients makes them whole, and another one
// those of experts that ranks with other positions share, too. Where pieces end where blocks end,
// adding zeros does so to the last bit in any order, and all ranks then add all blocks as one rank
// would (docs/contract.md, 6).
#include "core/plan/mesh.h"
#include "parallel/strategy/strategy_internal.h"

static bool is_cut(const Join *j, int tensor) {
    int axis = mesh_expert_axis(j->p);
    return j->p->tensors[tensor].placement[axis].place == PLACE_SHARD;
}

// Those that add up some sums, on a lane.
typedef struct {
    uint16_t axes;
    int group, lane;
} Adders;

// The sums of squares of all gradients; or of those that are cut among experts, or of the others.
typedef enum { ALL_SQUARES, EXPERT_SQUARES, OTHER_SQUARES } Squares;

static Status add_up(Join *j, Plan *plan, Squares which, const Adders *of) {
    int32_t *sums = ARENA_NEW(&j->arena, int32_t, plan->op_count + 1);
    int count = 0, last = NONE;
    if (!sums) FAIL(ERR_MEMORY, "out of memory for the norm of the gradients");
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        if (op_kind(j->p, op) != KIND_SQUARE_SUMS) continue;
        bool cut = is_cut(j, op_inputs(plan, op)[0]);
        if (which != ALL_SQUARES && cut != (which == EXPERT_SQUARES)) continue;
        sums[count] = op_outputs(plan, op)[0];
        mesh_place(j->p->tensors[sums[count++]].placement, of->axes, PLACEMENT_SUM);
        last = i;
    }
    if (!count) return OK;
    return join_add(j, plan,
                    &(OpSpec){.name = which == EXPERT_SQUARES ? "all_reduce.experts.squares"
                                                              : "all_reduce.gradients.squares",
                              .kind = KIND_ALL_REDUCE,
                              .phase = PHASE_UPDATE,
                              .dtype = DTYPE_F64,
                              .lane = of->lane,
                              .group = of->group,
                              .outputs = sums,
                              .inputs = sums,
                              .output_count = count,
                              .input_count = count},
                    last);
}

// All that have shards of experts whose ranks have other positions, too.
static Status find_wide(Join *j, uint16_t axes, Adders *out) {
    int group = program_find_group(j->p, "experts");
    *out = (Adders){axes, group, program_find_lane(j->p, "experts")};
    if (j->p->groups[group].axes == axes) return OK;
    TRY(program_add_group(j->p, "replicas", axes, &out->group));
    return program_add_lane(j->p, "norm", LANE_COMMUNICATION, out->group, &out->lane);
}

Status join_norm(Join *j, Plan *plan, bool all) {
    const Adders data = {j->axes, j->group, j->lane};
    uint16_t experts = mesh_expert_axes(j->p);
    Adders sharers;
    if (all && !(experts & ~j->axes)) return add_up(j, plan, ALL_SQUARES, &data);
    if (all) {
        TRY(find_wide(j, (uint16_t)(j->axes | experts), &sharers));
        TRY(add_up(j, plan, EXPERT_SQUARES, &sharers));
        return add_up(j, plan, OTHER_SQUARES, &data);
    }
    if (j->options->experts < 2) return OK;  // each has them all
    sharers =
        (Adders){experts, program_find_group(j->p, "experts"), program_find_lane(j->p, "experts")};
    return add_up(j, plan, EXPERT_SQUARES, &sharers);
}
