// SPDX-License-Identifier: MIT
#include "sim/predict.h"

#include "core/base/units.h"
#include "core/plan/check.h"
#include "core/platform/device_traits.h"
#include "parallel/strategy/strategy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- reading

static double median_step_ms(const Timeline *t, int plan) {
    double *ms = malloc(((size_t)t->step_count + 1) * sizeof *ms), median = (double)NAN;
    int count = 0, seen = 0;
    for (int i = 0; ms && i < t->step_count; i++) {
        const StepRecord *s = &t->steps[i];
        if (s->plan != plan || !s->complete || seen++ == 0) continue;
        ms[count++] = (double)(s->end_ps - s->start_ps) * 1e-9;
    }
    if (count) median = spread_of(ms, count).median;
    free(ms);
    return median;
}

static Status read_costs(Recording *r, Arena *a) {
    r->costs = ARENA_NEW(a, Costs, r->ranks);
    if (!r->costs) FAIL(ERR_MEMORY, "out of memory for the costs of %d ranks", r->ranks);
    r->step_ms = 0;
    for (int k = 0; k < r->ranks; k++) {
        TRY(costs_init(&r->costs[k], a, &r->traces[k].program));
        TRY(costs_from_timeline(&r->costs[k], &r->traces[k].timeline, false));
        r->step_ms += median_step_ms(&r->traces[k].timeline, r->plan) / r->ranks;
    }
    return OK;
}

Status recording_read(Recording *r, Arena *a, const char *path) {
    *r = (Recording){0};
    TRY(trace_read_all(&r->traces, &r->ranks, a, path));
    r->plan = program_find_plan(&r->traces[0].program, "step");
    Status s = OK;
    if (r->traces[0].run.ranks != r->ranks)
        s = status_fail(ERR_INPUT, __FILE__, __LINE__,
                        "%s has the traces of %d of %d ranks; a simulation needs all", path,
                        r->ranks, r->traces[0].run.ranks);
    else if (r->plan == NONE)
        s = status_fail(ERR_FORMAT, __FILE__, __LINE__,
                        "%s: the recorded program has no plan \"step\"", path);
    else if ((s = trace_check_one_program(r->traces, r->ranks, path)) == OK)
        s = read_costs(r, a);
    if (s != OK) recording_finish(r);
    return s;
}

void recording_finish(Recording *r) {
    for (int k = 0; k < r->ranks; k++) trace_finish(&r->traces[k]);
    *r = (Recording){0};
}

// --- the program of the job on other ranks

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
    if (buckets) TRY(units_parse_list(&caps, buckets));
    int found = algorithm ? algorithm_find(algorithm, (int)strlen(algorithm)) : ALGORITHM_DIRECT;
    if (caps.count != 2 || found < 0)
        FAIL(ERR_FORMAT, "the trace's strategy has bucket_kib %s and all_reduce %s", buckets,
             algorithm);
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

Status predict_program(Program *out, Arena *a, const RunInfo *run, const Program *recorded,
                       int ranks) {
    if (run->batch % run->ranks)
        FAIL(ERR_USAGE,
             "the recorded batch of %lld is uneven over %d ranks, so there is no batch per rank to "
             "keep",
             (long long)run->batch, run->ranks);
    Model model;
    StrategyOptions strategy;
    const char *accumulate = setting(run, "accumulate");
    TRY(model_read(&model, a, run->model));
    TRY(read_strategy(&strategy, run));
    const StepSpec spec = {.dtype = (Dtype)dtype_find(run->dtype, (int)strlen(run->dtype)),
                           .batch = run->batch / run->ranks * ranks,
                           .shards = run->shards / run->ranks * ranks,
                           .micro_batches = accumulate ? atoi(accumulate) : 1,
                           .evaluation_rows = EVALUATION_ROWS,
                           .sgd = read_sgd(recorded),
                           .data_axis_size = ranks};
    return strategy_program(out, &model, &spec, &strategy);
}

// --- simulating

typedef struct {
    const Program *program;
    const Costs *const *costs;
    const HostModel *host;
    int plan, ranks;
    int64_t batch;
    bool corun;
} Step;

static Status create_timelines(Timeline *lines, Timeline **pointers, const Step *step) {
    for (int r = 0; r < step->ranks; r++) {
        TRY(timeline_create(&lines[r], r, 1, step->program->plans[step->plan].op_count + 1));
        pointers[r] = &lines[r];
    }
    return OK;
}

