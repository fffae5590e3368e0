// SPDX-License-Identifier: MIT
// sim --fit: tables, the constants that fit them, residuals, and the machine file. Read
// sim_fit_print() first.
#include "programs/sim_fit.h"

#include "core/base/printable.h"
#include "programs/outputs.h"
#include "programs/sim_collective.h"
#include "sim/nccl_fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TABLES = 16 };

typedef struct {
    const char *names[TABLES];
    NcclFitTable tables[TABLES];
    int count;
} FitTables;

Status sim_fit_check(const Sim *s) {
    const SimOptions *o = s->o;
    if (!o->fit) {
        if (o->out) FAIL(ERR_USAGE, "--out is where --fit TABLE writes the machine; give --fit");
        return OK;
    }
    static const char *const others[] = {"sizes", "compare", "json", "nccl-algo", "nccl-proto"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (sim_given(s, others[i]))
            FAIL(ERR_USAGE,
                 "--fit goes with --platform, --gpus, --collective and --out; leave out --%s",
                 others[i]);
    const Output files[] = {{"out", o->out}};
    return outputs_check(files, 1);
}

// On how many devices a table was measured: it says so, or --gpus does, a number for each table.
static Status place(NcclFitTable *t, const Sim *s, int i, int count) {
    bool gpus = sim_given(s, "gpus");
    int per_node = s->machine.devices_per_node;
    if (gpus && s->o->gpus.count != count)
        FAIL(ERR_USAGE, "--fit has %d table%s and --gpus %d number%s; give one for each", count,
             count == 1 ? "" : "s", s->o->gpus.count, s->o->gpus.count == 1 ? "" : "s");
    t->ranks = gpus ? (int32_t)s->o->gpus.items[i] : t->table.ranks;
    if (!t->ranks)
        FAIL(ERR_USAGE,
             "a table does not say how many devices were measured; give --gpus N, with a "
             "number for each table");
    t->nodes = t->table.nodes && t->table.ranks == t->ranks ? t->table.nodes
                                                            : (t->ranks + per_node - 1) / per_node;
    return OK;
}

static Status read_tables(FitTables *m, Sim *s) {
    char *names = arena_string(s->arena, s->o->fit), *end;
    if (!names) FAIL(ERR_MEMORY, "out of memory");
    for (char *name = strtok_r(names, ",", &end); name; name = strtok_r(NULL, ",", &end)) {
        if (m->count == TABLES) FAIL(ERR_USAGE, "--fit takes at most %d tables", TABLES);
        m->names[m->count] = name;
        NcclFitTable *t = &m->tables[m->count++];
        t->kind = sim_collective_kind(s->o);
        TRY(nccl_table_read(&t->table, s->arena, name));
    }
    for (int i = 0; i < m->count; i++) TRY(place(&m->tables[i], s, i, m->count));
    return OK;
}

static void print_constant(const char *name, int64_t before, int64_t after) {
    printf("  %-26s %8.3f  %8.3f\n", name, (double)before / NCCL_UNIT, (double)after / NCCL_UNIT);
}

static void print_constants(const NcclConstants *a, const NcclConstants *b) {
    printf("  %-26s %8s  %8s\n", "constant", "before", "fitted");
    print_constant("base latency, us", a->base_latency_ps, b->base_latency_ps);
    print_constant("hop within a node", a->hop_within, b->hop_within);
    print_constant("hop across nodes", a->hop_across, b->hop_across);
    print_constant("bandwidth within a node", a->bandwidth_within, b->bandwidth_within);
    print_constant("bandwidth across nodes", a->bandwidth_across, b->bandwidth_across);
    print_constant("loss of small groups", a->group_loss, b->group_loss);
    print_constant("ramp, us", a->ramp_ps, b->ramp_ps);
}

static void print_percent(const NcclFitError *e) {
    if (e->rows)
        printf(" %9.2f %%", 100 * e->mean);
    else
        printf(" %11s", "-");
}

// Errors of each table: of rows that were fitted and of the others, before and after.
static Status print_errors(const FitTables *m, const NcclConstants *before,
                           const NcclConstants *after) {
    puts("  mean error   devices  nodes  rows      fitted      others  unfitted: others");
    for (int i = 0; i < m->count; i++) {
        const NcclFitTable *t = &m->tables[i];
        NcclFitError fitted, others, unfitted;
        TRY(nccl_fit_error(&fitted, after, t, true));
        TRY(nccl_fit_error(&others, after, t, false));
        TRY(nccl_fit_error(&unfitted, before, t, false));
        printf("  table %-6d %7d %6d %5d", i + 1, t->ranks, t->nodes, t->table.count);
        print_percent(&fitted);
        print_percent(&others);
        print_percent(&unfitted);
        putchar('\n');
    }
    return OK;
}

static Status print_residuals(const FitTables *m, const NcclConstants *c) {
    puts("  residuals       size   measured us     fitted us     error");
    for (int k = 0; k < m->count; k++) {
        const NcclFitTable *t = &m->tables[k];
        for (int i = 0; i < t->table.count; i++) {
            const NcclTableRow *row = &t->table.rows[i];
            NcclPrice p;
            if (!nccl_fit_takes(&t->table, i)) continue;
            TRY(nccl_price(&p, c, &(NcclCall){t->kind, row->bytes, t->ranks, t->nodes, 0, 0}));
            printf("  table %-3d %11lld  %12.2f  %12.2f  %+7.1f %%\n", k + 1, (long long)row->bytes,
                   (double)row->time_ps * 1e-6, (double)p.time_ps * 1e-6,
                   100 * ((double)p.time_ps / (double)row->time_ps - 1));
        }
    }
    return OK;
}

Status sim_fit_print(Sim *s) {
    FitTables m = {0};
    NcclFit fit;
    TRY(sim_collective_machine(s));
    TRY(read_tables(&m, s));
    TRY(nccl_fit(&fit, &s->machine, m.tables, m.count));
    printf("%s: %d constants fitted to %d rows of %d table%s of %s\n", s->machine.name, fit.free,
           fit.fitted.rows, m.count, m.count == 1 ? "" : "s", collective_name(m.tables[0].kind));
    print_constants(&s->machine.collectives, &fit.constants);
    TRY(print_errors(&m, &s->machine.collectives, &fit.constants));
    TRY(print_residuals(&m, &fit.constants));
    if (fit.others.rows)
        printf("mean error %.2f %% of rows that were fitted, %.2f %% of %d others\n",
               100 * fit.fitted.mean, 100 * fit.others.mean, fit.others.rows);
    else
        printf("mean error %.2f %% of rows that were fitted; there are no others\n",
               100 * fit.fitted.mean);
    if (!s->o->out) return OK;
    s->machine.collectives = fit.constants;
    return machine_write(&s->machine, s->o->out);
}
