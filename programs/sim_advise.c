// SPDX-License-Identifier: MIT
// The best first, then what one option more or less would change, then why the others are not
// there. Read sim_advise_print() at the end.
#include "programs/sim_advise.h"

#include "core/base/json.h"
#include "core/base/table.h"
#include "core/base/text.h"
#include "core/cli/terminal.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "programs/sim_advise_internal.h"
#include "programs/sim_figures.h"
#include "programs/sim_grid.h"
#include "programs/sim_grid_internal.h"
#include "programs/sim_sweep_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADVICE_SCHEMA "tandem.advice.v1"

enum { LINE = 240, VALUE = 64, SHOWN = 8 };

static const char *const names[ADVISE_OPTIONS] = {
    "tp", "cp", "pp", "ep", "zero", "recompute", "schedule", "accumulate", "bucket-kib"};

typedef struct {
    SimChange *line;
    Advice advice;
    int *order;  // candidates that fit, the fastest first
    int count;
    SimWatch *watch;
} Advise;

// --- searching

static void follow(void *context, int ended, int all_ended) {
    const Advise *a = context;
    (void)ended;
    sim_watch_share(a->watch, (double)all_ended / ADVISE_MOST);
}

static bool go_on(void *context) {
    (void)context;
    return !sim_watch_interrupted();
}

static double step_of(const Advise *a, int candidate) {
    return a->advice.points[a->advice.candidates[candidate].point].step_ms;
}

static Status sort(Advise *a, Arena *arena) {
    const Advice *v = &a->advice;
    a->order = ARENA_NEW(arena, int, v->simulated + 1);
    if (!a->order) FAIL(ERR_MEMORY, "out of memory");
    for (int i = 0; i < v->simulated; i++) {
        int c = v->of_point[i], at = a->count;
        if (v->candidates[c].fate != ADVISE_SIMULATED) continue;
        for (; at && step_of(a, a->order[at - 1]) > step_of(a, c); at--)
            a->order[at] = a->order[at - 1];
        a->order[at] = c;
        a->count++;
    }
    return OK;
}

// An option of the line is not chosen; --dp, which fixes the product of the others, is refused.
static Status search(Advise *a, Sim *s) {
    bool fixed[ADVISE_OPTIONS];
    const PointWork follower = {a, NULL, follow, go_on};
    for (int o = 0; o < ADVISE_OPTIONS; o++) fixed[o] = sim_given(s, names[o]);
    const AdviseAsk ask = {.job = &a->line->job,
                           .setting = &a->line->sim.setting,
                           .threads = sim_grid_threads(s),
                           .fixed = fixed,
                           .follower = &follower};
    a->watch = &s->watch;
    sim_watch_start(&s->watch, s->log, s->o->quiet, NULL, 0);
    Status status = advise_find(&a->advice, s->arena, &ask);
    sim_watch_end(&s->watch);
    return status;
}

// --- words

static void print_schedule(char out[VALUE], int value) {
    static const char *const words[] = {"gpipe", "1f1b", "interleaved", "zero-bubble"};
    snprintf(out, VALUE, value >= 8 ? "%s:%d" : "%s", words[value % 8], value / 8);
}

// The value of an option as it would be typed; "" for what is left out.
static void print_value(char out[VALUE], const Advise *a, int candidate, AdviseOption o) {
    static const char *const recompute[] = {"none", "selective", "full"};
    int value = advise_value(&a->advice, candidate, o);
    JobSpec s = a->line->job.spec;
    *out = '\0';
    advise_apply(&s, &a->advice, candidate);
    switch (o) {
    case ADVISE_ZERO: snprintf(out, VALUE, value ? "%d" : "no", value); break;
    case ADVISE_RECOMPUTE: snprintf(out, VALUE, "%s", recompute[value]); break;
    case ADVISE_SCHEDULE: print_schedule(out, value); break;
    case ADVISE_BUCKET:
        snprintf(out, VALUE, "%lld,%lld", (long long)s.strategy.bucket_bytes[0] / 1024,
                 (long long)s.strategy.bucket_bytes[1] / 1024);
        break;
    default: snprintf(out, VALUE, "%d", value < 1 ? 1 : value);
    }
}

