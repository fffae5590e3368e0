// SPDX-License-Identifier: MIT
// The stage that needs most is the first: it holds the most micro-batches that have not come back
// (Narayanan et al., 2021). Read advise_piece_bytes() last.
#include "sim/advise_memory.h"

#include "parallel/strategy/pipeline_schedule.h"

#include <math.h>
#include <stdio.h>

enum { FEW_BLOCKS = 2, MANY_BLOCKS = 4 };  // planned for many

// --- what is planned

// One row on each of as few ranks as the cuts need.
static JobSpec smallest(const JobSpec *job, const AdviseCut *cut) {
    JobSpec s = *job;
    int sharers = cut->experts > 1 ? cut->experts : 1;
    s.mesh = (Mesh){.tensor = cut->tensor,
                    .context = cut->context,
                    .data = cut->wide ? sharers / cut->context : sharers};
    s.ranks = (int)mesh_ranks(&s.mesh);
    s.batch = s.mesh.data;
    s.shards = s.strategy.zero = 0;
    s.micro_batches = 1;
    s.strategy.experts = cut->experts;
    s.strategy.stages = NULL;
    return s;
}

static void take_memory(AdvisePiece *out, const Program *p, Recompute recompute) {
    out->parameters = (double)program_memory(p, MEMORY_PARAMETERS);
    out->gradients = (double)program_memory(p, MEMORY_GRADIENTS);
    out->optimiser = (double)program_memory(p, MEMORY_OPTIMISER);
    for (int m = 0; m < MEMORY_COUNT; m++)
        if (m != MEMORY_PARAMETERS && m != MEMORY_GRADIENTS && m != MEMORY_OPTIMISER)
            out->row_bytes[recompute] += (double)program_memory(p, (Memory)m);
}

static Status plan_blocks(AdvisePiece *out, const SimJob *job, Recompute recompute, int blocks) {
    Arena a = {0};
    ProgramSet set = {0};
    SimJob one = *job;
    Status s = job_spec_check(&job->spec);
    if (s == OK && blocks) s = short_blocks_job(&one, &a, job, blocks);
    if (s == OK) s = sim_job_step(&set, &a, &one);
    if (s == OK) take_memory(out, &set.programs[0], recompute);
    program_set_finish(&set);
    arena_finish(&a);
    return s;
}

static void extend(double *to, double from, double times) { *to += (*to - from) * times; }

static Status plan_one(AdvisePiece *out, const SimJob *job, Recompute recompute,
                       const ShortBlocks *blocks) {
    AdvisePiece fewer = {0}, more = {0};
    SimJob one = *job;
    one.spec.strategy.recompute = recompute;
    bool all = blocks->count <= MANY_BLOCKS;
    TRY(plan_blocks(&more, &one, recompute, all ? 0 : MANY_BLOCKS));
    if (!all) {
        double times = (double)(blocks->count - MANY_BLOCKS) / (MANY_BLOCKS - FEW_BLOCKS);
        TRY(plan_blocks(&fewer, &one, recompute, FEW_BLOCKS));
        extend(&more.parameters, fewer.parameters, times);
        extend(&more.gradients, fewer.gradients, times);
        extend(&more.optimiser, fewer.optimiser, times);
        extend(&more.row_bytes[recompute], fewer.row_bytes[recompute], times);
    }
    out->parameters = more.parameters;
    out->gradients = more.gradients;
    out->optimiser = more.optimiser;
    out->row_bytes[recompute] = more.row_bytes[recompute];
    return OK;
}

// A way to recompute that does not go with the cuts is left out.
Status advise_piece_plan(AdvisePiece *out, const SimJob *job, const AdviseCut *cut,
                         uint32_t recomputes, const ShortBlocks *blocks) {
    SimJob one = *job;
    one.spec = smallest(&job->spec, cut);
    for (int r = 0; r < RECOMPUTE_COUNT; r++) {
        if (!(recomputes >> r & 1)) continue;
        Status s = plan_one(out, &one, (Recompute)r, blocks);
        if (s == ERR_MEMORY) return s;
        if (s == OK) out->divides = true;
        if (s != OK && !*out->why) snprintf(out->why, STATUS_TEXT, "%s", status_message());
    }
    return OK;
}

// --- the closed form

// Of experts' parts of a rank's weights: their share, and how many ranks have the same.
static double expert_share(const EstimateModel *m, const JobSpec *s) {
    double own = m->expert_parameters / (s->strategy.experts > 1 ? s->strategy.experts : 1);
    return own / (m->parameters - m->expert_parameters + own);
}

// What ZeRO leaves a rank of weights that all data parallel ranks have, and those with its experts.
static double left_by_zero(const EstimateModel *m, const JobSpec *s) {
    double ranks = job_spec_data_ranks(s), share = expert_share(m, s);
    double experts = s->strategy.experts > 1 ? s->strategy.experts : 1;
    double alike = ranks * mesh_size(&s->mesh, MESH_CONTEXT) / experts;
    return (1 - share) / ranks + share / fmin(ranks, fmax(1, alike));
}

// Micro-batches that the first stage holds at once, in parts of the whole model.
static double held(const JobSpec *s, double part) {
    int stages = mesh_size(&s->mesh, MESH_PIPE);
    const OptionForm *form = &s->strategy.schedule;
    double chunks = form->number > 0 ? form->number : 2;
    if (stages == 1) return 1;
    if (form->word == SCHEDULE_GPIPE) return s->micro_batches * part;
    if (form->word == SCHEDULE_INTERLEAVED) return (stages + (stages - 1) / chunks) * part;
    if (form->word == SCHEDULE_ZERO_BUBBLE) return 2 * stages * part;  // until weights' gradients
    return stages * part;
}

// Gradients of several passes are added up whole. With passes in two bytes the weights in four are
// divided from ZeRO-1 on.
double advise_piece_bytes(const AdvisePiece *p, const EstimateModel *m, const JobSpec *s) {
    int stages = mesh_size(&s->mesh, MESH_PIPE), zero = s->strategy.zero;
    double part = ceil((double)m->blocks / stages) / m->blocks, left = left_by_zero(m, s);
    double rows = (double)s->batch / job_spec_shards(s) / s->micro_batches;
    bool adds = s->micro_batches * (job_spec_shards(s) / job_spec_data_ranks(s)) > 1;
    double masters = m->passes_bytes > 0 ? p->parameters * 4 / (4 + m->passes_bytes) : 0;
    double whole = p->parameters - (zero >= 1 ? masters * (1 - left) : 0);
    double weights = (zero >= 3 ? p->parameters * (left + 2.0 / m->blocks) : whole) +
                     p->gradients * (zero >= 2 && !adds ? left : 1) +
                     p->optimiser * (zero >= 1 ? left : 1);
    return weights * part + p->row_bytes[s->strategy.recompute] * rows * held(s, part);
}
