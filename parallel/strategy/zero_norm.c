// SPDX-License-Identifier: MIT
// The norm of all gradients where each rank holds shards of them. A shard ends where a block ends,
// so that a rank knows the sum of squares of whole blocks and leaves zeros in the place of the
// others; one all-reduce of the sums of all gradients makes them whole, which adding zeros does to
// the last bit in any order. All ranks then add all blocks as one rank would (docs/contract.md, 6).
#include "parallel/strategy/zero_internal.h"

Status zero_join_norm(Zero *z, Plan *plan) {
    Join *j = &z->join;
    int32_t *sums = ARENA_NEW(&j->arena, int32_t, plan->op_count + 1);
    int count = 0, last = NONE;
    if (!sums) FAIL(ERR_MEMORY, "out of memory for the norm of the gradients");
    for (int i = 0; i < plan->op_count; i++) {
        if (op_kind(j->p, &plan->ops[i]) != KIND_SQUARE_SUMS) continue;
        sums[count] = op_outputs(plan, &plan->ops[i])[0];
        j->p->tensors[sums[count++]].placement[j->axis] = PLACEMENT_SUM;
        last = i;
    }
    if (!count) return OK;
    return join_add(j, plan,
                    &(OpSpec){.name = "all_reduce.gradients.squares",
                              .kind = KIND_ALL_REDUCE,
                              .phase = PHASE_UPDATE,
                              .dtype = DTYPE_F64,
                              .lane = j->lane,
                              .group = j->group,
                              .outputs = sums,
                              .inputs = sums,
                              .output_count = count,
                              .input_count = count},
                    last);
}
