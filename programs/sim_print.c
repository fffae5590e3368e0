// SPDX-License-Identifier: MIT
// Measured beside simulated on the terminal: replays and comparisons. Sweeps: programs/sim_sweep.c.
#include "programs/sim_print.h"

#include "core/base/table.h"
#include "core/cli/terminal.h"
#include "programs/sim_sweep.h"
#include "programs/sweep_phrases.h"

#include <math.h>
#include <string.h>

// --- a replay

void print_disturbed(const char *indent, const char *done, const HostUse *use) {
    enum { COLUMNS = 80 };
    char text[HOST_USE_TEXT];
    int width = printf("%sDISTURBED while it was %s:", indent, done);
    bool fits = width + 1 + (int)strlen(host_use_print(text, use)) <= COLUMNS;
    if (!fits) printf("\n%s ", indent);
    printf(" %s\n", text);
}

// How steps spread that were replayed each by itself, and their mean: the sum of the breakdown.
static void print_spread(const Report *simulated, const Recording *recorded) {
    const Spread *s = &simulated->step_ms, *r = &recorded->step_ms;
    const Tails *tail = &simulated->step_tails_ms, *tail_r = &recorded->step_tails_ms;
    const struct {
        const char *name;
        double simulated, recorded;
    } rows[] = {{"mean", s->mean, r->mean},
                {"p5", tail->p5, tail_r->p5},
                {"p95", tail->p95, tail_r->p95},
                {"p99", tail->p99, tail_r->p99}};
    printf("  8 of 10    %8.3f to %-8.3f  %8.3f to %.3f\n", s->p10, s->p90, r->p10, r->p90);
    for (int i = 0; i < 4; i++)
        printf("  %-10s %8.3f              %8.3f                       %+.2f %%\n", rows[i].name,
               rows[i].simulated, rows[i].recorded,
               100 * report_error(rows[i].simulated, rows[i].recorded));
}

// What draws leave out.
static void print_draws(const Prediction *p) {
    if (!p->drawn) return;
    const int width = terminal_width(stdout);
    sweep_say(width, 2, "%s",
              p->apart ? "each rank draws whole steps of its own record, whatever the others draw: "
                         "what slowed all ranks in one step is left out"
                       : "each is a recorded one, of all ranks at once");
    if (p->apart && isfinite(p->correlation))
        sweep_say(width, 2, "correlation of the ranks' own times in a recorded step: %+.2f",
                  p->correlation);
}

static void print_left_out(const Prediction *p, const Recording *r) {
    if (!p->steps)
        sweep_say(terminal_width(stdout), 2,
                  "from the median of each operation: no step has the durations of all of them");
    else if (r->left_out)
        sweep_say(terminal_width(stdout), 2, "without %d step%s in which an operation was skipped",
                  r->left_out, r->left_out == 1 ? "" : "s");
}

void print_replay(const Prediction *p, const Recording *r) {
    const RunInfo *run = &r->traces[0].run;
    const char *several = r->steps == 1 ? "" : "s";
    SweepPhrases title = {terminal_width(stdout), 0};
    sweep_phrase(&title, "replay of %s on %d rank%s, batch %lld, seed %lld", run->model, r->ranks,
                 r->ranks == 1 ? "" : "s", (long long)run->batch, (long long)run->seed);
    if (p->drawn)
        sweep_phrase(&title, "[%d drawn from %d step%s]", p->report.steps - p->report.warm_up_steps,
                     r->steps, several);
    else
        sweep_phrase(&title, "[simulated from %d step%s]", r->steps, several);
    putchar('\n');
    print_left_out(p, r);
    print_draws(p);
    printf("  step       %8.3f ms simulated  %8.3f ms recorded (median)  %+.2f %%\n", p->step_ms,
           r->step_ms.median, 100 * report_error(p->step_ms, r->step_ms.median));
    if (p->steps > 2) print_spread(&p->report, r);
    for (int b = 0; b < TIME_COUNT; b++)
        if (p->report.breakdown_ms[b] > 0)
            printf("    %-12s %8.3f ms\n", time_category_name((TimeCategory)b),
                   p->report.breakdown_ms[b]);
    const HostUse *use = &run->disturbed;
    if (!p->steps)
        sweep_print_noise(r);
    else if (host_use_disturbs(use))
        print_disturbed("", "recorded", use);
}

// --- comparisons

static void time_cells(Table *t, const ComparedTime *c) {
    table_cell(t, "%s", c->name);
    if (isnan(c->measured_ms))
        table_cell(t, "-");
    else
        table_cell(t, "%.4f", c->measured_ms);
    if (isnan(c->simulated_ms))
        table_cell(t, "-");
    else
        table_cell(t, "%.4f", c->simulated_ms);
    if (isnan(c->measured_ms) || isnan(c->simulated_ms))
        table_cell(t, "-");
    else
        table_cell(t, "%+.4f", c->simulated_ms - c->measured_ms);
}

