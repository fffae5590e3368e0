// SPDX-License-Identifier: MIT
// The kernels of mixtures of experts (core/plan/expert.h), which every device that computes has:
// a part of its list of kernels; and where in the slots a token lies.
#ifndef CORE_DEVICE_EXPERT_KERNELS_H
#define CORE_DEVICE_EXPERT_KERNELS_H

#include "core/device/kernel.h"
#include "core/plan/expert.h"

#define EXPERT_KERNELS(X)                                           \
    X(ROUTE, route)                                                 \
    X(ROUTE_BACKWARD, route_backward)                               \
    X(BALANCE, balance)                                             \
    X(ADD_BALANCE, add_balance)                                     \
    X(COUNT_CHOICES, count_choices)                                 \
    X(DISPATCH, dispatch)                                           \
    X(DISPATCH_BACKWARD, dispatch_backward)                         \
    X(EXPERT_LINEAR, expert_linear)                                 \
    X(EXPERT_LINEAR_BACKWARD_INPUT, expert_linear_backward_input)   \
    X(EXPERT_LINEAR_BACKWARD_WEIGHT, expert_linear_backward_weight) \
    X(COMBINE, combine)                                             \
    X(COMBINE_BACKWARD, combine_backward)

// The element of slots (1,E,S,C) at which the row of a choice that was kept begins.
static inline int64_t expert_row(int32_t slot, const Operand *slots) {
    int64_t E = slots->shape[1], S = slots->shape[2], C = slots->shape[3];
    return (expert_of(slot, E) * S + expert_place(slot, E)) * C;
}

#endif
