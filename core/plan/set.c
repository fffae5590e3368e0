// SPDX-License-Identifier: MIT
// Sets of programs: adding classes, and finding the class of a rank.
#include "core/plan/set.h"

#include "core/base/array.h"
#include "core/base/text.h"
#include "core/plan/build.h"

#include <stdlib.h>
#include <string.h>

void program_set_finish(ProgramSet *s) {
    for (int i = 0; i < s->count; i++) program_finish(&s->programs[i]);
    free(s->programs);
    free(s->classes);
    *s = (ProgramSet){0};
}

static Status add_room(ProgramSet *s, const char *name) {
    if (s->count == RANK_CLASSES)
        FAIL(ERR_PLAN, "class %s: more than %d classes of ranks", name, RANK_CLASSES);
    TRY(ARRAY_RESERVE(s->programs, s->capacity, s->count + 1));
    return ARRAY_RESERVE(s->classes, s->class_capacity, s->count + 1);
}

Status program_set_add(ProgramSet *s, const RankClass *class, Program *p) {
    static const RankClass all = {0};
    if (!class) class = &all;
    Status room = add_room(s, class->name);
    if (room != OK) {
        program_finish(p);
        return room;
    }
    s->classes[s->count] = *class;
    s->programs[s->count++] = *p;
    *p = (Program){0};
    return OK;
}

void rank_class_confine(RankClass *c, int axis, int first, int last) {
    c->axes |= (uint16_t)(1u << axis);
    c->first[axis] = first;
    c->last[axis] = last;
}

bool rank_class_has(const RankClass *c, const Program *p, int rank) {
    for (int a = 0; a < p->axis_count; a++) {
        int at = axis_coordinate(&p->axes[a], rank);
        if (c->axes >> a & 1 && (at < c->first[a] || at > c->last[a])) return false;
    }
    return true;
}

int program_set_class(const ProgramSet *s, int rank) {
    if (!s->classes) return 0;
    for (int i = 0; i < s->count; i++)
        if (rank_class_has(&s->classes[i], &s->programs[i], rank)) return i;
    return NONE;
}

const Program *program_set_program(const ProgramSet *s, int rank) {
    return &s->programs[program_set_class(s, rank)];
}

const char *program_set_name(const ProgramSet *s, int i) {
    return s->classes ? s->classes[i].name : "";
}

int program_set_find(const ProgramSet *s, const char *name) {
    for (int i = 0; i < s->count; i++)
        if (!strcmp(program_set_name(s, i), name)) return i;
    return NONE;
}

int program_set_ranks(const ProgramSet *s) { return program_ranks(&s->programs[0]); }

static Status copy_group(Program *out, const Program *p, const Group *g) {
    const char *name = program_name(p, g->name);
    const int32_t *members = p->members ? p->members + g->first : NULL;
    if (!g->axes) return program_add_rank_list(out, name, members, g->size, NULL);
    if (g->at_axis == NONE) return program_add_group(out, name, g->axes, NULL);
    return program_add_group_at(out, name, g->axes, g->at_axis, members, g->at_count, NULL);
}

static Status copy_logical(Program *out, const Program *p, const Logical *l) {
    int index;
    LogicalSpec spec = {.name = program_name(p, l->name),
                        .dims = l->dims,
                        .dtype = (Dtype)l->dtype,
                        .role = (Role)l->role,
                        .fan_in = l->fan_in,
                        .normal = l->normal,
                        .constant = l->constant,
                        .trainable = l->trainable};
    memcpy(spec.shape, l->shape, sizeof spec.shape);
    TRY(program_add_logical(out, &spec, &index));
    out->logicals[index].tied_to = l->tied_to;
    out->logicals[index].init = l->init;
    return OK;
}

Status program_copy_logicals(Program *out, const Program *p) {
    for (int i = 0; i < program_shared_logicals(p); i++) TRY(copy_logical(out, p, &p->logicals[i]));
    return OK;
}

Status program_copy_head(Program *out, const Program *p) {
    for (int i = 0; i < p->axis_count; i++)
        TRY(program_add_axis(out, p->axes[i].name, p->axes[i].size, NULL));
    for (int i = 0; i < p->group_count; i++) TRY(copy_group(out, p, &p->groups[i]));
    for (int i = 0; i < p->lane_count; i++)
        TRY(program_add_lane(out, program_name(p, p->lanes[i].name), (LaneKind)p->lanes[i].kind,
                             p->lanes[i].group, NULL));
    TRY(program_copy_logicals(out, p));
    out->lowered = p->lowered;
    return p->lowered ? program_add_name(out, program_name(p, p->device), &out->device) : OK;
}

int program_shared_logicals(const Program *p) {
    int count = p->logical_count;
    while (count && p->logicals[count - 1].role == ROLE_SCRATCH) count--;
    return count;
}

const char *rank_class_print(char out[RANK_CLASS_TEXT], const RankClass *c, const Program *p) {
    *out = '\0';
    for (int a = 0; a < p->axis_count; a++) {
        if (!(c->axes >> a & 1)) continue;
        text_append(out, RANK_CLASS_TEXT, "%s%s=%d", *out ? " " : "", p->axes[a].name, c->first[a]);
        if (c->last[a] != c->first[a]) text_append(out, RANK_CLASS_TEXT, "..%d", c->last[a]);
    }
    return out;
}
