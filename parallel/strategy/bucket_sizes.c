// SPDX-License-Identifier: MIT
// A reduce-scatter in a ring has as many steps as ranks, and each takes a latency. So that steps
// carry enough beside it, buckets of ZeRO grow with the ranks.
#include "parallel/strategy/bucket_sizes.h"

enum { MIB = 1 << 20 };

void bucket_sizes_of_devices(StrategyOptions *o) {
    o->bucket_bytes[0] = MIB;
    o->bucket_bytes[1] = 25 * MIB;
    o->bucket_rank_bytes = MIB;
}

void bucket_sizes_settle(StrategyOptions *o, int data_ranks) {
    int64_t least = o->zero ? o->bucket_rank_bytes * data_ranks : 0;
    if (o->bucket_bytes[1] < least) o->bucket_bytes[1] = least;
    o->bucket_rank_bytes = 0;
}
