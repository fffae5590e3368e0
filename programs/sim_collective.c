// SPDX-License-Identifier: MIT
// One collective by NCCL's model (sim/nccl_model.h), size by size. Read sim_collective_print().
#include "programs/sim_collective_internal.h"

#include "core/base/json.h"
#include "core/base/printable.h"
#include "core/base/units.h"
#include "programs/sim_figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FLOAT_BYTES = 4 };

// One table: a collective on so many devices.
typedef struct {
    const Machine *machine;
    CollectiveKind kind;
    int32_t ranks, nodes;
    const NcclTable *measured;  // NULL: none
    NcclAlgorithm algorithm;
    NcclProtocol protocol;
    double errors, worst;  // sums over rows: absolute, and that which is furthest off
    int64_t worst_bytes;
} Sheet;

typedef struct {
    int64_t bytes;
    NcclPrice price;
    double us, algbw, busbw;                    // us and GB/s
    double measured_us, measured_busbw, error;  // NaN where nothing was measured
} SheetRow;

static const CollectiveKind kinds[] = {COLLECTIVE_COUNT,      COLLECTIVE_ALL_REDUCE,
                                       COLLECTIVE_ALL_GATHER, COLLECTIVE_REDUCE_SCATTER,
                                       COLLECTIVE_BROADCAST,  COLLECTIVE_ALL_TO_ALL};

CollectiveKind sim_collective_kind(const SimOptions *o) {
    return o->collective ? kinds[o->collective] : COLLECTIVE_ALL_REDUCE;
}

static Status check_ranks(int64_t ranks) {
    if (ranks > 1) return OK;
    FAIL(ERR_USAGE, "one device has nobody to exchange with, so that a collective takes no time; "
                    "give --gpus 2 or more");
}

