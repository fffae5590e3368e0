// SPDX-License-Identifier: MIT
// sim: parse the command line, read what was recorded, simulate, compare, print. Read run() first.
#include "core/base/file.h"
#include "core/base/printable.h"
#include "core/cli/terminal.h"
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"
#include "programs/ending.h"
#include "programs/outputs.h"
#include "programs/print_memory.h"
#include "programs/sim_internal.h"
#include "programs/sim_print.h"
#include "programs/sim_sweep.h"
#include "programs/version.h"
#include "sim/answers.h"
#include "sim/fit.h"
#include "sim/ledger.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8 };  // that --gpus N prints at most

static bool given(const Sim *s, const char *name) { return option_given(s->line, name); }

// --- what is asked for

static Status check_line(const SimOptions *o, const OptionLine *line) {
    TRY(job_options_check(&o->job, line));
    if (o->gpus.count && o->ranks.count)
        FAIL(ERR_USAGE, "--gpus are devices, --ranks share a host's cores; give one of the two");
    if (option_given(line, "batch") && option_given(line, "batch-per-rank"))
        FAIL(ERR_USAGE, "--batch is of all ranks, --batch-per-rank of each; give one of the two");
    if (o->require_plot && !o->plot && !o->preview)
        FAIL(ERR_USAGE, "--require-plot says that --plot DIR or --preview must work; give one");
    if (o->json + o->csv + o->plain > 1)
        FAIL(ERR_USAGE, "--json, --csv and --plain are three forms of one output; give one");
    if (o->report) TRY(report_check_name(o->report));
    if (!strcmp(o->predictions, "-") || !*o->predictions)
        FAIL(ERR_USAGE, "--predictions takes a file to append to, or none");
    if (o->point && o->gpus.count != 1)
        FAIL(ERR_USAGE, "--point simulates just the one number that --gpus names");
    return OK;
}

static Status read_reports(Sim *s) {
    enum { REPORTS = 64 };
    if (!s->o->compare) return OK;
    Report *reports = ARENA_NEW(s->arena, Report, REPORTS);
    char *names = arena_string(s->arena, s->o->compare), *end;
    if (!reports || !names) FAIL(ERR_MEMORY, "out of memory for reports");
    for (char *name = strtok_r(names, ",", &end); name; name = strtok_r(NULL, ",", &end)) {
        if (s->measured_count == REPORTS)
            FAIL(ERR_USAGE, "--compare takes at most %d reports", REPORTS);
        TRY(report_read(&reports[s->measured_count++], s->arena, name));
    }
    s->measured = reports;
    return OK;
}

// Ranks have devices where --gpus says so, and where they had described ones when recorded: other
// numbers of them are then on the same devices and links, unless options say otherwise.
static Status choose_place(Sim *s) {
    const RunInfo *run = s->recorded ? &s->recording.traces[0].run : NULL;
    const char *recorded_on = run ? device_traits_platform(run->device) : NULL;
    bool host = s->o->ranks.count > 0 || (s->recorded && !s->o->gpus.count);
    s->setting.devices = s->o->gpus.count > 0 || recorded_on;
    s->link = s->o->link;
    s->dilate = s->o->dilate;
    s->platform = s->o->platform ? s->o->platform : "dgx-a100";
    if (recorded_on && host) {
        const char *dilate = job_spec_setting(run, "dilate");
        if (!s->o->platform) s->platform = recorded_on;
        if (!s->link) s->link = job_spec_setting(run, "link");
        if (dilate && !given(s, "dilate")) s->dilate = strtod(dilate, NULL);
        if (!(s->dilate >= 1e-3 && s->dilate <= 1e6))
            FAIL(ERR_FORMAT, "the trace was recorded with dilate %s: expected 0.001 to 1e6",
                 dilate);
    }
    if (!s->setting.devices && (s->link || given(s, "dilate")))
        FAIL(ERR_USAGE,
             "--link and --dilate are of devices, not of ranks that share a host; give --gpus");
    return OK;
}

// A link that the communicator emulated is not in the costs of ranks that share a host.
static Status check_recorded_link(const Sim *s) {
    if (!s->recorded || s->setting.devices) return OK;
    const char *link = job_spec_setting(&s->recording.traces[0].run, "link");
    if (!link) return OK;
    FAIL(
        ERR_USAGE,
        "%s was recorded with --link %s, which a prediction for ranks of a host leaves out; record "
        "it without, or predict devices with --gpus and --link",
        s->o->trace, link);
}

