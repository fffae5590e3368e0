// SPDX-License-Identifier: MIT
// Weights of experts, which files have one by one, as Hugging Face's Mixtral does, and a program in
// one tensor: of A.experts.w1.weight (E,F,C) a file has A.experts.0.w1.weight (F,C) to that of
// E - 1. So it is with what an optimiser keeps of them.
#ifndef CORE_DATA_SAFETENSORS_EXPERTS_H
#define CORE_DATA_SAFETENSORS_EXPERTS_H

#include "core/data/safetensors.h"

#include <stdbool.h>

// Tensors of three dimensions with ".experts." in their names become one for each expert; others
// stay as they are. Into the arena; data stay where they are. ERR_MEMORY.
Status safetensors_split_experts(SafetensorsEntry **out, int *out_count, Arena *a,
                                 const SafetensorsEntry *entries, int count) MUST_USE;

// Put the experts of those tensors together that are wanted, by the name of the whole. Data that
// follow one another stay where they are, others are copied into the arena. ERR_FORMAT with names:
// an expert that is not there, or whose type or shape is not that of the first; ERR_MEMORY.
Status safetensors_join_experts(Safetensors *s, Arena *a,
                                bool (*wanted)(const void *context, const char *whole),
                                const void *context) MUST_USE;

#endif
