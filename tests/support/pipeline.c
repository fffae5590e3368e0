// SPDX-License-Identifier: MIT
// stage_of() says which stage an operation belongs to, find_crossings() what its inputs must bring
// from a neighbour; emit_plan() then writes one stage's operations in the order of the schedule.
#include "tests/support/pipeline.h"

#include "core/base/array.h"

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
    const Program *whole;  // of one rank of the data axis
    const Plan *plan;      // of it
    int *layer_stage;      // per layer of the model
    Crossing *crossings;   // of the plan
    int crossing_count, crossing_capacity;
    Program *p;  // the stage's
    Plan *out;
    int stage, group, compute, host;
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
    const Work *w = op_work(s->whole, op);
    if (kind_loads(work_kind(w))) return NONE;
    int layer = layer_named(s, program_name(s->whole, w->layer));
    return layer == NONE ? s->spec->stages - 1 : s->layer_stage[layer];  // the loss
}

static Status add_crossing(Stager *s, Crossing c) {
    for (int i = 0; i < s->crossing_count; i++)
        if (s->crossings[i].root == c.root && s->crossings[i].to == c.to) return OK;
    if (abs(c.from - c.to) != 1)
        FAIL(ERR_USAGE, "%s goes from stage %d to %d: only neighbours exchange tensors",
             tensor_name(s->whole, c.root), c.from, c.to);
    TRY(ARRAY_RESERVE(s->crossings, s->crossing_capacity, s->crossing_count + 1));
    s->crossings[s->crossing_count++] = c;
    return OK;
}

static Status find_crossings(Stager *s) {
    int *writer = malloc(((size_t)s->whole->tensor_count + 1) * sizeof *writer);
    Status status = writer ? OK : ERR_MEMORY;
    s->crossing_count = 0;
    for (int t = 0; writer && t < s->whole->tensor_count; t++) writer[t] = NONE;
    for (int i = 0; i < s->plan->op_count && status == OK; i++) {
        const Op *op = &s->plan->ops[i];
        int stage = stage_of(s, op);
        for (int k = 0; k < op->inputs && status == OK && stage != NONE; k++) {
            int root = program_root(s->whole, op_inputs(s->plan, op)[k]);
            if (writer[root] != NONE && writer[root] != stage)
                status = add_crossing(s, (Crossing){root, op->micro_batch, writer[root], stage});
        }
        for (int k = 0; k < op->outputs; k++)
            writer[program_root(s->whole, op_outputs(s->plan, op)[k])] = stage;
    }
    free(writer);
    return status;
}

// --- one stage's program

// The tensor of that index in the whole program, made when it is the first to want it.
static Status take_tensor(Stager *s, int from, int32_t *out) {
    const Tensor *t = &s->whole->tensors[from];
    int index = program_find_tensor(s->p, tensor_name(s->whole, from)), other;
    *out = index;
    if (index != NONE) return OK;
    TensorSpec spec = {.name = tensor_name(s->whole, from),
                       .logical = t->logical,
                       .shard = t->shard,
                       .micro_batch = t->micro_batch,
                       .dtype = (Dtype)t->dtype,
                       .role = (Role)t->role,
                       .source = (ScalarSource)t->source,
                       .source_axes = t->source_axes,
                       .result = (Result)t->result};
    memcpy(spec.shape, t->shape, sizeof spec.shape);
    memcpy(spec.placement, t->placement, sizeof spec.placement);
    // What the run writes or loads is the same at all stages; the rest is one stage's.
    if (!t->source && t->role != ROLE_INPUT)
        spec.placement[AXIS_PIPE] = PLACEMENT_ONLY;
    if (t->extent != NONE) {
        TRY(take_tensor(s, t->extent, &other));
        spec.extent = TENSOR_REF(other);
    }
    if (t->alias != NONE) {
        TRY(take_tensor(s, t->alias, &other));
        spec.alias = TENSOR_REF(other);
    }
    TRY(program_add_tensor(s->p, &spec, &index));
    *out = index;
    return OK;
}

// Of the rows of a batch the first stage reads the samples, and the last the labels.
static Status copy_load(Stager *s, const Op *op) {
    const Work *w = op_work(s->whole, op);
    bool first = s->stage == 0;
    int32_t rows, first_row;
    TRY(take_tensor(s, op_outputs(s->plan, op)[first ? 0 : 1], &rows));
    TRY(take_tensor(s, op_inputs(s->plan, op)[0], &first_row));
    return plan_add_op(s->p, s->out,
                       &(OpSpec){.name = first ? "load_x" : "load_labels",
                                 .kind = first ? KIND_LOAD_X : KIND_LOAD_LABELS,
                                 .phase = (Phase)w->phase,
                                 .dtype = (Dtype)w->dtype,
                                 .lane = s->host,
                                 .outputs = &rows,
                                 .inputs = &first_row,
                                 .output_count = 1,
                                 .input_count = 1,
                                 .shard = op->shard,
                                 .micro_batch = op->micro_batch},
                       NULL);
}

static Status copy_op(Stager *s, const Op *op) {
    const Work *w = op_work(s->whole, op);
    int32_t operands[2 * OPERANDS];
    if (kind_loads(work_kind(w))) return copy_load(s, op);
    for (int i = 0; i < op->outputs + op->inputs; i++)
        TRY(take_tensor(s, op_outputs(s->plan, op)[i], &operands[i]));
    const OpSpec spec = {.name = program_name(s->whole, w->name),
                         .layer = w->layer == NONE ? NULL : program_name(s->whole, w->layer),
                         .kind = work_kind(w),
                         .phase = (Phase)w->phase,
                         .dtype = (Dtype)w->dtype,
                         .lane = s->compute,
                         .parts = w->parts,
                         .attrs = &s->whole->attrs[w->attr_first],
                         .outputs = operands,
                         .inputs = operands + op->outputs,
                         .output_count = op->outputs,
                         .input_count = op->inputs,
                         .shard = op->shard,
                         .micro_batch = op->micro_batch,
                         .flags = op->flags,
                         .flops = w->flops};
    return plan_add_op(s->p, s->out, &spec, NULL);
}

