// SPDX-License-Identifier: MIT
// The mask of dropout, which every device draws alike. An element is kept if its number, of the
// stream (seed; RNG_DROPOUT, layer, step), is not below rate 2^32. Its place in the stream is its
// place in the whole tensor of the global batch, whose row `first_row` is the call's first: so a
// mask does not depend on ranks, shards and micro-batches, and the backward draws the same.
#ifndef CORE_DEVICE_DROPOUT_H
#define CORE_DEVICE_DROPOUT_H

#include "core/base/rng.h"
#include "core/device/kernel.h"

typedef struct {
    Rng stream;
    uint64_t first;  // the place of the call's first element
    uint32_t below;  // which numbers drop it
    double scale;    // of what is kept: 1 / (1 - rate)
} DropoutMask;

// Of a call with attributes rate and layer, and inputs x, seed, step, first_row.
static inline DropoutMask dropout_mask(const KernelCall *call) {
    const int64_t *seed = input_data(call, 1), *step = input_data(call, 2),
                  *first_row = input_data(call, 3);
    const Operand *x = input(call, 0);
    double rate = attr_as_real(call, 0);
    DropoutMask m = {
        .first = (uint64_t)*first_row, .below = (uint32_t)(rate * 0x1p32), .scale = 1 / (1 - rate)};
    for (int i = 1; i < x->dims; i++) m.first *= (uint64_t)x->shape[i];
    rng_init(&m.stream, (uint64_t)*seed, RNG_DROPOUT, (uint32_t)call->attr[1], (uint32_t)*step);
    return m;
}

#endif
