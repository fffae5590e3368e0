// SPDX-License-Identifier: MIT
// Which stage does which operation of a plan, and what its inputs must bring from other stages.
#include "core/base/array.h"
#include "core/nn/model.h"
#include "parallel/strategy/stage_internal.h"

#include <stdlib.h>
#include <string.h>

// What is known of the tensors while the operations are looked at, one after the other. Arrays are
// by root (program_root()).
typedef struct {
    Stages *s;
    StagePlan *plan;
    int32_t *writer;  // operation that wrote it last, or NONE
    uint64_t *held;   // the ranks that have what it wrote
} Scan;

static uint64_t bit_of(const Stages *s, int stage) { return UINT64_C(1) << stage_rank(s, stage); }

// --- what each operation is

static bool writes_role(const Stages *s, const Plan *plan, const Op *op, Role role) {
    for (int o = 0; o < op->outputs; o++)
        if (s->from->tensors[op_outputs(plan, op)[o]].role == role) return true;
    return false;
}

static int unit_of(const Stages *s, const Op *op) {
    bool together = s->units == s->micro_batches;
    return together ? op->micro_batch : op->shard * s->micro_batches + op->micro_batch;
}

static StageOp classify(const Stages *s, const Plan *plan, const Op *op) {
    Phase phase = (Phase)op_work(s->from, op)->phase;
    bool training = plan->when == WHEN_EACH_STEP;
    StageOp so = {.stage = NONE,
                  .unit = training ? unit_of(s, op) : 0,
                  .update = phase == PHASE_UPDATE || phase == PHASE_SYNC ||
                            op_kind(s->from, op) == KIND_ADD_BALANCE,
                  .tied = NONE};
    if (phase == PHASE_BACKWARD)
        so.pass =
            writes_role(s, plan, op, ROLE_GRADIENT) ? PASS_BACKWARD_WEIGHT : PASS_BACKWARD_INPUT;
    return so;
}

// What uses of an output give of its gradient is added up before it is sent: on the first of the
// stages that have such a part, if all are behind that of the layer.
static int stage_of_sum(const Scan *scan, const Op *op, int own) {
    const Stages *s = scan->s;
    int first = NONE;
    for (int k = 0; k < op->outputs + op->inputs; k++) {
        if (k < op->outputs && !(op->flags & OP_ACCUMULATE)) continue;
        int writer = scan->writer[program_root(s->from, op_outputs(scan->plan->plan, op)[k])];
        int stage = writer == NONE ? own : scan->plan->ops[writer].stage;
        if (first == NONE || stage < first) first = stage;
    }
    return first > own ? first : own;
}

// The stage of the first layer behind an operation that reads what it writes, or NONE.
static int stage_of_reader(const Scan *scan, int i) {
    const Stages *s = scan->s;
    const Plan *plan = scan->plan->plan;
    int root = program_root(s->from, op_outputs(plan, &plan->ops[i])[0]);
    for (int j = i + 1; j < plan->op_count; j++) {
        const Op *op = &plan->ops[j];
        for (int k = 0; k < op->inputs && s->work_layer[op->work] != NONE; k++)
            if (program_root(s->from, op_inputs(plan, op)[k]) == root)
                return s->layer_stage[s->work_layer[op->work]];
    }
    return NONE;
}

// That of its layer; of what belongs to none, such as a collective, that of what it reads. What
// takes a slice of the sample reads rows, which every stage may load: that of its reader.
// So is what the backward cuts of an output of the forward, which may be of a stage before.
static Status find_stage(Scan *scan, int i) {
    const Stages *s = scan->s;
    const Plan *plan = scan->plan->plan;
    const Op *op = &plan->ops[i];
    int layer = s->work_layer[op->work];
    int writer = op->inputs ? scan->writer[program_root(s->from, op_inputs(plan, op)[0])] : NONE;
    StageOp *so = &scan->plan->ops[i];
    so->stage = layer != NONE    ? s->layer_stage[layer]
                : writer != NONE ? scan->plan->ops[writer].stage
                                 : NONE;
    bool late = layer == NONE && writer != NONE && so->pass != PASS_FORWARD &&
                scan->plan->ops[writer].pass == PASS_FORWARD;
    int reader = so->stage == NONE || late ? stage_of_reader(scan, i) : NONE;
    if (reader != NONE) so->stage = reader;
    if (so->stage == NONE)
        FAIL(ERR_PLAN, "%s belongs to no layer: a pipeline does not know its stage",
             op_name(s->from, op));
    if (stage_sums_uses(s->from, op)) so->stage = stage_of_sum(scan, op, so->stage);
    so->ranks = bit_of(s, so->stage);
    return OK;
}

