// SPDX-License-Identifier: MIT
// What train and sim both check of a job's options (parallel/strategy/job_rows.h).
#ifndef PROGRAMS_JOB_OPTIONS_H
#define PROGRAMS_JOB_OPTIONS_H

#include "parallel/strategy/job_rows.h"

// --batch-per-rank: another way to give the batch, at T.batch_per_rank.
// clang-format off
#define JOB_ROW_BATCH_PER_RANK(T) \
    {.name = "batch-per-rank", .kind = OPTION_INT, .at = offsetof(T, batch_per_rank), \
     .marks = JOB_OPTION, .value = "B", .min = 1, .max = 1e7, .help = "the same, given per rank"}
// clang-format on

// The words of --print-plan.
enum { PRINT_PLAN_NO, PRINT_PLAN_STEP, PRINT_PLAN_LOWERED };

// What cannot be asked for together, but for what depends on the ranks. ERR_USAGE.
Status job_options_check(const JobSpec *job, const OptionLine *line) MUST_USE;

#endif
