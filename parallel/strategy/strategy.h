// SPDX-License-Identifier: MIT
// Strategies are transformations of a program: they split, insert and order work and add
// communication. A model emits gradients that are partial sums along the mesh axis "data", one per
// local shard; a strategy joins them before the update.
#ifndef PARALLEL_STRATEGY_STRATEGY_H
#define PARALLEL_STRATEGY_STRATEGY_H

#include "core/cli/option_form.h"
#include "core/nn/model.h"
#include "core/plan/set.h"

// The form in which gradients are sent, in the order of the words of --compress.
typedef enum {
    COMPRESS_NONE,
    COMPRESS_BF16,
    COMPRESS_FP16,
    COMPRESS_POWERSGD,  // its number: the rank of the factors
    COMPRESS_TOPK,      // its number: the fraction of the elements
} Compress;

// What the backward computes again instead of keeping it, in the order of the words of --recompute.
// clang-format off
typedef enum { RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL, RECOMPUTE_ATTENTION,
               RECOMPUTE_GATHERS, RECOMPUTE_BLOCK, RECOMPUTE_COUNT } Recompute;
// clang-format on
extern const char *const recompute_words[RECOMPUTE_COUNT];

// How ranks that have a part of every sequence attend to all of it, in the order of the words of
// --cp-kind: keys and values go around, or ranks take heads of all positions instead.
typedef enum { CONTEXT_RING, CONTEXT_ALL_TO_ALL } ContextKind;

typedef struct {
    int local_shards;         // shards that each rank computes, one after the other
    int64_t bucket_bytes[2];  // caps: of the first gradient bucket, of the others
    int64_t bucket_rank_bytes;  // ZeRO: those have at least so many for each rank (bucket_sizes.h)
    bool no_overlap;          // communicate only when the whole backward is done
    Algorithm algorithm;      // of the gradients' all-reduce
    OptionForm compress;      // of the gradients' all-reduce: a Compress
    bool data_parallel;       // one device has batch, loss and weights; instead of DDP
    bool sequence_parallel;   // tensor-parallel ranks divide positions outside of products
    bool sync_batch_norm;     // statistics of batch normalisation are those of all shards
    int zero;                 // stage of ZeRO, 1 to 3; 0: DDP
    int prefetch;             // ZeRO-3: blocks gathered ahead of the one that computes
    Recompute recompute;      // activations of the forward
    int experts;              // ranks that share the experts of a layer; 0, 1: each has all
    ContextKind context;      // attention of sequences that are cut
    OptionForm schedule;      // of a pipeline: a ScheduleKind, of interleaved stages a rank
    const char *stages;       // layers of each stage, "0:4,4:8"; NULL: by cost
} StrategyOptions;

// Make the programs of all ranks: the model's work, cut as `spec` says, and the strategy that its
// number of ranks asks for. Data-parallel ranks are one class. Both fields local_shards follow from
// the shards and ranks and are not read. job_spec_programs() calls this; train and sim print the
// result. On failure *out is zeroed.
Status strategy_programs(ProgramSet *out, const Model *m, const StepSpec *spec,
                         const StrategyOptions *options) MUST_USE;

// Which stage each layer of the model is on: out[layer].
Status strategy_stages(int *out, Arena *a, const Model *m, const StepSpec *spec,
                       const StrategyOptions *options) MUST_USE;

// Are gradients sent with error feedback? Then each shard's are compressed on one rank, too.
static inline bool strategy_feeds_back(const StrategyOptions *o) {
    return o->compress.word == COMPRESS_POWERSGD || o->compress.word == COMPRESS_TOPK;
}

// One rank with local_shards shards: a plain loop. Gradients are folded in shard order,
// ((g0 + g1) + g2) + ..., each as soon as it is complete, or with error feedback what is sent of
// them. This is what every data-parallel strategy must equal.
Status shards_apply(Program *p, const StrategyOptions *options) MUST_USE;

