// SPDX-License-Identifier: MIT
// Loss scaling (Micikevicius et al., "Mixed Precision Training", ICLR 2018): the gradient of the
// loss is multiplied by a power of two, so that small gradients stay above what a type of two bytes
// can tell from 0, and clip.c takes it out again. Dynamic, as torch.amp.GradScaler has it: a step
// whose gradients are not finite is skipped and halves the scale; `every` good ones double it. It
// stays between 1, below which it could only lose digits, and 2^127, the largest that f32 has.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_scale)(const KernelCall *call) {
    double *y = output_data(call, 0);
    const double *x = input_data(call, 0);
    *y = *x * loss_scale(call, 1, 0);
}

void NAME(reference_rescale)(const KernelCall *call) {
    double *scale = output_data(call, 0);
    int64_t *good = output_data(call, 1);
    const double *finite = input_data(call, 0);
    *good = *finite != 0 ? *good + 1 : 0;
    if (*finite == 0) *scale = fmax(1, *scale / 2);
    if (*good < call->attr[0]) return;
    *good = 0;
    *scale = fmin(0x1p127, *scale * 2);
}
