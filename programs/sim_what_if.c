// SPDX-License-Identifier: MIT
// Each change is a command line of its own (programs/sim_change.h), and a column of the table that
// sim_what_if_print() makes.
#include "programs/sim_what_if.h"

#include "core/base/json.h"
#include "core/base/table.h"
#include "core/cli/terminal.h"
#include "programs/point_json.h"
#include "programs/sim_change.h"
#include "programs/sim_sweep_internal.h"
#include "sim/answers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHANGES = 6, SHOWN_LEAST = 8, SHOWN_MOST = 24 };

// One column.
struct SimWhatIf {
    const char *text;  // "bandwidth=x2",
    SimValue value;    // and its two sides
    SimChange change;
    Prediction prediction;
};

// A comma begins a change where what follows it has a key: bucket-kib=64,256 is one.
static char *next_change(char *text) {
    for (char *at = strchr(text, ','); at; at = strchr(at + 1, ',')) {
        size_t length = strcspn(at + 1, ",");
        if (memchr(at + 1, '=', length)) return at;
    }
    return NULL;
}

static Status add_change(Sim *s, char *text) {
    SimWhatIf *c = &s->changes[s->change_count];
    if (s->change_count == CHANGES) FAIL(ERR_USAGE, "--what-if takes at most %d changes", CHANGES);
    char *key = arena_string(s->arena, text), *equal = key ? strchr(key, '=') : NULL;
    if (!key) FAIL(ERR_MEMORY, "out of memory");
    if (!equal || equal == key || !equal[1])
        FAIL(ERR_USAGE, "--what-if %s: expected KEY=VALUE, such as bandwidth=x2 or dtype=bf16",
             text);
    *equal = 0;
    *c = (SimWhatIf){.text = text, .value = {key, equal + 1}};
    s->change_count++;
    return sim_change_make(&c->change, s->arena, s,
                           &(SimChangeAsk){&c->value, 1, false, "--what-if"});
}

Status sim_what_if_request(Sim *s) {
    const SimOptions *o = s->o;
    if (!o->what_if) return OK;
    if (s->recorded) FAIL(ERR_USAGE, "--what-if is a table of predictions; leave out --trace");
    if (o->csv || o->plain)
        FAIL(ERR_USAGE, "--what-if has --json for programs; leave out --%s",
             o->csv ? "csv" : "plain");
    if (o->json && o->critical_path)
        FAIL(ERR_USAGE, "--what-if and --critical-path each have a --json of their own; give one");
    if (!sim_given(s, "gpus") || s->sizes.count != 1)
        FAIL(ERR_USAGE, "--what-if is of one number of devices; give --gpus one");
    if (o->explain || o->print_mesh || o->print_plan || o->print_memory)
        FAIL(ERR_USAGE, "--what-if is of a simulated step: give it without what prints a plan, a "
                        "mesh or memory");
    s->changes = ARENA_NEW(s->arena, SimWhatIf, CHANGES + 1);
    char *text = arena_string(s->arena, o->what_if);
    if (!s->changes || !text) FAIL(ERR_MEMORY, "out of memory");
    while (text) {
        char *next = next_change(text);
        if (next) *next++ = 0;
        TRY(add_change(s, text));
        text = next;
    }
    return OK;
}

// --- the table

static double step_ms(const Prediction *p) {
    double sum = 0;
    for (int part = 0; part < REPORT_PARTS; part++) sum += answers_part_ms(p, part);
    return sum;
}

static void fill_row(Table *t, const Sim *s, const char *name, int decimals, int part) {
    double now = part == NONE ? step_ms(&s->rows[0]) : answers_part_ms(&s->rows[0], part);
    table_cell(t, "%s", name);
    part == NONE ? table_cell(t, "%s", "") : table_cell(t, "%.*f", decimals, now);
    for (int i = 0; i < s->change_count; i++) {
        const Prediction *p = &s->changes[i].prediction;
        double then = part == NONE ? step_ms(p) : answers_part_ms(p, part);
        if (fabs(then - now) < 0.5 * pow(10, -decimals))
            table_cell(t, "0");
        else
            table_cell(t, "%+.*f", decimals, then - now);
    }
}

