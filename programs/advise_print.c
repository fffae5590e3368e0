// SPDX-License-Identifier: MIT
// Read advise_print() at the end.
#include "programs/advise_print.h"

#include "core/base/json.h"
#include "core/base/printable.h"
#include "core/base/table.h"
#include "core/base/text.h"
#include "core/cli/terminal.h"
#include "parallel/strategy/bucket_sizes.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "programs/point_json.h"
#include "programs/sweep_phrases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADVICE_SCHEMA "tandem.advice.v1"

enum { LINE = 240, VALUE = 64, SHOWN = 8, WORDS = 2 * (ADVISE_OPTIONS + 1) };

// --- the order

static const Point *point_of(AdviseChoice c) {
    return &c.of->points[c.of->candidates[c.candidate].point];
}

AdviseChoice advise_print_best(const AdvisePrint *p) {
    AdviseChoice best = {NULL, NONE};
    for (int k = 0; k < p->count; k++) {
        const AdviseChoice c = {&p->searches[k], p->searches[k].best};
        if (c.candidate == NONE) continue;
        if (!best.of || point_of(c)->step_ms < point_of(best)->step_ms) best = c;
    }
    return best;
}

// Those that fit, the fastest first.
typedef struct {
    AdviseChoice *choices;  // in the arena
    int count;
} Ranking;

// A short plan does not come before the best, which has a whole one.
static double order_ms(AdviseChoice c) {
    const Point *p = point_of(c), *best = point_of((AdviseChoice){c.of, c.of->best});
    return p->is_short && p->step_ms <= best->step_ms ? nextafter(best->step_ms, HUGE_VAL)
                                                      : p->step_ms;
}

static void insert(Ranking *o, AdviseChoice c) {
    int at = o->count++;
    for (; at && order_ms(o->choices[at - 1]) > order_ms(c); at--)
        o->choices[at] = o->choices[at - 1];
    o->choices[at] = c;
}

static bool is_ranked(const Advice *v, int candidate) {
    int fate = v->candidates[candidate].fate;
    return fate == ADVISE_SIMULATED || fate == ADVISE_SHORT;
}

static Status sort(Ranking *out, const AdvisePrint *p, Arena *a) {
    int all = 1;
    for (int k = 0; k < p->count; k++) all += p->searches[k].simulated;
    *out = (Ranking){.choices = ARENA_NEW(a, AdviseChoice, all)};
    if (!out->choices) FAIL(ERR_MEMORY, "out of memory for %d choices", all);
    for (int k = 0; k < p->count; k++) {
        const Advice *v = &p->searches[k];
        for (int i = 0; i < v->simulated; i++)
            if (is_ranked(v, v->of_point[i])) insert(out, (AdviseChoice){v, v->of_point[i]});
    }
    return OK;
}

// --- words

static int value_of(AdviseChoice c, AdviseOption o) { return advise_value(c.of, c.candidate, o); }

static void print_schedule(char out[VALUE], int value) {
    static const char *const words[] = {"gpipe", "1f1b", "interleaved", "zero-bubble"};
    snprintf(out, VALUE, value >= 8 ? "%s:%d" : "%s", words[value % 8], value / 8);
}

// The value of an option as it would be typed.
static void print_value(char out[VALUE], AdviseChoice c, AdviseOption o) {
    int value = value_of(c, o);
    JobSpec s;
    advise_job(&s, c.of, c.candidate);
    switch (o) {
    case ADVISE_ZERO: snprintf(out, VALUE, value ? "%d" : "no", value); break;
    case ADVISE_RECOMPUTE: snprintf(out, VALUE, "%s", recompute_words[value]); break;
    case ADVISE_SCHEDULE: print_schedule(out, value); break;
    case ADVISE_BUCKET:
        bucket_sizes_settle(&s.strategy, job_spec_data_ranks(&s));
        snprintf(out, VALUE, "%lld,%lld", (long long)s.strategy.bucket_bytes[0] / 1024,
                 (long long)s.strategy.bucket_bytes[1] / 1024);
        break;
    default: snprintf(out, VALUE, "%d", value < 1 ? 1 : value);
    }
}

// Is it what a line without the option has?
static bool is_default(AdviseChoice c, AdviseOption o) {
    int value = value_of(c, o), stages = value_of(c, ADVISE_PIPE);
    if (o == ADVISE_ZERO || o == ADVISE_RECOMPUTE) return value == 0;
    if (o == ADVISE_SCHEDULE) return value == SCHEDULE_1F1B || stages < 2;
    if (o == ADVISE_MICRO_BATCHES) return value == 1 && stages < 2;
    return value < 2;
}

