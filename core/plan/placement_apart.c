// SPDX-License-Identifier: MIT
// The rules of rows in pieces, x (B,T,C) and parts (P,Q,B,R), between which an all-to-all changes
// what is cut ("DeepSpeed Ulysses", Jacobs et al. 2023). Ranks that have some positions have the
// Q-th part of each of P groups of heads: of parts dimension 1 is cut. Ranks that have some heads
// have all Q parts of one group: dimension 0 is cut.
#include "core/plan/placement_rules.h"

enum { GROUPS, PARTS, ROWS, POSITIONS = 1, HEADS = 2 };

// The dimension of x that is cut where `dim` is taken apart, and that of its parts.
static int cut_of_x(const Along *a) {
    int64_t dim = work_attr(a->p, op_work(a->p, a->op), 0);
    return dim == HEADS ? POSITIONS : HEADS;
}
static int cut_of_parts(const Along *a) { return cut_of_x(a) == POSITIONS ? PARTS : GROUPS; }

static Status judge(const Along *a, int from, int to, int rows_from, int rows_to) {
    Placement x = along_input(a, 0);
    bool plain = x.cut == CUT_CONTIGUOUS && !x.shift;
    TRY(along_refuse_partial(a));
    if (placement_is_cut(x, rows_from)) return along_write(a, 0, placement_moved(x, rows_to));
    if (placement_is_cut(x, from) && plain) return along_write(a, 0, placement_moved(x, to));
    if (placement_is_whole(x)) return along_write(a, 0, x);
    return along_refuse_input(a, 0, "it may be cut by rows, or along what is exchanged");
}

Status placement_rule_apart(const Along *a) {
    return judge(a, cut_of_x(a), cut_of_parts(a), 0, ROWS);
}

Status placement_rule_together(const Along *a) {
    return judge(a, cut_of_parts(a), cut_of_x(a), ROWS, 0);
}
