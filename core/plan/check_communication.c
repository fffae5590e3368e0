// SPDX-License-Identifier: MIT
// What a communication needs whoever executes it: a peer and a tag that there are, parts that can
// be added, operands apart from each other. Communicators rely on it, and comm_check() looks at
// what depends on their memory.
#include "core/plan/check_internal.h"
#include "core/plan/group.h"
#include "core/plan/piece.h"
#include "core/plan/share.h"

#include <stdlib.h>

#define REFUSE(fmt, ...) \
    FAIL(ERR_PLAN, "plan %s: %s: " fmt, program_name(p, plan->name), op_name(p, op), __VA_ARGS__)

Status check_communication_lanes(const Program *p) {
    int count = 0;
    for (int l = 0; l < p->lane_count; l++) count += p->lanes[l].kind == LANE_COMMUNICATION;
    if (count > COMMUNICATION_LANES)
        FAIL(ERR_PLAN, "%d lanes of communication, a program has %d at most", count,
             COMMUNICATION_LANES);
    return OK;
}

static Status check_peer(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = op_work(p, op);
    int size = group_size(p, w->group);
    const char *group = program_name(p, p->groups[w->group].name);
    if (!work_is_message(w)) {
        if (w->peer < 0 || w->peer >= size)
            REFUSE("peer=%d is no member of group %s, whose %d are 0 to %d", w->peer, group, size,
                   size - 1);
        return OK;
    }
    if (w->peer % size == 0)
        REFUSE("peer=%d in group %s of %d is the rank itself", w->peer, group, size);
    int64_t tag = work_attr(p, w, 0);
    if (tag < 0 || tag >= MESSAGE_TAGS)
        REFUSE("tag=%lld; tags are 0 to %d", (long long)tag, MESSAGE_TAGS - 1);
    return OK;
}

static Status check_sides(const Program *p, const Plan *plan, const Op *op) {
    Kind kind = op_kind(p, op);
    if (op->inputs && (kind == KIND_RECEIVE || kind == KIND_BARRIER))
        REFUSE("has %d inputs; %s is %s", op->inputs, kind_name(kind), kind_operands(kind));
    if (op->outputs && (kind == KIND_SEND || kind == KIND_BARRIER))
        REFUSE("has %d outputs; %s is %s", op->outputs, kind_name(kind), kind_operands(kind));
    return OK;
}

// Members bring the same number of inputs in each part, which are added up element by element.
static Status check_parts(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = op_work(p, op);
    const char *dtype = dtype_name((Dtype)w->dtype);
    bool reduces = kind_reduces(work_kind(w));
    if (reduces ? w->dtype == DTYPE_U8 : w->parts > 1)
        REFUSE("%s cannot fold %d parts of %s", kind_name(work_kind(w)), w->parts, dtype);
    if (reduces && dtype_is_half((Dtype)w->dtype) && w->algorithm != ALGORITHM_DIRECT &&
        group_size(p, w->group) > 1)
        REFUSE("%s would round %s sums at every rank; direct rounds them once",
               algorithm_name((Algorithm)w->algorithm), dtype);
    if (op->inputs % w->parts) REFUSE("%d inputs are not %d parts", op->inputs, w->parts);
    int each = op->inputs / w->parts;
    int64_t first = 0;
    for (int part = 0; part < w->parts; part++) {
        int64_t elements = 0;
        for (int i = 0; i < each; i++)
            elements += tensor_elements(&p->tensors[op_inputs(plan, op)[part * each + i]]);
        if (!part) first = elements;
        if (elements != first)
            REFUSE("part %d has %lld elements, part 0 has %lld", part, (long long)elements,
                   (long long)first);
    }
    return OK;
}

// --- shares

// One tensor of what is cut, or put together. A share has room for the largest of them; how much of
// it is in use follows from the position.
static Status check_shares(const Program *p, const Plan *plan, const Op *op, int64_t in,
                           int64_t out) {
    const Work *w = op_work(p, op);
    bool gathers = w->kind == KIND_ALL_GATHER;
    int64_t size = group_size(p, w->group), want;
    const Shares cut = {.elements = gathers ? out : in, .unit = w->unit, .count = (int)size};
    int64_t room = share_capacity(cut);
    if (gathers ? in == room : out == room) return OK;
    if (!gathers)
        want = room;
    else if (__builtin_mul_overflow(in, size, &want) || want == out)
        want = NONE;
    REFUSE("%s of %lld elements in %d part%s over %lld ranks writes %lld, not %lld",
           kind_name(work_kind(w)), (long long)(in * w->parts), w->parts, w->parts == 1 ? "" : "s",
           (long long)size, (long long)want, (long long)out);
}

