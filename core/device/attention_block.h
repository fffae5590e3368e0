// SPDX-License-Identifier: MIT
// Attention of a rank's queries to one block of keys and values, for sequences that are cut over
// the ranks of a ring (Liu et al., "Ring Attention with Blockwise Transformers", 2023). `queries`
// and `keys` say where in the whole sequence the positions of both are (source=index), and a causal
// mask follows from that: in a zigzag, a piece has two intervals of the sequence, the c-th from the
// front and the c-th from the back, so that all ranks have as many pairs of a query and a key
// that it sees.
//
// Forward, y and lse of earlier blocks (y', lse') become those of all (Milakov and Gimelshein,
// "Online normalizer calculation for softmax", 2018):
//   lse = log(exp(lse') + sum_j exp(s[t,j]))
//   y   = exp(lse' - lse) y' + sum_j exp(s[t,j] - lse) v[j]
// which is y' - sigma(lse_b - lse') (y' - y_b) with y_b, lse_b of the block alone. The backward has
// the formulas of core/device/attention.h with lse of all keys; dq is added to, where it is an
// input, and dk and dv are what these queries give to the block.
#ifndef CORE_DEVICE_ATTENTION_BLOCK_H
#define CORE_DEVICE_ATTENTION_BLOCK_H

#include "core/device/attention.h"

// What a call goes on from: input i, which may be output o itself, is what the output holds before
// the call adds to it. False without such an input.
static inline bool attention_goes_on(const KernelCall *call, int o, int i) {
    const void *before = input_data(call, i);
    size_t bytes = (size_t)live_elements(output(call, o)) * sizeof(real);
    if (before && before != output_data(call, o)) memcpy(output_data(call, o), before, bytes);
    return before;
}

static inline void attention_zero(const KernelCall *call, int o) {
    memset(output_data(call, o), 0, (size_t)live_elements(output(call, o)) * sizeof(real));
}

// The gradients of a backward call on a block, ready to be added to.
static inline AttentionGradients attention_block_gradients(const KernelCall *call) {
    if (!attention_goes_on(call, 0, 8)) attention_zero(call, 0);
    attention_zero(call, 1);
    attention_zero(call, 2);
    return (AttentionGradients){output_data(call, 0), output_data(call, 1), output_data(call, 2)};
}

#endif
