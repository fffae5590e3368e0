// SPDX-License-Identifier: MIT
// A point is a command line of its own (programs/sim_change.h), made and simulated by the thread
// that takes it (sim/points.h). Read sim_grid_print() first.
#include "programs/sim_grid.h"

#include "core/base/host.h"
#include "core/cli/terminal.h"
#include "programs/sim_figures.h"
#include "programs/sim_grid_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sim_grid_threads(const Sim *s) {
    if (s->o->threads) return s->o->threads;
    HostInfo host;
    host_info_read(&host);
    int cores = host.cores / s->spread.local;
    return cores < 1 ? 1 : cores;
}

// Predictions of a grid are kept nowhere, which may be said. Runs of --compare are drawn in the
// figures of a sweep.
static bool goes_with(const Sim *s, const char *name, const char *other) {
    if (!strcmp(other, "predictions")) return !strcmp(s->o->predictions, "none");
    return s->o->plot && !strcmp(name, "sweep") && !strcmp(other, "compare");
}

Status sim_grid_check_alone(const Sim *s, const char *name) {
    static const char *const others[] = {
        "trace",       "ranks",        "compare", "critical-path", "what-if", "sweep",
        "print-plan",  "print-memory", "explain", "plain",         "preview", "report",
        "predictions", "sensitivity",  "advise",  "print-mesh"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) && sim_given(s, others[i]) && !goes_with(s, name, others[i]))
            FAIL(ERR_USAGE, "--%s simulates devices and prints a table of its own; leave out --%s",
                 name, others[i]);
    if (s->o->json && s->o->csv)
        FAIL(ERR_USAGE, "--json and --csv are two forms of one output; give one");
    return OK;
}

const char *grid_value(const Grid *g, int point, int axis) {
    for (int k = g->axis_count - 1; k > axis; k--) point /= g->axes[k].count;
    return g->axes[axis].values[point % g->axes[axis].count];
}

// --- what is asked for

// "4..64" of a whole number stands for doubling; a number alone of a pair for both of it.
static Status add_range(GridAxis *axis, Arena *a, const char *text, bool pair) {
    IntList list;
    TRY(units_parse_list(&list, text));
    for (int i = 0; i < list.count; i++) {
        char *value = arena_push(a, 2 * UNITS_TEXT);
        if (!value) FAIL(ERR_MEMORY, "out of memory");
        int length = snprintf(value, UNITS_TEXT, "%" PRId64, list.items[i]);
        if (pair) snprintf(value + length, UNITS_TEXT, ",%" PRId64, list.items[i]);
        if (axis->count == GRID_VALUES)
            FAIL(ERR_USAGE, "--sweep %s: at most %d values", axis->key, GRID_VALUES);
        axis->values[axis->count++] = value;
    }
    return OK;
}

static Status add_value(GridAxis *axis, Arena *a, const char *text) {
    const Option *o = sim_change_option(axis->key);
    bool whole = o && (o->kind == OPTION_INT || o->kind == OPTION_SMALL || o->kind == OPTION_LIST);
    bool pair = o && o->kind == OPTION_PAIR;
    if (!*text)
        FAIL(ERR_USAGE, "--sweep %s=..: a value is empty; expected KEY=A,B, such as tp=1,2,4",
             axis->key);
    if (pair || (whole && strstr(text, ".."))) return add_range(axis, a, text, pair);
    if (axis->count == GRID_VALUES)
        FAIL(ERR_USAGE, "--sweep %s: at most %d values", axis->key, GRID_VALUES);
    axis->values[axis->count++] = text;
    return OK;
}

static Status check_axis(GridAxis *axis, const Sim *s) {
    axis->width = (int)strlen(axis->key);
    for (int i = 0; i < axis->count; i++) {
        const SimValue value = {axis->key, axis->values[i]};
        TRY(sim_change_check(s, s->arena, "--sweep", &value));
        int width = (int)strlen(axis->values[i]);
        if (width > axis->width) axis->width = width;
    }
    return OK;
}

// One "KEY=A,B", which is cut into pieces.
static Status read_axis(Grid *g, char *text) {
    char *equal = strchr(text, '='), *end;
    if (!equal || equal == text)
        FAIL(ERR_USAGE, "--sweep %s: expected KEY=A,B, such as tp=1,2,4", text);
    if (g->axis_count == GRID_KEYS) FAIL(ERR_USAGE, "--sweep takes at most %d options", GRID_KEYS);
    *equal = 0;
    GridAxis *axis = &g->axes[g->axis_count++];
    axis->key = text;
    for (int k = 0; k < g->axis_count - 1; k++)
        if (!strcmp(g->axes[k].key, text))
            FAIL(ERR_USAGE, "--sweep: %s is given twice; give all its values once", text);
    for (char *value = equal + 1; value; value = end) {
        end = strchr(value, ',');
        if (end) *end++ = 0;
        TRY(add_value(axis, g->sim->arena, value));
    }
    return check_axis(axis, g->sim);
}