// Options that were given change the recorded job; without a recording all of them make it.
static Status make_job(Sim *s) {
    const size_t size = strlen(s->platform) + sizeof "timed:";
    char *device = arena_push(s->arena, size);
    if (!device) FAIL(ERR_MEMORY, "out of memory");
    snprintf(device, size, "timed:%s", s->platform);
    s->job.spec = s->o->job;
    s->job.spec.ranks = (int)job_spec_mesh_ranks(&s->job.spec);
    if (s->setting.devices && !given(s, "batch"))  // so much for each
        s->job.spec.batch *= job_spec_data_ranks(&s->job.spec);
    job_options_take_micro_batches(&s->job.spec, s->line);
    s->job.spec.device = s->setting.devices ? device : device_traits_default_for(s->o->job.dtype);
    if (!s->recorded) return OK;
    const Recording *r = &s->recording;
    TRY(sim_job_recorded(&s->job, &r->traces[0].run, &r->set));
    s->recorded_job = s->job;
    if (s->setting.devices) s->job.spec.device = device;
    job_spec_take_given(&s->job.spec, &s->o->job, s->line);
    return OK;
}

// What --plan FILE says of its job counts where no option does; of its ranks always.
static Status take_plan(Sim *s, SimOptions *o) {
    if (!o->job.plan_file) return OK;
    const SimJobGiven given_here = {.batch = s->recorded || given(s, "batch") ||
                                             given(s, "batch-per-rank"),
                                    .shards = s->recorded || given(s, "shards"),
                                    .micro_batches = s->recorded || given(s, "accumulate"),
                                    .dtype = s->recorded || given(s, "dtype")};
    if (s->recorded && !o->gpus.count && !o->ranks.count) return OK;
    TRY(sim_job_take_plan(&s->job, s->arena, &given_here));
    if (!s->recorded && !s->setting.devices)
        s->job.spec.device = device_traits_default_for(s->job.spec.dtype);
    if (!given(s, "gpus") && !given(s, "ranks")) o->gpus = (IntList){{s->job.spec.ranks}, 1};
    return OK;
}

// Is nothing asked for but the recorded run itself?
static bool is_replay(const Sim *s) {
    if (!s->recorded || option_given_marked(s->line, JOB_OPTION | SIM_PLACE)) return false;
    return s->sizes.count == 1 && s->sizes.items[0] == s->recording.ranks;
}

// Of a sweep: what the degrees of the mesh need, twice that for what divides among data ranks.
static int64_t least_ranks(const JobSpec *job) {
    int64_t all = job_spec_mesh_ranks(job);
    bool divides = job->strategy.zero && all == job_spec_model_ranks(job);
    return job->mesh.data ? INT64_MAX : divides ? 2 * all : all;
}

// --gpus N: N and the powers of two below it, at most the last ROWS; from 2 on what takes several.
static IntList sweep_of(const Sim *s) {
    const SimOptions *o = s->o;
    IntList list = o->gpus.count ? o->gpus : o->ranks;
    if (o->gpus.count != 1 || o->point || s->job.spec.plan_file) return list;
    int64_t most = o->gpus.items[0];
    list.count = 0;
    for (int64_t n = least_ranks(&s->job.spec); n < most; n *= 2) list.items[list.count++] = n;
    list.items[list.count++] = most;
    int extra = list.count > ROWS ? list.count - ROWS : 0;
    for (int i = 0; i < list.count - extra; i++) list.items[i] = list.items[i + extra];
    list.count -= extra;
    return list;
}

static void choose_sizes(Sim *s) {
    s->sizes = sweep_of(s);
    for (int i = 0; i < s->measured_count && !s->o->gpus.count && !s->o->ranks.count; i++) {
        bool known = false;
        for (int k = 0; k < s->sizes.count; k++)
            known |= s->sizes.items[k] == s->measured[i].run.ranks;
        if (!known && s->sizes.count < UNITS_LIST)
            s->sizes.items[s->sizes.count++] = s->measured[i].run.ranks;
    }
    if (!s->sizes.count && s->recorded) s->sizes = (IntList){{s->recording.ranks}, 1};
    // A global batch that is given, or train's default without devices, stays the same.
    bool train_like = !s->recorded && !s->setting.devices && !given(s, "batch-per-rank");
    s->strong = given(s, "batch") || train_like;
}

static Status check_compared(const Sim *s) {
    for (int i = 0; i < s->measured_count; i++) {
        bool simulated = false;
        for (int k = 0; k < s->sizes.count; k++)
            simulated |= s->sizes.items[k] == s->measured[i].run.ranks;
        if (!simulated)
            FAIL(ERR_USAGE, "a report is of %d ranks, which are not simulated; add them to --%s",
                 s->measured[i].run.ranks, s->setting.devices ? "gpus" : "ranks");
    }
    return OK;
}

