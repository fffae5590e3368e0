// SPDX-License-Identifier: MIT
// From a job to the program that is simulated: built from its model, or read from a file of a plan,
// which then must be a plan of this job. Read sim_job_lowered() first.
#include "sim/job.h"

#include "core/base/file.h"
#include "core/plan/check.h"
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"
#include "parallel/strategy/collective_work.h"
#include "parallel/strategy/plan_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Of Adam, a weight of one dimension is decayed only where all are.
static void read_adam(const Program *p, const Plan *plan, const Op *op, Optimizer *o) {
    const Work *w = op_work(p, op);
    double decay = work_real(p, w, 3);
    o->kind = work_attr(p, w, 4) ? OPTIMIZER_ADAMW : OPTIMIZER_ADAM;
    o->beta1 = work_real(p, w, 0);
    o->beta2 = work_real(p, w, 1);
    o->eps = work_real(p, w, 2);
    if (decay == 0) return;
    o->weight_decay = decay;
    if (p->tensors[op_outputs(plan, op)[0]].dims == 1 && o->kind == OPTIMIZER_ADAMW)
        o->decay_all = true;
}

static void read_update(const Program *p, const Plan *plan, const Op *op, Optimizer *o) {
    const Work *w = op_work(p, op);
    if (w->kind == KIND_ADAM) read_adam(p, plan, op, o);
    if (w->kind == KIND_SGD)
        *o = (Optimizer){.momentum = work_real(p, w, 0),
                         .weight_decay = work_real(p, w, 1),
                         .nesterov = work_attr(p, w, 2) != 0,
                         .clip = o->clip};
    if (w->kind == KIND_CLIP) o->clip = work_real(p, w, 0);
}

static Optimizer read_optimizer(const ProgramSet *set) {
    Optimizer o = {0};
    for (int c = 0; c < set->count; c++)
        for (int k = 0; k < set->programs[c].plan_count; k++) {
            const Plan *plan = &set->programs[c].plans[k];
            for (int i = 0; i < plan->op_count; i++)
                read_update(&set->programs[c], plan, &plan->ops[i], &o);
        }
    return o;
}

// What the optimizer does is read from the plan: the plan may have been a file's, and descriptions
// of before that was kept do not say. So is which ranks have different parts of a batch.
Status sim_job_recorded(SimJob *out, const RunInfo *run, const ProgramSet *set) {
    *out = (SimJob){0};
    TRY(job_spec_recorded(&out->spec, run));
    out->spec.optimizer = read_optimizer(set);
    if (!out->spec.plan_file) return OK;
    PlanJob plan;
    TRY(plan_job_read(&plan, set, "the trace"));
    out->spec.mesh.data = plan.data_ranks;
    return OK;
}

Status sim_job_resize(SimJob *out, const SimJob *job, int ranks, bool keep_batch) {
    *out = *job;
    JobSpec *spec = &out->spec;
    Mesh mesh;
    int64_t before = job_spec_data_ranks(spec);
    bool resized = ranks != spec->ranks && !keep_batch;
    if (resized && spec->batch % before)
        FAIL(ERR_USAGE,
             "a batch of %lld over %lld ranks is uneven, so there is no batch per rank to keep; "
             "give --batch or --batch-per-rank",
             (long long)spec->batch, (long long)before);
    spec->ranks = ranks;
    TRY(job_spec_mesh(&mesh, spec));
    if (resized) spec->batch = spec->batch / before * mesh.data;
    return job_spec_check(spec);
}

static Status read_plan(ProgramSet *out, Arena *a, const char *path) {
    char *text;
    size_t length;
    TRY(file_read(&text, &length, a, path));
    TRY(plan_text_parse(out, text, length, path));
    if (!out->programs[0].lowered) return OK;
    FAIL(ERR_USAGE, "--plan %s is lowered already; give one of --print-plan file", path);
}

static Status take_plan(SimJob *job, Arena *a, ProgramSet *set, const SimJobGiven *given) {
    PlanJob plan;
    JobSpec *s = &job->spec;
    TRY(read_plan(set, a, s->plan_file));
    TRY(plan_job_read(&plan, set, s->plan_file));
    int shards = plan.local_shards * plan.data_ranks;
    s->ranks = plan.ranks;
    s->mesh.data = plan.data_ranks;
    s->strategy.algorithm = plan.algorithm;
    if (!given->shards) s->shards = shards == plan.data_ranks ? 0 : shards;
    if (!given->micro_batches) s->micro_batches = plan.micro_batches;
    if (!given->batch) s->batch = plan.rows * plan.micro_batches * shards;
    if (!given->dtype) s->dtype = plan.dtype;
    return OK;
}

