// SPDX-License-Identifier: MIT
// Operands that the run fills with source=index: for each element of a dimension of which ranks
// hold pieces, its number in the whole, and -1 behind the last one of a smaller piece. So a kernel
// that depends on where an element lies is told by the plan and knows no ranks.
#ifndef CORE_DEVICE_INDEX_H
#define CORE_DEVICE_INDEX_H

#include "core/device/kernel.h"

// A piece that is one interval.
typedef struct {
    int64_t first, count;
} IndexRange;

// What input i says; all `size` elements where it is absent. Numbers ascend, so those of an
// interval follow from the first and from how many are not -1.
static inline IndexRange index_range(const KernelCall *call, int i, int64_t size) {
    const int64_t *index = (const int64_t *)input_data(call, i);
    if (!index) return (IndexRange){0, size};
    while (size > 0 && index[size - 1] < 0) size--;
    return (IndexRange){index[0], size};
}

static inline bool index_has(IndexRange r, int64_t number) {
    return number >= r.first && number < r.first + r.count;
}

// The number of element e, where input i is its index, or NULL: e itself.
static inline int64_t index_at(const int64_t *index, int64_t e) { return index ? index[e] : e; }

#endif