static Status choose_launch(Sim *s) {
    const SimOptions *o = s->o;
    DeviceModel *d = &s->machine.device;
    if (o->launch == SIM_LAUNCH_PLATFORM) return OK;
    if (!s->setting.devices) FAIL(ERR_USAGE, "--launch is how GPUs are launched; give --gpus");
    if (!d->issue_ps)
        FAIL(ERR_USAGE,
             "%s does not say what a launch takes its host; --launch needs a platform with "
             "\"launch: eager\" and \"issue: 5us\", such as dgx-a100",
             s->machine.name);
    d->graph = o->launch == SIM_LAUNCH_GRAPH;
    return OK;
}

static Status choose_machine(Sim *s) {
    const SimOptions *o = s->o;
    const char *name = s->setting.devices ? s->platform : o->platform ? o->platform : "laptop";
    bool own = !o->platform && !s->setting.devices && s->recording.has_machine;
    if (own)
        s->machine = s->recording.machine;
    else if (!o->platform && s->recorded && !s->setting.devices)
        FAIL(ERR_USAGE,
             "%s holds no machine.yaml that describes the host; give --platform FILE, which train "
             "--calibrate FILE makes",
             o->trace);
    else
        TRY(machine_read(&s->machine, s->arena, name));
    if (!printable(s->machine.name) || !printable(s->machine.device.name))
        FAIL(ERR_FORMAT, "%s: the name of the machine or of its device has control characters",
             name);
    TRY(choose_launch(s));
    if (s->link) TRY(link_model_parse(&s->setting.link, s->link));
    s->setting.machine = &s->machine;
    s->setting.recording = s->recorded ? &s->recording : NULL;
    s->setting.dilation = (int64_t)llround(s->dilate * 1000);
    return OK;
}

// --- doing it

// The job on `ranks`, by the options' word for the batch, or keeping the batch per rank.
static Status job_on(SimJob *out, const Sim *s, int ranks) {
    SimJob base = s->job;
    RunSetting *settings = ARENA_NEW(s->arena, RunSetting, 2);
    char *dilate = arena_push(s->arena, UNITS_TEXT);
    if (!settings || !dilate) FAIL(ERR_MEMORY, "out of memory");
    snprintf(dilate, UNITS_TEXT, "%g", s->dilate);
    if (given(s, "batch-per-rank"))
        base.spec.batch = s->o->batch_per_rank * job_spec_data_ranks(&base.spec);
    TRY(sim_job_resize(out, &base, ranks, s->strong));
    out->settings = settings;
    out->setting_count = 0;
    if (s->link) settings[out->setting_count++] = (RunSetting){"link", s->link};
    if (s->dilate != 1) settings[out->setting_count++] = (RunSetting){"dilate", dilate};
    return OK;
}

static Status print_plan(const Sim *s) {
    ProgramSet set;
    SimJob job;
    int ranks = s->sizes.count ? (int)s->sizes.items[s->sizes.count - 1] : 1;
    TRY(job_on(&job, s, ranks));
    Status status = print_plan_is_lowered((PrintPlan)s->o->print_plan)
                        ? sim_job_lowered(&set, s->arena, &job)
                        : sim_job_programs(&set, s->arena, &job);
    if (status == OK)
        status = print_plan_write(&set, s->o->print_class, (PrintPlan)s->o->print_plan);
    program_set_finish(&set);
    return status;
}

static Status print_memories(const Sim *s) {
    for (int i = 0; i < s->sizes.count; i++) {
        SimJob job;
        TRY(job_on(&job, s, (int)s->sizes.items[i]));
        TRY(s->o->json ? print_memory_json(&job, s->arena) : print_memory(&job, s->arena));
    }
    return OK;
}

// Predictions of devices are kept only where that is asked for: nobody expects a file of a what-if.
static bool keeps(const Sim *s) {
    if (!given(s, "predictions")) return !s->o->gpus.count;
    return strcmp(s->o->predictions, "none") != 0;
}

// A ledger that cannot be used is a note where nobody named one.
static Status ledger_status(Sim *s, Status status) {
    if (status == OK || given(s, "predictions")) return status;
    if (!s->ledger_noted) log_say(s->log, LOG_NOTE, "%s", status_message());
    s->ledger_noted = true;
    return OK;
}

static Status keep(Sim *s, const Prediction *p) {
    if (!keeps(s)) return OK;
    return ledger_status(s, ledger_append(s->o->predictions, p, s->machine.name, s->argc, s->argv));
}

static Status predict_row(Sim *s, int i) {
    Prediction *p = &s->rows[i];
    sim_watch_row(&s->watch, s->sizes.items[i]);
    TRY(predict_job(p, s->arena, &s->jobs[i], &s->setting));
    p->report.run.argc = s->argc;
    p->report.run.argv = s->argv;
    answers_relate(p, &s->rows[0]);
    return keep(s, p);
}

