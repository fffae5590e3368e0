// SPDX-License-Identifier: MIT
// For those who walk through the millions of steps of a large collective (sim/transfer.c): what
// parallel/collective/collective.h says, with fewer calls and divisions.
#ifndef PARALLEL_COLLECTIVE_WALK_H
#define PARALLEL_COLLECTIVE_WALK_H

#include "core/plan/share.h"
#include "parallel/collective/collective.h"

// How many steps have `rank` as destination in `round`; the first of them into *first, in which
// nothing means anything if there is none.
int collective_first_step(const Collective *c, int64_t round, int rank, CollectiveStep *first);

// The elements of chunks: the divisions that all chunks of a collective share, done once.
typedef struct {
    ShareSizes shares;
    const int64_t *sizes;  // of several arrays (Collective.sizes)
    int size_count;
    bool per_member;  // chunk i is the share of member i mod ranks
} CollectiveSizes;

CollectiveSizes collective_sizes(const Collective *c);
int64_t collective_size(const CollectiveSizes *s, int64_t chunk);
int64_t collective_largest_chunk(const Collective *c);  // its elements

#endif
