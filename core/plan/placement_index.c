// SPDX-License-Identifier: MIT
// The rules of operations whose arithmetic depends on where an element lies in the whole tensor.
#include "core/plan/placement_rules.h"

Status along_check_index(const Along *a, int i, Placement dimension) {
    if (i >= a->op->inputs || placement_equal(along_input(a, i), dimension)) return OK;
    return along_refuse_input(a, i, "it is not the index of what this rank has");
}

// An element's number is that of its place in the whole, which begins at the first row.
Status placement_rule_dropout(const Along *a) {
    Placement x = along_input(a, 0), first = along_input(a, 3);
    if (!placement_is_whole(x) && !placement_is_cut(x, 0))
        return along_refuse_input(a, 0, "the mask is drawn for whole rows");
    for (int i = 1; i < 3; i++)
        if (!placement_is_whole(along_input(a, i)))
            return along_refuse_input(a, i, "all ranks draw from one stream");
    if (placement_is_cut(x, 0) != (first.place == PLACE_DIFFERS))
        return along_refuse_input(a, 3, "it is not where the rows begin");
    return along_write(a, 0, x);
}