// Distributed data parallel (Li et al., PyTorch Distributed, VLDB 2020): gradients go into buckets
// in the order in which they become ready. A bucket closes once it has passed its cap, and is
// all-reduced on the communication lane "data" while the backward pass goes on. Adds the plan
// "broadcast" (rank 0's parameters to all), the all-reduce of the loss and, to "evaluate", an
// all-gather of each rank's result into "evaluate.gathered" (ranks, 2). ERR_PLAN when the mesh axis
// "data" has one rank.
Status ddp_apply(Program *p, const StrategyOptions *options) MUST_USE;

// PyTorch's nn.DataParallel: from the untransformed program of a model, for one rank of the mesh
// axis "data" of two ranks or more, the programs of two classes, "device0" and "devices". In each
// pass device 0 loads the rows of all shards and scatters them, its parameters are broadcast
// ("replicate"), every device computes forward, outputs are gathered on device 0, which computes
// the loss and scatters its gradient, and every device computes backward. At the end of a step
// gradients are reduced to device 0, in the order of the shards; it alone updates, and holds
// parameters, running statistics and optimiser state.
Status data_parallel_programs(ProgramSet *out, const Program *p, const StrategyOptions *options,
                              int micro_batches) MUST_USE;

// Let each batch normalisation of the step use the statistics of all shards of its micro-batch: its
// operations go shard by shard, statistics are gathered on the communication lane "statistics" and
// the sums of the backward reduced there, in the order of the shards. For a program whose data are
// divided and perhaps its weights, before a pipeline or a strategy for the gradients. ERR_USAGE
// when the program normalises none.
Status sync_batch_norm_apply(Program *p, const StrategyOptions *options) MUST_USE;

// Expert parallelism: the data parallel ranks, as many as strategy.experts, share the experts of
// each layer of a model's untransformed program, and exchange tokens on the lane "experts"; `wide`:
// with all ranks along "context", which context_apply() cuts afterwards. What joins gradients
// follows. The program is replaced; on failure it is zeroed. ERR_USAGE: experts that they cannot
// share equally, or none.
Status expert_split(Program *p, bool wide) MUST_USE;

// Let the backward of the step compute activations again, just before it reads them, instead of
// keeping them from the forward: of each segment of the network (a block, or what lies between
// two; without blocks about sqrt(n) segments of n layers) all but what other segments read, or with
// `selective` only what is cheap, with no products, from what is there anyway; with `gathers` only
// what sequence parallelism gathered, and with `attention` the scores of unfused attention, too,
// Megatron-LM's selective. `block`, its full, repeats all of a segment's forward. New operations
// have phase and flag "recompute". For any program of the model before gradients are joined.
Status recompute_apply(Program *p, const Model *m, Recompute how) MUST_USE;

// ZeRO (Rajbhandari et al., 2020), the stage that the options say, in flat shards of blocks of
// 4,096 elements over the mesh axis "data" (docs/contract.md, 6). Gradients are reduce-scattered,
// in the buckets of DDP, and every rank updates its shards alone.
//
// 1: optimiser state is sharded. A gradient is reduced in place into this rank's share of it; the
//    shares of parameters are gathered in place behind their updates, in buckets as large; where
//    passes read copies, it has these alone whole, and gathers them at the head of each plan.
// 2: gradients are sharded, too. Of whole ones there are two buckets' at most: a backward operation
//    waits until the bucket before the last is reduced.
// 3: parameters are sharded, too. Each block of the model, or layer outside of blocks, gathers its
//    own into buffers before its forward and again before its backward, `prefetch` blocks ahead.
//
// Where the plan computes the norm of all gradients, sums of squares of blocks are joined by one
// all-reduce. Of several local shards or micro-batches whole gradients stay until all are added:
// sums are left folds (docs/contract.md, 3). ERR_PLAN: one rank along "data".
Status zero_apply(Program *p, const Model *m, const StrategyOptions *options) MUST_USE;

#endif
