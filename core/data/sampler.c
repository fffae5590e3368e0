// SPDX-License-Identifier: MIT
// An epoch's permutation is a shuffle keyed by seed and epoch; batches and shards are slices of it.
#include "core/data/sampler.h"

#include "core/base/rng.h"

#include <string.h>

Status sampler_init(Sampler *s, Arena *a, const int32_t *rows, int64_t count, int64_t batch,
                    uint64_t seed, Tail tail) {
    if (count < 1) FAIL(ERR_USAGE, "there are no samples to train on");
    if (batch < 1) FAIL(ERR_USAGE, "--batch must be at least 1, not %lld", (long long)batch);
    if (tail == TAIL_DROP && batch > count)
        FAIL(ERR_USAGE,
             "--tail drop with --batch %lld leaves none of the %lld training samples; give a "
             "smaller batch",
             (long long)batch, (long long)count);
    *s = (Sampler){
        .rows = rows, .count = count, .batch = batch, .seed = seed, .tail = tail, .epoch = -1};
    s->order = ARENA_NEW(a, int32_t, count);
    if (!s->order) FAIL(ERR_MEMORY, "sampler: out of memory for %lld rows", (long long)count);
    return OK;
}

int64_t sampler_batches(const Sampler *s) {
    return s->tail == TAIL_DROP ? s->count / s->batch : (s->count - 1) / s->batch + 1;
}

void sampler_epoch(Sampler *s, int64_t epoch) {
    Rng r;
    rng_init(&r, s->seed, RNG_SHUFFLE, (uint32_t)epoch, (uint32_t)((uint64_t)epoch >> 32));
    memcpy(s->order, s->rows, (size_t)s->count * sizeof *s->order);
    rng_shuffle(&r, s->order, s->count);
    s->epoch = epoch;
}

int64_t sampler_batch_rows(const Sampler *s, int64_t batch) {
    int64_t left = s->count - batch * s->batch;
    return s->tail == TAIL_KEEP && left < s->batch ? left : s->batch;
}

int32_t sampler_row(const Sampler *s, int64_t batch, int64_t i) {
    return s->order[(batch * s->batch + i) % s->count];  // wraps only to pad
}

void sampler_part(int64_t rows, int64_t part, int64_t parts, int64_t *begin, int64_t *end) {
    *begin = part * rows / parts;
    *end = (part + 1) * rows / parts;
}
