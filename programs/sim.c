// SPDX-License-Identifier: MIT
// sim: parse the command line, read the recording, simulate, print.
#include "core/base/table.h"
#include "core/plan/text.h"
#include "programs/sim_options.h"
#include "programs/version.h"
#include "sim/predict.h"

#include <stdio.h>

static int fail(const SimOptions *o, Status s) {
    fflush(stdout);
    fprintf(stderr, "sim: %s\n", status_message());
    if (o->verbose) fprintf(stderr, "sim: %s, seen at %s\n", status_name(s), status_place());
    return status_exit(s);
}

static Status print_plan(const SimOptions *o, Arena *a, const Recording *r) {
    Program p = {0};
    const RunInfo *run = &r->traces[0].run;
    int ranks = o->ranks.count ? (int)o->ranks.items[o->ranks.count - 1] : r->ranks;
    Status s = predict_program(&p, a, run, &r->traces[0].program, ranks);
    if (s == OK) s = program_print(&p, stdout);
    program_finish(&p);
    return s;
}

static void print_replay(const Prediction *p, const Recording *r) {
    double simulated = (double)p->step_ps * 1e-9;
    printf("replay of %s on %d rank%s, batch %lld  [simulated from the median of each operation]\n",
           r->traces[0].run.model, r->ranks, r->ranks == 1 ? "" : "s",
           (long long)r->traces[0].run.batch);
    printf("  step       %8.3f ms simulated  %8.3f ms measured (median)  %+.2f %%\n", simulated,
           r->step_ms, 100 * (simulated / r->step_ms - 1));
    for (int b = 0; b < BILL_COUNT; b++)
        if (p->report.breakdown_ms[b] > 0)
            printf("    %-12s %8.3f ms\n", bill_name((Bill)b), p->report.breakdown_ms[b]);
}

static Status print_predictions(Prediction *p, const SimOptions *o, Arena *a, const Recording *r,
                                const Machine *m) {
    static const TableColumn columns[] = {
        {"ranks", true},        {"batch", true},      {"step ms", true},    {"samples/s", true},
        {"speed-up", true},     {"efficiency", true}, {"compute ms", true}, {"contended", true},
        {"exposed comm", true}, {"waiting", true}};
    Table table;
    table_init(&table, a, columns, sizeof columns / sizeof *columns);
    double base = 0;
    for (int i = 0; i < o->ranks.count; i++) {
        TRY(predict_ranks(p, a, r, &m->host, (int)o->ranks.items[i]));
        const double *ms = p->report.breakdown_ms;
        double seconds = (double)p->step_ps * 1e-12, rate = (double)p->report.run.batch / seconds,
               per_rank = rate / p->report.run.ranks;
        if (i == 0) base = per_rank;
        table_cell(&table, "%d", p->report.run.ranks);
        table_cell(&table, "%lld", (long long)p->report.run.batch);
        table_cell(&table, "%.3f", seconds * 1e3);
        table_cell(&table, "%.0f", rate);
        table_cell(&table, "%.2fx", rate / base);
        table_cell(&table, "%.0f %%", 100 * per_rank / base);
        const Bill shown[] = {BILL_COMPUTE, BILL_CONTENDED, BILL_EXPOSED_COMM, BILL_WAITING};
        for (int k = 0; k < 4; k++) table_cell(&table, "%.3f", ms[shown[k]]);
    }
    printf("%s, weak scaling: %lld samples a rank, on %d cores of %s  [simulated]\n",
           r->traces[0].run.model, (long long)(r->traces[0].run.batch / r->ranks), m->host.cores,
           m->name);
    return table_print(stdout, &table, TABLE_TEXT);
}

static Status simulate(const SimOptions *o, Arena *a, const Recording *r) {
    Prediction p = {0};
    if (!o->ranks.count) {
        TRY(predict_replay(&p, a, r));
        if (!o->json) print_replay(&p, r);
    } else {
        Machine machine;
        TRY(machine_read(&machine, a, o->platform));
        if (!machine.is_host)
            FAIL(ERR_USAGE,
                 "--platform %s has devices, and --ranks are processes on a host; give a machine "
                 "file with a host",
                 o->platform);
        TRY(print_predictions(&p, o, a, r, &machine));
    }
    machine_info_read(&p.report.machine);
    if (o->report) TRY(report_write(&p.report, o->report));
    return o->json ? report_write_json(&p.report, stdout) : OK;
}

static Status run(const SimOptions *o, Arena *a) {
    Recording r;
    if (!o->trace) FAIL(ERR_USAGE, "give --trace DIR, a run that train --trace DIR recorded");
    TRY(recording_read(&r, a, o->trace));
    Status s = o->print_plan ? print_plan(o, a, &r) : simulate(o, a, &r);
    recording_finish(&r);
    return s;
}

int main(int argc, char *argv[]) {
    Arena arena = {0};
    SimOptions o = {0};
    OptionLine line;
    Status s = option_parse(&line, &o, &arena, &sim_options, argc, argv);
    if (s == OK && line.help != HELP_NONE)
        option_print_help(stdout, &sim_options, line.help);
    else if (s == OK && o.version)
        version_print("sim", stdout);
    else if (s == OK)
        s = run(&o, &arena);
    int status = s == OK ? 0 : fail(&o, s);
    arena_finish(&arena);
    return status;
}
