// SPDX-License-Identifier: MIT
// The options that belong to a job: rows of an option table (core/cli/option.h) that fill a
// JobSpec, the field `job` of a program's own struct T. train and sim take them, so that both
// spell, check and understand them alike. job_spec.c reads JOB_ROWS(): defaults stand here and
// nowhere else, and what a trace or report keeps of an option follows from its marks.
#ifndef PARALLEL_STRATEGY_JOB_ROWS_H
#define PARALLEL_STRATEGY_JOB_ROWS_H

#include "core/cli/option.h"
#include "parallel/strategy/job_spec.h"

enum {
    JOB_OPTION = 1,          // belongs to the job: beside a trace, it asks for another job
    JOB_STATED_BY_PLAN = 2,  // cannot be given beside --plan
    JOB_BETWEEN_RANKS = 4,   // changes nothing where there is one rank
    JOB_IN_STRATEGY = 8,     // kept among the settings of the strategy,
    JOB_IN_OPTIMIZER = 16,   // or of the optimizer: "--weight-decay" as weight_decay
    JOB_OF_SGD = 32,         // belongs to --optimizer sgd,
    JOB_OF_ADAM = 64,        // to adam and adamw,
    JOB_OF_ADAMW = 128,      // to adamw alone
};

// clang-format off
#define JOB_AT(T, field) .at = offsetof(T, job.field)

#define JOB_ROW_MODEL(T) \
    {.name = "model", .kind = OPTION_STRING, JOB_AT(T, model), .marks = JOB_OPTION, \
     .value = "NAME|FILE", .initial = "net", .brief = true, \
     .help = "net, mlp[:hidden=,layers=], linear, resnet, or a model file"}

#define JOB_ROWS_TYPE_SEED(T) \
    {.name = "dtype", .kind = OPTION_CHOICE, JOB_AT(T, dtype), .marks = JOB_OPTION, \
     .value = "f32|f64", .initial = "f32", .help = "type of the arithmetic", \
     .others = "float32=f32 float=f32 fp32=f32 single=f32 float64=f64 double=f64 fp64=f64 bf16= " \
               "bfloat16= float16= fp16= half= f16= tf32= fp8= int8="}, \
    {.name = "seed", .kind = OPTION_INT, JOB_AT(T, seed), .marks = JOB_OPTION, .value = "N", \
     .initial = "1", .min = 0, .max = 4294967295.0, .brief = true, \
     .help = "of initial weights, order of samples and split"}

#define JOB_ROW_BATCH(T) \
    {.name = "batch", .kind = OPTION_INT, JOB_AT(T, batch), .marks = JOB_OPTION, .value = "B", \
     .initial = "64", .min = 1, .max = 1e7, .brief = true, .help = "rows of the global batch"}

#define JOB_ROW_OPTIMIZER(T) \
    {.name = "optimizer", .kind = OPTION_CHOICE, JOB_AT(T, optimizer.kind), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, .value = "sgd|adam|adamw", \
     .initial = "sgd", .help = "update rule", \
     .others = "adagrad= adadelta= rmsprop= lamb= lars= lion= muon= momentum=sgd nesterov=sgd"}

#define JOB_ROWS_LR(T, shown_by_h) \
    {.name = "lr", .kind = OPTION_REAL, JOB_AT(T, learning_rate), \
     .marks = JOB_OPTION | JOB_IN_OPTIMIZER, .value = "X", .initial = "0.01", .min = 0, \
     .max = 1e6, .brief = shown_by_h, .help = "learning rate"}, \
    {.name = "warm-up", .kind = OPTION_INT, JOB_AT(T, warm_up_steps), \
     .marks = JOB_OPTION | JOB_IN_OPTIMIZER, .value = "N", .initial = "0", .min = 0, .max = 1e9, \
     .help = "raise the learning rate in equal parts over the first N steps"}

