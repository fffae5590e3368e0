// SPDX-License-Identifier: MIT
// How every tensor lies, operation after operation: the rules of the kinds (placement_rules.h) say
// what an operation makes of placements; here is what holds for all of them. A name whose memory
// was written under another name has lost its value; a view that was never written itself has that
// of its memory. What differs from rank to rank stays away from what is replicated.
#include "core/plan/check_internal.h"
#include "core/plan/piece.h"
#include "core/plan/placement_rules.h"

#include <string.h>

static Status (*const rules[KIND_COUNT])(const Along *a) = {
#define X(constant, name, class, rule, flops, attributes, operands) placement_rule_##rule,
    KIND_LIST(X)
#undef X
};

Status placement_state_init(PlacementState *s, const Program *p, Arena *scratch) {
    s->now = ARENA_NEW(scratch, Placement, (p->tensor_count + 1) * AXES);
    s->holder = ARENA_NEW(scratch, int32_t, p->tensor_count + 1);
    s->written = ARENA_NEW(scratch, uint8_t, p->tensor_count + 1);
    s->judged = ARENA_NEW(scratch, PlacementJudged, p->work_count + 1);
    s->arena = scratch;
    if (!s->now || !s->holder || !s->written || !s->judged)
        FAIL(ERR_MEMORY, "out of memory for checking a plan");
    for (int t = 0; t < p->tensor_count; t++) {
        memcpy(&s->now[t * AXES], p->tensors[t].placement, sizeof p->tensors[t].placement);
        s->holder[t] = NONE;
        s->written[t] = p->tensors[t].alias == NONE && outlives_plan(p, t);
    }
    return OK;
}

// --- names of one memory

bool placement_fits_view(Placement how, const Tensor *of, const Tensor *view) {
    if (how.place != PLACE_SHARD || how.cut == CUT_FLAT || check_same_shape(of, view)) return true;
    if (how.dim == 0 && of->bytes == view->bytes && tensor_room(of) == tensor_room(view))
        return true;  // samples are cut, whether as (B,T,C) or as B * T rows of C
    for (int d = 0; d < how.dim; d++)
        if (d >= view->dims || of->shape[d] != view->shape[d]) return false;
    if (how.dim < view->dims && of->shape[how.dim] == view->shape[how.dim]) return true;
    return how.cut == CUT_CONTIGUOUS && view->dims == how.dim + 1;
}

// A share inside the whole, whose memory was last written as `holder`: the share of a whole value,
// or what was written as a share that is cut alike; *judged: nothing else is to be asked. And what
// is whole is not there when only a share of it was written.
static Status read_share(const Program *p, const Plan *plan, const Op *op, int t, int holder,
                         PlacementState *s, bool *judged) {
    const Tensor *tensor = &p->tensors[t], *of = &p->tensors[holder];
    uint16_t axes = piece_share_axes(p, tensor), written = piece_share_axes(p, of);
    int axis = axes ? __builtin_ctz(axes) : NONE;  // along the others it is cut alike
    *judged = false;
    if (axes == written && (!axes || placement_equal(tensor->placement[axis], of->placement[axis])))
        return OK;
    if (!axes || written)
        FAIL(ERR_PLAN,
             "plan %s: %s: reads %s, but since this rank wrote %s, a share, the memory has no more",
             program_name(p, plan->name), op_name(p, op), tensor_name(p, t),
             tensor_name(p, holder));
    memcpy(&s->now[t * AXES], &s->now[holder * AXES], AXES * sizeof *s->now);
    for (int a = 0; a < p->axis_count; a++) {
        Placement *now = &s->now[t * AXES + a];
        char text[PLACEMENT_TEXT];
        if (!(axes >> a & 1)) continue;
        if (now->place != PLACE_REPLICATE)
            FAIL(ERR_PLAN, "plan %s: %s: %s is a share of %s, which is %s along %s, not R",
                 program_name(p, plan->name), op_name(p, op), tensor_name(p, t),
                 tensor_name(p, holder), placement_text(*now, text), p->axes[a].name);
        *now = tensor->placement[a];
    }
    *judged = true;
    return OK;
}

