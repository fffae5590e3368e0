// SPDX-License-Identifier: MIT
// The rules of rows in pieces, x (B,T,C) and parts (P,Q,B,R), between which an all-to-all changes
// what is cut ("DeepSpeed Ulysses", Jacobs et al. 2023). Ranks that have some positions have the
// Q-th part of each of P groups of heads: of parts dimension 1 is cut. Ranks that have some heads
// have all Q parts of one group: dimension 0 is cut. Tensor parallelism divides the heads before:
// along its axis dimension 2 of x and 3 of parts are cut, and the exchanged heads are S2:inner.
#include "core/plan/placement_rules.h"

enum { GROUPS, PARTS, ROWS, REST, POSITIONS = 1, HEADS = 2 };

static int64_t dim_of(const Along *a) { return work_attr(a->p, op_work(a->p, a->op), 0); }

// The dimension of x that is cut where `dim` is taken apart, and that of its parts.
static int cut_of_x(const Along *a) { return dim_of(a) == HEADS ? POSITIONS : HEADS; }
static int cut_of_parts(const Along *a) { return cut_of_x(a) == POSITIONS ? PARTS : GROUPS; }

// Does another axis cut this dimension of the input, too, after others or before them?
static bool other_cuts(const Along *a, int dim, bool inner) {
    const Placement *x = &a->state[op_inputs(a->plan, a->op)[0] * AXES];
    for (int i = 0; i < a->p->axis_count; i++)
        if (i != a->axis && placement_is_cut(x[i], dim) && x[i].inner == inner) return true;
    return false;
}

static bool is_plain(Placement x) { return x.cut == CUT_CONTIGUOUS && !x.shift; }

static Status refuse(const Along *a) {
    return along_refuse_input(a, 0, "it may be cut by rows, or along what is exchanged");
}

Status placement_rule_apart(const Along *a) {
    Placement x = along_input(a, 0), parts;
    TRY(along_refuse_partial(a));
    if (placement_is_whole(x)) return along_write(a, 0, x);
    if (placement_is_cut(x, 0)) return along_write(a, 0, placement_moved(x, ROWS));
    if (!is_plain(x)) return refuse(a);
    bool before = cut_of_x(a) == POSITIONS || (!x.inner && other_cuts(a, HEADS, true));
    if (placement_is_cut(x, HEADS) && before) return along_write(a, 0, placement_moved(x, REST));
    if (!placement_is_cut(x, cut_of_x(a))) return refuse(a);
    parts = placement_moved(x, cut_of_parts(a));
    parts.inner = 0;
    return along_write(a, 0, parts);
}

Status placement_rule_together(const Along *a) {
    Placement parts = along_input(a, 0), x;
    TRY(along_refuse_partial(a));
    if (placement_is_whole(parts)) return along_write(a, 0, parts);
    if (placement_is_cut(parts, ROWS)) return along_write(a, 0, placement_moved(parts, 0));
    if (!is_plain(parts)) return refuse(a);
    if (placement_is_cut(parts, REST)) return along_write(a, 0, placement_moved(parts, HEADS));
    if (!placement_is_cut(parts, cut_of_parts(a))) return refuse(a);
    x = placement_moved(parts, cut_of_x(a));
    x.inner = cut_of_x(a) == HEADS && other_cuts(a, REST, false);
    return along_write(a, 0, x);
}
