// SPDX-License-Identifier: MIT
#ifndef PARALLEL_RUN_RANK_INTERNAL_H
#define PARALLEL_RUN_RANK_INTERNAL_H

#include "parallel/run/rank.h"

static inline int local_shards(const Job *job) {
    const JobOptions *o = &job->options;
    return (o->shards ? o->shards : o->ranks) / o->ranks;
}

// A ValueWriter over core/data's safetensors.
Status write_values(void *context, const char *path, const ValueEntry *entries, int count) MUST_USE;

#endif
