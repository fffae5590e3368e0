// SPDX-License-Identifier: MIT
// Rows are printed as they are made, so widths of columns are known before: of keys and values that
// of the longest, of numbers fixed ones.
#include "core/base/json.h"
#include "core/base/table.h"
#include "core/base/text.h"
#include "programs/point_json.h"
#include "programs/sim_grid_internal.h"
#include "programs/sim_sweep_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// --- the table

enum { GPUS = 6, BATCH = 7, STEP = 10, RATE = 9, UTILISATION = 6, MEMORY_WIDTH = 7, NOTE = 16 };
enum { GAP = 2 };

// Columns that there is room for; devices are left out where a key has them.
typedef struct {
    bool gpus, batch, utilisation, memory, note;
} Shown;

static int keys_width(const Grid *g) {
    int width = 0;
    for (int k = 0; k < g->axis_count; k++) width += g->axes[k].width + GAP;
    return width;
}

static bool has_key(const Grid *g, const char *key) {
    for (int k = 0; k < g->axis_count; k++)
        if (!strcmp(g->axes[k].key, key)) return true;
    return false;
}

// Does the global batch change from row to row, without being a key? Unless it is given, each of
// the data parallel ranks has as many samples.
static bool batch_changes(const Grid *g) {
    static const char *const keys[] = {"gpus", "dp", "tp", "pp", "cp", "plan"};
    if (has_key(g, "batch") || sim_given(g->sim, "batch")) return false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (has_key(g, keys[i])) return true;
    return has_key(g, "batch-per-rank");
}

static Shown choose_columns(const Grid *g) {
    Shown shown = {!has_key(g, "gpus"), batch_changes(g), true, true, true};
    int left = g->width - keys_width(g) - STEP - GAP - RATE - GAP - NOTE;
    left -= MEMORY_WIDTH + GAP + (shown.gpus ? GPUS + GAP : 0) + UTILISATION + GAP;
    left -= shown.batch ? BATCH + GAP : 0;
    if (left < 0) left += (shown.utilisation = false, UTILISATION + GAP);
    if (left < 0 && shown.gpus) left += (shown.gpus = false, GPUS + GAP);
    if (left < 0) left += (shown.memory = false, MEMORY_WIDTH + GAP);
    if (left < 0) shown.note = false;
    return shown;
}

// Five digits or all before the point.
static int decimals_of(double value) {
    int decimals = 4;
    for (double most = 10; decimals && value >= most; most *= 10) decimals--;
    return decimals;
}

static void print_keys(const Grid *g, int i) {
    for (int k = 0; k < g->axis_count; k++)
        printf("%*s  ", g->axes[k].width, i == NONE ? g->axes[k].key : grid_value(g, i, k));
}

// What of a step is most, besides computing.
static int largest_part(const Point *p) {
    int most = NONE;
    for (int part = 0; part < REPORT_PARTS; part++)
        if (part != TIME_COMPUTE && p->parts_ms[part] >= 0.005 * p->step_ms &&
            (most == NONE || p->parts_ms[part] > p->parts_ms[most]))
            most = part;
    return most;
}

static void print_note(const Point *p, bool shown) {
    const Sweep names = {.rows = &(Prediction){.launch_ms = 1}};
    int part = shown ? largest_part(p) : NONE;
    if (!point_fits(p))
        fputs("DOES NOT FIT", stdout);
    else if (part != NONE)
        printf("%s %.0f%%", sweep_part_name(&names, part), 100 * p->parts_ms[part] / p->step_ms);
}

static void print_done(const Grid *g, const Point *p) {
    const Shown shown = choose_columns(g);
    double rate = g->tokens ? p->tokens_per_s : p->samples_per_s;
    char memory[UNITS_TEXT];
    if (shown.gpus) printf("%*d  ", GPUS, p->ranks);
    if (shown.batch) printf("%*lld  ", BATCH, (long long)p->batch);
    printf("%*.*f  %*.*f  ", STEP, decimals_of(p->step_ms), p->step_ms, RATE, decimals_of(rate),
           rate);
    if (shown.utilisation) printf("%*.1f%%  ", UTILISATION - 1, 100 * p->mfu);
    if (shown.memory) printf("%*s  ", MEMORY_WIDTH, units_print_size(memory, p->memory_bytes));
    print_note(p, shown.note);
    putchar('\n');
}

static void print_refused(const Grid *g, const Point *p) {
    int room = g->width - keys_width(g) - (int)sizeof "refused:";
    if (room < 24) room = 24;
    bool cut = (int)strlen(p->why) > room;
    printf("refused: %.*s%s\n", cut ? room - 2 : room, p->why, cut ? ".." : "");
}

// --- CSV

static void print_csv_number(double value) {
    isfinite(value) ? printf(",%.9g", value) : putchar(',');
}

static void print_csv_heads(const Grid *g) {
    printf("schema");
    for (int k = 0; k < g->axis_count; k++) printf(",%s", g->axes[k].key);
    printf(
        ",state,devices,global_batch,step_ms,samples_per_s,tokens_per_s,model_flops_utilisation");
    for (int part = 0; part < REPORT_PARTS; part++) printf(",%s_ms", report_part_name(part));
    puts(",comm_ms,memory_bytes,device_bytes,fits,why");
}