#define JOB_ROWS_UPDATE(T) \
    {.name = "momentum", .kind = OPTION_REAL, JOB_AT(T, optimizer.momentum), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_SGD, .value = "X", \
     .initial = "0.9", .min = 0, .max = 1, .help = "momentum of SGD"}, \
    {.name = "nesterov", .kind = OPTION_FLAG, JOB_AT(T, optimizer.nesterov), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_SGD, \
     .help = "Nesterov's momentum"}, \
    {.name = "beta1", .kind = OPTION_REAL, JOB_AT(T, optimizer.beta1), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_ADAM, .value = "X", \
     .initial = "0.9", .min = 0, .max = 0.999999, \
     .help = "Adam's average of gradients decays by it"}, \
    {.name = "beta2", .kind = OPTION_REAL, JOB_AT(T, optimizer.beta2), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_ADAM, .value = "X", \
     .initial = "0.999", .min = 0, .max = 0.999999, \
     .help = "and that of their squares by this"}, \
    {.name = "eps", .kind = OPTION_REAL, JOB_AT(T, optimizer.eps), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_ADAM, .value = "X", \
     .initial = "1e-8", .min = 0, .max = 1, .help = "added to the root that Adam divides by"}, \
    {.name = "weight-decay", .kind = OPTION_REAL, JOB_AT(T, optimizer.weight_decay), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, .value = "X", \
     .initial = "0", .min = 0, .max = 1e3, \
     .help = "L2 penalty, added to the gradient; of adamw taken off the weight"}, \
    {.name = "decay-all", .kind = OPTION_FLAG, JOB_AT(T, optimizer.decay_all), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_ADAMW, \
     .help = "adamw decays biases and norms, too, not only what has two dimensions"}

#define JOB_ROWS_SHARDS(T) \
    {.name = "shards", .kind = OPTION_SMALL, JOB_AT(T, shards), .marks = JOB_OPTION, \
     .value = "S", .min = 1, .max = 4096, \
     .help = "pieces of a batch whose gradients are summed in order; as many as ranks"}, \
    {.name = "accumulate", .kind = OPTION_SMALL, JOB_AT(T, micro_batches), \
     .marks = JOB_OPTION | JOB_IN_STRATEGY, .value = "N", .initial = "1", .min = 1, .max = 4096, \
     .help = "micro-batches of a shard before gradients are synchronised"}

#define JOB_ROWS_STRATEGY(T) \
    {.name = "all-reduce", .kind = OPTION_CHOICE, JOB_AT(T, strategy.algorithm), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY, \
     .value = ALGORITHM_WORDS, .initial = "direct", \
     .help = "algorithm that sums the gradients of all ranks"}, \
    {.name = "bucket-kib", .kind = OPTION_PAIR, JOB_AT(T, strategy.bucket_bytes), .unit = 1024, \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY, \
     .value = "FIRST,CAP", .initial = "4,32", .min = 0, .max = 1e9, \
     .help = "gradient buckets close once they have passed so many KiB"}, \
    {.name = "no-overlap", .kind = OPTION_FLAG, JOB_AT(T, strategy.no_overlap), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY, \
     .help = "communicate only after the whole backward"}, \
    {.name = "zero", .kind = OPTION_CHOICE, JOB_AT(T, strategy.zero), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY, .value = "no|1|2|3", \
     .initial = "no", \
     .help = "shard optimiser state (1), gradients too (2), parameters too (3)"}, \
    {.name = "prefetch", .kind = OPTION_SMALL, JOB_AT(T, strategy.prefetch), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY, \
     .value = "N", .initial = "1", .min = 0, .max = 4096, \
     .help = "of --zero 3: layers whose parameters are gathered ahead"}

#define JOB_ROW_PLAN(T) \
    {.name = "plan", .kind = OPTION_STRING, JOB_AT(T, plan_file), \
     .marks = JOB_OPTION | JOB_IN_STRATEGY, .value = "FILE", \
     .help = "execute this plan (see --print-plan)"}

// All of them.
#define JOB_ROWS(T) \
    JOB_ROW_MODEL(T), JOB_ROWS_TYPE_SEED(T), JOB_ROW_BATCH(T), JOB_ROW_OPTIMIZER(T), \
    JOB_ROWS_LR(T, true), JOB_ROWS_UPDATE(T), JOB_ROWS_SHARDS(T), JOB_ROWS_STRATEGY(T), \
    JOB_ROW_PLAN(T)
// clang-format on

#endif
