// SPDX-License-Identifier: MIT
// The program of one class: its tasks in the order of the schedule, each with what it receives
// before and sends behind it. Read stage_emit_class() at the end first.
#include "core/plan/set.h"
#include "parallel/strategy/stage_internal.h"

#include <stdio.h>
#include <string.h>

enum { TAG_FORWARD, TAG_BACKWARD };

// Held at one stage, unless all compute or get the same by themselves. What a stage receives lies
// as it does when it is sent.
static void place(const ProgramCopy *copy, TensorSpec *spec, const Tensor *t) {
    const StageClass *c = copy->context;
    const Stages *s = c->s;
    int64_t at = t - s->from->tensors;
    bool received = s->writers[at] && !(s->writers[at] >> c->rank & 1);
    if (!t->source && t->role != ROLE_INPUT && !s->everywhere[at])
        spec->placement[s->pipe] = PLACEMENT_ONLY;
    for (int a = 0; a < s->from->axis_count && received; a++)
        if (s->reduced[at] >> a & 1 && placement_is_partial(t->placement[a]))
            spec->placement[a] = PLACEMENT_REPLICATED;
}

// --- operations

static Status add_waits(StageClass *c, int op) {
    for (int i = 0; i < c->wait_count; i++)
        TRY(dep_list_add(&c->deps, op, c->waits[i], DEP_ORDER, 0));
    c->wait_count = 0;
    return OK;
}

// Its operands that this rank has: a collective may join those of several stages.
static Status take_operands(StageClass *c, const Op *op, int32_t *operands, int *outputs,
                            int *inputs) {
    *outputs = *inputs = 0;
    for (int k = 0; k < op->outputs + op->inputs; k++) {
        int t = op_outputs(c->copy.plan, op)[k];
        if (!(c->s->holders[t] >> c->rank & 1)) continue;
        TRY(program_copy_tensor(&c->copy, t, &operands[*outputs + *inputs]));
        ++*(k < op->outputs ? outputs : inputs);
    }
    return OK;
}

static Status copy_communication(StageClass *c, const Op *op) {
    int outputs, inputs;
    int32_t *operands = ARENA_NEW(&c->arena, int32_t, op->outputs + op->inputs + 1);
    if (!operands) FAIL(ERR_MEMORY, "out of memory for %s", op_name(c->s->from, op));
    TRY(take_operands(c, op, operands, &outputs, &inputs));
    return program_copy_communication(&c->copy, op, operands, outputs, operands + outputs, inputs);
}

Status stage_copy_op(StageClass *c, const Op *op) {
    if (op_communicates(c->s->from, op)) return copy_communication(c, op);
    if (op_kind(c->s->from, op) == KIND_COUNT_CHOICES)
        TRY(stage_copy_count(c, op));
    else
        TRY(program_copy_op(&c->copy, op, op->shard));
    c->last = c->copy.out->op_count - 1;
    return add_waits(c, c->last);
}

// --- messages

static bool goes_forward(const StageCrossing *x) { return x->from < x->to; }

static Status add_message(StageClass *c, const StageCrossing *x, bool send, Phase phase) {
    const Program *from = c->s->from;
    const Tensor *t = &from->tensors[x->root];
    bool forward = goes_forward(x);
    const int64_t tag = forward ? TAG_FORWARD : TAG_BACKWARD;
    int32_t tensor;
    char name[256];
    TRY(program_copy_tensor(&c->copy, x->root, &tensor));
    snprintf(name, sizeof name, "%s_%s.%.200s", send ? "send" : "receive",
             forward ? "forward" : "backward", program_name(from, from->logicals[t->logical].name));
    int lane =
        forward ? (send ? c->next_out : c->previous_in) : (send ? c->previous_out : c->next_in);
    return plan_add_op(c->copy.to, c->copy.out,
                       &(OpSpec){.name = name,
                                 .kind = send ? KIND_SEND : KIND_RECEIVE,
                                 .phase = phase,
                                 .dtype = (Dtype)t->dtype,
                                 .lane = lane,
                                 .group = c->group,
                                 .peer = forward == send ? 1 : -1,
                                 .attrs = &tag,
                                 .outputs = &tensor,
                                 .inputs = &tensor,
                                 .output_count = !send,
                                 .input_count = send,
                                 .shard = t->shard,
                                 .micro_batch = t->micro_batch},
                       NULL);
}