static void print_csv_done(const Point *p) {
    printf(",done,%d,%lld", p->ranks, (long long)p->batch);
    print_csv_number(p->step_ms);
    print_csv_number(p->samples_per_s);
    print_csv_number(p->tokens_per_s);
    print_csv_number(p->mfu);
    for (int part = 0; part < REPORT_PARTS; part++) print_csv_number(p->parts_ms[part]);
    print_csv_number(p->comm_ms);
    printf(",%lld,%lld,%s,\n", (long long)p->memory_bytes, (long long)p->device_bytes,
           point_fits(p) ? "true" : "false");
}

static void print_csv_row(const Grid *g, int i) {
    const Point *p = &g->points[i];
    printf(POINTS_SCHEMA);
    for (int k = 0; k < g->axis_count; k++) {
        putchar(',');
        table_write_csv(stdout, grid_value(g, i, k));
    }
    if (p->state == POINT_DONE) {
        print_csv_done(p);
        return;
    }
    printf(",refused");
    for (int k = 0; k < 6 + REPORT_PARTS + 4; k++) putchar(',');
    putchar(',');
    table_write_csv(stdout, p->why);
    putchar('\n');
}

// --- both

static void print_title(const Grid *g) {
    const SimOptions *o = g->sim->o;
    SweepPhrases p = {g->width, 0};
    if (!has_key(g, "model")) sweep_phrase(&p, "%s", o->job.model);
    if (!has_key(g, "platform")) sweep_phrase(&p, "%s", o->platform ? o->platform : "dgx-a100");
    if (sim_given(g->sim, "batch") && !has_key(g, "batch"))
        sweep_phrase(&p, "batch %lld in all", (long long)o->job.batch);
    sweep_phrase(&p, "%d row%s, each a step [simulated]", g->count, g->count == 1 ? "" : "s");
    putchar('\n');
}

void grid_print_heads(const Grid *g) {
    const Shown shown = choose_columns(g);
    if (g->sim->o->csv) {
        print_csv_heads(g);
        return;
    }
    print_title(g);
    print_keys(g, NONE);
    if (shown.gpus) printf("%*s  ", GPUS, "gpus");
    if (shown.batch) printf("%*s  ", BATCH, "batch");
    printf("%*s  %*s  ", STEP, "step ms", RATE, g->tokens ? "tokens/s" : "samples/s");
    if (shown.utilisation) printf("%*s  ", UTILISATION, "MFU");
    if (shown.memory) printf("%*s  ", MEMORY_WIDTH, "memory");
    puts(shown.note ? "most beside work" : "");
}

void grid_print_row(const Grid *g, int i) {
    if (g->sim->o->csv) {
        print_csv_row(g, i);
        return;
    }
    print_keys(g, i);
    g->points[i].state == POINT_DONE ? print_done(g, &g->points[i])
                                     : print_refused(g, &g->points[i]);
}

static int fastest(const Grid *g) {
    int best = NONE;
    for (int i = 0; i < g->count; i++)
        if (g->points[i].state == POINT_DONE && point_fits(&g->points[i]) &&
            (best == NONE || g->points[i].samples_per_s > g->points[best].samples_per_s))
            best = i;
    return best;
}

static void phrase_fastest(SweepPhrases *line, const Grid *g, int best) {
    const double rate = g->points[best].samples_per_s;
    char text[STATUS_TEXT] = "fastest:";
    for (int k = 0; k < g->axis_count; k++)
        text_append(text, sizeof text, " %s=%s", g->axes[k].key, grid_value(g, best, k));
    sweep_phrase(line, "%s, %.*f samples/s", text, decimals_of(rate), rate);
}

void grid_print_end(const Grid *g) {
    SweepPhrases line = {g->width, 0};
    int best = fastest(g), refused = 0;
    if (g->sim->o->csv) return;
    for (int i = 0; i < g->count; i++) refused += g->points[i].state == POINT_REFUSED;
    if (best == NONE)
        sweep_phrase(&line, "none fits its devices");
    else
        phrase_fastest(&line, g, best);
    if (refused)
        sweep_phrase(&line, "refused: %d of %d (--csv and --json say why)", refused, g->count);
    putchar('\n');
}

// --- JSON

static json_t *row_json(const Grid *g, int i) {
    json_t *values = json_object();
    for (int k = 0; k < g->axis_count; k++)
        json_object_set_new(values, g->axes[k].key, json_text(grid_value(g, i, k)));
    return point_row_json(values, &g->points[i]);
}

Status grid_print_json(const Grid *g) {
    json_t *rows = json_array();
    bool lost = !rows;
    for (int i = 0; i < g->count && !lost; i++)
        if (g->points[i].state != POINT_OPEN)
            lost = json_array_append_new(rows, row_json(g, i)) != 0;
    if (lost) {
        json_decref(rows);
        rows = NULL;
    }
    return points_print_json(rows);
}
