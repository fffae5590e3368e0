// SPDX-License-Identifier: MIT
// A pipeline: what is found out once for all classes, and then each class. Read stage_programs() at
// the end first, then stage_plan.c.
#include "parallel/strategy/stage.h"

#include "core/base/team.h"
#include "core/plan/mesh.h"
#include "parallel/strategy/stage_internal.h"

#include <stdio.h>

PipelineShape stage_shape(const StrategyOptions *o, int ranks, int micro_batches) {
    bool interleaves = o->schedule.word == SCHEDULE_INTERLEAVED;
    int chunks = !interleaves ? 1 : o->schedule.number > 0 ? (int)o->schedule.number : STAGE_CHUNKS;
    return (PipelineShape){(ScheduleKind)o->schedule.word, ranks, chunks, micro_batches};
}

// --- what all classes have in common

static Status find_layers(Stages *s) {
    const Program *p = s->from;
    int n = s->m->layer_count;
    s->layer_stage = ARENA_NEW(&s->arena, int, n + 1);
    if (!s->layer_stage) FAIL(ERR_MEMORY, "out of memory for %d layers", n);
    TRY(stage_assign(s->layer_stage, &s->arena, p, s->m, s->options->stages, &s->schedule.shape));
    return stage_find_work_layers(&s->work_layer, &s->arena, p, s->m);
}

static Status find_losses(Stages *s, StagePlan *plan, int k) {
    const Program *p = s->from;
    int loss = program_find_result(p, k, RESULT_LOSS);
    if (loss == NONE) FAIL(ERR_PLAN, "the program has no result \"loss\"");
    for (int pass = 0; pass < 2; pass++) {
        plan->loss_count = 0;
        for (int t = 0; t < p->tensor_count; t++) {
            if (p->tensors[t].logical != p->tensors[loss].logical) continue;
            if (pass) plan->losses[plan->loss_count] = t;
            plan->loss_count++;
        }
        if (pass) break;
        plan->losses = ARENA_NEW(&s->arena, int32_t, plan->loss_count);
        if (!plan->losses) FAIL(ERR_MEMORY, "out of memory for %d losses", plan->loss_count);
    }
    return OK;
}

// Parameters that no operation uses, since the loss does not depend on their layers, and what an
// optimiser keeps of those that are used by an evaluation alone.
static void hold_the_rest(Stages *s) {
    for (int i = 0; i < s->m->layer_count; i++)
        for (int k = 0; k < s->m->layers[i].parameter_count; k++) {
            char name[256];
            snprintf(name, sizeof name, "%s.%s", s->m->layers[i].name,
                     s->m->layers[i].parameters[k].name);
            int t = program_find_tensor(s->from, name);
            if (t != NONE && !s->holders[t])
                s->holders[t] = UINT64_C(1) << stage_rank(s, s->layer_stage[i]);
        }
}

// Evaluation first: the update asks who holds what.
static Status find_plans(Stages *s) {
    const Program *p = s->from;
    s->holders = ARENA_NEW(&s->arena, uint64_t, p->tensor_count + 1);
    s->writers = ARENA_NEW(&s->arena, uint64_t, p->tensor_count + 1);
    s->reduced = ARENA_NEW(&s->arena, uint16_t, p->tensor_count + 1);
    s->everywhere = ARENA_NEW(&s->arena, uint8_t, p->tensor_count + 1);
    s->lasting = ARENA_NEW(&s->arena, int32_t, p->tensor_count + 1);
    if (!s->holders || !s->writers || !s->reduced || !s->everywhere || !s->lasting)
        FAIL(ERR_MEMORY, "out of memory for %d tensors", p->tensor_count);
    for (int t = 0; t < p->tensor_count; t++)
        if (role_persists((Role)p->tensors[t].role)) s->lasting[s->lasting_count++] = t;
    for (int k = p->plan_count - 1; k >= 0; k--) {
        TRY(stage_plan_init(s, k));
        TRY(find_losses(s, &s->plans[k], k));
    }
    hold_the_rest(s);
    stage_find_choices(s);
    return OK;
}

static Status init(Stages *s) {
    s->pipe = mesh_find_axis(s->from, MESH_PIPE);
    if (s->pipe == NONE) FAIL(ERR_PLAN, "the program has no mesh axis \"pipe\"");
    s->ranks = s->from->axes[s->pipe].size;
    PipelineShape shape = stage_shape(s->options, s->ranks, s->units);
    TRY(pipeline_schedule_create(&s->schedule, &s->arena, &shape));
    TRY(pipeline_schedule_check(&s->schedule));
    s->stages = shape.ranks * shape.chunks;
    TRY(find_layers(s));
    return find_plans(s);
}

typedef struct {
    const Stages *s;
    ProgramSet *out;
} Emission;

static Status emit_class(void *context, int r) {
    const Emission *e = context;
    return stage_emit_class(e->s, &e->out->programs[r], r);
}

static Status add_classes(ProgramSet *out, const Stages *s) {
    Emission e = {s, out};
    for (int r = 0; r < s->ranks; r++) {
        Program p = {0};
        RankClass class = {0};
        snprintf(class.name, sizeof class.name, "stage%d", r);
        rank_class_confine(&class, s->pipe, r, r);
        TRY(program_set_add(out, &class, &p));
    }
    return team_each(s->ranks, emit_class, &e);
}

Status stage_programs(ProgramSet *out, const Program *p, const Model *m,
                      const StrategyOptions *options, int micro_batches) {
    Stages s = {.from = p,
                .m = m,
                .options = options,
                .local_shards = options->local_shards,
                .micro_batches = micro_batches,
                .units = micro_batches * (options->sync_batch_norm ? 1 : options->local_shards)};
    *out = (ProgramSet){0};
    Status status = init(&s);
    if (status == OK) status = add_classes(out, &s);
    for (int k = 0; k < PLANS; k++) stage_plan_finish(&s.plans[k]);
    arena_finish(&s.arena);
    if (status != OK) program_set_finish(out);
    return status;
}
