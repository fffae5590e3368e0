// SPDX-License-Identifier: MIT
// Reads all traces of a run, checks that they are of one run, and says what their steps cost.
#include "sim/recording.h"

#include "core/platform/device_traits.h"
#include "core/report/report.h"
#include "sim/step_delays.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

static const StepRecord *step_of(const Recording *r, int rank, int row) {
    return &r->traces[rank].timeline.steps[row];
}

// All ranks have the same rows (trace_read_all()). Their fewest spans of one.
typedef enum { NOT_KEPT, SOME_SPANS, ALL_SPANS } RowSpans;
static RowSpans spans_of(const Recording *r, int row) {
    RowSpans least = ALL_SPANS;
    for (int k = 0; k < r->ranks; k++) {
        const StepRecord *step = step_of(r, k, row);
        if (step->plan != r->plan || !step->complete) return NOT_KEPT;
        if (step->span_count < r->traces[k].program.plans[r->plan].op_count) least = SOME_SPANS;
    }
    return least;
}

static Status find_rows(Recording *r, Arena *a) {
    int count = r->traces[0].timeline.step_count;
    r->rows = ARENA_NEW(a, int, count + 1);
    if (!r->rows) FAIL(ERR_MEMORY, "out of memory for %d recorded steps", count);
    for (int i = 0; i < count; i++) {
        RowSpans spans = spans_of(r, i);
        if (spans == ALL_SPANS) r->rows[r->row_count++] = i;
        r->left_out += spans == SOME_SPANS;
    }
    return OK;
}

static double mean_ms(const Recording *r, int row) {
    double ms = 0;
    for (int k = 0; k < r->ranks; k++) {
        const StepRecord *step = step_of(r, k, row);
        ms += (double)(step->end_ps - step->start_ps) * 1e-9 / r->ranks;
    }
    return ms;
}

// Of the rows; without any, of the steps that count for medians.
static Status measure_steps(Recording *r, Arena *a) {
    int count = r->traces[0].timeline.step_count, first = r->row_count > 1;
    int *steps = ARENA_NEW(a, int, count + 1);
    double *ms = ARENA_NEW(a, double, count + 1);
    if (!steps || !ms) FAIL(ERR_MEMORY, "out of memory for %d recorded steps", count);
    for (int k = 0; k < r->ranks; k++) {
        r->steps = costs_steps(&r->traces[k].timeline, r->plan, steps);
        if (!r->steps)
            FAIL(ERR_FORMAT,
                 "the trace of rank %d has no complete training step; record one with --steps 2 "
                 "or more",
                 k);
    }
    if (r->row_count) r->steps = r->row_count - first;
    for (int i = 0; i < r->steps; i++)
        ms[i] = mean_ms(r, r->row_count ? r->rows[first + i] : steps[i]);
    r->step_ms = statistics_spread(ms, r->steps);
    r->step_tails_ms = statistics_tails(ms, r->steps);
    return OK;
}

static Status read_costs(Recording *r, Arena *a) {
    r->costs = ARENA_NEW(a, Costs, r->ranks);
    if (!r->costs) FAIL(ERR_MEMORY, "out of memory for the costs of %d ranks", r->ranks);
    bool shared = r->has_machine && r->machine.is_host && r->ranks > r->machine.host.cores;
    for (int k = 0; k < r->ranks; k++) {
        const Timeline *t = &r->traces[k].timeline;
        TRY(costs_init(&r->costs[k], a, &r->traces[r->traces[k].like].program));
        TRY(costs_from_timeline(&r->costs[k], t, shared));
        TRY(step_costs_read(&r->costs[k].steps, a, r->costs[k].program, r->plan, t, r->rows,
                            r->row_count));
    }
    if (device_traits_platform(r->traces[0].run.device)) return OK;
    const StepDelays delays = {
        .traces = r->traces,
        .costs = r->costs,
        .ranks = r->ranks,
        .plan = r->plan,
        .rows = r->rows,
        .poll_ps = r->has_machine && r->machine.is_host ? r->machine.host.poll_ps : 0};
    return step_delays_read(&delays, a);
}

Status recording_measure(Recording *r, Arena *a) {
    TRY(find_rows(r, a));
    TRY(measure_steps(r, a));
    return read_costs(r, a);
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
    return recording_measure(r, a);
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
