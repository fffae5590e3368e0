// SPDX-License-Identifier: MIT
// Schedules by parallel/strategy/pipeline_schedule.h, the trainer, and the simulator.
#include "lessons/15_pipeline/pipeline_runs.h"

#include "lessons/engine/trial.h"

static const ScheduleKind KINDS[PIPELINE_KINDS] = {SCHEDULE_GPIPE, SCHEDULE_1F1B};
const int pipeline_depths[PIPELINE_DEPTHS] = {2, 4, 8, 16, 32};

double pipeline_bubble(const PipelineTimes *t) { return (double)t->bubble[0] / (double)t->step; }

int pipeline_best_depth(const Pipeline *x) {
    int best = 0;
    for (int i = 1; i < PIPELINE_DEPTHS; i++)
        if (x->depth_us[i] < x->depth_us[best]) best = i;
    return best;
}

static Status time_schedule(PipelineTimes *out, const LessonRun *run, const PipelineShape *shape,
                            const PipelineCosts *costs, bool *in_order) {
    PipelineSchedule s;
    TRY(pipeline_schedule_create(&s, run->arena, shape));
    Status checked = pipeline_schedule_check(&s);
    if (checked != OK && checked != ERR_PLAN) return checked;
    *in_order &= checked == OK;
    return pipeline_schedule_time(out, &s, costs);
}

// A step of all layers on so many ranks, each stage with as many of them.
static Status time_depths(Pipeline *x, const LessonRun *run) {
    for (int i = 0; i < PIPELINE_DEPTHS; i++) {
        PipelineTimes t;
        int64_t pass = x->layer_us * x->layers / pipeline_depths[i];
        const PipelineShape shape = {SCHEDULE_1F1B, pipeline_depths[i], 1, x->few};
        const PipelineCosts costs = {pass, pass, pass, x->message_us};
        TRY(time_schedule(&t, run, &shape, &costs, &x->in_order));
        x->depth_us[i] = t.step;
    }
    return OK;
}

Status pipeline_draw(const LessonRun *run, void *state) {
    Pipeline *x = state;
    Rng r = lesson_rng(run, 0);
    x->ranks = 3 + (int)rng_below(&r, 4);
    x->micro_batches = x->ranks + 1 + (int)rng_below(&r, 4);  // one digit each in a drawing
    x->rows = x->micro_batches * (2 << rng_below(&r, 3));
    x->rank = 1 + (int)rng_below(&r, (uint32_t)x->ranks - 2);
    x->in_order = true;
    for (int k = 0; k < PIPELINE_KINDS; k++) {
        const PipelineShape shape = {KINDS[k], x->ranks, 1, x->micro_batches};
        const PipelineCosts costs = {1, 1, 1, 0};
        TRY(time_schedule(&x->times[k], run, &shape, &costs, &x->in_order));
    }
    x->layers = 32;
    x->few = 4 + 2 * (int)rng_below(&r, 3);
    x->layer_us = 100;
    x->message_us = 50 + 25 * (int)rng_below(&r, 7);
    x->run_ranks = 2 + (int)rng_below(&r, 2);
    x->run_micro_batches = x->run_ranks * (3 + (int)rng_below(&r, 3));
    return time_depths(x, run);
}

// --- runs

static Status train(PipelineRun *out, const LessonRun *run, const JobOptions *o) {
    Trial t;
    TRY(trial_train(&t, run, o));
    *out = (PipelineRun){.loss = t.loss[t.steps - 1], .hash = t.hash};
    return OK;
}

// Activations of a step on the first stage, as planned.
static Status plan(PipelineRun *out, const LessonRun *run, const JobSpec *spec) {
    ProgramSet set = {0};
    Status s = sim_job_step(&set, run->arena, &(SimJob){.spec = *spec});
    if (s == OK)
        out->activation_bytes =
            (double)program_memory(program_set_program(&set, 0), MEMORY_ACTIVATIONS);
    program_set_finish(&set);
    return s;
}

static Status train_schedules(Pipeline *x, const LessonRun *run) {
    JobOptions o = trial_options();
    o.spec.model = "mlp:hidden=64,layers=8";
    o.spec.micro_batches = x->run_micro_batches;
    o.spec.batch = 4 * x->run_micro_batches;
    o.data = "digits:count=64";
    o.test_fraction = 0;
    o.steps = 1;
    TRY(train(&x->alone, run, &o));
    o.spec.ranks = o.spec.mesh.pipe = x->run_ranks;
    for (int k = 0; k < PIPELINE_KINDS; k++) {
        o.spec.strategy.schedule.word = (int)KINDS[k];
        TRY(train(&x->run[k], run, &o));
        TRY(plan(&x->run[k], run, &o.spec));
    }
    return OK;
}

static Status simulate_gpt(Pipeline *x, const LessonRun *run) {
    JobSpec spec = trial_options().spec;
    Prediction p;
    spec.model = "gpt:layers=8,hidden=256";
    spec.ranks = spec.mesh.pipe = x->run_ranks;
    spec.micro_batches = x->run_micro_batches;
    spec.batch = 64 * spec.micro_batches;
    for (int k = 0; k < PIPELINE_KINDS; k++) {
        spec.strategy.schedule.word = (int)KINDS[k];
        TRY(trial_predict(&p, run, &spec, "dgx-h100"));
        x->gpt_step_ms[k] = p.step_ms;
        const double *ms = p.report.breakdown_ms;
        x->gpt_bubble = (ms[TIME_BUBBLE] + ms[TIME_WAITING] + ms[TIME_EXPOSED_COMM]) / p.step_ms;
    }
    x->gpt_formula = (spec.ranks - 1.0) / (spec.micro_batches + spec.ranks - 1.0);
    return OK;
}

Status pipeline_train(const LessonRun *run, void *state) {
    Pipeline *x = state;
    TRY(train_schedules(x, run));
    TRY(simulate_gpt(x, run));
    x->ran = true;
    return OK;
}