static Status print_times(Arena *a, const char *what, const ComparedTime *times, int count) {
    const TableColumn columns[] = {
        {what, false}, {"measured ms", true}, {"simulated ms", true}, {"difference", true}};
    Table table;
    table_init(&table, a, columns, 4);
    for (int i = 0; i < count; i++) time_cells(&table, &times[i]);
    return table_print(stdout, &table, TABLE_TEXT);
}

enum { SPREAD_ROWS = 4 };

// Where simulated steps differ: their mean and quantiles beside the measured ones.
static int list_spread(ComparedTime *rows, const Comparison *c) {
    const Report *m = c->measured, *s = c->simulated;
    if (s->steps - s->warm_up_steps <= 2) return 0;
    const struct {
        const char *name;
        double measured_ms, simulated_ms;
    } list[] = {{"step, mean", m->step_ms.mean, s->step_ms.mean},
                {"step, p5", m->step_tails_ms.p5, s->step_tails_ms.p5},
                {"step, p95", m->step_tails_ms.p95, s->step_tails_ms.p95},
                {"step, p99", m->step_tails_ms.p99, s->step_tails_ms.p99}};
    for (int i = 0; i < SPREAD_ROWS; i++)
        rows[i] = (ComparedTime){.name = list[i].name,
                                 .measured_ms = list[i].measured_ms,
                                 .simulated_ms = list[i].simulated_ms};
    return SPREAD_ROWS;
}

static Status print_causes(Arena *a, const Comparison *c) {
    ComparedTime rows[TIME_COUNT + 3 + SPREAD_ROWS];
    int count = 0;
    for (int b = 0; b < TIME_COUNT; b++)
        if (c->breakdown[b].measured_ms >= 5e-5 || c->breakdown[b].simulated_ms >= 5e-5)
            rows[count++] = c->breakdown[b];
    rows[count++] =
        (ComparedTime){.name = "noise (mean above median)",
                       .measured_ms = -c->noise_ms,
                       .simulated_ms = c->simulated->step_ms.median - c->simulated->step_ms.mean};
    rows[count++] = (ComparedTime){.name = "step (median)",
                                   .measured_ms = c->measured->step_ms.median,
                                   .simulated_ms = c->simulated->step_ms.median};
    count += list_spread(&rows[count], c);
    return print_times(a, "where the step goes", rows, count);
}

enum { OPERATIONS_SHOWN = 6 };

static Status print_details(Arena *a, const Comparison *c, bool all) {
    TRY(print_causes(a, c));
    putchar('\n');
    TRY(print_times(a, "phase (its operations)", c->phases, c->phase_count));
    putchar('\n');
    int count =
        all || c->operation_count < OPERATIONS_SHOWN ? c->operation_count : OPERATIONS_SHOWN;
    TRY(print_times(a, "operation (furthest apart)", c->operations, count));
    if (count < c->operation_count) printf("%d more operations: -v\n", c->operation_count - count);
    return OK;
}

static void print_when(const Comparison *c, const char *made) {
    const char *started = c->measured->started;
    size_t date = strlen("2026-01-31T");
    bool one_day = !strncmp(made, started, date);  // then the date is printed once
    if (!*made)
        printf("  no prediction is kept of it\n");
    else if (!*started)
        printf("  predicted %s; the report does not say when the run began\n", made);
    else
        printf("  predicted %s, %s the run began (%s)\n", made,
               strcmp(made, started) < 0 ? "before" : "AFTER", started + (one_day ? date : 0));
}

// The error is report_error()'s, of the step's time.
static void print_comparison(const Comparison *c) {
    const Report *m = c->measured;
    int steps = m->steps - m->warm_up_steps;
    printf("\n%d rank%s, batch %lld: step %.3f ms measured", m->run.ranks,
           m->run.ranks == 1 ? "" : "s", (long long)m->run.batch, m->step_ms.median);
    if (steps > 1)
        printf(" (%.3f to %.3f in 8 of 10)", m->step_ms.p10, m->step_ms.p90);
    else
        printf(" (1 step)");
    printf(",\n  %.3f simulated: %+.1f %%\n", c->simulated->step_ms.median, 100 * c->error);
    if (host_use_disturbs(&m->run.disturbed)) print_disturbed("  ", "measured", &m->run.disturbed);
    if (*c->settings) printf("  the measured run had %s\n", c->settings);
    if (*c->disturbances) printf("  simulated steps vary by %s\n", c->disturbances);
}

Status print_comparisons(const Comparison *c, const LedgerEntry *made, int count,
                         const SimOptions *o, Arena *a) {
    for (int i = 0; i < count; i++) {
        print_comparison(&c[i]);
        print_when(&c[i], made[i].made);
        if (count == 1 || o->verbose) TRY(print_details(a, &c[i], o->verbose));
    }
    return OK;
}
