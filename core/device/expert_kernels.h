// SPDX-License-Identifier: MIT
// The kernels of mixtures of experts (core/plan/expert.h), which every device that computes has:
// a part of its list of kernels.
#ifndef CORE_DEVICE_EXPERT_KERNELS_H
#define CORE_DEVICE_EXPERT_KERNELS_H

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

#endif