// Each output is of one input of every part.
static Status check_cut(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = op_work(p, op);
    const int32_t *in = op_inputs(plan, op), *out = op_outputs(plan, op);
    if (op->inputs != op->outputs * w->parts)
        REFUSE("%s of %d inputs in %d part%s has %d outputs, not one for each input of a part",
               kind_name(work_kind(w)), op->inputs, w->parts, w->parts == 1 ? "" : "s",
               op->outputs);
    for (int i = 0; i < op->inputs; i++)
        TRY(check_shares(p, plan, op, tensor_elements(&p->tensors[in[i]]),
                         tensor_elements(&p->tensors[out[i % op->outputs]])));
    return OK;
}

// --- operands apart from each other

// An operand by its memory; place: outputs, then inputs.
typedef struct {
    int32_t root, place;
} Operand;

static int by_root(const void *left, const void *right) {
    const Operand *a = left, *b = right;
    if (a->root != b->root) return a->root < b->root ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

// A rank's own share inside the whole: an all-gather completes the whole around it, and a
// reduce-scatter leaves its sum there. That the collective cuts it so is asked of its placement.
static bool is_own_share(const Program *p, int share, int whole) {
    return p->tensors[share].alias == whole && piece_share_axes(p, &p->tensors[share]);
}

// What reduces or passes on the whole may do so in place, input by output. Of what cuts or gathers,
// only a view of this rank's share is in place at every rank.
static bool may_share(const Program *p, const Plan *plan, const Op *op, int output, int input) {
    const Work *w = op_work(p, op);
    const Tensor *in = &p->tensors[op_inputs(plan, op)[input]],
                 *out = &p->tensors[op_outputs(plan, op)[output]];
    if (w->kind == KIND_ALL_REDUCE || w->kind == KIND_BROADCAST || w->kind == KIND_REDUCE)
        return input == output && tensor_elements(in) == tensor_elements(out);
    bool single = op->inputs == 1 && op->outputs == 1;
    bool pair = op->inputs == op->outputs && output == input;
    int x = op_inputs(plan, op)[input], y = op_outputs(plan, op)[output];
    if (w->kind == KIND_ALL_GATHER && pair && is_own_share(p, x, y)) return true;
    if (w->kind == KIND_REDUCE_SCATTER && pair && is_own_share(p, y, x)) return true;
    return w->kind != KIND_ALL_TO_ALL && group_size(p, w->group) == 1 && single;
}

// Operands [0, count) are of one memory, outputs before inputs.
static Status check_memory(const Program *p, const Plan *plan, const Op *op, const Operand *of,
                           int count) {
    if (count < 2 || of[0].place >= op->outputs) return OK;
    const int32_t *operands = op_outputs(plan, op);
    const char *first = tensor_name(p, operands[of[0].place]);
    for (int i = 1; i < count; i++) {
        const char *other = tensor_name(p, operands[of[i].place]);
        if (of[i].place < op->outputs) REFUSE("its outputs %s and %s are one memory", first, other);
        if (!may_share(p, plan, op, of[0].place, of[i].place - op->outputs))
            REFUSE("output %s and input %s are one memory", first, other);
    }
    return OK;
}

static Status check_apart(const Program *p, const Plan *plan, const Op *op) {
    int count = op->outputs + op->inputs;
    Operand *all = calloc((size_t)count + 1, sizeof *all);
    if (!all) FAIL(ERR_MEMORY, "out of memory for checking a communication");
    for (int i = 0; i < count; i++) all[i] = (Operand){program_root(p, op_outputs(plan, op)[i]), i};
    qsort(all, (size_t)count, sizeof *all, by_root);
    Status s = OK;
    for (int i = 0, end; i < count && s == OK; i = end) {
        for (end = i + 1; end < count && all[end].root == all[i].root;) end++;
        s = check_memory(p, plan, op, &all[i], end - i);
    }
    free(all);
    return s;
}

Status check_communication(const Program *p, const Plan *plan, const Op *op) {
    TRY(check_sides(p, plan, op));
    TRY(check_peer(p, plan, op));
    TRY(check_parts(p, plan, op));
    if (kind_cuts(op_kind(p, op))) TRY(check_cut(p, plan, op));
    return check_apart(p, plan, op);
}
