// SPDX-License-Identifier: MIT
// stage_of() says which stage an operation belongs to, find_crossings() what its inputs must bring
// from a neighbour; emit_plan() then writes one stage's operations in the order of the schedule.
#include "tests/support/pipeline.h"

#include "core/base/array.h"
#include "core/plan/program_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AXIS_DATA, AXIS_PIPE };

// A tensor that one stage writes and a neighbour reads.
typedef struct {
    int32_t root, micro_batch;
    int from, to;  // stages
} Crossing;

typedef struct {
    const Model *m;
    const PipelineSpec *spec;
    ProgramCopy copy;     // from the program of one rank of the data axis to the stage's
    int *layer_stage;     // per layer of the model
    Crossing *crossings;  // of the plan
    int crossing_count, crossing_capacity;
    int stage, group;
    int next_out, next_in, previous_out, previous_in;  // lanes, as this stage uses them
} Stager;

static int layer_named(const Stager *s, const char *name) {
    for (int i = 0; i < s->m->layer_count; i++)
        if (!strcmp(s->m->layers[i].name, name)) return i;
    return NONE;
}

static Status cut_layers(Stager *s) {
    int stage = 0;
    for (int i = 0; i < s->m->layer_count; i++) {
        s->layer_stage[i] = stage;
        bool last = stage + 1 < s->spec->stages &&
                    !strcmp(s->m->layers[i].name, s->spec->last_layer[stage]);
        if (last) stage++;
    }
    if (stage + 1 != s->spec->stages)
        FAIL(ERR_USAGE, "stage %d: model %s has no layer %s behind the others", stage, s->m->name,
             s->spec->last_layer[stage]);
    return OK;
}

// NONE: a load, which every stage that reads its rows has.
static int stage_of(const Stager *s, const Op *op) {
    const Work *w = op_work(s->copy.from, op);
    if (kind_loads(work_kind(w))) return NONE;
    int layer = layer_named(s, program_name(s->copy.from, w->layer));
    return layer == NONE ? s->spec->stages - 1 : s->layer_stage[layer];  // the loss
}

static Status add_crossing(Stager *s, Crossing c) {
    for (int i = 0; i < s->crossing_count; i++)
        if (s->crossings[i].root == c.root && s->crossings[i].to == c.to) return OK;
    if (abs(c.from - c.to) != 1)
        FAIL(ERR_USAGE, "%s goes from stage %d to %d: only neighbours exchange tensors",
             tensor_name(s->copy.from, c.root), c.from, c.to);
    TRY(ARRAY_RESERVE(s->crossings, s->crossing_capacity, s->crossing_count + 1));
    s->crossings[s->crossing_count++] = c;
    return OK;
}

static Status find_crossings(Stager *s) {
    int *writer = malloc(((size_t)s->copy.from->tensor_count + 1) * sizeof *writer);
    Status status = writer ? OK : ERR_MEMORY;
    s->crossing_count = 0;
    for (int t = 0; writer && t < s->copy.from->tensor_count; t++) writer[t] = NONE;
    for (int i = 0; i < s->copy.plan->op_count && status == OK; i++) {
        const Op *op = &s->copy.plan->ops[i];
        int stage = stage_of(s, op);
        for (int k = 0; k < op->inputs && status == OK && stage != NONE; k++) {
            int root = program_root(s->copy.from, op_inputs(s->copy.plan, op)[k]);
            if (writer[root] != NONE && writer[root] != stage)
                status = add_crossing(s, (Crossing){root, op->micro_batch, writer[root], stage});
        }
        for (int k = 0; k < op->outputs; k++)
            writer[program_root(s->copy.from, op_outputs(s->copy.plan, op)[k])] = stage;
    }
    free(writer);
    return status;
}

// --- one stage's program

// What the run writes or loads is the same at all stages; the rest is one stage's.
static void place(const ProgramCopy *c, TensorSpec *spec, const Tensor *t) {
    if (!t->source && t->role != ROLE_INPUT) spec->placement[AXIS_PIPE] = PLACEMENT_ONLY;
}

