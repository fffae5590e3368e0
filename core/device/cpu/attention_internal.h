// SPDX-License-Identifier: MIT
// What attention and attention in blocks share on the cpu device: one head of one row at a time.
#ifndef CORE_DEVICE_CPU_ATTENTION_INTERNAL_H
#define CORE_DEVICE_CPU_ATTENTION_INTERNAL_H

#include "core/device/attention.h"
#include "core/device/cpu/cpu_internal.h"

// Scratch of a block of scores, and what each of its queries has of them.
typedef struct {
    real *s, *most, *sum;
    int64_t row;
} AttentionForward;

// What the backward reads, scratch of a block of probabilities and their gradients, delta of every
// position of the head, and where gradients are added.
typedef struct {
    const real *dy, *lse;
    real *p, *ds;
    real *delta;  // (T)
    int64_t row;
    AttentionGradients g;
} AttentionBackward;

// Of a call whose scratch is that of T positions.
AttentionForward NAME(cpu_attention_forward)(const KernelCall *call, int64_t T);
AttentionBackward NAME(cpu_attention_backward_of)(const KernelCall *call, int64_t T,
                                                  AttentionGradients g);

// The block of queries that begins at t: y, and lse unless it is NULL. `goes_on`: they have
// attended to other keys before, of which y and lse are.
void NAME(cpu_attend)(const Attention *a, AttentionHead at, int64_t t, const AttentionForward *f,
                      bool goes_on, real *y, real *lse);

// delta of all positions of a head; and with it all of them, adding to the gradients.
void NAME(cpu_attention_delta)(const Attention *a, AttentionHead at, const real *y,
                               const AttentionBackward *f);
void NAME(cpu_attend_backward)(const Attention *a, AttentionHead at, const AttentionBackward *f);

#endif
