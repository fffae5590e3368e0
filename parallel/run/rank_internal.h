// SPDX-License-Identifier: MIT
#ifndef PARALLEL_RUN_RANK_INTERNAL_H
#define PARALLEL_RUN_RANK_INTERNAL_H

#include "parallel/run/rank.h"

// A ValueWriter over core/data's safetensors.
Status rank_write_values(void *context, const char *path, const ValueEntry *entries,
                         int count) MUST_USE;

#endif
