// SPDX-License-Identifier: MIT
// Dependencies between the operations of a plan, and edits that keep them. Start reading at
// plan_derive_deps(). The dependencies of an operation lie next to each other in plan.deps, and
// those of all operations in plan order (compressed sparse rows): whoever adds many collects them
// first and merges them in one pass.
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/plan/build.h"

#include <stdlib.h>
#include <string.h>

static bool has_dep(const Plan *plan, const Op *op, int after, int distance) {
    for (int i = 0; i < op->dep_count; i++) {
        const Dep *d = &plan->deps[op->dep_first + i];
        if (d->op == after && d->distance == distance) return true;
    }
    return false;
}

static Status check_dep(const Plan *plan, int op, int after) {
    if (op >= 0 && op < plan->op_count && after >= 0 && after < plan->op_count) return OK;
    FAIL(ERR_PLAN, "a dependency of operation %d on %d, but there are %d", op, after,
         plan->op_count);
}

Status plan_add_dep(Plan *plan, int op, int after, DepKind kind, int distance) {
    TRY(check_dep(plan, op, after));
    if (has_dep(plan, &plan->ops[op], after, distance)) return OK;
    TRY(ARRAY_RESERVE(plan->deps, plan->dep_capacity, plan->dep_count + 1));
    int at = plan->ops[op].dep_first + plan->ops[op].dep_count;
    memmove(&plan->deps[at + 1], &plan->deps[at], (size_t)(plan->dep_count - at) * sizeof(Dep));
    plan->deps[at] = (Dep){.op = after, .kind = (uint8_t)kind, .distance = (uint8_t)distance};
    plan->dep_count++;
    plan->ops[op].dep_count++;
    for (int i = 0; i < plan->op_count; i++)
        if (i != op && plan->ops[i].dep_first >= at) plan->ops[i].dep_first++;
    return OK;
}

Status dep_list_add(DepList *list, int op, int after, DepKind kind, int distance) {
    TRY(ARRAY_RESERVE(list->edges, list->capacity, list->count + 1));
    list->edges[list->count++] =
        (DepEdge){op, {.op = after, .kind = (uint8_t)kind, .distance = (uint8_t)distance}};
    return OK;
}

void dep_list_finish(DepList *list) {
    free(list->edges);
    *list = (DepList){0};
}

enum { DISTANCES = 2 };

typedef struct {
    int32_t *first;  // [op_count + 1] where an operation's edges begin in `edges`
    int32_t *edges;  // the list's, by operation; those of one operation in the list's order
    int32_t *seen;   // [op_count * DISTANCES] the last operation that got this dependency
    Dep *deps;       // what becomes of plan.deps
    int count, capacity;
} Merge;

static Status merge_init(Merge *m, Arena *a, const Plan *plan, const DepList *list) {
    int n = plan->op_count;
    *m = (Merge){.first = ARENA_NEW(a, int32_t, n + 2),
                 .edges = ARENA_NEW(a, int32_t, list->count + 1),
                 .seen = ARENA_NEW(a, int32_t, n * DISTANCES)};
    if (!m->first || !m->edges || !m->seen)
        FAIL(ERR_MEMORY, "out of memory for the dependencies of a plan");
    for (int i = 0; i < list->count; i++) {  // a counting sort by operation
        TRY(check_dep(plan, list->edges[i].op, list->edges[i].dep.op));
        m->first[list->edges[i].op + 2]++;
    }
    for (int i = 0; i < n; i++) m->first[i + 1] += m->first[i];
    for (int i = 0; i < list->count; i++) m->edges[m->first[list->edges[i].op + 1]++] = i;
    for (int i = 0; i < n * DISTANCES; i++) m->seen[i] = NONE;
    return ARRAY_RESERVE(m->deps, m->capacity, plan->dep_count + list->count + 1);
}

static void merge_one(Merge *m, int op, Dep dep, bool once) {
    int32_t *seen = &m->seen[dep.op * DISTANCES + dep.distance];
    if (once && *seen == op) return;
    *seen = op;
    m->deps[m->count++] = dep;
}

static void merge_op(Merge *m, Plan *plan, int i, const DepList *list) {
    Op *op = &plan->ops[i];
    int begin = m->count;
    for (int d = 0; d < op->dep_count; d++) merge_one(m, i, plan->deps[op->dep_first + d], false);
    for (int e = m->first[i]; e < m->first[i + 1]; e++)
        merge_one(m, i, list->edges[m->edges[e]].dep, true);
    op->dep_first = begin;
    op->dep_count = m->count - begin;
}

