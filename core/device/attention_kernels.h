// SPDX-License-Identifier: MIT
// The kernels of attention, as the tables of devices list them: X(kind, name). The formulas are in
// attention.h, attention_block.h and attention_matrix.h.
#ifndef CORE_DEVICE_ATTENTION_KERNELS_H
#define CORE_DEVICE_ATTENTION_KERNELS_H

#define ATTENTION_KERNELS(X)                                  \
    X(ATTENTION, attention)                                   \
    X(ATTENTION_BACKWARD, attention_backward)                 \
    X(ATTENTION_PACKED, attention)                            \
    X(ATTENTION_PACKED_BACKWARD, attention_backward)          \
    X(ATTENTION_SCORES, attention_scores)                     \
    X(ATTENTION_SCORES_BACKWARD, attention_scores_backward)   \
    X(ATTENTION_SOFTMAX, attention_softmax)                   \
    X(ATTENTION_SOFTMAX_BACKWARD, attention_softmax_backward) \
    X(ATTENTION_VALUES, attention_values)                     \
    X(ATTENTION_VALUES_BACKWARD, attention_values_backward)   \
    X(ATTENTION_BLOCK, attention_block)                       \
    X(ATTENTION_BLOCK_BACKWARD, attention_block_backward)

#endif