// All messages of a task in one direction, to or from its stage. How many.
static Status add_messages(StageClass *c, const PipelineTask *t, bool forward, bool send,
                           Phase phase, int *count) {
    const StagePlan *plan = c->plan;
    int first = c->copy.out->op_count;
    for (int i = plan->crossing_first[t->micro_batch]; i < plan->crossing_first[t->micro_batch + 1];
         i++) {
        const StageCrossing *x = &plan->crossings[i];
        if ((send ? x->from : x->to) != t->stage || goes_forward(x) != forward) continue;
        TRY(add_message(c, x, send, phase));
    }
    *count = c->copy.out->op_count - first;
    return OK;
}

// What a task needs may come once the task before that one with a message begins.
static Status receive(StageClass *c, const PipelineTask *t, bool forward, Phase phase) {
    int count, first = c->copy.out->op_count, last = c->last;
    TRY(add_messages(c, t, forward, false, phase, &count));
    for (int i = 0; i < count && c->begun[forward] != NONE; i++)
        TRY(dep_list_add(&c->deps, first + i, c->begun[forward], DEP_ORDER, 0));
    if (count) c->begun[forward] = last;
    return OK;
}

static void wait_for(StageClass *c, int first, int count) {
    for (int i = 0; i < count; i++) c->waits[c->wait_count++] = first + i;
}

// --- tasks

static Status add_loads(StageClass *c, const PipelineTask *t, const Op *op) {
    const bool *loads = c->plan->loads[t->stage];
    if (!loads[LOAD_X] && !loads[LOAD_LABELS]) return OK;
    return program_copy_load(&c->copy, op, loads[LOAD_X], loads[LOAD_LABELS]);
}

// Does a task have this operation?
static bool does(const StageClass *c, const PipelineTask *t, int i) {
    const StageOp *so = &c->plan->ops[i];
    bool forward = so->pass == PASS_FORWARD;
    if (so->stage == NONE)  // of no stage alone: with the first task of the rank
        return forward && t->pass == PASS_FORWARD && t->stage == c->rank &&
               so->ranks >> c->rank & 1;
    if (so->stage != t->stage) return false;
    return t->pass == PASS_BACKWARD ? !forward : t->pass == so->pass;
}

static Status compute_op(StageClass *c, const PipelineTask *t, int i) {
    const Op *op = &c->plan->plan->ops[i];
    if (!kind_loads(op_kind(c->s->from, op))) return does(c, t, i) ? stage_copy_op(c, op) : OK;
    return t->pass == PASS_FORWARD ? add_loads(c, t, op) : OK;
}

// Those of its stage, and those of no single stage, in the order of the plan.
static Status compute(StageClass *c, const PipelineTask *t) {
    const StagePlan *plan = c->plan;
    const int32_t *first = &plan->task_first[t->micro_batch * (c->s->stages + 1)];
    int common = first[0], own = first[t->stage + 1];
    while (common < first[1] || own < first[t->stage + 2]) {
        bool next = own == first[t->stage + 2] ||
                    (common < first[1] && plan->of_task[common] < plan->of_task[own]);
        TRY(compute_op(c, t, plan->of_task[next ? common++ : own++]));
    }
    return OK;
}

// Two messages at most are on their way out: a task waits for what the one before the last sent.
static void wait_for_room(StageClass *c, bool forward) {
    int at = c->tasks[forward] % 2;
    wait_for(c, c->last_sent[forward][at], c->last_count[forward][at]);
}

static void note_sent(StageClass *c, bool forward, int first, int count) {
    int at = c->tasks[forward]++ % 2;
    c->last_sent[forward][at] = first;
    c->last_count[forward][at] = count;
}

