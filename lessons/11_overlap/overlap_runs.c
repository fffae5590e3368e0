// SPDX-License-Identifier: MIT
// The step of DDP with and without overlap, simulated and by the trainer. Devices are described (an
// A100 each, on a link of the lesson's), so that computing and communicating do not compete for the
// cores of this host; the trainer runs with all times 20 times as long.
#include "lessons/11_overlap/overlap.h"

#include "lessons/engine/trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const int overlap_cap_kib[OVERLAP_CAPS] = {0, 1024, 5000, 100000};

static const char PLATFORM[] = "ethernet-cluster", DEVICE[] = "timed:ethernet-cluster",
                  MODEL[] = "mlp:hidden=1024,layers=4";
enum { BATCH = 2040, SLOWER = 20, RUNS = 2 };

static JobSpec spec_of(int cap_kib, bool no_overlap) {
    JobSpec spec = job_spec_default();
    spec.model = MODEL;
    spec.device = DEVICE;
    spec.ranks = OVERLAP_RANKS;
    spec.batch = BATCH;
    spec.strategy.bucket_bytes[0] = spec.strategy.bucket_bytes[1] = INT64_C(1024) * cap_kib;
    spec.strategy.no_overlap = no_overlap;
    return spec;
}

static LinkModel link_of(const Overlap *x) {
    return (LinkModel){llround(x->bytes_per_s), llround(1e12 * x->latency_s)};
}

// --- simulated

static Status predict(Prediction *out, const LessonRun *run, LinkModel link, int cap_kib,
                      bool no_overlap) {
    Machine *machine = ARENA_NEW(run->arena, Machine, 1);
    SimJob job = {.spec = spec_of(cap_kib, no_overlap)};
    if (!machine) FAIL(ERR_MEMORY, "out of memory for a machine");
    TRY(machine_read(machine, run->arena, PLATFORM));
    return predict_job(out, run->arena, &job,
                       &(SimSetting){.machine = machine, .devices = true, .link = link});
}

static bool communicates(const OperationTimes *o) { return strcmp(o->lane, "data") == 0; }
static double begin_s(const OperationTimes *o) { return 1e-3 * o->start_ms; }
static double end_s(const OperationTimes *o) {
    return 1e-3 * (o->start_ms + o->duration_ms.median);
}

// Communication less the computing beside it, by intervals.
static double exposed(const Report *r) {
    double sum = 0;
    for (int i = 0; i < r->operation_count; i++) {
        const OperationTimes *c = &r->operations[i];
        if (!communicates(c)) continue;
        sum += end_s(c) - begin_s(c);
        for (int k = 0; k < r->operation_count; k++) {
            const OperationTimes *o = &r->operations[k];
            double both = fmin(end_s(c), end_s(o)) - fmax(begin_s(c), begin_s(o));
            if (strcmp(o->lane, "compute") == 0 && both > 0) sum -= both;
        }
    }
    return sum;
}

static void find_layers(Overlap *x, const Report *r) {
    static const char SUFFIX[] = ".backward_weight";
    x->layer_count = 0;
    for (int i = 0; i < r->operation_count; i++) {
        const OperationTimes *o = &r->operations[i];
        const char *suffix = strstr(o->name, SUFFIX);
        if (strcmp(o->phase, "backward") != 0) continue;
        if (x->backward_end_s == 0) x->backward_begin_s = begin_s(o);
        x->backward_end_s = fmax(x->backward_end_s, end_s(o));
        if (!suffix || x->layer_count == OVERLAP_LAYERS) continue;
        OverlapLayer *layer = &x->layers[x->layer_count++];
        snprintf(layer->name, sizeof layer->name, "%.*s", (int)(suffix - o->name), o->name);
        layer->begin_s = begin_s(o);
        layer->end_s = end_s(o);
    }
}

// Of one report when its communications begin and end, in the order of the lane.
static int find_buckets(OverlapBucket out[OVERLAP_BUCKETS], const Report *r) {
    int count = 0;
    for (int i = 0; i < r->operation_count && count < OVERLAP_BUCKETS; i++) {
        const OperationTimes *o = &r->operations[i];
        if (communicates(o))
            out[count++] = (OverlapBucket){.begin_s = begin_s(o), .end_s = end_s(o)};
    }
    return count;
}

