// SPDX-License-Identifier: MIT
// The figure of --collective: the prices of every algorithm that the platform has, size by size.
#include "programs/sim_collective_internal.h"
#include "programs/sim_figures.h"
#include "sim/nccl_model.h"
#include "viz/alpha_beta.h"
#include "viz/collective_chart.h"
#include "viz/residuals.h"

#include <math.h>
#include <stdio.h>

// Does the platform have the algorithm for that collective? Another is priced where it does not.
static bool has_algorithm(const Machine *m, const NcclCall *call) {
    NcclPrice price;
    NcclCall probe = *call;
    probe.bytes = 1 << 20;
    return nccl_price(&price, &m->collectives, &probe) == OK && price.algorithm == call->algorithm;
}

static Status price_all(double *us, const Machine *m, NcclCall call, const double *bytes,
                        int count) {
    for (int i = 0; i < count; i++) {
        NcclPrice price;
        call.bytes = (int64_t)bytes[i];
        TRY(nccl_price(&price, &m->collectives, &call));
        us[i] = (double)price.time_ps / PS_PER_US;
        if (!(us[i] > 0)) us[i] = (double)NAN;
    }
    return OK;
}

// One algorithm after the other, as far as there are styles for them.
static Status add_algorithms(CollectiveChart *c, Arena *a, const CollectivePlot *p) {
    for (int k = 1; k < NCCL_ALGORITHMS && c->algorithm_count < COLLECTIVE_SERIES; k++) {
        NcclCall call = p->call;
        call.algorithm = (NcclAlgorithm)k;
        if (p->call.algorithm && p->call.algorithm != call.algorithm) continue;
        if (!has_algorithm(p->machine, &call)) continue;
        double *us = ARENA_NEW(a, double, c->count);
        if (!us) FAIL(ERR_MEMORY, "out of memory for %d sizes", c->count);
        TRY(price_all(us, p->machine, call, c->bytes, c->count));
        c->algorithms[c->algorithm_count++] =
            (CollectiveSeries){nccl_algorithm_name(call.algorithm), us};
    }
    return OK;
}

static Status fill_sizes(CollectiveChart *c, Arena *a, const CollectivePlot *p) {
    c->count = p->measured ? p->measured->count : p->sizes->count;
    double *bytes = ARENA_NEW(a, double, c->count), *us = ARENA_NEW(a, double, c->count);
    if (!bytes || !us) FAIL(ERR_MEMORY, "out of memory for %d sizes", c->count);
    for (int i = 0; i < c->count; i++) {
        bytes[i] = (double)(p->measured ? p->measured->rows[i].bytes : p->sizes->items[i]);
        if (p->measured) us[i] = (double)p->measured->rows[i].time_ps / PS_PER_US;
    }
    c->bytes = bytes;
    c->measured_us = p->measured ? us : NULL;
    return OK;
}

static Status fill_chart(CollectiveChart *c, Arena *a, const CollectivePlot *p) {
    TRY(fill_sizes(c, a, p));
    double *chosen = ARENA_NEW(a, double, c->count);
    if (!chosen) FAIL(ERR_MEMORY, "out of memory for %d sizes", c->count);
    c->bus_factor = (double)nccl_model_bus_factor(p->call.kind, p->call.ranks) / NCCL_UNIT;
    TRY(price_all(chosen, p->machine, p->call, c->bytes, c->count));
    c->chosen = (CollectiveSeries){"chosen", chosen};
    return add_algorithms(c, a, p);
}

// How far the model, and the line through the table, are from it.
static Status plot_residuals(const FigureOptions *o, FigureNotes *notes, Arena *a,
                             const CollectiveChart *c) {
    char what[128];
    AlphaBeta fit;
    double *line = ARENA_NEW(a, double, c->count);
    if (!line) FAIL(ERR_MEMORY, "out of memory for %d sizes", c->count);
    snprintf(what, sizeof what, "%s on %d devices of %s", c->run->run.model, c->run->run.ranks,
             o->platform);
    TRY(alpha_beta_fit(&fit, c->bytes, c->measured_us, c->count));
    for (int i = 0; i < c->count; i++) line[i] = fit.alpha_us + c->bytes[i] / fit.beta;
    const Residuals r = {
        .run = c->run,
        .what = what,
        .table = c->table,
        .bytes = c->bytes,
        .measured = c->measured_us,
        .count = c->count,
        .series = {{"model of NCCL", c->chosen.us}, {"alpha + bytes / beta", line}},
        .series_count = 2};
    return figures_residuals(o, &r, notes);
}

Status sim_collective_plot(const Sim *s, const CollectivePlot *p) {
    FigureOptions o = sim_figures_options(s, p->machine);
    FigureNotes notes = {0};
    Report run = {.run = {.kind = "sim",
                          .model = collective_name(p->call.kind),
                          .device = p->machine->device.name,
                          .comm = "network",
                          .dtype = "f32",
                          .ranks = p->call.ranks}};
    CollectiveChart chart = {.run = &run, .table = s->o->compare};
    snprintf(run.machine.cpu, sizeof run.machine.cpu, "%s: %s", p->machine->name,
             p->machine->device.name);
    run.machine.load = (double)NAN;
    TRY(fill_chart(&chart, s->arena, p));
    Status status = figures_collective(&o, &chart, &notes);
    if (status == OK && chart.measured_us && notes.written)
        status = plot_residuals(&o, &notes, s->arena, &chart);
    return sim_figures_end(s, &o, &notes, status);
}
