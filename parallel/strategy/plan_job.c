// SPDX-License-Identifier: MIT
// A plan has the sizes of its job in the rows that it asks the run for: of which shard and
// micro-batch they are, and how much room there is for them.
#include "parallel/strategy/plan_job.h"

#include "parallel/strategy/strategy_internal.h"

#include <string.h>

enum { MICRO_BATCHES = 4096 };

// A number of rows that the run writes says which part of a batch it is of.
static Status take_rows(PlanJob *out, const Program *p, int tensor, const char *source) {
    const Tensor *t = &p->tensors[tensor];
    int64_t places;
    if (t->shard < 0 || t->shard >= PARTS || t->micro_batch < 0 || t->micro_batch >= MICRO_BATCHES)
        FAIL(ERR_USAGE, "%s: %s is of shard %d, micro-batch %d; a rank has at most %d and %d",
             source, tensor_name(p, tensor), t->shard, t->micro_batch, PARTS, MICRO_BATCHES);
    if (t->micro_batch >= out->micro_batches) out->micro_batches = t->micro_batch + 1;
    program_position(p, t->source_axes, 0, &places);
    if (places < out->data_ranks) return OK;  // of what a rank loads for others
    if (places > out->data_ranks) out->local_shards = 0;
    if (t->shard >= out->local_shards) out->local_shards = t->shard + 1;
    out->data_ranks = (int)places;
    return OK;
}

static bool counts_rows(const Program *p, int tensor) {
    return tensor != NONE && p->tensors[tensor].source == SCALAR_ROWS;
}

// Rows in use of what the training step reads and writes, and how its collectives go.
static Status take_step(PlanJob *out, const Program *p, const Plan *plan, const char *source) {
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        Algorithm algorithm = (Algorithm)op_work(p, op)->algorithm;
        if (algorithm != ALGORITHM_DIRECT) out->algorithm = algorithm;
        for (int o = 0; o < op->outputs + op->inputs; o++) {
            const Tensor *t = &p->tensors[op_outputs(plan, op)[o]];
            if (!counts_rows(p, t->extent)) continue;
            TRY(take_rows(out, p, t->extent, source));
            if (tensor_room(t) > out->rows) out->rows = tensor_room(t);
        }
    }
    return OK;
}

Status plan_job_read(PlanJob *out, const ProgramSet *set, const char *source) {
    *out = (PlanJob){.ranks = program_set_ranks(set)};
    for (int c = 0; c < set->count; c++) {
        const Program *p = &set->programs[c];
        int step = program_find_when(p, WHEN_EACH_STEP, 0);
        if (step == NONE) FAIL(ERR_USAGE, "%s: no plan has when=each_step", source);
        TRY(take_step(out, p, &p->plans[step], source));
    }
    if (!out->rows)
        FAIL(ERR_USAGE, "%s: no tensor of the plan of each step has an extent with source=rows",
             source);
    const Program *p = &set->programs[0];
    for (int i = p->logical_count - 1; i >= 0; i--)
        if (p->logicals[i].role == ROLE_PARAMETER) out->dtype = (Dtype)p->logicals[i].dtype;
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].role == ROLE_COPY) out->dtype = (Dtype)p->tensors[t].dtype;
    return OK;
}

// Rows of the largest micro-batch of a batch that is cut evenly, twice.
static int64_t rows_of(const JobSpec *s) {
    int64_t shards = job_spec_shards(s), shard = (s->batch + shards - 1) / shards;
    return (shard + s->micro_batches - 1) / s->micro_batches;
}

static Status check_cut(const PlanJob *plan, const JobSpec *s) {
    if (plan->ranks != s->ranks)
        FAIL(ERR_USAGE, "--plan %s is for %d rank%s, not for %d", s->plan_file, plan->ranks,
             plan->ranks == 1 ? "" : "s", s->ranks);
    if (plan->data_ranks * plan->local_shards != job_spec_shards(s))
        FAIL(ERR_USAGE, "--plan %s has %d shard%s a rank, not %d; give --shards %d", s->plan_file,
             plan->local_shards, plan->local_shards == 1 ? "" : "s", job_spec_local_shards(s),
             plan->local_shards * plan->data_ranks);
    if (plan->micro_batches != s->micro_batches)
        FAIL(ERR_USAGE, "--plan %s has %d micro-batch%s a shard, not %d; give --accumulate %d",
             s->plan_file, plan->micro_batches, plan->micro_batches == 1 ? "" : "es",
             s->micro_batches, plan->micro_batches);
    return OK;
}

Status plan_job_check(const PlanJob *plan, const JobSpec *s) {
    TRY(check_cut(plan, s));
    if (plan->rows != rows_of(s))
        FAIL(ERR_USAGE,
             "--plan %s has micro-batches of %lld row%s, a batch of %lld has %lld; give --batch "
             "%lld",
             s->plan_file, (long long)plan->rows, plan->rows == 1 ? "" : "s", (long long)s->batch,
             (long long)rows_of(s),
             (long long)plan->rows * plan->micro_batches * plan->local_shards * plan->data_ranks);
    return OK;
}

