// SPDX-License-Identifier: MIT
// A plan from a file. Sizes, types and counts in it are what it was printed with; a run whose
// options say otherwise would write past a tensor's end, or train on a part of each batch.
#include "parallel/run/plan_file.h"

#include "core/base/file.h"
#include "core/plan_text/plan_text.h"
#include "parallel/strategy/plan_job.h"

#include <stdio.h>
#include <string.h>

enum { LOAD_SHARD, LOAD_MICRO_BATCH };  // attributes of a load

// Rows that the largest part of a batch has, when it is cut as sampler_part() does, twice.
static int64_t rows_needed(const JobOptions *o) {
    int64_t shards = (int64_t)job_spec_local_shards(&o->spec) * o->spec.ranks,
            shard = (o->spec.batch + shards - 1) / shards;
    return (shard + o->spec.micro_batches - 1) / o->spec.micro_batches;
}

static Status check_cut(const Job *job, const char *name, int64_t shard, int64_t micro_batch) {
    const JobOptions *o = &job->options;
    if (shard < job_spec_local_shards(&o->spec) && micro_batch < o->spec.micro_batches) return OK;
    FAIL(ERR_USAGE,
         "%s: %s is of shard %lld, micro-batch %lld of a rank, but this run has %d of %d; give the "
         "--shards and --accumulate that the plan was printed with",
         o->spec.plan_file, name, (long long)shard, (long long)micro_batch,
         job_spec_local_shards(&o->spec), o->spec.micro_batches);
}

// The rows in use are what the run writes for that shard and micro-batch, and for no other.
static Status check_extent(const Job *job, const Program *p, const Op *op, const Tensor *t) {
    const Work *w = op_work(p, op);
    long long shard = work_attr(p, w, LOAD_SHARD), micro_batch = work_attr(p, w, LOAD_MICRO_BATCH);
    char want[64];
    if (shard < 0)
        snprintf(want, sizeof want, "evaluate.rows");
    else
        snprintf(want, sizeof want, "rows.%lld.%lld", shard, micro_batch);
    if (!strcmp(tensor_name(p, t->extent), want)) return OK;
    FAIL(ERR_USAGE, "%s: %s, which %s writes, has the extent %s; the run counts its rows in %s",
         job->options.spec.plan_file, program_name(p, t->name), op_name(p, op),
         tensor_name(p, t->extent), want);
}

static Status check_load(const Job *job, const Program *p, const Plan *plan, const Op *op) {
    const JobOptions *o = &job->options;
    const Work *w = op_work(p, op);
    const Tensor *x = &p->tensors[op_outputs(plan, op)[0]];
    int64_t shard = work_attr(p, w, LOAD_SHARD),
            image = (int64_t)job->data.height * job->data.width;
    int64_t rows = shard < 0 ? EVALUATION_ROWS : rows_needed(o);
    TRY(check_cut(job, op_name(p, op), shard, work_attr(p, w, LOAD_MICRO_BATCH)));
    for (int i = 0; i < op->outputs; i++) {
        const Tensor *t = &p->tensors[op_outputs(plan, op)[i]];
        if (t->extent == NONE)
            FAIL(ERR_USAGE, "%s: %s, which %s writes, has no extent for the rows of a batch",
                 o->spec.plan_file, program_name(p, t->name), op_name(p, op));
        TRY(check_extent(job, p, op, t));
        if (t->shape[0] < rows)
            FAIL(ERR_USAGE,
                 "%s: %s has room for %lld rows, this run brings %lld; give the --batch, --shards "
                 "and --accumulate that the plan was printed with",
                 o->spec.plan_file, program_name(p, t->name), (long long)t->shape[0],
                 (long long)rows);
    }
    if (tensor_elements(x) / x->shape[0] != image)
        FAIL(ERR_USAGE, "%s: %s has %lld values a row, the images of %s are %dx%d = %lld",
             o->spec.plan_file, program_name(p, x->name),
             (long long)(tensor_elements(x) / x->shape[0]), job->data.source, job->data.height,
             job->data.width, (long long)image);
    return OK;
}

static Status check_labels(const Job *job, const Program *p, const Plan *plan, const Op *op) {
    const Tensor *logits = &p->tensors[op_inputs(plan, op)[0]];
    char who[256];
    snprintf(who, sizeof who, "%.100s: %.100s", job->options.spec.plan_file, op_name(p, op));
    return dataset_check_labels(&job->data, logits->shape[1], who);
}

static Status check_plan(const Job *job, const Program *p, const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        Kind kind = op_kind(p, op);
        if (kind == KIND_LOAD) TRY(check_load(job, p, plan, op));
        if (kind == KIND_CROSS_ENTROPY) TRY(check_labels(job, p, plan, op));
    }
    return OK;
}

