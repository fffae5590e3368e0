// SPDX-License-Identifier: MIT
// Clipping by the norm of all gradients together (Pascanu et al., ICML 2013), as
// torch.nn.utils.clip_grad_norm_: factor = min(1, max_norm / (norm + 1e-6)). The squares are added
// in f64, in blocks of KIND_SUM_BLOCK elements of a gradient, and these in their order, so that the
// norm does not depend on who holds which blocks (docs/contract.md, 6). A rank that holds a share
// of the blocks leaves zeros in the place of the others: a sum over ranks is exact then.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_square_sums)(const KernelCall *call) {
    double *partial = output_data(call, 0);
    const real *gradient = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    memset(partial, 0, (size_t)output(call, 0)->shape[0] * sizeof *partial);
    partial += call->first_block;
    for (int64_t begin = 0; begin < n; begin += KIND_SUM_BLOCK) {
        int64_t end = n - begin < KIND_SUM_BLOCK ? n : begin + KIND_SUM_BLOCK;
        double sum = 0;
        for (int64_t i = begin; i < end; i++) sum += (double)gradient[i] * (double)gradient[i];
        partial[begin / KIND_SUM_BLOCK] = sum;
    }
}

void NAME(reference_add_blocks)(const KernelCall *call) {
    double *sum = output_data(call, 0);
    const double *partial = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    double total = call->accumulate ? *sum : 0;
    for (int64_t b = 0; b < n; b++) total += partial[b];
    *sum = total;
}

// With max_norm 0 nothing is clipped. A norm that is no number clips nothing either. Gradients of a
// scaled loss (loss_scale.c) are that much larger: the norm is that without the scale, and the
// factor takes the scale out, which loses no bit of a gradient, as it is a power of two.
void NAME(reference_clip)(const KernelCall *call) {
    double *norm = output_data(call, 0), *factor = output_data(call, 1),
           *finite = output_data(call, 2);
    const double *square_sum = input_data(call, 0), *loss = input_data(call, 1);
    double most = attr_as_real(call, 0), scale = loss_scale(call, 2, 1);
    *norm = sqrt(*square_sum) / scale;
    double clipped = most / (*norm + 1e-6);
    *factor = (most > 0 && clipped < 1 ? clipped : 1) / scale;
    *finite = isfinite(*norm) && isfinite(loss[0]) ? 1 : 0;
}