Status plan_add_deps(Plan *plan, const DepList *list) {
    Arena scratch = {0};
    Merge m;
    Status s = merge_init(&m, &scratch, plan, list);
    for (int i = 0; i < plan->op_count && s == OK; i++) merge_op(&m, plan, i, list);
    arena_finish(&scratch);
    if (s != OK) {
        free(m.deps);
        return s;
    }
    free(plan->deps);
    plan->deps = m.deps;
    plan->dep_count = m.count;
    plan->dep_capacity = m.capacity;
    return OK;
}

// Who touched each tensor so far: its last writer, and its readers since then as a linked list
// through `next` (one place per operand; a place belongs to operation `owner`).
typedef struct {
    int32_t *writer, *reader;  // per tensor, NONE
    int32_t *next, *owner;     // per place
    int places;
} Touch;

static Status touch_init(Touch *t, Arena *a, const Program *p, const Plan *plan) {
    // Outputs that are added to, extents of operands, and guards are read too.
    int places = 3 * plan->operand_count + plan->op_count;
    *t = (Touch){ARENA_NEW(a, int32_t, p->tensor_count), ARENA_NEW(a, int32_t, p->tensor_count),
                 ARENA_NEW(a, int32_t, places), ARENA_NEW(a, int32_t, places), 0};
    if (!t->writer || !t->reader || !t->next || !t->owner)
        FAIL(ERR_MEMORY, "out of memory for the dependencies of a plan");
    for (int i = 0; i < p->tensor_count; i++) t->writer[i] = t->reader[i] = NONE;
    return OK;
}

// A lane goes on from step to step: what does not outlive a step need not wait for what its own
// lane did in the step before.
static Status depend(const Program *p, const Plan *plan, DepList *out, int tensor, int op,
                     int after, int distance) {
    if (after == NONE || (after == op && distance == 0)) return OK;
    bool same_lane = plan->ops[op].lane == plan->ops[after].lane;
    if (distance == 1 && same_lane && !role_persists((Role)p->tensors[tensor].role)) return OK;
    return dep_list_add(out, op, after, DEP_DATA, distance);
}

static void note_read(Touch *t, int tensor, int op) {
    t->next[t->places] = t->reader[tensor];
    t->owner[t->places] = op;
    t->reader[tensor] = t->places++;
}

// What operation i reads: its inputs, its guard, and the outputs that it adds to; and, further
// below, the rows in use of all its operands.
static int reads(const Plan *plan, int i, int k) {
    const Op *op = &plan->ops[i];
    if (k < op->inputs) return op_inputs(plan, op)[k];
    k -= op->inputs;
    if (op->guard != NONE && k-- == 0) return op->guard;
    if (op->flags & OP_ACCUMULATE && k < op->outputs) return op_outputs(plan, op)[k];
    return NONE;
}

typedef struct {
    const Program *p;
    const Plan *plan;
    const int32_t *root;     // [tensor] program_root()
    const uint8_t *counted;  // [tensor]: does an operation of the plan write it? NULL: of those
                             // that are extents none does
    Touch *touch;            // in this step
    const Touch *before;     // NULL, or what a whole step left behind
    DepList *out;
} Pass;

static Status read_tensor(const Pass *s, int i, int tensor) {
    Touch *t = s->touch;
    if (s->before && t->writer[tensor] == NONE)
        TRY(depend(s->p, s->plan, s->out, tensor, i, s->before->writer[tensor], 1));
    if (!s->before) TRY(depend(s->p, s->plan, s->out, tensor, i, t->writer[tensor], 0));
    note_read(t, tensor, i);
    return OK;
}

static Status depend_on_touches(const Pass *s, const Touch *t, int tensor, int i, int distance) {
    for (int at = t->reader[tensor]; at != NONE; at = t->next[at])
        TRY(depend(s->p, s->plan, s->out, tensor, i, t->owner[at], distance));
    return depend(s->p, s->plan, s->out, tensor, i, t->writer[tensor], distance);
}

static Status write_tensor(const Pass *s, int i, int tensor) {
    Touch *t = s->touch;
    if (s->before && t->writer[tensor] == NONE) TRY(depend_on_touches(s, s->before, tensor, i, 1));
    if (!s->before) TRY(depend_on_touches(s, t, tensor, i, 0));
    t->writer[tensor] = i;
    t->reader[tensor] = NONE;
    return OK;
}

static Status read_extents(const Pass *s, int i, const Op *op) {
    if (!s->counted) return OK;
    for (int k = 0; k < op->outputs + op->inputs; k++) {
        int extent = s->p->tensors[op_outputs(s->plan, op)[k]].extent;
        if (extent != NONE && s->counted[extent]) TRY(read_tensor(s, i, extent));
    }
    for (int m = 0; m < op->member_count; m++)
        TRY(read_extents(s, i, &s->plan->members[op->member_first + m]));
    return OK;
}

