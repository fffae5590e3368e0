// SPDX-License-Identifier: MIT
// A tensor in another order: cut along dimension `dim` into W pieces, one whole piece after the
// other. So a collective that takes and gives consecutive memory sends pieces of any dimension. On
// a rank that has one piece W is 1, and nothing changes places.
//   chunks[w, (outer, i, inner)] = x[outer, begin(w) + i, inner], i < length(w)
// Pieces are shares (share.h), which may be uneven: all have the room of the largest. Where `dim`
// has sections side by side, such as query, key and value, a piece is a share of each.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"
#include "core/plan/share.h"

typedef struct {
    int64_t outer, live, inner;  // live: of the outer ones, those of rows in use
    int64_t size, sections;      // of the dimension
    Shares cut;                  // of a section
} Chunks;

static Chunks chunks_of(const KernelCall *call, const Operand *x, const Operand *chunks) {
    int dim = (int)call->attr[0];
    Chunks c = {.outer = 1, .live = operand_rows(x), .inner = 1, .size = x->shape[dim]};
    c.sections = call->attr[1] ? call->attr[1] : 1;
    c.cut = (Shares){.elements = c.size / c.sections, .count = (int)chunks->shape[0]};
    for (int d = 0; d < dim; d++) c.outer *= x->shape[d];
    for (int d = 1; d < dim; d++) c.live *= x->shape[d];
    for (int d = dim + 1; d < x->dims; d++) c.inner *= x->shape[d];
    return c;
}

// Where piece w of a section begins in x, and its bytes.
static int64_t place_in_x(const Chunks *c, int64_t outer, int64_t section, int64_t w) {
    int64_t at = section * c->cut.elements + share_begin(c->cut, w);
    return (outer * c->size + at) * c->inner;
}

// Zeros in rows that are not in use, and in the room that a smaller piece leaves: sums over ranks
// are of numbers.
void NAME(reference_to_chunks)(const KernelCall *call) {
    const Chunks c = chunks_of(call, input(call, 0), output(call, 0));
    const real *x = input_data(call, 0);
    real *chunks = output_data(call, 0);
    int64_t room = c.sections * share_capacity(c.cut) * c.inner;
    for (int64_t w = 0; w < c.cut.count; w++)
        for (int64_t o = 0; o < c.outer; o++, chunks += room) {
            int64_t run = o < c.live ? share_elements(c.cut, w) * c.inner : 0;
            for (int64_t s = 0; s < c.sections && run; s++)
                memcpy(&chunks[s * run], &x[place_in_x(&c, o, s, w)], (size_t)run * sizeof *x);
            memset(&chunks[c.sections * run], 0, (size_t)(room - c.sections * run) * sizeof *x);
        }
}

void NAME(reference_from_chunks)(const KernelCall *call) {
    const Chunks c = chunks_of(call, output(call, 0), input(call, 0));
    real *x = output_data(call, 0);
    const real *chunks = input_data(call, 0);
    int64_t room = c.sections * share_capacity(c.cut) * c.inner;
    for (int64_t w = 0; w < c.cut.count; w++) {
        int64_t run = share_elements(c.cut, w) * c.inner;
        for (int64_t o = 0; o < c.live && run; o++)
            for (int64_t s = 0; s < c.sections; s++)
                memcpy(&x[place_in_x(&c, o, s, w)], &chunks[(w * c.outer + o) * room + s * run],
                       (size_t)run * sizeof *x);
    }
}
