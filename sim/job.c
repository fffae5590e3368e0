// SPDX-License-Identifier: MIT
#include "sim/job.h"

#include "core/base/file.h"
#include "core/base/units.h"
#include "core/plan/check.h"
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"

#include <stdlib.h>
#include <string.h>

static const char *setting(const RunInfo *run, const char *key) {
    for (int i = 0; i < run->strategy_count; i++)
        if (!strcmp(run->strategy[i].key, key)) return run->strategy[i].value;
    return NULL;
}

// What a run of one rank does not say of its strategy is as train's defaults.
static Status read_strategy(StrategyOptions *out, const RunInfo *run) {
    IntList caps = {.items = {4, 32}, .count = 2};
    const char *buckets = setting(run, "bucket_kib"), *algorithm = setting(run, "all_reduce"),
               *overlap = setting(run, "overlap");
    bool listed = !buckets || units_parse_list(&caps, buckets) == OK;
    if (!listed || caps.count != 2 || caps.items[0] > INT64_MAX / 1024 ||
        caps.items[1] > INT64_MAX / 1024)
        FAIL(ERR_FORMAT,
             "the trace's strategy has bucket_kib \"%.60s\": expected two numbers such as 4,32",
             buckets);
    int found = algorithm ? algorithm_find(algorithm, (int)strlen(algorithm)) : ALGORITHM_DIRECT;
    if (found < 0)
        FAIL(ERR_FORMAT, "the trace's strategy has all_reduce \"%.60s\": expected %s", algorithm,
             ALGORITHM_WORDS);
    *out = (StrategyOptions){.first_bucket_bytes = caps.items[0] * 1024,
                             .bucket_bytes = caps.items[1] * 1024,
                             .no_overlap = overlap && !strcmp(overlap, "false"),
                             .algorithm = (Algorithm)found};
    return OK;
}

static Sgd read_sgd(const Program *p) {
    for (int w = 0; w < p->work_count; w++)
        if (p->works[w].kind == KIND_SGD)
            return (Sgd){work_real(p, &p->works[w], 0), work_real(p, &p->works[w], 1),
                         work_attr(p, &p->works[w], 2) != 0};
    return (Sgd){0};
}

Status sim_job_recorded(SimJob *out, const RunInfo *run, const Program *program) {
    const char *accumulate = setting(run, "accumulate");
    int dtype = dtype_find(run->dtype, (int)strlen(run->dtype));
    long micro_batches = accumulate ? strtol(accumulate, NULL, 10) : 1;
    if (dtype != DTYPE_F32 && dtype != DTYPE_F64)
        FAIL(ERR_FORMAT, "the trace is of a run in %s; expected f32 or f64", run->dtype);
    if (micro_batches < 1 || micro_batches > 4096)
        FAIL(ERR_FORMAT, "the trace's strategy accumulates %s micro-batches", accumulate);
    *out = (SimJob){.model = run->model,
                    .device = run->device,
                    .plan_file = setting(run, "plan"),
                    .dtype = (Dtype)dtype,
                    .ranks = run->ranks,
                    .shards = run->shards == run->ranks ? 0 : run->shards,
                    .micro_batches = (int)micro_batches,
                    .batch = run->batch,
                    .seed = run->seed,
                    .sgd = read_sgd(program),
                    .settings = run->strategy,
                    .setting_count = run->strategy_count};
    return read_strategy(&out->strategy, run);
}

static int shards_of(const SimJob *job) { return job->shards ? job->shards : job->ranks; }

Status sim_job_resize(SimJob *out, const SimJob *job, int ranks, bool keep_batch) {
    *out = *job;
    if (ranks != job->ranks && !keep_batch) {
        if (job->batch % job->ranks)
            FAIL(ERR_USAGE,
                 "a batch of %lld over %d ranks is uneven, so there is no batch per rank to keep; "
                 "give --batch or --batch-per-rank",
                 (long long)job->batch, job->ranks);
        out->batch = job->batch / job->ranks * ranks;
    }
    out->ranks = ranks;
    int shards = shards_of(out);
    if (shards % ranks)
        FAIL(ERR_USAGE, "%d shards are not a multiple of %d ranks; try --shards %d", shards, ranks,
             (shards / ranks + 1) * ranks);
    if (out->batch / shards < job->micro_batches)
        FAIL(ERR_USAGE,
             "a batch of %lld gives each of %d shards %lld rows, fewer than its %d micro-batch%s; "
             "try --batch %lld",
             (long long)out->batch, shards, (long long)(out->batch / shards), job->micro_batches,
             job->micro_batches == 1 ? "" : "es", (long long)shards * job->micro_batches);
    return OK;
}

static Status read_plan(Program *out, Arena *a, const SimJob *job) {
    char *text;
    size_t length;
    TRY(file_read(&text, &length, a, job->plan_file));
    TRY(plan_text_parse(out, text, length, job->plan_file));
    if (out->lowered)
        FAIL(ERR_USAGE, "--plan %s is lowered already; give one of --print-plan step",
             job->plan_file);
    if (program_ranks(out) != job->ranks)
        FAIL(ERR_USAGE, "--plan %s is for %d rank%s, not for %d", job->plan_file,
             program_ranks(out), program_ranks(out) == 1 ? "" : "s", job->ranks);
    return OK;
}

Status sim_job_program(Program *out, Arena *a, const SimJob *job) {
    if (job->plan_file) return read_plan(out, a, job);
    Model model;
    TRY(model_read(&model, a, job->model));
    const StepSpec spec = {.dtype = job->dtype,
                           .batch = job->batch,
                           .shards = shards_of(job),
                           .micro_batches = job->micro_batches,
                           .evaluation_rows = EVALUATION_ROWS,
                           .sgd = job->sgd,
                           .data_axis_size = job->ranks};
    return strategy_program(out, &model, &spec, &job->strategy);
}

Status sim_job_lowered(Program *out, Arena *a, const SimJob *job) {
    const DeviceTraits *traits = device_traits(job->device);
    if (!traits) FAIL(ERR_FORMAT, "the trace is of an unknown device %s", job->device);
    TRY(sim_job_program(out, a, job));
    TRY(plan_check((const Program *const[]){out}, NULL, job->ranks));
    TRY(program_lower(out, traits));
    if (program_find_plan(out, "step") == NONE)
        FAIL(ERR_PLAN, "%s has no plan \"step\"", job->plan_file ? job->plan_file : job->model);
    return OK;
}
