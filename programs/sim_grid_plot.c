// SPDX-License-Identifier: MIT
// The figures of --sweep: its points as a scan (viz/scan.h), and beside them runs of --compare that
// were measured with the same options.
#include "programs/sim_figures.h"
#include "programs/sim_grid_internal.h"
#include "viz/scan.h"

#include <string.h>

// --- which runs belong to which point

// What emulates links or time in train is not of the job, and rates of learning take no time.
static bool matters(const char *key) {
    static const char *const others[] = {"link", "dilate", "lr", "warm_up", "lr_schedule"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(key, others[i])) return false;
    return true;
}

// Is every setting of one in the other?
static bool has_settings(const RunSetting *a, int a_count, const RunSetting *b, int b_count) {
    for (int i = 0; i < a_count; i++) {
        int k = 0;
        while (k < b_count && strcmp(a[i].key, b[k].key)) k++;
        if (matters(a[i].key) && (k == b_count || strcmp(a[i].value, b[k].value))) return false;
    }
    return true;
}

static bool same_settings(const RunSetting *a, int a_count, const RunSetting *b, int b_count) {
    return has_settings(a, a_count, b, b_count) && has_settings(b, b_count, a, a_count);
}

static bool same_job(const RunInfo *a, const RunInfo *b) {
    return !strcmp(a->model, b->model) && !strcmp(a->dtype, b->dtype) && a->ranks == b->ranks &&
           a->batch == b->batch &&
           same_settings(a->strategy, a->strategy_count, b->strategy, b->strategy_count) &&
           same_settings(a->optimizer, a->optimizer_count, b->optimizer, b->optimizer_count);
}

// The job of a point, as reports describe it.
static Status describe(Report *out, const Machine **machine, const Grid *g, int i) {
    Arena *a = g->sim->arena;
    SimValue values[GRID_KEYS];
    SimChange *c = ARENA_NEW(a, SimChange, 1);
    if (!c) FAIL(ERR_MEMORY, "out of memory");
    for (int k = 0; k < g->axis_count; k++)
        values[k] = (SimValue){g->axes[k].key, grid_value(g, i, k)};
    const SimChangeAsk ask = {values, g->axis_count, true, "--sweep"};
    TRY(sim_change_make(c, a, g->sim, &ask));
    TRY(sim_figures_run(out, a, &c->job, &c->sim.machine, g->points[i].step_ms));
    *machine = &c->sim.machine;
    out->device_bytes = c->sim.machine.device.memory_bytes;
    return OK;
}

static Status find_measured(ReportList *out, const Grid *g, int i, bool *used) {
    const Sim *s = g->sim;
    const Report **list = ARENA_NEW(s->arena, const Report *, s->measured_count);
    Report run;
    const Machine *machine;
    if (!list) FAIL(ERR_MEMORY, "out of memory for %d reports", s->measured_count);
    TRY(describe(&run, &machine, g, i));
    *out = (ReportList){list, 0};
    for (int k = 0; k < s->measured_count; k++) {
        if (!same_job(&run.run, &s->measured[k].run)) continue;
        list[out->count++] = &s->measured[k];
        used[k] = true;
    }
    return OK;
}

static Status add_measured(ScanPoint *points, const Grid *g) {
    const Sim *s = g->sim;
    bool *used = ARENA_NEW(s->arena, bool, s->measured_count + 1);
    if (!used) FAIL(ERR_MEMORY, "out of memory for %d reports", s->measured_count);
    for (int i = 0; i < g->count && s->measured_count; i++)
        if (g->points[i].state == POINT_DONE) TRY(find_measured(&points[i].measured, g, i, used));
    for (int k = 0; k < s->measured_count; k++)
        if (!used[k])
            log_say(s->log, LOG_NOTE,
                    "--compare: report %d of %d is of no point: model, type, ranks, batch and all "
                    "options of strategy and optimizer must be the same",
                    k + 1, s->measured_count);
    return OK;
}

// --- the scan

static void fill_point(ScanPoint *out, const Point *p) {
    *out = (ScanPoint){.state = p->state == POINT_REFUSED ? SCAN_REFUSED
                                : p->state != POINT_DONE  ? SCAN_OPEN
                                : point_fits(p)           ? SCAN_DONE
                                                          : SCAN_TOO_LARGE,
                       .ranks = p->ranks,
                       .data_ranks = p->data_ranks,
                       .batch = p->batch,
                       .step_ms = p->step_ms,
                       .device_bytes = p->device_bytes};
    memcpy(out->memory_bytes, p->class_bytes, sizeof out->memory_bytes);
}

// "64,64", which "64" stands for, is shown as that.
static const char *short_value(const Grid *g, const char *value) {
    const char *comma = strchr(value, ',');
    size_t length = comma ? (size_t)(comma - value) : 0;
    if (!comma || strlen(comma + 1) != length || strncmp(value, comma + 1, length)) return value;
    char *out = arena_push(g->sim->arena, length + 1);
    if (!out) return value;
    memcpy(out, value, length);
    out[length] = '\0';
    return out;
}

static Status fill_scan(Scan *out, Report *run, const Machine **machine, const Grid *g) {
    int first = 0;
    ScanPoint *points = ARENA_NEW(g->sim->arena, ScanPoint, g->count);
    *out = (Scan){.run = run, .axis_count = g->axis_count, .points = points, .count = g->count};
    if (!points) FAIL(ERR_MEMORY, "out of memory for %d points", g->count);
    for (int k = 0; k < g->axis_count; k++) {
        const char **values = ARENA_NEW(g->sim->arena, const char *, g->axes[k].count);
        if (!values) FAIL(ERR_MEMORY, "out of memory for %d values", g->axes[k].count);
        for (int i = 0; i < g->axes[k].count; i++) values[i] = short_value(g, g->axes[k].values[i]);
        out->axes[k] = (ScanAxis){g->axes[k].key, values, g->axes[k].count};
    }
    for (int i = 0; i < g->count; i++) fill_point(&points[i], &g->points[i]);
    TRY(add_measured(points, g));
    while (g->points[first].state != POINT_DONE) first++;
    return describe(run, machine, g, first);
}

Status grid_plot(const Grid *g) {
    Report run;
    const Machine *machine;
    Scan scan;
    FigureNotes notes = {0};
    if (!g->sim->o->plot) return OK;
    TRY(fill_scan(&scan, &run, &machine, g));
    FigureOptions o = sim_figures_options(g->sim, machine);
    for (int k = 0; k < g->axis_count; k++)
        if (!strcmp(g->axes[k].key, "platform")) o.platform = "several platforms";
    Status s = figures_sweep(&o, &scan, &notes);
    if (s == OK) s = figures_layout(&o, &scan, &notes);
    if (s == OK) s = figures_memory(&o, &scan, &notes);
    return sim_figures_end(g->sim, &o, &notes, s);
}