static void samples_cell(Table *t, const Prediction *p) {
    double rate = sweep_samples_per_s(p);
    table_cell(t, "%.*f", rate >= 1000 ? 0 : 2, rate);
}

static void fill_heads(Table *t, const Sim *s, int decimals) {
    table_cell(t, "step");
    table_cell(t, "%.*f", decimals, step_ms(&s->rows[0]));
    for (int i = 0; i < s->change_count; i++)
        table_cell(t, "%.*f", decimals, step_ms(&s->changes[i].prediction));
    table_cell(t, "samples/s");
    samples_cell(t, &s->rows[0]);
    for (int i = 0; i < s->change_count; i++) samples_cell(t, &s->changes[i].prediction);
}

// Is it at least 0.05 % of a step, now or with a change?
static bool part_counts(const Sim *s, int part) {
    double least = 5e-4 * step_ms(&s->rows[0]);
    bool counts = answers_part_ms(&s->rows[0], part) >= least;
    for (int i = 0; i < s->change_count; i++)
        counts |= answers_part_ms(&s->changes[i].prediction, part) >= least;
    return counts;
}

static Status print_text(const Sim *s) {
    static const int order[REPORT_PARTS] = {TIME_COMPUTE,      REPORT_LAUNCH, TIME_CONTENDED,
                                            TIME_EXPOSED_COMM, TIME_BUBBLE,   TIME_WAITING,
                                            TIME_HOST,         TIME_IDLE};
    const Sweep names = {.rows = s->rows};
    TableColumn columns[CHANGES + 2] = {{"ms", false}, {"now", true}};
    int shown = (terminal_width(stdout) - 21) / s->change_count - 2;
    shown = shown < SHOWN_LEAST ? SHOWN_LEAST : shown > SHOWN_MOST ? SHOWN_MOST : shown;
    for (int i = 0; i < s->change_count; i++) {
        const char *text = s->changes[i].text;
        const char *head = arena_string_n(s->arena, text, strnlen(text, (size_t)shown));
        if (!head) FAIL(ERR_MEMORY, "out of memory");
        columns[2 + i] = (TableColumn){head, true};
    }
    int decimals = step_ms(&s->rows[0]) >= 100 ? 2 : 4;
    Table table;
    table_init(&table, s->arena, columns, 2 + s->change_count);
    fill_heads(&table, s, decimals);
    for (int k = 0; k < REPORT_PARTS; k++)
        if (part_counts(s, order[k]))
            fill_row(&table, s, sweep_part_name(&names, order[k]), decimals, order[k]);
    fill_row(&table, s, "difference", decimals, NONE);
    putchar('\n');
    sweep_say(terminal_width(stdout), 0,
              "what if: a step, simulated again, and by how much each part of it changes");
    return table_print(stdout, &table, TABLE_TEXT);
}

// --- JSON

// Column i, counted from 0: as the line is, then each change.
static json_t *column_json(const Sim *s, int i) {
    Point point;
    const SimWhatIf *c = i ? &s->changes[i - 1] : NULL;
    json_t *values = json_object();
    if (c) json_object_set_new(values, c->value.key, json_text(c->value.value));
    point_take(&point, c ? &c->prediction : &s->rows[0]);
    return point_row_json(values, &point);
}

static Status print_json(const Sim *s) {
    json_t *rows = json_array();
    for (int i = 0; i <= s->change_count && rows; i++)
        if (json_array_append_new(rows, column_json(s, i))) {
            json_decref(rows);
            rows = NULL;
        }
    return points_print_json(rows);
}

Status sim_what_if_print(const Sim *s) {
    for (int i = 0; i < s->change_count; i++) {
        SimWhatIf *c = &s->changes[i];
        TRY(predict_job(&c->prediction, s->arena, &c->change.job, &c->change.sim.setting));
    }
    return s->o->json ? print_json(s) : print_text(s);
}
