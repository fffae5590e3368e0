// SPDX-License-Identifier: MIT
// Reads all traces of a run, checks that they are of one run, and takes medians of their steps.
#include "sim/recording.h"

#include "core/report/report.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

static Status measure_steps(Recording *r, Arena *a) {
    r->step_ms = 0;
    for (int k = 0; k < r->ranks; k++) {
        const Timeline *t = &r->traces[k].timeline;
        int *steps = ARENA_NEW(a, int, t->step_count + 1);
        double *ms = ARENA_NEW(a, double, t->step_count + 1);
        if (!steps || !ms) FAIL(ERR_MEMORY, "out of memory for %d recorded steps", t->step_count);
        r->steps = costs_steps(t, r->plan, steps);
        if (!r->steps)
            FAIL(ERR_FORMAT,
                 "the trace of rank %d has no complete training step; record one with --steps 2 "
                 "or more",
                 k);
        for (int i = 0; i < r->steps; i++)
            ms[i] = (double)(t->steps[steps[i]].end_ps - t->steps[steps[i]].start_ps) * 1e-9;
        Spread spread = statistics_spread(ms, r->steps);
        r->step_ms += spread.median / r->ranks;
        if (k == 0) r->spread = (spread.p90 - spread.p10) / spread.median;
    }
    return OK;
}

static Status read_costs(Recording *r, Arena *a) {
    r->costs = ARENA_NEW(a, Costs, r->ranks);
    if (!r->costs) FAIL(ERR_MEMORY, "out of memory for the costs of %d ranks", r->ranks);
    bool shared = r->has_machine && r->machine.is_host && r->ranks > r->machine.host.cores;
    for (int k = 0; k < r->ranks; k++) {
        TRY(costs_init(&r->costs[k], a, &r->traces[r->traces[k].like].program));
        TRY(costs_from_timeline(&r->costs[k], &r->traces[k].timeline, shared));
    }
    return OK;
}

static Status read_machine(Recording *r, Arena *a, const char *path) {
    char *file = arena_push(a, 4096);
    if (!file) FAIL(ERR_MEMORY, "out of memory");
    int n = snprintf(file, 4096, "%s/machine.yaml", path);
    if (n >= 4096 || access(file, F_OK) != 0) return OK;
    r->has_machine = true;
    return machine_read(&r->machine, a, file);
}

static Status read_all(Recording *r, Arena *a, const char *path) {
    const RunInfo *run = &r->traces[0].run;
    if (run->ranks != r->ranks)
        FAIL(ERR_INPUT, "%s has the traces of %d of %d ranks; a simulation needs all", path,
             r->ranks, run->ranks);
    r->plan = program_find_when(&r->traces[0].program, WHEN_EACH_STEP, 0);
    if (r->plan == NONE)
        FAIL(ERR_FORMAT, "%s: the recorded program has no plan with when=each_step", path);
    if (run->batch < 1) FAIL(ERR_FORMAT, "%s: a batch of %lld rows", path, (long long)run->batch);
    if (program_ranks(&r->traces[0].program) != r->ranks)
        FAIL(ERR_FORMAT, "%s: the recorded program is of %d ranks, the run of %d", path,
             program_ranks(&r->traces[0].program), r->ranks);
    TRY(trace_programs(&r->set, a, r->traces, r->ranks, path));
    TRY(read_machine(r, a, path));
    TRY(measure_steps(r, a));
    return read_costs(r, a);
}

Status recording_read(Recording *r, Arena *a, const char *path) {
    Trace *traces;
    int ranks;
    *r = (Recording){0};
    TRY(trace_read_all(&traces, &ranks, a, path));
    r->traces = traces;
    r->ranks = ranks;
    Status s = read_all(r, a, path);
    if (s != OK) recording_finish(r);
    return s;
}

void recording_finish(Recording *r) {
    for (int k = 0; k < r->ranks; k++) trace_finish(&r->traces[k]);
    *r = (Recording){0};
}
