// SPDX-License-Identifier: MIT
// Indices of what a rank has: operations whose arithmetic depends on where an element lies in the
// whole tensor get them where that is cut (placement_index.c), masks of dropout and rotary
// positions. Begin with split_index().
#include "core/plan/piece.h"
#include "core/plan/placement_rules.h"
#include "parallel/strategy/split_internal.h"

#include <stdio.h>
#include <string.h>

enum { TABLE_INDEX = 2, ROTARY_INDEX = 1, DROPOUT_INDEX = 4, DROPOUT_ROW = 2, DROPOUT_INNER = 3 };

// An index of the program that is made, of so many elements that lie so.
static int find_index(const Program *p, int64_t elements, const Placement place[AXES]) {
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].source == SCALAR_INDEX &&
            p->logicals[p->tensors[t].logical].shape[0] == elements &&
            !memcmp(p->tensors[t].placement, place, AXES * sizeof *place))
            return t;
    return NONE;
}

// Along each axis cut as that dimension, or whole.
Status split_index_of(Split *x, int tensor, int dim, Placement along, int32_t *out) {
    const Tensor *t = &x->from->tensors[tensor];
    Placement place[AXES] = {PLACEMENT_REPLICATED};
    int64_t elements = x->from->logicals[t->logical].shape[dim];
    for (int a = 0; a < x->from->axis_count; a++) {
        Placement how = a == x->axis ? along : t->placement[a];
        place[a] = placement_is_cut(how, dim) ? placement_moved(how, 0) : PLACEMENT_REPLICATED;
    }
    int index = find_index(x->to, elements, place);
    if (index == NONE) {
        char name[32];
        snprintf(name, sizeof name, "index.%d", x->to->tensor_count);
        TRY(piece_add_index(x->to, name, elements, place, &index));
    }
    *out = index;
    return OK;
}

static Status index_of(Split *x, int tensor, int dim, int32_t *out) {
    return split_index_of(x, tensor, dim, *split_now(x, &x->state, tensor), out);
}

static Status index_mask(Split *x, int tensor, int64_t *attrs, int32_t *inputs, int *count) {
    const Logical *whole = &x->from->logicals[x->from->tensors[tensor].logical];
    attrs[DROPOUT_ROW] = attrs[DROPOUT_INNER] = 1;
    for (int d = 1; d < whole->dims; d++) attrs[DROPOUT_ROW] *= whole->shape[d];
    for (int d = 2; d < whole->dims; d++) attrs[DROPOUT_INNER] *= whole->shape[d];
    *count = DROPOUT_INDEX + (whole->dims == 3 ? 2 : 1);
    for (int i = DROPOUT_INDEX; i < *count; i++)
        TRY(index_of(x, tensor, i - DROPOUT_INDEX + 1, &inputs[i]));
    return OK;
}

Status split_index(Split *x, const Op *op, int64_t *attrs, int32_t *inputs, int *count) {
    Kind kind = op_kind(x->from, op);
    bool mask = kind == KIND_DROPOUT || kind == KIND_DROPOUT_BACKWARD,
         turn = kind == KIND_ROTARY || kind == KIND_ROTARY_BACKWARD,
         table = x->numbers && (kind == KIND_POSITIONS || kind == KIND_POSITIONS_BACKWARD);
    if (!mask && !turn && !table) return OK;
    int tensor = op_inputs(x->plan, op)[0];
    Placement how = *split_now(x, &x->state, tensor);
    if (mask && (placement_is_cut(how, 1) || placement_is_cut(how, 2)))
        return index_mask(x, tensor, attrs, inputs, count);
    if (mask || !placement_is_cut(how, 1)) return OK;
    int at =
        kind == KIND_POSITIONS ? TABLE_INDEX : ROTARY_INDEX;  // backward, the table is no input
    *count = at + 1;
    return index_of(x, tensor, 1, &inputs[at]);
}
