// SPDX-License-Identifier: MIT
// A recorded run simulated again: each recorded step, or steps that ranks draw from their own. Read
// predict_replay() first.
#include "core/platform/device_traits.h"
#include "sim/predict_internal.h"
#include "sim/step_draws.h"

static Status draw_steps(Prediction *out, Costs *costs, Arena *a, const Recording *r,
                         const StepDraws *draws) {
    const StepCosts **each = ARENA_NEW(a, const StepCosts *, r->ranks);
    if (!each) FAIL(ERR_MEMORY, "out of memory for %d ranks", r->ranks);
    if (!out->steps)
        FAIL(ERR_INPUT, "no recorded step has the durations of all operations, so that none can be "
                        "drawn; without --jitter medians are replayed");
    out->steps = 1 + (draws->steps ? draws->steps : r->steps);
    out->drawn = true;
    out->apart = draws->apart;
    int64_t ops = 0;
    for (int k = 0; k < r->ranks; k++) ops += r->costs[k].steps.ops;
    TRY(run_check_room(r->ranks, ops, out->steps));
    for (int k = 0; k < r->ranks; k++) {
        each[k] = &r->costs[k].steps;
        TRY(step_draws_make(&costs[k].steps, a, draws->seed, draws->apart ? k : 0, out->steps));
    }
    return step_draws_correlation(&out->correlation, each, r->ranks);
}

// As it was described when it ran; and how steps were drawn.
static Status describe(Prediction *out, Arena *a, const RunInfo *run, const StepDraws *draws) {
    int count = run->strategy_count;
    RunSetting *strategy = ARENA_NEW(a, RunSetting, count + 1);
    if (!strategy) FAIL(ERR_MEMORY, "out of memory");
    for (int i = 0; i < count; i++) strategy[i] = run->strategy[i];
    if (draws) strategy[count++] = (RunSetting){"jitter", draws->apart ? "apart" : "recorded"};
    out->report.run.strategy = strategy;
    out->report.run.strategy_count = count;
    return OK;
}

Status predict_replay(Prediction *out, Arena *a, const Recording *r, const StepDraws *draws) {
    *out = (Prediction){.replay = true, .steps = r->costs[0].steps.count};
    Costs *own = ARENA_NEW(a, Costs, r->ranks);
    const Costs **costs = ARENA_NEW(a, const Costs *, r->ranks);
    RunClass *classes = ARENA_NEW(a, RunClass, r->ranks);
    if (!own || !costs || !classes) FAIL(ERR_MEMORY, "out of memory for %d ranks", r->ranks);
    for (int k = 0; k < r->ranks; k++) {
        own[k] = r->costs[k];
        costs[k] = &own[k];
        classes[k] = (RunClass){&own[k], 1};
    }
    if (draws) TRY(draw_steps(out, own, a, r, draws));
    HostModel host = {.cores = r->ranks, .spin_ps = INT64_MAX};
    if (r->has_machine && r->machine.is_host) {
        host.poll_ps = r->machine.host.poll_ps;
        if (!out->steps && r->ranks > r->machine.host.cores) host = r->machine.host;
    }
    SimJob job;
    TRY(sim_job_recorded(&job, &r->traces[0].run, &r->set));
    bool timed = device_traits_platform(job.spec.device) != NULL;
    TRY(predict_execute(out, a,
                        &(Run){.classes = classes,
                               .class_count = r->ranks,
                               .differ = true,
                               .costs = costs,
                               .host = timed ? NULL : &host,
                               .plan = r->plan,
                               .ranks = r->ranks,
                               .steps = out->steps         ? out->steps
                                        : r->set.count > 1 ? RUN_STEPS
                                                           : 1,
                               .batch = job.spec.batch},
                        &job));
    if (out->steps) out->step_ms = out->report.step_ms.median;
    return describe(out, a, &r->traces[0].run, draws);
}
