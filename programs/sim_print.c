// SPDX-License-Identifier: MIT
#include "programs/sim_print.h"

#include "core/base/table.h"

#include <math.h>
#include <string.h>

// --- a sweep

enum { FIXED_COLUMNS = 6 };

static double samples_per_s(const Prediction *p) {
    return (double)p->report.run.batch / p->step_ms * 1e3;
}

// Bills of at least 1 % of some row's step have a column; what others take is together in one.
static int shown_bills(const Sweep *s, Bill shown[BILL_COUNT]) {
    int count = 0;
    for (int b = 0; b < BILL_COUNT; b++) {
        bool any = false;
        for (int i = 0; i < s->count; i++)
            any |= s->rows[i].report.breakdown_ms[b] >= 0.01 * s->rows[i].step_ms;
        if (any) shown[count++] = (Bill)b;
    }
    return count;
}

static double other_ms(const Prediction *p, const Bill *shown, int bills) {
    double rest = 0;
    for (int b = 0; b < BILL_COUNT; b++) rest += p->report.breakdown_ms[b];
    for (int k = 0; k < bills; k++) rest -= p->report.breakdown_ms[shown[k]];
    return rest > 1e-9 * p->step_ms ? rest : 0;  // what is less was rounded
}

static double speed_up(const Sweep *s, int i) {
    return samples_per_s(&s->rows[i]) / samples_per_s(&s->rows[0]);
}

static double efficiency(const Sweep *s, int i) {
    return speed_up(s, i) * s->rows[0].report.run.ranks / s->rows[i].report.run.ranks;
}

static void fill_row(Table *t, const Sweep *s, int i, const Bill *shown, int bills) {
    const Prediction *p = &s->rows[i];
    table_cell(t, "%d", p->report.run.ranks);
    table_cell(t, "%lld", (long long)p->report.run.batch);
    table_cell(t, "%#.4g", p->step_ms);
    table_cell(t, "%.0f", samples_per_s(p));
    table_cell(t, "%.2fx", speed_up(s, i));
    table_cell(t, "%.0f%%", 100 * efficiency(s, i));
    for (int k = 0; k < bills; k++) table_cell(t, "%#.3g", p->report.breakdown_ms[shown[k]]);
    table_cell(t, "%#.3g", other_ms(p, shown, bills));
}

static Status print_table(const Sweep *s, Arena *a) {
    Bill shown[BILL_COUNT];
    int bills = shown_bills(s, shown);
    TableColumn columns[FIXED_COLUMNS + BILL_COUNT + 1] = {
        {s->setting->devices ? "gpus" : "ranks", true},
        {"batch", true},
        {"step ms", true},
        {"samples/s", true},
        {"speed-up", true},
        {"eff.", true}};
    for (int k = 0; k < bills; k++) {
        const char *name = shown[k] == BILL_EXPOSED_COMM ? "exposed" : bill_name(shown[k]);
        columns[FIXED_COLUMNS + k] = (TableColumn){name, true};
    }
    columns[FIXED_COLUMNS + bills] = (TableColumn){"other", true};
    Table table;
    table_init(&table, a, columns, FIXED_COLUMNS + bills + 1);
    for (int i = 0; i < s->count; i++) fill_row(&table, s, i, shown, bills);
    return table_print(stdout, &table, TABLE_TEXT);
}

// Names stay what they are and where they are (docs/formats.md, "Summaries").
#define SWEEP_SCHEMA "tandem.sweep.v1"

static void print_csv(const Sweep *s) {
    printf("schema,ranks,batch,step_ms,samples_per_s,speed_up,efficiency");
    for (int b = 0; b < BILL_COUNT; b++) printf(",%s_ms", bill_name((Bill)b));
    for (int i = 0; i < s->count; i++) {
        const Prediction *p = &s->rows[i];
        printf("\n" SWEEP_SCHEMA ",%d,%lld,%.9g,%.9g,%.9g,%.9g", p->report.run.ranks,
               (long long)p->report.run.batch, p->step_ms, samples_per_s(p), speed_up(s, i),
               efficiency(s, i));
        for (int b = 0; b < BILL_COUNT; b++) printf(",%.9g", p->report.breakdown_ms[b]);
    }
    putchar('\n');
}

static void print_plain(const Sweep *s) {
    printf("schema " SWEEP_SCHEMA "\n");
    for (int i = 0; i < s->count; i++) {
        const Prediction *p = &s->rows[i];
        int n = p->report.run.ranks;
        printf("ranks.%d.batch %lld\n", n, (long long)p->report.run.batch);
        printf("ranks.%d.step_ms %.9g ms\n", n, p->step_ms);
        printf("ranks.%d.samples_per_s %.9g\n", n, samples_per_s(p));
        printf("ranks.%d.speed_up %.9g\n", n, speed_up(s, i));
        printf("ranks.%d.efficiency %.9g\n", n, efficiency(s, i));
        for (int b = 0; b < BILL_COUNT; b++)
            printf("ranks.%d.%s_ms %.9g ms\n", n, bill_name((Bill)b), p->report.breakdown_ms[b]);
    }
}

static const char *link_text(char out[2 * UNITS_TEXT], const SimSetting *s) {
    char rate[UNITS_TEXT], latency[UNITS_TEXT];
    const LinkModel *l = s->link.bytes_per_s ? &s->link : &s->machine->link;
    int64_t hops = s->link.bytes_per_s ? 1 : 2;
    snprintf(out, 2 * UNITS_TEXT, "%s, %s", units_print_bandwidth(rate, l->bytes_per_s),
             units_print_duration(latency, hops * l->latency_ps));
    return out;
}

