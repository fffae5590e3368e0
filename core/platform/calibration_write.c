// SPDX-License-Identifier: MIT
// A calibration as a section of a machine file, and as a table for people.
#include "core/platform/calibration.h"
#include "core/platform/calibration_internal.h"

#include "core/base/table.h"
#include "core/base/units.h"

#include <inttypes.h>

typedef char *(*PrintQuantity)(char out[UNITS_TEXT], int64_t value);

static void put_measured(FILE *f, const char *before, const char *key, const Measured *m,
                         PrintQuantity print) {
    char median[UNITS_TEXT], low[UNITS_TEXT], high[UNITS_TEXT];
    if (!m->known) return;
    fprintf(f, "%s%s: {median: %s, low: %s, high: %s}\n", before, key, print(median, m->median),
            print(low, m->low), print(high, m->high));
}

static void put_text(FILE *f, const char *before, const char *key, const char *text) {
    if (!text || !*text) return;
    fprintf(f, "%s%s: ", before, key);
    yaml_write_string(f, text);
    fputc('\n', f);
}

static void put_rates(FILE *f, const char *key, const MemoryRate *rates, int count) {
    char bytes[UNITS_TEXT];
    if (count) fprintf(f, "  %s:\n", key);
    for (int i = 0; i < count; i++) {
        fprintf(f, "    - bytes: %s\n", units_exact_size(bytes, rates[i].bytes));
        put_measured(f, "      ", "own", &rates[i].own, units_exact_bandwidth);
        put_measured(f, "      ", "peer", &rates[i].peer, units_exact_bandwidth);
    }
}

static void put_operation(FILE *f, const OperationTime *o) {
    fprintf(f, "    - key: \"%016" PRIx64 "\"\n", o->cost_key);
    put_text(f, "      ", "name", o->name);
    fprintf(f, "      rows: %" PRId64 "\n      flops: %" PRId64 "\n      bytes: %" PRId64 "\n",
            o->rows, o->flops, o->bytes);
    put_measured(f, "      ", "solo", &o->solo_ps, units_exact_duration);
    put_measured(f, "      ", "co_run", &o->co_run_ps, units_exact_duration);
    put_measured(f, "      ", "oversubscribed", &o->oversubscribed_ps, units_exact_duration);
}

void calibration_write(FILE *f, const Calibration *c) {
    fputs("calibration:\n", f);
    put_text(f, "  ", "model", c->model);
    put_text(f, "  ", "device", c->device);
    put_text(f, "  ", "dtype", c->dtype);
    put_text(f, "  ", "cpu", c->cpu);
    put_text(f, "  ", "when", c->when);
    if (c->quick) fputs("  quick: true\n", f);
    fprintf(f, "  rows: %" PRId64 "\n", c->rows);
#define PUT(field, key, text) put_measured(f, "  ", key, &c->field, units_exact_duration);
    CALIBRATION_TIMES(PUT)
#undef PUT
    put_rates(f, "copy", c->copy, c->copy_count);
    put_rates(f, "reduce", c->reduce, c->reduce_count);
    if (c->operation_count) fputs("  operations:\n", f);
    for (int i = 0; i < c->operation_count; i++) put_operation(f, &c->operations[i]);
}

// --- for people

static void row(Table *t, const char *what, const Measured *m, PrintQuantity print) {
    char median[UNITS_TEXT], low[UNITS_TEXT], high[UNITS_TEXT];
    if (!m->known) return;
    table_cell(t, "%s", what);
    table_cell(t, "%s", print(median, m->median));
    table_cell(t, "%s", print(low, m->low));
    table_cell(t, "%s", print(high, m->high));
}

// The size that a bucket of the default's cap brings to a rank of two, or the nearest below.
static void rate_rows(Table *t, const MemoryRate *rates, int count) {
    int i = count - 1;
    while (i > 0 && rates[i].bytes > 16 * 1024) i--;
    if (i < 0) return;
    row(t, "adding up own memory", &rates[i].own, units_print_bandwidth);
    row(t, "adding up a peer's", &rates[i].peer, units_print_bandwidth);
}

static void sum_row(Table *t, const char *name, int64_t sum_ps, bool known) {
    char text[UNITS_TEXT];
    if (!sum_ps || !known) return;
    table_cell(t, "%s", name);
    table_cell(t, "%s", units_print_duration(text, sum_ps));
    table_cell(t, "%s", "");
    table_cell(t, "%s", "");
}

// Sums over the operations of the job's own rows: intervals do not add up.
static void sum_rows(Table *t, const Calibration *c) {
    int64_t solo = 0, co_run = 0, oversubscribed = 0;
    bool co_run_known = true, oversubscribed_known = true;
    for (int i = 0; i < c->operation_count; i++) {
        const OperationTime *o = &c->operations[i];
        if (o->rows != c->rows) continue;
        solo += o->solo_ps.median;
        co_run += o->co_run_ps.median;
        oversubscribed += o->oversubscribed_ps.median;
        co_run_known = co_run_known && o->co_run_ps.known;
        oversubscribed_known = oversubscribed_known && o->oversubscribed_ps.known;
    }
    sum_row(t, "operations, each once", solo, true);
    sum_row(t, "with the other cores busy", co_run, co_run_known);
    sum_row(t, "and a second rank on this core", oversubscribed, oversubscribed_known);
}

Status calibration_print(FILE *f, const Calibration *c) {
    static const TableColumn columns[] = {
        {"", false}, {"median", true}, {"10 %", true}, {"90 %", true}};
    Arena a = {0};
    Table t;
    table_init(&t, &a, columns, 4);
    sum_rows(&t, c);
#define ROW(field, key, text) row(&t, text, &c->field, units_print_duration);
    CALIBRATION_TIMES(ROW)
#undef ROW
    rate_rows(&t, c->reduce, c->reduce_count);
    Status s = table_print(f, &t, TABLE_TEXT);
    arena_finish(&a);
    return s;
}
