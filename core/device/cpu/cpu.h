// SPDX-License-Identifier: MIT
// The fast device for CPUs: convolution as matrix products (BLAS) on one image at a time, so that
// its columns stay in the cache, with ReLU and pooling applied before they leave it. One thread;
// results depend on shapes and on the instruction set that BLAS dispatches to.
#ifndef CORE_DEVICE_CPU_CPU_H
#define CORE_DEVICE_CPU_CPU_H

#include "core/device/attention_kernels.h"
#include "core/device/expert_kernels.h"
#include "core/device/kernel.h"

// Tables of the same kernels, compiled for every processor, and for those with AVX2: the bits of
// their results are equal.
extern const Device device_cpu, device_cpu_avx2;

// Tell the BLAS to use one thread; the fastest table that this processor can run.
const Device *cpu_choose(void);

void cpu_copy(const KernelCall *c);  // of any type and instruction set

// Device.reserve: take the BLAS's memory for so many threads. ERR_MEMORY says what to do.
Status cpu_reserve(int threads) MUST_USE;

#define CPU_KERNELS(X)                                        \
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
    X(TO_BF16, to_bf16)                                       \
    X(FROM_BF16, from_bf16)                                   \
    X(TO_F16, to_f16)                                         \
    X(FROM_F16, from_f16)                                     \
    X(FEED_ERROR, feed_error)                                 \
    X(KEEP_ERROR, keep_error)                                 \
    X(LOW_RANK_LEFT, low_rank_left)                           \
    X(LOW_RANK_RIGHT, low_rank_right)                         \
    X(LOW_RANK_REST, low_rank_rest)                           \
    X(LOW_RANK_WHOLE, low_rank_whole)                         \
    X(ORTHOGONALISE, orthogonalise)                           \
    X(TOP_K, top_k)                                           \
    X(SPREAD, spread)                                         \
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

#define CPU_FUSIONS(X)                                \
    X(CONV2D_RELU_MAX_POOL, conv2d_relu_max_pool)     \
    X(CONV2D_RELU, conv2d_relu)                       \
    X(LINEAR_RELU, linear_relu)                       \
    X(POOLED_CONV2D_BACKWARD, pooled_conv2d_backward) \
    X(CONV2D_BACKWARD, conv2d_backward)               \
    X(LAYER_NORM_BACKWARD, layer_norm_backward)

#define X(constant, name)                            \
    void cpu_##name##_f32(const KernelCall *c);      \
    void cpu_##name##_f64(const KernelCall *c);      \
    void cpu_##name##_f32_avx2(const KernelCall *c); \
    void cpu_##name##_f64_avx2(const KernelCall *c);
CPU_KERNELS(X)
CPU_FUSIONS(X)
#undef X

#endif
