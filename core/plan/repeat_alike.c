// SPDX-License-Identifier: MIT
// Are micro-batches 1 and 2 of each shard alike? What each has is compared place by place: equal,
// or the same thing of its own. So what led from 1 to 2 leads from 2 to 3. Read repeat_compare() at
// the end first.
#include "core/plan/repeat_internal.h"

#include <string.h>

// --- what belongs to micro-batches 1 and 2

static Status init(Repeat *r, RepeatTable *t, int count) {
    *t = (RepeatTable){.count = count,
                       .owner = ARENA_NEW(&r->arena, int32_t, count + 1),
                       .ordinal = ARENA_NEW(&r->arena, int32_t, count + 1),
                       .length = ARENA_NEW(&r->arena, int32_t, count + 1),
                       .list = ARENA_NEW(&r->arena, int32_t, count + 1),
                       .first = ARENA_NEW(&r->arena, int32_t, 2 * r->shards + 2),
                       .place = ARENA_NEW(&r->arena, int32_t, count + 1)};
    if (!t->owner || !t->ordinal || !t->length || !t->list || !t->first || !t->place)
        FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", r->plan->op_count);
    for (int i = 0; i < count; i++) t->owner[i] = REPEAT_UNUSED;
    return OK;
}

static void note(RepeatTable *t, int thing, int32_t owner) {
    int32_t *known = &t->owner[thing];
    *known = *known == REPEAT_UNUSED || *known == owner ? owner : REPEAT_SHARED;
}

static int32_t owner_of(int shard, int micro_batch) {
    return micro_batch == 1 || micro_batch == 2 ? 2 * shard + micro_batch - 1 : REPEAT_SHARED;
}

// Once owners are known: lists, ordinals, and how many things of an owner lie together.
static Status sort(Repeat *r, RepeatTable *t) {
    int owners = 2 * r->shards;
    int32_t *next = ARENA_NEW(&r->arena, int32_t, owners + 1);
    if (!next) FAIL(ERR_MEMORY, "out of memory for %d shards", r->shards);
    for (int i = 0; i < t->count; i++)
        if (t->owner[i] >= 0) t->first[t->owner[i] + 1]++;
    for (int k = 0; k < owners; k++) t->first[k + 1] += t->first[k];
    for (int k = 0; k < owners; k++) next[k] = t->first[k];
    for (int i = 0; i < t->count; i++) {
        int32_t owner = t->owner[i];
        if (owner < 0) continue;
        t->ordinal[i] = next[owner] - t->first[owner];
        t->list[next[owner]++] = i;
    }
    for (int i = 0, end; i < t->count; i = end) {
        for (end = i; end < t->count && t->owner[end] == t->owner[i];) end++;
        for (int k = i; k < end; k++) t->length[k] = end - i;
    }
    return OK;
}

// The operations of a micro-batch are those from its load up to the next one's.
static Status find_ops(Repeat *r) {
    int32_t owner = REPEAT_SHARED;
    TRY(init(r, &r->ops, r->plan->op_count));
    for (int i = 0; i < r->plan->op_count; i++) {
        const Op *op = &r->plan->ops[i];
        if (kind_loads(op_kind(r->p, op))) owner = owner_of(op->shard, op->micro_batch);
        r->ops.owner[i] = owner;
    }
    return sort(r, &r->ops);
}

static void note_tensors(Repeat *r, const Plan *plan, const Op *op, int32_t owner) {
    for (int k = 0; k < op->outputs + op->inputs; k++)
        note(&r->tensors, op_outputs(plan, op)[k], owner);
    if (op->guard != NONE) note(&r->tensors, op->guard, owner);
}

// What only one micro-batch uses; what nothing uses, if it says so. A tensor comes behind those
// that it refers to.
static Status find_tensors(Repeat *r) {
    const Program *p = r->p;
    TRY(init(r, &r->tensors, p->tensor_count));
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            note_tensors(r, &p->plans[k], &p->plans[k].ops[i],
                         &p->plans[k] == r->plan ? r->ops.owner[i] : REPEAT_SHARED);
    for (int i = p->tensor_count - 1; i >= 0; i--) {
        const Tensor *t = &p->tensors[i];
        int32_t *owner = &r->tensors.owner[i];
        if (*owner == REPEAT_UNUSED) *owner = owner_of(t->shard, t->micro_batch);
        if (t->extent != NONE) note(&r->tensors, t->extent, *owner);
        if (t->alias != NONE) note(&r->tensors, t->alias, *owner);
    }
    return sort(r, &r->tensors);
}

// Logical tensors of which only one micro-batch of one shard has pieces: its number of rows.
static Status find_logicals(Repeat *r) {
    const Program *p = r->p;
    TRY(init(r, &r->logicals, p->logical_count));
    for (int t = 0; t < p->tensor_count; t++)
        note(&r->logicals, p->tensors[t].logical, r->tensors.owner[t]);
    return sort(r, &r->logicals);
}

// Work that only one micro-batch does: it is named after a tensor of that.
static Status find_works(Repeat *r) {
    const Program *p = r->p;
    TRY(init(r, &r->works, p->work_count));
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            note(&r->works, p->plans[k].ops[i].work,
                 &p->plans[k] == r->plan ? r->ops.owner[i] : REPEAT_SHARED);
    return sort(r, &r->works);
}