static Status add_message(Stager *s, const Crossing *c, Phase phase) {
    bool forward = c->from < c->to, send = c->from == s->stage;
    const int64_t tag = forward ? 0 : 1;
    int32_t tensor;
    char name[64];
    TRY(program_copy_tensor(&s->copy, c->root, &tensor));
    snprintf(name, sizeof name, "%s_%s.%.40s", send ? "send" : "receive",
             forward ? "forward" : "backward",
             program_name(s->copy.from,
                          s->copy.from->logicals[s->copy.from->tensors[c->root].logical].name));
    int lane =
        forward ? (send ? s->next_out : s->previous_in) : (send ? s->previous_out : s->next_in);
    return plan_add_op(s->copy.to, s->copy.out,
                       &(OpSpec){.name = name,
                                 .kind = send ? KIND_SEND : KIND_RECEIVE,
                                 .phase = phase,
                                 .dtype = (Dtype)s->copy.from->tensors[c->root].dtype,
                                 .lane = lane,
                                 .group = s->group,
                                 .peer = forward == send ? 1 : -1,
                                 .attrs = &tag,
                                 .outputs = &tensor,
                                 .inputs = &tensor,
                                 .output_count = !send,
                                 .input_count = send,
                                 .micro_batch = c->micro_batch},
                       NULL);
}

static Status add_messages(Stager *s, bool forward, bool send, int micro_batch, Phase phase) {
    for (int i = 0; i < s->crossing_count; i++) {
        const Crossing *c = &s->crossings[i];
        bool mine = s->stage == (send ? c->from : c->to), direction = (c->from < c->to) == forward;
        if (mine && direction && c->micro_batch == micro_batch) TRY(add_message(s, c, phase));
    }
    return OK;
}

static bool reads_rows(const Stager *s) { return s->stage == 0 || s->stage == s->spec->stages - 1; }

// The forward or the backward pass of one micro-batch on this stage.
static Status emit_pass(Stager *s, bool forward, int micro_batch) {
    Phase message = forward ? PHASE_FORWARD : PHASE_BACKWARD;
    bool begun = false;
    for (int i = 0; i < s->copy.plan->op_count; i++) {
        const Op *op = &s->copy.plan->ops[i];
        const Work *w = op_work(s->copy.from, op);
        Phase phase = (Phase)w->phase;
        int stage = stage_of(s, op);
        if (phase == PHASE_UPDATE || (phase != PHASE_BACKWARD) != forward ||
            op->micro_batch != micro_batch || !(stage == NONE ? reads_rows(s) : stage == s->stage))
            continue;
        if (stage != NONE && !begun) {
            message = phase;
            TRY(add_messages(s, forward, false, micro_batch, message));
            begun = true;
        }
        TRY(kind_loads(work_kind(w))
                ? program_copy_load(&s->copy, op, s->stage == 0, s->stage == s->spec->stages - 1)
                : program_copy_op(&s->copy, op, op->shard));
    }
    return add_messages(s, forward, true, micro_batch, message);
}

static Status emit_tasks(Stager *s, int micro_batches) {
    Arena a = {0};
    PipelineSchedule p;
    const PipelineShape shape = {s->spec->schedule, s->spec->stages, 1, micro_batches};
    Status status = pipeline_schedule_create(&p, &a, &shape);
    if (status == OK) status = pipeline_schedule_check(&p);
    for (int i = 0; status == OK && i < p.count; i++) {
        const PipelineTask *t = &p.tasks[s->stage * p.count + i];
        status = emit_pass(s, t->pass == PASS_FORWARD, t->micro_batch);
    }
    arena_finish(&a);
    return status;
}

static Status emit_schedule(Stager *s, int micro_batches) {
    TRY(emit_tasks(s, micro_batches));
    for (int i = 0; i < s->copy.plan->op_count; i++) {
        const Op *op = &s->copy.plan->ops[i];
        if (op_work(s->copy.from, op)->phase == PHASE_UPDATE && stage_of(s, op) == s->stage)
            TRY(program_copy_op(&s->copy, op, op->shard));
    }
    return OK;
}

