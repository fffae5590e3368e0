// SPDX-License-Identifier: MIT
// sim: parse the command line, read what was recorded, simulate, compare, print. Read run() first.
#include "core/base/file.h"
#include "core/base/host.h"
#include "core/base/printable.h"
#include "core/cli/terminal.h"
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"
#include "programs/ending.h"
#include "programs/explain_mesh.h"
#include "programs/outputs.h"
#include "programs/print_memory.h"
#include "programs/print_mesh.h"
#include "programs/sim_advise.h"
#include "programs/sim_collective.h"
#include "programs/sim_critical.h"
#include "programs/sim_failures.h"
#include "programs/sim_fit.h"
#include "programs/sim_grid.h"
#include "programs/sim_internal.h"
#include "programs/sim_print.h"
#include "programs/sim_sensitivity.h"
#include "programs/sim_sweep.h"
#include "programs/sim_what_if.h"
#include "programs/version.h"
#include "sim/answers.h"
#include "sim/fit.h"
#include "sim/ledger.h"
#include "sim/points.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- doing it

// The job on the most ranks that are asked for.
static Status largest_job(SimJob *out, const Sim *s) {
    int ranks = s->sizes.count ? (int)s->sizes.items[s->sizes.count - 1] : 1;
    return sim_request_job(out, s, ranks);
}

static Status explain(const Sim *s) {
    SimJob job;
    TRY(largest_job(&job, s));
    return s->o->explain ? explain_mesh(&job, s->arena) : print_mesh(&job, s->arena);
}

static Status print_plan(const Sim *s) {
    ProgramSet set;
    SimJob job;
    TRY(largest_job(&job, s));
    Status status = print_plan_is_lowered((PrintPlan)s->o->print_plan)
                        ? sim_job_lowered(&set, s->arena, &job)
                        : sim_job_programs(&set, s->arena, &job);
    if (status == OK)
        status = print_plan_write(&set, s->o->print_class, (PrintPlan)s->o->print_plan);
    program_set_finish(&set);
    return status;
}

// Of several rows one that the options do not suit is left out and says so; any other error, and
// that of the number which --gpus N names, ends all.
static bool may_refuse(const Sim *s, int i, Status status) {
    bool named = s->o->gpus.count == 1 && i == s->sizes.count - 1;
    return s->sizes.count > 1 && !named && point_is_refused(status);
}

static Status print_memory_of(const Sim *s, int ranks) {
    SimJob job;
    TRY(sim_request_job(&job, s, ranks));
    return s->o->json ? print_memory_json(&job, s->arena) : print_memory(&job, s->arena);
}

// Of several numbers of ranks, one that the options do not suit says so.
static Status print_memories(Sim *s) {
    Status status = OK;
    int done = 0;
    for (int i = 0; i < s->sizes.count; i++) {
        const long long ranks = s->sizes.items[i];
        status = print_memory_of(s, (int)ranks);
        done += status == OK;
        bool last = i == s->sizes.count - 1;
        if (status != OK && (!may_refuse(s, i, status) || (last && !done))) return status;
        if (status != OK)
            log_say(s->log, LOG_NOTE, "not for %lld %s%s: %s", ranks,
                    s->setting.devices ? "device" : "rank", ranks == 1 ? "" : "s",
                    status_message());
    }
    return OK;
}

// Predictions of devices are kept only where that is asked for: nobody expects a file of a what-if.
static bool keeps(const Sim *s) {
    if (!sim_given(s, "predictions")) return !s->o->gpus.count;
    return strcmp(s->o->predictions, "none") != 0;
}

// Does anything show the operations of a step one by one?
static bool shows_operations(const SimOptions *o) {
    return o->verbose || o->json || o->report || o->plot || o->compare || o->preview;
}

// A ledger that cannot be used is a note where nobody named one.
static Status ledger_status(Sim *s, Status status) {
    if (status == OK || sim_given(s, "predictions")) return status;
    if (!s->ledger_noted) log_say(s->log, LOG_NOTE, "%s", status_message());
    s->ledger_noted = true;
    return OK;
}

static Status keep(Sim *s, const Prediction *p) {
    if (!keeps(s)) return OK;
    return ledger_status(s, ledger_append(s->o->predictions, p, s->machine.name, s->argc, s->argv));
}

