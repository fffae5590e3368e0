// SPDX-License-Identifier: MIT
// The launcher's part of --trace and --record: ranks write their own files.
#include "programs/train_traces.h"

#include "core/record/trace.h"
#include "core/record/values.h"

#include <stdio.h>

static Status write_merged(const JobOptions *o, const Job *job, const Training *t, Log *l) {
    Arena a = {0};
    const int ranks = o->spec.ranks;
    const Program **programs = ARENA_NEW(&a, const Program *, ranks);
    const Timeline **timelines = ARENA_NEW(&a, const Timeline *, ranks);
    char path[4200];
    int steps = 0, recorded = 0;
    Status s = programs && timelines ? OK : ERR_MEMORY;
    if (s != OK) s = status_fail(s, __FILE__, __LINE__, "out of memory for %d traces", ranks);
    for (int r = 0; s == OK && r < ranks; r++) {
        programs[r] = job_program(job, r);
        timelines[r] = &t->shared->results[r].timeline;
        if (timelines[r]->step_count > recorded) recorded = timelines[r]->step_count;
    }
    snprintf(path, sizeof path, "%s/" TRACE_MERGED "%s", o->trace, o->compress_trace ? ".gz" : "");
    if (s == OK) s = trace_write_merged(path, &steps, programs, timelines, ranks);
    if (s == OK && steps < recorded)
        log_say(l, LOG_NOTE, "%s shows the first %d of %d steps; rank<N>.json have all", path,
                steps, recorded);
    arena_finish(&a);
    return s;
}

// The last step that was done: a run that was interrupted ends before its own last one.
static int last_step(const Job *job, const Timeline *t) {
    int last = t->unrecorded ? t->last_unrecorded.step : NONE;
    for (int i = t->step_count - 1; last == NONE && i >= 0; i--)
        if (t->steps[i].rows) last = t->steps[i].step;
    return last < job->options.record_last ? last : job->options.record_last;
}

Status train_finish_traces(const Job *job, const Training *t, Log *l) {
    const JobOptions *o = &job->options;
    int removed = 0;
    if (o->trace) TRY(write_merged(o, job, t, l));
    if (o->trace) TRY(trace_remove_stale(&removed, o->trace, o->spec.ranks, o->compress_trace));
    if (removed)
        log_say(l, LOG_NOTE, "%s: removed %d trace%s that an earlier run left", o->trace, removed,
                removed == 1 ? "" : "s");
    removed = 0;
    if (o->record)
        TRY(values_remove_stale(&removed, o->record, o->spec.ranks, o->record_first,
                                last_step(job, &t->shared->results[0].timeline)));
    if (removed)
        log_say(l, LOG_NOTE, "%s: removed %d file%s of values that an earlier run left", o->record,
                removed, removed == 1 ? "" : "s");
    return OK;
}