// The last stage alone knows the loss; every rank reports it.
static Status share_loss(Stager *s, const char *name, Phase phase) {
    int32_t loss;
    TRY(program_copy_tensor(&s->copy, program_find_tensor(s->copy.from, name), &loss));
    return plan_add_op(s->copy.to, s->copy.out,
                       &(OpSpec){.name = "broadcast.loss",
                                 .kind = KIND_BROADCAST,
                                 .phase = phase,
                                 .dtype = DTYPE_F64,
                                 .lane = s->next_out,
                                 .group = s->group,
                                 .peer = s->spec->stages - 1,
                                 .outputs = &loss,
                                 .inputs = &loss,
                                 .output_count = 1,
                                 .input_count = 1},
                       NULL);
}

static Status emit_stage(Stager *s, int micro_batches) {
    TRY(program_copy_plan(&s->copy, program_find_when(s->copy.from, WHEN_EACH_STEP, 0)));
    TRY(find_crossings(s));
    TRY(emit_schedule(s, micro_batches));
    TRY(share_loss(s, "loss", PHASE_FORWARD));
    TRY(plan_derive_deps(s->copy.to, s->copy.out));
    TRY(program_copy_plan(&s->copy, program_find_when(s->copy.from, WHEN_EACH_EPOCH, 0)));
    TRY(find_crossings(s));
    TRY(emit_pass(s, true, 0));
    TRY(share_loss(s, "evaluate.loss", PHASE_EVALUATE));
    return plan_derive_deps(s->copy.to, s->copy.out);
}

// What all classes have in common: mesh, lanes, the table of whole tensors.
static Status start_program(Stager *s) {
    const Program *w = s->copy.from;
    int pipe;
    TRY(program_add_axis(s->copy.to, "data", w->axes[AXIS_DATA].size, NULL));
    TRY(program_add_axis(s->copy.to, "pipe", s->spec->stages, &pipe));
    TRY(program_add_group(s->copy.to, "pipe", (uint16_t)(1 << pipe), &s->group));
    TRY(program_add_lane(s->copy.to, "next_out", LANE_COMMUNICATION, s->group, &s->next_out));
    TRY(program_add_lane(s->copy.to, "next_in", LANE_COMMUNICATION, s->group, &s->next_in));
    TRY(program_add_lane(s->copy.to, "previous_out", LANE_COMMUNICATION, s->group,
                         &s->previous_out));
    TRY(program_add_lane(s->copy.to, "previous_in", LANE_COMMUNICATION, s->group, &s->previous_in));
    return program_copy_begin(&s->copy);
}

static Status add_class(Stager *s, ProgramSet *set, const StrategyOptions *options,
                        int micro_batches) {
    RankClass class = {0};
    Program p = {0};
    s->copy.to = &p;
    Status status = start_program(s);
    if (status == OK) status = emit_stage(s, micro_batches);
    if (status == OK && p.axes[AXIS_DATA].size > 1) status = ddp_apply(&p, options);
    snprintf(class.name, sizeof class.name, "stage%d", s->stage);
    rank_class_confine(&class, AXIS_PIPE, s->stage, s->stage);
    if (status != OK) {
        program_finish(&p);
        return status;
    }
    return program_set_add(set, &class, &p);
}

Status pipeline_programs(ProgramSet *out, const Model *m, const StepSpec *spec,
                         const StrategyOptions *options, const PipelineSpec *pipeline) {
    Program whole = {0};
    Stager s = {.m = m, .spec = pipeline, .copy = {.from = &whole, .place = place}};
    *out = (ProgramSet){0};
    s.layer_stage = calloc((size_t)m->layer_count, sizeof *s.layer_stage);
    Status status = s.layer_stage ? model_emit(&whole, m, spec) : ERR_MEMORY;
    if (status == OK) status = cut_layers(&s);
    for (s.stage = 0; s.stage < pipeline->stages && status == OK; s.stage++)
        status = add_class(&s, out, options, spec->micro_batches);
    if (status != OK) program_set_finish(out);
    program_finish(&whole);
    free(s.crossings);
    free(s.layer_stage);
    return status;
}