Status sim_collective_check(const Sim *s) {
    const SimOptions *o = s->o;
    if (!o->collective && !o->fit) {
        if (sim_given(s, "sizes"))
            FAIL(ERR_USAGE,
                 "--sizes are of --collective; give one, such as --collective all_reduce");
        return OK;
    }
    const Option *job = option_given_marked(s->line, JOB_OPTION);
    const char *what = o->fit ? "--fit" : "--collective";
    if (job) FAIL(ERR_USAGE, "%s simulates no job: leave out --%s", what, job->name);
    static const char *const others[] = {
        "trace",  "critical-path", "what-if", "ranks",      "link",         "dilate", "preview",
        "report", "csv",           "plain",   "print-plan", "print-memory", "sweep",  "sensitivity",
        "advise", "topology",      "jitter",  "straggler",  "hierarchical"};
    static const char *const networks[] = {"flow", "store-forward", "alpha-beta", "loggp"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (sim_given(s, others[i]))
            FAIL(ERR_USAGE, "%s is of NCCL's model by itself, without a job; leave out --%s", what,
                 others[i]);
    for (int i = 0; i < o->gpus.count; i++) TRY(check_ranks(o->gpus.items[i]));
    if (o->plot && o->fit) FAIL(ERR_USAGE, "--fit has no figure; leave out --plot");
    if (o->plot && o->gpus.count != 1)
        FAIL(ERR_USAGE, "--plot draws a collective on one number of devices; give --gpus one");
    if (o->network > SIM_NETWORK_NCCL)
        FAIL(ERR_USAGE, "--collective prints NCCL's prices; --network %s has no table of its own",
             networks[o->network - SIM_NETWORK_FLOW]);
    return OK;
}

static Status fill_row(SheetRow *r, Sheet *s, int64_t bytes, int64_t measured_ps) {
    const NcclCall call = {s->kind, bytes, s->ranks, s->nodes, s->algorithm, s->protocol};
    *r = (SheetRow){.bytes = bytes,
                    .measured_us = (double)NAN,
                    .measured_busbw = (double)NAN,
                    .error = (double)NAN};
    TRY(nccl_price(&r->price, &s->machine->collectives, &call));
    double bus = (double)nccl_model_bus_factor(s->kind, s->ranks) / NCCL_UNIT;
    r->us = (double)r->price.time_ps / PS_PER_US;
    if (r->us > 0) r->algbw = (double)bytes / r->us * 1e-3;
    r->busbw = r->algbw * bus;
    if (!measured_ps) return OK;
    r->measured_us = (double)measured_ps / PS_PER_US;
    r->measured_busbw = (double)bytes / r->measured_us * 1e-3 * bus;
    r->error = r->us / r->measured_us - 1;
    s->errors += fabs(r->error);
    if (fabs(r->error) > fabs(s->worst)) {
        s->worst = r->error;
        s->worst_bytes = bytes;
    }
    return OK;
}

// Elements as nccl-tests counts them: what one rank brings to an all-gather, gets of a
// reduce-scatter, or sends to each other of an all-to-all, whose size is that of all ranks.
static int64_t element_count(const Sheet *s, int64_t bytes) {
    bool whole = s->kind == COLLECTIVE_ALL_REDUCE || s->kind == COLLECTIVE_BROADCAST;
    return bytes / FLOAT_BYTES / (whole ? 1 : s->ranks);
}

static void print_title(const Sheet *s) {
    printf("%s on %d device%s of %s, %d node%s: NCCL's model  [simulated]\n",
           collective_name(s->kind), s->ranks, s->ranks == 1 ? "" : "s", s->machine->name, s->nodes,
           s->nodes == 1 ? "" : "s");
    if (s->measured)
        puts("       size      algorithm  proto    time us   busbw   measured   busbw   error");
    else
        puts("       size       count   type     algorithm protocol    time us   algbw   busbw");
}

static void print_row(const Sheet *s, const SheetRow *r) {
    int decimals = r->us < 1e5 ? 2 : 1;
    if (s->measured)
        printf("%11lld  %13s %6s %10.*f %7.2f %10.*f %7.2f %+6.1f%%\n", (long long)r->bytes,
               nccl_algorithm_name(r->price.algorithm), nccl_protocol_name(r->price.protocol),
               decimals, r->us, r->busbw, decimals, r->measured_us, r->measured_busbw,
               100 * r->error);
    else
        printf("%11lld %11lld  float %13s %8s %10.*f %7.2f %7.2f\n", (long long)r->bytes,
               (long long)element_count(s, r->bytes), nccl_algorithm_name(r->price.algorithm),
               nccl_protocol_name(r->price.protocol), decimals, r->us, r->algbw, r->busbw);
}

static void print_end(const Sheet *s) {
    char size[UNITS_TEXT];
    if (!s->measured) {
        puts("time: of one call; algbw: bytes / time, busbw: what a link carries of it, GB/s");
        return;
    }
    int rows = s->measured->count;
    printf("%d row%s: mean error %.1f %%, at most %+.1f %% at %s\n", rows, rows == 1 ? "" : "s",
           100 * s->errors / rows, 100 * s->worst, units_print_size(size, s->worst_bytes));
}

static json_t *row_json(const Sheet *s, const SheetRow *r) {
    json_t *j = json_pack("{s:I, s:I, s:s, s:s, s:s, s:i, s:o, s:o, s:o}", "bytes",
                          (json_int_t)r->bytes, "count", (json_int_t)element_count(s, r->bytes),
                          "type", "float", "algorithm", nccl_algorithm_name(r->price.algorithm),
                          "protocol", nccl_protocol_name(r->price.protocol), "channels",
                          r->price.channels, "time_us", json_number(r->us), "algbw_gb_per_s",
                          json_number(r->algbw), "busbw_gb_per_s", json_number(r->busbw));
    if (!j || !s->measured) return j;
    json_object_set_new(j, "measured_us", json_number(r->measured_us));
    json_object_set_new(j, "error", json_number(r->error));
    return j;
}

// Rows as JSON, or printed as they come.
static Status make_rows(Sheet *s, const IntList *sizes, json_t *rows) {
    int count = s->measured ? s->measured->count : sizes->count;
    for (int i = 0; i < count; i++) {
        SheetRow r;
        int64_t bytes = s->measured ? s->measured->rows[i].bytes : sizes->items[i];
        TRY(fill_row(&r, s, bytes, s->measured ? s->measured->rows[i].time_ps : 0));
        if (!rows)
            print_row(s, &r);
        else if (json_array_append_new(rows, row_json(s, &r)))
            FAIL(ERR_MEMORY, "out of memory for a row");
    }
    return OK;
}

static json_t *sheet_json(const Sheet *s, json_t *rows) {
    json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:i, s:O}", "collective", collective_name(s->kind),
                          "platform", s->machine->name, "device", s->machine->device.name, "ranks",
                          s->ranks, "nodes", s->nodes, "rows", rows);
    if (j && s->measured)
        json_object_set_new(j, "mean_error", json_number(s->errors / s->measured->count));
    return j;
}

