// SPDX-License-Identifier: MIT
// Tables below that of the steps: where these go, with columns that depend on all rows, operations,
// and links. Read sweep_print_parts() first.
#include "core/base/table.h"
#include "core/base/units.h"
#include "programs/sim_sweep_internal.h"
#include "sim/answers.h"

#include <math.h>
#include <string.h>

static int larger(int a, int b) { return a > b ? a : b; }

const char *sweep_part_name(const Sweep *s, int part) {
    return sweep_phrase_part(part, s->rows[0].launch_ms > 0);
}

int sweep_decimals(const Sweep *s) {
    static const double limits[] = {10000, 1000, 100, 10, 0.01, 0.001};
    int decimals = 0;
    while (decimals < 6 && s->rows[0].step_ms < limits[decimals]) decimals++;
    return decimals;
}

// The largest share of a step that a part has in any row.
static double part_share(const Sweep *s, int part) {
    double most = 0;
    for (int i = 0; i < s->count; i++)
        most = fmax(most, answers_part_ms(&s->rows[i], part) / s->rows[i].step_ms);
    return most;
}

typedef struct {
    int parts[REPORT_PARTS], count;
    bool other;  // what is left out is not 0 everywhere, as it is printed
} ShownParts;

static double other_ms(const Prediction *p, const ShownParts *shown) {
    double rest = 0;
    for (int part = 0; part < REPORT_PARTS; part++) rest += answers_part_ms(p, part);
    for (int k = 0; k < shown->count; k++) rest -= answers_part_ms(p, shown->parts[k]);
    return rest > 1e-9 * p->step_ms ? rest : 0;  // what is less was rounded
}

int sweep_lost_part(const Sweep *s, int i) {
    const ReportAnswers *a = s->rows[i].answers;
    return a && sweep_efficiency(s, i) < SWEEP_WHOLE ? a->lost_to : NONE;
}

static bool is_lost_to(const Sweep *s, int part) {
    for (int i = 0; i < s->count; i++)
        if (sweep_lost_part(s, i) == part) return true;
    return false;
}

// Parts of 0.05 % of some row's step, and what rows lost their efficiency to, have a column of
// their own, launches beside work.
static void choose_parts(const Sweep *s, ShownParts *out) {
    static const int order[REPORT_PARTS] = {TIME_COMPUTE,      REPORT_LAUNCH, TIME_CONTENDED,
                                            TIME_EXPOSED_COMM, TIME_BUBBLE,   TIME_WAITING,
                                            TIME_HOST,         TIME_IDLE};
    *out = (ShownParts){0};
    for (int k = 0; k < REPORT_PARTS; k++) {
        double share = part_share(s, order[k]);
        if (share >= 5e-4 || is_lost_to(s, order[k])) out->parts[out->count++] = order[k];
    }
    double least = 0.5;  // that is not printed as 0
    for (int i = 0; i < sweep_decimals(s); i++) least /= 10;
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
    int cell = snprintf(NULL, 0, "%.*f", sweep_decimals(s), most), width = 5;
    for (int k = 0; k < shown->count; k++)
        width += 2 + larger(cell, (int)strlen(sweep_part_name(s, shown->parts[k])));
    return width + (shown->other ? 2 + larger(cell, 5) : 0) + 2 + larger(cell, 4) + 2 + 7;
}

bool sweep_communicates(const Sweep *s) {
    for (int i = 0; i < s->count; i++)
        if (s->rows[i].comm_bytes > 0) return true;
    return false;
}

static void fill_parts(Table *t, const Sweep *s, int i, const ShownParts *shown, bool comm) {
    const Prediction *p = &s->rows[i];
    int decimals = sweep_decimals(s);
    char bytes[UNITS_TEXT];
    table_cell(t, "%d", p->report.run.ranks);
    for (int k = 0; k < shown->count; k++)
        table_cell(t, "%.*f", decimals, answers_part_ms(p, shown->parts[k]));
    if (shown->other) table_cell(t, "%.*f", decimals, other_ms(p, shown));
    if (!comm) return;
    table_cell(t, "%.*f", decimals, p->comm_ms);
    table_cell(t, "%s", units_print_size(bytes, p->comm_bytes));
}

static int most_efficient(const Sweep *s) {
    int best = 0;
    for (int i = 1; i < s->count; i++)
        if (sweep_efficiency(s, i) > sweep_efficiency(s, best)) best = i;
    return best;
}

// What makes the most efficient row better than the first, where that shows as 101 % or more: the
// part that has shrunk most. The first row itself lost something that larger ones do not.
static void print_gained(const Sweep *s) {
    const Prediction *first = &s->rows[0], *best = &s->rows[most_efficient(s)];
    if (sweep_efficiency(s, most_efficient(s)) < 1.005) return;
    int gained = 0;
    double less[REPORT_PARTS];
    for (int part = 0; part < REPORT_PARTS; part++) {
        less[part] =
            answers_share(best, first) * answers_part_ms(first, part) - answers_part_ms(best, part);
        if (less[part] > less[gained]) gained = part;
    }
    sweep_say(s->width, 0,
              "above 100%%: with %d %s %s is %.*f ms less than in proportion to the first row",
              best->report.run.ranks, s->setting->devices ? "devices" : "ranks",
              sweep_part_name(s, gained), sweep_decimals(s), less[gained]);
}

