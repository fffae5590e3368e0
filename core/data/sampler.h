// SPDX-License-Identifier: MIT
// The order in which samples are seen (docs/contract.md, 2). An epoch is a permutation that depends
// on the seed and the epoch alone; a global batch is a slice of it; a shard is a slice of that.
#ifndef CORE_DATA_SAMPLER_H
#define CORE_DATA_SAMPLER_H

#include "core/data/dataset.h"

#include <stdbool.h>

// The last, smaller batch: used, left out, or filled from the epoch's start.
typedef enum {
    TAIL_KEEP,
    TAIL_DROP,
    TAIL_PAD,
} Tail;

typedef struct {
    const int32_t *rows;  // borrowed: the training rows
    int32_t *order;       // in the arena: this epoch's permutation of them
    int64_t count, batch;
    uint64_t seed;
    Tail tail;
    int64_t epoch;  // that `order` holds; -1: none yet
} Sampler;

Status sampler_init(Sampler *s, Arena *a, const int32_t *rows, int64_t count, int64_t batch,
                    uint64_t seed, Tail tail) MUST_USE;
int64_t sampler_batches(const Sampler *s);      // per epoch
void sampler_epoch(Sampler *s, int64_t epoch);  // shuffle for an epoch; allocates nothing
int64_t sampler_batch_rows(const Sampler *s, int64_t batch);

// Dataset row of the i-th sample of a batch.
int32_t sampler_row(const Sampler *s, int64_t batch, int64_t i);

// Rows [*begin, *end) of a batch that one of `parts` takes: from floor(part * rows / parts).
void sampler_part(int64_t rows, int64_t part, int64_t parts, int64_t *begin, int64_t *end);

#endif
