// SPDX-License-Identifier: MIT
// A tornado: the step again with each number 10 % less and 10 % more, sorted by what that changes.
// The plan is made once; only costs differ. Read sim_sensitivity_print().
#include "programs/sim_sensitivity.h"

#include "core/base/json.h"
#include "core/base/table.h"
#include "core/cli/terminal.h"
#include "programs/sim_change.h"
#include "programs/sim_figures.h"
#include "programs/sim_grid.h"
#include "programs/sim_sweep_internal.h"
#include "sim/platform_numbers.h"
#include "sim/points.h"
#include "viz/tornado.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENSITIVITY_SCHEMA "tandem.sensitivity.v1"

enum { LESS, MORE, SIDES };
static const int permille[SIDES] = {900, 1100};

// A number, and the steps with it changed, in milliseconds.
typedef struct {
    PlatformNumber number;
    double ms[SIDES];
} Effect;

typedef struct {
    SimChange *line;  // as it was given, of one number of devices
    ProgramSet set;   // lowered
    Effect effects[PLATFORM_NUMBERS];
    int count;
    Point points[1 + SIDES * PLATFORM_NUMBERS];  // the first is of the platform as it is
    SimWatch *watch;
} Effects;

// --- simulating

static Status make(void *context, PointInput *out, Arena *a, int i) {
    const Effects *t = context;
    Machine *m = ARENA_NEW(a, Machine, 1);
    if (!m) FAIL(ERR_MEMORY, "out of memory");
    out->job = &t->line->job;
    out->setting = t->line->sim.setting;
    *m = t->line->sim.machine;
    out->setting.machine = m;
    out->setting.programs = &t->set;
    if (i) {
        int id = t->effects[(i - 1) / SIDES].number.id;
        platform_number_scale(m, &out->setting.link, id, permille[(i - 1) % SIDES]);
    }
    return OK;
}

static void follow(void *context, int ended, int all_ended) {
    const Effects *t = context;
    (void)ended;
    sim_watch_share(t->watch, (double)all_ended / (1 + SIDES * t->count));
}

static bool go_on(void *context) {
    (void)context;
    return !sim_watch_interrupted();
}

static double magnitude(const Effect *e, double now) {
    return fmax(fabs(e->ms[LESS] - now), fabs(e->ms[MORE] - now));
}

static double now_ms(const Effects *t) { return t->points[0].step_ms; }

// The largest first; of equal ones in the order of the platform. Numbers are few.
static void sort(Effects *t) {
    for (int i = 1; i < t->count; i++) {
        Effect e = t->effects[i];
        int at = i;
        for (; at && magnitude(&t->effects[at - 1], now_ms(t)) < magnitude(&e, now_ms(t)); at--)
            t->effects[at] = t->effects[at - 1];
        t->effects[at] = e;
    }
}

static Status simulate(Effects *t, Sim *s) {
    const LinkModel *link = &t->line->sim.setting.link;
    PlatformNumber numbers[PLATFORM_NUMBERS];
    const PointWork work = {t, make, follow, go_on};
    t->watch = &s->watch;
    t->count = platform_numbers_list(numbers, &t->line->sim.machine, link, t->line->job.spec.dtype);
    for (int i = 0; i < t->count; i++) t->effects[i].number = numbers[i];
    TRY(sim_job_step(&t->set, s->arena, &t->line->job));
    sim_watch_start(&s->watch, s->log, s->o->quiet, NULL, 0);
    Status status = points_run(t->points, 1 + SIDES * t->count, sim_grid_threads(s), &work);
    sim_watch_end(&s->watch);
    TRY(status);
    for (int i = 0; i < 1 + SIDES * t->count; i++) {
        if (t->points[i].state != POINT_DONE) FAIL(ERR_USAGE, "%s", t->points[i].why);
        if (i) t->effects[(i - 1) / SIDES].ms[(i - 1) % SIDES] = t->points[i].step_ms;
    }
    sort(t);
    return OK;
}

// --- printing

enum { NAME = 20, VALUE = 8, CHANGE = 8, BESIDE = NAME + VALUE + 2 * CHANGE + 2 * 4 };

static double percent(const Effects *t, const Effect *e, int side) {
    return 100 * (e->ms[side] / now_ms(t) - 1);
}

// Does it change the step by 0.005 %?
static bool has_effect(const Effects *t, const Effect *e) {
    return magnitude(e, now_ms(t)) >= 5e-5 * now_ms(t);
}

// '-' of 10 % less, '+' of 10 % more, to the left of the middle where the step is shorter. Where
// both are on one side the shorter covers the longer.
static void print_bar(const Effects *t, const Effect *e, int half) {
    char bar[2 * 64 + 2];
    double most = magnitude(&t->effects[0], now_ms(t));
    int length[SIDES];
    half = half > 63 ? 63 : half;
    memset(bar, ' ', sizeof bar);
    for (int side = 0; side < SIDES; side++)
        length[side] = (int)lround((e->ms[side] - now_ms(t)) / most * half);
    int first = abs(length[LESS]) >= abs(length[MORE]) ? LESS : MORE;
    for (int k = 0; k < SIDES; k++) {
        int side = k ? !first : first;
        for (int i = 1; i <= abs(length[side]); i++)
            bar[half + (length[side] < 0 ? -i : i)] = side == LESS ? '-' : '+';
    }
    bar[half] = '|';
    int end = 2 * half + 1;
    while (bar[end - 1] == ' ') end--;
    printf("%.*s\n", end, bar);
}

