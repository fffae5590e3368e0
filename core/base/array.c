// SPDX-License-Identifier: MIT
// Growth by doubling, checked for overflow.
#include "core/base/array.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

Status array_reserve(void **items, int *capacity, int need, size_t item_bytes) {
    if (need <= *capacity) return OK;
    if (need < 0 || need > INT_MAX / 2) FAIL(ERR_MEMORY, "an array of %d items", need);
    int grown = *capacity ? *capacity : 16;
    while (grown < need) grown *= 2;
    void *p = realloc(*items, (size_t)grown * item_bytes);
    if (!p) FAIL(ERR_MEMORY, "out of memory for %d items of %zu bytes", grown, item_bytes);
    *items = p;
    *capacity = grown;
    return OK;
}
