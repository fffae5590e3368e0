// SPDX-License-Identifier: MIT
// train: parse the command line, make the job, run it, report.
#include "core/base/clock.h"
#include "core/base/progress.h"
#include "core/base/terminal.h"
#include "core/plan/text.h"
#include "core/record/report.h"
#include "parallel/run/train.h"
#include "programs/train_options.h"
#include "programs/version.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupts;  // a signal handler has nothing else to write to

static void on_interrupt(int signal_number) { interrupts++; }

static void catch_interrupts(void) {
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int fail(const TrainOptions *o, Status s) {
    fflush(stdout);
    fprintf(stderr, "train: %s\n", status_message());
    if (o->verbose) fprintf(stderr, "train: %s, seen at %s\n", status_name(s), status_place());
    return status_exit(s);
}

// Progress is rank 0's; in another process when ranks are processes.
static void show(void *context, const Job *job, const StepRecord *step,
                 const Evaluation *evaluation) {
    Progress *p = context;
    char note[64];
    if (evaluation) {
        progress_clear(p);
        if (!p->quiet)
            fprintf(stderr, "epoch %d  step %d  loss %.4f  accuracy %.2f %%\n",
                    evaluation->epoch + 1, evaluation->step, evaluation->loss,
                    100 * evaluation->accuracy);
        return;
    }
    snprintf(note, sizeof note, "loss %.4f", step->loss);
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
        s = job_program(&p, options, &job.model);
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
    if (t->shared->results[0].timeline.step_count == 0 || job->steps == 0) return OK;
    Arena a = {0};
    Report r;
    Status s = make_report(&r, &a, job, t);
    if (s == OK && o->report) s = report_write(&r, o->report);
    if (s == OK && o->json) s = report_write_json(&r, stdout);
    if (s == OK && !o->json) report_print(&r, stdout);
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
    if (s == OK) {
        progress_init(&progress, stderr, "train", "samples", job.steps * job.options.batch,
                      o->quiet, clock_ns());
        const RunHooks hooks = {.context = &progress, .progress = show};
        s = train_run(&t, &job, &hooks);
        progress_clear(&progress);
    }
    if (s == OK) s = report(o, &job, &t);
    if (s == OK && t.interrupted) {
        fprintf(stderr, "train: interrupted; what was done so far is kept\n");
        s = ERR_INTERRUPTED;
    } else if (s == OK)
        suggest(o);
    train_finish(&t);
    job_destroy(&job);
    return s;
}

int main(int argc, char *argv[]) {
    Arena arena = {0};
    TrainOptions o = {0};
    OptionLine line;
    JobOptions job;
    RunSetting settings[TRAIN_SETTINGS];
    Status s = option_parse(&line, &o, &arena, &train_options, argc, argv);
    if (s == OK && line.help != HELP_NONE) {
        option_print_help(stdout, &train_options, line.help);
        arena_finish(&arena);
        return 0;
    }
    if (s == OK && o.version) {
        version_print("train", stdout);
        arena_finish(&arena);
        return 0;
    }
    if (s == OK) s = train_job_options(&job, &o, &line, settings, &arena);
    if (s == OK) {
        catch_interrupts();
        job.interrupt = &interrupts;
        job.info.argc = argc;
        job.info.argv = (const char *const *)argv;
        s = o.print_plan ? print_plan(&job, o.print_plan == 2) : train(&o, &job);
    }
    int status = s == OK || s == ERR_INTERRUPTED ? status_exit(s) : fail(&o, s);
    arena_finish(&arena);
    return status;
}
