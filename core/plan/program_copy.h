// SPDX-License-Identifier: MIT
// Copying a program piece by piece, as a strategy does that gives each class of ranks a part of it:
// tensors and operations are taken over when they are wanted, and what a tensor becomes may change
// on the way.
#ifndef CORE_PLAN_PROGRAM_COPY_H
#define CORE_PLAN_PROGRAM_COPY_H

#include "core/base/arena.h"
#include "core/plan/build.h"

typedef struct ProgramCopy ProgramCopy;
struct ProgramCopy {
    const Program *from;
    const Plan *plan;  // of it
    Program *to;
    Plan *out;          // of it
    int compute, host;  // lanes of `to`
    void *context;      // of the caller
    Arena *arena;       // the caller's, for what is known of the copy so far; NULL: tensors are
                        // found by their names and works anew, which takes longer
    int32_t *tensors;   // [tensor of `from`] that of `to`, or NONE; in the arena, NULL at first
    int32_t *works;     // [work of `from`] that of `to`, or NONE; as `tensors`

    // How a tensor that is copied lies, and what else of it changes. NULL: it stays as it is.
    void (*place)(const ProgramCopy *c, TensorSpec *spec, const Tensor *t);

    // The tensor of `to` that an operation uses in the place of tensor `from`. NULL:
    // program_copy_tensor(), which makes a tensor of that name when it is first wanted.
    Status (*take)(ProgramCopy *c, int from, int32_t *out);
};

// Lanes "compute" and "host", and all logical tensors, in their order.
Status program_copy_begin(ProgramCopy *c) MUST_USE;

// Begin a plan of the same name and time as plan `k` of `from`.
Status program_copy_plan(ProgramCopy *c, int k) MUST_USE;

// The tensor of that index in `from`, made when it is the first to want it.
Status program_copy_tensor(ProgramCopy *c, int from, int32_t *out) MUST_USE;

// All that a tensor says but its alias and extent, which are tensors of another program.
TensorSpec program_copy_spec(const Program *from, const Tensor *t);

// An operation that computes, as it is but for its tensors; `shard` is the copy's.
Status program_copy_op(ProgramCopy *c, const Op *op, int shard) MUST_USE;

// A communication of `from` whose operands in `to` the caller has found: as many as that takes part
// in it there, in a program whose lanes and groups are those of `from` (program_copy_head()).
Status program_copy_communication(ProgramCopy *c, const Op *op, const int32_t *outputs,
                                  int output_count, const int32_t *inputs,
                                  int input_count) MUST_USE;

// A load of the samples, the labels, or both.
Status program_copy_load(ProgramCopy *c, const Op *op, bool x, bool labels) MUST_USE;

// A collective of one tensor each way, as `spec` says but for the operands and their type.
Status program_copy_collective(ProgramCopy *c, const OpSpec *spec, int32_t output,
                               int32_t input) MUST_USE;

#endif