// One pass in plan order. With `before`, what a step does to a tensor until it has written it
// itself depends on what the step before did last.
static Status pass(const Pass *s) {
    const Plan *plan = s->plan;
    for (int i = 0; i < plan->op_count; i++) {
        for (int k = 0, tensor; (tensor = reads(plan, i, k)) != NONE; k++)
            TRY(read_tensor(s, i, s->root[tensor]));
        TRY(read_extents(s, i, &plan->ops[i]));
        for (int k = 0; k < plan->ops[i].outputs; k++)
            TRY(write_tensor(s, i, s->root[op_outputs(plan, &plan->ops[i])[k]]));
    }
    return OK;
}

static void remove_data_deps(Plan *plan) {
    int kept = 0;
    for (int i = 0; i < plan->op_count; i++) {
        Op *op = &plan->ops[i];
        int first = kept;
        for (int d = 0; d < op->dep_count; d++)
            if (plan->deps[op->dep_first + d].kind != DEP_DATA)
                plan->deps[kept++] = plan->deps[op->dep_first + d];
        op->dep_first = first;
        op->dep_count = kept - first;
    }
    plan->dep_count = kept;
}

// Dependencies of an operation lie together, in operation order: remove_data_deps() relies on it.
static Status sort_deps(Plan *plan) {
    if (!plan->dep_count) return OK;
    Dep *sorted = malloc((size_t)plan->dep_count * sizeof *sorted);
    if (!sorted) FAIL(ERR_MEMORY, "out of memory for the dependencies of a plan");
    int count = 0;
    for (int i = 0; i < plan->op_count; i++) {
        Op *op = &plan->ops[i];
        memcpy(&sorted[count], &plan->deps[op->dep_first], (size_t)op->dep_count * sizeof *sorted);
        op->dep_first = count;
        count += op->dep_count;
    }
    if (count) memcpy(plan->deps, sorted, (size_t)count * sizeof *sorted);
    plan->dep_count = count;
    free(sorted);
    return OK;
}

static Status derive(const Program *p, const Plan *plan, Arena *scratch, DepList *deps) {
    Touch this_step, next_step;
    int32_t *root = ARENA_NEW(scratch, int32_t, p->tensor_count + 1);
    uint8_t *counted = ARENA_NEW(scratch, uint8_t, p->tensor_count + 1);
    if (!root || !counted) FAIL(ERR_MEMORY, "out of memory for the dependencies of a plan");
    for (int t = 0; t < p->tensor_count; t++) root[t] = program_root(p, t);
    for (int i = 0; i < plan->op_count; i++)
        for (int o = 0; o < plan->ops[i].outputs; o++)
            counted[op_outputs(plan, &plan->ops[i])[o]] = 1;
    bool counts = false;
    for (int t = 0; t < p->tensor_count; t++)
        counts |= p->tensors[t].extent != NONE && counted[p->tensors[t].extent];
    if (!counts) counted = NULL;
    TRY(touch_init(&this_step, scratch, p, plan));
    TRY(touch_init(&next_step, scratch, p, plan));
    TRY(pass(&(Pass){p, plan, root, counted, &this_step, NULL, deps}));
    return pass(&(Pass){p, plan, root, counted, &next_step, &this_step, deps});
}

Status plan_derive_deps(const Program *p, Plan *plan) {
    TRY(sort_deps(plan));
    remove_data_deps(plan);
    Arena scratch = {0};
    DepList deps = {0};
    Status s = derive(p, plan, &scratch, &deps);
    if (s == OK) s = plan_add_deps(plan, &deps);
    dep_list_finish(&deps);
    arena_finish(&scratch);
    return s;
}

Status plan_select(Plan *plan, const int *order, const uint8_t *keep) {
    int count = 0, n = plan->op_count;
    Op *ops = malloc(((size_t)n + 1) * sizeof *ops);
    int *place = malloc(((size_t)n + 1) * sizeof *place);  // new index of an old operation
    if (!ops || !place) {
        free(ops);
        free(place);
        FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", n);
    }
    for (int i = 0; i < n; i++) place[i] = NONE;
    for (int i = 0; i < n; i++) {
        int old = order ? order[i] : i;
        if (!keep[old]) continue;
        place[old] = count;
        ops[count++] = plan->ops[old];
    }
    for (int i = 0; i < count; i++) {  // dependencies on what is gone go too
        int kept = 0;
        for (int d = 0; d < ops[i].dep_count; d++) {
            Dep dep = plan->deps[ops[i].dep_first + d];
            if (place[dep.op] == NONE) continue;
            dep.op = place[dep.op];
            plan->deps[ops[i].dep_first + kept++] = dep;
        }
        ops[i].dep_count = kept;
    }
    if (count) memcpy(plan->ops, ops, (size_t)count * sizeof *ops);
    plan->op_count = count;
    free(ops);
    free(place);
    return sort_deps(plan);
}