// Before an operation reads a name: its placement is that of its memory's last value.
static Status read_name(const Program *p, const Plan *plan, const Op *op, int t,
                        PlacementState *s) {
    int holder = s->holder[program_root(p, t)];
    bool judged;
    if (holder == NONE || holder == t) return OK;
    TRY(read_share(p, plan, op, t, holder, s, &judged));
    if (judged) return OK;
    if (s->written[t])
        FAIL(ERR_PLAN, "plan %s: %s: reads %s, whose memory has been written as %s since",
             program_name(p, plan->name), op_name(p, op), tensor_name(p, t),
             tensor_name(p, holder));
    for (int a = 0; a < p->axis_count; a++) {
        Placement how = s->now[holder * AXES + a];
        if (p->axes[a].size < 2) continue;
        if (!placement_fits_view(how, &p->tensors[holder], &p->tensors[t])) {
            char text[PLACEMENT_TEXT];
            FAIL(ERR_PLAN,
                 "plan %s: %s: %s is a view of %s, which is %s along %s, in another shape",
                 program_name(p, plan->name), op_name(p, op), tensor_name(p, t),
                 tensor_name(p, holder), placement_text(how, text), p->axes[a].name);
        }
        s->now[t * AXES + a] = how;
    }
    return OK;
}

static bool updates(const Program *p, const Op *op) {
    return rules[op_kind(p, op)] == placement_rule_update;
}

static Status read_names(const Program *p, const Plan *plan, const Op *op, PlacementState *s) {
    for (int i = 0; i < op->inputs; i++) TRY(read_name(p, plan, op, op_inputs(plan, op)[i], s));
    for (int o = 0; o < op->outputs; o++)
        if (updates(p, op) || op->flags & OP_ACCUMULATE)
            TRY(read_name(p, plan, op, op_outputs(plan, op)[o], s));
    return OK;
}

static void write_names(const Program *p, const Plan *plan, const Op *op, PlacementState *s) {
    for (int o = 0; o < op->outputs; o++) {
        int t = op_outputs(plan, op)[o];
        s->holder[program_root(p, t)] = t;
        s->written[t] = 1;
    }
}

// --- what is each rank's own

static int find_input(const Along *a, PlaceKind place) {
    for (int i = 0; i < a->op->inputs; i++)
        if (along_input(a, i).place == place) return i;
    return NONE;
}

// A parameter that is updated with input `own` lies as that does; or all have been given a copy of
// what one coordinate holds, which is its own again.
static Status update_own(const Along *a, int o, int own) {
    int tensor = op_outputs(a->plan, a->op)[o];
    Placement is = along_input(a, own), *now = &a->state[tensor * AXES + a->axis];
    bool was_given = now->place == PLACE_REPLICATE && is.place == PLACE_ONLY &&
                     placement_equal(a->p->tensors[tensor].placement[a->axis], is);
    if (!was_given && !placement_equal(*now, is))
        return along_refuse_input(a, own, "the parameter does not lie alike");
    *now = is;
    return OK;
}

// A computation with something that only we have, or that differs: what comes out is so too. What
// goes in besides is whole here: the same everywhere, or of the same kind.
static Status judge_own(const Along *a, int own) {
    Placement is = along_input(a, own);
    for (int i = 0; i < a->op->inputs; i++) {
        Placement x = along_input(a, i);
        bool whole = x.place == PLACE_REPLICATE || x.place == PLACE_DIFFERS;
        if (whole || placement_equal(x, is)) continue;
        return along_refuse_input(
            a, own,
            is.place == PLACE_DIFFERS
                ? "what differs from rank to rank does not go with shards and parts of sums"
                : "held by one coordinate alone, it does not go with shards and parts of sums");
    }
    for (int o = 0; o < a->op->outputs && !updates(a->p, a->op); o++) TRY(along_write(a, o, is));
    for (int o = 0; o < a->op->outputs && updates(a->p, a->op); o++) TRY(update_own(a, o, own));
    return OK;
}