static void print_title(const Sweep *s) {
    const Prediction *last = &s->rows[s->count - 1];
    const char *algorithm = algorithm_name(s->job->spec.strategy.algorithm);
    long long batch = last->report.run.batch, each = batch / last->report.run.ranks;
    char link[2 * UNITS_TEXT];
    const char *thing = s->setting->devices ? "device" : "rank";
    printf("%s  ", s->job->spec.model);
    if (s->count == 1)
        printf("batch %lld", batch);
    else if (s->strong)
        printf("batch %lld in all (strong scaling)", batch);
    else
        printf("batch %lld a %s (weak scaling)", each, thing);
    printf("  %s  %s  %s\n", last->report.run.dtype,
           last->report.run.ranks > 1 ? algorithm : "no all-reduce", "[simulated]");
    if (s->setting->devices)
        printf("%s: %s, link %s  seed %lld\n", s->setting->machine->name,
               s->setting->machine->device.name, link_text(link, s->setting),
               (long long)s->job->spec.seed);
    else
        printf("%s: %d cores  seed %lld\n", s->setting->machine->name,
               s->setting->machine->host.cores, (long long)s->job->spec.seed);
}

// How far a prediction can be trusted at all.
static void print_noise(const Recording *r) {
    const double most = 0.05;
    printf("recorded steps: 8 of 10 within %.1f %% of their median%s\n", 100 * r->spread,
           r->spread > most ? ": MACHINE TOO NOISY for a prediction within 10 %" : "");
}

// Where the costs of computation come from; and whether it would fit.
static void print_sources(const Sweep *s) {
    const Prediction *p = &s->rows[s->count - 1];
    int64_t room = s->setting->machine->device.memory_bytes;
    char need[UNITS_TEXT], have[UNITS_TEXT];
    printf("computation: ");
    for (int k = 0, any = 0; k < SOURCE_COUNT; k++)
        if (p->operations[k])
            any += printf("%s%d %s", any ? ", " : "", p->operations[k],
                          span_source_name((SpanSource)k));
    printf(" operations; %s planned a %s", units_print_size(need, p->memory_bytes),
           s->setting->devices ? "device" : "rank");
    if (s->setting->devices)
        printf(" of %s%s", units_print_size(have, room),
               p->memory_bytes > room ? ": DOES NOT FIT" : "");
    putchar('\n');
    if (s->setting->recording && !s->setting->devices) print_noise(s->setting->recording);
}

Status print_sweep(const Sweep *s, const SimOptions *o, Arena *a) {
    if (o->plain || o->csv) {
        o->plain ? print_plain(s) : print_csv(s);
        return OK;
    }
    print_title(s);
    TRY(print_table(s, a));
    if (s->count > 1)
        printf("times in ms; speed-up and efficiency against %d %s%s at %.4g ms a step\n",
               s->rows[0].report.run.ranks, s->setting->devices ? "device" : "rank",
               s->rows[0].report.run.ranks == 1 ? "" : "s", s->rows[0].step_ms);
    print_sources(s);
    return OK;
}

// --- a replay

void print_replay(const Prediction *p, const Recording *r) {
    const RunInfo *run = &r->traces[0].run;
    printf("replay of %s on %d rank%s, batch %lld, seed %lld  [simulated from %d steps]\n",
           run->model, r->ranks, r->ranks == 1 ? "" : "s", (long long)run->batch,
           (long long)run->seed, r->steps);
    printf("  step       %8.3f ms simulated  %8.3f ms recorded (median)  %+.2f %%\n", p->step_ms,
           r->step_ms, 100 * (p->step_ms / r->step_ms - 1));
    for (int b = 0; b < BILL_COUNT; b++)
        if (p->report.breakdown_ms[b] > 0)
            printf("    %-12s %8.3f ms\n", bill_name((Bill)b), p->report.breakdown_ms[b]);
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

static Status print_causes(Arena *a, const Comparison *c) {
    ComparedTime rows[BILL_COUNT + 3];
    int count = 0;
    for (int b = 0; b < BILL_COUNT; b++)
        if (c->bills[b].measured_ms >= 5e-5 || c->bills[b].simulated_ms >= 5e-5)
            rows[count++] = c->bills[b];
    rows[count++] =
        (ComparedTime){.name = "noise (mean above median)",
                       .measured_ms = -c->noise_ms,
                       .simulated_ms = c->simulated->step_ms.median - c->simulated->step_ms.mean};
    rows[count++] = (ComparedTime){.name = "step (median)",
                                   .measured_ms = c->measured->step_ms.median,
                                   .simulated_ms = c->simulated->step_ms.median};
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
    if (!*made)
        printf("  no prediction is kept of it\n");
    else if (!*started)
        printf("  predicted %s; the report does not say when the run began\n", made);
    else
        printf("  predicted %s, %s the run began (%s)\n", made,
               strcmp(made, started) < 0 ? "before" : "AFTER", started);
}

Status print_comparisons(const Comparison *c, const LedgerEntry *made, int count,
                         const SimOptions *o, Arena *a) {
    for (int i = 0; i < count; i++) {
        const Spread *m = &c[i].measured->step_ms;
        printf("\n%d rank%s, batch %lld: step %.3f ms measured (%.3f to %.3f in 8 of 10), %.3f "
               "simulated: %+.1f %%\n",
               c[i].measured->run.ranks, c[i].measured->run.ranks == 1 ? "" : "s",
               (long long)c[i].measured->run.batch, m->median, m->p10, m->p90,
               c[i].simulated->step_ms.median, 100 * c[i].error);
        print_when(&c[i], made[i].made);
        if (count == 1 || o->verbose) TRY(print_details(a, &c[i], o->verbose));
    }
    return OK;
}
