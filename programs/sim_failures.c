// SPDX-License-Identifier: MIT
// Goodput on the terminal (sim/failures.h). Read sim_failures_print().
#include "programs/sim_failures.h"

#include "core/base/table.h"
#include "core/cli/terminal.h"
#include "programs/sweep_phrases.h"
#include "sim/failures.h"

#include <math.h>
#include <stdio.h>

enum { FAILURES = 20000 };  // simulated: goodput to about 1 % of what is lost

Status sim_failures_check(const Sim *s) {
    const SimOptions *o = s->o;
    bool checkpoint = sim_given(s, "checkpoint-seconds"), restart = sim_given(s, "restart-seconds");
    if (!sim_given(s, "mtbf")) {
        if (!checkpoint && !restart) return OK;
        FAIL(ERR_USAGE, "--%s is of failures: give --mtbf HOURS, between failures of one device",
             checkpoint ? "checkpoint-seconds" : "restart-seconds");
    }
    if (!checkpoint || !restart)
        FAIL(ERR_USAGE, "--mtbf needs what a checkpoint and a restart take: give "
                        "--checkpoint-seconds 60 --restart-seconds 300, or what yours take");
    const char *other = o->collective    ? "collective"
                        : o->fit         ? "fit"
                        : o->sweep       ? "sweep"
                        : o->sensitivity ? "sensitivity"
                        : o->advise      ? "advise"
                        : o->what_if     ? "what-if"
                        : o->csv         ? "csv"
                        : o->plain       ? "plain"
                                         : NULL;
    if (other)
        FAIL(ERR_USAGE,
             "--mtbf adds a table below that of --gpus, and a member to the report of "
             "--json or --report; leave out --%s",
             other);
    return OK;
}

Status sim_failures_request(const Sim *s) {
    if (!sim_given(s, "mtbf")) return OK;
    if (!s->setting.devices || sim_request_is_replay(s))
        FAIL(ERR_USAGE, "--mtbf is of simulated devices; give --gpus N");
    return OK;
}

Status sim_failures_add(const Sim *s, Prediction *p) {
    if (!sim_given(s, "mtbf")) return OK;
    const double hour_s = 3600;
    const FailureModel m = {.mtbf_s = s->o->mtbf * hour_s / p->report.run.ranks,
                            .checkpoint_s = s->o->checkpoint_s,
                            .restart_s = s->o->restart_s,
                            .step_s = p->step_ms * 1e-3,
                            .seed = (uint64_t)s->job.spec.seed,
                            .failures = FAILURES};
    const double young_s = failures_young_s(&m), daly_s = failures_daly_s(&m);
    const FailureRun best = failures_best(&m),
                     young = failures_simulate(&m, failures_steps(&m, young_s)),
                     daly = failures_simulate(&m, failures_steps(&m, daly_s));
    const double best_s = (double)best.steps * m.step_s;
    ReportFailures *f = ARENA_NEW(s->arena, ReportFailures, 1);
    if (!f) FAIL(ERR_MEMORY, "out of memory");
    *f = (ReportFailures){.device_mtbf_s = s->o->mtbf * hour_s,
                          .mtbf_s = m.mtbf_s,
                          .checkpoint_s = m.checkpoint_s,
                          .restart_s = m.restart_s,
                          .young_s = young_s,
                          .daly_s = daly_s,
                          .best_s = best_s,
                          .best_steps = best.steps,
                          .goodput = best.goodput,
                          .goodput_error = best.goodput_error,
                          .checkpoint = best.checkpoint,
                          .redo = best.redo,
                          .restart = best.restart,
                          .expected = failures_expected(&m, best_s),
                          .young_goodput = young.goodput,
                          .daly_goodput = daly.goodput,
                          .step_ms = best.goodput > 0 ? p->step_ms / best.goodput : (double)NAN,
                          .failures = m.failures,
                          .seed = m.seed};
    p->report.failures = f;
    return OK;
}

// --- the table

// "45.3s", "18.6m", "3.1h", "41d".
static void time_cell(Table *t, double s) {
    const double minute = 60, hour = 3600, day = 86400;
    if (s < 100)
        table_cell(t, "%.1fs", s);
    else if (s < 100 * minute)
        table_cell(t, "%.1fm", s / minute);
    else if (s < 100 * hour)
        table_cell(t, "%.1fh", s / hour);
    else
        table_cell(t, s < 100 * day ? "%.1fd" : "%.0fd", s / day);
}

static void percent_cell(Table *t, double share, int decimals) {
    table_cell(t, "%.*f%%", decimals, 100 * share);
}

static Status print_table(const Sim *s) {
    const TableColumn columns[] = {
        {"gpus", true},    {"mtbf", true},    {"Young", true},  {"Daly", true}, {"best", true},
        {"goodput", true}, {"formula", true}, {"saving", true}, {"redo", true}, {"restart", true}};
    Table table;
    table_init(&table, s->arena, columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < s->done; i++) {
        const ReportFailures *f = s->rows[i].report.failures;
        table_cell(&table, "%d", s->rows[i].report.run.ranks);
        time_cell(&table, f->mtbf_s);
        time_cell(&table, f->young_s);
        time_cell(&table, f->daly_s);
        time_cell(&table, f->best_s);
        percent_cell(&table, f->goodput, 2);
        percent_cell(&table, f->expected, 2);
        percent_cell(&table, f->checkpoint, 1);
        percent_cell(&table, f->redo, 1);
        percent_cell(&table, f->restart, 1);
    }
    return table_print(stdout, &table, TABLE_TEXT);
}

Status sim_failures_print(const Sim *s) {
    if (!sim_given(s, "mtbf") || s->o->json) return OK;
    const SimOptions *o = s->o;
    const Prediction *last = &s->rows[s->done - 1];
    const ReportFailures *f = last->report.failures;
    const int width = terminal_width(stdout);
    putchar('\n');
    sweep_say(width, 0,
              "failures: each device once in %g h; a checkpoint takes %g s, a restart %g s",
              o->mtbf, o->checkpoint_s, o->restart_s);
    sweep_say(width, 0, "(%d simulated failures, seed %lld; goodput of the last row +- %.2f %%)",
              f->failures, (long long)f->seed, 100 * f->goodput_error);
    TRY(print_table(s));
    sweep_say(width, 0,
              "mtbf: of all devices; Young, Daly, best: work between two checkpoints, by the two "
              "formulas and of the best simulated run; its goodput, the share of time that is work "
              "and is kept, also by Daly's formula; the rest saves, redoes, restarts");
    if (isnan(f->step_ms))
        sweep_say(width, 0, "in the last row no checkpoint is ever reached: no progress");
    else
        sweep_say(width, 0, "last row: a checkpoint every %lld steps; %.6g ms a step with failures",
                  (long long)f->best_steps, f->step_ms);
    return OK;
}
