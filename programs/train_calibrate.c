// SPDX-License-Identifier: MIT
// `--calibrate`, and the quick calibration that `--trace` leaves beside the traces.
#include "programs/train_calibrate.h"

#include "core/base/clock.h"
#include "core/cli/progress.h"
#include "core/cli/terminal.h"
#include "core/platform/device_traits.h"
#include "parallel/calibrate/cache.h"
#include "parallel/calibrate/calibrate.h"
#include "programs/next.h"
#include "programs/train_interrupt.h"
#include "programs/train_outputs.h"
#include "programs/train_prepare.h"
#include "programs/version.h"

#include <stdio.h>

static void show_part(void *context, int done, int total, const char *part) {
    Progress *p = context;
    p->total = total;
    progress_update(p, done, clock_ns(), part);
}

static void say(void *context, bool important, const char *line) {
    log_say(context, important ? LOG_NOTE : LOG_DETAIL, "%s", line);
}

Status train_describe_host(const TrainOptions *o, const Job *job, Log *l) {
    char version[VERSION_TEXT];
    const CalibrateCache cache = {.version = version_text(version), .context = l, .say = say};
    Arena a = {0};
    Machine m;
    char path[4096];
    train_interrupt_phase(TRAIN_CALIBRATES);
    Status s = train_machine_path(path, sizeof path, o->trace);
    const char *platform = device_traits_platform(job->options.spec.device);
    if (s == OK)
        s = platform ? machine_read(&m, &a, platform) : calibrate_cached(&m, &a, job, &cache);
    if (s == OK) s = machine_write(&m, path);
    arena_finish(&a);
    return s;
}

static Status measure_host(Machine *m, Arena *a, const TrainOptions *o, const Job *job) {
    Progress p;
    CalibrateOptions c = {
        .row_count = o->calibrate_rows.count, .context = &p, .progress = show_part};
    for (int i = 0; i < c.row_count; i++) c.rows[i] = o->calibrate_rows.items[i];
    train_interrupt_phase(TRAIN_CALIBRATES);
    progress_init(&p, stderr, "calibrate", "parts", 0, o->quiet, clock_ns());
    p.uneven = true;
    Status s = calibrate(m, a, job, &c);
    progress_clear(&p);
    return s;
}

Status train_calibrate(const TrainOptions *o, const JobOptions *options) {
    Job job;
    Machine m;
    Arena a = {0};
    char sim[NEXT_TEXT];
    Status s = train_prepare_job(&job, o, options);
    if (s == OK) s = train_check_outputs(o);
    if (s == OK) s = device_reserve(job.device, 1);
    if (s == OK) s = measure_host(&m, &a, o, &job);
    if (s == OK) s = machine_write(&m, o->calibrate);
    if (s == OK) {
        printf("%s\n%s on %s, %s, %lld rows a rank\n", m.name, m.calibration.model,
               m.calibration.device, m.calibration.dtype, (long long)m.calibration.rows);
        s = calibration_print(stdout, &m.calibration);
    }
    if (s == OK && !o->quiet && terminal_is(stderr))
        fprintf(stderr, "next: %s --platform %s --ranks 1,2,4    # predict runs on this host\n",
                next_program(sim, options->info.argv[0], "sim"), o->calibrate);
    arena_finish(&a);
    job_destroy(&job);
    return s;
}