// Rules that know what differs beside what is cut: a first row; statistics of rows, and with them
// gradients of parameters, which are parts of a sum; how many rows chose an expert; what a piece of
// a gradient is sent as.
static bool differs_by_pieces(const Along *a) {
    switch (op_kind(a->p, a->op)) {
    case KIND_FROM_CHUNKS:
    case KIND_ORTHOGONALISE:
    case KIND_LOW_RANK_WHOLE:
    case KIND_SPREAD:
    case KIND_BATCH_NORM_BACKWARD_WEIGHT: return true;
    case KIND_LOW_RANK_LEFT:
    case KIND_LOW_RANK_RIGHT:
    case KIND_LOW_RANK_REST:
    case KIND_DROPOUT:
    case KIND_DROPOUT_BACKWARD:
    case KIND_ROUTE_BACKWARD:
    case KIND_BALANCE:
    case KIND_COUNT_CHOICES:
    case KIND_BATCH_NORM:
    case KIND_BATCH_NORM_REDUCE:
    case KIND_BATCH_NORM_BACKWARD_INPUT: return along_input(a, 0).place == PLACE_SHARD;
    default: return false;
    }
}

Status placement_judge(const Along *a) {
    Kind kind = op_kind(a->p, a->op);
    if (kind_class(kind) != CLASS_COMPUTE) return rules[kind](a);
    int only = find_input(a, PLACE_ONLY), differs = find_input(a, PLACE_DIFFERS);
    if (only != NONE) return judge_own(a, only);
    if (differs != NONE && !differs_by_pieces(a)) return judge_own(a, differs);
    return rules[kind](a);
}

// A guard that ranks see differently would let what is replicated diverge.
static Status check_guard_placement(const Along *a) {
    if (a->op->guard == NONE) return OK;
    Placement guard = a->state[a->op->guard * AXES + a->axis];
    if (guard.place == PLACE_REPLICATE) return OK;
    char text[PLACEMENT_TEXT];
    for (int o = 0; o < a->op->outputs; o++)
        if (along_output(a, o).place == PLACE_REPLICATE)
            FAIL(ERR_PLAN,
                 "plan %s: %s: its guard %s is %s along %s, but %s is R: ranks would skip "
                 "it or not, each by itself",
                 program_name(a->p, a->plan->name), op_name(a->p, a->op),
                 tensor_name(a->p, a->op->guard), placement_text(guard, text),
                 a->p->axes[a->axis].name, tensor_name(a->p, op_outputs(a->plan, a->op)[o]));
    return OK;
}

// Along an axis of one rank every placement is the same thing.
static Status judge(const Program *p, const Plan *plan, const Op *op, PlacementState *s) {
    for (int axis = 0; axis < p->axis_count; axis++) {
        Along a = {.p = p, .plan = plan, .op = op, .axis = axis, .state = s->now};
        if (p->axes[axis].size < 2) continue;
        TRY(placement_judge(&a));
        TRY(check_guard_placement(&a));
    }
    return OK;
}

// --- what repeats

// Does the answer follow from the operation alone? Rules of chunks look for the collective that
// these travel in, and a guard lies in its own way.
static bool stands_alone(const Program *p, const Op *op) {
    Kind kind = op_kind(p, op);
    return op->guard == NONE && kind != KIND_TO_CHUNKS && kind != KIND_FROM_CHUNKS;
}

// Is an output of both the same input, if it is one?
static bool same_in_place(const Plan *plan, const Op *a, const Op *b) {
    for (int o = 0; o < a->outputs; o++)
        for (int i = 0; i < a->inputs; i++)
            if ((op_outputs(plan, a)[o] == op_inputs(plan, a)[i]) !=
                (op_outputs(plan, b)[o] == op_inputs(plan, b)[i]))
                return false;
    return true;
}

// Do operands lie as those of the operation before did, so that a rule, which knows only these,
// their tensors and the work, says the same?
static bool lie_as_before(const Program *p, const Plan *plan, const Op *op,
                          const PlacementState *s) {
    const Placement *before = s->judged[op->work].before;
    size_t bytes = (size_t)p->axis_count * sizeof *before;
    for (int k = 0; k < op->outputs + op->inputs && before; k++)
        if (memcmp(&before[k * AXES], &s->now[op_outputs(plan, op)[k] * AXES], bytes) != 0)
            return false;
    return before != NULL;
}

static void take_operands(Placement *out, const Plan *plan, const Op *op, int count,
                          const PlacementState *s) {
    for (int k = 0; k < count; k++)
        memcpy(&out[k * AXES], &s->now[op_outputs(plan, op)[k] * AXES], AXES * sizeof *out);
}

