// SPDX-License-Identifier: MIT
// train: parse the command line, make the job, run it, report.
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/cli/log.h"
#include "core/cli/terminal.h"
#include "core/data/safetensors_experts.h"
#include "core/data/safetensors_index.h"
#include "core/plan_text/plan_text.h"
#include "core/report/report.h"
#include "parallel/run/launch.h"
#include "parallel/run/process.h"
#include "programs/ending.h"
#include "programs/explain_mesh.h"
#include "programs/launcher.h"
#include "programs/next.h"
#include "programs/outputs.h"
#include "programs/print_memory.h"
#include "programs/print_mesh.h"
#include "programs/train_advise.h"
#include "programs/train_calibrate.h"
#include "programs/train_expect.h"
#include "programs/train_explain.h"
#include "programs/train_generate.h"
#include "programs/train_interrupt.h"
#include "programs/train_options.h"
#include "programs/train_outputs.h"
#include "programs/train_prepare.h"
#include "programs/train_traces.h"
#include "programs/version.h"
#include "viz/figures.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    Log *log;
    Progress progress;
    const Training *training;
} Show;

static void say_evaluation(Log *log, const Evaluation *e) {
    char perplexity[48] = "";  // of a model of tokens
    if (e->perplexity > 0)
        snprintf(perplexity, sizeof perplexity, "  perplexity %.4g", e->perplexity);
    log_say(log, LOG_NOTE, "epoch %d  step %d  held-out loss %.4f%s  accuracy %.2f %%", e->epoch,
            e->step, e->loss, perplexity, 100 * e->accuracy);
}

// Progress is rank 0's; in another process when ranks are processes.
static void show(void *context, const Job *job, const Turn *turn, const StepRecord *step,
                 const Evaluation *evaluation) {
    Show *s = context;
    Progress *p = &s->progress;
    char note[64] = "";  // of a loss there is nothing to say where nothing is computed
    if (evaluation && job->options.evaluate_only) return;
    if (evaluation && !isfinite(evaluation->loss))
        log_say(s->log, LOG_NOTE, "epoch %d  step %d  the held-out loss is not finite",
                evaluation->epoch, evaluation->step);
    else if (evaluation)
        say_evaluation(s->log, evaluation);
    if (evaluation) {
        train_explain_busy(s->log, job, s->training->shared);
        return;
    }
    if (turn->block != NONE)
        snprintf(note, sizeof note, "evaluating %.0f %%",
                 100 * (double)(turn->block + 1) / (double)job->evaluation_turns);
    if (!isnan(step->loss)) text_append(note, sizeof note, "loss %.4f", step->loss);
    if (step->normed) text_append(note, sizeof note, " norm %.3g", step->gradient_norm);
    if (step->routed) text_append(note, sizeof note, " dropped %.2g %%", 100 * step->dropped);
    if (step->skipped) text_append(note, sizeof note, " skipped");
    int64_t steps = step->step - job->first_step + (turn->block == NONE);
    int64_t samples = steps * job->options.spec.batch;
    progress_update(p, samples < p->total ? samples : p->total, clock_ns(), note);
}

static Status print_plan(const JobOptions *options, const char *class, PrintPlan what) {
    Job job;
    JobOptions plain = *options;
    plain.plan_only = true;
    plain.unlowered = !print_plan_is_lowered(what);
    Status s = job_create(&job, &plain);
    if (s == OK) s = print_plan_write(&job.set, class, what);
    job_destroy(&job);
    return s;
}

// Figures of this run. What could not be drawn is reported on standard error.
static Status draw(const TrainOptions *o, const Report *r, Log *l) {
    const FigureOptions figures = {.directory = o->plot,
                                   .measured = {&r, 1},
                                   .argv = r->run.argv,
                                   .argc = r->run.argc,
                                   .require = o->require_plot,
                                   .interrupted = train_interrupt_now,
                                   .preview = o->preview ? stdout : NULL,
                                   .preview_width = terminal_width(stdout),
                                   .preview_color =
                                       terminal_color(stdout, (TerminalColor)o->color)};
    FigureNotes notes = {0};
    Status s = OK;
    train_interrupt_phase(TRAIN_DRAWS);
    if (o->plot || o->preview) s = figures_learning(&figures, &notes);
    if (s == OK && o->plot) s = figures_breakdown(&figures, &notes);
    if (s == OK && o->plot) s = figures_remove_stale(&figures, &notes);
    for (int i = 0; i < notes.count; i++) log_say(l, LOG_NOTE, "%s", notes.lines[i]);
    if (s == OK && notes.interrupted)
        s = status_fail(ERR_INTERRUPTED, __FILE__, __LINE__,
                        "interrupted while drawing; data and scripts of the figures are kept");
    return s;
}

