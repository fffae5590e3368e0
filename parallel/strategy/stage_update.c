// SPDX-License-Identifier: MIT
// The update of a pipeline. A stage updates what it holds. The norm of all gradients is added up in
// the order in which one rank does so (docs/contract.md, 6): a stage adds its blocks to the sum
// that the stage behind it sends; the sum of all is broadcast, and all ranks make the same of it.
// What has no layer, such as the count of updates, all do alike.
#include "parallel/strategy/stage_internal.h"

#include <stdio.h>
#include <string.h>

enum { TAG_NORM = 2 };

static uint64_t lowest(uint64_t ranks) { return ranks & (~ranks + 1); }

static int place_of(uint64_t rank) { return __builtin_ctzll(rank); }

static uint64_t held_by(const Stages *s, const Plan *plan, const Op *op, int operand) {
    return s->holders[op_outputs(plan, op)[operand]];
}

// --- weights that several stages use

// Do the uses, in the order of the layers, come in the order of the ranks, all but the first rank
// with one? Then a sum in the order of ranks is the sum in the order of layers. Two uses may be
// added either way.
static Status check_uses(const Stages *s, const Op *op, const uint64_t *uses, int count) {
    bool ordered = true;
    for (int i = 1; i < count; i++)
        ordered &= uses[i] > uses[i - 1] || (uses[i] == uses[i - 1] && uses[i] == uses[0]);
    if (ordered || count == 2) return OK;
    FAIL(ERR_USAGE,
         "%s: %d layers share this weight, and the ranks of their stages are not in the order of "
         "the layers, in which their gradients are added; put them on one rank with --stages",
         op_name(s->from, op), count);
}

// Operations `first` up to the one before *end sum the uses of one weight.
static Status find_tied(Stages *s, StagePlan *plan, int first, int *end) {
    const Plan *p = plan->plan;
    int32_t sum = op_outputs(p, &p->ops[first])[0];
    uint64_t all = 0, *uses = ARENA_NEW(&s->arena, uint64_t, 2 * p->op_count + 1);
    int count = 0;
    if (!uses) FAIL(ERR_MEMORY, "out of memory for a weight that several layers use");
    for (*end = first;
         *end < p->op_count && plan->ops[*end].update && op_outputs(p, &p->ops[*end])[0] == sum;
         ++*end)
        for (int k = 0; k < p->ops[*end].inputs; k++) {
            uses[count] = held_by(s, p, &p->ops[*end], p->ops[*end].outputs + k);
            all |= uses[count++];
        }
    s->holders[sum] = all;
    bool alone = lowest(all) == all;
    if (!alone) TRY(check_uses(s, &p->ops[first], uses, count));
    for (int i = first; i < *end; i++) {
        plan->ops[i].tied = alone ? NONE : s->tied_count;
        plan->ops[i].ranks = all;
    }
    if (!alone) s->tied[s->tied_count++] = (StageTied){.sum = sum, .ranks = all};
    return OK;
}

// --- who does what

static void note_holders(Stages *s, const Plan *plan, const Op *op, uint64_t ranks) {
    bool communicates = op_communicates(s->from, op);
    for (int k = 0; k < op->outputs + op->inputs && !communicates; k++)
        s->holders[op_outputs(plan, op)[k]] |= ranks;
    for (int k = 0; k < op->outputs && k < op->inputs && communicates; k++)
        s->holders[op_outputs(plan, op)[k]] |= held_by(s, plan, op, op->outputs + k);
}

static void compute_everywhere(Stages *s, const Plan *plan, const Op *op) {
    for (int k = 0; k < op->outputs; k++) s->everywhere[op_outputs(plan, op)[k]] = 1;
}

// What no layer has, such as the count of updates.
static bool is_everywhere(const Stages *s, const Op *op) {
    return s->work_layer[op->work] == NONE && !op_communicates(s->from, op);
}

// Squares are of a gradient, which one rank adds to the norm. A collective along another axis is
// each stage's own, over the operands that it has.
static uint64_t ranks_of(const Stages *s, const Plan *plan, const Op *op) {
    Kind kind = op_kind(s->from, op);
    uint64_t ranks = 0;
    if (is_everywhere(s, op)) return ~UINT64_C(0) >> (64 - s->ranks);
    for (int k = 0; k < op->outputs + op->inputs; k++) ranks |= held_by(s, plan, op, k);
    if (op_communicates(s->from, op)) return ranks;
    if (kind == KIND_SQUARE_SUMS || kind == KIND_ADD_BLOCKS)
        return lowest(held_by(s, plan, op, op->outputs));
    return held_by(s, plan, op, 0);
}

