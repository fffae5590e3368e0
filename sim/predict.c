// SPDX-License-Identifier: MIT
// Builds what the simulator needs (program, costs, host or topology), runs it, and makes a report
// of the timelines. Read predict_job() first.
#include "sim/predict.h"

#include "core/base/hash.h"
#include "core/base/units.h"
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"
#include "core/report/report_alike.h"
#include "sim/answers.h"
#include "sim/predict_internal.h"
#include "sim/predict_place.h"
#include "sim/simulate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Is it the first class with its program? In a replay every rank has costs of its own.
static bool class_is_new(const Run *run, int class) {
    int first = 0;
    while (run_class_program(run, first) != run_class_program(run, class)) first++;
    return first == class;
}

// --- what a prediction depends on

static uint64_t mix_link(uint64_t hash, const LinkModel *l) {
    return hash_u64(hash_u64(hash, (uint64_t)l->bytes_per_s), (uint64_t)l->latency_ps);
}

static uint64_t mix_pricing(uint64_t hash, const NcclPricing *p) {
    const NcclConstants *c = p->constants;
    if (!c) return hash;
    const int64_t facts[] = {c->architecture,
                             c->wire,
                             c->cpu,
                             c->devices,
                             c->channel_bytes_per_s,
                             c->across_channels,
                             c->across_bytes_per_s,
                             c->nvls_channels,
                             c->nvls_bytes_per_s,
                             c->collnet,
                             c->base_latency_ps,
                             c->hop_within,
                             c->hop_across,
                             c->bandwidth_within,
                             c->bandwidth_across,
                             c->group_loss,
                             c->ramp_ps,
                             p->algorithm,
                             p->protocol,
                             p->dilation};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        hash = hash_u64(hash, (uint64_t)facts[i]);
    for (int i = 0; i < c->group_sizes; i++)
        hash = hash_u64(hash_u64(hash, (uint64_t)c->channels[i].ranks),
                        (uint64_t)c->channels[i].channels);
    return hash;
}

static uint64_t mix_noise(uint64_t hash, const Noise *n) {
    if (n->variation) hash = hash_u64(hash_u64(hash, (uint64_t)n->variation), n->seed);
    for (int i = 0; i < n->straggler_count; i++)
        hash = hash_u64(hash_u64(hash, (uint64_t)n->stragglers[i].rank),
                        (uint64_t)n->stragglers[i].permille);
    return hash;
}

static uint64_t mix_place(uint64_t hash, const Run *run) {
    if (run->noise) hash = mix_noise(hash, run->noise);
    if (run->topology) {
        const TopologyOptions *t = run->topology;
        hash = hash_u64(hash_u64(hash_u64(hash, (uint64_t)t->nodes), (uint64_t)t->devices_per_node),
                        t->shared_rail);
        if (t->store_and_forward) hash = hash_u64(hash, 1);
        if (t->mesh) hash = hash_bytes(hash, t->mesh, sizeof *t->mesh);
        if (t->node) hash = hash_bytes(hash, t->node, sizeof *t->node);
        if (t->fabric && t->fabric->kind != FABRIC_RAILS)
            hash = hash_bytes(hash, t->fabric, sizeof *t->fabric);
        const ClosedForm *c = &t->closed;
        if (c->model)
            hash = hash_u64(hash_u64(hash_u64(hash, c->model), (uint64_t)c->overhead_ps),
                            (uint64_t)c->gap_ps);
        if (t->levels) hash = hash_u64(hash, 2);
        return mix_pricing(mix_link(mix_link(hash, &t->link), &t->rail), &t->pricing);
    }
    if (!run->host) return hash;
    const HostModel *h = run->host;
    const int64_t facts[] = {h->cores,   h->spin_ps,           h->poll_ps,
                             h->wake_ps, h->wake_same_core_ps, h->yield_ps};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        hash = hash_u64(hash, (uint64_t)facts[i]);
    return hash;
}

static Status mix_program(uint64_t *hash, const Program *p) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) FAIL(ERR_MEMORY, "out of memory for a program");
    const ProgramSet set = program_set_of_one(p);
    Status s = plan_text_print(&set, NONE, f);
    fclose(f);
    *hash = hash_bytes(*hash, text, size);
    free(text);
    return s;
}