static Status report(const TrainOptions *o, const Job *job, const Training *t, Log *l) {
    Arena a = {0};
    Report r;
    Status s = launch_report(&r, &a, job, t);
    if (s == OK && o->report) s = report_write(&r, o->report);
    if (s == OK && o->json) s = report_write_json(&r, stdout);
    if (s == OK && o->csv) report_write_csv(&r, stdout);
    if (s == OK && o->plain) report_write_plain(&r, stdout);
    if (s == OK && !o->json && !o->csv && !o->plain)
        report_print(&r, stdout, terminal_color(stdout, (TerminalColor)o->color));
    if (s == OK) s = draw(o, &r, l);
    arena_finish(&a);
    return s;
}

static void tell_disturbed(Log *l, const RunShared *shared) {
    const HostUse *u = &shared->results[0].disturbed;
    char text[HOST_USE_TEXT];
    if (host_use_disturbs(u))
        log_say(l, LOG_NOTE, "disturbed: %s; alone it would have been faster",
                host_use_print(text, u));
}

static void suggest(Log *l, const TrainOptions *o, const char *train) {
    char sim[NEXT_TEXT];
    if (!terminal_is(stderr)) return;
    if (o->plot)
        log_say(l, LOG_NOTE, "next: open %.*s/learning.svg in a browser", next_path_length(o->plot),
                o->plot);
    else if (o->trace) {
        int length = next_path_length(o->trace);
        log_say(l, LOG_NOTE, "next: %s --trace %.*s    # simulate that run",
                next_program(sim, train, "sim"), length, o->trace);
        log_say(l, LOG_NOTE, "      or open %.*s/all.json in ui.perfetto.dev", length, o->trace);
    } else if (o->job.ranks == 1) {
        log_say(l, LOG_NOTE, "next: the same with --ranks 2    # between two processes");
        log_say(l, LOG_NOTE, "next: %s --help    # what else can be asked for", train);
    } else
        log_say(l, LOG_NOTE, "next: the same with --trace run    # a timeline per rank");
}

static Status run_job(Training *t, const TrainOptions *o, const Job *job, Log *l) {
    Show context = {.log = l, .training = t};
    Progress *p = &context.progress;
    int64_t samples = (job->steps - job->first_step) * job->options.spec.batch;
    progress_init(p, stderr, "train", "samples", samples, o->quiet, clock_ns());
    p->expected_ns_per_item = train_expected_ns(job);
    p->tenth = log_progress;
    p->context = l;
    l->progress = p;
    train_explain_job(l, job);
    if (p->expected_ns_per_item > 0) progress_update(p, 0, clock_ns(), "expected");
    const RunHooks hooks = {.context = &context, .progress = show};
    train_interrupt_phase(TRAIN_TRAINS);
    Status s = launch_run(t, job, &hooks);
    p->open = p->terminal && !o->quiet;  // by rank 0, if that was another process
    progress_clear(p);
    l->progress = NULL;
    if (s == OK) train_explain_ranks(l, job, t->shared);
    return s;
}

// A rank's thread still runs: nothing that it uses is freed, and exit() would wait for it.
static void leave(Log *l, Status s) {
    int status = ending_status(l, s);
    fflush(NULL);
    _exit(status);
}

// The steps of --record-steps, where the run is too short to come to them.
static Status check_recorded(const TrainOptions *o, const Job *job) {
    const JobOptions *r = &job->options;
    if (!o->record || (r->record_first < job->steps && r->record_last >= job->first_step))
        return OK;
    FAIL(ERR_USAGE, "--record-steps %s: the run has steps %lld to %lld only", o->record_steps,
         (long long)job->first_step, (long long)job->steps - 1);
}

// The files of all ranks in one.
static Status consolidate(const TrainOptions *o) {
    Arena a = {0};
    Safetensors all;
    SafetensorsEntry *each;
    int count;
    Status s = train_check_outputs(o);
    if (s == OK && !safetensors_is_index(o->consolidate))
        s = status_fail(ERR_USAGE, __FILE__, __LINE__,
                        "--consolidate %s: give the index of the files, FILE.index.json",
                        o->consolidate);
    if (s == OK) s = outputs_name(safetensors_read_index(&all, &a, o->consolidate), "consolidate");
    if (s == OK) s = safetensors_split_experts(&each, &count, &a, all.entries, all.count);
    if (s == OK) s = safetensors_write(o->save, each, count, all.texts, all.text_count);
    arena_finish(&a);
    return s;
}

// The line of --evaluate.
static Status print_evaluation(const Job *job, const Training *t) {
    const RankResult *r = &t->shared->results[0];
    const Evaluation *e = r->evaluations;
    if (t->interrupted) FAIL(ERR_INTERRUPTED, "interrupted while evaluating");
    if (!r->evaluation_count || !isfinite(e->loss))
        FAIL(ERR_FAILED, "%s: the held-out loss is not finite", job->restore.path);
    printf("held-out loss %.4f, ", e->loss);
    if (e->perplexity > 0) printf("perplexity %.4g, ", e->perplexity);
    printf("accuracy %.2f %% of %lld samples\n", 100 * e->accuracy, (long long)e->samples);
    return OK;
}

