// SPDX-License-Identifier: MIT
// One collective by NCCL's model (sim/nccl_model.h), size by size. Read sim_collective_print().
#include "programs/sim_collective_internal.h"

#include "core/base/json.h"
#include "core/base/printable.h"
#include "core/base/units.h"
#include "core/cli/terminal.h"
#include "programs/sim_figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FLOAT_BYTES = 4 };

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
    if (o->gpus.count == 1) TRY(check_ranks(o->gpus.items[0]));
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
    bool whole = s->kind == COLLECTIVE_ALL_REDUCE || s->kind == COLLECTIVE_BROADCAST;
    *r = (SheetRow){.bytes = bytes,
                    .count = bytes / FLOAT_BYTES / (whole ? 1 : s->ranks),
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

// Every row; where several numbers of devices are asked for, one that does not suit the options
// leaves its reason instead.
static Status fill_sheet(Sheet *s, Arena *a, const IntList *sizes, bool several) {
    const NcclTable *measured = s->measured;
    s->row_count = measured ? measured->count : sizes->count;
    s->rows = ARENA_NEW(a, SheetRow, s->row_count + 1);
    if (!s->rows) FAIL(ERR_MEMORY, "out of memory for %d rows", s->row_count);
    Status status = check_ranks(s->ranks);
    for (int i = 0; i < s->row_count && status == OK; i++)
        status = fill_row(&s->rows[i], s, measured ? measured->rows[i].bytes : sizes->items[i],
                          measured ? measured->rows[i].time_ps : 0);
    if (status != ERR_USAGE || !several) return status;
    s->row_count = 0;
    s->refused = arena_string(a, status_message());
    if (!s->refused) FAIL(ERR_MEMORY, "out of memory for a table");
    return OK;
}

static json_t *row_json(const Sheet *s, const SheetRow *r) {
    json_t *j = json_pack("{s:I, s:I, s:s, s:s, s:s, s:i, s:o, s:o, s:o}", "bytes",
                          (json_int_t)r->bytes, "count", (json_int_t)r->count, "type", "float",
                          "algorithm", nccl_algorithm_name(r->price.algorithm), "protocol",
                          nccl_protocol_name(r->price.protocol), "channels", r->price.channels,
                          "time_us", json_number(r->us), "algbw_gb_per_s", json_number(r->algbw),
                          "busbw_gb_per_s", json_number(r->busbw));
    if (!j || !s->measured) return j;
    json_object_set_new(j, "measured_us", json_number(r->measured_us));
    json_object_set_new(j, "error", json_number(r->error));
    return j;
}

static json_t *sheet_json(const Sheet *s, json_t *rows) {
    json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:i, s:O}", "collective", collective_name(s->kind),
                          "platform", s->machine->name, "device", s->machine->device.name, "ranks",
                          s->ranks, "nodes", s->nodes, "rows", rows);
    if (j && s->measured)
        json_object_set_new(j, "mean_error", json_number(s->errors / s->measured->count));
    if (j && s->refused) json_object_set_new(j, "refused", json_text(s->refused));
    return j;
}

static Status add_json(json_t *all, const Sheet *s) {
    json_t *rows = json_array();
    bool lost = !rows;
    for (int i = 0; i < s->row_count && !lost; i++)
        lost = json_array_append_new(rows, row_json(s, &s->rows[i])) != 0;
    lost = lost || json_array_append_new(all, sheet_json(s, rows)) != 0;
    json_decref(rows);
    if (lost) FAIL(ERR_MEMORY, "out of memory for a table");
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

// Every sheet, printed as it is made, or added to `all`. What suits none of several is an error.
static Status make_sheets(Sim *s, const IntList *sizes, const NcclTable *measured, json_t *all) {
    const SimOptions *o = s->o;
    const int per_node = s->machine.devices_per_node, count = measured ? 1 : o->gpus.count;
    Sheet *sheets = ARENA_NEW(s->arena, Sheet, count + 1);
    int refused = 0;
    if (!sheets) FAIL(ERR_MEMORY, "out of memory for %d tables", count);
    for (int i = 0; i < count; i++) {
        Sheet *sheet = &sheets[i];
        *sheet = (Sheet){.machine = &s->machine,
                         .kind = sim_collective_kind(o),
                         .ranks = (int32_t)o->gpus.items[i],
                         .algorithm = (NcclAlgorithm)o->nccl_algorithm,
                         .protocol = (NcclProtocol)o->nccl_protocol};
        if (measured) TRY(place_table(sheet, s, measured));
        if (!sheet->nodes) sheet->nodes = (sheet->ranks + per_node - 1) / per_node;
        TRY(fill_sheet(sheet, s->arena, sizes, count > 1));
        refused += sheet->refused != NULL;
    }
    if (refused == count) FAIL(ERR_USAGE, "%s", sheets[count - 1].refused);
    for (int i = 0; i < count; i++) {
        if (i && !all) putchar('\n');
        if (all)
            TRY(add_json(all, &sheets[i]));
        else
            sim_collective_table(&sheets[i], terminal_width(stdout));
        if (o->plot) TRY(plot(s, &sheets[i], sizes));
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
