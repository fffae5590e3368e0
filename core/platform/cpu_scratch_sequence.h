// SPDX-License-Identifier: MIT
// Memory that the cpu device's kernels of sequences need during one call, laid out as that of
// core/platform/cpu_scratch.h.
#ifndef CORE_PLATFORM_CPU_SCRATCH_SEQUENCE_H
#define CORE_PLATFORM_CPU_SCRATCH_SEQUENCE_H

#include "core/platform/cpu_scratch.h"

// Attention over T positions, in blocks of so many queries and keys at most: the scores or
// probabilities of a block, and their gradients; of each query of the block the largest score and
// the sum; delta of every position. Blocks of keys begin where a block of queries does.
enum { ATTENTION_QUERIES = 64, ATTENTION_KEYS = 256 };
typedef struct {
    int64_t keys;  // in a row of p and ds
    int64_t p, ds, most, sum, delta, end;
} AttentionScratch;

static inline AttentionScratch attention_scratch(int64_t T, int64_t size) {
    AttentionScratch s = {.keys = T < ATTENTION_KEYS ? T : ATTENTION_KEYS};
    int64_t queries = T < ATTENTION_QUERIES ? T : ATTENTION_QUERIES;
    s.p = scratch_piece(&s.end, queries * s.keys, size);
    s.ds = scratch_piece(&s.end, queries * s.keys, size);
    s.most = scratch_piece(&s.end, queries, size);
    s.sum = scratch_piece(&s.end, queries, size);
    s.delta = scratch_piece(&s.end, T, size);
    return s;
}

// Cosines and sines of `half` pairs: of the first ROTARY_FINE positions and of the last multiple of
// ROTARY_FINE, and their frequencies, in f64; and of one position.
enum { ROTARY_FINE = 32 };
typedef struct {
    int64_t fine, coarse, frequency, cosine, sine, end;
} RotaryScratch;

static inline RotaryScratch rotary_scratch(int64_t half, int64_t size) {
    RotaryScratch s = {0};
    s.fine = scratch_piece(&s.end, 2 * ROTARY_FINE * half, sizeof(double));
    s.coarse = scratch_piece(&s.end, 2 * half, sizeof(double));
    s.frequency = scratch_piece(&s.end, half, sizeof(double));
    s.cosine = scratch_piece(&s.end, half, size);
    s.sine = scratch_piece(&s.end, half, size);
    return s;
}

// The gradient of a table of V tokens of C channels, from at most n uses: where the uses of each
// token end, the uses, and the sum of one token.
typedef struct {
    int64_t end_of_token, use, sum, end;
} EmbeddingScratch;

static inline EmbeddingScratch embedding_scratch(int64_t V, int64_t C, int64_t n, int64_t size) {
    EmbeddingScratch s = {0};
    s.end_of_token = scratch_piece(&s.end, V, sizeof(int32_t));
    s.use = scratch_piece(&s.end, n, sizeof(int32_t));
    s.sum = scratch_piece(&s.end, C, size);
    return s;
}

// The gradient of one expert's weight, C to K: its sum over pieces of the batch, and one of them.
typedef struct {
    int64_t sum, piece, end;
} ExpertScratch;

static inline ExpertScratch expert_scratch(int64_t C, int64_t K, int64_t size) {
    ExpertScratch s = {0};
    s.sum = scratch_piece(&s.end, K * C, size);
    s.piece = scratch_piece(&s.end, K * C, size);
    return s;
}

#endif