static void print_title(const Effects *t, int width) {
    const SimJob *job = &t->line->job;
    SweepPhrases p = {width, 0};
    sweep_phrase(&p, "%s", job->spec.model);
    sweep_phrase(&p, "%s", t->line->sim.machine.name);
    sweep_phrase(&p, "%d device%s", job->spec.ranks, job->spec.ranks == 1 ? "" : "s");
    sweep_phrase(&p, "batch %lld", (long long)job->spec.batch);
    sweep_phrase(&p, "a step of %.5g ms [simulated]", now_ms(t));
    putchar('\n');
    sweep_say(width, 0, "by how much it changes with each number of the platform");
}

static void print_unimportant(const Effects *t, int first, int width) {
    SweepPhrases p = {width, 0};
    if (first == t->count) return;
    for (int i = first; i < t->count; i++)
        sweep_phrase(&p, "%s%s%s", i == first ? "less than 0.005 %: " : "",
                     t->effects[i].number.name, i + 1 < t->count ? "," : "");
    putchar('\n');
}

static void print_table(const Effects *t) {
    int width = terminal_width(stdout), half = (width - BESIDE - 1) / 2, i = 0;
    char value[UNITS_TEXT];
    if (half < 6) half = 6;
    print_title(t, width);
    printf("%-*s  %*s  %*s  %*s  -: 10%% less  +: 10%% more\n", NAME, "number", VALUE, "now",
           CHANGE, "10% less", CHANGE, "10% more");
    for (; i < t->count && has_effect(t, &t->effects[i]); i++) {
        const Effect *e = &t->effects[i];
        printf("%-*s  %*s  %+*.2f%%  %+*.2f%%  ", NAME, e->number.name, VALUE,
               platform_number_print(value, &e->number), CHANGE - 1, percent(t, e, LESS),
               CHANGE - 1, percent(t, e, MORE));
        print_bar(t, e, half);
    }
    print_unimportant(t, i, width);
}

static void print_csv(const Effects *t) {
    puts("schema,number,unit,value,step_ms,less_ms,more_ms");
    for (int i = 0; i < t->count; i++) {
        const Effect *e = &t->effects[i];
        printf(SENSITIVITY_SCHEMA ",%s,%s,%lld,%.9g,%.9g,%.9g\n", e->number.name,
               platform_unit_name(e->number.unit), (long long)e->number.value, now_ms(t),
               e->ms[LESS], e->ms[MORE]);
    }
}

static Status print_json(const Effects *t) {
    json_t *numbers = json_array();
    for (int i = 0; numbers && i < t->count; i++) {
        const Effect *e = &t->effects[i];
        json_array_append_new(
            numbers,
            json_pack("{s:s, s:s, s:I, s:o, s:o}", "name", e->number.name, "unit",
                      platform_unit_name(e->number.unit), "value", (json_int_t)e->number.value,
                      "less_ms", json_number(e->ms[LESS]), "more_ms", json_number(e->ms[MORE])));
    }
    json_t *all =
        json_pack("{s:s, s:i, s:o, s:o}", "schema", SENSITIVITY_SCHEMA, "devices",
                  t->line->job.spec.ranks, "step_ms", json_number(now_ms(t)), "numbers", numbers);
    if (!all) FAIL(ERR_MEMORY, "out of memory for %d numbers", t->count);
    json_write(stdout, all);
    json_decref(all);
    return OK;
}

static Status print(const Effects *t, const SimOptions *o) {
    if (o->json) return print_json(t);
    o->csv ? print_csv(t) : print_table(t);
    return OK;
}

// --- the figure

static Status plot(const Sim *s, const Effects *t) {
    if (!s->o->plot) return OK;
    const Machine *m = &t->line->sim.machine;
    FigureOptions o = sim_figures_options(s, m);
    FigureNotes notes = {0};
    Report run;
    TornadoBar *bars = ARENA_NEW(s->arena, TornadoBar, t->count);
    char(*values)[UNITS_TEXT] = arena_push(s->arena, (size_t)t->count * sizeof *values);
    if (!bars || !values) FAIL(ERR_MEMORY, "out of memory for %d bars", t->count);
    TRY(sim_figures_run(&run, s->arena, &t->line->job, m, now_ms(t)));
    for (int i = 0; i < t->count; i++) {
        const Effect *e = &t->effects[i];
        platform_number_print(values[i], &e->number);
        bars[i] = (TornadoBar){e->number.name, values[i], e->ms[LESS], e->ms[MORE]};
    }
    const Tornado tornado = {&run, bars, t->count};
    return sim_figures_end(s, &o, &notes, figures_tornado(&o, &tornado, &notes));
}

Status sim_sensitivity_print(Sim *s) {
    TRY(sim_grid_check_alone(s, "sensitivity"));
    TRY(sim_figures_check(s));
    if (s->o->gpus.count > 1)
        FAIL(ERR_USAGE, "--sensitivity is of one number of devices; give --gpus one");
    Effects *t = ARENA_NEW(s->arena, Effects, 1);
    if (t) t->line = ARENA_NEW(s->arena, SimChange, 1);
    if (!t || !t->line) FAIL(ERR_MEMORY, "out of memory");
    const SimChangeAsk ask = {NULL, 0, true, "--sensitivity"};
    TRY(sim_change_make(t->line, s->arena, s, &ask));
    Status status = simulate(t, s);
    program_set_finish(&t->set);
    TRY(status);
    TRY(print(t, s->o));
    return plot(s, t);
}
