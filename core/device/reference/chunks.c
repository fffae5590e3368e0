// SPDX-License-Identifier: MIT
// A tensor in another order: cut along dimension `dim` into W pieces, one whole piece after the
// other. So a collective that takes and gives consecutive memory sends pieces of any dimension. On
// a rank that has one piece W is 1, and nothing changes places.
//   chunks[w, (outer, i, inner)] = x[outer, w L + i, inner], L = shape[dim] / W
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

typedef struct {
    int64_t W, outer, live, run;  // live: of the outer ones, those of rows in use; run: L inner
} Chunks;

static Chunks chunks_of(const KernelCall *call, const Operand *x, const Operand *chunks) {
    Chunks c = {.W = chunks->shape[0], .outer = 1, .live = operand_rows(x), .run = 1};
    int dim = (int)call->attr[0];
    for (int d = 0; d < dim; d++) c.outer *= x->shape[d];
    for (int d = 1; d < dim; d++) c.live *= x->shape[d];
    for (int d = dim; d < x->dims; d++) c.run *= x->shape[d];
    c.run /= c.W;
    return c;
}

// Rows that are not in use are zeros: sums over ranks are of numbers.
void NAME(reference_to_chunks)(const KernelCall *call) {
    const Chunks c = chunks_of(call, input(call, 0), output(call, 0));
    const real *x = input_data(call, 0);
    real *chunks = output_data(call, 0);
    size_t bytes = (size_t)c.run * sizeof *x;
    for (int64_t w = 0; w < c.W; w++)
        for (int64_t o = 0; o < c.outer; o++, chunks += c.run)
            if (o < c.live)
                memcpy(chunks, &x[(o * c.W + w) * c.run], bytes);
            else
                memset(chunks, 0, bytes);
}

void NAME(reference_from_chunks)(const KernelCall *call) {
    const Chunks c = chunks_of(call, output(call, 0), input(call, 0));
    real *x = output_data(call, 0);
    const real *chunks = input_data(call, 0);
    for (int64_t w = 0; w < c.W; w++)
        for (int64_t o = 0; o < c.live; o++)
            memcpy(&x[(o * c.W + w) * c.run], &chunks[(w * c.outer + o) * c.run],
                   (size_t)c.run * sizeof *x);
}