// A step that its host binds shows little time of it: devices work meanwhile.
static void print_bound(const Sweep *s) {
    int i = s->count - 1;
    while (i >= 0 && !answers_host_binds(&s->rows[i])) i--;
    if (i < 0) return;
    sweep_say(s->width, 0,
              "host: with %d %s issuing the operations alone takes %.*f ms, as long as the step; "
              "faster devices or links change nothing, --launch graph would",
              s->rows[i].report.run.ranks, s->rows[i].report.run.ranks == 1 ? "device" : "devices",
              sweep_decimals(s), s->rows[i].issue_ms);
}

Status sweep_print_parts(const Sweep *s, Arena *a) {
    ShownParts shown;
    bool comm = sweep_communicates(s);
    choose_parts(s, &shown);
    while (shown.count > 1 && parts_width(s, &shown) > s->width) drop_smallest(s, &shown);
    TableColumn columns[REPORT_PARTS + 4] = {{s->setting->devices ? "gpus" : "ranks", true}};
    int n = 1;
    for (int k = 0; k < shown.count; k++)
        columns[n++] = (TableColumn){sweep_part_name(s, shown.parts[k]), true};
    if (shown.other) columns[n++] = (TableColumn){"other", true};
    if (comm) columns[n++] = (TableColumn){"comm", true};
    if (comm) columns[n++] = (TableColumn){"payload", true};
    Table table;
    table_init(&table, a, columns, n);
    for (int i = 0; i < s->count; i++) fill_parts(&table, s, i, &shown, comm);
    sweep_say(s->width, 0, "where a step goes, ms%s",
              comm ? "; comm: all of its communication, exposed or not" : "");
    TRY(table_print(stdout, &table, TABLE_TEXT));
    print_gained(s);
    print_bound(s);
    return OK;
}

enum { OPERATIONS_WIDTH = 34 };

// In the plan's order.
Status sweep_print_operations(const Sweep *s, Arena *a) {
    const Report *r = &s->rows[s->count - 1].report;
    const TableColumn columns[] = {
        {"operation", false}, {"phase", false}, {"starts ms", true}, {"ms", true}, {"waits", true}};
    const int d = r->step_ms.median < 1000 ? 4 : 3;
    Table table;
    table_init(&table, a, columns, 5);
    for (int i = 0; i < r->operation_count; i++) {
        const OperationTimes *o = &r->operations[i];
        table_cell(&table, "%.*s", OPERATIONS_WIDTH, o->name);
        table_cell(&table, "%s", o->phase);
        table_cell(&table, "%.*f", d, o->start_ms);
        table_cell(&table, "%.*f", d, o->duration_ms.median);
        table_cell(&table, "%.*f", d, o->wait_ms);
    }
    putchar('\n');
    sweep_say(s->width, 0, "a step of %d rank%s, operation by operation", r->run.ranks,
              r->run.ranks == 1 ? "" : "s");
    return table_print(stdout, &table, TABLE_TEXT);
}

// A wire from a device or a switch of its node (topology_ends()) to another.
static void cell_wire(Table *t, const LinkUse *u) {
    bool from = u->busiest >= 0, to = u->to >= 0;
    if (from && to) {
        table_cell(t, "device %d to %d", u->busiest, u->to);
        return;
    }
    table_cell(t, "%s %d to %s %d", from ? "device" : "switch", from ? u->busiest : -1 - u->busiest,
               to ? "device" : "switch", to ? u->to : -1 - u->to);
}

// -v: of the last row, where messages go one by one.
Status sweep_print_links(const Sweep *s, Arena *a) {
    static const char *const kinds[LINK_KINDS] = {
        "device to switch", "switch to device", "rail, sending", "rail, receiving", "wire",
        "between switches"};
    const LinkUses *uses = &s->rows[s->count - 1].links;
    if (!s->options->verbose || !uses->known) return OK;
    const TableColumn columns[] = {
        {"links", false}, {"busiest", true}, {"a step", true}, {"busy", true}, {"mean", true}};
    Table table;
    char size[UNITS_TEXT];
    int shown = 0;
    table_init(&table, a, columns, 5);
    for (int k = 0; k < LINK_KINDS; k++) {
        const LinkUse *u = &uses->of[k];
        if (!u->bytes) continue;
        shown++;
        bool trunk = k == LINK_TRUNK;
        bool torus = trunk && s->setting->machine->fabric.kind == FABRIC_TORUS;
        bool adapters = s->setting->machine->node.adapter_count > 0;
        table_cell(&table, "%s", torus ? "between nodes" : kinds[k]);
        if (trunk)
            table_cell(&table, "%s %d to %d", torus ? "node" : "switch", u->busiest, u->to);
        else if (k == LINK_WIRE)
            cell_wire(&table, u);
        else
            table_cell(&table, "%s %d", adapters ? "adapter" : "device", u->busiest);
        table_cell(&table, "%s", units_print_size(size, u->bytes));
        table_cell(&table, "%.1f%%", 100 * u->busy);
        table_cell(&table, "%.1f%%", 100 * u->mean);
    }
    if (!shown) return OK;
    putchar('\n');
    sweep_say(s->width, 0,
              "how much of the time the links carry, last row: the busiest, and the mean of all");
    return table_print(stdout, &table, TABLE_TEXT);
}
