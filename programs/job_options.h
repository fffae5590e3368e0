// SPDX-License-Identifier: MIT
// What train and sim are both told of a job: the options that its plan depends on. One set of rows,
// so that the two spell, check and understand them alike.
#ifndef PROGRAMS_JOB_OPTIONS_H
#define PROGRAMS_JOB_OPTIONS_H

#include "core/cli/option.h"
#include "core/record/run_info.h"
#include "parallel/strategy/strategy.h"

// Values, as the rows below fill them in the field `job` of a program's own struct.
typedef struct {
    const char *model, *plan;
    int64_t shards, accumulate, batch, batch_per_rank, seed;
    double momentum, weight_decay;
    int dtype, all_reduce, optimizer;
    bool no_overlap, nesterov;
    IntList buckets;
} JobValues;

// Rows of an option table whose values lie in the field `job` of T.
// clang-format off
#define JOB_AT(T, field) .at = offsetof(T, job.field)
#define JOB_ROW_MODEL(T) \
    {.name = "model", .kind = OPTION_STRING, JOB_AT(T, model), .value = "NAME|FILE", \
     .initial = "net", .brief = true, \
     .help = "net, mlp[:hidden=,layers=], linear, or a model file"}
#define JOB_ROWS_TYPE_SEED(T) \
    {.name = "dtype", .kind = OPTION_CHOICE, JOB_AT(T, dtype), .value = "f32|f64", \
     .initial = "f32", .help = "type of the arithmetic"}, \
    {.name = "seed", .kind = OPTION_INT, JOB_AT(T, seed), .value = "N", .initial = "1", \
     .min = 0, .max = 4294967295.0, .brief = true, \
     .help = "of initial weights, order of samples and split"}
#define JOB_ROWS_BATCH(T) \
    {.name = "batch", .kind = OPTION_INT, JOB_AT(T, batch), .value = "B", .initial = "64", \
     .min = 1, .max = 1e7, .brief = true, .help = "rows of the global batch"}, \
    {.name = "batch-per-rank", .kind = OPTION_INT, JOB_AT(T, batch_per_rank), .value = "B", \
     .min = 1, .max = 1e7, .help = "the same, given per rank"}
#define JOB_ROW_OPTIMIZER(T) \
    {.name = "optimizer", .kind = OPTION_CHOICE, JOB_AT(T, optimizer), .value = "sgd", \
     .initial = "sgd", .help = "update rule"}
#define JOB_ROWS_SGD(T) \
    {.name = "momentum", .kind = OPTION_REAL, JOB_AT(T, momentum), .value = "X", \
     .initial = "0.9", .min = 0, .max = 1, .help = "momentum of SGD"}, \
    {.name = "nesterov", .kind = OPTION_FLAG, JOB_AT(T, nesterov), \
     .help = "Nesterov's momentum"}, \
    {.name = "weight-decay", .kind = OPTION_REAL, JOB_AT(T, weight_decay), .value = "X", \
     .initial = "0", .min = 0, .max = 1e3, .help = "L2 penalty, added to the gradient"}
#define JOB_ROWS_SHARDS(T) \
    {.name = "shards", .kind = OPTION_INT, JOB_AT(T, shards), .value = "S", .min = 1, \
     .max = 4096, \
     .help = "pieces of a batch whose gradients are summed in order; as many as ranks"}, \
    {.name = "accumulate", .kind = OPTION_INT, JOB_AT(T, accumulate), .value = "N", \
     .initial = "1", .min = 1, .max = 4096, \
     .help = "micro-batches of a shard before gradients are synchronised"}
#define JOB_ROWS_STRATEGY(T) \
    {.name = "all-reduce", .kind = OPTION_CHOICE, JOB_AT(T, all_reduce), \
     .value = ALGORITHM_WORDS, .initial = "direct", \
     .help = "algorithm that sums the gradients of all ranks"}, \
    {.name = "bucket-kib", .kind = OPTION_LIST, JOB_AT(T, buckets), .value = "FIRST,CAP", \
     .initial = "4,32", .min = 0, .max = 1e9, \
     .help = "gradient buckets close once they have passed so many KiB"}, \
    {.name = "no-overlap", .kind = OPTION_FLAG, JOB_AT(T, no_overlap), \
     .help = "communicate only after the whole backward"}
#define JOB_ROW_PLAN(T) \
    {.name = "plan", .kind = OPTION_STRING, JOB_AT(T, plan), .value = "FILE", \
     .help = "execute this plan (see --print-plan)"}
// clang-format on

// The words of --print-plan.
enum { PRINT_PLAN_NO, PRINT_PLAN_STEP, PRINT_PLAN_LOWERED };

// What cannot be asked for together, but for what depends on the ranks. ERR_USAGE.
Status job_values_check(const JobValues *v, const OptionLine *line) MUST_USE;

Dtype job_dtype(const JobValues *v);
Sgd job_sgd(const JobValues *v);
StrategyOptions job_strategy(const JobValues *v);

// The settings of the strategy, as traces and reports keep them; texts are in the arena, `plan`
// (a file, or NULL) is borrowed. There is room for two more.
enum { JOB_SETTINGS = 12 };
typedef struct {
    int ranks;
    int64_t micro_batches;
    const char *plan;
    const StrategyOptions *strategy;
} JobSettings;
Status job_settings(RunSetting out[JOB_SETTINGS], int *count, Arena *a,
                    const JobSettings *s) MUST_USE;

#endif