static Status judge_and_remember(const Program *p, const Plan *plan, const Op *op,
                                 PlacementState *s) {
    PlacementJudged *j = &s->judged[op->work];
    int operands = op->outputs + op->inputs;
    j->before = ARENA_NEW(s->arena, Placement, operands * AXES + 1);
    j->after = ARENA_NEW(s->arena, Placement, op->outputs * AXES + 1);
    if (!j->before || !j->after) FAIL(ERR_MEMORY, "out of memory for checking a plan");
    take_operands(j->before, plan, op, operands, s);
    TRY(judge(p, plan, op, s));
    take_operands(j->after, plan, op, op->outputs, s);
    return OK;
}

Status check_placements(const Program *p, const Plan *plan, const Op *op, const Op *like,
                        PlacementState *s) {
    if (op_kind(p, op) == KIND_FUSED) {
        for (int i = 0; i < op->member_count; i++)
            TRY(check_placements(p, plan, &plan->members[op->member_first + i], NULL, s));
        return OK;
    }
    TRY(read_names(p, plan, op, s));
    if (op->guard != NONE) TRY(read_name(p, plan, op, op->guard, s));
    if (!stands_alone(p, op))
        TRY(judge(p, plan, op, s));
    else if (!like || !same_in_place(plan, like, op) || !lie_as_before(p, plan, op, s))
        TRY(judge_and_remember(p, plan, op, s));
    else
        for (int o = 0; o < op->outputs; o++)
            memcpy(&s->now[op_outputs(plan, op)[o] * AXES], &s->judged[op->work].after[o * AXES],
                   AXES * sizeof *s->now);
    write_names(p, plan, op, s);
    return OK;
}

// --- at the end of a plan

static Status check_left(const Program *p, const Plan *plan, int t, const PlacementState *s) {
    char is[PLACEMENT_TEXT], declared[PLACEMENT_TEXT];
    for (int a = 0; a < p->axis_count; a++) {
        Placement now = s->now[t * AXES + a], want = p->tensors[t].placement[a];
        if (p->axes[a].size < 2 || placement_equal(now, want)) continue;
        if (placement_is_partial(want)) continue;  // given anew, by whoever drives the plan
        if (now.place == PLACE_REPLICATE && want.place == PLACE_ONLY) continue;  // it has it, too
        FAIL(ERR_PLAN, "plan %s: leaves %s as %s along %s, but it is declared %s",
             program_name(p, plan->name), tensor_name(p, t), placement_text(now, is),
             p->axes[a].name, placement_text(want, declared));
    }
    return OK;
}

Status check_placements_left(const Program *p, const Plan *plan, const PlacementState *s) {
    for (int t = 0; t < p->tensor_count; t++) {
        if (!outlives_plan(p, t)) continue;
        int holder = s->holder[program_root(p, t)];
        if (holder == t) TRY(check_left(p, plan, t, s));
        if (holder == NONE || holder == t || p->tensors[t].alias != NONE) continue;
        if (piece_share_axes(p, &p->tensors[holder]))
            FAIL(ERR_PLAN, "plan %s: leaves of %s only %s, this rank's share",
                 program_name(p, plan->name), tensor_name(p, t), tensor_name(p, holder));
        if (!outlives_plan(p, holder))
            FAIL(ERR_PLAN, "plan %s: leaves in the memory of %s what was written as %s",
                 program_name(p, plan->name), tensor_name(p, t), tensor_name(p, holder));
    }
    return OK;
}

// --- what is sent

Status check_note_send(const Program *p, int k, const Op *op, const PlacementState *s,
                       ClassSends *out) {
    const Plan *plan = &p->plans[k];
    if (!out->of[k]) out->of[k] = ARENA_NEW(&out->arena, Placement *, plan->op_count + 1);
    Placement *how = ARENA_NEW(&out->arena, Placement, op->inputs * AXES + 1);
    if (!out->of[k] || !how) FAIL(ERR_MEMORY, "out of memory for checking %s", op_name(p, op));
    for (int i = 0; i < op->inputs; i++)
        memcpy(&how[i * AXES], &s->now[op_inputs(plan, op)[i] * AXES], AXES * sizeof *how);
    out->of[k][op - plan->ops] = how;
    return OK;
}
