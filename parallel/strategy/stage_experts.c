// SPDX-License-Identifier: MIT
// Layers of experts on several stages. Each stage counts the choices of its own layers, and their
// parts of the loss, in rows of a table that has one for each layer; rows of other stages are zero.
// So the sum of all tables is, to the last bit, the table of one rank. What balances the experts is
// added to the loss from there, by all ranks alike. Read stage_share_choices() first.
#include "parallel/strategy/stage_internal.h"

#include <string.h>

void stage_find_choices(Stages *s) {
    int step = program_find_when(s->from, WHEN_EACH_STEP, 0);
    int choices = step == NONE ? NONE : program_find_result(s->from, step, RESULT_CHOICES);
    s->choices = (StageTied){.sum = choices, .ranks = choices == NONE ? 0 : s->holders[choices]};
}

// The first count of a stage, which may be that of any layer, begins the table.
Status stage_copy_count(StageClass *c, const Op *op) {
    Op count = *op;
    int32_t table = op_outputs(c->copy.plan, op)[0];
    if (!c->counted[table]) count.flags &= (uint8_t)~OP_ACCUMULATE;
    c->counted[table] = true;
    return program_copy_op(&c->copy, &count, op->shard);
}

// The tables of all local shards.
static Status take_tables(StageClass *c, int32_t **out, int *count) {
    const Program *from = c->s->from;
    *count = 0;
    *out = ARENA_NEW(&c->arena, int32_t, c->s->local_shards + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for the choices of %d shards", c->s->local_shards);
    for (int t = 0; t < from->tensor_count; t++)
        if (from->tensors[t].logical == from->tensors[c->s->choices.sum].logical)
            TRY(program_copy_tensor(&c->copy, t, &(*out)[(*count)++]));
    return OK;
}

static Status add_tables(StageClass *c, const int32_t *tables, int count) {
    return plan_add_op(c->copy.to, c->copy.out,
                       &(OpSpec){.name = "all_reduce.choices",
                                 .kind = KIND_ALL_REDUCE,
                                 .phase = PHASE_SYNC,
                                 .dtype = DTYPE_F64,
                                 .lane = c->choices.lane,
                                 .group = c->choices.group,
                                 .outputs = tables,
                                 .inputs = tables,
                                 .output_count = count,
                                 .input_count = count},
                       NULL);
}

// The stages that have such layers add up their tables; then all get the sum.
Status stage_share_choices(StageClass *c) {
    const Stages *s = c->s;
    const Plan *plan = c->copy.plan;
    uint64_t ranks = s->choices.ranks, all = ~UINT64_C(0) >> (64 - s->ranks);
    int32_t *tables;
    int count;
    if (s->choices.sum == NONE) return OK;
    TRY(take_tables(c, &tables, &count));
    if ((ranks & (ranks - 1)) && ranks >> c->rank & 1) TRY(add_tables(c, tables, count));
    if (ranks != all)
        TRY(stage_broadcast(c, "broadcast.choices", PHASE_SYNC, __builtin_ctzll(ranks), tables,
                            count));
    for (int i = 0; i < plan->op_count; i++)
        if (op_kind(s->from, &plan->ops[i]) == KIND_ADD_BALANCE)
            TRY(stage_copy_op(c, &plan->ops[i]));
    return OK;
}
