// SPDX-License-Identifier: MIT
// Copies of micro-batch 2, in the places that the others would have had. Read program_repeat() at
// the end first.
#include "core/plan/repeat.h"

#include "core/base/array.h"
#include "core/plan/build_internal.h"
#include "core/plan/repeat_internal.h"

#include <stdlib.h>

enum { NAME = 320 };

// --- places

// Each thing goes where it is, further back by the copies before it: of what lies together of
// micro-batch 2 copies lie behind the last. How many things there are then.
static int find_places(const Repeat *r, const RepeatTable *t) {
    int next = 0;
    for (int i = 0; i < t->count; i++) {
        t->place[i] = next++;
        bool last = i + 1 == t->count || t->owner[i + 1] != t->owner[i];
        if (last && repeat_is_copied(t, i)) next += r->copies * t->length[i];
    }
    return next;
}

// Where the copy of a thing of micro-batch 2 for micro-batch m goes.
static int copy_place(const RepeatTable *t, int two, int m) {
    return t->place[two] + (m - 2) * t->length[two];
}

// What micro-batch m has in the place of one thing of micro-batches 1 and 2, or of two.
static int32_t place_of(const RepeatTable *t, int32_t one, int32_t two, int m) {
    if (two == NONE) return NONE;
    return one == two ? t->place[two] : copy_place(t, two, m);
}

// A number, written without an end; how many digits.
static int write_number(char *out, int number) {
    char digits[12];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    for (int i = 0; i < count; i++) out[i] = digits[count - 1 - i];
    return count;
}

// The name of micro-batch 2 with another number.
static Status renumber(Program *p, int32_t one, int32_t two, int m, int32_t *out) {
    const char *a = program_name(p, one), *b = program_name(p, two);
    char name[NAME + 16];
    int length = 0;
    for (; *a && length < NAME; a++, b++) {
        if (*a == *b)
            name[length++] = *a;
        else
            length += write_number(name + length, m);
    }
    name[length] = 0;
    return program_add_name(p, name, out);
}

// --- tables

static Status copy_tensor(Repeat *r, int two, int m, Tensor *out) {
    const Tensor *b = &r->p->tensors[two], *a = &r->p->tensors[repeat_twin(&r->tensors, two)];
    *out = *b;
    out->logical = place_of(&r->logicals, a->logical, b->logical, m);
    out->extent = place_of(&r->tensors, a->extent, b->extent, m);
    out->alias = place_of(&r->tensors, a->alias, b->alias, m);
    if (a->micro_batch != b->micro_batch) out->micro_batch = m;
    r->p->tensor_bytes += b->bytes;
    return renumber(r->p, a->name, b->name, m, &out->name);
}

static Status fill_tensors(Repeat *r, Tensor *out) {
    const RepeatTable *t = &r->tensors;
    for (int i = 0; i < t->count; i++) {
        Tensor *tensor = &out[t->place[i]];
        *tensor = r->p->tensors[i];
        tensor->logical = r->logicals.place[tensor->logical];
        if (tensor->extent != NONE) tensor->extent = t->place[tensor->extent];
        if (tensor->alias != NONE) tensor->alias = t->place[tensor->alias];
        for (int m = REPEAT_MADE; repeat_is_copied(t, i) && m < REPEAT_MADE + r->copies; m++)
            TRY(copy_tensor(r, i, m, &out[copy_place(t, i, m)]));
    }
    return OK;
}

static Status grow_tensors(Repeat *r, int count) {
    Program *p = r->p;
    Tensor *grown = NULL;
    int capacity = 0;
    TRY(ARRAY_RESERVE(grown, capacity, count + 1));
    Status s = fill_tensors(r, grown);
    free(p->tensors);
    p->tensors = grown;
    p->tensor_count = count;
    p->tensor_capacity = capacity;
    return s;
}

static Status fill_logicals(Repeat *r, Logical *out) {
    const RepeatTable *t = &r->logicals;
    for (int i = 0; i < t->count; i++) {
        const Logical *l = &r->p->logicals[i];
        out[t->place[i]] = *l;
        if (l->tied_to != NONE) out[t->place[i]].tied_to = t->place[l->tied_to];
        for (int m = REPEAT_MADE; repeat_is_copied(t, i) && m < REPEAT_MADE + r->copies; m++) {
            Logical *copy = &out[copy_place(t, i, m)];
            *copy = out[t->place[i]];
            TRY(renumber(r->p, r->p->logicals[repeat_twin(t, i)].name, l->name, m, &copy->name));
        }
    }
    return OK;
}

static Status grow_logicals(Repeat *r, int count) {
    Program *p = r->p;
    Logical *grown = NULL;
    int capacity = 0;
    TRY(ARRAY_RESERVE(grown, capacity, count + 1));
    Status s = fill_logicals(r, grown);
    free(p->logicals);
    p->logicals = grown;
    p->logical_count = count;
    p->logical_capacity = capacity;
    return s;
}

static Status fill_works(Repeat *r, Work *out) {
    const RepeatTable *t = &r->works;
    for (int i = 0; i < t->count; i++) {
        const Work *w = &r->p->works[i];
        out[t->place[i]] = *w;
        for (int m = REPEAT_MADE; repeat_is_copied(t, i) && m < REPEAT_MADE + r->copies; m++) {
            Work *copy = &out[copy_place(t, i, m)];
            *copy = *w;
            TRY(renumber(r->p, r->p->works[repeat_twin(t, i)].name, w->name, m, &copy->name));
        }
    }
    return OK;
}

