// SPDX-License-Identifier: MIT
// Copying a program piece by piece, for tests that write strategies by hand: tensors and operations
// are taken over when they are wanted, and what a tensor becomes may change on the way.
#ifndef TESTS_SUPPORT_PROGRAM_COPY_H
#define TESTS_SUPPORT_PROGRAM_COPY_H

#include "core/plan/build.h"

typedef struct ProgramCopy ProgramCopy;
struct ProgramCopy {
    const Program *from;
    const Plan *plan;  // of it
    Program *to;
    Plan *out;                                                               // of it
    int compute, host;                                                       // lanes of `to`
    void *context;                                                           // of the caller
    void (*place)(const ProgramCopy *c, TensorSpec *spec, const Tensor *t);  // NULL: as they are
};

// Lanes "compute" and "host", and all logical tensors, in their order.
Status copy_head(ProgramCopy *c);

// Begin a plan of the same name and time as plan `k` of `from`.
Status copy_plan(ProgramCopy *c, int k);

// The tensor of that index in `from`, made when it is the first to want it.
Status copy_tensor(ProgramCopy *c, int from, int32_t *out);

// An operation of the compute lane, as it is.
Status copy_op(ProgramCopy *c, const Op *op);

// A load of the samples, the labels, or both.
Status copy_load(ProgramCopy *c, const Op *op, bool x, bool labels);

// A collective of one tensor each way, as `spec` says but for the operands.
Status copy_add_collective(ProgramCopy *c, const OpSpec *spec, int32_t output, int32_t input);

#endif