static Status refuse(Sim *s, int i) {
    s->refused[i] = arena_string(s->arena, status_message());
    if (!s->refused[i]) FAIL(ERR_MEMORY, "out of memory");
    return OK;
}

static Status make_row_job(Sim *s, SimJob *out, int i) {
    TRY(sim_request_job(out, s, (int)s->sizes.items[i]));
    return predict_check_place(&s->setting, (int)s->sizes.items[i]);
}

// Jobs are made before, the largest first, so that what is too small for one is refused before
// anything is simulated. What suits no row is an error.
static Status make_jobs(Sim *s, Sweep *shown) {
    int count = s->sizes.count, first = count;
    Status refused = OK;
    for (int i = count - 1; i >= 0; i--) {
        Status status = make_row_job(s, &s->asked[first - 1], i);
        if (status == OK) {
            first--;
            continue;
        }
        if (!may_refuse(s, i, status)) return status;
        TRY(refuse(s, i));
        if (!refused) refused = status;
    }
    if (first == count) FAIL(refused, "%s", s->refused[count - 1]);
    shown->asked = &s->asked[first];
    shown->size_count = count - first;
    return OK;
}

static Status predict_row(Sim *s, const SimJob *job, int i) {
    Prediction *p = &s->rows[s->done];
    sim_watch_row(&s->watch, s->sizes.items[i]);
    TRY(predict_job(p, s->arena, job, &s->setting));
    p->report.run.argc = s->argc;
    p->report.run.argv = s->argv;
    TRY(sim_failures_add(s, p));
    s->jobs[s->done++] = *job;
    answers_relate(p, &s->rows[0]);
    return keep(s, p);
}

// In the table, or beside what programs read.
static void show_refused(const Sim *s, const Sweep *shown, int i) {
    const long long ranks = s->sizes.items[i];
    if (!s->o->json && sweep_refused(shown, ranks, s->refused[i])) return;
    log_say(s->log, LOG_NOTE, "not for %lld %s%s: %s", ranks,
            s->setting.devices ? "device" : "rank", ranks == 1 ? "" : "s", s->refused[i]);
}

// The size that has ended; those that were refused before the first that was not, with that.
static void show_row(Sim *s, Sweep *shown, int i) {
    if (!s->done) return;
    if (!shown->count && !s->o->json) sweep_begin(shown);
    if (!shown->count)
        for (int k = 0; k < i; k++) show_refused(s, shown, k);
    if (s->refused[i]) {
        show_refused(s, shown, i);
        return;
    }
    const JobSpec *job = &s->jobs[s->done - 1].spec;
    shown->count = s->done;
    if (!s->o->json) sweep_row(shown);
    log_keep(s->log, LOG_NOTE, "%d rank%s, batch %lld: %.6g ms a step", job->ranks,
             job->ranks == 1 ? "" : "s", (long long)job->batch, s->rows[s->done - 1].step_ms);
}

// Row by row, each shown when it is there.
static Status predict_all(Sim *s, Sweep *shown) {
    TRY(make_jobs(s, shown));
    const SimJob *next = shown->asked;
    Status status = OK, refused = OK;
    s->setting.watch = &s->watch.simulation;
    s->setting.unkept = !keeps(s);
    s->setting.brief = !shows_operations(s->o);
    sim_watch_start(&s->watch, s->log, s->o->quiet, s->sizes.items, s->sizes.count);
    for (int i = 0; i < s->sizes.count && status == OK; i++) {
        if (!s->refused[i]) status = predict_row(s, next++, i);
        sim_watch_clear(&s->watch);
        if (may_refuse(s, i, status)) {
            refused = status;
            status = refuse(s, i);
        }
        if (status == OK) show_row(s, shown, i);
    }
    sim_watch_end(&s->watch);
    if (status == OK && !s->done) FAIL(refused, "%s", s->refused[s->sizes.count - 1]);
    return status;
}

static const Prediction *row_of(const Prediction *rows, int count, int ranks) {
    for (int i = 0; i < count; i++)
        if (rows[i].report.run.ranks == ranks) return &rows[i];
    return NULL;
}