static Status add_message(Stager *s, const Crossing *c, Phase phase) {
    bool forward = c->from < c->to, send = c->from == s->stage;
    const int64_t tag = forward ? 0 : 1;
    int32_t tensor;
    char name[64];
    TRY(take_tensor(s, c->root, &tensor));
    snprintf(name, sizeof name, "%s_%s.%.40s", send ? "send" : "receive",
             forward ? "forward" : "backward",
             program_name(s->whole, s->whole->logicals[s->whole->tensors[c->root].logical].name));
    int lane =
        forward ? (send ? s->next_out : s->previous_in) : (send ? s->previous_out : s->next_in);
    return plan_add_op(s->p, s->out,
                       &(OpSpec){.name = name,
                                 .kind = send ? KIND_SEND : KIND_RECEIVE,
                                 .phase = phase,
                                 .dtype = (Dtype)s->whole->tensors[c->root].dtype,
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
    for (int i = 0; i < s->plan->op_count; i++) {
        const Op *op = &s->plan->ops[i];
        const Work *w = op_work(s->whole, op);
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
        TRY(copy_op(s, op));
    }
    return add_messages(s, forward, true, micro_batch, message);
}

static Status emit_schedule(Stager *s, int micro_batches) {
    int warm = micro_batches;
    if (s->spec->schedule == SCHEDULE_1F1B && warm > s->spec->stages - 1 - s->stage)
        warm = s->spec->stages - 1 - s->stage;
    for (int m = 0; m < warm; m++) TRY(emit_pass(s, true, m));
    for (int m = warm; m < micro_batches; m++) {
        TRY(emit_pass(s, true, m));
        TRY(emit_pass(s, false, m - warm));
    }
    for (int m = micro_batches - warm; m < micro_batches; m++) TRY(emit_pass(s, false, m));
    for (int i = 0; i < s->plan->op_count; i++) {
        const Op *op = &s->plan->ops[i];
        if (op_work(s->whole, op)->phase == PHASE_UPDATE && stage_of(s, op) == s->stage)
            TRY(copy_op(s, op));
    }
    return OK;
}

// The last stage alone knows the loss; every rank reports it.
static Status share_loss(Stager *s, const char *name, Phase phase) {
    int32_t loss;
    TRY(take_tensor(s, program_find_tensor(s->whole, name), &loss));
    return plan_add_op(s->p, s->out,
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
    const Program *w = s->whole;
    s->plan = &w->plans[program_find_when(w, WHEN_EACH_STEP, 0)];
    TRY(find_crossings(s));
    TRY(program_add_plan(s->p, "step", &s->out));
    s->out->when = WHEN_EACH_STEP;
    TRY(emit_schedule(s, micro_batches));
    TRY(share_loss(s, "loss", PHASE_FORWARD));
    TRY(plan_derive_deps(s->p, s->out));
    s->plan = &w->plans[program_find_when(w, WHEN_EACH_EPOCH, 0)];
    TRY(find_crossings(s));
    TRY(program_add_plan(s->p, "evaluate", &s->out));
    s->out->when = WHEN_EACH_EPOCH;
    TRY(emit_pass(s, true, 0));
    TRY(share_loss(s, "evaluate.loss", PHASE_EVALUATE));
    return plan_derive_deps(s->p, s->out);
}

// What all classes have in common: mesh, lanes, the table of whole tensors.
static Status start_program(Stager *s) {
    const Program *w = s->whole;
    int pipe;
    TRY(program_add_axis(s->p, "data", w->axes[AXIS_DATA].size, NULL));
    TRY(program_add_axis(s->p, "pipe", s->spec->stages, &pipe));
    TRY(program_add_group(s->p, "pipe", (uint16_t)(1 << pipe), &s->group));
    TRY(program_add_lane(s->p, "compute", LANE_COMPUTE, NONE, &s->compute));
    TRY(program_add_lane(s->p, "host", LANE_HOST, NONE, &s->host));
    TRY(program_add_lane(s->p, "next_out", LANE_COMMUNICATION, s->group, &s->next_out));
    TRY(program_add_lane(s->p, "next_in", LANE_COMMUNICATION, s->group, &s->next_in));
    TRY(program_add_lane(s->p, "previous_out", LANE_COMMUNICATION, s->group, &s->previous_out));
    TRY(program_add_lane(s->p, "previous_in", LANE_COMMUNICATION, s->group, &s->previous_in));
    for (int i = 0; i < w->logical_count; i++) {
        const Logical *l = &w->logicals[i];
        LogicalSpec spec = {.name = program_name(w, l->name),
                            .dims = l->dims,
                            .dtype = (Dtype)l->dtype,
                            .role = (Role)l->role,
                            .fan_in = l->fan_in,
                            .trainable = l->trainable};
        memcpy(spec.shape, l->shape, sizeof spec.shape);
        TRY(program_add_logical(s->p, &spec, NULL));
    }
    return OK;
}

static Status add_class(Stager *s, ProgramSet *set, const StrategyOptions *options,
                        int micro_batches) {
    RankClass class = {0};
    Program p = {0};
    s->p = &p;
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
    Stager s = {.m = m, .spec = pipeline, .whole = &whole};
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