Status sim_job_take_plan(SimJob *job, Arena *a, const SimJobGiven *given) {
    ProgramSet set = {0};
    Status s = take_plan(job, a, &set, given);
    program_set_finish(&set);
    return s;
}

// An error in a plan tells of operations and ranks; which file they are of, is told here.
static Status name_plan_file(Status s, const SimJob *job) {
    if (s == ERR_PLAN) FAIL(s, "%s: %s", job->spec.plan_file, status_message());
    return s;
}

static Status check_plan(const ProgramSet *set, const SimJob *job, const Model *model) {
    PlanJob plan;
    TRY(plan_job_read(&plan, set, job->spec.plan_file));
    TRY(plan_job_check(&plan, &job->spec));
    TRY(name_plan_file(plan_check(set), job));
    TRY(name_plan_file(plan_check_run(set), job));
    return plan_job_check_set(set, &job->spec, model);
}

// checked: what is made here is checked here; else whoever lowers it checks the result.
static Status make_programs(ProgramSet *out, Arena *a, const SimJob *job, bool checked) {
    Model model;
    *out = (ProgramSet){0};
    TRY(job_spec_model(&model, a, &job->spec));
    if (!job->spec.plan_file) {
        TRY(job_spec_programs(out, &job->spec, &model));
        if (checked) TRY(plan_check(out));
        return plan_check_run(out);
    }
    TRY(read_plan(out, a, job->spec.plan_file));
    return check_plan(out, job, &model);
}

Status sim_job_programs(ProgramSet *out, Arena *a, const SimJob *job) {
    return make_programs(out, a, job, true);
}

static void leave_evaluation(Program *p) {
    for (int k = 0; k < p->plan_count; k++)
        if (p->plans[k].when == WHEN_EACH_EPOCH) p->plans[k].op_count = p->plans[k].dep_count = 0;
}

static Status lower(ProgramSet *out, Arena *a, const SimJob *job, bool evaluates) {
    *out = (ProgramSet){0};
    const DeviceTraits *traits = device_traits(job->spec.device);
    if (!traits) FAIL(ERR_FORMAT, "the trace is of an unknown device %s", job->spec.device);
    TRY(make_programs(out, a, job, false));
    for (int c = 0; c < out->count && !evaluates; c++) leave_evaluation(&out->programs[c]);
    return collective_work_lower(out, traits);
}

Status sim_job_lowered(ProgramSet *out, Arena *a, const SimJob *job) {
    return lower(out, a, job, true);
}

Status sim_job_step(ProgramSet *out, Arena *a, const SimJob *job) {
    return lower(out, a, job, false);
}

// --- files that a trace names

enum { LARGEST = 64 << 20 };

static Status check_file(const char *path, const char *what) {
    struct stat info;
    if (!path || stat(path, &info) != 0) return OK;  // a built-in name, or it is missed when read
    if (!S_ISREG(info.st_mode) || info.st_size > LARGEST)
        FAIL(ERR_INPUT, "%s, the %s that the trace names, is no file of at most 64MiB", path, what);
    return OK;
}

static Status print_programs(char **out, const ProgramSet *set) {
    size_t size;
    FILE *f = open_memstream(out, &size);
    if (!f) FAIL(ERR_MEMORY, "out of memory for a program");
    Status s = plan_text_print(set, NONE, f);
    fclose(f);
    return s;
}

static Status compare_programs(bool *equal, const ProgramSet *p, const ProgramSet *q) {
    char *one = NULL, *other = NULL;
    Status s = print_programs(&one, p);
    if (s == OK) s = print_programs(&other, q);
    *equal = s == OK && !strcmp(one, other);
    free(one);
    free(other);
    return s;
}

Status sim_job_check_recorded(const SimJob *job, Arena *a, const ProgramSet *recorded) {
    const char *plan = job->spec.plan_file, *file = plan ? plan : job->spec.model;
    bool equal = false, is_file = access(file, F_OK) == 0;
    ProgramSet now = {0};
    TRY(check_file(job->spec.model, "model"));
    TRY(check_file(plan, "plan"));
    Status s = sim_job_lowered(&now, a, job);
    if (s == OK) s = compare_programs(&equal, &now, recorded);
    program_set_finish(&now);
    TRY(s);
    if (equal) return OK;
    if (is_file)
        FAIL(ERR_INPUT,
             "%s has changed since the run was recorded; record it again, or give --%s %s to "
             "predict what is there now",
             file, plan ? "plan" : "model", file);
    FAIL(ERR_INPUT,
         "this version of sim makes another plan of the model %s than was recorded; record it "
         "again, or give --model %s",
         file, file);
}