static uint64_t mix_costs(uint64_t hash, const Costs *c, int plan) {
    hash = hash_u64(hash_u64(hash, (uint64_t)c->dispatch_ps), (uint64_t)c->turn_ps);
    for (int i = 0; i < c->program->plans[plan].op_count; i++)
        hash = hash_u64(hash, (uint64_t)c->ops[plan][i].ps);
    for (int i = 0; i < SLOWED_KINDS; i++) hash = hash_u64(hash, (uint64_t)c->slowed_permille[i]);
    for (int i = 0; i < c->issued; i++) hash = hash_u64(hash, (uint64_t)c->issued_ps[i]);
    if (c->waits) hash = hash_u64(hash, c->waits);
    const StepCosts *each = &c->steps;
    for (int k = 0; k < each->count; k++) {
        hash = hash_u64(hash, (uint64_t)each->turn_ps[k]);
        for (int i = 0; i < each->ops; i++)
            hash = hash_u64(hash_u64(hash, (uint64_t)each->ps[step_costs_at(each, i, k)]),
                            (uint64_t)each->gap_ps[step_costs_at(each, i, k)]);
    }
    for (int k = 0; k < each->drawn_count; k++) hash = hash_u64(hash, (uint64_t)each->drawn[k]);
    return hash;
}

// Which rank has whose costs, where that is not one for all or one for each.
static uint64_t mix_ranks(uint64_t hash, const Run *run) {
    bool plain = run->class_count == 1 || run->class_count == run->ranks;
    for (int r = 0, class = 0; r < run->ranks && !plain; r++) {
        while (run->classes[class].costs != run->costs[r]) class = (class + 1) % run->class_count;
        hash = hash_u64(hash, (uint64_t) class);
    }
    return hash;
}

static Status hash_inputs(uint64_t *out, const Run *run) {
    uint64_t hash = HASH_START;
    for (int c = 0; c < run->class_count; c++)
        if (class_is_new(run, c)) TRY(mix_program(&hash, run_class_program(run, c)));
    for (int c = 0; c < run->class_count; c++)
        hash = mix_costs(hash, run->classes[c].costs, run->plan);
    hash = mix_ranks(hash, run);
    *out = hash_u64(mix_place(hash, run), (uint64_t)run->steps);
    return OK;
}

// --- simulating

// One for each rank that is simulated.
static Status create_timelines(Timeline *lines, Timeline **pointers, const Run *run) {
    for (int i = 0; i < fold_count(run->fold, run->ranks); i++) {
        int rank = fold_rank(run->fold, i);
        int spans = run->steps * run->costs[rank]->program->plans[run->plan].op_count + 1;
        TRY(timeline_create(&lines[i], rank, run->steps, spans));
        pointers[i] = &lines[i];
    }
    return OK;
}

static Status simulate(Prediction *out, Arena *a, Timeline *const lines[], const Run *run) {
    const SimulateOptions o = {.costs = run->costs,
                               .plan = run->plan,
                               .ranks = run->ranks,
                               .steps = run->steps,
                               .watch = run->watch,
                               .links = &out->links,
                               .fold = run->fold,
                               .noise = run->noise};
    if (run->host) return simulate_host(lines, &o, run->host);
    TRY(simulate_devices(lines, &o, run->topology));
    for (int k = 0; k < LINK_KINDS; k++) {
        out->links.of[k].bytes /= run->steps;
        out->links.of[k].mean_bytes /= run->steps;
    }
    if (!run->critical) return OK;
    out->critical = ARENA_NEW(a, ReportCritical, 1);
    if (!out->critical) FAIL(ERR_MEMORY, "out of memory for a critical path");
    return critical_bill_make(out->critical, a, &o, run->topology, lines, run->critical);
}

// What a rank communicates in a step, from the last member's arrival on; the mean of the
// timeline's last `count` steps.
static double comm_ms(const Timeline *t, const Program *p, int count) {
    int64_t ps = 0;
    for (int i = t->step_count - count; i < t->step_count; i++)
        for (int k = 0; k < t->steps[i].span_count; k++) {
            const Span *span = &t->spans[t->steps[i].span_first + k];
            if (op_communicates(p, &p->plans[span->plan].ops[span->op]))
                ps += span->end_ps - span->start_ps - span->wait_ns * PS_PER_NS;
        }
    return (double)ps * 1e-9 / count;
}