// --- crossings

static Status add_crossing(StagePlan *plan, StageCrossing c) {
    TRY(ARRAY_RESERVE(plan->crossings, plan->crossing_capacity, plan->crossing_count + 1));
    plan->crossings[plan->crossing_count++] = c;
    return OK;
}

// From the nearest stage on the way from its writer whose rank has it, stage by stage.
static Status bring(Scan *scan, int root, int unit, int stage) {
    const Stages *s = scan->s;
    const StageOp *writer = &scan->plan->ops[scan->writer[root]];
    if (scan->held[root] & bit_of(s, stage)) return OK;
    int step = stage > writer->stage ? 1 : -1, from = stage;
    if (step > 0 && writer->pass != PASS_FORWARD)
        FAIL(ERR_PLAN, "%s of stage %d is read by stage %d, behind it", tensor_name(s->from, root),
             writer->stage, stage);
    while (!(scan->held[root] & bit_of(s, from))) from -= step;
    for (; from != stage; from += step) {
        TRY(add_crossing(scan->plan, (StageCrossing){root, unit, from, from + step}));
        scan->held[root] |= bit_of(s, from + step);
    }
    return OK;
}

// One operand that a stage reads. Rows are loaded by whoever reads them, and copies of parameters
// made by them; what nothing in the plan has written is there.
static Status read_tensor(Scan *scan, int i, int tensor) {
    const Stages *s = scan->s;
    const Plan *plan = scan->plan->plan;
    const StageOp *reader = &scan->plan->ops[i];
    int root = program_root(s->from, tensor), writer = scan->writer[root];
    if (writer == NONE) return OK;
    const Op *op = &plan->ops[writer];
    StageOp *so = &scan->plan->ops[writer];
    if (kind_loads(op_kind(s->from, op))) {
        bool x = program_root(s->from, op_outputs(plan, op)[0]) == root;
        if (!(scan->held[root] & reader->ranks))
            scan->plan->loads[reader->stage][x ? LOAD_X : LOAD_LABELS] = true;
        scan->held[root] |= reader->ranks;
        so->ranks |= reader->ranks;
        return OK;
    }
    if (so->stage == NONE) {  // a copy
        so->ranks |= reader->ranks;
        return OK;
    }
    if (so->pass == PASS_BACKWARD_WEIGHT && reader->pass == PASS_BACKWARD_INPUT)
        so->pass = PASS_BACKWARD_INPUT;
    return bring(scan, root, reader->unit, reader->stage);
}

static Status scan_op(Scan *scan, int i) {
    const Plan *plan = scan->plan->plan;
    const Op *op = &plan->ops[i];
    StageOp *so = &scan->plan->ops[i];
    bool spread =
        kind_loads(op_kind(scan->s->from, op)) || writes_role(scan->s, plan, op, ROLE_COPY);
    if (!spread) TRY(find_stage(scan, i));
    for (int k = 0; k < op->inputs && !spread; k++)
        TRY(read_tensor(scan, i, op_inputs(plan, op)[k]));
    for (int k = 0; k < op->outputs; k++) {
        int root = program_root(scan->s->from, op_outputs(plan, op)[k]);
        scan->writer[root] = i;
        scan->held[root] = so->ranks;
    }
    return OK;
}

static Status scan_passes(Stages *s, StagePlan *plan) {
    Scan scan = {.s = s,
                 .plan = plan,
                 .writer = ARENA_NEW(&s->arena, int32_t, s->from->tensor_count + 1),
                 .held = ARENA_NEW(&s->arena, uint64_t, s->from->tensor_count + 1)};
    if (!scan.writer || !scan.held)
        FAIL(ERR_MEMORY, "out of memory for %d tensors", s->from->tensor_count);
    for (int t = 0; t < s->from->tensor_count; t++) scan.writer[t] = NONE;
    for (int i = 0; i < plan->plan->op_count; i++)
        if (!plan->ops[i].update) TRY(scan_op(&scan, i));
    return OK;
}

