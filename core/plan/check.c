// SPDX-License-Identifier: MIT
// plan_check(): one program at a time, operation by operation in plan order (order, operands,
// placements: one file each), then all ranks together (check_ranks.c).
#include "core/plan/check.h"

#include "core/base/arena.h"
#include "core/base/team.h"
#include "core/plan/check_internal.h"
#include "core/plan/group.h"
#include "core/plan/order.h"

#include <stdlib.h>
#include <string.h>

#define PLACE "plan %s: %s: "
#define PLACE_ARGS program_name(p, plan->name), op_name(p, op)

// Which tensors need no writer before they are read: what outlives a step, and scalars that no
// operation writes, which are the host's. [tensor_count]; NULL: out of memory.
static uint8_t *find_ready(const Program *p, Arena *a) {
    uint8_t *ready = ARENA_NEW(a, uint8_t, p->tensor_count + 1);
    for (int t = 0; ready && t < p->tensor_count; t++) {
        Role r = (Role)p->tensors[t].role;
        ready[t] = role_persists(r) || r == ROLE_SCALAR;
    }
    for (int k = 0; ready && k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            for (int o = 0; o < p->plans[k].ops[i].outputs; o++) {
                int tensor = op_outputs(&p->plans[k], &p->plans[k].ops[i])[o];
                if (p->tensors[tensor].role == ROLE_SCALAR) ready[tensor] = 0;
            }
    return ready;
}

// The first rank of a class.
static int first_rank(const ProgramSet *set, int class) {
    int rank = 0;
    if (!set->classes) return rank;
    const RankClass *c = &set->classes[class];
    for (int a = 0; a < set->programs[class].axis_count; a++)
        if (c->axes >> a & 1) rank += c->first[a] * set->programs[class].axes[a].stride;
    return rank;
}

// Does this operation read its inputs at any rank of the class? A broadcast and a scatter do at
// their root, whose place follows from that of a member. Without its set a program could be of any.
static bool reads_inputs(const ProgramSet *set, int class, const Program *p, const Op *op) {
    const Work *w = op_work(p, op);
    if (w->kind != KIND_BROADCAST && w->kind != KIND_SCATTER) return true;
    if (!set) return false;
    if (w->peer < 0 || w->peer >= group_size(p, w->group)) return true;
    return program_set_class(set, group_member(p, w->group, first_rank(set, class), w->peer)) ==
           class;
}

// Rows in use are read whichever side an operand is on.
static Status check_extents(const Program *p, const Plan *plan, const Op *op,
                            const uint8_t *written, const uint8_t *ready) {
    for (int i = 0; i < op->outputs + op->inputs; i++) {
        int tensor = op_outputs(plan, op)[i], extent = p->tensors[tensor].extent;
        if (extent != NONE && !written[extent] && !ready[extent])
            FAIL(ERR_PLAN, PLACE "%s has %s rows in use, which no operation wrote before",
                 PLACE_ARGS, tensor_name(p, tensor), tensor_name(p, extent));
    }
    for (int i = 0; i < op->member_count; i++)
        TRY(check_extents(p, plan, &plan->members[op->member_first + i], written, ready));
    return OK;
}

static Status check_reads(const Program *p, const Plan *plan, const Op *op, const uint8_t *written,
                          const uint8_t *ready, bool reads) {
    for (int i = 0; i < op->inputs && reads; i++) {
        int tensor = op_inputs(plan, op)[i];
        int root = program_root(p, tensor);
        if (!written[root] && !ready[root])
            FAIL(ERR_PLAN, PLACE "reads %s before any operation wrote it", PLACE_ARGS,
                 tensor_name(p, tensor));
    }
    for (int i = 0; i < op->outputs; i++) {
        int root = program_root(p, op_outputs(plan, op)[i]);
        Role r = (Role)p->tensors[root].role;
        bool added_to = op->flags & OP_ACCUMULATE && (r == ROLE_GRADIENT || r == ROLE_SCALAR);
        if (added_to && !written[root])
            FAIL(ERR_PLAN, PLACE "adds to %s before any operation wrote it", PLACE_ARGS,
                 tensor_name(p, root));
    }
    return OK;
}

// A guard that ranks could see differently would leave some of them waiting.
static Status check_guard(const Program *p, const Plan *plan, const Op *op, const int32_t *writer,
                          const uint8_t *ready) {
    if (op->guard == NONE) return OK;
    const Tensor *guard = &p->tensors[op->guard];
    if (guard->role != ROLE_SCALAR)
        FAIL(ERR_PLAN, PLACE "its guard %s is not a scalar", PLACE_ARGS, tensor_name(p, op->guard));
    if (guard->dtype != DTYPE_I64 && guard->dtype != DTYPE_F64)
        FAIL(ERR_PLAN, PLACE "its guard %s is %s, expected i64 or f64", PLACE_ARGS,
             tensor_name(p, op->guard), dtype_name((Dtype)guard->dtype));
    int root = program_root(p, op->guard), by = writer[root];
    if (by == NONE && !ready[root])
        FAIL(ERR_PLAN, PLACE "reads its guard %s before any operation wrote it", PLACE_ARGS,
             tensor_name(p, op->guard));
    const Work *w = op_work(p, op);
    if (!work_communicates(w)) return OK;
    const Work *source = by == NONE ? NULL : op_work(p, &plan->ops[by]);
    bool agreed = source && source->group == w->group &&
                  (source->kind == KIND_ALL_REDUCE || source->kind == KIND_ALL_GATHER ||
                   source->kind == KIND_BROADCAST);
    if (!agreed)
        FAIL(
            ERR_PLAN,
            PLACE
            "its guard %s is not the result of a collective over group %s, so ranks could disagree",
            PLACE_ARGS, tensor_name(p, op->guard), program_name(p, p->groups[w->group].name));
    return OK;
}

enum { WRITTEN = 1, UNREAD = 2 };  // what a plan does with a tensor

static void mark(uint8_t *touched, const Program *p, const Plan *plan, const Op *op) {
    for (int i = 0; i < op->inputs; i++)
        touched[program_root(p, op_inputs(plan, op)[i])] &= (uint8_t)~UNREAD;
    for (int i = 0; i < op->outputs; i++)
        touched[program_root(p, op_outputs(plan, op)[i])] = WRITTEN | UNREAD;
}

// What nothing in the plan reads again, and what the run reads.
static bool is_result(const Program *p, int tensor, uint8_t touched) {
    return touched & UNREAD || (touched & WRITTEN && p->tensors[tensor].result);
}

// --- what is computed again

// The same value: one tensor, or another piece for the same slice of its logical tensor.
static bool same_value(const Program *p, int tensor, int other) {
    const Tensor *t = &p->tensors[tensor], *u = &p->tensors[other];
    return t->logical == u->logical && t->shard == u->shard && t->micro_batch == u->micro_batch;
}

static bool computes_again(const Program *p, const Plan *plan, const Op *again, const Op *op) {
    const Work *w = op_work(p, again), *v = op_work(p, op);
    if (w->kind != v->kind || again->outputs != op->outputs || again->inputs != op->inputs)
        return false;
    for (int i = 0; i < w->attr_count; i++)
        if (work_attr(p, w, i) != work_attr(p, v, i)) return false;
    for (int i = 0; i < op->outputs + op->inputs; i++)
        if (!same_value(p, op_outputs(plan, again)[i], op_outputs(plan, op)[i])) return false;
    for (int o = 0; o < op->outputs; o++)
        if (op_outputs(plan, again)[o] == op_outputs(plan, op)[o]) return false;
    return true;
}

// Operations by the logical tensor of their first output, the latest first.
typedef struct {
    int32_t *last;    // [logical] or NONE
    int32_t *before;  // [operation] or NONE
} Makers;

static Status makers_init(Makers *m, Arena *a, const Program *p, const Plan *plan) {
    *m = (Makers){ARENA_NEW(a, int32_t, p->logical_count + 1),
                  ARENA_NEW(a, int32_t, plan->op_count + 1)};
    if (!m->last || !m->before) FAIL(ERR_MEMORY, "out of memory for checking a plan");
    for (int l = 0; l < p->logical_count; l++) m->last[l] = NONE;
    return OK;
}

static void makers_add(Makers *m, const Program *p, const Plan *plan, int i) {
    if (!plan->ops[i].outputs) return;
    int logical = p->tensors[op_outputs(plan, &plan->ops[i])[0]].logical;
    m->before[i] = m->last[logical];
    m->last[logical] = i;
}

static Status check_recompute(const Program *p, const Plan *plan, int i, const Makers *m) {
    const Op *op = &plan->ops[i];
    if (!(op->flags & OP_RECOMPUTE)) return OK;
    int k = op->outputs ? m->last[p->tensors[op_outputs(plan, op)[0]].logical] : NONE;
    for (; k != NONE; k = m->before[k])
        if (computes_again(p, plan, op, &plan->ops[k])) return OK;
    FAIL(ERR_PLAN, PLACE "flags=recompute, but no %s before it made %s from the same inputs",
         PLACE_ARGS, kind_name(op_kind(p, op)),
         op->outputs ? tensor_name(p, op_outputs(plan, op)[0]) : "anything");
}

// A scalar that a plan writes and does not read again is a result, such as the loss: it must be the
// same on all ranks, or each would report its own. Nor does a plan make a part of a sum for nobody:
// it was meant to be reduced.
static Status check_result(const Program *p, const Plan *plan, int t, const PlacementState *s) {
    bool scalar = p->tensors[t].role == ROLE_SCALAR;
    char text[PLACEMENT_TEXT];
    for (int a = 0; a < p->axis_count; a++) {
        Placement how = s->now[t * AXES + a];
        if (p->axes[a].size < 2 || how.place == PLACE_REPLICATE) continue;
        if (!scalar && !placement_is_partial(how)) continue;
        FAIL(ERR_PLAN, "plan %s: its result %s is %s along %s, so that %s",
             program_name(p, plan->name), tensor_name(p, t), placement_text(how, text),
             p->axes[a].name,
             placement_is_partial(how)
                 ? "every rank would have a part of it; all_reduce or all_gather it"
                 : "not every rank would have it; all_reduce, all_gather or broadcast it");
    }
    return OK;
}

static Status check_results(const Program *p, const Plan *plan, const PlacementState *s,
                            Arena *scratch) {
    uint8_t *touched = ARENA_NEW(scratch, uint8_t, p->tensor_count + 1);
    if (!touched) FAIL(ERR_MEMORY, "out of memory for checking a plan");
    for (int i = 0; i < plan->op_count; i++) mark(touched, p, plan, &plan->ops[i]);
    for (int t = 0; t < p->tensor_count; t++)
        if (s->holder[program_root(p, t)] == t && is_result(p, t, touched[program_root(p, t)]) &&
            !outlives_plan(p, t))
            TRY(check_result(p, plan, t, s));
    return check_placements_left(p, plan, s);
}

// --- what repeats

// Are these operands alike in all that check_operands() asks for?
static bool same_operand(const Program *p, int one, int other) {
    const Tensor *a = &p->tensors[one], *b = &p->tensors[other];
    if (one == other) return true;
    for (int k = 0; k < p->axis_count; k++)
        if (!placement_equal(a->placement[k], b->placement[k])) return false;
    return a->logical == b->logical && a->dtype == b->dtype && a->dims == b->dims &&
           a->role == b->role && !memcmp(a->shape, b->shape, sizeof a->shape) &&
           a->extent_times == b->extent_times && a->source == b->source && a->result == b->result &&
           a->shard == b->shard && (a->alias == NONE) == (b->alias == NONE);
}

// Are rows in use counted by one scalar each, which all operands of the operation have?
static bool same_extents(const Program *p, const Plan *plan, const Op *a, const Op *b) {
    int one = NONE, other = NONE;
    for (int k = 0; k < a->outputs + a->inputs; k++) {
        int e = p->tensors[op_outputs(plan, a)[k]].extent;
        int f = p->tensors[op_outputs(plan, b)[k]].extent;
        if ((e == NONE) != (f == NONE)) return false;
        if (e != NONE && one != NONE && (e != one || f != other)) return false;
        if (e != NONE) {
            one = e;
            other = f;
        }
    }
    return true;
}

// Would check_operands() say the same of an operation as of one before it that does the same work?
// Micro-batches are alike.
static bool same_operands(const Program *p, const Plan *plan, int before, const Op *op) {
    if (before == NONE) return false;
    const Op *a = &plan->ops[before];
    if (a->outputs != op->outputs || a->inputs != op->inputs || a->lane != op->lane ||
        a->flags != op->flags || a->shard != op->shard || a->member_count || op->member_count)
        return false;
    for (int k = 0; k < op->outputs + op->inputs; k++)
        if (!same_operand(p, op_outputs(plan, a)[k], op_outputs(plan, op)[k])) return false;
    return same_extents(p, plan, a, op);
}

static Status check_plan(const ProgramSet *set, int class, const Program *p, int k,
                         const uint8_t *ready, Arena *scratch, ClassSends *sends) {
    const Plan *plan = &p->plans[k];
    uint8_t *written = ARENA_NEW(scratch, uint8_t, p->tensor_count + 1);
    int32_t *writer = ARENA_NEW(scratch, int32_t, p->tensor_count + 1);
    int32_t *op_at = ARENA_NEW(scratch, int32_t, plan->op_count + 1);
    PlacementState state;
    Makers makers;
    int32_t *checked = ARENA_NEW(scratch, int32_t, p->work_count + 1);
    if (!written || !writer || !op_at || !checked)
        FAIL(ERR_MEMORY, "out of memory for checking a plan");
    TRY(makers_init(&makers, scratch, p, plan));
    TRY(placement_state_init(&state, p, scratch));
    TRY(plan_order_find(op_at, scratch, p, plan));
    for (int t = 0; t < p->tensor_count; t++) writer[t] = NONE;
    for (int w = 0; w < p->work_count; w++) checked[w] = NONE;
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const Op *like = NULL;
        if (same_operands(p, plan, checked[op->work], op))
            like = &plan->ops[checked[op->work]];
        else
            TRY(check_operands(p, plan, op));
        checked[op->work] = i;
        TRY(check_reads(p, plan, op, written, ready, reads_inputs(set, class, p, op)));
        TRY(check_extents(p, plan, op, written, ready));
        TRY(check_guard(p, plan, op, writer, ready));
        TRY(check_pool_index(p, plan, op, writer));
        TRY(check_recompute(p, plan, i, &makers));
        makers_add(&makers, p, plan, i);
        TRY(check_placements(p, plan, op, like, &state));
        if (work_is_send(op_work(p, op))) TRY(check_note_send(p, k, op, &state, sends));
        for (int o = 0; o < op->outputs; o++) {
            int root = program_root(p, op_outputs(plan, op)[o]);
            written[root] = 1;
            writer[root] = i;
        }
    }
    return check_results(p, plan, &state, scratch);
}

