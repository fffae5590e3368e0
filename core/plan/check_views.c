// SPDX-License-Identifier: MIT
// Memory that another tensor or operation trusts: views of it, its rows in use, and the places
// inside a window that a max_pool wrote down for its backward.
#include "core/plan/check_internal.h"
#include "core/plan/piece.h"

// An extent is a number, which the run or an operation writes.
static Status check_extent(const Program *p, const Tensor *t) {
    const Tensor *e = &p->tensors[t->extent];
    if (e->role != ROLE_SCALAR || e->dtype != DTYPE_I64 || tensor_elements(e) != 1)
        FAIL(ERR_PLAN, "tensor %s: its extent %s is not a scalar of one i64",
             program_name(p, t->name), program_name(p, e->name));
    return OK;
}

// A view has the type and the rows of what it views; scalars, which the host writes, have none.
static Status check_view(const Program *p, const Tensor *t) {
    const Tensor *of = &p->tensors[t->alias];
    const char *name = program_name(p, t->name), *base = program_name(p, of->name);
    if (t->role == ROLE_SCALAR || of->role == ROLE_SCALAR)
        FAIL(ERR_PLAN, "tensor %s: a view of %s, but a scalar has memory of its own", name, base);
    if (t->dtype != of->dtype)
        FAIL(ERR_PLAN, "tensor %s: %s, but a view of %s, which is %s", name,
             dtype_name((Dtype)t->dtype), base, dtype_name((Dtype)of->dtype));
    bool same_rows = t->extent == of->extent && tensor_room(t) == tensor_room(of) &&
                     (t->extent_times == of->extent_times || t->bytes == of->bytes);
    if (t->extent != of->extent || (t->extent != NONE && !same_rows))
        FAIL(ERR_PLAN, "tensor %s: its rows are not those of %s, which it views", name, base);
    return OK;
}

// A share inside the whole: the whole has memory of its own, is cut along no other axis than the
// share is, and has all rows in use. One cut makes it, so that piece_room() is enough.
static Status check_share(const Program *p, const Tensor *t, uint16_t axes) {
    const Tensor *of = &p->tensors[t->alias];
    const char *name = program_name(p, t->name), *base = program_name(p, of->name);
    int axis = __builtin_ctz(axes);
    if (of->alias != NONE)
        FAIL(ERR_PLAN, "tensor %s: a share inside %s, which is a view itself", name, base);
    if (of->extent != NONE)
        FAIL(ERR_PLAN, "tensor %s: a share inside %s, which has an extent", name, base);
    for (int a = 0; a < p->axis_count; a++) {
        bool reduced = placement_is_partial(of->placement[a]) &&
                       t->placement[a].place == PLACE_REPLICATE;  // in place, before
        bool alike = reduced || placement_equal(t->placement[a], of->placement[a]);
        bool flat = of->placement[a].place == PLACE_SHARD && of->placement[a].cut == CUT_FLAT;
        if (axes >> a & 1) alike = placement_equal(t->placement[a], t->placement[axis]);
        if (p->axes[a].size < 2 || (alike && !flat)) continue;
        FAIL(ERR_PLAN, "tensor %s: a share along %s inside %s, but along %s they do not lie alike",
             name, p->axes[axis].name, base, p->axes[a].name);
    }
    return OK;
}

// A view stays inside what it views.
static Status check_bounds(const Program *p, const Tensor *t) {
    const Tensor *of = &p->tensors[t->alias];
    uint16_t axes = piece_share_axes(p, t);
    if (axes) return check_share(p, t, axes);  // its shape follows from how it is cut
    if (t->bytes <= of->bytes) return OK;
    FAIL(ERR_PLAN, "tensor %s has %lld bytes, more than the %lld of %s, which it views",
         program_name(p, t->name), (long long)t->bytes, (long long)of->bytes,
         program_name(p, of->name));
}

// A tensor whose logical tensor is tied to another has that one's storage.
static Status check_tie(const Program *p, const Tensor *t) {
    const Logical *l = &p->logicals[t->logical];
    const char *name = program_name(p, t->name);
    if (l->tied_to != NONE && (t->alias == NONE || p->tensors[t->alias].logical != l->tied_to))
        FAIL(ERR_PLAN, "tensor %s: tied to %s, but no alias of it", name,
             program_name(p, p->logicals[l->tied_to].name));
    return OK;
}

Status check_views(const Program *p) {
    for (int t = 0; t < p->tensor_count; t++) {
        if (p->tensors[t].extent != NONE) TRY(check_extent(p, &p->tensors[t]));
        if (p->tensors[t].alias != NONE) {
            TRY(check_view(p, &p->tensors[t]));
            TRY(check_bounds(p, &p->tensors[t]));
        }
        TRY(check_tie(p, &p->tensors[t]));
    }
    return OK;
}

static bool writes(const Plan *plan, const Op *op, int tensor) {
    for (int o = 0; o < op->outputs; o++)
        if (op_outputs(plan, op)[o] == tensor) return true;
    return false;
}

// The max_pool that wrote an index: an operation, or a member of a fused one; NULL: another kind.
static const Op *find_pool(const Program *p, const Plan *plan, int by, int index) {
    const Op *op = &plan->ops[by];
    for (int i = 0; i < op->member_count; i++) {
        const Op *member = &plan->members[op->member_first + i];
        if (op_kind(p, member) == KIND_MAX_POOL && writes(plan, member, index)) return member;
    }
    return op_kind(p, op) == KIND_MAX_POOL && writes(plan, op, index) ? op : NULL;
}

enum { DX, DY, INDEX };     // operands of max_pool_backward
enum { Y, POOL_INDEX, X };  // of max_pool

Status check_pool_index(const Program *p, const Plan *plan, const Op *op, const int32_t *writer) {
    for (int i = 0; i < op->member_count; i++)
        TRY(check_pool_index(p, plan, &plan->members[op->member_first + i], writer));
    if (op_kind(p, op) != KIND_MAX_POOL_BACKWARD) return OK;
    const int32_t *operands = op_outputs(plan, op);
    int by = writer[program_root(p, operands[INDEX])];
    const Op *pool = by == NONE ? NULL : find_pool(p, plan, by, operands[INDEX]);
    if (!pool)
        FAIL(ERR_PLAN, "plan %s: %s: %s is not the index that a max_pool of this plan wrote",
             program_name(p, plan->name), op_name(p, op), tensor_name(p, operands[INDEX]));
    const Work *forward = op_work(p, pool), *backward = op_work(p, op);
    bool same = check_same_shape(&p->tensors[op_outputs(plan, pool)[X]], &p->tensors[operands[DX]]);
    for (int i = 0; i < backward->attr_count; i++)
        same = same && work_attr(p, forward, i) == work_attr(p, backward, i);
    if (!same)
        FAIL(
            ERR_PLAN,
            "plan %s: %s: kernel, stride, pad or shapes are not those of %s, which wrote its index",
            program_name(p, plan->name), op_name(p, op), op_name(p, pool));
    return OK;
}