// Row by row, each shown when it is there. Jobs are made before, the largest first, so that what is
// too small for one is refused before anything is simulated.
static Status predict_all(Sim *s, Sweep *shown) {
    Status status = OK;
    for (int i = s->sizes.count - 1; i >= 0; i--) {
        TRY(job_on(&s->jobs[i], s, (int)s->sizes.items[i]));
        TRY(predict_check_place(&s->setting, (int)s->sizes.items[i]));
    }
    s->setting.watch = &s->watch.simulation;
    sim_watch_start(&s->watch, s->log, s->o->quiet, s->sizes.items, s->sizes.count);
    for (int i = 0; i < s->sizes.count && status == OK; i++) {
        status = predict_row(s, i);
        sim_watch_clear(&s->watch);
        if (status != OK) break;
        shown->count = s->done = i + 1;
        if (i == 0 && !s->o->json) sweep_begin(shown);
        if (!s->o->json) sweep_row(shown);
        log_keep(s->log, LOG_NOTE, "%d rank%s, batch %lld: %.6g ms a step", s->jobs[i].spec.ranks,
                 s->jobs[i].spec.ranks == 1 ? "" : "s", (long long)s->jobs[i].spec.batch,
                 s->rows[i].step_ms);
    }
    sim_watch_end(&s->watch);
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
    if (s->o->json)
        TRY(sim_output_json(s, stdout));
    else if (s->replay && !s->o->csv && !s->o->plain)
        print_replay(&rows[0], &s->recording);
    TRY(compare_all(s, rows, count));
    return s->o->report ? sim_output_report(s) : OK;
}

// --- all of it

// A sweep of predictions, or one row for a replay: what shows them while they are made.
static Sweep make_sweep(const Sim *s) {
    return (Sweep){.options = s->o,
                   .setting = &s->setting,
                   .jobs = s->jobs,
                   .size_count = s->sizes.count,
                   .rows = s->rows,
                   .strong = s->strong,
                   .width = terminal_width(stdout)};
}

static Status replay(Sim *s) {
    TRY(predict_replay(&s->rows[0], s->arena, &s->recording));
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
    TRY(check_recorded_link(s));
    TRY(choose_machine(s));
    if (s->recorded && !given(s, "model") && !given(s, "plan"))
        TRY(sim_job_check_recorded(&s->recorded_job, s->arena, &s->recording.set));
    Sweep sweep = make_sweep(s);
    Status status = predict_all(s, &sweep);
    if (status != OK && !s->done) return status;
    if (status == OK) status = find_fit(s);
    if (!s->o->json) TRY(sweep_end(&sweep, s->arena));
    return status;
}

static Status simulate(Sim *s) {
    s->rows = ARENA_NEW(s->arena, Prediction, s->sizes.count + 1);
    s->jobs = ARENA_NEW(s->arena, SimJob, s->sizes.count + 1);
    if (!s->rows || !s->jobs) FAIL(ERR_MEMORY, "out of memory");
    s->replay = is_replay(s);
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
    TRY(check_line(s->o, s->line));
    if (s->o->trace) {
        TRY(recording_read(&s->recording, s->arena, s->o->trace));
        s->recorded = true;
    }
    TRY(choose_place(s));
    TRY(read_reports(s));
    TRY(make_job(s));
    TRY(take_plan(s, o));
    choose_sizes(s);
    TRY(check_compared(s));
    if (s->o->print_plan) return print_plan(s);
    if (s->o->print_memory) return print_memories(s);
    TRY(check_outputs(s));
    return simulate(s);
}

static Status start(Sim *sim, SimOptions *o, OptionLine *line, int argc, char *argv[]) {
    Status s = option_parse(line, o, sim->arena, &sim_options, argc, argv);
    log_init(sim->log, line->called ? line->called : "sim", stderr, o->quiet, o->verbose,
             terminal_color(stderr, (TerminalColor)o->color));
    TRY(s);
    bool what = o->trace || o->compare || o->ranks.count || o->gpus.count;
    int64_t mesh = job_spec_mesh_ranks(&o->job);
    if (!what) o->gpus = (IntList){{o->job.mesh.data || mesh > 8 ? mesh : 8}, 1};
    if (line->help != HELP_NONE) return option_show_help(line, stdout);
    if (o->version) {
        version_print("sim", stdout);
        return OK;
    }
    if (o->log) TRY(log_open(sim->log, o->log));
    return run(sim, o);
}

int main(int argc, char *argv[]) {
    ending_begin();
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
    arena_finish(&arena);
    return status;
}
