// SPDX-License-Identifier: MIT
// Placements as types (GSPMD, Xu et al. 2021; DTensor): from how the inputs of an operation lie
// along a mesh axis follows how its outputs do, or that it may not be done. Each axis is judged by
// itself, by the rule that KIND_LIST names for the kind.
#ifndef CORE_PLAN_PLACEMENT_RULES_H
#define CORE_PLAN_PLACEMENT_RULES_H

#include "core/plan/program.h"

// An operation and one axis, of more than one rank, along which it is judged.
typedef struct {
    const Program *p;
    const Plan *plan;
    const Op *op;
    int axis;
    Placement *state;  // [tensor * AXES + axis]: how tensors lie now; rules write those of outputs
    bool infers;       // outputs lie as the rule says, whatever their tensors declare
    bool numbers;      // with that: tables whose rows are positions will have an index beside them
} Along;

// The rule of the operation's kind, and what holds for all kinds about values that are each rank's
// own. ERR_PLAN as the rules.
Status placement_judge(const Along *a) MUST_USE;

// May a view of another shape lie as its memory does: is that cut along a dimension before which
// all are equal, and which is the same in both or all that is left in the view?
bool placement_fits_view(Placement how, const Tensor *of, const Tensor *view);

// The rules, one per name in KIND_LIST. ERR_PLAN, naming plan, operation, tensor, axis and cause.
#define X(constant, name, class, rule, flops, attributes, operands) \
    Status placement_rule_##rule(const Along *a) MUST_USE;
KIND_LIST(X)
#undef X

// How input i and output o lie now; an input that is not there is replicated.
Placement along_input(const Along *a, int i);
Placement along_output(const Along *a, int o);

// Is output o one of the inputs too, so that its placement may change?
bool along_in_place(const Along *a, int o);

// Output o, where there is one, now lies so. Its declared placement must say so too, unless it is
// written in place, added to what lies so already, or inferred; it may say less: that a value is
// each rank's own (D), or that only whoever executes this program has it (O).
Status along_write(const Along *a, int o, Placement want) MUST_USE;

// Do members of a group differ along an axis?
bool placement_group_varies(const Program *p, int group, int axis);

Status along_refuse_input(const Along *a, int i, const char *why) MUST_USE;
Status along_refuse_output(const Along *a, int o, const char *why) MUST_USE;

// Refuse an input that is a partial sum or maximum.
Status along_refuse_partial(const Along *a) MUST_USE;

// Input i, if there is one, is the index of a dimension of which this rank has a part
// (source=index), and lies as that does.
Status along_check_index(const Along *a, int i, Placement dimension) MUST_USE;

static inline bool placement_is_whole(Placement p) { return p.place == PLACE_REPLICATE; }

// Is it cut along this dimension; or along one of those before it, by rows or positions?
static inline bool placement_is_cut(Placement p, int dim) {
    return p.place == PLACE_SHARD && p.cut != CUT_FLAT && p.dim == dim;
}
static inline bool placement_is_cut_before(Placement p, int dim) {
    return p.place == PLACE_SHARD && p.cut != CUT_FLAT && p.dim < dim;
}

// The same cut of another dimension.
static inline Placement placement_moved(Placement p, int dim) {
    p.dim = (uint8_t)dim;
    return p;
}

#endif
