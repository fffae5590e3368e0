// SPDX-License-Identifier: MIT
// The mask of dropout, which every device draws alike. An element is kept if its number, of the
// stream (seed; RNG_DROPOUT, layer, step), is not below rate 2^32. Its place in the stream is its
// place in the whole tensor of the global batch, whose row `first_row` is the call's first: so a
// mask does not depend on ranks, shards and micro-batches, and the backward draws the same. Where
// dimension 1 or 2 of x is cut, its index (core/device/index.h) says where the elements lie.
#ifndef CORE_DEVICE_DROPOUT_H
#define CORE_DEVICE_DROPOUT_H

#include "core/base/rng.h"
#include "core/device/index.h"

// x as (rows, middle, last): dimension 1, and those behind it as one.
typedef struct {
    Rng stream;
    uint64_t first;               // the place of the call's first row
    uint32_t below;               // which numbers drop an element
    double scale;                 // of what is kept: 1 / (1 - rate)
    int64_t rows, middle, last;   // of the call
    int64_t row, inner;           // elements of a whole row, and of one element of `middle`
    const int64_t *middle_index;  // [middle]; NULL: they are all there
    const int64_t *last_index;    // [last]; so are they
} DropoutMask;

// Of a call with attributes rate, layer, row and inner, and inputs x, seed, step, first_row, and
// maybe indices of dimensions 1 and 2. Without these row and inner follow from x.
static inline DropoutMask dropout_mask(const KernelCall *call) {
    const int64_t *seed = (const int64_t *)input_data(call, 1),
                  *step = (const int64_t *)input_data(call, 2),
                  *first_row = (const int64_t *)input_data(call, 3);
    const Operand *x = input(call, 0);
    double rate = attr_as_real(call, 0);
    DropoutMask m = {.below = (uint32_t)(rate * 0x1p32),
                     .scale = 1 / (1 - rate),
                     .rows = operand_rows(x),
                     .middle = x->dims > 1 ? x->shape[1] : 1,
                     .last = 1,
                     .middle_index = (const int64_t *)input_data(call, 4),
                     .last_index = (const int64_t *)input_data(call, 5)};
    for (int i = 2; i < x->dims; i++) m.last *= x->shape[i];
    m.row = call->attr[2] ? call->attr[2] : m.middle * m.last;
    m.inner = call->attr[3] ? call->attr[3] : m.last;
    m.first = (uint64_t)*first_row * (uint64_t)m.row;
    rng_init(&m.stream, (uint64_t)*seed, RNG_DROPOUT, (uint32_t)call->attr[1], (uint32_t)*step);
    return m;
}

// The place in the stream of element (row b, i, j), or that this rank has no such element.
enum { DROPOUT_NONE = -1 };
static inline int64_t dropout_place(const DropoutMask *m, int64_t b, int64_t i, int64_t j) {
    int64_t middle = index_at(m->middle_index, i), last = index_at(m->last_index, j);
    if (middle < 0 || last < 0) return DROPOUT_NONE;
    return (int64_t)m->first + b * m->row + middle * m->inner + last;
}

#endif