Status stage_plan_update(Stages *s, StagePlan *plan) {
    const Plan *p = plan->plan;
    s->tied = ARENA_NEW(&s->arena, StageTied, p->op_count + 1);
    if (!s->tied) FAIL(ERR_MEMORY, "out of memory for %d updates", p->op_count);
    for (int i = 0, end; i < p->op_count; i = end) {
        const Op *op = &p->ops[i];
        end = i + 1;
        if (!plan->ops[i].update || op_kind(s->from, op) == KIND_ADD_BALANCE) continue;
        bool sums = op->outputs && s->from->tensors[op_outputs(p, op)[0]].role == ROLE_GRADIENT;
        if (sums) {
            TRY(find_tied(s, plan, i, &end));
            continue;
        }
        plan->ops[i].ranks = ranks_of(s, p, op);
        if (is_everywhere(s, op)) compute_everywhere(s, p, op);
        note_holders(s, p, op, plan->ops[i].ranks);
    }
    return OK;
}

// --- a class's update

static bool is_mine(const StageClass *c, const StageOp *so) { return so->ranks >> c->rank & 1; }

// A rank's own uses; then all of them.
static Status add_tied(StageClass *c, int first) {
    const Plan *p = c->copy.plan;
    int number = c->plan->ops[first].tied;
    int32_t use = NONE, sum;
    int uses = 0;
    TRY(program_copy_tensor(&c->copy, c->s->tied[number].sum, &sum));
    for (int i = first; i < p->op_count && c->plan->ops[i].tied == number; i++) {
        const Op *op = &p->ops[i];
        int own = 0;
        for (int k = 0; k < op->inputs; k++) {
            if (!(held_by(c->s, p, op, op->outputs + k) >> c->rank & 1)) continue;
            use = op_inputs(p, op)[k];
            own++;
        }
        if (own == op->inputs && (i == first || uses > 1)) TRY(stage_copy_op(c, op));
        uses += own;
    }
    TRY(program_copy_tensor(&c->copy, use, &use));
    const OpSpec spec = {.name = op_name(c->s->from, &p->ops[first]),
                         .layer =
                             program_name(c->s->from, op_work(c->s->from, &p->ops[first])->layer),
                         .kind = KIND_ALL_REDUCE,
                         .phase = PHASE_UPDATE,
                         .lane = c->tied[number].lane,
                         .group = c->tied[number].group};
    return program_copy_collective(&c->copy, &spec, sum, uses > 1 ? sum : use);
}

// The sum so far goes to the rank that adds next.
static Status pass_norm(StageClass *c, int32_t sum, bool send, int other) {
    const int64_t tag = TAG_NORM;
    return plan_add_op(c->copy.to, c->copy.out,
                       &(OpSpec){.name = send ? "send.square_sum" : "receive.square_sum",
                                 .kind = send ? KIND_SEND : KIND_RECEIVE,
                                 .phase = PHASE_UPDATE,
                                 .dtype = DTYPE_F64,
                                 .lane = c->lane,
                                 .group = c->group,
                                 .peer = other - c->rank,
                                 .attrs = &tag,
                                 .outputs = &sum,
                                 .inputs = &sum,
                                 .output_count = !send,
                                 .input_count = send},
                       NULL);
}

// The operation of the norm before or behind operation i, or NONE.
static int neighbour(const StageClass *c, int i, int step) {
    const Plan *p = c->copy.plan;
    for (i += step; i >= 0 && i < p->op_count; i += step)
        if (c->plan->ops[i].update && op_kind(c->s->from, &p->ops[i]) == KIND_ADD_BLOCKS) return i;
    return NONE;
}

static Status add_to_norm(StageClass *c, int i) {
    const Op *op = &c->copy.plan->ops[i];
    int before = neighbour(c, i, -1), behind = neighbour(c, i, 1);
    int own = place_of(c->plan->ops[i].ranks);
    int from = before == NONE ? own : place_of(c->plan->ops[before].ranks);
    int to = behind == NONE ? own : place_of(c->plan->ops[behind].ranks);
    int32_t sum;
    TRY(program_copy_tensor(&c->copy, op_outputs(c->copy.plan, op)[0], &sum));
    if (own == c->rank) {
        if (from != own) TRY(pass_norm(c, sum, false, from));
        TRY(stage_copy_op(c, op));
        if (to != own) TRY(pass_norm(c, sum, true, to));
    }
    if (behind != NONE) return OK;
    return stage_broadcast(c, "broadcast.square_sum", PHASE_UPDATE, own, &sum, 1);
}

Status stage_emit_update(StageClass *c) {
    const Plan *p = c->copy.plan;
    for (int i = 0; i < p->op_count; i++) {
        const StageOp *so = &c->plan->ops[i];
        bool first = i == 0 || c->plan->ops[i - 1].tied != so->tied;
        if (!so->update || op_kind(c->s->from, &p->ops[i]) == KIND_ADD_BALANCE) continue;
        if (op_kind(c->s->from, &p->ops[i]) == KIND_ADD_BLOCKS) {
            TRY(add_to_norm(c, i));
        } else if (so->tied != NONE) {
            if (first && is_mine(c, so)) TRY(add_tied(c, i));
        } else if (is_mine(c, so)) {
            TRY(stage_copy_op(c, &p->ops[i]));
        }
    }
    return OK;
}