static Status add_forward(StageClass *c, const PipelineTask *t) {
    Phase phase = c->plan->plan->when == WHEN_EACH_STEP ? PHASE_FORWARD : PHASE_EVALUATE;
    int slot = t->stage * c->plan->units + t->micro_batch;
    TRY(receive(c, t, true, phase));
    wait_for_room(c, true);
    TRY(compute(c, t));
    c->sent[slot] = c->copy.out->op_count;
    TRY(add_messages(c, t, true, true, phase, &c->sent_count[slot]));
    note_sent(c, true, c->sent[slot], c->sent_count[slot]);
    return OK;
}

// When the gradient of what a forward sent has come, that has long left; saying so lets its memory
// go on to others.
static Status add_backward(StageClass *c, const PipelineTask *t) {
    int slot = t->stage * c->plan->units + t->micro_batch, count;
    TRY(receive(c, t, false, PHASE_BACKWARD));
    wait_for(c, c->sent[slot], c->sent_count[slot]);
    wait_for_room(c, false);
    TRY(compute(c, t));
    int first = c->copy.out->op_count;
    TRY(add_messages(c, t, false, true, PHASE_BACKWARD, &count));
    note_sent(c, false, first, count);
    return OK;
}

static Status add_task(StageClass *c, const PipelineTask *t) {
    if (t->pass == PASS_FORWARD) return add_forward(c, t);
    return t->pass == PASS_BACKWARD_WEIGHT ? compute(c, t) : add_backward(c, t);
}

// --- plans

Status stage_broadcast(StageClass *c, const char *name, Phase phase, int root,
                       const int32_t *tensors, int count) {
    return plan_add_op(c->copy.to, c->copy.out,
                       &(OpSpec){.name = name,
                                 .kind = KIND_BROADCAST,
                                 .phase = phase,
                                 .dtype = DTYPE_F64,
                                 .lane = c->lane,
                                 .group = c->group,
                                 .peer = root,
                                 .outputs = tensors,
                                 .inputs = tensors,
                                 .output_count = count,
                                 .input_count = count},
                       NULL);
}

// The last stage alone knows the losses, of each shard one; every rank reports them.
static Status share_losses(StageClass *c, Phase phase) {
    const Stages *s = c->s;
    const StagePlan *plan = c->plan;
    int32_t *losses = ARENA_NEW(&c->arena, int32_t, plan->loss_count + 1);
    if (!losses) FAIL(ERR_MEMORY, "out of memory for %d losses", plan->loss_count);
    for (int i = 0; i < plan->loss_count; i++)
        TRY(program_copy_tensor(&c->copy, plan->losses[i], &losses[i]));
    return stage_broadcast(c, phase == PHASE_EVALUATE ? "broadcast.evaluation" : "broadcast.loss",
                           phase, stage_rank(s, s->stages - 1), losses, plan->loss_count);
}

static Status begin_plan(StageClass *c, int k) {
    const Stages *s = c->s;
    int n = s->stages * s->plans[k].units;
    c->plan = &s->plans[k];
    c->sent = ARENA_NEW(&c->arena, int32_t, n);
    c->sent_count = ARENA_NEW(&c->arena, int32_t, n);
    c->waits = ARENA_NEW(&c->arena, int32_t, 3 * c->plan->crossing_count + 1);
    if (!c->sent || !c->sent_count || !c->waits)
        FAIL(ERR_MEMORY, "out of memory for a pipeline of %d stages", s->stages);
    c->last = c->begun[0] = c->begun[1] = NONE;
    memset(c->last_count, 0, sizeof c->last_count);
    c->wait_count = c->tasks[0] = c->tasks[1] = 0;
    return program_copy_plan(&c->copy, k);
}

// Most strategies that join the gradients of a step derive its data dependencies in the end, and
// ask for none before; some add dependencies of their own where there is none yet.
static bool is_derived_later(const StageClass *c) {
    const StrategyOptions *o = c->s->options;
    return c->copy.out->when == WHEN_EACH_STEP && !o->zero && !o->no_overlap;
}

static Status end_plan(StageClass *c) {
    Status s = plan_add_deps(c->copy.out, &c->deps);
    dep_list_finish(&c->deps);
    if (s != OK || is_derived_later(c)) return s;
    return plan_derive_deps(c->copy.to, c->copy.out);
}

