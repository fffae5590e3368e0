// SPDX-License-Identifier: MIT
// Pairs the operations of two reports by name, shard and micro-batch, and sorts them by how far
// apart they are. Read compare_reports() first.
#include "sim/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static Status check_jobs(const Report *measured, const Report *simulated) {
    const RunInfo *m = &measured->run, *s = &simulated->run;
    if (strcmp(m->kind, "train"))
        FAIL(ERR_USAGE, "the report is of kind \"%s\"; give one of train --report", m->kind);
    if (strcmp(m->model, s->model) || strcmp(m->dtype, s->dtype))
        FAIL(ERR_USAGE, "the report is of model %s in %s, simulated is %s in %s", m->model,
             m->dtype, s->model, s->dtype);
    if (m->ranks != s->ranks || m->batch != s->batch)
        FAIL(ERR_USAGE,
             "the report is of %d ranks with batch %lld, simulated are %d with %lld; give --ranks "
             "%d and --batch-per-rank %lld",
             m->ranks, (long long)m->batch, s->ranks, (long long)s->batch, m->ranks,
             (long long)(m->batch / m->ranks));
    return OK;
}

// How far apart two times are; one that is missing counts as nothing.
static double distance(const ComparedTime *t) {
    double m = isnan(t->measured_ms) ? 0 : t->measured_ms;
    double s = isnan(t->simulated_ms) ? 0 : t->simulated_ms;
    return fabs(s - m);
}

static int by_distance(const void *left, const void *right) {
    double a = distance(left), b = distance(right);
    return (a < b) - (a > b);
}

static const OperationTimes *find_operation(const Report *r, const OperationTimes *like) {
    for (int i = 0; i < r->operation_count; i++) {
        const OperationTimes *o = &r->operations[i];
        if (!strcmp(o->name, like->name) && o->shard == like->shard &&
            o->micro_batch == like->micro_batch)
            return o;
    }
    return NULL;
}

static ComparedTime pair(const OperationTimes *measured, const OperationTimes *simulated) {
    const OperationTimes *known = measured ? measured : simulated;
    return (ComparedTime){known->name,
                          known->phase,
                          known->shard,
                          known->micro_batch,
                          measured ? measured->duration_ms.median : (double)NAN,
                          simulated ? simulated->duration_ms.median : (double)NAN};
}

static Status compare_operations(Comparison *c, Arena *a) {
    const Report *m = c->measured, *s = c->simulated;
    c->operations = ARENA_NEW(a, ComparedTime, m->operation_count + s->operation_count + 1);
    if (!c->operations) FAIL(ERR_MEMORY, "out of memory for comparing operations");
    for (int i = 0; i < m->operation_count; i++)
        c->operations[c->operation_count++] =
            pair(&m->operations[i], find_operation(s, &m->operations[i]));
    for (int i = 0; i < s->operation_count; i++)
        if (!find_operation(m, &s->operations[i]))
            c->operations[c->operation_count++] = pair(NULL, &s->operations[i]);
    qsort(c->operations, (size_t)c->operation_count, sizeof *c->operations, by_distance);
    return OK;
}

static Status compare_phases(Comparison *c, Arena *a) {
    c->phases = ARENA_NEW(a, ComparedTime, PHASE_COUNT);
    if (!c->phases) FAIL(ERR_MEMORY, "out of memory for comparing phases");
    for (int p = 0; p < PHASE_COUNT; p++) {
        const char *name = phase_name((Phase)p);
        double m = report_phase_ms(c->measured, name), s = report_phase_ms(c->simulated, name);
        if (isnan(m) && isnan(s)) continue;
        c->phases[c->phase_count++] =
            (ComparedTime){.name = name, .phase = name, .measured_ms = m, .simulated_ms = s};
    }
    return OK;
}

Status compare_reports(Comparison *out, Arena *a, const Report *measured, const Report *simulated) {
    TRY(check_jobs(measured, simulated));
    *out = (Comparison){.measured = measured, .simulated = simulated};
    out->error = report_error(simulated->step_ms.median, measured->step_ms.median);
    out->difference_ms = simulated->step_ms.median - measured->step_ms.median;
    out->noise_ms = measured->step_ms.mean - measured->step_ms.median;
    for (int b = 0; b < BILL_COUNT; b++)
        out->bills[b] = (ComparedTime){.name = bill_name((Bill)b),
                                       .measured_ms = measured->breakdown_ms[b],
                                       .simulated_ms = simulated->breakdown_ms[b]};
    TRY(compare_phases(out, a));
    return compare_operations(out, a);
}