static Status add_json(json_t *all, Sheet *s, const IntList *sizes) {
    json_t *rows = json_array();
    if (!rows) FAIL(ERR_MEMORY, "out of memory for a table");
    Status status = make_rows(s, sizes, rows);
    json_t *sheet = status == OK ? sheet_json(s, rows) : NULL;
    json_decref(rows);
    TRY(status);
    if (json_array_append_new(all, sheet)) FAIL(ERR_MEMORY, "out of memory for a table");
    return OK;
}

static Status print_sheet(Sheet *s, const IntList *sizes) {
    print_title(s);
    TRY(make_rows(s, sizes, NULL));
    print_end(s);
    return OK;
}

// Which group the table was measured on, if it says so or --gpus does.
static Status place_table(Sheet *sheet, const Sim *s, const NcclTable *t) {
    bool gpus = sim_given(s, "gpus");
    if (gpus && s->o->gpus.count != 1)
        FAIL(ERR_USAGE, "--compare sets a table beside one number of devices; give one to --gpus");
    if (!gpus && !t->ranks)
        FAIL(ERR_USAGE, "%s does not say how many devices were measured; give --gpus N",
             s->o->compare);
    sheet->measured = t;
    sheet->ranks = gpus ? (int32_t)s->o->gpus.items[0] : t->ranks;
    TRY(check_ranks(sheet->ranks));
    if (t->nodes && t->ranks == sheet->ranks) sheet->nodes = t->nodes;
    return OK;
}

Status sim_collective_machine(Sim *s) {
    TRY(machine_read(&s->machine, s->arena, s->o->platform ? s->o->platform : "dgx-a100"));
    const Machine *m = &s->machine;
    if (!printable(m->name) || !printable(m->device.name))
        FAIL(ERR_FORMAT, "the name of the machine or of its device has control characters");
    if (!m->has_collectives)
        FAIL(ERR_USAGE,
             "the machine %s has no section `collectives`, which NCCL's model needs; give "
             "another --platform",
             m->name);
    return OK;
}

static Status plot(const Sim *s, const Sheet *sheet, const IntList *sizes) {
    const CollectivePlot p = {
        .machine = sheet->machine,
        .call = {sheet->kind, 0, sheet->ranks, sheet->nodes, sheet->algorithm, sheet->protocol},
        .sizes = sizes,
        .measured = sheet->measured};
    return sim_collective_plot(s, &p);
}

// Every sheet, printed as it is made, or added to `all`.
static Status make_sheets(Sim *s, const IntList *sizes, const NcclTable *measured, json_t *all) {
    const SimOptions *o = s->o;
    const int per_node = s->machine.devices_per_node;
    for (int i = 0; i < (measured ? 1 : o->gpus.count); i++) {
        Sheet sheet = {.machine = &s->machine,
                       .kind = sim_collective_kind(o),
                       .ranks = (int32_t)o->gpus.items[i],
                       .algorithm = (NcclAlgorithm)o->nccl_algorithm,
                       .protocol = (NcclProtocol)o->nccl_protocol};
        if (measured) TRY(place_table(&sheet, s, measured));
        if (!sheet.nodes) sheet.nodes = (sheet.ranks + per_node - 1) / per_node;
        if (i && !all) putchar('\n');
        TRY(all ? add_json(all, &sheet, sizes) : print_sheet(&sheet, sizes));
        if (o->plot) TRY(plot(s, &sheet, sizes));
    }
    return OK;
}

// One table as an object, several as a list.
static Status print_json(Sim *s, const IntList *sizes, const NcclTable *measured) {
    json_t *all = json_array();
    if (!all) FAIL(ERR_MEMORY, "out of memory for tables");
    Status status = make_sheets(s, sizes, measured, all);
    if (status == OK) json_write(stdout, json_array_size(all) == 1 ? json_array_get(all, 0) : all);
    json_decref(all);
    return status;
}

Status sim_collective_print(Sim *s) {
    NcclTable measured;
    IntList sizes;
    const char *table = s->o->compare;
    TRY(units_parse_sizes(&sizes, s->o->sizes));
    TRY(sim_collective_machine(s));
    TRY(sim_figures_check(s));
    if (table) TRY(nccl_table_read(&measured, s->arena, table));
    return s->o->json ? print_json(s, &sizes, table ? &measured : NULL)
                      : make_sheets(s, &sizes, table ? &measured : NULL, NULL);
}
