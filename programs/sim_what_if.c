// SPDX-License-Identifier: MIT
// Each change is one more line of options, or one more machine: read make_change() for what it may
// be, sim_what_if_print() for the table.
#include "programs/sim_what_if.h"

#include "core/base/table.h"
#include "core/cli/terminal.h"
#include "programs/sim_sweep_internal.h"
#include "sim/answers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGES = 6, SHOWN_LEAST = 8, SHOWN_MOST = 24 };

// One column.
struct SimChange {
    const char *text, *key, *value;  // "bandwidth=x2" and its two sides
    SimOptions o;
    OptionLine line;
    Sim sim;
    SimJob job;
    Prediction prediction;
};

// --- numbers of the platform

// Times `up` / `down`, both in thousandths.
typedef struct {
    int64_t up, down;
} Factor;

static int64_t scaled(int64_t value, Factor f) {
    __int128 out = (__int128)value * f.up / f.down;
    if (value > 0 && out < 1) return 1;
    return out > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)out;
}

static void scale_bandwidth(Machine *m, LinkModel *link, Factor f) {
    int64_t *rates[] = {&m->link.bytes_per_s,
                        &m->rail.bytes_per_s,
                        &link->bytes_per_s,
                        &m->collectives.channel_bytes_per_s,
                        &m->collectives.across_bytes_per_s,
                        &m->collectives.nvls_bytes_per_s};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) *rates[i] = scaled(*rates[i], f);
}

static void scale_latency(Machine *m, LinkModel *link, Factor f) {
    m->link.latency_ps = scaled(m->link.latency_ps, f);
    m->rail.latency_ps = scaled(m->rail.latency_ps, f);
    link->latency_ps = scaled(link->latency_ps, f);
    m->collectives.base_latency_ps = scaled(m->collectives.base_latency_ps, f);
    int32_t *hops[] = {&m->collectives.hop_within, &m->collectives.hop_across};
    for (int i = 0; i < 2; i++) {
        int64_t hop = scaled(*hops[i], f);
        *hops[i] = hop > INT32_MAX ? INT32_MAX : (int32_t)hop;
    }
}

static void scale_flops(Machine *m, LinkModel *link, Factor f) {
    (void)link;
    for (int d = 0; d < DTYPE_COUNT; d++)
        m->device.flops_per_s[d] = scaled(m->device.flops_per_s[d], f);
}

static void scale_memory(Machine *m, LinkModel *link, Factor f) {
    (void)link;
    m->device.memory_bytes_per_s = scaled(m->device.memory_bytes_per_s, f);
}

static void scale_launch(Machine *m, LinkModel *link, Factor f) {
    (void)link;
    m->device.launch_ps = scaled(m->device.launch_ps, f);
    m->device.issue_ps = scaled(m->device.issue_ps, f);
}

static const struct {
    const char *key;
    void (*scale)(Machine *m, LinkModel *link, Factor f);
} numbers[] = {{"bandwidth", scale_bandwidth},
               {"latency", scale_latency},
               {"flops", scale_flops},
               {"memory", scale_memory},
               {"launch", scale_launch}};

// "x2", "/1.5".
static bool read_factor(Factor *out, const char *text) {
    char *end;
    if (*text != 'x' && *text != '/') return false;
    double value = strtod(text + 1, &end);
    if (*end || end == text + 1 || !(value >= 1e-3 && value <= 1e3)) return false;
    int64_t thousandths = (int64_t)llround(value * 1000);
    *out = *text == 'x' ? (Factor){thousandths, 1000} : (Factor){1000, thousandths};
    return true;
}

static Status scale_number(SimChange *c, Factor f) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(numbers[i].key, c->key)) {
            numbers[i].scale(&c->sim.machine, &c->sim.setting.link, f);
            return OK;
        }
    FAIL(ERR_USAGE,
         "--what-if %s: a factor changes bandwidth, latency, flops, memory or launch; an option "
         "takes a value, such as dtype=bf16",
         c->text);
}

// --- options

static const Option *find_option(const char *name) {
    for (int i = 0; i < sim_options.option_count; i++)
        if (sim_options.options[i].kind != OPTION_HEADING &&
            !strcmp(sim_options.options[i].name, name))
            return &sim_options.options[i];
    return NULL;
}

// The word that a command line would have for it: "--no-overlap" for overlap=no.
static Status make_word(char **word, Arena *a, const SimChange *c) {
    size_t size = strlen(c->text) + sizeof "--no-";
    char *name = arena_push(a, size);
    *word = arena_push(a, size);
    if (!name || !*word) FAIL(ERR_MEMORY, "out of memory");
    bool off = !strcmp(c->value, "no"), on = !strcmp(c->value, "yes");
    snprintf(name, size, "no-%s", c->key);
    const Option *option = find_option(c->key);
    bool flag = !option || option->kind == OPTION_FLAG;
    if (!option && off) option = find_option(name);
    if (!option || !(option->marks & (JOB_OPTION | SIM_PLACE)))
        FAIL(ERR_USAGE,
             "--what-if %s: expected an option of the job or of the machine, such as dtype=bf16 or "
             "overlap=no, or a factor, such as bandwidth=x2",
             c->text);
    if (flag && (off || on))
        snprintf(*word, size, "--%s", off ? name : c->key);
    else
        snprintf(*word, size, "--%s", c->text);
    return OK;
}