Status plan_file_read(Job *job) {
    const JobOptions *o = &job->options;
    Program p = {0};
    char *text;
    size_t length;
    TRY(file_read(&text, &length, &job->arena, o->spec.plan_file));
    TRY(plan_text_parse(&p, text, length, o->spec.plan_file));
    TRY(program_set_add(&job->set, NULL, &p));
    const Program *read = &job->set.programs[0];
    if (read->lowered)
        FAIL(ERR_USAGE,
             "%s is a lowered plan, which shows what runs; give --plan an edited --print-plan file",
             o->spec.plan_file);
    if (program_ranks(read) != o->spec.ranks)
        FAIL(ERR_USAGE, "%s is a plan for %d rank%s, this run has %d; give --ranks %d",
             o->spec.plan_file, program_ranks(read), program_ranks(read) == 1 ? "" : "s",
             o->spec.ranks, program_ranks(read));
    return OK;
}

// Initial values fill a parameter; the run writes and reads scalars by their names.
static Status check_whole(const Job *job, const Program *p) {
    for (int i = 0; i < p->tensor_count; i++) {
        const Tensor *t = &p->tensors[i];
        const Logical *l = &p->logicals[t->logical];
        if (t->role != ROLE_PARAMETER) continue;
        if (l->role != ROLE_PARAMETER || t->dtype != l->dtype ||
            memcmp(t->shape, l->shape, sizeof t->shape[0] * t->dims))
            FAIL(ERR_USAGE, "%s: parameter %s is not all of its logical tensor %s",
                 job->options.spec.plan_file, program_name(p, t->name), program_name(p, l->name));
    }
    return OK;
}

static Status check_scalar(const Job *job, const Program *p, const char *name, Dtype dtype,
                           int64_t elements) {
    int index = program_find_tensor(p, name);
    const Tensor *t = index == NONE ? NULL : &p->tensors[index];
    if (!t || (t->dtype == dtype && tensor_elements(t) == elements)) return OK;
    FAIL(ERR_USAGE, "%s: %s has %lld elements of %s, expected %lld of %s",
         job->options.spec.plan_file, name, (long long)tensor_elements(t),
         dtype_name((Dtype)t->dtype), (long long)elements, dtype_name(dtype));
}

static bool plan_writes(const Plan *plan, int tensor) {
    for (int i = 0; i < plan->op_count; i++)
        for (int o = 0; o < plan->ops[i].outputs; o++)
            if (op_outputs(plan, &plan->ops[i])[o] == tensor) return true;
    return false;
}

// What the run reads when a plan has been executed must be the plan's result.
static Status check_result(const Job *job, const Program *p, int k, const char *name) {
    int tensor = program_find_tensor(p, name);
    if (k == NONE || tensor == NONE || plan_writes(&p->plans[k], tensor)) return OK;
    FAIL(ERR_USAGE, "%s: no operation of plan %s writes %s, which the run reports",
         job->options.spec.plan_file, program_name(p, p->plans[k].name), name);
}

static Status check_results(const Job *job, const Program *p) {
    int step = program_find_plan(p, "step"), evaluate = program_find_plan(p, "evaluate");
    bool gathered = program_find_tensor(p, "evaluate.gathered") != NONE;
    TRY(check_result(job, p, step, "loss"));
    return check_result(job, p, evaluate, gathered ? "evaluate.gathered" : "evaluate.loss");
}

static Status check_scalars(const Job *job, const Program *p) {
    TRY(check_scalar(job, p, "learning_rate", DTYPE_F64, 1));
    TRY(check_scalar(job, p, "inverse_count", DTYPE_F64, 1));
    TRY(check_scalar(job, p, "evaluate.first_row", DTYPE_I64, 1));
    TRY(check_scalar(job, p, "evaluate.rows", DTYPE_I64, 1));
    TRY(check_scalar(job, p, "loss", DTYPE_F64, 2));
    TRY(check_scalar(job, p, "evaluate.loss", DTYPE_F64, 2));
    TRY(check_scalar(job, p, "evaluate.gathered", DTYPE_F64, (int64_t)2 * job->options.spec.ranks));
    for (int s = 0; s < job_spec_local_shards(&job->options.spec); s++)
        for (int m = 0; m < job->options.spec.micro_batches; m++) {
            char name[48];
            snprintf(name, sizeof name, "first_row.%d.%d", s, m);
            TRY(check_scalar(job, p, name, DTYPE_I64, 1));
            snprintf(name, sizeof name, "rows.%d.%d", s, m);
            TRY(check_scalar(job, p, name, DTYPE_I64, 1));
        }
    return OK;
}

static Status check_program(const Job *job, const Program *p) {
    for (int k = 0; k < p->plan_count; k++) TRY(check_plan(job, p, &p->plans[k]));
    TRY(check_whole(job, p));
    TRY(check_scalars(job, p));
    return check_results(job, p);
}

Status plan_file_check(const Job *job) {
    for (int i = 0; i < job->set.count; i++) TRY(check_program(job, &job->set.programs[i]));
    ProgramSet model;
    TRY(job_spec_programs(&model, &job->options.spec, &job->model));
    Status s = plan_job_check_parameters(&job->set.programs[0], &model.programs[0], job->model.name,
                                         &job->options.spec);
    program_set_finish(&model);
    return s;
}