// Is it what a line without the option has?
static bool is_default(const Advise *a, int candidate, AdviseOption o) {
    int value = advise_value(&a->advice, candidate, o);
    if (o == ADVISE_ZERO || o == ADVISE_RECOMPUTE) return value == 0;
    if (o == ADVISE_SCHEDULE)
        return value == SCHEDULE_1F1B || advise_value(&a->advice, candidate, ADVISE_PIPE) < 2;
    if (o == ADVISE_MICRO_BATCHES)
        return value == 1 && advise_value(&a->advice, candidate, ADVISE_PIPE) < 2;
    return value < 2;
}

// " --tp 2 --zero 1": what to give besides the line.
static void print_options(char out[LINE], const Advise *a, int candidate) {
    char value[VALUE];
    *out = '\0';
    for (int o = 0; o < ADVISE_OPTIONS; o++) {
        if (is_default(a, candidate, (AdviseOption)o)) continue;
        print_value(value, a, candidate, (AdviseOption)o);
        text_append(out, LINE, "%s--%s %s", *out ? " " : "", names[o], value);
    }
    if (!*out) snprintf(out, LINE, "(none of these options)");
}

// --- the table

static int data_ranks(const Advise *a, int candidate) {
    JobSpec s = a->line->job.spec;
    advise_apply(&s, &a->advice, candidate);
    return job_spec_data_ranks(&s);
}

static const Point *point_of(const Advise *a, int candidate) {
    return &a->advice.points[a->advice.candidates[candidate].point];
}

static bool varies(const Advise *a, AdviseOption o) {
    return a->advice.space.counts[o] > 1 || advise_value(&a->advice, 0, o) > 1;
}

// So that all columns have room: zb is a word that --schedule knows, too.
static const char *short_word(const char *value) {
    if (!strcmp(value, "zero-bubble")) return "zb";
    if (!strcmp(value, "selective")) return "sel.";
    return !strcmp(value, "interleaved:2") ? "int:2" : value;
}

// Is there an earlier row that no option but those without effect tells apart?
static bool is_shown(const Advise *a, int row) {
    const Point *p = point_of(a, a->order[row]);
    for (int i = 0; i < row; i++) {
        const Point *before = point_of(a, a->order[i]);
        if (before->step_ms == p->step_ms && before->memory_bytes == p->memory_bytes) return true;
    }
    return false;
}

static void fill_row(Table *t, const Advise *a, int c) {
    const Point *p = point_of(a, c);
    char text[VALUE];
    table_cell(t, "%.5g", p->step_ms);
    table_cell(t, "%.1f%%", 100 * p->mfu);
    table_cell(t, "%s", units_print_size(text, p->memory_bytes));
    table_cell(t, "%d", data_ranks(a, c));
    for (int o = 0; o < ADVISE_BUCKET; o++) {
        if (!varies(a, (AdviseOption)o)) continue;
        print_value(text, a, c, (AdviseOption)o);
        bool plain = is_default(a, c, (AdviseOption)o) && o >= ADVISE_ZERO;
        table_cell(t, "%s", plain ? "" : short_word(text));
    }
}

static Status print_rows(const Advise *a, Arena *arena) {
    static const char *const heads[] = {"tp",   "cp",     "pp",     "ep",
                                        "zero", "recomp", "sched.", "accum."};
    TableColumn columns[ADVISE_OPTIONS + 4] = {
        {"step ms", true}, {"MFU", true}, {"memory", true}, {"dp", true}};
    int count = 4;
    for (int o = 0; o < ADVISE_BUCKET; o++)
        if (varies(a, (AdviseOption)o)) columns[count++] = (TableColumn){heads[o], true};
    Table table;
    table_init(&table, arena, columns, count);
    for (int i = 0, shown = 0; i < a->count && shown < SHOWN; i++) {
        if (is_shown(a, i)) continue;
        fill_row(&table, a, a->order[i]);
        shown++;
    }
    return table_print(stdout, &table, TABLE_TEXT);
}

// The part of a step that grew most from one point to another; by how many milliseconds.
static int grown_part(const Point *from, const Point *to, double *by_ms) {
    int most = NONE;
    *by_ms = 0;
    for (int part = 0; part < REPORT_PARTS; part++) {
        double grown = to->parts_ms[part] - from->parts_ms[part];
        if (grown <= *by_ms) continue;
        *by_ms = grown;
        most = part;
    }
    return most;
}

