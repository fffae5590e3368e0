// SPDX-License-Identifier: MIT
// Context parallelism: sequences are cut over the mesh axis "context", so that each rank computes
// all layers for its positions. Attention alone needs those of others: its keys and values go
// around a ring (Liu et al., "Ring Attention with Blockwise Transformers", 2023), in pieces of a
// zigzag that give all ranks as many pairs of a query and a key it may see (Megatron-LM's). Or an
// all-to-all gives each rank some heads of all positions before it, and another takes them back
// (Jacobs et al., "DeepSpeed Ulysses", 2023).
#ifndef PARALLEL_STRATEGY_CONTEXT_H
#define PARALLEL_STRATEGY_CONTEXT_H

#include "parallel/strategy/strategy.h"

// Cut the untransformed program of a model, whose mesh has the axis "context". Gradients and losses
// become partial sums along it, which strategies join with those along "data". Each rank has queues
// of experts of its own. The program is replaced; on failure it is zeroed. ERR_USAGE, with the
// arithmetic: a model that has no sequences of tokens, or whose length is not 2 x ranks chunks of a
// ring, or ranks of an all-to-all; or heads of a rank that an all-to-all does not divide.
Status context_apply(Program *p, ContextKind kind) MUST_USE;

// Add up gradients and losses of each shard over the axis "context" alone, in buckets: for
// strategies that then treat them by the axis "data", as ZeRO does.
Status context_join(Program *p, const StrategyOptions *options) MUST_USE;

#endif
