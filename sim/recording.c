// SPDX-License-Identifier: MIT
#include "sim/recording.h"

#include "core/record/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Milliseconds of the recorded executions of a plan, the first left out unless it is the only one.
static int collect_steps(const Timeline *t, int plan, double *ms) {
    int count = 0, first = 0;
    for (int i = 0; i < t->step_count; i++) {
        const StepRecord *s = &t->steps[i];
        if (s->plan != plan || !s->complete) continue;
        double took = (double)(s->end_ps - s->start_ps) * 1e-9;
        if (first++ == 0)
            ms[0] = took;
        else
            ms[count++] = took;
    }
    return first == 1 ? 1 : count;
}

static Status measure_steps(Recording *r) {
    r->step_ms = 0;
    for (int k = 0; k < r->ranks; k++) {
        const Timeline *t = &r->traces[k].timeline;
        double *ms = malloc(((size_t)t->step_count + 1) * sizeof *ms);
        if (!ms) FAIL(ERR_MEMORY, "out of memory for %d recorded steps", t->step_count);
        r->steps = collect_steps(t, r->plan, ms);
        Spread steps = spread_of(ms, r->steps);
        free(ms);
        if (!r->steps)
            FAIL(ERR_FORMAT,
                 "the trace of rank %d has no complete training step; record one with --steps 2 "
                 "or more",
                 k);
        r->step_ms += steps.median / r->ranks;
        if (k == 0) r->spread = (steps.p90 - steps.p10) / steps.median;
    }
    return OK;
}

static Status read_costs(Recording *r, Arena *a) {
    r->costs = ARENA_NEW(a, Costs, r->ranks);
    if (!r->costs) FAIL(ERR_MEMORY, "out of memory for the costs of %d ranks", r->ranks);
    bool shared = r->has_machine && r->machine.is_host && r->ranks > r->machine.host.cores;
    for (int k = 0; k < r->ranks; k++) {
        TRY(costs_init(&r->costs[k], a, &r->traces[k].program));
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
    r->plan = program_find_plan(&r->traces[0].program, "step");
    if (r->plan == NONE) FAIL(ERR_FORMAT, "%s: the recorded program has no plan \"step\"", path);
    if (run->batch < 1) FAIL(ERR_FORMAT, "%s: a batch of %lld rows", path, (long long)run->batch);
    if (program_ranks(&r->traces[0].program) != r->ranks)
        FAIL(ERR_FORMAT, "%s: the recorded program is of %d ranks, the run of %d", path,
             program_ranks(&r->traces[0].program), r->ranks);
    TRY(trace_check_one_program(r->traces, r->ranks, path));
    TRY(read_machine(r, a, path));
    TRY(measure_steps(r));
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