// " --tp 2 --zero 1": what to give besides the line.
static void print_options(char out[LINE], AdviseChoice c) {
    char value[VALUE];
    *out = '\0';
    for (int o = 0; o < ADVISE_OPTIONS; o++) {
        if (is_default(c, (AdviseOption)o)) continue;
        print_value(value, c, (AdviseOption)o);
        text_append(out, LINE, "%s--%s %s", *out ? " " : "", advise_option_name((AdviseOption)o),
                    value);
    }
    if (!*out) snprintf(out, LINE, "(none of these options)");
}

static int data_ranks(AdviseChoice c) {
    JobSpec s;
    advise_job(&s, c.of, c.candidate);
    return job_spec_data_ranks(&s);
}

// The command with the choice's options; what the line has fixed is in its words.
static void print_command(FILE *out, const AdvisePrint *p, AdviseChoice c) {
    char texts[WORDS][VALUE];
    const char *words[WORDS];
    int count = 0;
    snprintf(texts[count++], VALUE, "--ranks");
    snprintf(texts[count++], VALUE, "%d", c.of->job.ranks);
    for (int o = 0; o < ADVISE_OPTIONS; o++) {
        if (is_default(c, (AdviseOption)o) || c.of->space.counts[o] < 2) continue;
        snprintf(texts[count++], VALUE, "--%s", advise_option_name((AdviseOption)o));
        print_value(texts[count++], c, (AdviseOption)o);
    }
    for (int i = 0; i < count; i++) words[i] = texts[i];
    printable_command(out, p->words, p->word_count);
    putc(' ', out);
    printable_command(out, words, count);
}

// --- the table

static bool varies(const AdvisePrint *p, AdviseOption o) {
    for (int k = 0; k < p->count; k++) {
        const Advice *v = &p->searches[k];
        if (v->space.counts[o] > 1 || (v->count && advise_value(v, 0, o) > 1)) return true;
    }
    return false;
}

// So that all columns have room: zb is a word that --schedule knows, too.
static const char *short_word(const char *value) {
    if (!strcmp(value, "zero-bubble")) return "zb";
    if (!strcmp(value, "selective")) return "sel.";
    return !strcmp(value, "interleaved:2") ? "int:2" : value;
}

// Is there an earlier row that no option but those without effect tells apart?
static bool is_repeated(const Ranking *order, int row) {
    const Point *p = point_of(order->choices[row]);
    for (int i = 0; i < row; i++) {
        const Point *before = point_of(order->choices[i]);
        if (before->step_ms == p->step_ms && before->memory_bytes == p->memory_bytes) return true;
    }
    return false;
}

static void fill_row(Table *t, const AdvisePrint *print, AdviseChoice c) {
    const Point *p = point_of(c);
    char text[VALUE];
    table_cell(t, "%s%.5g", p->is_short ? "~" : "", p->step_ms);
    if (print->devices) table_cell(t, "%.1f%%", 100 * p->mfu);
    table_cell(t, "%s", units_print_size(text, p->memory_bytes));
    if (!print->devices)
        table_cell(t, "%.0f%%",
                   p->operations ? 100.0 * (p->operations - p->estimated) / p->operations : 0);
    if (print->count > 1) table_cell(t, "%d", c.of->job.ranks);
    table_cell(t, "%d", data_ranks(c));
    for (int o = 0; o < ADVISE_BUCKET; o++) {
        if (!varies(print, (AdviseOption)o)) continue;
        print_value(text, c, (AdviseOption)o);
        bool plain = is_default(c, (AdviseOption)o) && o >= ADVISE_ZERO;
        table_cell(t, "%s", plain ? "" : short_word(text));
    }
}

