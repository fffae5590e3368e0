// SPDX-License-Identifier: MIT
// The options that belong to a job: rows of an option table (core/cli/option.h) that fill a
// JobSpec, the field `job` of a program's own struct T. train and sim take them, so that both
// spell, check and understand them alike. job_spec.c reads JOB_ROWS(): defaults stand here and
// nowhere else, and what a trace or report keeps of an option follows from its marks.
#ifndef PARALLEL_STRATEGY_JOB_ROWS_H
#define PARALLEL_STRATEGY_JOB_ROWS_H

#include "core/cli/option.h"
#include "parallel/strategy/job_rows_experts.h"
#include "parallel/strategy/job_rows_mesh.h"
#include "parallel/strategy/job_rows_update.h"
#include "parallel/strategy/job_spec.h"

// clang-format off
#define JOB_ROW_MODEL(T) \
    {.name = "model", .kind = OPTION_STRING, JOB_AT(T, model), .marks = JOB_OPTION, \
     .value = "NAME|FILE", .initial = "net", .brief = true, \
     .help = "net, mlp, linear, resnet, resnet50, gpt, llama, bert, mixtral, or a file"}

#define JOB_ROWS_TYPE_SEED(T) \
    {.name = "dtype", .kind = OPTION_CHOICE, JOB_AT(T, dtype), .marks = JOB_OPTION, \
     .value = "f32|f64|bf16", .initial = "f32", \
     .help = "type of the passes; of bf16 weights and their gradients stay f32, and only the " \
             "device reference computes in it", \
     .others = "float32=f32 float=f32 fp32=f32 single=f32 float64=f64 double=f64 fp64=f64 " \
               "bfloat16=bf16 float16= fp16= half= f16= tf32= fp8= int8="}, \
    {.name = "seed", .kind = OPTION_INT, JOB_AT(T, seed), .marks = JOB_OPTION, .value = "N", \
     .initial = "1", .min = 0, .max = 4294967295.0, .brief = true, \
     .help = "of initial weights, order of samples and split"}

#define JOB_ROW_BATCH(T) \
    {.name = "batch", .kind = OPTION_INT, JOB_AT(T, batch), .marks = JOB_OPTION, .value = "B", \
     .initial = "64", .min = 1, .max = 1e7, .brief = true, .help = "rows of the global batch"}

#define JOB_ROWS_SHARDS(T) \
    {.name = "shards", .kind = OPTION_SMALL, JOB_AT(T, shards), .marks = JOB_OPTION, \
     .value = "S", .min = 1, .max = 4096, \
     .help = "pieces of a batch whose gradients are summed in order; as many as ranks"}, \
    {.name = "accumulate", .kind = OPTION_SMALL, JOB_AT(T, micro_batches), \
     .marks = JOB_OPTION | JOB_IN_STRATEGY, .value = "N", .initial = "1", .min = 1, .max = 4096, \
     .help = "micro-batches of a shard before gradients are synchronised"}

#define JOB_ROWS_STRATEGY(T) \
    {.name = "all-reduce", .kind = OPTION_CHOICE, JOB_AT(T, strategy.algorithm), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY | \
         JOB_OF_BUCKETS, \
     .value = ALGORITHM_WORDS, .initial = "direct", \
     .help = "algorithm that sums the gradients of all ranks"}, \
    {.name = "compress", .kind = OPTION_FORM, JOB_AT(T, strategy.compress), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY | \
         JOB_OF_BUCKETS, \
     .value = "none|bf16|fp16|powersgd[:RANK]|topk[:FRACTION]", .initial = "none", \
     .help = "form in which gradients are sent", \
     .others = "bfloat16=bf16 float16=fp16 f16=fp16 half=fp16 no=none off=none " \
               "power-sgd=powersgd lowrank=powersgd top-k=topk sparse=topk onebit= signsgd="}, \
    {.name = "bucket-kib", .kind = OPTION_PAIR, JOB_AT(T, strategy.bucket_bytes), .unit = 1024, \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY | \
         JOB_OF_BUCKETS, \
     .value = "FIRST,CAP", .initial = "4,32", .min = 0, .max = 1e9, \
     .help = "gradient buckets close once they have passed so many KiB"}, \
    {.name = "no-overlap", .kind = OPTION_FLAG, JOB_AT(T, strategy.no_overlap), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY | \
         JOB_OF_BUCKETS, \
     .help = "communicate only after the whole backward"}, \
    {.name = "data-parallel", .kind = OPTION_FLAG, JOB_AT(T, strategy.data_parallel), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY, \
     .help = "as nn.DataParallel: rank 0 has batch, loss and weights, in one process"}, \
    {.name = "sync-batchnorm", .kind = OPTION_FLAG, JOB_AT(T, strategy.sync_batch_norm), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY, \
     .help = "normalise with the statistics of all shards' rows, not of each one's"}, \
    {.name = "zero", .kind = OPTION_CHOICE, JOB_AT(T, strategy.zero), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY, .value = "no|1|2|3", \
     .initial = "no", \
     .help = "shard optimiser state (1), gradients too (2), parameters too (3)"}, \
    {.name = "prefetch", .kind = OPTION_SMALL, JOB_AT(T, strategy.prefetch), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_BETWEEN_RANKS | JOB_IN_STRATEGY | \
         JOB_OF_BUCKETS, \
     .value = "N", .initial = "1", .min = 0, .max = 4096, \
     .help = "of --zero 3: blocks whose parameters are gathered ahead"}, \
    {.name = "recompute", .kind = OPTION_CHOICE, JOB_AT(T, strategy.recompute), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY, \
     .value = "none|selective|full|attention|gathers|block", .initial = "none", \
     .help = "activations that the backward computes again: what is cheap, or all of a block", \
     .others = "core=attention core-attn=attention core_attn=attention no=none off=none"}

#define JOB_ROW_PLAN(T) \
    {.name = "plan", .kind = OPTION_STRING, JOB_AT(T, plan_file), \
     .marks = JOB_OPTION | JOB_IN_STRATEGY, .value = "FILE", \
     .help = "execute this plan (see --print-plan)"}

// All of them.
#define JOB_ROWS(T) \
    JOB_ROW_MODEL(T), JOB_ROWS_TYPE_SEED(T), JOB_ROW_BATCH(T), JOB_ROW_OPTIMIZER(T), \
    JOB_ROWS_LR(T, true), JOB_ROWS_UPDATE(T), JOB_ROWS_SHARDS(T), JOB_ROWS_MESH(T, 0), \
    JOB_ROWS_EXPERTS(T), \
    JOB_ROWS_STRATEGY(T), \
    JOB_ROW_PLAN(T)
// clang-format on

#endif
