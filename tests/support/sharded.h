// SPDX-License-Identifier: MIT
// Sharded training written by hand, for tests: tensor-parallel pairs of linear layers, and ZeRO-3.
#ifndef TESTS_SUPPORT_SHARDED_H
#define TESTS_SUPPORT_SHARDED_H

#include "core/nn/model.h"

// A pair of linear layers over the axis "tensor": the first is cut by columns of its output, the
// second by rows of its input and has no bias (Shoeybi et al., Megatron-LM, 2019). The partial sums
// are all-reduced behind the second layer, and before the first in the backward pass.
typedef struct {
    const char *column, *between, *row;  // layers; between: the one of elements
    int ranks;
} TensorPair;
Status tensor_parallel_program(Program *out, const Model *m, const StepSpec *spec,
                               const TensorPair *pair);

// Parameters, gradients and updates in flat shards of blocks of `block` elements over the axis
// "data"; parameters are gathered before a pass (Rajbhandari et al., ZeRO, 2020, stage 3).
Status zero3_program(Program *out, const Model *m, const StepSpec *spec, int block);

#endif
