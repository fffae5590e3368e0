// SPDX-License-Identifier: MIT
// Rows in pieces, as an all-to-all sends them: heads or positions of all rows, one member's after
// the other's (Jacobs et al., "DeepSpeed Ulysses", arXiv:2309.14509).
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

// Pieces of dimension `dim` (1 or 2) one after the other, each with all rows: parts[p][b] holds the
// elements of row b whose index in that dimension is in its p-th part.
typedef struct {
    int64_t rows, pieces, before, inner;  // before: elements of dimensions between rows and `dim`
    int64_t capacity;                     // rows that a piece has room for
} Pieces;

static Pieces pieces_of(const KernelCall *call, const Operand *x, const Operand *parts) {
    Pieces p = {.rows = operand_rows(x),
                .pieces = parts->shape[0] * parts->shape[1],
                .before = call->attr[0] == 2 ? x->shape[1] : 1,
                .capacity = parts->shape[2]};
    p.inner = x->shape[1] * x->shape[2] / p.before / p.pieces;
    return p;
}

// Where the elements of piece p at place m of row b begin, in parts and in x.
static int64_t in_parts(const Pieces *s, int64_t p, int64_t b, int64_t m) {
    return ((p * s->capacity + b) * s->before + m) * s->inner;
}
static int64_t in_whole(const Pieces *s, int64_t p, int64_t b, int64_t m) {
    return ((b * s->before + m) * s->pieces + p) * s->inner;
}

void NAME(reference_apart)(const KernelCall *call) {
    const Pieces s = pieces_of(call, input(call, 0), output(call, 0));
    real *parts = output_data(call, 0);
    const real *x = input_data(call, 0);
    for (int64_t p = 0; p < s.pieces; p++)
        for (int64_t b = 0; b < s.rows; b++)
            for (int64_t m = 0; m < s.before; m++)
                memcpy(&parts[in_parts(&s, p, b, m)], &x[in_whole(&s, p, b, m)],
                       (size_t)s.inner * sizeof *x);
}

void NAME(reference_together)(const KernelCall *call) {
    const Pieces s = pieces_of(call, output(call, 0), input(call, 0));
    real *x = output_data(call, 0);
    const real *parts = input_data(call, 0);
    for (int64_t p = 0; p < s.pieces; p++)
        for (int64_t b = 0; b < s.rows; b++)
            for (int64_t m = 0; m < s.before; m++)
                memcpy(&x[in_whole(&s, p, b, m)], &parts[in_parts(&s, p, b, m)],
                       (size_t)s.inner * sizeof *x);
}