static Status grow_works(Repeat *r, int count) {
    Program *p = r->p;
    Work *grown = NULL;
    int capacity = 0;
    TRY(ARRAY_RESERVE(grown, capacity, count + 1));
    Status s = fill_works(r, grown);
    free(p->works);
    p->works = grown;
    p->work_count = count;
    p->work_capacity = capacity;
    return s == OK ? build_index_works(p) : s;
}

static void name_things(Program *p) {
    for (int t = 0; t < p->tensor_count; t++) program_named(p, p->tensors[t].name)->tensor = t;
    for (int l = p->logical_count - 1; l >= 0; l--)
        program_named(p, p->logicals[l].name)->logical = l;
}

// --- plans

// Append an operation of the plan to `out`. one, two: it in micro-batches 1 and 2, or twice itself.
static void copy_op(const Repeat *r, Plan *out, const Op *one, const Op *two, int m) {
    Op *op = &out->ops[out->op_count++];
    *op = *two;
    op->operand_first = out->operand_count;
    op->dep_first = op->dep_count = 0;
    op->work = place_of(&r->works, one->work, two->work, m);
    op->guard = place_of(&r->tensors, one->guard, two->guard, m);
    if (one->micro_batch != two->micro_batch) op->micro_batch = m;
    for (int k = 0; k < op->outputs + op->inputs; k++)
        out->operands[out->operand_count++] =
            place_of(&r->tensors, op_outputs(r->plan, one)[k], op_outputs(r->plan, two)[k], m);
}

static void fill_step(const Repeat *r, Plan *out) {
    const RepeatTable *t = &r->ops;
    const Op *ops = r->plan->ops;
    for (int i = 0; i < t->count; i++) {
        copy_op(r, out, &ops[i], &ops[i], 0);
        bool last = i + 1 == t->count || t->owner[i + 1] != t->owner[i];
        if (!last || !repeat_is_copied(t, i)) continue;
        for (int m = REPEAT_MADE; m < REPEAT_MADE + r->copies; m++)
            for (int k = i + 1 - t->length[i]; k <= i; k++)
                copy_op(r, out, &ops[repeat_twin(t, k)], &ops[k], m);
    }
}

static Status grow_step(Repeat *r, int ops, int operands) {
    Plan *plan = r->plan, grown = {.name = plan->name, .when = plan->when};
    TRY(ARRAY_RESERVE(grown.ops, grown.op_capacity, ops + 1));
    Status s = ARRAY_RESERVE(grown.operands, grown.operand_capacity, operands + 1);
    if (s != OK) {
        free(grown.ops);
        return s;
    }
    fill_step(r, &grown);
    free(plan->ops);
    free(plan->operands);
    free(plan->deps);
    free(plan->members);
    *plan = grown;
    return OK;
}

static void renumber_plan(const Repeat *r, Plan *plan) {
    for (int k = 0; k < plan->operand_count; k++)
        plan->operands[k] = r->tensors.place[plan->operands[k]];
    for (int i = 0; i < plan->op_count; i++) {
        plan->ops[i].work = r->works.place[plan->ops[i].work];
        if (plan->ops[i].guard != NONE) plan->ops[i].guard = r->tensors.place[plan->ops[i].guard];
    }
}

// --- the whole

// Operands of all operations, or -1: there would be more things or bytes than a program may have,
// of which whoever makes them one by one is told.
static int64_t count_operands(const Repeat *r) {
    const RepeatTable *t = &r->ops;
    int64_t ops = 0, operands = 0, tensors = 0;
    __int128 bytes = 0;
    for (int i = 0; i < t->count; i++) {
        int64_t times = 1 + (repeat_is_copied(t, i) ? r->copies : 0);
        ops += times;
        operands += times * (r->plan->ops[i].outputs + r->plan->ops[i].inputs);
    }
    for (int i = 0; i < r->tensors.count; i++) {
        int64_t times = 1 + (repeat_is_copied(&r->tensors, i) ? r->copies : 0);
        tensors += times;
        bytes += (__int128)times * r->p->tensors[i].bytes;
    }
    bool few = ops < BUILD_ITEMS_MAX && operands < BUILD_ITEMS_MAX && tensors < BUILD_ITEMS_MAX;
    return few && bytes <= BUILD_BYTES_MAX ? operands : -1;
}

static Status repeat(Repeat *r, bool *all) {
    Program *p = r->p;
    bool alike = false;
    if (r->copies > 0) TRY(repeat_compare(r, &alike));
    if (!alike) return OK;
    int64_t operands = count_operands(r);
    if (operands < 0) return OK;
    int tensors = find_places(r, &r->tensors), logicals = find_places(r, &r->logicals),
        works = find_places(r, &r->works), ops = find_places(r, &r->ops);
    *all = true;
    TRY(grow_tensors(r, tensors));
    TRY(grow_logicals(r, logicals));
    TRY(grow_works(r, works));
    name_things(p);
    for (int k = 0; k < p->plan_count; k++)
        if (&p->plans[k] != r->plan) renumber_plan(r, &p->plans[k]);
    return grow_step(r, ops, (int)operands);
}

Status program_repeat(Program *p, int micro_batches, bool *all) {
    int step = program_find_when(p, WHEN_EACH_STEP, 0);
    *all = false;
    if (step == NONE) return OK;
    Repeat r = {.p = p, .plan = &p->plans[step], .copies = micro_batches - REPEAT_MADE - 1};
    Status s = repeat(&r, all);
    arena_finish(&r.arena);
    return s;
}
