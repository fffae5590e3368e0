// SPDX-License-Identifier: MIT
// The report of a run, from what its ranks have left behind.
#include "core/base/clock.h"
#include "parallel/run/launch.h"

// When rank 0 began its first training step; empty when it began none. What is known of it is the
// monotonic clock, which is compared with the time of day now.
static void set_started(Report *r, const RunShared *shared) {
    const Timeline *t = &shared->results[0].timeline;
    for (int i = 0; i < t->step_count && !*r->started; i++) {
        int64_t began_ns = shared->origin_ns + t->steps[i].start_ps / 1000;
        if (t->steps[i].rows) clock_print_utc(r->started, clock_utc_ns() - (clock_ns() - began_ns));
    }
}

Status launch_report(Report *r, Arena *a, const Job *job, const Training *t) {
    int ranks = job->options.spec.ranks;
    const Program **programs = ARENA_NEW(a, const Program *, ranks);
    const Timeline **timelines = ARENA_NEW(a, const Timeline *, ranks);
    MemoryUse *memory = ARENA_NEW(a, MemoryUse, ranks);
    if (!programs || !timelines || !memory) FAIL(ERR_MEMORY, "out of memory for the report");
    for (int i = 0; i < ranks; i++) {
        programs[i] = job_program(job, i);
        timelines[i] = &t->shared->results[i].timeline;
    }
    TRY(report_from_timelines(r, a, programs, timelines, ranks));
    for (int i = 0; i < ranks; i++) {
        memory[i] = r->memory[i];
        memory[i].unplanned = t->shared->results[i].unplanned_bytes;
    }
    r->memory = memory;
    r->run = job->options.info;
    r->run.disturbed = t->shared->results[0].disturbed;
    r->evaluations = t->shared->results[0].evaluations;
    r->evaluation_count = t->shared->results[0].evaluation_count;
    set_started(r, t->shared);
    r->wall_s = (double)t->wall_ns * 1e-9;
    r->parameters_hash = t->shared->results[0].parameters_hash;
    host_info_read(&r->machine);
    return OK;
}
