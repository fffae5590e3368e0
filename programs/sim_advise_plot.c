// SPDX-License-Identifier: MIT
// The figure of --advise: a map of pipeline and tensor-parallel degrees, each cell the best that
// was found there over all other options (viz/scan.h).
#include "programs/sim_advise_internal.h"
#include "programs/sim_figures.h"
#include "viz/scan.h"

#include <stdio.h>
#include <string.h>

enum { VALUE = 12 };

// Which of two is in a cell: what was simulated and fits, then what was not simulated; so a cell is
// too large only where all are. Of two simulated ones the faster, of two too large the smaller.
static const ScanState ranking[] = {SCAN_DONE, SCAN_OPEN, SCAN_TOO_LARGE, SCAN_REFUSED};

static int rank_of(ScanState s) {
    int at = 0;
    while (ranking[at] != s) at++;
    return at;
}

static ScanState state_of(const AdviseCandidate *c) {
    switch ((AdviseFate)c->fate) {
    case ADVISE_SIMULATED:
    case ADVISE_SHORT: return SCAN_DONE;
    case ADVISE_MEMORY:
    case ADVISE_LEAST: return SCAN_TOO_LARGE;
    case ADVISE_OPEN: return SCAN_OPEN;
    default: return SCAN_REFUSED;
    }
}

static int64_t bytes_of(const ScanPoint *p) {
    int64_t bytes = 0;
    for (int m = 0; m < MEMORY_COUNT; m++) bytes += p->memory_bytes[m];
    return bytes;
}

static void fill_candidate(ScanPoint *out, const Advice *v, int c, const SimJob *job) {
    const AdviseCandidate *candidate = &v->candidates[c];
    JobSpec spec = job->spec;
    *out = (ScanPoint){.state = state_of(candidate), .ranks = spec.ranks, .batch = spec.batch};
    if (out->state == SCAN_REFUSED) return;
    advise_job(&spec, v, c);
    out->data_ranks = job_spec_data_ranks(&spec);
    out->memory_bytes[MEMORY_PARAMETERS] = candidate->least_bytes;
    if (candidate->point == NONE) return;
    const Point *p = &v->points[candidate->point];
    out->step_ms = p->step_ms;
    memcpy(out->memory_bytes, p->class_bytes, sizeof out->memory_bytes);
}

static bool is_better(const ScanPoint *a, const ScanPoint *b) {
    if (a->state != b->state) return rank_of(a->state) < rank_of(b->state);
    if (a->state == SCAN_DONE) return a->step_ms < b->step_ms;
    return a->state == SCAN_TOO_LARGE && bytes_of(a) < bytes_of(b);
}

static int place_of(const AdviseSpace *space, AdviseOption option, int value) {
    int at = 0;
    while (space->values[option][at] != value) at++;
    return at;
}

static void fill_cells(ScanPoint *cells, const Advice *v, const SimJob *job) {
    const AdviseSpace *space = &v->space;
    int columns = space->counts[ADVISE_TENSOR], count = columns * space->counts[ADVISE_PIPE];
    for (int i = 0; i < count; i++) cells[i].state = SCAN_REFUSED;
    for (int c = 0; c < v->count; c++) {
        ScanPoint p;
        int row = place_of(space, ADVISE_PIPE, advise_value(v, c, ADVISE_PIPE)),
            column = place_of(space, ADVISE_TENSOR, advise_value(v, c, ADVISE_TENSOR));
        fill_candidate(&p, v, c, job);
        if (is_better(&p, &cells[row * columns + column])) cells[row * columns + column] = p;
    }
}

static Status fill_axis(ScanAxis *out, Arena *a, const char *key, const Advice *v,
                        AdviseOption option) {
    int count = v->space.counts[option];
    const char **values = ARENA_NEW(a, const char *, count);
    if (!values) FAIL(ERR_MEMORY, "out of memory for a figure");
    for (int i = 0; i < count; i++) {
        char *text = arena_push(a, VALUE);
        if (!text) FAIL(ERR_MEMORY, "out of memory for a figure");
        int value = v->space.values[option][i];
        snprintf(text, VALUE, "%d", value < 1 ? 1 : value);
        values[i] = text;
    }
    *out = (ScanAxis){key, values, count};
    return OK;
}

Status sim_advise_plot(const Sim *s, const SimChange *line, const Advice *v) {
    FigureOptions o = sim_figures_options(s, &line->sim.machine);
    FigureNotes notes = {0};
    Report run;
    int cells = v->space.counts[ADVISE_PIPE] * v->space.counts[ADVISE_TENSOR];
    if (!s->o->plot) return OK;
    ScanPoint *points = ARENA_NEW(s->arena, ScanPoint, cells);
    if (!points) FAIL(ERR_MEMORY, "out of memory for %d cells", cells);
    Scan scan = {&run, .axis_count = 2, .points = points, .count = cells, .advised = v->count};
    TRY(sim_figures_run(&run, s->arena, &line->job, &line->sim.machine, 0));
    run.device_bytes = line->sim.machine.device.memory_bytes;
    TRY(fill_axis(&scan.axes[0], s->arena, "pp", v, ADVISE_PIPE));
    TRY(fill_axis(&scan.axes[1], s->arena, "tp", v, ADVISE_TENSOR));
    fill_cells(points, v, &line->job);
    return sim_figures_end(s, &o, &notes, figures_layout(&o, &scan, &notes));
}