static Status emit_step(StageClass *c) {
    const PipelineSchedule *p = &c->s->schedule;
    for (int i = 0; i < p->count; i++) TRY(add_task(c, &p->tasks[c->rank * p->count + i]));
    TRY(share_losses(c, PHASE_SYNC));
    TRY(stage_share_choices(c));
    return stage_emit_update(c);
}

// Each of the rank's stages once, in order.
static Status emit_evaluation(StageClass *c) {
    for (int stage = c->rank; stage < c->s->stages; stage += c->s->ranks)
        TRY(add_task(c, &(PipelineTask){.stage = stage, .pass = PASS_FORWARD}));
    return share_losses(c, PHASE_EVALUATE);
}

static Status emit_plans(StageClass *c) {
    for (int k = 0; k < c->s->from->plan_count; k++) {
        TRY(begin_plan(c, k));
        TRY(c->plan->plan->when == WHEN_EACH_STEP ? emit_step(c) : emit_evaluation(c));
        TRY(end_plan(c));
    }
    return OK;
}

// --- the class

// Of those ranks that have a part of a sum.
static Status add_lane_among(StageClass *c, const char *name, uint64_t ranks, StageJoint *out) {
    Program *p = c->copy.to;
    int pipe = c->s->pipe, positions[PIPELINE_RANKS], count = 0;
    for (int r = 0; r < c->s->ranks; r++)
        if (ranks >> r & 1) positions[count++] = r;
    TRY(program_add_group_at(p, name, (uint16_t)(1 << pipe), pipe, positions, count, &out->group));
    return program_add_lane(p, name, LANE_COMMUNICATION, out->group, &out->lane);
}

static Status add_lanes(StageClass *c) {
    Program *p = c->copy.to;
    const Stages *s = c->s;
    TRY(program_add_group(p, "pipe", (uint16_t)(1 << s->pipe), &c->group));
    TRY(program_add_lane(p, "next_out", LANE_COMMUNICATION, c->group, &c->next_out));
    TRY(program_add_lane(p, "next_in", LANE_COMMUNICATION, c->group, &c->next_in));
    TRY(program_add_lane(p, "previous_out", LANE_COMMUNICATION, c->group, &c->previous_out));
    TRY(program_add_lane(p, "previous_in", LANE_COMMUNICATION, c->group, &c->previous_in));
    TRY(program_add_lane(p, "pipe", LANE_COMMUNICATION, c->group, &c->lane));
    c->tied = ARENA_NEW(&c->arena, StageJoint, s->tied_count + 1);
    if (!c->tied) FAIL(ERR_MEMORY, "out of memory for %d sums", s->tied_count);
    for (int i = 0; i < s->tied_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "tied%d", i);
        TRY(add_lane_among(c, name, s->tied[i].ranks, &c->tied[i]));
    }
    uint64_t choices = s->choices.ranks;
    if (!(choices & (choices - 1))) return OK;
    return add_lane_among(c, "choices", choices, &c->choices);
}

// What lasts, in the order of the table: parameters come first, wherever they are used.
static Status add_lasting(StageClass *c) {
    const Stages *s = c->s;
    int32_t own;
    for (int i = 0; i < s->lasting_count; i++)
        if (s->holders[s->lasting[i]] >> c->rank & 1)
            TRY(program_copy_tensor(&c->copy, s->lasting[i], &own));
    return OK;
}

static Status emit_class(StageClass *c, Program *out) {
    const Program *from = c->s->from;
    c->counted = ARENA_NEW(&c->arena, bool, from->tensor_count + 1);
    if (!c->counted) FAIL(ERR_MEMORY, "out of memory for %d tensors", from->tensor_count);
    TRY(program_copy_head(out, from));
    c->copy.compute = program_find_lane(out, "compute");
    c->copy.host = program_find_lane(out, "host");
    TRY(add_lanes(c));
    TRY(add_lasting(c));
    return emit_plans(c);
}

Status stage_emit_class(const Stages *s, Program *out, int rank) {
    StageClass c = {.s = s, .rank = rank, .copy = {.from = s->from, .to = out, .place = place}};
    c.copy.arena = &c.arena;
    c.copy.context = &c;
    Status status = emit_class(&c, out);
    dep_list_finish(&c.deps);
    arena_finish(&c.arena);
    return status;
}
