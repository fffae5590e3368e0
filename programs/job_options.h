// SPDX-License-Identifier: MIT
// What train and sim both check of a job's options (parallel/strategy/job_rows.h).
#ifndef PROGRAMS_JOB_OPTIONS_H
#define PROGRAMS_JOB_OPTIONS_H

#include "parallel/strategy/job_rows.h"

// --batch-per-rank: another way to give the batch, at T.batch_per_rank.
// clang-format off
#define JOB_ROW_BATCH_PER_RANK(T) \
    {.name = "batch-per-rank", .kind = OPTION_INT, .at = offsetof(T, batch_per_rank), \
     .marks = JOB_OPTION, .value = "B", .min = 1, .max = 1e7, \
     .help = "the same, given per data-parallel rank"}
// clang-format on

// --print-plan: the plan that a strategy made or the one that runs, as a table or as a file.
#define PRINT_PLAN_WORDS "no|step|lowered|file|lowered-file"
typedef enum {
    PRINT_PLAN_NO,
    PRINT_PLAN_STEP,
    PRINT_PLAN_LOWERED,
    PRINT_PLAN_FILE,
    PRINT_PLAN_LOWERED_FILE
} PrintPlan;
static inline bool print_plan_is_lowered(PrintPlan what) {
    return what == PRINT_PLAN_LOWERED || what == PRINT_PLAN_LOWERED_FILE;
}

// --class: of which ranks. Strings are borrowed.
// clang-format off
#define PRINT_PLAN_ROW_CLASS(T) \
    {.name = "class", .kind = OPTION_STRING, .at = offsetof(T, print_class), \
     .value = "NAME|all", .initial = "all", .help = "of --print-plan: ranks of this class"}
// clang-format on

// Print programs, lowered or not, to standard output: those of all classes, or of the one of that
// name. ERR_USAGE when there is none.
Status print_plan_write(const ProgramSet *s, const char *class, PrintPlan what) MUST_USE;

// Where --ranks is not given, the ranks are those of the degrees: 8 of --tp 2 --pp 2 --dp 2.
void job_options_take_ranks(JobSpec *job, const OptionLine *line);

// Where --accumulate is not given, a pipeline has two micro-batches for each of its ranks.
void job_options_take_micro_batches(JobSpec *job, const OptionLine *line);

// What cannot be asked for together, but for what depends on the ranks. ERR_USAGE.
Status job_options_check(const JobSpec *job, const OptionLine *line) MUST_USE;

#endif
