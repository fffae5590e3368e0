// SPDX-License-Identifier: MIT
// Do the programs of a set belong together? Each rank must be in exactly one class; and an index of
// an axis, a group, a lane, a logical tensor or a plan must mean the same in every program.
#include "core/plan/check_internal.h"

#include <string.h>

// --- classes

static Status check_class(const ProgramSet *s, int i) {
    const RankClass *c = &s->classes[i];
    const Program *p = &s->programs[i];
    for (int a = 0; a < AXES; a++) {
        if (!(c->axes >> a & 1)) continue;
        if (a >= p->axis_count) FAIL(ERR_PLAN, "class %s: the mesh has no axis %d", c->name, a);
        if (c->first[a] < 0 || c->first[a] > c->last[a] || c->last[a] >= p->axes[a].size)
            FAIL(ERR_PLAN, "class %s: %s=%d..%d, but the positions of %s are 0..%d", c->name,
                 p->axes[a].name, c->first[a], c->last[a], p->axes[a].name, p->axes[a].size - 1);
    }
    if (s->count > 1 && !*c->name) FAIL(ERR_PLAN, "class %d has no name", i);
    if (program_set_find(s, c->name) != i) FAIL(ERR_PLAN, "class %s is there twice", c->name);
    return OK;
}

static int first_position(const RankClass *c, int axis) {
    return c->axes >> axis & 1 ? c->first[axis] : 0;
}

static int last_position(const RankClass *c, const Axis *a, int axis) {
    return c->axes >> axis & 1 ? c->last[axis] : a->size - 1;
}

// Two boxes have a rank in common when they overlap along every axis; *rank is then the first.
static bool classes_overlap(const ProgramSet *s, int i, int k, int *rank) {
    const Program *p = &s->programs[0];
    const RankClass *c = &s->classes[i], *d = &s->classes[k];
    *rank = 0;
    for (int a = 0; a < p->axis_count; a++) {
        int first = first_position(c, a), other = first_position(d, a),
            last = last_position(c, &p->axes[a], a), end = last_position(d, &p->axes[a], a);
        if (first < other) first = other;
        if (first > (last < end ? last : end)) return false;
        *rank += first * p->axes[a].stride;
    }
    return true;
}

static int64_t class_ranks(const ProgramSet *s, int i) {
    const Program *p = &s->programs[0];
    int64_t ranks = 1;
    for (int a = 0; a < p->axis_count; a++)
        ranks *=
            last_position(&s->classes[i], &p->axes[a], a) - first_position(&s->classes[i], a) + 1;
    return ranks;
}

static Status check_classes(const ProgramSet *s) {
    int64_t ranks = 0;
    int rank;
    for (int i = 0; s->classes && i < s->count; i++) {
        TRY(check_class(s, i));
        for (int k = 0; k < i; k++)
            if (classes_overlap(s, k, i, &rank))
                FAIL(ERR_PLAN, "rank %d is in class %s and in class %s", rank, s->classes[k].name,
                     s->classes[i].name);
        ranks += class_ranks(s, i);
    }
    if (!s->classes || ranks == program_set_ranks(s)) return OK;
    for (rank = 0; program_set_class(s, rank) != NONE;) rank++;
    FAIL(ERR_PLAN, "rank %d of %d is in no class: a plan has the programs of all ranks", rank,
         program_set_ranks(s));
}

// --- what all programs have alike

static bool same_name(const Program *p, int32_t name, const Program *q, int32_t other) {
    return (name == NONE) == (other == NONE) &&
           !strcmp(program_name(p, name), program_name(q, other));
}

static bool same_axes(const Program *p, const Program *q) {
    if (p->axis_count != q->axis_count) return false;
    for (int a = 0; a < p->axis_count; a++)
        if (strcmp(p->axes[a].name, q->axes[a].name) || p->axes[a].size != q->axes[a].size)
            return false;
    return true;
}

static bool same_group(const Program *p, const Program *q, int i) {
    const Group *g = &p->groups[i], *h = &q->groups[i];
    int listed = g->axes ? g->at_count : g->size;
    return same_name(p, g->name, q, h->name) && g->size == h->size && g->axes == h->axes &&
           g->at_axis == h->at_axis && g->at_count == h->at_count &&
           (!listed || !memcmp(&p->members[g->first], &q->members[h->first],
                               (size_t)listed * sizeof *p->members));
}

static bool same_lane(const Program *p, const Program *q, int i) {
    const Lane *l = &p->lanes[i], *m = &q->lanes[i];
    return same_name(p, l->name, q, m->name) && l->kind == m->kind && l->group == m->group;
}

static bool same_logical(const Program *p, const Program *q, int i) {
    const Logical *l = &p->logicals[i], *m = &q->logicals[i];
    return same_name(p, l->name, q, m->name) && l->dims == m->dims && l->dtype == m->dtype &&
           l->role == m->role && l->fan_in == m->fan_in && l->normal == m->normal &&
           l->constant == m->constant && l->init == m->init && l->trainable == m->trainable &&
           l->tied_to == m->tied_to && !memcmp(l->shape, m->shape, sizeof l->shape[0] * l->dims);
}

static bool same_plan(const Program *p, const Program *q, int i) {
    return p->plans[i].when == q->plans[i].when &&
           same_name(p, p->plans[i].name, q, q->plans[i].name);
}

typedef bool (*Same)(const Program *p, const Program *q, int i);

static Status check_table(const ProgramSet *s, int class, const char *what, int count, int other,
                          Same same) {
    const char *name = program_set_name(s, class), *first = program_set_name(s, 0);
    if (count != other)
        FAIL(ERR_PLAN, "class %s has %d %ss, class %s %d", name, other, what, first, count);
    for (int i = 0; i < count; i++)
        if (!same(&s->programs[0], &s->programs[class], i))
            FAIL(ERR_PLAN, "class %s: its %s %d is not that of class %s; all classes have the same",
                 name, what, i, first);
    return OK;
}

static Status check_head(const ProgramSet *s, int class) {
    const Program *p = &s->programs[0], *q = &s->programs[class];
    const char *name = program_set_name(s, class), *first = program_set_name(s, 0);
    if (!same_axes(p, q)) FAIL(ERR_PLAN, "class %s: its mesh is not that of class %s", name, first);
    if (p->lowered != q->lowered || (p->lowered && !same_name(p, p->device, q, q->device)))
        FAIL(ERR_PLAN, "class %s is not lowered for the device that class %s is", name, first);
    TRY(check_table(s, class, "group", p->group_count, q->group_count, same_group));
    TRY(check_table(s, class, "lane", p->lane_count, q->lane_count, same_lane));
    TRY(check_table(s, class, "logical tensor", program_shared_logicals(p),
                    program_shared_logicals(q), same_logical));
    return check_table(s, class, "plan", p->plan_count, q->plan_count, same_plan);
}

Status check_set(const ProgramSet *s) {
    if (!s->count) FAIL(ERR_PLAN, "there is no program");
    for (int i = 1; i < s->count; i++) TRY(check_head(s, i));
    return check_classes(s);
}