static Status run_steps(Prediction *out, Arena *a, const Run *run, Timeline *lines) {
    const Fold *fold = run->fold;
    int count = fold_count(fold, run->ranks);
    Timeline **pointers = ARENA_NEW(a, Timeline *, count);
    const Program **programs = ARENA_NEW(a, const Program *, count);
    if (!pointers || !programs) FAIL(ERR_MEMORY, "out of memory for %d ranks", run->ranks);
    TRY(create_timelines(lines, pointers, run));
    TRY(simulate(out, a, pointers, run));
    int counted = !run->differ ? 1 : run->steps > 1 ? run->steps - 1 : 1;
    for (int i = 0; i < count; i++) {
        int alike = fold_multiplicity(fold, i);
        programs[i] = run->costs[fold_rank(fold, i)]->program;
        for (int k = 0; k < run->steps; k++) {
            lines[i].steps[k].rows = (int32_t)run->batch;
            lines[i].steps[k].loss = (double)NAN;
        }
        const StepRecord *last = &lines[i].steps[run->steps - 1];
        out->step_ms += (double)(last->end_ps - last->start_ps) * 1e-9 * alike / run->ranks;
        out->comm_ms += comm_ms(&lines[i], programs[i], counted) * alike / run->ranks;
    }
    return report_from_alike(
        &out->report, a,
        &(ReportTimelines){.programs = programs,
                           .timelines = (const Timeline *const *)pointers,
                           .count = count,
                           .ranks = run->ranks,
                           .multiplicities = fold ? fold->multiplicities : NULL,
                           .timeline_of = fold ? fold->colours : NULL,
                           .warm_up = run->differ ? 0 : run->steps - 1,
                           .brief = run->brief});
}

// Of the plans of all programs; a rank's memory is that of the program that needs most.
static void count_sources(Prediction *out, const Run *run) {
    for (int c = 0; c < run->class_count; c++) {
        if (!class_is_new(run, c)) continue;
        const Program *p = run_class_program(run, c);
        const Plan *plan = run_class_plan(run, c);
        int64_t memory = 0;
        for (int i = 0; i < plan->op_count; i++)
            if (!op_communicates(p, &plan->ops[i]))
                out->operations[run->classes[c].costs->ops[run->plan][i].source]++;
        for (int m = 0; m < MEMORY_COUNT; m++) memory += program_memory(p, (Memory)m);
        if (memory > out->memory_bytes) out->memory_bytes = memory;
    }
}

Status predict_execute(Prediction *out, Arena *a, const Run *run, const SimJob *job) {
    int count = fold_count(run->fold, run->ranks);
    Timeline *lines = ARENA_NEW(a, Timeline, count);
    if (!lines) FAIL(ERR_MEMORY, "out of memory for %d ranks", run->ranks);
    if (!run->unkept) TRY(hash_inputs(&out->inputs, run));
    count_sources(out, run);
    out->simulated = count;
    Status s = run_steps(out, a, run, lines);
    for (int i = 0; i < count; i++) timeline_destroy(&lines[i]);
    for (int r = 0; r < run->ranks && s == OK; r++)
        if (out->report.comm_bytes[r] > out->comm_bytes)
            out->comm_bytes = out->report.comm_bytes[r];
    out->report.loss_count = 0;  // nothing was learned
    out->report.critical = out->critical;
    if (s == OK)
        s = job_spec_describe(&out->report.run, a, &job->spec, job->settings, job->setting_count);
    out->report.run.kind = "sim";
    out->report.run.comm = run->host ? "shm" : "network";
    return s;
}

bool prediction_fits(const Prediction *p) {
    return !p->report.device_bytes || p->memory_bytes <= p->report.device_bytes;
}

// --- predicting

// A latency that becomes longer than time can tell is refused when the link is added.
static void slow_down_time(int64_t *ps, int64_t thousandths) {
    __int128 longer = (__int128)*ps * thousandths / 1000;
    *ps = longer > INT64_MAX ? INT64_MAX : (int64_t)longer;
}

static void slow_down_link(LinkModel *l, int64_t thousandths) {
    __int128 rate = (__int128)l->bytes_per_s * 1000 / thousandths;
    slow_down_time(&l->latency_ps, thousandths);
    if (!l->bytes_per_s) return;
    l->bytes_per_s = rate < 1 ? 1 : rate > INT64_MAX ? INT64_MAX : (int64_t)rate;
}

