// SPDX-License-Identifier: MIT
// Items of a critical path and what each gains when it is free. Read critical_bill_make(), then
// free_item(). A free item has costs of 0 in a copy of the costs of all ranks that have it.
#include "sim/critical_bill.h"

#include "core/base/text.h"
#include "sim/critical_path.h"

#include <stdlib.h>
#include <string.h>

// Stretches of the path that are billed together.
typedef struct {
    const char *name;
    int class;        // of costs; NONE: of all
    int kind, phase;  // of its operations; NONE: those of that name
    bool host;        // what hosts take to issue operations
    int32_t times;
    int64_t ps;
} BillItem;

typedef struct {
    BillItem *items;
    int count;
    int64_t step_ps;
} Bill;

typedef struct {
    Arena *arena;
    const SimulateOptions *o;
    const TopologyOptions *topology;
    const Costs **classes;  // that ranks have, each once
    int class_count;
    int32_t *class_of;  // [ranks]
    bool by_kind;       // items are kinds of work in a phase, not operations
} Billing;

static const Plan *plan_of(const Billing *b, int class) {
    return &b->classes[class]->program->plans[b->o->plan];
}

static Status find_classes(Billing *b) {
    b->classes = ARENA_NEW(b->arena, const Costs *, b->o->ranks);
    b->class_of = ARENA_NEW(b->arena, int32_t, b->o->ranks);
    if (!b->classes || !b->class_of) FAIL(ERR_MEMORY, "out of memory for a bill");
    for (int r = 0, c = 0; r < b->o->ranks; r++) {
        int tried = 0;  // classes, from that of the rank before on
        while (tried < b->class_count && b->classes[c] != b->o->costs[r]) {
            c = (c + 1) % b->class_count;
            tried++;
        }
        if (tried == b->class_count) b->classes[c = b->class_count++] = b->o->costs[r];
        b->class_of[r] = c;
    }
    return OK;
}

// --- items

// The item of an operation of a class, without its time; by kind, without its name.
static BillItem item_of_op(const Billing *b, int class, int op) {
    const Program *p = b->classes[class]->program;
    const Op *x = &plan_of(b, class)->ops[op];
    BillItem item = {.class = op_communicates(p, x) ? NONE : class, .kind = NONE, .phase = NONE};
    item.name = op_name(p, x);
    if (!b->by_kind) return item;
    return (BillItem){.class = NONE, .kind = op_kind(p, x), .phase = op_work(p, x)->phase};
}

static bool same_item(const BillItem *a, const BillItem *b) {
    if (a->host != b->host || a->class != b->class || a->kind != b->kind || a->phase != b->phase)
        return false;
    return a->host || a->kind != NONE || !strcmp(a->name, b->name);
}

// Does the item contain an operation of the class?
static bool item_has(const Billing *b, const BillItem *item, int class, int op) {
    const BillItem of_op = item_of_op(b, class, op);
    return same_item(&of_op, item);
}

static bool item_touches(const Billing *b, const BillItem *item, int class) {
    if (item->class != NONE) return item->class == class;
    if (item->host) return true;
    for (int i = 0; i < plan_of(b, class)->op_count; i++)
        if (item_has(b, item, class, i)) return true;
    return false;
}

static BillItem item_of(const Billing *b, const CriticalStretch *s) {
    int class = b->class_of[fold_rank(b->o->fold, s->rank)];
    if (s->op != NONE) return item_of_op(b, class, s->op);
    return (BillItem){CRITICAL_LAUNCHES, b->by_kind ? NONE : class, NONE, NONE, true, 0, 0};
}

static BillItem *find_item(const Bill *bill, const BillItem *like) {
    for (int i = 0; i < bill->count; i++) {
        if (same_item(&bill->items[i], like)) return &bill->items[i];
    }
    return NULL;
}

// "linear forward", but "linear_backward_weight".
static const char *name_kind(Arena *a, const BillItem *item) {
    const char *kind = kind_name((Kind)item->kind);
    char text[64];
    if (strstr(kind, "backward")) return kind;
    snprintf(text, sizeof text, "%s %s", kind, phase_name((Phase)item->phase));
    return arena_string(a, text);
}

static Status make_items(Bill *bill, Arena *a, const Billing *b, const CriticalPath *path) {
    *bill = (Bill){.items = ARENA_NEW(a, BillItem, path->count + 1),
                   .step_ps = path->end_ps - path->start_ps};
    if (!bill->items) FAIL(ERR_MEMORY, "out of memory for a bill");
    for (int i = 0; i < path->count; i++) {
        const CriticalStretch *s = &path->stretches[i];
        const BillItem like = item_of(b, s);
        BillItem *item = find_item(bill, &like);
        if (!item) *(item = &bill->items[bill->count++]) = like;
        if (!item->name) item->name = name_kind(a, item);
        if (!item->name) FAIL(ERR_MEMORY, "out of memory for a bill");
        item->times++;
        item->ps += s->end_ps - s->start_ps;
    }
    return OK;
}

