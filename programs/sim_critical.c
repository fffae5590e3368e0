// SPDX-License-Identifier: MIT
// The critical path of a step on the terminal (sim/critical_bill.h). Read sim_critical_print().
#include "programs/sim_critical.h"

#include "core/base/table.h"
#include "core/base/text.h"
#include "core/cli/terminal.h"
#include "programs/sweep_phrases.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Items that are printed and made free; with -v all are printed and more made free. More operations
// than that are billed by kind.
enum { ITEMS = 10, ITEMS_FREED = 100, OPERATIONS = 60 };
static const CriticalBillForm usual = {ITEMS, OPERATIONS}, verbose = {ITEMS_FREED, 0};

Status sim_critical_request(Sim *s) {
    const SimOptions *o = s->o;
    if (!o->critical_path) return OK;
    if (o->explain || o->print_mesh || o->print_plan || o->print_memory)
        FAIL(ERR_USAGE, "--critical-path is of a simulated step: give it alone, without what "
                        "prints a plan, a mesh or memory");
    if (o->csv || o->plain)
        FAIL(ERR_USAGE,
             "--critical-path is a table, or a member of the report with --json or "
             "--report; leave out --%s",
             o->csv ? "csv" : "plain");
    if (!s->setting.devices || sim_request_is_replay(s))
        FAIL(ERR_USAGE, "--critical-path is of simulated devices; give --gpus N");
    if (s->sizes.count != 1)
        FAIL(ERR_USAGE, "--critical-path is of one number of devices; give --gpus one");
    s->setting.critical = o->verbose ? &verbose : &usual;
    return OK;
}

// --- the table

typedef struct {
    const ReportCritical *critical;
    int shown, decimals, operation_width, next_width;
    const char *ranks;  // of all items; NULL: they differ, and have a column
} Sheet;

static int64_t magnitude(int64_t ps) { return ps < 0 ? -ps : ps; }

// So many decimals of a millisecond that the step has five digits, or those before the point.
static int decimals_for(int64_t step_ps) {
    int decimals = 6;
    for (int64_t most = 100000000; step_ps >= most && decimals; most *= 10) decimals--;
    return decimals;
}

static double ms(int64_t ps) { return (double)ps * 1e-9; }

static double percent(const Sheet *s, int64_t ps) {
    return s->critical->step_ps ? 100.0 * (double)ps / (double)s->critical->step_ps : 0;
}

// A name; where it is wider than that its middle is left out, since kinds of work differ at both
// ends: attention.., ..backward.
static void name_cell(Table *t, const char *name, int width) {
    int length = (int)strlen(name), begin = (width - 2) / 2;
    if (length <= width)
        table_cell(t, "%s", name);
    else
        table_cell(t, "%.*s..%s", begin, name, name + length - (width - 2 - begin));
}

static void fill_item(Table *t, const Sheet *s, const ReportCriticalItem *i) {
    name_cell(t, i->name, s->operation_width);
    if (!s->ranks) table_cell(t, "%s", i->ranks);
    table_cell(t, "%" PRId32, i->times);
    table_cell(t, "%.*f", s->decimals, ms(i->ps));
    table_cell(t, "%.1f", percent(s, i->ps));
    if (!i->freed) {
        table_cell(t, "?");
        table_cell(t, "%s", "");
        return;
    }
    table_cell(t, "%.*f", s->decimals, ms(i->gain_ps));
    bool more = i->next && magnitude(i->next_ps) * 2000 >= s->critical->step_ps;
    name_cell(t, more ? i->next : "", s->next_width);
}

static void fill_rest(Table *t, const Sheet *s) {
    const ReportCritical *c = s->critical;
    int64_t ps = 0;
    int32_t times = 0;
    for (int i = s->shown; i < c->item_count; i++) {
        ps += c->items[i].ps;
        times += c->items[i].times;
    }
    table_cell(t, "%d more: -v", c->item_count - s->shown);
    if (!s->ranks) table_cell(t, "%s", "");
    table_cell(t, "%" PRId32, times);
    table_cell(t, "%.*f", s->decimals, ms(ps));
    table_cell(t, "%.1f", percent(s, ps));
    table_cell(t, "%s", "");
    table_cell(t, "%s", "");
}

static int longer(int width, const char *text) {
    int length = text ? (int)strlen(text) : 0;
    return length > width ? length : width;
}

// What names may take beside the other columns: the heads are 5, 1, 5 and 7 wide.
static void choose_widths(Sheet *s, int width) {
    enum { GAPS = 6 * 2, LEAST = 15 };
    int operation = LEAST, next = LEAST, ranks = s->ranks ? -2 : 5;
    int cell = snprintf(NULL, 0, "%.*f", s->decimals, ms(s->critical->step_ps));
    int times = snprintf(NULL, 0, "%" PRId32, s->critical->stretch_count);
    for (int i = 0; i < s->shown; i++) {
        const ReportCriticalItem *item = &s->critical->items[i];
        operation = longer(operation, item->name);
        next = longer(next, item->next);
        if (!s->ranks) ranks = longer(ranks, item->ranks);
    }
    int left = width - GAPS - ranks - times - cell - 5 - (cell > 7 ? cell : 7);
    while (operation + next > left && (operation > LEAST || next > LEAST))
        --*(next > LEAST ? &next : &operation);
    s->operation_width = operation;
    s->next_width = next;
}

// The ranks of all items that are shown, or NULL.
static const char *common_ranks(const Sheet *s) {
    const ReportCriticalItem *items = s->critical->items;
    for (int i = 1; i < s->shown; i++)
        if (strcmp(items[i].ranks, items[0].ranks) != 0) return NULL;
    return s->shown ? items[0].ranks : NULL;
}

static bool any_loses(const Sheet *s) {
    for (int i = 0; i < s->shown; i++)
        if (s->critical->items[i].gain_ps < 0) return true;
    return false;
}

Status sim_critical_print(const Sim *s) {
    const ReportCritical *c = s->rows[0].critical;
    TableColumn columns[] = {{c->by_kind ? "kind of work" : "operation", false},
                             {"ranks", false},
                             {"x", true},
                             {"ms", true},
                             {"%", true},
                             {"gain ms", true},
                             {"then critical", false}};
    int count = (int)(sizeof columns / sizeof *columns), width = terminal_width(stdout);
    Sheet sheet = {.critical = c, .decimals = decimals_for(c->step_ps)};
    Table table;
    sheet.shown = s->o->verbose || c->item_count < ITEMS ? c->item_count : ITEMS;
    sheet.ranks = common_ranks(&sheet);
    choose_widths(&sheet, width);
    if (sheet.ranks) memmove(&columns[1], &columns[2], (size_t)(--count - 1) * sizeof *columns);
    table_init(&table, s->arena, columns, count);
    for (int i = 0; i < sheet.shown; i++) fill_item(&table, &sheet, &c->items[i]);
    if (sheet.shown < c->item_count) fill_rest(&table, &sheet);
    putchar('\n');
    sweep_say(width, 0,
              "the critical path of a step, %.*f ms; gain: a step simulated again with the %s free "
              "is so much shorter; then critical: what grew most on its path",
              sheet.decimals, ms(c->step_ps), c->by_kind ? "item" : "operation");
    if (any_loses(&sheet))
        sweep_say(width, 0,
                  "a gain below 0: what comes sooner then shares links with what is urgent");
    if (sheet.ranks) sweep_say(width, 0, "ranks of all that is shown: %s", sheet.ranks);
    return table_print(stdout, &table, TABLE_TEXT);
}