// What of a step's computation is launching operations, mean over ranks.
static double launch_ms(const Run *run, const DeviceModel *d, int64_t dilation) {
    double ms = 1e-9 * (double)device_gap_ps(d) * (double)(dilation ? dilation : 1000) / 1000;
    double count = 0;
    for (int c = 0; c < run->class_count; c++) {
        const Plan *plan = run_class_plan(run, c);
        int launches = 0;
        for (int i = 0; i < plan->op_count; i++)
            launches +=
                kind_class(op_kind(run_class_program(run, c), &plan->ops[i])) == CLASS_COMPUTE;
        count += (double)launches * run->classes[c].ranks / run->ranks;
    }
    return ms * count;
}

// How long the busiest host takes to issue its device's operations, one after the other.
static double issue_ms(const Run *run, const DeviceModel *d, int64_t dilation) {
    int most = 0;
    for (int c = 0; c < run->class_count; c++)
        if (run_class_plan(run, c)->op_count > most) most = run_class_plan(run, c)->op_count;
    if (d->graph) return 0;  // one launch
    return 1e-9 * (double)d->issue_ps * (double)(dilation ? dilation : 1000) / 1000 * most;
}

// Enough for quantiles, but in large worlds, where spans of all would take too much memory.
static int jittered_steps(const Run *run) {
    const int64_t most = 64, least = 8, spans = 1 << 22;
    int64_t steps = spans / run->ranks / (run_class_plan(run, 0)->op_count + 1);
    return (int)(steps > most ? most : steps < least ? least : steps);
}

// In a step, of all ranks.
static int64_t devices_operations(const Run *run) {
    int64_t ops = 0;
    for (int c = 0; c < run->class_count; c++)
        ops += (int64_t)run->classes[c].ranks * run_class_plan(run, c)->op_count;
    return ops;
}

Status run_check_room(int ranks, int64_t ops, int steps) {
    const int64_t most = (1 << 25) / (ops + 1);
    if (steps <= most) return OK;
    FAIL(ERR_USAGE, "--steps %d: a step of %d rank%s has %lld operations; give at most %lld steps",
         steps - 1, ranks, ranks == 1 ? "" : "s", (long long)ops, (long long)most - 1);
}

static Status predict_devices(Prediction *out, Arena *a, Run *run, const SimJob *job,
                              const SimSetting *s, Costs *costs) {
    TopologyOptions topology;
    TRY(predict_place_devices(&topology, s, run->ranks));
    bool slower = s->dilation && s->dilation != 1000;
    for (int c = 0; c < run->class_count; c++) {
        TRY(costs_from_roofline(&costs[c], &s->machine->device));
        costs_of_network(&costs[c]);
        TRY(costs_issue(&costs[c], a, run->plan, &s->machine->device));
        memcpy(costs[c].slowed_permille, s->machine->device.slowed_permille,
               sizeof costs[c].slowed_permille);
        if (slower) costs_slow_down(&costs[c], s->dilation);
    }
    if (slower) {
        slow_down_link(&topology.link, s->dilation);
        slow_down_link(&topology.rail, s->dilation);
        slow_down_time(&topology.closed.overhead_ps, s->dilation);
        slow_down_time(&topology.closed.gap_ps, s->dilation);
    }
    run->topology = &topology;
    if (!noise_is_none(&s->noise)) run->noise = &s->noise;
    run->differ = s->noise.variation > 0;
    if (run->differ) run->steps = 1 + (s->steps ? s->steps : jittered_steps(run));
    if (s->steps) TRY(run_check_room(run->ranks, devices_operations(run), run->steps));
    const FoldInput in = {run->costs, run->plan, run->ranks, topology.devices_per_node, run->noise};
    if (!s->unfolded) TRY(fold_choose(&run->fold, &out->not_folded, a, &in, &topology));
    TRY(predict_execute(out, a, run, job));
    if (s->noise.variation) out->step_ms = out->report.step_ms.mean;
    out->report.device_bytes = s->machine->device.memory_bytes;
    out->issue_ms = issue_ms(run, &s->machine->device, s->dilation);
    out->launch_ms = launch_ms(run, &s->machine->device, s->dilation);
    if (out->launch_ms > out->report.breakdown_ms[TIME_COMPUTE])
        out->launch_ms = out->report.breakdown_ms[TIME_COMPUTE];  // lanes compute side by side
    return OK;
}