// --- the whole

static void note_writer(Stages *s, const Plan *plan, const Op *op, uint64_t ranks) {
    const Work *w = op_work(s->from, op);
    for (int o = 0; o < op->outputs; o++) {
        int root = program_root(s->from, op_outputs(plan, op)[o]);
        s->writers[root] |= ranks;
        for (int i = 0; i < op->inputs && w->kind == KIND_ALL_REDUCE; i++)
            if (program_root(s->from, op_inputs(plan, op)[i]) == root)
                s->reduced[root] |= s->from->groups[w->group].axes;
    }
}

// Who has which tensor in its passes.
static void find_holders(Stages *s, const StagePlan *plan) {
    for (int i = 0; i < plan->plan->op_count; i++) {
        const Op *op = &plan->plan->ops[i];
        if (!plan->ops[i].update) note_writer(s, plan->plan, op, plan->ops[i].ranks);
        for (int k = 0; k < op->outputs + op->inputs && !plan->ops[i].update; k++) {
            int t = op_outputs(plan->plan, op)[k];
            s->holders[t] |= plan->ops[i].ranks;
            s->holders[program_root(s->from, t)] |= plan->ops[i].ranks;
        }
    }
}

// Counting sorts: operations by unit and stage, those of no single stage first; crossings by unit.
static Status sort_by_unit(Stages *s, StagePlan *plan) {
    int n = plan->plan->op_count, parts = s->stages + 1, tasks = plan->units * parts;
    plan->of_task = ARENA_NEW(&s->arena, int32_t, n + 1);
    plan->task_first = ARENA_NEW(&s->arena, int32_t, tasks + 2);
    plan->crossing_first = ARENA_NEW(&s->arena, int32_t, plan->units + 2);
    StageCrossing *sorted = ARENA_NEW(&s->arena, StageCrossing, plan->crossing_count + 1);
    if (!plan->of_task || !plan->task_first || !plan->crossing_first || !sorted)
        FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", n);
    for (int i = 0; i < n; i++)
        if (!plan->ops[i].update)
            plan->task_first[plan->ops[i].unit * parts + plan->ops[i].stage + 1 + 2]++;
    for (int i = 0; i < plan->crossing_count; i++)
        plan->crossing_first[plan->crossings[i].unit + 2]++;
    for (int k = 0; k < tasks; k++) plan->task_first[k + 1] += plan->task_first[k];
    for (int u = 0; u < plan->units; u++) plan->crossing_first[u + 1] += plan->crossing_first[u];
    for (int i = 0; i < n; i++)
        if (!plan->ops[i].update)
            plan->of_task[plan->task_first[plan->ops[i].unit * parts + plan->ops[i].stage + 2]++] =
                i;
    for (int i = 0; i < plan->crossing_count; i++)
        sorted[plan->crossing_first[plan->crossings[i].unit + 1]++] = plan->crossings[i];
    if (plan->crossing_count)
        memcpy(plan->crossings, sorted, (size_t)plan->crossing_count * sizeof *sorted);
    return OK;
}

Status stage_plan_init(Stages *s, int k) {
    StagePlan *plan = &s->plans[k];
    plan->plan = &s->from->plans[k];
    bool training = plan->plan->when == WHEN_EACH_STEP;
    plan->units = training ? s->units : 1;
    plan->ops = ARENA_NEW(&s->arena, StageOp, plan->plan->op_count + 1);
    plan->loads = arena_push_array(&s->arena, (size_t)s->stages, sizeof *plan->loads);
    if (!plan->ops || !plan->loads)
        FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", plan->plan->op_count);
    for (int i = 0; i < plan->plan->op_count; i++)
        plan->ops[i] = classify(s, plan->plan, &plan->plan->ops[i]);
    TRY(scan_passes(s, plan));
    find_holders(s, plan);
    TRY(sort_by_unit(s, plan));
    return training ? stage_plan_update(s, plan) : OK;
}

void stage_plan_finish(StagePlan *plan) { free(plan->crossings); }