static void tell_skipped_lines(const Sim *s, const LedgerEntry *made) {
    int i = 0;
    while (i < s->measured_count && !made[i].skipped) i++;
    if (i == s->measured_count) return;
    log_say(s->log, LOG_NOTE, "%s:%d: this is no prediction (cut off?); %d line%s skipped",
            s->o->predictions, made[i].first_skipped_line, made[i].skipped,
            made[i].skipped == 1 ? "" : "s");
}

static Status compare_all(Sim *s, const Prediction *rows, int count) {
    Comparison *c = ARENA_NEW(s->arena, Comparison, s->measured_count + 1);
    LedgerEntry *made = ARENA_NEW(s->arena, LedgerEntry, s->measured_count + 1);
    if (!c || !made) FAIL(ERR_MEMORY, "out of memory for comparisons");
    int compared = 0;
    for (int i = 0; i < s->measured_count; i++) {
        const Prediction *p = row_of(rows, count, s->measured[i].run.ranks);
        if (!p) continue;  // interrupted before
        TRY(compare_reports(&c[compared], s->arena, &s->measured[i], &p->report));
        if (!p->replay && keeps(s))
            TRY(ledger_status(s, ledger_find(&made[compared], s->o->predictions, p->inputs)));
        compared++;
    }
    tell_skipped_lines(s, made);
    if (!compared || s->o->json || s->o->csv || s->o->plain) return OK;
    return print_comparisons(c, made, compared, s->o, s->arena);
}

static Status show(Sim *s, const Prediction *rows, int count) {
    if (s->o->json && !s->o->what_if)
        TRY(sim_output_json(s, stdout));
    else if (s->replay && !s->o->csv && !s->o->plain)
        print_replay(&rows[0], &s->recording);
    TRY(sim_failures_print(s));
    if (s->o->critical_path && !s->o->json) TRY(sim_critical_print(s));
    if (s->o->what_if) TRY(sim_what_if_print(s));
    TRY(compare_all(s, rows, count));
    return s->o->report ? sim_output_report(s) : OK;
}

// --- all of it

// A sweep of predictions, or one row for a replay: what shows them while they are made.
static Sweep make_sweep(const Sim *s) {
    return (Sweep){.options = s->o,
                   .setting = &s->setting,
                   .asked = s->jobs,
                   .size_count = s->sizes.count,
                   .jobs = s->jobs,
                   .rows = s->rows,
                   .strong = s->strong,
                   .width = terminal_width(stdout)};
}

static Status replay(Sim *s) {
    const StepDraws draws = {
        .apart = s->apart, .seed = (uint64_t)s->job.spec.seed, .steps = (int)s->o->steps};
    TRY(predict_replay(&s->rows[0], s->arena, &s->recording, s->draws ? &draws : NULL));
    s->jobs[0] = s->job;
    s->done = 1;
    if (!s->o->csv && !s->o->plain) return OK;
    Sweep sweep = make_sweep(s);
    sweep.count = 1;
    sweep_begin(&sweep);
    sweep_row(&sweep);
    return OK;
}

// Of the largest size that does not fit its devices: with which options it would.
static Status find_fit(const Sim *s) {
    int i = s->done - 1;
    while (i >= 0 && prediction_fits(&s->rows[i])) i--;
    if (i < 0) return OK;
    const FitPlace place = {.bytes = s->machine.device.memory_bytes,
                            .devices_per_node = s->machine.devices_per_node,
                            .keep_batch = s->strong};
    char text[FIT_TEXT];
    TRY(fit_find(text, &s->jobs[i], &place));
    if (!*text) return OK;
    s->rows[i].answers->fits_with = arena_string(s->arena, text);
    if (!s->rows[i].answers->fits_with) FAIL(ERR_MEMORY, "out of memory");
    return OK;
}

// When a person interrupts, or something fails on the way, the rows that are done are kept.
static Status predict(Sim *s) {
    TRY(sim_request_machine(s));
    if (s->recorded && !sim_given(s, "model") && !sim_given(s, "plan"))
        TRY(sim_job_check_recorded(&s->recorded_job, s->arena, &s->recording.set));
    Sweep sweep = make_sweep(s);
    Model m;
    TRY(job_spec_model(&m, s->arena, &s->job.spec));
    sweep.tokens = m.tokens;
    Status status = predict_all(s, &sweep);
    if (status != OK && !s->done) return status;
    if (status == OK) status = find_fit(s);
    if (!s->o->json) TRY(sweep_end(&sweep, s->arena));
    return status;
}