static Status simulate_step(Prediction *out, Arena *a, const Step *step, Timeline *lines) {
    Timeline **pointers = ARENA_NEW(a, Timeline *, step->ranks);
    const Program **programs = ARENA_NEW(a, const Program *, step->ranks);
    if (!pointers || !programs) FAIL(ERR_MEMORY, "out of memory for %d ranks", step->ranks);
    TRY(create_timelines(lines, pointers, step));
    const SimulateOptions o = {.program = step->program,
                               .costs = step->costs,
                               .host = step->host,
                               .plan = step->plan,
                               .ranks = step->ranks,
                               .corun = step->corun};
    TRY(simulate_host(pointers, &o));
    for (int r = 0; r < step->ranks; r++) {
        programs[r] = step->program;
        lines[r].steps[0].rows = (int32_t)step->batch;
        lines[r].steps[0].loss = (double)NAN;
        if (lines[r].steps[0].end_ps > out->step_ps) out->step_ps = lines[r].steps[0].end_ps;
    }
    return report_from_timelines(&out->report, a, programs, (const Timeline *const *)pointers,
                                 step->ranks);
}

static Status simulate(Prediction *out, Arena *a, const Step *step, const RunInfo *run) {
    Timeline *lines = ARENA_NEW(a, Timeline, step->ranks);
    if (!lines) FAIL(ERR_MEMORY, "out of memory for %d ranks", step->ranks);
    Status s = simulate_step(out, a, step, lines);
    for (int r = 0; r < step->ranks; r++) timeline_destroy(&lines[r]);
    out->report.run = *run;
    out->report.run.kind = "sim";
    out->report.run.ranks = step->ranks;
    out->report.run.shards = run->shards / run->ranks * step->ranks;
    out->report.run.batch = step->batch;
    return s;
}

Status predict_replay(Prediction *out, Arena *a, const Recording *r) {
    *out = (Prediction){.replay = true};
    const Costs **costs = ARENA_NEW(a, const Costs *, r->ranks);
    if (!costs) FAIL(ERR_MEMORY, "out of memory for %d ranks", r->ranks);
    for (int k = 0; k < r->ranks; k++) costs[k] = &r->costs[k];
    const HostModel host = {.cores = r->ranks, .spin_ps = INT64_MAX, .corun_permille = 1000};
    const RunInfo *run = &r->traces[0].run;
    return simulate(out, a,
                    &(Step){.program = &r->traces[0].program,
                            .costs = costs,
                            .host = &host,
                            .plan = r->plan,
                            .ranks = r->ranks,
                            .batch = run->batch},
                    run);
}

static Status lower_for(Program *p, const RunInfo *run, int ranks) {
    const DeviceTraits *traits = device_traits(run->device);
    if (!traits) FAIL(ERR_FORMAT, "the trace is of an unknown device %s", run->device);
    TRY(plan_check((const Program *const[]){p}, NULL, ranks));
    return program_lower(p, traits);
}

static Status predict_with(Prediction *out, Arena *a, const Recording *r, const HostModel *host,
                           int ranks, Program *p) {
    const RunInfo *run = &r->traces[0].run;
    Costs known;
    const Costs **costs = ARENA_NEW(a, const Costs *, ranks);
    if (!costs) FAIL(ERR_MEMORY, "out of memory for %d ranks", ranks);
    TRY(predict_program(p, a, run, &r->traces[0].program, ranks));
    TRY(lower_for(p, run, ranks));
    TRY(costs_init(&known, a, p));
    costs_share(&known, &r->costs[0]);
    costs_from_host(&known, host);
    for (int k = 0; k < ranks; k++) costs[k] = &known;
    return simulate(out, a,
                    &(Step){.program = p,
                            .costs = costs,
                            .host = host,
                            .plan = program_find_plan(p, "step"),
                            .ranks = ranks,
                            .batch = run->batch / run->ranks * ranks,
                            .corun = ranks > r->ranks},
                    run);
}

Status predict_ranks(Prediction *out, Arena *a, const Recording *r, const HostModel *host,
                     int ranks) {
    *out = (Prediction){0};
    Program p = {0};
    Status s = predict_with(out, a, r, host, ranks, &p);
    program_finish(&p);
    return s;
}
