// SPDX-License-Identifier: MIT
// A plan from a file. Sizes, types and counts in it are what it was printed with; a run whose
// options say otherwise would write past a tensor's end, or train on a part of each batch.
#include "parallel/run/plan_file.h"

#include "core/base/file.h"
#include "core/plan_text/plan_text.h"
#include "parallel/strategy/plan_job.h"

#include <stdio.h>
#include <string.h>

// Values a row of an operand of a load, of all its pieces together.
static int64_t values_of(const Program *p, const Tensor *t) {
    const Logical *l = &p->logicals[t->logical];
    return logical_elements(l) / l->shape[0];
}

static Status check_load(const Job *job, const Program *p, const Plan *plan, const Op *op) {
    const Dataset *d = &job->data;
    const Tensor *x = &p->tensors[op_outputs(plan, op)[0]],
                 *labels = &p->tensors[op_outputs(plan, op)[op->outputs - 1]];
    const char *file = job->options.spec.plan_file, *name = program_name(p, x->name);
    bool has_x = op_kind(p, op) != KIND_LOAD_LABELS;
    int64_t image = dataset_pixels(d);
    if (op_kind(p, op) != KIND_LOAD_X && values_of(p, labels) != dataset_labels(d))
        FAIL(ERR_USAGE, "%s: %s has %lld labels a row, %s has %lld", file,
             program_name(p, labels->name), (long long)values_of(p, labels), d->source,
             (long long)dataset_labels(d));
    if (has_x && dataset_is_text(d) != (x->dtype == DTYPE_I32))
        FAIL(ERR_USAGE, "%s: %s is %s, and %s has %s", file, name, dtype_name((Dtype)x->dtype),
             d->source, dataset_is_text(d) ? "tokens (i32)" : "images");
    if (has_x && dataset_is_text(d) && values_of(p, x) != d->text.window)
        FAIL(ERR_USAGE, "%s: %s has %lld tokens a row, and windows have %lld", file, name,
             (long long)values_of(p, x), (long long)d->text.window);
    if (!has_x || dataset_is_text(d) || values_of(p, x) == image) return OK;
    FAIL(ERR_USAGE, "%s: %s has %lld values a row, the images of %s are %dx%dx%d = %lld", file,
         name, (long long)values_of(p, x), d->source, d->channels, d->height, d->width,
         (long long)image);
}

static Status check_labels(const Job *job, const Program *p, const Plan *plan, const Op *op) {
    const Tensor *logits = &p->tensors[op_inputs(plan, op)[0]];
    char who[256];
    snprintf(who, sizeof who, "%.100s: %.100s", job->options.spec.plan_file, op_name(p, op));
    return dataset_check_labels(&job->data, logits->shape[logits->dims - 1], who);
}

static Status check_plan(const Job *job, const Program *p, const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        Kind kind = op_kind(p, op);
        if (kind_loads(kind)) TRY(check_load(job, p, plan, op));
        if (kind == KIND_CROSS_ENTROPY) TRY(check_labels(job, p, plan, op));
    }
    return OK;
}

// How many ranks have different parts of a batch is known from the plan only: correct what was
// described without it.
static Status take_data_ranks(Job *job, int data_ranks) {
    RunInfo *info = &job->options.info;
    RunSetting *settings = ARENA_NEW(&job->arena, RunSetting, info->strategy_count + 1);
    char *dp = arena_push(&job->arena, 16);
    if (!settings || !dp) FAIL(ERR_MEMORY, "out of memory to describe a job");
    snprintf(dp, 16, "%d", data_ranks);
    for (int i = 0; i < info->strategy_count; i++) {
        settings[i] = info->strategy[i];
        if (!strcmp(settings[i].key, "dp")) settings[i].value = dp;
    }
    job->options.spec.mesh.data = data_ranks;
    info->strategy = settings;
    info->shards = job_spec_shards(&job->options.spec);
    return OK;
}

Status plan_file_read(Job *job) {
    const JobOptions *o = &job->options;
    char *text;
    size_t length;
    TRY(file_read(&text, &length, &job->arena, o->spec.plan_file));
    TRY(plan_text_parse(&job->set, text, length, o->spec.plan_file));
    const Program *read = &job->set.programs[0];
    if (read->lowered)
        FAIL(ERR_USAGE,
             "%s is a lowered plan, which shows what runs; give --plan an edited --print-plan file",
             o->spec.plan_file);
    if (program_ranks(read) != o->spec.ranks)
        FAIL(ERR_USAGE, "%s is a plan for %d rank%s, this run has %d; give --ranks %d",
             o->spec.plan_file, program_ranks(read), program_ranks(read) == 1 ? "" : "s",
             o->spec.ranks, program_ranks(read));
    PlanJob plan;
    TRY(plan_job_read(&plan, &job->set, o->spec.plan_file));
    return take_data_ranks(job, plan.data_ranks);
}

static Status check_program(const Job *job, const Program *p) {
    for (int k = 0; k < p->plan_count; k++) TRY(check_plan(job, p, &p->plans[k]));
    return OK;
}

Status plan_file_check(const Job *job) {
    for (int i = 0; i < job->set.count; i++) TRY(check_program(job, &job->set.programs[i]));
    return plan_job_check_set(&job->set, &job->options.spec, &job->model);
}
