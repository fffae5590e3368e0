// SPDX-License-Identifier: MIT
// What is the same for all elements of an update by Adam, for the kernels of every device. The
// formulas are in adam.c.
#ifndef CORE_DEVICE_REFERENCE_ADAM_H
#define CORE_DEVICE_REFERENCE_ADAM_H

#include "core/device/kernel.h"

#include <math.h>

typedef struct {
    double beta1, beta2, eps;
    double factor;           // of a clipped gradient, else 1
    double penalty;          // of Adam, times the weight, added to the gradient
    double shrink;           // of AdamW: what the weight is multiplied with; else 1
    double step_size;        // learning_rate / (1 - beta1^t)
    double root_correction;  // sqrt(1 - beta2^t)
} AdamTerms;

// Of a call of KIND_ADAM.
static inline AdamTerms adam_terms(const KernelCall *call) {
    double rate = *(const double *)input_data(call, 1);
    double step = (double)*(const int64_t *)input_data(call, 2);
    double beta1 = attr_as_real(call, 0), beta2 = attr_as_real(call, 1);
    double decay = attr_as_real(call, 3);
    int64_t decoupled = call->attr[4];
    return (AdamTerms){.beta1 = beta1,
                       .beta2 = beta2,
                       .eps = attr_as_real(call, 2),
                       .factor = clip_factor(call, 3),
                       .penalty = decoupled ? 0 : decay,
                       .shrink = decoupled ? 1 - rate * decay : 1,
                       .step_size = rate / (1 - pow(beta1, step)),
                       .root_correction = sqrt(1 - pow(beta2, step))};
}

#endif