Status overlap_simulate(const LessonRun *run, Overlap *x) {
    // On this link nothing takes time: there a bucket travels when it is ready.
    const LinkModel at_once = {INT64_C(10000000000000), 0};
    OverlapBucket ready[OVERLAP_BUCKETS], after[OVERLAP_BUCKETS];
    int cap = overlap_cap_kib[OVERLAP_BY_LAYER];
    Prediction p;
    TRY(predict(&p, run, at_once, cap, false));
    find_buckets(ready, &p.report);
    TRY(predict(&p, run, link_of(x), cap, true));
    find_buckets(after, &p.report);
    x->exposed_s[0] = exposed(&p.report);
    for (int i = 0; i < OVERLAP_CAPS; i++) {
        TRY(predict(&p, run, link_of(x), overlap_cap_kib[i], false));
        x->step_s[i] = 1e-3 * p.step_ms;
        if (i != OVERLAP_BY_LAYER) continue;
        x->exposed_s[1] = exposed(&p.report);
        x->backward_end_s = 0;
        find_layers(x, &p.report);
        x->bucket_count = find_buckets(x->buckets, &p.report);
    }
    for (int i = 0; i < x->bucket_count; i++) {
        x->buckets[i].ready_s = ready[i].begin_s;
        x->buckets[i].takes_s = after[i].end_s - after[i].begin_s;
    }
    return OK;
}

// --- by the trainer

// The fastest of a few runs: what else this host does only makes a step later.
static Status train(double *step_s, double *exposed_s, const LessonRun *run, const Overlap *x,
                    int cap_kib, bool no_overlap) {
    JobOptions o = trial_options();
    o.spec = spec_of(cap_kib, no_overlap);
    o.info.model = MODEL;
    o.info.device = DEVICE;
    o.data = "digits:count=2400";
    o.steps = 4;
    o.spans = true;
    o.link = link_of(x);
    o.slowdown_permille = SLOWER * 1000;
    *step_s = HUGE_VAL;
    for (int i = 0; i < RUNS; i++) {
        Trial t;
        TRY(trial_train(&t, run, &o));
        if (1e-3 * t.step_ms / SLOWER >= *step_s) continue;
        *step_s = 1e-3 * t.step_ms / SLOWER;
        *exposed_s = 1e-3 * t.breakdown_ms[TIME_EXPOSED_COMM] / SLOWER;
    }
    return OK;
}

Status overlap_run_step(const LessonRun *run, void *state) {
    Overlap *x = state;
    double unused;
    int cap = overlap_cap_kib[OVERLAP_BY_LAYER];
    if (run->virtual_time) return OK;
    TRY(train(&unused, &x->measured_exposed_s[0], run, x, cap, true));
    return train(&x->measured_step_s[OVERLAP_BY_LAYER], &x->measured_exposed_s[1], run, x, cap,
                 false);
}

Status overlap_run_caps(const LessonRun *run, void *state) {
    Overlap *x = state;
    double unused;
    if (run->virtual_time) return OK;
    for (int i = 0; i < OVERLAP_CAPS; i++)
        if (i != OVERLAP_BY_LAYER)  // which ran before
            TRY(train(&x->measured_step_s[i], &unused, run, x, overlap_cap_kib[i], false));
    return OK;
}

// --- by formula

double overlap_exposed_s(const Overlap *x) {
    double end = 0;
    for (int i = 0; i < x->bucket_count; i++)
        end = fmax(end, x->buckets[i].ready_s) + x->buckets[i].takes_s;
    return end - x->backward_end_s;
}

double overlap_total_s(const Overlap *x) {
    double sum = 0;
    for (int i = 0; i < x->bucket_count; i++) sum += x->buckets[i].takes_s;
    return sum;
}

int overlap_best(const double step_s[OVERLAP_CAPS]) {
    int best = 0;
    for (int i = 1; i < OVERLAP_CAPS; i++)
        if (step_s[i] < step_s[best]) best = i;
    return best;
}