static Status check_room(const Program *p, const JobSpec *s, const Tensor *t, int64_t rows) {
    if (!counts_rows(p, t->extent) || tensor_room(t) >= rows) return OK;
    FAIL(ERR_USAGE,
         "%s: %s has room for %lld rows, this run brings %lld; give the --batch, --shards and "
         "--accumulate that the plan was printed with",
         s->plan_file, program_name(p, t->name), (long long)tensor_room(t), (long long)rows);
}

static Status check_rows(const Program *p, const Plan *plan, const JobSpec *s) {
    int64_t rows = plan->when == WHEN_EACH_STEP    ? rows_of(s)
                   : plan->when == WHEN_EACH_EPOCH ? EVALUATION_ROWS
                                                   : 0;
    for (int i = 0; i < plan->op_count; i++)
        for (int o = 0; o < plan->ops[i].outputs + plan->ops[i].inputs; o++)
            TRY(check_room(p, s, &p->tensors[op_outputs(plan, &plan->ops[i])[o]], rows));
    return OK;
}

static Status check_room_for_rows(const ProgramSet *set, const JobSpec *s) {
    for (int c = 0; c < set->count; c++)
        for (int k = 0; k < set->programs[c].plan_count; k++)
            TRY(check_rows(&set->programs[c], &set->programs[c].plans[k], s));
    return OK;
}

static bool same_parameter(const Program *p, const Logical *a, const Program *q, const Logical *b) {
    return b->role == ROLE_PARAMETER && a->dims == b->dims &&
           !strcmp(program_name(p, a->name), program_name(q, b->name)) &&
           !memcmp(a->shape, b->shape, sizeof a->shape[0] * a->dims);
}

static Status check_parameters(const Program *p, const Program *model, const char *model_name,
                               const JobSpec *s) {
    for (int i = 0; i < p->logical_count; i++) {
        const Logical *l = &p->logicals[i];
        if (l->role != ROLE_PARAMETER) continue;
        int j = 0;
        while (j < model->logical_count && !same_parameter(p, l, model, &model->logicals[j])) j++;
        if (j == model->logical_count)
            FAIL(ERR_USAGE,
                 "%s: model %s has no parameter %s of this shape; give the --model that the plan "
                 "was printed for",
                 s->plan_file, model_name, program_name(p, l->name));
        if (l->dtype != dtype_wide(s->dtype))
            FAIL(ERR_USAGE, "%s: parameter %s is %s; give --dtype %s", s->plan_file,
                 program_name(p, l->name), dtype_name((Dtype)l->dtype),
                 dtype_name((Dtype)l->dtype));
    }
    return OK;
}

// Initial values, checkpoints and the hash are of logical tensors, in their type.
static Status check_weights(const Program *p, const JobSpec *s) {
    for (int i = 0; i < p->tensor_count; i++) {
        const Tensor *t = &p->tensors[i];
        const Logical *l = &p->logicals[t->logical];
        if (!role_persists((Role)t->role) || t->alias != NONE) continue;
        if (l->role != t->role || t->dtype != l->dtype)
            FAIL(ERR_USAGE, "%s: %s is %s %s, its logical tensor %s %s %s", s->plan_file,
                 program_name(p, t->name), dtype_name((Dtype)t->dtype), role_name((Role)t->role),
                 program_name(p, l->name), dtype_name((Dtype)l->dtype), role_name((Role)l->role));
    }
    return OK;
}

// Does the training step count rows of that part of a rank's batch?
static bool step_has_part(const Program *p, int shard, int micro_batch) {
    const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        for (int o = 0; o < op->outputs + op->inputs; o++) {
            int extent = p->tensors[op_outputs(plan, op)[o]].extent;
            if (counts_rows(p, extent) && p->tensors[extent].shard == shard &&
                p->tensors[extent].micro_batch == micro_batch)
                return true;
        }
    }
    return false;
}

// A step that left a part of the batch out would train on the others alone.
static Status check_parts(const ProgramSet *set, const PlanJob *plan, const JobSpec *s) {
    for (int i = 0; i < plan->local_shards; i++)
        for (int m = 0; m < plan->micro_batches; m++) {
            bool found = false;
            for (int c = 0; c < set->count && !found; c++)
                found = step_has_part(&set->programs[c], i, m);
            if (!found)
                FAIL(ERR_USAGE,
                     "%s: shard %d, micro-batch %d of a rank is left out: no tensor of the plan of "
                     "each step has its rows as extent",
                     s->plan_file, i, m);
        }
    return OK;
}

Status plan_job_check_set(const ProgramSet *set, const JobSpec *s, const Model *model) {
    PlanJob plan;
    ProgramSet by_model;
    TRY(plan_job_read(&plan, set, s->plan_file));
    TRY(check_cut(&plan, s));
    if (plan.dtype != s->dtype && dtype_wide(plan.dtype) == dtype_wide(s->dtype))
        FAIL(ERR_USAGE, "%s: its passes are in %s; give --dtype %s", s->plan_file,
             dtype_name(plan.dtype), dtype_name(plan.dtype));
    TRY(check_parts(set, &plan, s));
    TRY(check_room_for_rows(set, s));
    for (int c = 0; c < set->count; c++) TRY(check_weights(&set->programs[c], s));
    TRY(job_spec_programs(&by_model, s, model));
    Status status = check_parameters(&set->programs[0], &by_model.programs[0], model->name, s);
    program_set_finish(&by_model);
    return status;
}