static Status evaluate(const TrainOptions *o, const JobOptions *options, const OptionLine *line,
                       Log *l) {
    Job job;
    Training t = {0};
    Status s = train_prepare_job(&job, o, options);
    if (s == OK) train_explain_options(l, line, options, &job);
    if (s == OK) s = run_job(&t, o, &job, l);
    if (s == OK) s = print_evaluation(&job, &t);
    if (t.stuck) leave(l, s);
    launch_finish(&t);
    job_destroy(&job);
    return s;
}

static Status train(const TrainOptions *o, const JobOptions *options, const OptionLine *line,
                    Log *l) {
    Job job;
    Training t = {0};
    Status s = train_prepare_job(&job, o, options);
    if (s == OK) s = check_recorded(o, &job);
    if (s == OK) s = train_check_outputs(o);
    if (s == OK) train_explain_options(l, line, options, &job);
    if (s == OK) s = run_job(&t, o, &job, l);
    Status traced = s == OK ? train_finish_traces(&job, &t, l) : s;
    if (s == OK) s = report(o, &job, &t, l);
    if (s == OK) s = traced;
    if (s == OK) tell_disturbed(l, t.shared);
    if (s == OK) s = launch_check_divergence(&t, &job);
    if (s == OK && !t.interrupted && o->trace) s = train_describe_host(o, &job, l);
    if (s == OK && !t.interrupted) suggest(l, o, options->info.argv[0]);
    if (s == OK && t.interrupted)
        s = status_fail(ERR_INTERRUPTED, __FILE__, __LINE__,
                        "interrupted after step %lld of %lld; what was done is kept",
                        (long long)t.shared->results[0].stopped_step, (long long)job.steps);
    if (t.stuck) leave(l, s);
    launch_finish(&t);
    job_destroy(&job);
    return s;
}

// A log begins with what was asked for.
static Status open_log(Log *l, const char *path, int argc, char *argv[]) {
    char command[800] = "", version[VERSION_TEXT];
    Status s = log_open(l, path);
    if (s != OK) FAIL(s, "--log %s", status_message());
    for (int i = 1; i < argc; i++) text_append(command, sizeof command, " %s", argv[i]);
    log_keep(l, LOG_NOTE, "train%s, version %s", command, version_text(version));
    return OK;
}

static Status run(TrainOptions *o, Arena *a, Log *l, int argc, char *argv[]) {
    OptionLine line;
    JobOptions job;
    Status s = option_parse(&line, o, a, &train_options, argc, argv);
    log_init(l, line.called ? line.called : "train", stderr, o->quiet, o->verbose,
             terminal_color(stderr, (TerminalColor)o->color));
    TRY(s);
    if (line.help != HELP_NONE) return option_show_help(&line, stdout);
    if (o->version) {
        version_print("train", stdout);
        return OK;
    }
    if (o->log) TRY(open_log(l, o->log, argc, argv));
    TRY(train_job_options(&job, o, &line, a));
    train_interrupt_catch();
    job.interrupt = train_interrupt_count();
    job.info.argc = argc;
    job.info.argv = (const char *const *)argv;
    if (o->print_memory) {
        SimJob described = {.spec = job.spec};
        return o->json ? print_memory_json(&described, a) : print_memory(&described, a);
    }
    if (o->explain) return explain_mesh(&(SimJob){.spec = job.spec}, a);
    if (o->print_mesh) return print_mesh(&(SimJob){.spec = job.spec}, a);
    if (o->print_plan) return print_plan(&job, o->print_class, (PrintPlan)o->print_plan);
    TRY(launcher_check());
    if (o->calibrate) return train_calibrate(o, &job);
    if (o->advise) return train_advise(o, &job, &line, l);
    if (o->consolidate) return consolidate(o);
    if (o->generate) return train_generate(o, &job, &line, l);
    return o->evaluate ? evaluate(o, &job, &line, l) : train(o, &job, &line, l);
}

int main(int argc, char *argv[]) {
    ending_begin();
    // OpenBLAS starts a thread a core when it is loaded. Ranks compute with one; the others' only
    // work would be to ask for memory, for ever where an address space is limited.
    process_restart_with("OPENBLAS_NUM_THREADS", "1", argv);
    Arena arena = {0};
    TrainOptions o = {0};
    Log l = {0};
    Status s = run(&o, &arena, &l, argc, argv);
    int status = ending_status(&l, s);
    arena_finish(&arena);
    return status;
}