static const char *part_name(int part) {
    const Sweep naming = {.rows = &(Prediction){.launch_ms = 1}};
    return sweep_part_name(&naming, part);
}

static void fill_neighbour(Table *t, const Advise *a, int c, AdviseOption o) {
    const Advice *v = &a->advice;
    const Point *best = point_of(a, v->best), *p = point_of(a, c);
    char value[VALUE], memory[UNITS_TEXT];
    double by_ms;
    print_value(value, a, c, o);
    table_cell(t, "--%s %s", names[o], value);
    table_cell(t, "%+.1f%%", 100 * (p->step_ms / best->step_ms - 1));
    table_cell(t, "%s", units_print_size(memory, p->memory_bytes));
    int part = grown_part(best, p, &by_ms);
    if (v->candidates[c].fate == ADVISE_MEMORY)
        table_cell(t, "does not fit");
    else if (part == NONE)
        table_cell(t, "%s", "");
    else
        table_cell(t, "%s %+.3g ms", part_name(part), by_ms);
}

static Status print_neighbours(const Advise *a, Arena *arena) {
    static const TableColumn columns[] = {
        {"instead", false}, {"step", true}, {"memory", true}, {"most more", false}};
    const Advice *v = &a->advice;
    Table table;
    table_init(&table, arena, columns, 4);
    for (int o = 0; o < ADVISE_OPTIONS; o++)
        for (int c = 0; c < v->count; c++) {
            AdviseOption differs;
            int fate = v->candidates[c].fate;
            if (fate != ADVISE_SIMULATED && fate != ADVISE_MEMORY) continue;
            if (advise_differs_only(v, v->best, c, &differs) && (int)differs == o)
                fill_neighbour(&table, a, c, differs);
        }
    puts("\naround the best, with one option changed");
    return table_print(stdout, &table, TABLE_TEXT);
}

// --- why

static void print_best(const Advise *a, int width) {
    const Advice *v = &a->advice;
    const Point *p = point_of(a, v->best);
    char options[LINE], memory[UNITS_TEXT];
    print_options(options, a, v->best);
    printf("best: %s\n", options);
    SweepPhrases line = {width, 0};
    bool first = true;
    for (int part = 0; part < REPORT_PARTS; part++) {
        if (p->parts_ms[part] < 0.005 * p->step_ms) continue;
        sweep_phrase(&line, "%s%s %.0f%%", first ? "its step: " : "", part_name(part),
                     100 * p->parts_ms[part] / p->step_ms);
        first = false;
    }
    sweep_phrase(&line, "on %s of each device", units_print_size(memory, p->memory_bytes));
    putchar('\n');
}

static const char *const fates[ADVISE_FATES] = {
    "estimated to be slower",
    "simulated, and fit",
    "degrees do not divide the devices",
    "batch does not divide into data-parallel ranks and micro-batches",
    "micro-batches do not suit the pipeline",
    "options exclude each other",
    "weights and states alone are larger than the memory",
    "model does not divide so",
    "simulated, and do not fit the memory",
};

static void print_counts(const Advise *a, int width) {
    const Advice *v = &a->advice;
    static const int order[ADVISE_FATES] = {ADVISE_SIMULATED, ADVISE_MEMORY, ADVISE_OPEN,
                                            ADVISE_LEAST,     ADVISE_MODEL,  ADVISE_DEVICES,
                                            ADVISE_BATCH,     ADVISE_STAGES, ADVISE_REFUSED};
    printf("\n%d combinations\n", v->count);
    for (int k = 0; k < ADVISE_FATES; k++) {
        int f = order[k];
        if (!v->fates[f]) continue;
        printf("%8d  %s\n", v->fates[f], fates[f]);
        int room = width - (int)sizeof "          such as: ";
        bool cut = (int)strlen(v->why[f]) > room;
        if (*v->why[f])
            printf("          such as: %.*s%s\n", cut ? room - 2 : room, v->why[f],
                   cut ? ".." : "");
    }
}

static void print_title(const Advise *a, int width) {
    const SimJob *job = &a->line->job;
    const Machine *m = &a->line->sim.machine;
    char memory[UNITS_TEXT];
    SweepPhrases p = {width, 0};
    sweep_phrase(&p, "%s", job->spec.model);
    sweep_phrase(&p, "%s", m->name);
    sweep_phrase(&p, "%d devices", job->spec.ranks);
    if (m->device.memory_bytes)
        sweep_phrase(&p, "of %s", units_print_size(memory, m->device.memory_bytes));
    sweep_phrase(&p, "batch %lld in all", (long long)job->spec.batch);
    sweep_phrase(&p, "%s", dtype_name(job->spec.dtype));
    sweep_phrase(&p, "[simulated]");
    putchar('\n');
}

