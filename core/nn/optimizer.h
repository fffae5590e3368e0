// SPDX-License-Identifier: MIT
// The rule by which a step changes the weights.
#ifndef CORE_NN_OPTIMIZER_H
#define CORE_NN_OPTIMIZER_H

#include <stdbool.h>

typedef enum { OPTIMIZER_SGD } OptimizerKind;

// SGD as PyTorch's: g' = g + weight_decay w; v = momentum v + g'; w -= lr v, or with nesterov
// w -= lr (g' + momentum v).
typedef struct {
    OptimizerKind kind;
    double momentum, weight_decay;
    bool nesterov;
} Optimizer;

#endif
