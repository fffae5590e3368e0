// SPDX-License-Identifier: MIT
// A rank's own slice of a tensor that it has whole: where the next operation takes pieces, nothing
// has to be sent. An index says which places of dimension `dim` are this rank's.
//   y[outer, i, inner] = x[outer, index[i], inner], and 0 where index[i] is -1: nobody's place
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_slice)(const KernelCall *call) {
    const Operand *from = input(call, 0), *to = output(call, 0);
    const real *x = input_data(call, 0);
    const int64_t *index = input_data(call, 1);
    real *y = output_data(call, 0);
    int dim = (int)call->attr[0];
    int64_t outer = operand_rows(from), inner = 1, N = to->shape[dim];
    for (int d = 1; d < dim; d++) outer *= from->shape[d];
    for (int d = dim + 1; d < from->dims; d++) inner *= from->shape[d];
    size_t bytes = (size_t)inner * sizeof *x;
    for (int64_t o = 0; o < outer; o++, x += from->shape[dim] * inner)
        for (int64_t i = 0; i < N; i++, y += inner)
            if (index[i] < 0)
                memset(y, 0, bytes);
            else
                memcpy(y, &x[index[i] * inner], bytes);
}
