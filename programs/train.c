// SPDX-License-Identifier: MIT
// train: parse the command line, make the job, run it, report.
#include "parallel/run/train.h"
#include "core/base/clock.h"
#include "core/base/progress.h"
#include "core/base/terminal.h"
#include "core/plan/text.h"
#include "core/record/report.h"
#include "programs/train_options.h"
#include "programs/version.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A signal handler has nothing else to write to.
static volatile sig_atomic_t interrupts;

// The first asks the ranks to stop, the second does not wait for them: they die with this process.
static void on_interrupt(int signal_number) {
    static const char text[] = "\ntrain: stopping after this step; Ctrl-C again stops at once\n";
    if (interrupts++) _exit(status_exit(ERR_INTERRUPTED));
    bool line_is_open = isatty(STDERR_FILENO);  // the progress line, and the terminal's ^C
    if (write(STDERR_FILENO, text + !line_is_open, sizeof text - 1 - !line_is_open) < 0) {
    }  // nobody is there to be told
}

// Whoever started us with a signal ignored (nohup, a shell's background job) wants it so.
static void catch_interrupts(void) {
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        struct sigaction action = {.sa_handler = on_interrupt}, before;
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

static int fail(const TrainOptions *o, Status s) {
    bool color = terminal_color(stderr, (TerminalColor)o->color);
    fflush(stdout);
    fprintf(stderr, "%strain:%s %s\n", color ? "\033[1;31m" : "", color ? "\033[0m" : "",
            status_message());
    if (o->verbose) fprintf(stderr, "train: %s, seen at %s\n", status_name(s), status_place());
    return status_exit(s);
}

// Progress is rank 0's; in another process when ranks are processes.
static void show(void *context, const Job *job, const StepRecord *step,
                 const Evaluation *evaluation) {
    Progress *p = context;
    char note[64] = "";  // of a loss there is nothing to say where nothing is computed
    if (evaluation) {
        progress_clear(p);
        if (!p->quiet)
            fprintf(stderr, "epoch %d  step %d  loss %.4f  accuracy %.2f %%\n",
                    evaluation->epoch + 1, evaluation->step, evaluation->loss,
                    100 * evaluation->accuracy);
        return;
    }
    if (!isnan(step->loss)) snprintf(note, sizeof note, "loss %.4f", step->loss);
    int64_t samples = (step->step + 1) * job->options.batch;
    progress_update(p, samples < p->total ? samples : p->total, clock_ns(), note);
}

static Status print_plan(const JobOptions *options, bool lowered) {
    Job job;
    JobOptions plain = *options;
    Status s = job_create(&job, &plain);
    if (s == OK && lowered) s = program_print(&job.program, stdout);
    if (s == OK && !lowered) {
        Program p = {0};
        s = job_program(&p, &job.options, &job.model);
        if (s == OK) s = program_print(&p, stdout);
        program_finish(&p);
    }
    job_destroy(&job);
    return s;
}

// The report of a finished run; arrays are in the arena.
static Status make_report(Report *r, Arena *a, const Job *job, const Training *t) {
    int ranks = job->options.ranks;
    const Program **programs = ARENA_NEW(a, const Program *, ranks);
    const Timeline **timelines = ARENA_NEW(a, const Timeline *, ranks);
    MemoryUse *memory = ARENA_NEW(a, MemoryUse, ranks);
    if (!programs || !timelines || !memory) FAIL(ERR_MEMORY, "out of memory for the report");
    for (int i = 0; i < ranks; i++) {
        programs[i] = &job->program;
        timelines[i] = &t->shared->results[i].timeline;
    }
    TRY(report_from_timelines(r, a, programs, timelines, ranks));
    for (int i = 0; i < ranks; i++) {
        memory[i] = r->memory[i];
        memory[i].unplanned = t->shared->results[i].unplanned_bytes;
    }
    r->memory = memory;
    r->run = job->options.info;
    r->evaluations = t->shared->results[0].evaluations;
    r->evaluation_count = t->shared->results[0].evaluation_count;
    r->wall_s = (double)t->wall_ns * 1e-9;
    r->parameters_hash = t->shared->results[0].parameters_hash;
    machine_info_read(&r->machine);
    return OK;
}

static Status report(const TrainOptions *o, const Job *job, const Training *t) {
    Arena a = {0};
    Report r;
    Status s = make_report(&r, &a, job, t);
    if (s == OK && o->report) s = report_write(&r, o->report);
    if (s == OK && o->json) s = report_write_json(&r, stdout);
    if (s == OK && !o->json)
        report_print(&r, stdout, terminal_color(stdout, (TerminalColor)o->color));
    arena_finish(&a);
    return s;
}

static void suggest(const TrainOptions *o) {
    if (o->quiet || !terminal_is(stderr)) return;
    if (o->trace)
        fprintf(stderr, "next: open %s/rank0.json in ui.perfetto.dev\n", o->trace);
    else if (o->ranks == 1)
        fprintf(stderr, "next: train --ranks 2    the same between two processes\n");
    else
        fprintf(stderr, "next: train --ranks %lld --trace run/    a timeline per rank\n",
                (long long)o->ranks);
}

static Status train(const TrainOptions *o, const JobOptions *options) {
    Job job;
    Training t = {0};
    Progress progress;
    Status s = job_create(&job, options);
    if (s == OK) s = train_check_outputs(o);
    if (s == OK) {
        progress_init(&progress, stderr, "train", "samples", job.steps * job.options.batch,
                      o->quiet, clock_ns());
        const RunHooks hooks = {.context = &progress, .progress = show};
        s = train_run(&t, &job, &hooks);
        progress.open = progress.terminal && !o->quiet;  // by rank 0, if that was another process
        progress_clear(&progress);
    }
    if (s == OK) s = report(o, &job, &t);
    if (s == OK && !t.interrupted) suggest(o);
    if (s == OK && t.interrupted)
        s = status_fail(ERR_INTERRUPTED, __FILE__, __LINE__,
                        "interrupted after step %lld of %lld; what was done is kept",
                        (long long)t.shared->stop_before_step, (long long)job.steps);
    train_finish(&t);
    job_destroy(&job);
    return s;
}

// A full disk shows when the last of it is written.
static Status flush_output(void) {
    errno = 0;
    if (fflush(stdout) || ferror(stdout))
        FAIL(ERR_IO, "standard output could not be written: %s", strerror(errno ? errno : EIO));
    return OK;
}

static Status run(TrainOptions *o, Arena *a, int argc, char *argv[]) {
    OptionLine line;
    JobOptions job;
    RunSetting settings[TRAIN_SETTINGS];
    TRY(option_parse(&line, o, a, &train_options, argc, argv));
    if (line.help != HELP_NONE) {
        option_print_help(stdout, &train_options, line.help);
        return OK;
    }
    if (o->version) {
        version_print("train", stdout);
        return OK;
    }
    TRY(train_job_options(&job, o, &line, settings, a));
    catch_interrupts();
    job.interrupt = &interrupts;
    job.info.argc = argc;
    job.info.argv = (const char *const *)argv;
    if (o->print_plan) return print_plan(&job, o->print_plan == PRINT_PLAN_LOWERED);
    return train(o, &job);
}

int main(int argc, char *argv[]) {
    Arena arena = {0};
    TrainOptions o = {0};
    Status s = run(&o, &arena, argc, argv);
    if (s == OK) s = flush_output();
    int status = s == OK ? 0 : fail(&o, s);
    arena_finish(&arena);
    return status;
}
