// SPDX-License-Identifier: MIT
// The table of a sweep is printed while it is made, so its columns have fixed widths; where the
// steps go is a second table, whose columns depend on all rows. Read sweep_row(), then sweep_end().
#include "programs/sim_sweep.h"

#include "core/base/printable.h"
#include "core/base/table.h"
#include "core/base/text.h"
#include "programs/sim_print.h"

#include <math.h>
#include <string.h>

static bool is_table(const Sweep *s) { return !s->options->plain && !s->options->csv; }

static double samples_per_s(const Prediction *p) {
    return (double)p->report.run.batch / p->step_ms * 1e3;
}

static double speed_up(const Sweep *s, int i) {
    return samples_per_s(&s->rows[i]) / samples_per_s(&s->rows[0]);
}

static double efficiency(const Sweep *s, int i) {
    return speed_up(s, i) * s->rows[0].report.run.ranks / s->rows[i].report.run.ranks;
}

// --- the title

// Phrases two spaces apart, on lines of the terminal's width.
typedef struct {
    int width, column;
} Phrases;

static void phrase(Phrases *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void phrase(Phrases *p, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printable_make(text);
    int gap = p->column ? 2 : 0;
    if (p->column && p->column + gap + text_width(text) > p->width) {
        printf("\n  ");
        p->column = 2;
        gap = 0;
    }
    p->column += printf("%*s", gap, "") + text_width(text);
    fputs(text, stdout);
}

// Degrees of the mesh; data has what they leave of the ranks of a row.
static void phrase_degrees(Phrases *p, const JobSpec *s) {
    int stages = mesh_size(&s->mesh, MESH_PIPE), cut = mesh_size(&s->mesh, MESH_CONTEXT);
    int divided = mesh_size(&s->mesh, MESH_TENSOR);
    if (stages > 1) phrase(p, "pp %d", stages);
    if (cut > 1) phrase(p, "cp %d", cut);
    if (divided > 1) phrase(p, "tp %d", divided);
    if (s->strategy.experts > 1) phrase(p, "ep %d", s->strategy.experts);
}

static void print_job(const Sweep *s) {
    const SimJob *job = &s->jobs[s->size_count - 1];
    const char *thing = s->setting->devices ? "device" : "rank";
    Phrases p = {s->width, 0};
    phrase(&p, "%s", job->spec.model);
    if (s->size_count == 1)
        phrase(&p, "batch %lld", (long long)job->spec.batch);
    else if (s->strong)
        phrase(&p, "batch %lld in all (strong scaling)", (long long)job->spec.batch);
    else
        phrase(&p, "batch %lld a %s (weak scaling)", (long long)(job->spec.batch / job->spec.ranks),
               thing);
    phrase(&p, "%s", dtype_name(job->spec.dtype));
    if (!job->spec.plan_file) phrase_degrees(&p, &job->spec);
    if (job->spec.shards) phrase(&p, "%d shards in all", job->spec.shards);
    if (job->spec.micro_batches > 1) phrase(&p, "%d micro-batches", job->spec.micro_batches);
    if (job->spec.plan_file)
        phrase(&p, "plan %s", job->spec.plan_file);
    else if (job->spec.strategy.zero)
        phrase(&p, "ZeRO %d, %s", job->spec.strategy.zero,
               algorithm_name(job->spec.strategy.algorithm));
    else
        phrase(&p, "%s",
               job->spec.ranks > 1 ? algorithm_name(job->spec.strategy.algorithm)
                                   : "no all-reduce");
    phrase(&p, "[simulated]");
    putchar('\n');
}

static void phrase_link(Phrases *p, const char *what, const LinkModel *l, int hops) {
    char rate[UNITS_TEXT], latency[UNITS_TEXT];
    phrase(p, "%s %s, %s", what, units_print_bandwidth(rate, l->bytes_per_s),
           units_print_duration(latency, hops * l->latency_ps));
}

// The links that a message crosses: within a node up and down, between nodes two rails.
static void print_machine(const Sweep *s) {
    const SimSetting *set = s->setting;
    const Machine *m = set->machine;
    const SimJob *job = &s->jobs[s->size_count - 1];
    Phrases p = {s->width, 0};
    if (!set->devices)
        phrase(&p, "%s: %d core%s", m->name, m->host.cores, m->host.cores == 1 ? "" : "s");
    else {
        phrase(&p, "%s: %s", m->name, m->device.name);
        if (set->link.bytes_per_s)
            phrase_link(&p, "link", &set->link, 1);
        else {
            if (m->devices_per_node > 1) phrase_link(&p, "link", &m->link, 2);
            if (job->spec.ranks > m->devices_per_node) phrase_link(&p, "rail", &m->rail, 2);
        }
    }
    if (set->dilation && set->dilation != 1000)
        phrase(&p, "times x%g (--dilate)", (double)set->dilation / 1000);
    phrase(&p, "seed %lld", (long long)job->spec.seed);
    putchar('\n');
}

// --- the table of steps

typedef enum { RANKS, BATCH, STEP, SAMPLES, SPEED_UP, EFFICIENCY, MEMORY_USE, COLUMNS } Column;

static int digits(int64_t n) { return snprintf(NULL, 0, "%lld", (long long)n); }
static int larger(int a, int b) { return a > b ? a : b; }

// Widths of the columns; 0: it is left out, for one row, or on a narrow terminal.
static void choose_columns(const Sweep *s, int width[COLUMNS]) {
    static const Column dispensable[] = {BATCH, EFFICIENCY, SAMPLES, SPEED_UP};
    int64_t ranks = 0, batch = 0;
    for (int i = 0; i < s->size_count; i++) {
        if (s->jobs[i].spec.ranks > ranks) ranks = s->jobs[i].spec.ranks;
        if (s->jobs[i].spec.batch > batch) batch = s->jobs[i].spec.batch;
    }
    bool several = s->size_count > 1;
    const int wanted[COLUMNS] = {larger(s->setting->devices ? 4 : 5, digits(ranks)),
                                 larger(5, digits(batch)),
                                 9,
                                 11,
                                 several ? 8 : 0,
                                 several ? 5 : 0,
                                 7};
    int total = -2;
    for (int c = 0; c < COLUMNS; c++) total += (width[c] = wanted[c]) ? wanted[c] + 2 : 0;
    for (size_t i = 0; i < sizeof dispensable / sizeof *dispensable && total > s->width; i++) {
        if (width[dispensable[i]]) total -= width[dispensable[i]] + 2;
        width[dispensable[i]] = 0;
    }
}

// Decimals for all times, so that the first row's step shows four digits or more.
static int step_decimals(const Sweep *s) {
    static const double limits[] = {10000, 1000, 100, 10, 0.01, 0.001};
    int decimals = 0;
    while (decimals < 6 && s->rows[0].step_ms < limits[decimals]) decimals++;
    return decimals;
}

static void print_cells(const Sweep *s, const char *const cells[COLUMNS]) {
    int width[COLUMNS], owed = 0;
    choose_columns(s, width);
    for (int c = 0; c < COLUMNS; c++) {
        if (!width[c]) continue;
        printf("%*s%*s", owed, "", width[c], cells[c]);
        owed = 2;
    }
}

static void print_heads(const Sweep *s) {
    const char *const heads[COLUMNS] = {s->setting->devices ? "gpus" : "ranks",
                                        "batch",
                                        "step ms",
                                        "samples/s",
                                        "speed-up",
                                        "eff.",
                                        "memory"};
    print_cells(s, heads);
    putchar('\n');
}

static void print_row(const Sweep *s, int i) {
    enum { CELL = 48 };
    char text[COLUMNS][CELL], memory[UNITS_TEXT];
    const char *cells[COLUMNS];
    const Prediction *p = &s->rows[i];
    double rate = samples_per_s(p);
    for (int c = 0; c < COLUMNS; c++) cells[c] = text[c];
    snprintf(text[RANKS], CELL, "%d", p->report.run.ranks);
    snprintf(text[BATCH], CELL, "%lld", (long long)p->report.run.batch);
    snprintf(text[STEP], CELL, "%.*f", step_decimals(s), p->step_ms);
    snprintf(text[SAMPLES], CELL, "%.*f", rate < 10 ? 3 : rate < 1000 ? 1 : 0, rate);
    snprintf(text[SPEED_UP], CELL, "%.2fx", speed_up(s, i));
    snprintf(text[EFFICIENCY], CELL, "%.0f%%", 100 * efficiency(s, i));
    snprintf(text[MEMORY_USE], CELL, "%s", units_print_size(memory, p->memory_bytes));
    print_cells(s, cells);
    puts(prediction_fits(p) ? "" : "  DOES NOT FIT");
}

// --- where the steps go

// Parts of a step: the breakdown, with computation divided into work and launches.
enum { PART_LAUNCH = TIME_COUNT, PARTS };

static double part_ms(const Prediction *p, int part) {
    if (part == PART_LAUNCH) return p->launch_ms;
    return p->report.breakdown_ms[part] - (part == TIME_COMPUTE ? p->launch_ms : 0);
}

static const char *part_name(const Sweep *s, int part) {
    if (part == PART_LAUNCH) return "launch";
    if (part == TIME_COMPUTE && s->rows[0].launch_ms > 0) return "work";
    return part == TIME_EXPOSED_COMM ? "exposed" : time_category_name((TimeCategory)part);
}

// The largest share of a step that a part has in any row.
static double part_share(const Sweep *s, int part) {
    double most = 0;
    for (int i = 0; i < s->count; i++)
        most = fmax(most, part_ms(&s->rows[i], part) / s->rows[i].step_ms);
    return most;
}

typedef struct {
    int parts[PARTS], count;
    bool other;  // what is left out is not 0 everywhere, as it is printed
} ShownParts;

static double other_ms(const Prediction *p, const ShownParts *shown) {
    double rest = 0;
    for (int part = 0; part < PARTS; part++) rest += part_ms(p, part);
    for (int k = 0; k < shown->count; k++) rest -= part_ms(p, shown->parts[k]);
    return rest > 1e-9 * p->step_ms ? rest : 0;  // what is less was rounded
}

// Parts of 0.05 % of some row's step have a column of their own, launches beside work.
static void choose_parts(const Sweep *s, ShownParts *out) {
    static const int order[PARTS] = {TIME_COMPUTE, PART_LAUNCH,  TIME_CONTENDED, TIME_EXPOSED_COMM,
                                     TIME_BUBBLE,  TIME_WAITING, TIME_HOST,      TIME_IDLE};
    *out = (ShownParts){0};
    for (int k = 0; k < PARTS; k++) {
        double share = part_share(s, order[k]);
        if (share >= 5e-4) out->parts[out->count++] = order[k];
    }
    double least = 0.5;  // that is not printed as 0
    for (int i = 0; i < step_decimals(s); i++) least /= 10;
    for (int i = 0; i < s->count; i++) out->other |= other_ms(&s->rows[i], out) >= least;
}

static void drop_smallest(const Sweep *s, ShownParts *shown) {
    int least = 0;
    for (int k = 1; k < shown->count; k++)
        if (part_share(s, shown->parts[k]) < part_share(s, shown->parts[least])) least = k;
    memmove(&shown->parts[least], &shown->parts[least + 1],
            (size_t)(shown->count - least - 1) * sizeof *shown->parts);
    shown->count--;
    shown->other = true;
}

// Ranks, parts, other, and all communication: of each the largest width that a cell takes.
static int parts_width(const Sweep *s, const ShownParts *shown) {
    double most = 0;
    for (int i = 0; i < s->count; i++) most = fmax(most, s->rows[i].step_ms);
    int cell = snprintf(NULL, 0, "%.*f", step_decimals(s), most), width = 5;
    for (int k = 0; k < shown->count; k++)
        width += 2 + larger(cell, (int)strlen(part_name(s, shown->parts[k])));
    return width + (shown->other ? 2 + larger(cell, 5) : 0) + 2 + larger(cell, 4) + 2 + 7;
}

static bool communicates(const Sweep *s) {
    for (int i = 0; i < s->count; i++)
        if (s->rows[i].comm_bytes > 0) return true;
    return false;
}

static void fill_parts(Table *t, const Sweep *s, int i, const ShownParts *shown, bool comm) {
    const Prediction *p = &s->rows[i];
    int decimals = step_decimals(s);
    char bytes[UNITS_TEXT];
    table_cell(t, "%d", p->report.run.ranks);
    for (int k = 0; k < shown->count; k++)
        table_cell(t, "%.*f", decimals, part_ms(p, shown->parts[k]));
    if (shown->other) table_cell(t, "%.*f", decimals, other_ms(p, shown));
    if (!comm) return;
    table_cell(t, "%.*f", decimals, p->comm_ms);
    table_cell(t, "%s", units_print_size(bytes, p->comm_bytes));
}

static Status print_parts(const Sweep *s, Arena *a) {
    ShownParts shown;
    bool comm = communicates(s);
    choose_parts(s, &shown);
    while (shown.count > 1 && parts_width(s, &shown) > s->width) drop_smallest(s, &shown);
    TableColumn columns[PARTS + 4] = {{s->setting->devices ? "gpus" : "ranks", true}};
    int n = 1;
    for (int k = 0; k < shown.count; k++)
        columns[n++] = (TableColumn){part_name(s, shown.parts[k]), true};
    if (shown.other) columns[n++] = (TableColumn){"other", true};
    if (comm) columns[n++] = (TableColumn){"comm", true};
    if (comm) columns[n++] = (TableColumn){"payload", true};
    Table table;
    table_init(&table, a, columns, n);
    for (int i = 0; i < s->count; i++) fill_parts(&table, s, i, &shown, comm);
    puts(comm ? "where a step goes, ms; comm: all of its communication, exposed or not"
              : "where a step goes, ms");
    return table_print(stdout, &table, TABLE_TEXT);
}

// --- where the numbers come from

void sweep_print_noise(const Recording *r) {
    const double most = 0.05;
    const HostUse *use = &r->traces[0].run.disturbed;
    if (host_use_disturbs(use)) print_disturbed("", "recorded", use);
    if (r->steps < 5) {
        printf("recorded: %d step%s, too few to tell how noisy the machine is\n", r->steps,
               r->steps == 1 ? "" : "s");
        return;
    }
    const double spread = (r->step_ms.p90 - r->step_ms.p10) / r->step_ms.median;
    printf("recorded: %d steps, 8 of 10 within %.1f %% of their median", r->steps, 100 * spread);
    puts(spread > most ? "\nMACHINE TOO NOISY: above 5 %, an error of 10 % and more is to be "
                         "expected"
                       : "");
}

// Rows may differ: with more shards than ranks a rank has more operations.
static bool same_sources(const Sweep *s) {
    for (int i = 1; i < s->count; i++)
        if (memcmp(s->rows[i].operations, s->rows[0].operations, sizeof s->rows[0].operations))
            return false;
    return true;
}

static void print_sources(const Sweep *s) {
    const Prediction *p = &s->rows[s->count - 1];
    const char *where = same_sources(s) ? "computation: " : "computation in the last row: ";
    const Recording *r = s->setting->recording;
    const char *recorded = r && r->has_machine ? r->machine.name : NULL;
    Phrases line = {s->width, 0};
    for (int k = 0; k < SOURCE_COUNT; k++) {
        if (!p->operations[k]) continue;
        bool elsewhere =
            k == SOURCE_REPLAYED && strcmp(s->setting->machine->name, recorded ? recorded : "");
        phrase(&line, "%s%d %s operation%s%s%s", line.column ? "" : where, p->operations[k],
               span_source_name((SpanSource)k), p->operations[k] == 1 ? "" : "s",
               elsewhere ? " as recorded on " : "",
               elsewhere ? recorded ? recorded : "another machine" : "");
    }
    putchar('\n');
    if (r && !s->setting->devices) sweep_print_noise(r);
}

static void print_memory(const Sweep *s) {
    char need[UNITS_TEXT], have[UNITS_TEXT];
    int first = 0;
    while (first < s->count && prediction_fits(&s->rows[first])) first++;
    if (first == s->count) return;
    int ranks = s->rows[first].report.run.ranks;
    printf("DOES NOT FIT: %d device%s of %s: %s needed on each\n", ranks, ranks == 1 ? "" : "s",
           units_print_size(have, s->rows[first].report.device_bytes),
           units_print_size(need, s->rows[first].memory_bytes));
}

static void print_network(const Sweep *s) {
    if (!s->setting->devices || !communicates(s)) return;
    puts("network: links only, without NCCL's launches, protocols and hierarchy: small\n"
         "messages take longer on real devices (docs/validation.md)");
}

enum { OPERATIONS_WIDTH = 34 };

// -v: the operations of the last row's step, in the plan's order.
static Status print_operations(const Sweep *s, Arena *a) {
    const Report *r = &s->rows[s->count - 1].report;
    const TableColumn columns[] = {
        {"operation", false}, {"phase", false}, {"starts ms", true}, {"ms", true}, {"waits", true}};
    Table table;
    table_init(&table, a, columns, 5);
    for (int i = 0; i < r->operation_count; i++) {
        const OperationTimes *o = &r->operations[i];
        table_cell(&table, "%.*s", OPERATIONS_WIDTH, o->name);
        table_cell(&table, "%s", o->phase);
        table_cell(&table, "%.4f", o->start_ms);
        table_cell(&table, "%.4f", o->duration_ms.median);
        table_cell(&table, "%.4f", o->wait_ms);
    }
    printf("\na step of %d rank%s, operation by operation\n", r->run.ranks,
           r->run.ranks == 1 ? "" : "s");
    return table_print(stdout, &table, TABLE_TEXT);
}

// --- for programs: names stay what they are and where they are (docs/formats.md, "Summaries")

#define SWEEP_SCHEMA "tandem.sweep.v1"

static const char *fits_text(const Prediction *p, const char *unknown) {
    if (!p->report.device_bytes) return unknown;
    return prediction_fits(p) ? "true" : "false";
}

static void print_csv_heads(void) {
    printf("schema,ranks,batch,step_ms,samples_per_s,speed_up,efficiency");
    for (int b = 0; b < TIME_COUNT; b++) printf(",%s_ms", time_category_name((TimeCategory)b));
    puts(",launch_ms,comm_ms,comm_bytes,memory_bytes,device_bytes,fits");
}

static void print_csv_row(const Sweep *s, int i) {
    const Prediction *p = &s->rows[i];
    printf(SWEEP_SCHEMA ",%d,%lld,%.9g,%.9g,%.9g,%.9g", p->report.run.ranks,
           (long long)p->report.run.batch, p->step_ms, samples_per_s(p), speed_up(s, i),
           efficiency(s, i));
    for (int b = 0; b < TIME_COUNT; b++) printf(",%.9g", p->report.breakdown_ms[b]);
    printf(",%.9g,%.9g,%lld,%lld,", p->launch_ms, p->comm_ms, (long long)p->comm_bytes,
           (long long)p->memory_bytes);
    if (p->report.device_bytes) printf("%lld", (long long)p->report.device_bytes);
    printf(",%s\n", fits_text(p, ""));
}

static void print_plain_row(const Sweep *s, int i) {
    const Prediction *p = &s->rows[i];
    int n = p->report.run.ranks;
    printf("ranks.%d.batch %lld\n", n, (long long)p->report.run.batch);
    printf("ranks.%d.step_ms %.9g ms\n", n, p->step_ms);
    printf("ranks.%d.samples_per_s %.9g\n", n, samples_per_s(p));
    printf("ranks.%d.speed_up %.9g\n", n, speed_up(s, i));
    printf("ranks.%d.efficiency %.9g\n", n, efficiency(s, i));
    for (int b = 0; b < TIME_COUNT; b++)
        printf("ranks.%d.%s_ms %.9g ms\n", n, time_category_name((TimeCategory)b),
               p->report.breakdown_ms[b]);
    printf("ranks.%d.launch_ms %.9g ms\n", n, p->launch_ms);
    printf("ranks.%d.comm_ms %.9g ms\n", n, p->comm_ms);
    printf("ranks.%d.comm_bytes %lld B\n", n, (long long)p->comm_bytes);
    printf("ranks.%d.memory_bytes %lld B\n", n, (long long)p->memory_bytes);
    if (p->report.device_bytes)
        printf("ranks.%d.device_bytes %lld B\n", n, (long long)p->report.device_bytes);
    else
        printf("ranks.%d.device_bytes -\n", n);
    printf("ranks.%d.fits %s\n", n, fits_text(p, "-"));
}

// --- all of it

void sweep_begin(const Sweep *s) {
    if (s->options->csv) print_csv_heads();
    if (s->options->plain) puts("schema " SWEEP_SCHEMA);
    if (!is_table(s)) return;
    print_job(s);
    print_machine(s);
    print_heads(s);
}

void sweep_row(const Sweep *s) {
    int i = s->count - 1;
    if (s->options->csv)
        print_csv_row(s, i);
    else if (s->options->plain)
        print_plain_row(s, i);
    else
        print_row(s, i);
    fflush(stdout);  // seen now, also in a pipe; errors show at the end
}

Status sweep_end(const Sweep *s, Arena *a) {
    if (!is_table(s) || !s->count) return OK;
    if (s->size_count > 1)
        printf("speed-up and efficiency against %d %s%s; memory: planned a %s\n",
               s->rows[0].report.run.ranks, s->setting->devices ? "device" : "rank",
               s->rows[0].report.run.ranks == 1 ? "" : "s",
               s->setting->devices ? "device" : "rank");
    if (s->size_count > 1 && s->jobs[0].spec.shards)
        printf("the same %d shards in every row: fewer ranks compute more, one after the other\n",
               s->jobs[0].spec.shards);
    print_memory(s);
    putchar('\n');
    TRY(print_parts(s, a));
    print_sources(s);
    print_network(s);
    return s->options->verbose ? print_operations(s, a) : OK;
}