// The longest first; equally long ones by name, then as classes come.
static int by_time(const void *a, const void *b) {
    const BillItem *x = a, *y = b;
    if (x->ps != y->ps) return x->ps < y->ps ? 1 : -1;
    int names = strcmp(x->name, y->name);
    return names ? names : (x->class > y->class) - (x->class < y->class);
}

// --- again, with an item free

static Status free_class(Costs *out, Arena *a, const Billing *b, int class, const BillItem *item) {
    const Costs *from = b->classes[class];
    int count = plan_of(b, class)->op_count, plan = b->o->plan;
    *out = *from;
    OpCost *ops = ARENA_NEW(a, OpCost, count + 1);
    bool *free_ops = ARENA_NEW(a, bool, count + 1);
    if (!ops || !free_ops) FAIL(ERR_MEMORY, "out of memory for costs");
    memcpy(ops, from->ops[plan], (size_t)count * sizeof *ops);
    for (int i = 0; i < count; i++) {
        free_ops[i] = item_has(b, item, class, i);
        if (free_ops[i]) ops[i].ps = 0;
    }
    out->ops[plan] = ops;
    out->free_ops = free_ops;
    if (!item->host || !from->issued) return OK;
    out->issued_ps = ARENA_NEW(a, int64_t, count + 1);  // at once; but a host may still wait
    if (!out->issued_ps) FAIL(ERR_MEMORY, "out of memory for costs");
    return OK;
}

static Status free_item(const Costs ***out, Arena *a, const Billing *b, const BillItem *item) {
    const Costs **costs = ARENA_NEW(a, const Costs *, b->o->ranks);
    const Costs **classes = ARENA_NEW(a, const Costs *, b->class_count);
    if (!costs || !classes) FAIL(ERR_MEMORY, "out of memory for costs");
    for (int c = 0; c < b->class_count; c++) {
        classes[c] = b->classes[c];
        if (!item_touches(b, item, c)) continue;
        Costs *copy = ARENA_NEW(a, Costs, 1);
        if (!copy) FAIL(ERR_MEMORY, "out of memory for costs");
        TRY(free_class(copy, a, b, c, item));
        classes[c] = copy;
    }
    for (int r = 0; r < b->o->ranks; r++) costs[r] = classes[b->class_of[r]];
    *out = costs;
    return OK;
}

static Status run_again(CriticalPath *path, Arena *a, const SimulateOptions *o,
                        const TopologyOptions *topology, Timeline *lines, Timeline **line_of) {
    for (int i = 0; i < fold_count(o->fold, o->ranks); i++) {
        int rank = fold_rank(o->fold, i);
        int spans = o->steps * o->costs[rank]->program->plans[o->plan].op_count + 1;
        TRY(timeline_create(&lines[i], rank, o->steps, spans));
        line_of[i] = &lines[i];
    }
    TRY(simulate_devices(line_of, o, topology));
    return critical_path_find(path, a, o, line_of);
}

static Status simulate_free(Bill *out, Arena *a, const Billing *b, const BillItem *item) {
    int count = fold_count(b->o->fold, b->o->ranks);
    SimulateOptions o = *b->o;
    const Costs **costs = NULL;
    CriticalPath path;
    Timeline *lines = ARENA_NEW(a, Timeline, count), **line_of = ARENA_NEW(a, Timeline *, count);
    if (!lines || !line_of) FAIL(ERR_MEMORY, "out of memory for %d ranks", o.ranks);
    if (!o.steps) o.steps = 1;
    TRY(free_item(&costs, a, b, item));
    o.costs = costs;
    Status s = run_again(&path, a, &o, b->topology, lines, line_of);
    for (int i = 0; i < count; i++) timeline_destroy(&lines[i]);
    return s == OK ? make_items(out, a, b, &path) : s;
}

// What grew most on the path, which was none of `item`.
static const BillItem *most_grown(const Bill *then, const Bill *before, const BillItem *item,
                                  int64_t *by_ps) {
    const BillItem *most = NULL;
    *by_ps = 0;
    for (int i = 0; i < then->count; i++) {
        const BillItem *now = &then->items[i], *was = find_item(before, now);
        int64_t grown = now->ps - (was ? was->ps : 0);
        if (was == item || grown <= *by_ps) continue;
        most = now;
        *by_ps = grown;
    }
    return most;
}