static Status parse_line(SimChange *c, const Sim *s, char *word) {
    char **argv = ARENA_NEW(s->arena, char *, s->argc + 2);
    if (!argv) FAIL(ERR_MEMORY, "out of memory");
    int argc = 0;
    for (; argc < s->argc; argc++) {
        argv[argc] = arena_string(s->arena, s->argv[argc]);
        if (!argv[argc]) FAIL(ERR_MEMORY, "out of memory");
    }
    if (word) argv[argc++] = word;
    TRY(option_parse(&c->line, &c->o, s->arena, &sim_options, argc, argv));
    c->o.compare = NULL;
    c->sim = (Sim){.o = &c->o,
                   .line = &c->line,
                   .arena = s->arena,
                   .log = s->log,
                   .argc = s->argc,
                   .argv = s->argv};
    return OK;
}

// The job and the machine as they would be.
static Status make_change(SimChange *c, const Sim *s) {
    Factor factor;
    char *word = NULL;
    bool number = read_factor(&factor, c->value);
    if (!number) TRY(make_word(&word, s->arena, c));
    TRY(parse_line(c, s, word));
    TRY(sim_request_read(&c->sim, &c->o));
    TRY(sim_request_machine(&c->sim));
    if (number) TRY(scale_number(c, factor));
    if (c->sim.sizes.count != 1)
        FAIL(ERR_USAGE, "--what-if %s: this is not one number of devices", c->text);
    c->sim.setting.unkept = true;
    int ranks = (int)c->sim.sizes.items[0];
    TRY(sim_request_job(&c->job, &c->sim, ranks));
    return predict_check_place(&c->sim.setting, ranks);
}

// A comma begins a change where what follows it has a key: bucket-kib=64,256 is one.
static char *next_change(char *text) {
    for (char *at = strchr(text, ','); at; at = strchr(at + 1, ',')) {
        size_t length = strcspn(at + 1, ",");
        if (memchr(at + 1, '=', length)) return at;
    }
    return NULL;
}

static Status add_change(Sim *s, char *text) {
    SimChange *c = &s->changes[s->change_count];
    if (s->change_count == CHANGES) FAIL(ERR_USAGE, "--what-if takes at most %d changes", CHANGES);
    char *key = arena_string(s->arena, text), *equal = key ? strchr(key, '=') : NULL;
    if (!key) FAIL(ERR_MEMORY, "out of memory");
    if (!equal || equal == key || !equal[1])
        FAIL(ERR_USAGE, "--what-if %s: expected KEY=VALUE, such as bandwidth=x2 or dtype=bf16",
             text);
    *equal = 0;
    *c = (SimChange){.text = text, .key = key, .value = equal + 1};
    s->change_count++;
    return make_change(c, s);
}

Status sim_what_if_request(Sim *s) {
    const SimOptions *o = s->o;
    if (!o->what_if) return OK;
    if (o->json || o->csv || o->plain || s->recorded)
        FAIL(ERR_USAGE, "--what-if is a table of predictions; leave out --%s",
             o->json    ? "json"
             : o->csv   ? "csv"
             : o->plain ? "plain"
                        : "trace");
    if (!sim_given(s, "gpus") || s->sizes.count != 1)
        FAIL(ERR_USAGE, "--what-if is of one number of devices; give --gpus N --point");
    if (o->explain || o->print_mesh || o->print_plan || o->print_memory)
        FAIL(ERR_USAGE, "--what-if is of a simulated step: give it without what prints a plan, a "
                        "mesh or memory");
    s->changes = ARENA_NEW(s->arena, SimChange, CHANGES + 1);
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

Status sim_what_if_print(const Sim *s) {
    static const int order[REPORT_PARTS] = {TIME_COMPUTE,      REPORT_LAUNCH, TIME_CONTENDED,
                                            TIME_EXPOSED_COMM, TIME_BUBBLE,   TIME_WAITING,
                                            TIME_HOST,         TIME_IDLE};
    const Sweep names = {.rows = s->rows};
    TableColumn columns[CHANGES + 2] = {{"ms", false}, {"now", true}};
    int shown = (terminal_width(stdout) - 21) / s->change_count - 2;
    shown = shown < SHOWN_LEAST ? SHOWN_LEAST : shown > SHOWN_MOST ? SHOWN_MOST : shown;
    for (int i = 0; i < s->change_count; i++) {
        SimChange *c = &s->changes[i];
        TRY(predict_job(&c->prediction, s->arena, &c->job, &c->sim.setting));
        const char *head = arena_string_n(s->arena, c->text, strnlen(c->text, (size_t)shown));
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
    puts("\nwhat if: a step, simulated again, and by how much each part of it changes");
    return table_print(stdout, &table, TABLE_TEXT);
}
