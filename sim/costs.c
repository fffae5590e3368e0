// SPDX-License-Identifier: MIT
#include "sim/costs.h"

#include "core/base/units.h"
#include "core/platform/device_model.h"
#include "core/record/report.h"

#include <stdlib.h>

Status costs_init(Costs *c, Arena *a, const Program *p) {
    *c = (Costs){.program = p};
    for (int k = 0; k < p->plan_count; k++) {
        c->ops[k] = ARENA_NEW(a, OpCost, p->plans[k].op_count + 1);
        if (!c->ops[k]) FAIL(ERR_MEMORY, "out of memory for the costs of a plan");
    }
    return OK;
}

static bool is_communication(const Program *p, const Op *op) {
    return kind_class((Kind)p->works[op->work].kind) == CLASS_COMMUNICATION;
}

// Every recorded execution of a plan but the first.
static bool counts(const Timeline *t, int step, int plan) {
    const StepRecord *s = &t->steps[step];
    if (s->plan != plan || !s->complete) return false;
    int others = 0;
    for (int i = 0; i < t->step_count; i++)
        others += t->steps[i].plan == plan && t->steps[i].complete;
    for (int i = 0; i < step; i++)
        if (t->steps[i].plan == plan && t->steps[i].complete) return true;
    return others == 1;
}

typedef struct {
    const Timeline *timeline;
    const int *steps;
    int step_count;
    double *values;  // room for step_count
} Samples;

static int64_t median_of_op(const Samples *s, int op, bool cpu_time) {
    int count = 0;
    for (int i = 0; i < s->step_count; i++) {
        const StepRecord *step = &s->timeline->steps[s->steps[i]];
        for (int k = 0; k < step->span_count; k++) {
            const Span *span = &s->timeline->spans[step->span_first + k];
            if (span->op != op) continue;
            s->values[count++] =
                cpu_time ? (double)span->cpu_ns * 1000 : (double)(span->end_ps - span->start_ps);
            break;
        }
    }
    return count ? (int64_t)spread_of(s->values, count).median : NONE;
}

static int64_t median_gap(const Samples *s) {
    for (int i = 0; i < s->step_count; i++) {
        const StepRecord *step = &s->timeline->steps[s->steps[i]];
        double duration = (double)(step->end_ps - step->start_ps);
        s->values[i] = duration * (1 - timeline_coverage(s->timeline, step));
    }
    return s->step_count ? (int64_t)spread_of(s->values, s->step_count).median : 0;
}

static void take_plan(Costs *c, const Samples *s, int plan, bool cpu_time) {
    const Plan *p = &c->program->plans[plan];
    for (int i = 0; i < p->op_count; i++) {
        int64_t ps = median_of_op(s, i, cpu_time || is_communication(c->program, &p->ops[i]));
        if (ps != NONE) c->ops[plan][i] = (OpCost){ps, SOURCE_REPLAYED, true};
    }
}

Status costs_from_timeline(Costs *c, const Timeline *t, bool cpu_time) {
    int *steps = malloc(((size_t)t->step_count + 1) * sizeof *steps);
    double *values = malloc(((size_t)t->step_count + 1) * sizeof *values);
    if (!steps || !values) {
        free(steps);
        free(values);
        FAIL(ERR_MEMORY, "out of memory for %d recorded steps", t->step_count);
    }
    int64_t longest = 0;
    for (int k = 0; k < c->program->plan_count; k++) {
        Samples s = {t, steps, 0, values};
        for (int i = 0; i < t->step_count; i++)
            if (counts(t, i, k)) steps[s.step_count++] = i;
        take_plan(c, &s, k, cpu_time);
        int ops = c->program->plans[k].op_count;
        if (s.step_count > longest &&
            ops) {  // the plan that ran most often says what dispatching costs
            longest = s.step_count;
            c->dispatch_ps = median_gap(&s) / ops;
        }
    }
    free(steps);
    free(values);
    return OK;
}

void costs_share(Costs *c, const Costs *from) {
    for (int k = 0; k < c->program->plan_count; k++)
        for (int i = 0; i < c->program->plans[k].op_count; i++) {
            const Op *op = &c->program->plans[k].ops[i];
            uint64_t key = c->program->works[op->work].cost_key;
            if (c->ops[k][i].known || is_communication(c->program, op)) continue;
            for (int m = 0; m < from->program->plan_count && !c->ops[k][i].known; m++)
                for (int n = 0; n < from->program->plans[m].op_count; n++) {
                    const Op *other = &from->program->plans[m].ops[n];
                    if (from->program->works[other->work].cost_key != key || !from->ops[m][n].known)
                        continue;
                    c->ops[k][i] = from->ops[m][n];
                    break;
                }
        }
    if (!c->dispatch_ps) c->dispatch_ps = from->dispatch_ps;
}

void costs_from_roofline(Costs *c, const DeviceModel *d) {
    for (int k = 0; k < c->program->plan_count; k++)
        for (int i = 0; i < c->program->plans[k].op_count; i++) {
            const Op *op = &c->program->plans[k].ops[i];
            const Work *w = &c->program->works[op->work];
            if (c->ops[k][i].known || is_communication(c->program, op)) continue;
            if (!device_model_knows(d, w)) continue;
            c->ops[k][i] = (OpCost){device_model_ps(d, w), SOURCE_ROOFLINE, true};
        }
}

// amount / rate seconds in picoseconds, rounded up; rates are of a real machine, far from 0.
static int64_t time_at(int64_t amount, int64_t per_s) {
    __int128 ps = (__int128)amount * PS_PER_S;
    return per_s > 0 ? (int64_t)((ps + per_s - 1) / per_s) : 0;
}

// Directly in shared memory a rank reads its slice of every member's parts and writes it to every
// member; along a chain or around a ring about as much goes through every rank.
void costs_from_host(Costs *c, const HostModel *h) {
    for (int k = 0; k < c->program->plan_count; k++)
        for (int i = 0; i < c->program->plans[k].op_count; i++) {
            const Op *op = &c->program->plans[k].ops[i];
            const Work *w = &c->program->works[op->work];
            if (c->ops[k][i].known || !is_communication(c->program, op)) continue;
            int64_t bytes = w->payload_bytes * (w->parts + 1);
            c->ops[k][i] = (OpCost){time_at(bytes, h->fold_bytes_per_s), SOURCE_CALIBRATED, true};
        }
}

Status costs_complete(const Costs *c, int plan) {
    const Plan *p = &c->program->plans[plan];
    for (int i = 0; i < p->op_count; i++)
        if (!c->ops[plan][i].known)
            FAIL(ERR_FAILED,
                 "nothing is known about the cost of %s in plan %s: it is not in the trace, and "
                 "the machine has no rate for it",
                 op_name(c->program, &p->ops[i]), program_name(c->program, p->name));
    return OK;
}
