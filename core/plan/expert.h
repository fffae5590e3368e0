// SPDX-License-Identifier: MIT
// Mixtures of experts: what the plan, the layer and the kernels agree on (Lepikhin et al.,
// "GShard", 2020; Fedus et al., "Switch Transformers", 2021; Jiang et al., "Mixtral", 2024).
//
// A router gives each token probabilities over E experts; the token is sent to the K most probable
// (of equal ones to the first). Each expert has a queue, in the order of the tokens, with room for
// `capacity` of them; what comes later is dropped: it is not computed, and its gate is 0.
// `slot` says of each of a token's K choices where it is: at place p of expert e's queue it is
// p E + e; of a choice of expert e that was dropped it is -1 - e.
// Tensors of slots are (P,E,S,..): P pieces of the batch (one before tokens are exchanged between
// ranks), E experts, S slots. load (P,E) says how many of them are in use; the rest are 0.
#ifndef CORE_PLAN_EXPERT_H
#define CORE_PLAN_EXPERT_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

// Places in the queue of each expert: factor K tokens / E, rounded up, and no more than there are
// tokens, since a token chooses an expert once. What exceeds a whole number by less than 1e-9 is
// the rounding of a product such as 1.1 · 10.
static inline int64_t expert_capacity(double factor, int64_t K, int64_t tokens, int64_t E) {
    double room = ceil(factor * (double)K * (double)tokens / (double)E - 1e-9);
    return room < (double)tokens ? (int64_t)room : tokens;
}

static inline bool expert_keeps(int32_t slot) { return slot >= 0; }
static inline int64_t expert_of(int32_t slot, int64_t E) { return slot < 0 ? -1 - slot : slot % E; }
static inline int64_t expert_place(int32_t slot, int64_t E) { return slot / E; }

// A row of counts, for each layer of experts: what its balance adds to the loss, choices that were
// dropped, then those of each expert.
enum { EXPERT_BALANCE, EXPERT_DROPPED, EXPERT_CHOSEN };

#endif