static Status simulate(Sim *s) {
    s->rows = ARENA_NEW(s->arena, Prediction, s->sizes.count + 1);
    s->jobs = ARENA_NEW(s->arena, SimJob, s->sizes.count + 1);
    s->asked = ARENA_NEW(s->arena, SimJob, s->sizes.count + 1);
    s->refused = ARENA_NEW(s->arena, const char *, s->sizes.count + 1);
    if (!s->rows || !s->jobs || !s->asked || !s->refused) FAIL(ERR_MEMORY, "out of memory");
    s->replay = sim_request_is_replay(s);
    Status status = s->replay ? replay(s) : predict(s);
    if (!s->done) return status;
    char why[STATUS_TEXT];
    snprintf(why, sizeof why, "%s", status_message());
    TRY(show(s, s->rows, s->done));
    TRY(sim_output_figures(s));
    if (status != OK)
        FAIL(status, "%d of %d rows are done and kept: %s", s->done, s->sizes.count, why);
    sim_output_suggest(s);
    return OK;
}

// Before the first row, not after the last.
static Status check_outputs(const Sim *s) {
    const SimOptions *o = s->o;
    const Output files[] = {{"log", o->log, true},
                            {"predictions", keeps(s) ? o->predictions : NULL, true},
                            {"report", o->report}};
    if (o->plot) TRY(outputs_name(file_make_directory(o->plot), "plot"));
    return outputs_check(files, sizeof files / sizeof *files);
}
static Status run(Sim *s, SimOptions *o) {
    TRY(sim_failures_check(s));
    TRY(sim_collective_check(s));
    TRY(sim_fit_check(s));
    if (!o->sweep) TRY(spread_check_alone(&s->spread));
    if (o->fit) return sim_fit_print(s);
    if (o->collective) return sim_collective_print(s);
    if (o->sweep) return sim_grid_print(s);
    if (o->sensitivity) return sim_sensitivity_print(s);
    if (o->advise) return sim_advise_print(s);
    if (o->memory) FAIL(ERR_USAGE, "--memory is of --advise; give both");
    if (o->threads) FAIL(ERR_USAGE, "--threads are of --sweep; give one, such as --sweep tp=1,2");
    TRY(sim_request_read(s, o));
    TRY(sim_critical_request(s));
    TRY(sim_failures_request(s));
    TRY(sim_what_if_request(s));
    if (s->o->explain || s->o->print_mesh) return explain(s);
    if (s->o->print_plan) return print_plan(s);
    if (s->o->print_memory) return print_memories(s);
    TRY(check_outputs(s));
    return simulate(s);
}

static Status start(Sim *sim, SimOptions *o, OptionLine *line, int argc, char *argv[]) {
    Status joined = spread_begin(&sim->spread);
    char why[STATUS_TEXT];
    snprintf(why, sizeof why, "%s", status_message());
    Status s = option_parse(line, o, sim->arena, &sim_options, argc, argv);
    log_init(sim->log, line->called ? line->called : "sim", stderr, o->quiet, o->verbose,
             terminal_color(stderr, (TerminalColor)o->color));
    TRY(s);
    sim_request_default(o);
    if (line->help != HELP_NONE) return option_show_help(line, stdout);
    if (o->version) {
        version_print("sim", stdout);
        return OK;
    }
    if (joined != OK) FAIL(joined, "%s", why);
    if (o->log && !sim->spread.rank) TRY(log_open(sim->log, o->log));
    return run(sim, o);
}

int main(int argc, char *argv[]) {
    ending_begin();
    host_keep_memory();
    Arena arena = {0};
    Log log = {0};
    SimOptions o = {0};
    OptionLine line;
    Sim sim = {.o = &o,
               .line = &line,
               .arena = &arena,
               .log = &log,
               .argc = argc,
               .argv = (const char *const *)argv};
    Status s = start(&sim, &o, &line, argc, argv);
    recording_finish(&sim.recording);
    int status = ending_status(&log, s);
    spread_end(&sim.spread);
    arena_finish(&arena);
    return status;
}
