// SPDX-License-Identifier: MIT
// The reference device: plain loops, the specification of every kernel.
//
// Letters: B rows in use, C channels in, K channels out, H W height and width, OH OW after a
// window. All tensors are in C order. Arithmetic is in the operands' type (of bf16 in f32, which
// widened.c explains) and in the order written: a sum runs over its indices as the loops are
// nested, and a parameter's gradient is the sum of each row by itself, folded over the rows, then
// written over what was there or added to it once (the left fold over micro-batches of
// docs/contract.md, 3). Rows beyond those in use are never touched.
#ifndef CORE_DEVICE_REFERENCE_REFERENCE_H
#define CORE_DEVICE_REFERENCE_REFERENCE_H

#include "core/device/device.h"
#include "core/device/attention_kernels.h"
#include "core/device/expert_kernels.h"

#define REFERENCE_KERNELS(X)                                  \
    X(CONV2D, conv2d)                                         \
    X(CONV2D_BACKWARD_INPUT, conv2d_backward_input)           \
    X(CONV2D_BACKWARD_WEIGHT, conv2d_backward_weight)         \
    X(LINEAR, linear)                                         \
    X(LINEAR_BACKWARD_INPUT, linear_backward_input)           \
    X(LINEAR_BACKWARD_WEIGHT, linear_backward_weight)         \
    X(CONV2D_BIAS, conv2d_bias)                               \
    X(LINEAR_BIAS, linear_bias)                               \
    X(RELU, relu)                                             \
    X(RELU_BACKWARD, relu_backward)                           \
    X(GELU, gelu)                                             \
    X(GELU_BACKWARD, gelu_backward)                           \
    X(ADAM, adam)                                             \
    X(INCREMENT, increment)                                   \
    X(SQUARE_SUMS, square_sums)                               \
    X(ADD_BLOCKS, add_blocks)                                 \
    X(CLIP, clip)                                             \
    X(SCALE, scale)                                           \
    X(RESCALE, rescale)                                       \
    X(GELU_TANH, gelu_tanh)                                   \
    X(GELU_TANH_BACKWARD, gelu_tanh_backward)                 \
    X(ADD, add)                                               \
    X(MAX_POOL, max_pool)                                     \
    X(MAX_POOL_BACKWARD, max_pool_backward)                   \
    X(AVG_POOL, avg_pool)                                     \
    X(AVG_POOL_BACKWARD, avg_pool_backward)                   \
    ATTENTION_KERNELS(X)                                      \
    X(UNPACK_QKV, unpack_qkv)                                 \
    X(PACK_QKV, pack_qkv)                                     \
    X(APART, apart)                                           \
    X(TOGETHER, together)                                     \
    X(EMBEDDING, embedding)                                   \
    X(EMBEDDING_BACKWARD, embedding_backward)                 \
    X(POSITIONS, positions)                                   \
    X(POSITIONS_BACKWARD, positions_backward)                 \
    X(SEGMENTS, segments)                                     \
    X(SEGMENTS_BACKWARD, segments_backward)                   \
    X(LAYER_NORM, layer_norm)                                 \
    X(LAYER_NORM_BACKWARD_INPUT, layer_norm_backward_input)   \
    X(LAYER_NORM_BACKWARD_WEIGHT, layer_norm_backward_weight) \
    X(RMS_NORM, rms_norm)                                     \
    X(RMS_NORM_BACKWARD_INPUT, rms_norm_backward_input)       \
    X(RMS_NORM_BACKWARD_WEIGHT, rms_norm_backward_weight)     \
    X(ROTARY, rotary)                                         \
    X(ROTARY_BACKWARD, rotary_backward)                       \
    X(SWIGLU, swiglu)                                         \
    X(SWIGLU_BACKWARD, swiglu_backward)                       \
    X(DROPOUT, dropout)                                       \
    X(DROPOUT_BACKWARD, dropout)                              \
    X(DROPOUT_MASK_BACKWARD, dropout_mask_backward)           \
    EXPERT_KERNELS(X)                                         \
    X(BATCH_NORM_STATISTICS, batch_norm_statistics)           \
    X(BATCH_NORM, batch_norm)                                 \
    X(BATCH_NORM_INFERENCE, batch_norm_inference)             \
    X(BATCH_NORM_REDUCE, batch_norm_reduce)                   \
    X(BATCH_NORM_BACKWARD_WEIGHT, batch_norm_backward_weight) \
    X(BATCH_NORM_BACKWARD_INPUT, batch_norm_backward_input)   \
    X(BATCH_NORM_UPDATE, batch_norm_update)                   \
    X(CROSS_ENTROPY, cross_entropy)                           \
    X(CROSS_ENTROPY_BACKWARD, cross_entropy_backward)         \
    X(VOCABULARY_MAX, vocabulary_max)                         \
    X(VOCABULARY_SUMS, vocabulary_sums)                       \
    X(VOCABULARY_LOSS, vocabulary_loss)                       \
    X(VOCABULARY_LOSS_BACKWARD, vocabulary_loss_backward)     \
    X(CONCATENATE, concatenate)                               \
    X(SLICE, slice)                                           \
    X(TO_CHUNKS, to_chunks)                                   \
    X(FROM_CHUNKS, from_chunks)                               \
    X(FOLD, fold)                                             \
    X(SGD, sgd)

// Of f32 and f64 alone: conversions, and what compresses gradients, which are never bf16.
#define REFERENCE_WIDE_KERNELS(X)     \
    X(TO_BF16, to_bf16)               \
    X(FROM_BF16, from_bf16)           \
    X(TO_F16, to_f16)                 \
    X(FROM_F16, from_f16)             \
    X(FEED_ERROR, feed_error)         \
    X(KEEP_ERROR, keep_error)         \
    X(LOW_RANK_LEFT, low_rank_left)   \
    X(LOW_RANK_RIGHT, low_rank_right) \
    X(LOW_RANK_REST, low_rank_rest)   \
    X(LOW_RANK_WHOLE, low_rank_whole) \
    X(ORTHOGONALISE, orthogonalise)   \
    X(TOP_K, top_k)                   \
    X(SPREAD, spread)

#define X(kind, name)                                    \
    void reference_##name##_f32(const KernelCall *call); \
    void reference_##name##_f64(const KernelCall *call);
REFERENCE_KERNELS(X)
REFERENCE_WIDE_KERNELS(X)
#undef X

void reference_widened(const KernelCall *call);  // of any kind in bf16

void reference_copy(const KernelCall *call);  // of any type

#endif