// Class `class` of a set, or with set NULL a program by itself.
static Status check_program(const ProgramSet *set, int class, const Program *p, Arena *scratch,
                            ClassSends *sends) {
    TRY(check_views(p));
    TRY(check_communication_lanes(p));
    TRY(check_pieces(p));
    TRY(check_scalars(p));
    const uint8_t *ready = find_ready(p, scratch);
    if (!ready) FAIL(ERR_MEMORY, "out of memory for checking a program");
    for (int k = 0; k < p->plan_count; k++)
        TRY(check_plan(set, class, p, k, ready, scratch, sends));
    return OK;
}

static Status check_in_arena(const ProgramSet *set, int class, const Program *p,
                             ClassSends *sends) {
    Arena scratch = {0};
    Status s = check_program(set, class, p, &scratch, sends);
    arena_finish(&scratch);
    return s;
}

Status program_check(const Program *p) {
    ClassSends sends = {0};
    Status s = check_in_arena(NULL, 0, p, &sends);
    arena_finish(&sends.arena);
    return s;
}

typedef struct {
    const ProgramSet *set;
    ClassSends *sends;  // [class]
} Checking;

// What is wrong with one of several programs is told with the name of its class.
static Status check_class_program(void *context, int class) {
    const Checking *c = context;
    Status s = check_in_arena(c->set, class, &c->set->programs[class], &c->sends[class]);
    const char *name = program_set_name(c->set, class);
    if (s == ERR_PLAN && *name) FAIL(s, "class %s: %s", name, status_message());
    return s;
}

static Status check_all(Checking *c) {
    TRY(team_each(c->set->count, check_class_program, c));
    for (int k = 0; k < c->set->programs[0].plan_count; k++) TRY(check_ranks(c->set, k, c->sends));
    return OK;
}

Status plan_check(const ProgramSet *set) {
    TRY(check_set(set));
    Checking c = {set, calloc((size_t)set->count, sizeof *c.sends)};
    if (!c.sends) FAIL(ERR_MEMORY, "out of memory for checking %d programs", set->count);
    Status s = check_all(&c);
    for (int i = 0; i < set->count; i++) arena_finish(&c.sends[i].arena);
    free(c.sends);
    return s;
}
