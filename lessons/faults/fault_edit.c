// SPDX-License-Identifier: MIT
// Faults that are edits of the lowered plan. Read fault_edit() last.
#include "core/plan/mesh.h"
#include "lessons/faults/fault_internal.h"

#include <stdio.h>
#include <string.h>

static Plan *step_of(Program *p) { return &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)]; }

// Rank 0's parameters stay where they are.
static void leave_broadcast(Program *p) {
    for (int k = 0; k < p->plan_count; k++)
        if (p->plans[k].when == WHEN_ONCE) p->plans[k].when = WHEN_NONE;
}

// An update waits for the sums of the step before.
static void let_updates_run_ahead(Program *p) {
    Plan *step = step_of(p);
    for (int i = 0; i < step->op_count; i++) {
        const Op *op = &step->ops[i];
        for (int d = 0; d < op->dep_count && op_work(p, op)->phase == PHASE_UPDATE; d++) {
            Dep *dep = &step->deps[op->dep_first + d];
            if (op_communicates(p, &step->ops[dep->op])) dep->distance = 1;
        }
    }
}

// The first collective of the step goes behind the second: so nothing is read before it is written.
static void swap_collectives(Program *p) {
    Plan *step = step_of(p);
    int from = 0, to;
    while (!op_communicates(p, &step->ops[from])) from++;
    for (to = from + 1; !op_communicates(p, &step->ops[to]); to++) {
    }
    Op first = step->ops[from];
    memmove(&step->ops[from], &step->ops[from + 1], (size_t)(to - from) * sizeof first);
    step->ops[to] = first;
    for (int d = 0; d < step->dep_count; d++) {
        int32_t *op = &step->deps[d].op;
        *op = *op == from ? to : *op > from && *op <= to ? *op - 1 : *op;
    }
}

static void scale(int64_t *value, int permille) { *value = *value * permille / 1000; }

// All that a rank computes is so many thousandths of it.
static void scale_work(Program *p, int permille) {
    for (int i = 0; i < p->work_count; i++) {
        Work *w = &p->works[i];
        if (work_communicates(w)) continue;
        scale(&w->flops, permille);
        scale(&w->read_bytes, permille);
        scale(&w->write_bytes, permille);
    }
}

// A class for each rank of the data axis.
static Status set_ranks_apart(ProgramSet *set, FaultAgain *again, void *context) {
    ProgramSet apart = {0}, more = {0};
    Status s = OK;
    int axis = mesh_find_axis(&set->programs[0], MESH_DATA);
    for (int r = 0; r < set->programs[0].axes[axis].size && s == OK; r++) {
        RankClass class = {{0}};
        snprintf(class.name, sizeof class.name, "rank%d", r);
        rank_class_confine(&class, axis, r, r);
        s = again(&more, context);
        if (s == OK) s = program_set_add(&apart, &class, &more.programs[0]);
        program_set_finish(&more);
    }
    program_set_finish(s == OK ? set : &apart);
    if (s == OK) *set = apart;
    return s;
}

Status fault_edit(ProgramSet *set, const Fault *fault, int faster, FaultAgain *again,
                  void *context) {
    bool slow = fault->kind == FAULT_SLOW_RANK, swaps = fault->kind == FAULT_ORDER;
    for (int c = 0; c < set->count; c++) {
        if (fault->kind == FAULT_BROADCAST) leave_broadcast(&set->programs[c]);
        if (fault->kind == FAULT_STALE) let_updates_run_ahead(&set->programs[c]);
    }
    if (!slow && !swaps && faster == NONE) return OK;
    if (set->count == 1) TRY(set_ranks_apart(set, again, context));
    for (int c = 0; c < set->count; c++) {
        if (fault->kind == FAULT_STALE) let_updates_run_ahead(&set->programs[c]);
        if (slow && c == fault->rank) scale_work(&set->programs[c], fault->permille);
        if (c == faster) scale_work(&set->programs[c], 500);
        if (swaps && c == fault->rank) swap_collectives(&set->programs[c]);
    }
    return OK;
}
