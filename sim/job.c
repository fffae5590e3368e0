// SPDX-License-Identifier: MIT
// The job of a trace from its settings, and the program of a job; the
// same strategy_program() as the trainer's.
#include "sim/job.h"

#include "core/base/file.h"
#include "core/plan/check.h"
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"

#include <string.h>

static Sgd read_sgd(const Program *p) {
    for (int w = 0; w < p->work_count; w++)
        if (p->works[w].kind == KIND_SGD)
            return (Sgd){work_real(p, &p->works[w], 0), work_real(p, &p->works[w], 1),
                         work_attr(p, &p->works[w], 2) != 0};
    return (Sgd){0};
}

// What the optimizer does is read from the plan: the plan may have been a file's, and descriptions
// of before that was kept do not say.
Status sim_job_recorded(SimJob *out, const RunInfo *run, const Program *program) {
    *out = (SimJob){0};
    TRY(job_spec_recorded(&out->spec, run));
    out->spec.sgd = read_sgd(program);
    return OK;
}

Status sim_job_resize(SimJob *out, const SimJob *job, int ranks, bool keep_batch) {
    *out = *job;
    JobSpec *spec = &out->spec;
    if (ranks != spec->ranks && !keep_batch) {
        if (spec->batch % spec->ranks)
            FAIL(ERR_USAGE,
                 "a batch of %lld over %d ranks is uneven, so there is no batch per rank to keep; "
                 "give --batch or --batch-per-rank",
                 (long long)spec->batch, spec->ranks);
        spec->batch = spec->batch / spec->ranks * ranks;
    }
    spec->ranks = ranks;
    return job_spec_check(spec);
}

static Status read_plan(Program *out, Arena *a, const SimJob *job) {
    char *text;
    size_t length;
    TRY(file_read(&text, &length, a, job->spec.plan_file));
    TRY(plan_text_parse(out, text, length, job->spec.plan_file));
    if (out->lowered)
        FAIL(ERR_USAGE, "--plan %s is lowered already; give one of --print-plan step",
             job->spec.plan_file);
    if (program_ranks(out) != job->spec.ranks)
        FAIL(ERR_USAGE, "--plan %s is for %d rank%s, not for %d", job->spec.plan_file,
             program_ranks(out), program_ranks(out) == 1 ? "" : "s", job->spec.ranks);
    return OK;
}

Status sim_job_program(Program *out, Arena *a, const SimJob *job) {
    if (job->spec.plan_file) return read_plan(out, a, job);
    Model model;
    TRY(model_read(&model, a, job->spec.model));
    return job_spec_program(out, &job->spec, &model);
}

Status sim_job_lowered(Program *out, Arena *a, const SimJob *job) {
    const DeviceTraits *traits = device_traits(job->spec.device);
    if (!traits) FAIL(ERR_FORMAT, "the trace is of an unknown device %s", job->spec.device);
    TRY(sim_job_program(out, a, job));
    TRY(plan_check((const Program *const[]){out}, NULL, job->spec.ranks));
    TRY(program_lower(out, traits));
    if (program_find_plan(out, "step") == NONE)
        FAIL(ERR_PLAN, "%s has no plan \"step\"",
             job->spec.plan_file ? job->spec.plan_file : job->spec.model);
    return OK;
}
