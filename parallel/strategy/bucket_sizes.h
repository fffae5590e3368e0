// SPDX-License-Identifier: MIT
// How large the buckets of simulated devices are, where nobody has said so (docs/decisions.md).
#ifndef PARALLEL_STRATEGY_BUCKET_SIZES_H
#define PARALLEL_STRATEGY_BUCKET_SIZES_H

#include "parallel/strategy/strategy.h"

// 1 MiB for the first bucket and 25 MiB for the others, as in PyTorch's DDP; with ZeRO 1 MiB for
// each data-parallel rank, where that is more than 25 MiB.
void bucket_sizes_of_devices(StrategyOptions *o);

// So many data-parallel ranks there are: bucket_bytes is from now on what buckets have.
void bucket_sizes_settle(StrategyOptions *o, int data_ranks);

#endif