static Status print(const Advise *a, Arena *arena) {
    int width = terminal_width(stdout);
    print_title(a, width);
    if (a->advice.best != NONE) {
        print_best(a, width);
        putchar('\n');
        TRY(print_rows(a, arena));
        TRY(print_neighbours(a, arena));
    }
    print_counts(a, width);
    return OK;
}

// --- JSON

static json_t *options_json(const Advise *a, int candidate) {
    json_t *out = json_object();
    char value[VALUE];
    json_object_set_new(out, "dp", json_integer(data_ranks(a, candidate)));
    for (int o = 0; o < ADVISE_OPTIONS; o++) {
        print_value(value, a, candidate, (AdviseOption)o);
        json_object_set_new(out, names[o], json_text(value));
    }
    return out;
}

static json_t *candidate_json(const Advise *a, int candidate) {
    char options[LINE];
    print_options(options, a, candidate);
    return json_pack("{s:o, s:o, s:o, s:o}", "line", json_text(options), "options",
                     options_json(a, candidate), "estimate_ms",
                     json_number(a->advice.candidates[candidate].estimate_ms), "step",
                     grid_point_json(point_of(a, candidate)));
}

static Status print_json(const Advise *a) {
    static const char *const keys[ADVISE_FATES] = {
        "open", "simulated", "devices", "batch", "stages", "options", "least", "model", "memory"};
    const Advice *v = &a->advice;
    json_t *rows = json_array(), *counts = json_object();
    for (int i = 0; i < a->count; i++) json_array_append_new(rows, candidate_json(a, a->order[i]));
    for (int f = 0; f < ADVISE_FATES; f++)
        json_object_set_new(counts, keys[f], json_integer(v->fates[f]));
    json_t *all = json_pack("{s:s, s:i, s:o, s:o}", "schema", ADVICE_SCHEMA, "combinations",
                            v->count, "counts", counts, "best", rows);
    if (!all) FAIL(ERR_MEMORY, "out of memory for advice");
    json_write(stdout, all);
    json_decref(all);
    return OK;
}

// --- all of it

static Status check(const Sim *s) {
    TRY(sim_grid_check_alone(s, "advise"));
    if (s->o->csv) FAIL(ERR_USAGE, "--advise has --json for programs; leave out --csv");
    if (s->o->gpus.count > 1)
        FAIL(ERR_USAGE, "--advise is of one number of devices; give --gpus one");
    if (sim_given(s, "dp") || sim_given(s, "plan") || sim_given(s, "data-parallel"))
        FAIL(ERR_USAGE, "--advise chooses how ranks are divided; leave out --%s",
             sim_given(s, "dp")     ? "dp"
             : sim_given(s, "plan") ? "plan"
                                    : "data-parallel");
    return OK;
}

Status sim_advise_print(Sim *s) {
    TRY(check(s));
    TRY(sim_figures_check(s));
    Advise *a = ARENA_NEW(s->arena, Advise, 1);
    if (a) a->line = ARENA_NEW(s->arena, SimChange, 1);
    if (!a || !a->line) FAIL(ERR_MEMORY, "out of memory");
    const SimChangeAsk ask = {NULL, 0, true, "--advise"};
    TRY(sim_change_make(a->line, s->arena, s, &ask));
    if (s->o->memory) a->line->sim.machine.device.memory_bytes = s->o->memory;
    Status status = search(a, s);
    if (status != OK && status != ERR_INTERRUPTED) return status;
    TRY(sort(a, s->arena));
    TRY(s->o->json ? print_json(a) : print(a, s->arena));
    TRY(sim_advise_plot(s, a->line, &a->advice));
    if (status != OK)
        FAIL(status, "interrupted after %d simulations; the best of these is printed",
             a->advice.simulated);
    if (a->advice.best == NONE)
        FAIL(ERR_USAGE,
             "none of %d combinations fits; give more devices, a larger --memory, or a "
             "smaller --batch",
             a->advice.count);
    return OK;
}
