// SPDX-License-Identifier: MIT
// The timeline signature of a fault: a step by the simulator, or by the trainer on a described
// device. Read fault_of_times() last: it is the diagnosis.
#include "lessons/faults/fault_internal.h"

#include "core/plan/check.h"
#include "parallel/run/launch.h"

#include <math.h>
#include <string.h>

static void take_breakdown(FaultTimes *out, const double ms[TIME_COUNT]) {
    out->compute_ms = ms[TIME_COMPUTE];
    out->exposed_ms = ms[TIME_EXPOSED_COMM];
    out->waiting_ms = ms[TIME_WAITING];
    out->bubble_ms = ms[TIME_BUBBLE] + ms[TIME_IDLE];
}

// Collectives of a step on a rank, and of a run what all of them took from the last arrival on.
static void take_operations(FaultTimes *out, const Report *r) {
    double backward_end_ms = 0, update_end_ms = 0, updates_ms = 0;
    for (int i = 0; i < r->operation_count; i++) {
        const OperationTimes *o = &r->operations[i];
        if (strcmp(o->phase, "backward") == 0)
            backward_end_ms = fmax(backward_end_ms, o->start_ms + o->duration_ms.mean);
        if (strcmp(o->phase, "update") == 0) {
            update_end_ms = fmax(update_end_ms, o->start_ms + o->duration_ms.mean);
            updates_ms += o->duration_ms.mean;
        }
        if (strcmp(o->kind, "all_reduce") != 0) continue;
        out->collectives++;
        if (out->measured) out->comm_ms += o->duration_ms.mean - o->wait_ms;
    }
    out->update_gap_ms = fmax(0, update_end_ms - backward_end_ms - updates_ms);
    out->payload_bytes = (double)r->comm_bytes[0];
}

// --- simulated

typedef struct {
    Arena *arena;
    const SimJob *job;
} Again;

static Status simulate_again(ProgramSet *out, void *context) {
    const Again *again = context;
    return sim_job_step(out, again->arena, again->job);
}

static Status simulate(FaultTimes *out, Arena *a, const SimJob *job, const SimSetting *setting) {
    static const CriticalBillForm BILL = {.freed = 4, .operations = 64};
    Prediction p;
    SimSetting s = *setting;
    if (job->spec.mesh.pipe < 2) s.critical = &BILL;
    TRY(predict_job(&p, a, job, &s));
    out->step_ms = p.step_ms;
    take_breakdown(out, p.report.breakdown_ms);
    take_operations(out, &p.report);
    out->comm_ms = p.comm_ms;
    out->critical = p.critical;
    return OK;
}

Status fault_predict(FaultTimes *out, const LessonRun *run, const Fault *fault, bool pipeline,
                     int faster) {
    JobOptions o = fault_job(fault, pipeline);
    Machine *machine = ARENA_NEW(run->arena, Machine, 1);
    SimJob job = {.spec = o.spec};
    ProgramSet set = {0};
    *out = (FaultTimes){0};
    if (!machine) FAIL(ERR_MEMORY, "out of memory for a machine");
    TRY(machine_read(machine, run->arena, "laptop"));
    TRY(sim_job_step(&set, run->arena, &job));
    Status s = fault_edit(&set, fault, faster, simulate_again, &(Again){run->arena, &job});
    if (s == OK && fault->kind == FAULT_ORDER) s = plan_check(&set);  // such ranks never meet
    if (s == OK)
        s = simulate(out, run->arena, &job,
                     &(SimSetting){.machine = machine,
                                   .devices = true,
                                   .link = o.link,
                                   .network = SIM_NETWORK_ALPHA_BETA,
                                   .programs = &set,
                                   .unkept = true});
    program_set_finish(&set);
    if (s != ERR_PLAN || fault->kind != FAULT_ORDER) return s;
    out->stuck = arena_string(run->arena, status_message());
    return out->stuck ? OK : ERR_MEMORY;
}

// --- executed

typedef struct {
    const Job *base;
    Job more[FAULT_RANKS];
    int count;
} Derived;

static Status derive_again(ProgramSet *out, void *context) {
    Derived *d = context;
    TRY(job_derive(&d->more[d->count], d->base, &d->base->options));
    *out = d->more[d->count].set;
    d->more[d->count++].set = (ProgramSet){0};
    return OK;
}

Status fault_edit_job(Job *job, const Fault *fault) {
    Derived derived = {.base = job};
    ProgramSet set = job->set;
    Status s = fault_edit(&set, fault, NONE, derive_again, &derived);
    job->set = set;
    for (int i = 0; i < derived.count; i++) {
        program_set_finish(&derived.more[i].set);
        arena_finish(&derived.more[i].arena);
    }
    return s;
}

static Status execute(FaultTimes *out, Arena *a, const Job *job) {
    Training t = {0};
    Report r;
    Status s = launch_run(&t, job, NULL);
    if (s == OK) s = launch_report(&r, a, job, &t);
    if (s == OK) {
        out->step_ms = r.step_ms.median;
        take_breakdown(out, r.breakdown_ms);
        take_operations(out, &r);
    }
    launch_finish(&t);
    return s;
}

Status fault_execute(FaultTimes *out, const LessonRun *run, const Fault *fault, bool pipeline) {
    Job job;
    JobOptions o = fault_job(fault, pipeline);
    o.spans = true;
    *out = (FaultTimes){.measured = true};
    TRY(job_create(&job, &o));
    Status s = fault_edit_job(&job, fault);
    if (s == OK) s = execute(out, run->arena, &job);
    job_destroy(&job);
    return s;
}

// --- the diagnosis

static bool more(double seen, double healthy) { return seen > 1.05 * healthy + 1e-9; }

FaultKind fault_of_times(const FaultTimes *healthy, const FaultTimes *seen) {
    double per_byte = seen->comm_ms / seen->payload_bytes;
    if (seen->stuck) return FAULT_ORDER;
    if (more(seen->bubble_ms, healthy->bubble_ms)) return FAULT_STAGES;
    if (more(healthy->payload_bytes, 1.5 * seen->payload_bytes)) return FAULT_DTYPE;
    if (seen->collectives > healthy->collectives) return FAULT_BUCKETS;
    if (more(seen->compute_ms, healthy->compute_ms)) return FAULT_SLOW_RANK;
    if (more(per_byte, 1.5 * healthy->comm_ms / healthy->payload_bytes)) return FAULT_SLOW_LINK;
    if (more(seen->exposed_ms, healthy->exposed_ms)) return FAULT_OVERLAP;
    return more(healthy->update_gap_ms, 10 * seen->update_gap_ms) ? FAULT_STALE : FAULT_NONE;
}
