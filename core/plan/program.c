// SPDX-License-Identifier: MIT
// Questions about a program: names, planned bytes, its fingerprint.
#include "core/plan/program.h"

#include <stdlib.h>
#include <string.h>

static void plan_finish(Plan *plan) {
    free(plan->ops);
    free(plan->members);
    free(plan->deps);
    free(plan->operands);
}

void program_finish(Program *p) {
    for (int i = 0; i < p->plan_count; i++) plan_finish(&p->plans[i]);
    free(p->groups);
    free(p->lanes);
    free(p->logicals);
    free(p->tensors);
    free(p->works);
    free(p->attrs);
    free(p->members);
    free(p->names);
    free(p->named);
    free(p->name_slots);
    free(p->work_slots);
    *p = (Program){0};
}

const char *program_name(const Program *p, int32_t name) {
    return name == NONE ? "" : p->names + name;
}

const char *tensor_name(const Program *p, int32_t tensor) {
    return tensor == NONE ? "" : program_name(p, p->tensors[tensor].name);
}

const char *op_name(const Program *p, const Op *op) {
    return program_name(p, op_work(p, op)->name);
}

#define FIND(table)                                                        \
    for (int i = 0; i < p->table##_count; i++)                             \
        if (!strcmp(program_name(p, p->table##s[i].name), name)) return i; \
    return NONE

int program_find_group(const Program *p, const char *name) { FIND(group); }
int program_find_lane(const Program *p, const char *name) { FIND(lane); }
int program_find_plan(const Program *p, const char *name) { FIND(plan); }

int program_find_when(const Program *p, When when, int from) {
    for (int k = from; k < p->plan_count; k++)
        if (p->plans[k].when == when) return k;
    return NONE;
}

int program_find_result(const Program *p, int k, Result result) {
    const Plan *plan = &p->plans[k];
    for (int i = 0; i < plan->op_count; i++)
        for (int o = 0; o < plan->ops[i].outputs; o++) {
            int tensor = op_outputs(plan, &plan->ops[i])[o];
            if (p->tensors[tensor].result == result) return tensor;
        }
    return NONE;
}

int64_t tensor_elements(const Tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->dims; i++) n *= t->shape[i];
    return n;
}

int64_t logical_elements(const Logical *l) {
    int64_t n = 1;
    for (int i = 0; i < l->dims; i++) n *= l->shape[i];
    return n;
}

int program_root(const Program *p, int tensor) {
    while (p->tensors[tensor].alias != NONE) tensor = p->tensors[tensor].alias;
    return tensor;
}

bool op_same_shapes(const Program *p, const Plan *plan, const Op *a, const Op *b) {
    if (a->outputs != b->outputs || a->inputs != b->inputs || a->member_count || b->member_count)
        return false;
    for (int k = 0; k < a->outputs + a->inputs; k++) {
        const Tensor *t = &p->tensors[op_outputs(plan, a)[k]];
        const Tensor *u = &p->tensors[op_outputs(plan, b)[k]];
        bool alike = t->dtype == u->dtype && t->dims == u->dims;
        if (!alike || memcmp(t->shape, u->shape, sizeof t->shape) != 0) return false;
    }
    return true;
}

int64_t work_attr(const Program *p, const Work *w, int i) { return p->attrs[w->attr_first + i]; }

double work_real(const Program *p, const Work *w, int i) {
    double value;
    memcpy(&value, &p->attrs[w->attr_first + i], sizeof value);
    return value;
}

int program_ranks(const Program *p) {
    int ranks = 1;
    for (int i = 0; i < p->axis_count; i++) ranks *= p->axes[i].size;
    return ranks;
}

void program_coordinates(const Program *p, int rank, int out[AXES]) {
    for (int a = 0; a < AXES; a++)
        out[a] = a < p->axis_count ? axis_coordinate(&p->axes[a], rank) : 0;
}

int64_t program_position(const Program *p, uint16_t axes, int rank, int64_t *places) {
    int64_t position = 0;
    *places = 1;
    for (int a = 0; a < p->axis_count; a++) {
        if (!(axes >> a & 1)) continue;
        position += axis_coordinate(&p->axes[a], rank) * *places;
        *places *= p->axes[a].size;
    }
    return position;
}

int64_t program_memory(const Program *p, Memory m) {
    int64_t bytes = 0;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (int role = 0; role < ROLE_COUNT; role++)
            if (role_memory((Role)role) == m) bytes += p->role_bytes[pool][role];
    return bytes;
}
