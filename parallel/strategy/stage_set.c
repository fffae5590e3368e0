// SPDX-License-Identifier: MIT
// Classes that were transformed one by one become a set again: an index of a logical tensor or a
// plan means the same to all of them.
#include "core/base/array.h"
#include "core/plan/build.h"
#include "parallel/strategy/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 256 };

// The logical tensors of all classes: each as one of its classes has it, under its name there or,
// where another class means something else by that, "CLASS.NAME".
typedef struct {
    Logical l;
    int class;
    bool renamed;
} Entry;

typedef struct {
    ProgramSet *set;
    Arena arena;
    Entry *all;
    int **place;  // [class][logical of the class] in `all`
    int count;
} Union;

static bool same(const Logical *a, const Logical *b) {
    return a->dims == b->dims && a->dtype == b->dtype && a->role == b->role &&
           a->fan_in == b->fan_in && a->normal == b->normal && a->constant == b->constant &&
           a->tied_to == b->tied_to && a->trainable == b->trainable &&
           !memcmp(a->shape, b->shape, sizeof a->shape[0] * a->dims);
}

static void entry_name(char out[NAME], const Union *u, const Entry *e) {
    const char *name = program_name(&u->set->programs[e->class], e->l.name);
    snprintf(out, NAME, "%s%s%s", e->renamed ? program_set_name(u->set, e->class) : "",
             e->renamed ? "." : "", name);
}

// Has a program this name for a logical tensor in that place, and for none before it?
static bool is_at(const Program *p, int i, const char *name) {
    return i < p->logical_count && !strcmp(program_name(p, p->logicals[i].name), name) &&
           program_named(p, p->logicals[i].name)->logical == i;
}

// Logical i of a class: the first class has them all under their names.
static void add_logical(Union *u, int class, int i) {
    const Program *p = &u->set->programs[class], *first = &u->set->programs[0];
    const Logical *l = &p->logicals[i];
    const char *name = program_name(p, l->name);
    bool taken = false, at_once = class && is_at(first, i, name);  // as most are
    int known = !class ? NONE : at_once ? i : program_find_logical(first, name);
    if (known != NONE && same(&first->logicals[known], l)) {
        u->place[class][i] = known;
        return;
    }
    taken = known != NONE;
    for (int k = first->logical_count; k < u->count && class; k++) {
        const Entry *e = &u->all[k];
        if (strcmp(program_name(&u->set->programs[e->class], e->l.name), name)) continue;
        if (!e->renamed && same(&e->l, l)) {
            u->place[class][i] = k;
            return;
        }
        taken = true;
    }
    u->place[class][i] = u->count;
    u->all[u->count++] = (Entry){*l, class, taken};
}

static Status collect(Union *u) {
    int total = 0;
    for (int c = 0; c < u->set->count; c++) total += u->set->programs[c].logical_count;
    u->all = ARENA_NEW(&u->arena, Entry, total + 1);
    u->place = ARENA_NEW(&u->arena, int *, u->set->count);
    if (!u->all || !u->place) FAIL(ERR_MEMORY, "out of memory for %d logical tensors", total);
    for (int c = 0; c < u->set->count; c++) {
        const Program *p = &u->set->programs[c];
        if (!(u->place[c] = ARENA_NEW(&u->arena, int, p->logical_count + 1)))
            FAIL(ERR_MEMORY, "out of memory for %d logical tensors", total);
        for (int i = 0; i < p->logical_count; i++) add_logical(u, c, i);
    }
    return OK;
}

// Which name an entry has in a class: that of the class's own logical tensor, if it is one and not
// renamed, or one that is added.
static Status find_names(Union *u, int class, int32_t *names) {
    Program *p = &u->set->programs[class];
    for (int i = 0; i < u->count; i++) names[i] = NONE;
    for (int i = 0; i < p->logical_count; i++)
        if (!u->all[u->place[class][i]].renamed) names[u->place[class][i]] = p->logicals[i].name;
    for (int i = 0; i < u->count; i++) {
        char name[NAME];
        if (names[i] != NONE) continue;
        entry_name(name, u, &u->all[i]);
        TRY(program_add_name(p, name, &names[i]));
    }
    return OK;
}

// A class's table becomes that of all.
static Status replace_logicals(Union *u, int class) {
    Program *p = &u->set->programs[class];
    int32_t *names = ARENA_NEW(&u->arena, int32_t, u->count + 1);
    if (!names) FAIL(ERR_MEMORY, "out of memory for %d logical tensors", u->count);
    TRY(find_names(u, class, names));
    TRY(ARRAY_RESERVE(p->logicals, p->logical_capacity, u->count));
    for (int i = 0; i < p->logical_count; i++)
        program_named(p, p->logicals[i].name)->logical = NONE;
    for (int t = 0; t < p->tensor_count; t++)
        p->tensors[t].logical = u->place[class][p->tensors[t].logical];
    for (int i = 0; i < u->count; i++) {
        p->logicals[i] = u->all[i].l;
        p->logicals[i].name = names[i];
        program_named(p, names[i])->logical = i;
    }
    p->logical_count = u->count;
    return OK;
}

static Status unify_logicals(Union *u) {
    TRY(collect(u));
    // Names are those of the old tables until all classes have theirs.
    for (int c = u->set->count - 1; c >= 0; c--) TRY(replace_logicals(u, c));
    return OK;
}

// A class that has nothing to do in a plan of another has an empty one.
static Status unify_plans(ProgramSet *set) {
    for (int c = 0; c < set->count; c++)
        for (int k = 0; k < set->programs[c].plan_count; k++) {
            const char *name = program_name(&set->programs[c], set->programs[c].plans[k].name);
            for (int other = 0; other < set->count; other++) {
                Plan *plan;
                if (program_find_plan(&set->programs[other], name) != NONE) continue;
                TRY(program_add_plan(&set->programs[other], name, &plan));
                plan->when = set->programs[c].plans[k].when;
            }
        }
    return OK;
}

Status stage_unify(ProgramSet *set) {
    Union u = {.set = set};
    Status s = unify_logicals(&u);
    arena_finish(&u.arena);
    return s == OK ? unify_plans(set) : s;
}
