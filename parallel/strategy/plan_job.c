// SPDX-License-Identifier: MIT
// A plan has the sizes of its job in its loads: shard and micro-batch of each, and room for rows.
#include "parallel/strategy/plan_job.h"

#include "parallel/strategy/strategy_internal.h"

#include <string.h>

enum { LOAD_SHARD, LOAD_MICRO_BATCH };  // attributes of a load
enum { MICRO_BATCHES = 4096 };

static Status take_load(PlanJob *out, const Program *p, const Plan *plan, const Op *op,
                        const char *source) {
    const Work *w = op_work(p, op);
    int64_t shard = work_attr(p, w, LOAD_SHARD), micro_batch = work_attr(p, w, LOAD_MICRO_BATCH);
    int64_t rows = p->tensors[op_outputs(plan, op)[0]].shape[0];
    if (shard < 0 || shard >= PARTS || micro_batch < 0 || micro_batch >= MICRO_BATCHES)
        FAIL(ERR_USAGE, "%s: %s is of shard %lld, micro-batch %lld; a rank has at most %d and %d",
             source, op_name(p, op), (long long)shard, (long long)micro_batch, PARTS,
             MICRO_BATCHES);
    if (shard >= out->local_shards) out->local_shards = (int)shard + 1;
    if (micro_batch >= out->micro_batches) out->micro_batches = (int)micro_batch + 1;
    if (rows > out->rows) out->rows = rows;
    return OK;
}

Status plan_job_read(PlanJob *out, const Program *p, const char *source) {
    *out = (PlanJob){.ranks = program_ranks(p)};
    int step = program_find_plan(p, "step");
    if (step == NONE) FAIL(ERR_USAGE, "%s has no plan \"step\"", source);
    const Plan *plan = &p->plans[step];
    for (int i = 0; i < plan->op_count; i++)
        if (op_kind(p, &plan->ops[i]) == KIND_LOAD)
            TRY(take_load(out, p, plan, &plan->ops[i], source));
    if (!out->rows) FAIL(ERR_USAGE, "%s: the plan \"step\" loads no batch", source);
    for (int i = p->logical_count - 1; i >= 0; i--)
        if (p->logicals[i].role == ROLE_PARAMETER) out->dtype = (Dtype)p->logicals[i].dtype;
    return OK;
}

// Rows of the largest micro-batch of a batch that is cut evenly, twice.
static int64_t rows_of(const JobSpec *s) {
    int64_t shards = job_spec_shards(s), shard = (s->batch + shards - 1) / shards;
    return (shard + s->micro_batches - 1) / s->micro_batches;
}

Status plan_job_check(const PlanJob *plan, const JobSpec *s) {
    if (plan->ranks != s->ranks)
        FAIL(ERR_USAGE, "--plan %s is for %d rank%s, not for %d", s->plan_file, plan->ranks,
             plan->ranks == 1 ? "" : "s", s->ranks);
    if (plan->local_shards != job_spec_local_shards(s))
        FAIL(ERR_USAGE, "--plan %s has %d shard%s a rank, not %d; give --shards %d", s->plan_file,
             plan->local_shards, plan->local_shards == 1 ? "" : "s", job_spec_local_shards(s),
             plan->local_shards * plan->ranks);
    if (plan->micro_batches != s->micro_batches)
        FAIL(ERR_USAGE, "--plan %s has %d micro-batch%s a shard, not %d; give --accumulate %d",
             s->plan_file, plan->micro_batches, plan->micro_batches == 1 ? "" : "es",
             s->micro_batches, plan->micro_batches);
    if (plan->rows != rows_of(s))
        FAIL(ERR_USAGE,
             "--plan %s has micro-batches of %lld row%s, a batch of %lld has %lld; give --batch "
             "%lld",
             s->plan_file, (long long)plan->rows, plan->rows == 1 ? "" : "s", (long long)s->batch,
             (long long)rows_of(s),
             (long long)plan->rows * plan->micro_batches * plan->local_shards * plan->ranks);
    return OK;
}

static bool same_parameter(const Program *p, const Logical *a, const Program *q, const Logical *b) {
    return b->role == ROLE_PARAMETER && a->dims == b->dims &&
           !strcmp(program_name(p, a->name), program_name(q, b->name)) &&
           !memcmp(a->shape, b->shape, sizeof a->shape[0] * a->dims);
}

Status plan_job_check_parameters(const Program *p, const Program *model, const char *model_name,
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
        if (l->dtype != s->dtype)
            FAIL(ERR_USAGE, "%s: parameter %s is %s; give --dtype %s", s->plan_file,
                 program_name(p, l->name), dtype_name((Dtype)l->dtype),
                 dtype_name((Dtype)l->dtype));
    }
    return OK;
}