// A comma begins an axis where what follows it has a key.
static char *next_axis(char *text) {
    for (char *at = strchr(text, ','); at; at = strchr(at + 1, ','))
        if (memchr(at + 1, '=', strcspn(at + 1, ","))) return at;
    return NULL;
}

static Status read_axes(Grid *g) {
    char *text = arena_string(g->sim->arena, g->sim->o->sweep);
    if (!text) FAIL(ERR_MEMORY, "out of memory");
    while (text) {
        char *next = next_axis(text);
        if (next) *next++ = 0;
        TRY(read_axis(g, text));
        text = next;
    }
    int64_t count = 1;
    for (int k = 0; k < g->axis_count; k++) count *= g->axes[k].count;
    if (count > GRID_POINTS)
        FAIL(ERR_USAGE, "--sweep: %" PRId64 " combinations; at most %d", count, GRID_POINTS);
    g->count = (int)count;
    return OK;
}

static Status read_tokens(Grid *g) {
    Model m;
    for (int k = 0; k < g->axis_count; k++)
        if (!strcmp(g->axes[k].key, "model") || !strcmp(g->axes[k].key, "plan")) return OK;
    TRY(job_spec_model(&m, g->sim->arena, &g->sim->o->job));
    g->tokens = m.tokens;
    return OK;
}

static Status check(const Sim *s) {
    TRY(sim_grid_check_alone(s, "sweep"));
    if (s->o->gpus.count > 1)
        FAIL(ERR_USAGE, "--gpus of several numbers is a sweep by itself; give --sweep gpus=1,2,4");
    return OK;
}

// --- the points

static Status make(void *context, PointInput *out, Arena *a, int i) {
    const Grid *g = context;
    SimValue values[GRID_KEYS];
    SimChange *c = ARENA_NEW(a, SimChange, 1);
    if (!c) FAIL(ERR_MEMORY, "out of memory");
    for (int k = 0; k < g->axis_count; k++)
        values[k] = (SimValue){g->axes[k].key, grid_value(g, i, k)};
    const SimChangeAsk ask = {values, g->axis_count, true, "--sweep"};
    TRY(sim_change_make(c, a, g->sim, &ask));
    out->job = &c->job;
    out->setting = c->sim.setting;
    return OK;
}

static void print_rows(Grid *g, int ended) {
    if (g->sim->o->json || ended == g->printed) return;
    sim_watch_clear(&g->sim->watch);
    for (; g->printed < ended; g->printed++) grid_print_row(g, g->printed);
    fflush(stdout);
}

static void follow(void *context, int ended, int all_ended) {
    Grid *g = context;
    print_rows(g, ended);
    sim_watch_share(&g->sim->watch, (double)all_ended / g->count);
}

static bool go_on(void *context) {
    (void)context;
    return !sim_watch_interrupted();
}

static int done_count(const Grid *g, PointState state) {
    int count = 0;
    for (int i = 0; i < g->count; i++) count += g->points[i].state == state;
    return count;
}

// Behind an interruption rows may be done that follow one which is not.
static Status finish(Grid *g, Status status) {
    int open = done_count(g, POINT_OPEN), done = done_count(g, POINT_DONE);
    char why[STATUS_TEXT];
    snprintf(why, sizeof why, "%s", status_message());
    for (; !g->sim->o->json && g->printed < g->count; g->printed++)
        if (g->points[g->printed].state != POINT_OPEN) grid_print_row(g, g->printed);
    if (g->sim->o->json)
        TRY(grid_print_json(g));
    else if (done)
        grid_print_end(g);
    if (status != OK)
        FAIL(status, "%d of %d rows are done and kept: %s", g->count - open, g->count, why);
    if (!done) FAIL(ERR_USAGE, "--sweep: no row can be made: %s", g->points[0].why);
    return grid_plot(g);
}

Status sim_grid_print(Sim *s) {
    Grid g = {.sim = s, .width = terminal_width(stdout)};
    TRY(check(s));
    TRY(sim_figures_check(s));
    TRY(sim_request_reports(s));
    TRY(read_axes(&g));
    TRY(read_tokens(&g));
    g.points = ARENA_NEW(s->arena, Point, g.count);
    if (!g.points) FAIL(ERR_MEMORY, "out of memory for %d points", g.count);
    const PointWork work = {&g, make, follow, go_on};
    sim_watch_start(&s->watch, s->log, s->o->quiet, NULL, 0);
    if (!s->o->json) grid_print_heads(&g);
    Status status = spread_run(&s->spread, g.points, g.count, sim_grid_threads(s), &work);
    sim_watch_end(&s->watch);
    return s->spread.rank ? OK : finish(&g, status);
}
