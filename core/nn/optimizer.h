// SPDX-License-Identifier: MIT
// The rule by which a step changes the weights, as torch.optim has it: SGD, Adam and AdamW, whose
// formulas are in core/device/reference/sgd.c and adam.c.
#ifndef CORE_NN_OPTIMIZER_H
#define CORE_NN_OPTIMIZER_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { OPTIMIZER_SGD, OPTIMIZER_ADAM, OPTIMIZER_ADAMW } OptimizerKind;

// Of SGD momentum and nesterov count, of the others the betas and eps. Zeroed it is plain SGD.
typedef struct {
    OptimizerKind kind;
    double momentum;
    bool nesterov;
    double beta1, beta2, eps;
    double weight_decay;  // of AdamW apart from the gradient; of the others an L2 penalty
    double clip;          // the norm of all gradients that is not exceeded; 0: none
    bool skip_nan;        // a step whose loss or norm is not finite changes nothing
    // A power of two by which the loss's gradient is multiplied; 0: none. With a scale_every it is
    // the first one: so many good steps double it, and one that is skipped halves it.
    double loss_scale;
    int64_t scale_every;
    bool decay_all;  // AdamW's decay also of tensors of one dimension: biases, norms
} Optimizer;

#endif