static Status print_rows(const AdvisePrint *p, const Ranking *order, Arena *a) {
    static const char *const heads[] = {"tp",   "cp",     "pp",     "ep",
                                        "zero", "recomp", "sched.", "accum."};
    TableColumn columns[ADVISE_OPTIONS + 5] = {{"step ms", true}};
    int count = 1;
    if (p->devices) columns[count++] = (TableColumn){"MFU", true};
    columns[count++] = (TableColumn){"memory", true};
    if (!p->devices) columns[count++] = (TableColumn){"measured", true};
    if (p->count > 1) columns[count++] = (TableColumn){"ranks", true};
    columns[count++] = (TableColumn){"dp", true};
    for (int o = 0; o < ADVISE_BUCKET; o++)
        if (varies(p, (AdviseOption)o)) columns[count++] = (TableColumn){heads[o], true};
    Table table;
    table_init(&table, a, columns, count);
    for (int i = 0, shown = 0; i < order->count && shown < SHOWN; i++) {
        if (is_repeated(order, i)) continue;
        fill_row(&table, p, order->choices[i]);
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

// What the row has instead of the best is in its first cell.
static void fill_beside(Table *t, const AdvisePrint *print, AdviseChoice best, AdviseChoice c) {
    const Point *from = point_of(best), *p = point_of(c);
    char memory[UNITS_TEXT];
    double by_ms;
    bool too_large = c.of->candidates[c.candidate].fate == ADVISE_MEMORY;
    if (too_large && p->is_short)  // short plans say no more than that
        table_cell(t, "%s", "");
    else
        table_cell(t, "%s%+.1f%%", p->is_short ? "~" : "",
                   100 * (p->step_ms / from->step_ms - 1));
    table_cell(t, "%s", units_print_size(memory, p->memory_bytes));
    int part = grown_part(from, p, &by_ms);
    if (too_large)
        table_cell(t, "does not fit");
    else if (part == NONE)
        table_cell(t, "%s", "");
    else
        table_cell(t, "%s %+.3g ms", sweep_phrase_part(part, print->devices), by_ms);
}

static void fill_neighbour(Table *t, const AdvisePrint *print, AdviseChoice best, AdviseChoice c,
                           AdviseOption o) {
    char value[VALUE];
    print_value(value, c, o);
    table_cell(t, "--%s %s", advise_option_name(o), value);
    fill_beside(t, print, best, c);
}

// The line as it is, where no row of one option is that.
static void fill_plain(Table *t, const AdvisePrint *print, AdviseChoice best) {
    AdviseOption differs;
    const AdviseChoice c = {best.of, advise_plain(best.of)};
    if (c.candidate == NONE || c.candidate == best.candidate) return;
    if (c.of->candidates[c.candidate].point == NONE) return;
    if (advise_differs_only(best.of, best.candidate, c.candidate, &differs)) return;
    table_cell(t, "none of these options");
    fill_beside(t, print, best, c);
}

static Status print_neighbours(const AdvisePrint *p, AdviseChoice best, Arena *a) {
    static const TableColumn columns[] = {
        {"instead", false}, {"step", true}, {"memory", true}, {"most more", false}};
    const Advice *v = best.of;
    Table table;
    table_init(&table, a, columns, 4);
    for (int o = 0; o < ADVISE_OPTIONS; o++)
        for (int c = 0; c < v->count; c++) {
            AdviseOption differs;
            if (!is_ranked(v, c) && v->candidates[c].fate != ADVISE_MEMORY) continue;
            if (advise_differs_only(v, best.candidate, c, &differs) && (int)differs == o)
                fill_neighbour(&table, p, best, (AdviseChoice){v, c}, differs);
        }
    fill_plain(&table, p, best);
    puts("\naround the best, with one option changed");
    return table_print(stdout, &table, TABLE_TEXT);
}

// --- why

static void print_best(const AdvisePrint *print, AdviseChoice best, int width) {
    const Point *p = point_of(best);
    char options[LINE], memory[UNITS_TEXT];
    print_options(options, best);
    if (print->words) {
        fputs("best: ", stdout);
        print_command(stdout, print, best);
        putchar('\n');
    } else
        printf("best: %s\n", options);
    SweepPhrases line = {width, 0};
    bool first = true;
    for (int part = 0; part < REPORT_PARTS; part++) {
        if (p->parts_ms[part] < 0.005 * p->step_ms) continue;
        sweep_phrase(&line, "%s%s %.0f%%", first ? "its step: " : "",
                     sweep_phrase_part(part, print->devices), 100 * p->parts_ms[part] / p->step_ms);
        first = false;
    }
    sweep_phrase(&line, "on %s of each %s", units_print_size(memory, p->memory_bytes),
                 print->devices ? "device" : "rank");
    putchar('\n');
}

static const char *const fates[ADVISE_FATES] = {
    "estimated to be slower",
    "simulated, and fit",
    "simulated by plans with fewer blocks and micro-batches (~), and fit",
    NULL,  // degrees do not divide the devices
    "batch does not divide into data-parallel ranks and micro-batches",
    "micro-batches do not suit the pipeline",
    "options exclude each other",
    "weights and states alone are larger than the memory",
    "model does not divide so",
    "simulated, and do not fit the memory",
};

int advise_print_combinations(const AdvisePrint *p) {
    int all = 0;
    for (int k = 0; k < p->count; k++) all += p->searches[k].count;
    return all;
}

int advise_print_fates(const AdvisePrint *p, int fate) {
    int all = 0;
    for (int k = 0; k < p->count; k++) all += p->searches[k].fates[fate];
    return all;
}

static const char *example(const AdvisePrint *p, int fate) {
    for (int k = 0; k < p->count; k++)
        if (*p->searches[k].why[fate]) return p->searches[k].why[fate];
    return "";
}

static void print_counts(const AdvisePrint *p, int width) {
    static const int order[ADVISE_FATES] = {ADVISE_SIMULATED, ADVISE_SHORT,  ADVISE_MEMORY,
                                            ADVISE_OPEN,      ADVISE_LEAST,  ADVISE_MODEL,
                                            ADVISE_DEVICES,   ADVISE_BATCH,  ADVISE_STAGES,
                                            ADVISE_REFUSED};
    printf("\n%d combinations\n", advise_print_combinations(p));
    for (int k = 0; k < ADVISE_FATES; k++) {
        int f = order[k], count = advise_print_fates(p, f);
        const char *why = example(p, f);
        if (!count) continue;
        printf("%8d  ", count);
        f == ADVISE_DEVICES
            ? printf("degrees do not divide the %ss", p->devices ? "device" : "rank")
            : fputs(fates[f], stdout);
        putchar('\n');
        int room = width - (int)sizeof "          such as: ";
        bool cut = (int)strlen(why) > room;
        if (*why)
            printf("          such as: %.*s%s\n", cut ? room - 2 : room, why, cut ? ".." : "");
    }
}

static void print_title(const AdvisePrint *p, int width) {
    const JobSpec *job = &p->searches[0].job;
    char memory[UNITS_TEXT];
    SweepPhrases line = {width, 0};
    sweep_phrase(&line, "%s", job->model);
    sweep_phrase(&line, "%s", p->machine);
    if (p->count == 1)
        sweep_phrase(&line, "%d %s%s", job->ranks, p->devices ? "device" : "rank",
                     job->ranks == 1 ? "" : "s");
    if (p->memory_bytes) sweep_phrase(&line, "of %s", units_print_size(memory, p->memory_bytes));
    sweep_phrase(&line, "batch %lld in all", (long long)job->batch);
    sweep_phrase(&line, "%s", dtype_name(job->dtype));
    sweep_phrase(&line, p->partial ? "[simulated; interrupted: the best so far]" : "[simulated]");
    putchar('\n');
}

static Status print_text(const AdvisePrint *p, Arena *a) {
    const AdviseChoice best = advise_print_best(p);
    int width = terminal_width(stdout);
    Ranking order;
    TRY(sort(&order, p, a));
    print_title(p, width);
    if (best.of) {
        print_best(p, best, width);
        putchar('\n');
        TRY(print_rows(p, &order, a));
        TRY(print_neighbours(p, best, a));
    }
    print_counts(p, width);
    return OK;
}

// --- JSON

static json_t *options_json(AdviseChoice c) {
    json_t *out = json_object();
    char value[VALUE];
    json_object_set_new(out, "dp", json_integer(data_ranks(c)));
    for (int o = 0; o < ADVISE_OPTIONS; o++) {
        print_value(value, c, (AdviseOption)o);
        json_object_set_new(out, advise_option_name((AdviseOption)o), json_text(value));
    }
    return out;
}

static json_t *line_json(const AdvisePrint *p, AdviseChoice c) {
    char options[LINE], *text = NULL;
    size_t size = 0;
    print_options(options, c);
    if (!p->words) return json_text(options);
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    print_command(f, p, c);
    fclose(f);
    json_t *out = json_text(text);
    free(text);
    return out;
}

static json_t *choice_json(const AdvisePrint *p, AdviseChoice c) {
    return json_pack("{s:o, s:o, s:o, s:b, s:o}", "line", line_json(p, c), "options",
                     options_json(c), "estimate_ms",
                     json_number(c.of->candidates[c.candidate].estimate_ms), "short",
                     point_of(c)->is_short, "step", point_json(point_of(c)));
}

static Status print_json(const AdvisePrint *p, Arena *a) {
    static const char *const keys[ADVISE_FATES] = {
        "open",   "simulated", "short", "devices", "batch",
        "stages", "options",   "least", "model",   "memory"};
    Ranking order;
    TRY(sort(&order, p, a));
    json_t *rows = json_array(), *counts = json_object();
    for (int i = 0; i < order.count; i++)
        json_array_append_new(rows, choice_json(p, order.choices[i]));
    for (int f = 0; f < ADVISE_FATES; f++)
        json_object_set_new(counts, keys[f], json_integer(advise_print_fates(p, f)));
    json_t *all =
        json_pack("{s:s, s:b, s:i, s:o, s:o}", "schema", ADVICE_SCHEMA, "partial", p->partial,
                  "combinations", advise_print_combinations(p), "counts", counts, "best", rows);
    if (!all) FAIL(ERR_MEMORY, "out of memory for advice");
    json_write(stdout, all);
    json_decref(all);
    return OK;
}

// --- all of it

Status advise_print(const AdvisePrint *p, Arena *a, bool json) {
    for (int k = 0; k < p->count; k++) advise_count_fates(&p->searches[k]);
    return json ? print_json(p, a) : print_text(p, a);
}
