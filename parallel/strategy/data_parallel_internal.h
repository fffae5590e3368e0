// SPDX-License-Identifier: MIT
// What data_parallel.c and data_parallel_tensors.c share: one class of ranks at work.
#ifndef PARALLEL_STRATEGY_DATA_PARALLEL_INTERNAL_H
#define PARALLEL_STRATEGY_DATA_PARALLEL_INTERNAL_H

#include "core/base/arena.h"
#include "core/plan/build.h"

enum { DEVICES_FIRST = 0 };  // the device that has the batch, the loss and the weights

enum { ON_DEVICES = 1, ON_FIRST = 2 };  // where the rows of a micro-batch are

typedef struct {
    const Program *from;  // of one rank
    const Plan *plan;     // of it
    Program *to;          // of a class
    Plan *out;            // of it
    Arena arena;
    bool first, training;  // the class is device 0; the plan trains
    bool updates;          // it has come to the updates
    int axis, group, lane, compute, host;
    int ranks, local_shards, micro_batches;
    int32_t loss, loss_layer;  // the result of `plan`; name
    int32_t choices;           // of tokens, another result, or NONE
    uint8_t *kept;             // [tensor of `from`] what lasts, and what an update makes it of
    uint8_t *where;            // [tensor of `from`] ON_DEVICES | ON_FIRST, of the pass at work
    int32_t *written;  // [tensor of `from`] the name under which this memory was written last
} Devices;

// A shard of the whole batch, and a micro-batch of it.
typedef struct {
    int shard, micro_batch;
} DevicesSlot;

// A device's own tensor with the name that tensor t of `from` has, made when it is first wanted.
// Weights and all that outlives a step are device 0's; another device has a copy for a while.
Status devices_take(Devices *d, int t, int32_t *out) MUST_USE;

// Device 0's tensor of a slot, in the place of tensor t, which a rank has for its own part of the
// batch. What is the same for all parts is the device's own.
Status devices_take_slot(Devices *d, int t, DevicesSlot s, int32_t *out) MUST_USE;

// The same of a table of choices that a device fills itself, in the place of tensor t.
bool devices_counts(const Devices *d, int t);
Status devices_take_table(Devices *d, int t, int32_t *out) MUST_USE;

// The name of a tensor's logical tensor, "x" of "evaluate.x" too.
const char *devices_plain_name(const Devices *d, const Tensor *t);

#endif
