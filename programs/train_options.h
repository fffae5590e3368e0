// SPDX-License-Identifier: MIT
// The command line of `train`.
#ifndef PROGRAMS_TRAIN_OPTIONS_H
#define PROGRAMS_TRAIN_OPTIONS_H

#include "core/base/option.h"
#include "parallel/run/job.h"

// Values as the table in train_options.c fills them.
typedef struct {
    const char *model, *data, *plan, *trace, *record, *record_steps, *report, *save;
    const char *calibrate;
    int64_t ranks, shards, accumulate, batch, batch_per_rank, epochs, steps, seed, timeout_ps;
    double learning_rate, momentum, weight_decay, test_fraction;
    int device, dtype, comm, all_reduce, optimizer, tail, print_plan, color;
    bool no_overlap, nesterov, json, quiet, verbose, version;
    IntList buckets, calibrate_rows;
} TrainOptions;

enum { PRINT_PLAN_NO, PRINT_PLAN_STEP, PRINT_PLAN_LOWERED };  // TrainOptions.print_plan

extern const OptionTable train_options;

// The job that a parsed line asks for. Settings of the strategy go to `settings`, which info
// borrows. ERR_USAGE when options contradict each other.
enum { TRAIN_SETTINGS = 8 };
Status train_job_options(JobOptions *out, const TrainOptions *o, const OptionLine *line,
                         RunSetting settings[TRAIN_SETTINGS], Arena *a) MUST_USE;

// The machine file of a directory of traces. ERR_USAGE when the name is too long.
Status train_machine_path(char *out, size_t size, const char *directory) MUST_USE;

// Find out before the first step, not after the last, that a result cannot be written. Makes the
// directories that are asked for. ERR_IO.
Status train_check_outputs(const TrainOptions *o) MUST_USE;

#endif
