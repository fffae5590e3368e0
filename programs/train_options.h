// SPDX-License-Identifier: MIT
// The command line of `train`.
#ifndef PROGRAMS_TRAIN_OPTIONS_H
#define PROGRAMS_TRAIN_OPTIONS_H

#include "parallel/run/job.h"
#include "programs/job_options.h"

// Values as the table in train_options.c fills them.
typedef struct {
    JobSpec job;
    const char *data, *link, *trace, *record, *record_steps, *report, *save, *log;
    const char *resume, *load, *consolidate, *prompt;
    const char *calibrate, *plot, *print_class;
    int64_t batch_per_rank, epochs, steps, save_every, timeout_ps, generate;
    double dilate, test_fraction, temperature;
    int comm, tail, keep, print_plan, color, verbose;
    bool advise;
    bool evaluate, save_shards, print_memory, print_mesh, explain, preview, require_plot, json, csv,
        plain, quiet, version;
    IntList calibrate_rows;
} TrainOptions;

extern const OptionTable train_options;

// The job that a parsed line asks for; its description is in the arena. ERR_USAGE when options
// contradict each other.
Status train_job_options(JobOptions *out, TrainOptions *o, const OptionLine *line,
                         Arena *a) MUST_USE;

#endif
