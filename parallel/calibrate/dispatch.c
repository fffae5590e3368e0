// SPDX-License-Identifier: MIT
// The executor's own time, and what recording adds to it: the plan of the step with
// kernels that do nothing.
#include "parallel/calibrate/calibrate_internal.h"

#include "core/base/clock.h"
#include "parallel/run/executor.h"

static void no_kernel(const KernelCall *call) {}
static void no_load(void *context, const LoadCall *call) {}

static Device empty_device(const Device *like) {
    Device d = *like;
    for (int k = 0; k < KIND_COUNT; k++)
        for (int t = 0; t < 2; t++)
            if (d.kernel[k][t]) d.kernel[k][t] = no_kernel;
    for (int f = 0; f < FUSION_COUNT; f++)
        for (int t = 0; t < 2; t++)
            if (d.fused[f][t]) d.fused[f][t] = no_kernel;
    return d;
}

// Per operation, in ns.
static Status dispatch_once(Executor *e, const Job *job, const Bench *b, double *out_ns) {
    int count = job_program(job, 0)->plans[job->plan_step].op_count;
    if (e->timeline) {
        e->timeline->step_count = e->timeline->span_count = 0;
        timeline_begin_step(e->timeline, job->plan_step, 0, 0);
    }
    int64_t start = clock_ns();
    TRY(executor_run(e, job->plan_step, 0));
    *out_ns = (double)(clock_ns() - start - b->clock_empty_ns) / count;
    if (e->timeline) timeline_end_step(e->timeline, 0);
    return OK;
}

static Status measure_dispatch(Bench *b, const Job *job, Executor *e, Timeline *line) {
    Samples plain, recording;
    int count = b->options->quick ? 100 : 1000;
    TRY(samples_init(&plain, b->arena, count));
    TRY(samples_init(&recording, b->arena, count));
    for (int k = -1; k < count; k++) {
        double without, with;
        e->timeline = NULL;
        TRY(dispatch_once(e, job, b, &without));
        e->timeline = line;
        TRY(dispatch_once(e, job, b, &with));
        if (k < 0) continue;
        samples_add(&plain, without);
        samples_add(&recording, with - without);
    }
    b->out->dispatch_ps = samples_measured(&plain, 1000);
    b->out->span_ps = samples_measured(&recording, 1000);
    return bench_check(b);
}

Status calibrate_dispatch(Bench *b, const Job *job) {
    Arena scratch = {0};
    Executor e = {0};
    Timeline line = {0};
    const Device empty = empty_device(job->device);
    const ExecutorHooks hooks = {.load = no_load};
    Status s = executor_create(&e, &scratch, job_program(job, 0), 0, &empty, NULL, &hooks);
    e.cpu_of_each = true;  // recording costs what it does beside a trace
    if (s == OK)
        s = timeline_create(&line, 0, 1, job_program(job, 0)->plans[job->plan_step].op_count);
    if (s == OK) s = measure_dispatch(b, job, &e, &line);
    timeline_destroy(&line);
    executor_destroy(&e);
    arena_finish(&scratch);
    return s;
}