static Status find_gain(ReportCriticalItem *out, const Billing *b, const Bill *bill,
                        const BillItem *item) {
    Arena scratch = {0};
    Bill then;
    Status s = simulate_free(&then, &scratch, b, item);
    if (s == OK) {
        const BillItem *next = most_grown(&then, bill, item, &out->next_ps);
        out->freed = true;
        out->gain_ps = bill->step_ps - then.step_ps;
        out->next = next ? arena_string(b->arena, next->name) : NULL;
    }
    arena_finish(&scratch);
    return s;
}

// --- texts

// Ranks in order as "0..7", "0,4..12" where they are as far apart, else the first two and how many.
static const char *name_ranks(Arena *a, const Billing *b, const BillItem *item) {
    int first = NONE, second = NONE, last = NONE, count = 0;
    bool even = true, *has = ARENA_NEW(a, bool, b->class_count);
    char text[64];
    if (!has) return NULL;
    for (int c = 0; c < b->class_count; c++) has[c] = item_touches(b, item, c);
    for (int r = 0; r < b->o->ranks; r++) {
        if (!has[b->class_of[r]]) continue;
        if (count == 1) second = r;
        if (count == 0) first = r;
        even &= count < 2 || r - last == second - first;
        last = r;
        count++;
    }
    if (count == 1)
        snprintf(text, sizeof text, "%d", first);
    else if (even && second - first == 1)
        snprintf(text, sizeof text, "%d..%d", first, last);
    else if (even)
        snprintf(text, sizeof text, count == 2 ? "%d,%d" : "%d,%d..%d", first, second, last);
    else
        snprintf(text, sizeof text, "%d of %d", count, b->o->ranks);
    return arena_string(a, text);
}

static Status list_items(ReportCritical *out, Arena *a, const Billing *b, const Bill *bill,
                         int freed) {
    ReportCriticalItem *items = ARENA_NEW(a, ReportCriticalItem, bill->count + 1);
    if (!items) FAIL(ERR_MEMORY, "out of memory for a bill");
    for (int i = 0; i < bill->count; i++) {
        const BillItem *item = &bill->items[i];
        items[i] = (ReportCriticalItem){.name = arena_string(a, item->name),
                                        .ranks = name_ranks(a, b, item),
                                        .times = item->times,
                                        .ps = item->ps};
        if (!items[i].name || !items[i].ranks) FAIL(ERR_MEMORY, "out of memory for a bill");
        if (i < freed) TRY(find_gain(&items[i], b, bill, item));
    }
    out->items = items;
    out->item_count = bill->count;
    return OK;
}

static const char *name_stretch(Arena *a, const Billing *b, const CriticalStretch *s) {
    if (s->op == NONE) return CRITICAL_LAUNCHES;
    int class = b->class_of[fold_rank(b->o->fold, s->rank)];
    return arena_string(a, op_name(b->classes[class]->program, &plan_of(b, class)->ops[s->op]));
}

static Status list_stretches(ReportCritical *out, Arena *a, const Billing *b,
                             const CriticalPath *path) {
    ReportCriticalStretch *list = ARENA_NEW(a, ReportCriticalStretch, path->count + 1);
    if (!list) FAIL(ERR_MEMORY, "out of memory for a bill");
    for (int i = 0; i < path->count; i++) {
        const CriticalStretch *s = &path->stretches[i];
        list[i] = (ReportCriticalStretch){.name = name_stretch(a, b, s),
                                          .rank = fold_rank(b->o->fold, s->rank),
                                          .stands_for = fold_multiplicity(b->o->fold, s->rank),
                                          .start_ps = s->start_ps - path->start_ps,
                                          .ps = s->end_ps - s->start_ps};
        if (!list[i].name) FAIL(ERR_MEMORY, "out of memory for a bill");
    }
    out->stretches = list;
    out->stretch_count = path->count;
    return OK;
}

Status critical_bill_make(ReportCritical *out, Arena *a, const SimulateOptions *o,
                          const TopologyOptions *topology, Timeline *const timelines[],
                          const CriticalBillForm *form) {
    Billing b = {.arena = a, .o = o, .topology = topology};
    CriticalPath path;
    Bill bill;
    *out = (ReportCritical){0};
    TRY(find_classes(&b));
    TRY(critical_path_find(&path, a, o, timelines));
    TRY(make_items(&bill, a, &b, &path));
    b.by_kind = form->operations && bill.count > form->operations;
    if (b.by_kind) TRY(make_items(&bill, a, &b, &path));
    qsort(bill.items, (size_t)bill.count, sizeof *bill.items, by_time);
    out->step_ps = bill.step_ps;
    out->by_kind = b.by_kind;
    TRY(list_items(out, a, &b, &bill, form->freed));
    return list_stretches(out, a, &b, &path);
}
