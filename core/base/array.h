// SPDX-License-Identifier: MIT
// Arrays on the heap that grow.
#ifndef CORE_BASE_ARRAY_H
#define CORE_BASE_ARRAY_H

#include "core/base/status.h"

#include <stddef.h>

// Grow an array on the heap so that it holds `need` items: *items (owned by the caller, freed with
// free()) and *capacity change together, doubling. ERR_MEMORY leaves both as they were.
#define ARRAY_RESERVE(items, capacity, need) \
    ((need) <= (capacity)                    \
         ? OK                                \
         : array_reserve((void **)&(items), &(capacity), (need), sizeof *(items)))
Status array_reserve(void **items, int *capacity, int need, size_t item_bytes) MUST_USE;

#endif