static Status predict_host(Prediction *out, Arena *a, Run *run, const SimJob *job,
                           const SimSetting *s, Costs *costs) {
    const HostModel *host = &s->machine->host;
    const Calibration *calibration = s->machine->is_calibrated ? &s->machine->calibration : NULL;
    const Recording *known = s->recording;
    bool alone = !known || known->ranks == 1;  // was it measured alone?
    bool oversubscribed = run->ranks > host->cores;
    for (int c = 0; c < run->class_count; c++) {
        for (int k = 0; known && k < known->ranks; k++)
            if (known->traces[k].like == k) costs_share(&costs[c], &known->costs[k]);
        if (calibration) costs_from_calibration(&costs[c], calibration);
        if (calibration) costs_from_sizes(&costs[c], calibration);
        TRY(costs_from_roofline(&costs[c], &s->machine->device));
        if (alone && run->ranks > 1 && (oversubscribed || host->cores > 1))
            costs_co_run(&costs[c], host, calibration, oversubscribed);
        costs_from_host(&costs[c], host, calibration);
    }
    run->host = host;
    if (s->draws) TRY(predict_draws(run, a, s));
    TRY(predict_execute(out, a, run, job));
    if (s->draws) out->step_ms = out->report.step_ms.mean;
    return OK;
}

// Costs, as yet unknown, for each class of a set.
static Status take_classes(Run *run, Costs **out, Arena *a, const ProgramSet *set) {
    Costs *costs = ARENA_NEW(a, Costs, set->count);
    const Costs **of_rank = ARENA_NEW(a, const Costs *, run->ranks);
    RunClass *classes = ARENA_NEW(a, RunClass, set->count);
    if (!costs || !of_rank || !classes) FAIL(ERR_MEMORY, "out of memory for %d ranks", run->ranks);
    for (int c = 0; c < set->count; c++) {
        TRY(costs_init(&costs[c], a, &set->programs[c]));
        classes[c] = (RunClass){.costs = &costs[c]};
    }
    for (int r = 0; r < run->ranks; r++) {
        int class = program_set_class(set, r);
        of_rank[r] = &costs[class];
        classes[class].ranks++;
    }
    run->classes = classes;
    run->class_count = set->count;
    run->costs = of_rank;
    *out = costs;
    return OK;
}

// Of a device what counts is whether a step fits; a host has what the evaluation takes, too.
static Status make_programs(const ProgramSet **out, ProgramSet *own, Arena *a, const SimJob *job,
                            const SimSetting *s) {
    *out = s->programs ? s->programs : own;
    if (s->programs) return OK;
    return s->devices ? sim_job_step(own, a, job) : sim_job_lowered(own, a, job);
}

static Status predict_with(Prediction *out, Arena *a, const SimJob *job, const SimSetting *s,
                           ProgramSet *own) {
    if (job->spec.batch > INT32_MAX)
        FAIL(ERR_USAGE, "a global batch of %lld rows; a step has at most %d of them",
             (long long)job->spec.batch, INT32_MAX);
    TRY(predict_check_place(s, job->spec.ranks));
    const ProgramSet *set;
    TRY(make_programs(&set, own, a, job, s));
    Run run = {.plan = program_find_when(&set->programs[0], WHEN_EACH_STEP, 0),
               .ranks = job->spec.ranks,
               .steps = RUN_STEPS,
               .watch = s->watch,
               .unkept = s->unkept,
               .brief = s->brief,
               .critical = s->critical,
               .batch = job->spec.batch};
    Costs *costs = NULL;
    TRY(take_classes(&run, &costs, a, set));
    TRY(s->devices ? predict_devices(out, a, &run, job, s, costs)
                   : predict_host(out, a, &run, job, s, costs));
    TopologyOptions place = {.devices_per_node = 0};
    if (s->devices) TRY(predict_place_devices(&place, s, run.ranks));
    const AnswersOf of = {job, s, set, s->devices ? &place : NULL};
    return answers_make(out, a, &of);
}

Status predict_job(Prediction *out, Arena *a, const SimJob *job, const SimSetting *s) {
    *out = (Prediction){0};
    ProgramSet set = {0};
    Status status = predict_with(out, a, job, s, &set);
    program_set_finish(&set);
    if (status != OK) return status;
    out->report.machine.cores = s->devices ? 0 : s->machine->host.cores;
    snprintf(out->report.machine.cpu, sizeof out->report.machine.cpu, "%s%s%s", s->machine->name,
             s->devices ? ": " : "", s->devices ? s->machine->device.name : "");
    return OK;
}