// Nothing that copies would not have: explicit dependencies, fused operations.
static bool is_plain(const Repeat *r) {
    if (r->p->lowered || r->plan->member_count) return false;
    for (int d = 0; d < r->plan->dep_count; d++)
        if (r->plan->deps[d].kind != DEP_DATA) return false;
    for (int t = 0; t < r->p->tensor_count; t++)
        if (r->p->tensors[t].shard < 0 || r->p->tensors[t].shard >= r->shards) return false;
    return true;
}

// --- are they alike?

// Two indices mean the same: one thing that both have, or the same thing of each; or NONE.
static bool same_thing(const RepeatTable *t, int one, int two) {
    if (one == two) return true;
    return one >= 0 && two >= 0 && repeat_is_copied(t, two) && repeat_twin(t, two) == one;
}

static bool same_number(int one, int two) { return one == two || (one == 1 && two == 2); }

// Names differ in the number of the micro-batch only, which is a digit.
static bool same_name(const Program *p, int32_t one, int32_t two) {
    const char *a = program_name(p, one), *b = program_name(p, two);
    bool differ = false;
    for (; *a && *b; a++, b++) {
        if (*a != *b && (*a != '1' || *b != '2')) return false;
        differ |= *a != *b;
    }
    return !*a && !*b && differ;
}

// What a tensor says besides its name, its number and other things of the program.
static bool same_piece(const Tensor *a, const Tensor *b) {
    for (int k = 0; k < AXES; k++)
        if (!placement_equal(a->placement[k], b->placement[k])) return false;
    return !memcmp(a->shape, b->shape, sizeof a->shape) && a->bytes == b->bytes &&
           a->offset == b->offset && a->extent_times == b->extent_times && a->shard == b->shard &&
           a->dtype == b->dtype && a->role == b->role && a->dims == b->dims && a->pool == b->pool &&
           a->source == b->source && a->result == b->result && a->source_axes == b->source_axes;
}

static bool same_tensor(const Repeat *r, int one, int two) {
    const Tensor *a = &r->p->tensors[one], *b = &r->p->tensors[two];
    return same_name(r->p, a->name, b->name) && same_thing(&r->logicals, a->logical, b->logical) &&
           same_thing(&r->tensors, a->extent, b->extent) &&
           same_thing(&r->tensors, a->alias, b->alias) &&
           same_number(a->micro_batch, b->micro_batch) && same_piece(a, b);
}

static bool same_logical(const Repeat *r, int one, int two) {
    const Logical *a = &r->p->logicals[one], *b = &r->p->logicals[two];
    return same_name(r->p, a->name, b->name) && !memcmp(a->shape, b->shape, sizeof a->shape) &&
           a->tied_to == b->tied_to && a->fan_in == b->fan_in && a->normal == b->normal &&
           a->constant == b->constant && a->init == b->init && a->dims == b->dims &&
           a->dtype == b->dtype && a->role == b->role && a->trainable == b->trainable;
}

static bool same_work(const Repeat *r, int one, int two) {
    Work a = r->p->works[one];
    const Work *b = &r->p->works[two];
    if (!same_name(r->p, a.name, b->name) || a.attr_count != b->attr_count) return false;
    for (int k = 0; k < a.attr_count; k++)
        if (work_attr(r->p, &a, k) != work_attr(r->p, b, k)) return false;
    a.name = b->name;
    a.attr_first = b->attr_first;
    return !memcmp(&a, b, sizeof a);
}

static bool same_op(const Repeat *r, int one, int two) {
    const Op *a = &r->plan->ops[one], *b = &r->plan->ops[two];
    if (!same_thing(&r->works, a->work, b->work) || a->outputs != b->outputs ||
        a->inputs != b->inputs || a->lane != b->lane || a->flags != b->flags ||
        a->shard != b->shard || !same_number(a->micro_batch, b->micro_batch) ||
        !same_thing(&r->tensors, a->guard, b->guard))
        return false;
    for (int k = 0; k < a->outputs + a->inputs; k++)
        if (!same_thing(&r->tensors, op_outputs(r->plan, a)[k], op_outputs(r->plan, b)[k]))
            return false;
    return true;
}

// Do both have as many things, and in runs of one length each?
static bool same_runs(const RepeatTable *t, int shards) {
    for (int s = 0; s < shards; s++) {
        const int32_t *first = &t->first[2 * s];
        if (first[1] - first[0] != first[2] - first[1]) return false;
        for (int k = 0; k < first[1] - first[0]; k++)
            if (t->length[t->list[first[0] + k]] != t->length[t->list[first[1] + k]]) return false;
    }
    return true;
}

static bool all_same(const Repeat *r, const RepeatTable *t,
                     bool (*same)(const Repeat *r, int one, int two)) {
    for (int i = 0; i < t->count; i++)
        if (repeat_is_copied(t, i) && !same(r, repeat_twin(t, i), i)) return false;
    return true;
}

static bool is_alike(const Repeat *r) {
    const RepeatTable *all[] = {&r->ops, &r->tensors, &r->logicals, &r->works};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!same_runs(all[i], r->shards)) return false;
    return all_same(r, &r->tensors, same_tensor) && all_same(r, &r->logicals, same_logical) &&
           all_same(r, &r->works, same_work) && all_same(r, &r->ops, same_op);
}

Status repeat_compare(Repeat *r, bool *alike) {
    *alike = false;
    for (int i = 0; i < r->plan->op_count; i++)
        if (r->plan->ops[i].shard >= r->shards) r->shards = r->plan->ops[i].shard + 1;
    if (!is_plain(r)) return OK;
    TRY(find_ops(r));
    TRY(find_tensors(r));
    TRY(find_logicals(r));
    TRY(find_works(r));
    *alike = is_alike(r);
    return OK;
}
