// SPDX-License-Identifier: MIT
// Each function fills in what is still unknown, so the order in which sim/predict.c calls them is
// the order of preference: recorded, calibrated, scaled, roofline.
#include "sim/costs.h"

#include "core/base/units.h"
#include "core/platform/device_model.h"
#include "core/report/report.h"

#include <stdlib.h>

static int64_t clamp(__int128 ps) { return ps > INT64_MAX ? INT64_MAX : (int64_t)ps; }

Status costs_init(Costs *c, Arena *a, const Program *p) {
    *c = (Costs){.program = p};
    for (int k = 0; k < p->plan_count; k++) {
        c->ops[k] = ARENA_NEW(a, OpCost, p->plans[k].op_count + 1);
        if (!c->ops[k]) FAIL(ERR_MEMORY, "out of memory for the costs of a plan");
    }
    return OK;
}

int costs_steps(const Timeline *t, int plan, int *steps) {
    int count = 0, first = NONE;
    for (int i = 0; i < t->step_count; i++) {
        if (t->steps[i].plan != plan || !t->steps[i].complete) continue;
        if (first == NONE)
            first = i;
        else
            steps[count++] = i;
    }
    if (count == 0 && first != NONE) steps[count++] = first;
    return count;
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
            s->values[count++] = (double)step_costs_of_span(span, cpu_time);
            break;
        }
    }
    return count ? (int64_t)statistics_spread(s->values, count).median : NONE;
}

// A step's time outside of spans: at its beginning, and in the rest of it.
static void find_gaps(const Timeline *t, const StepRecord *step, double *turn_ps, double *rest_ps) {
    double duration = (double)(step->end_ps - step->start_ps);
    int64_t first = step->end_ps;
    for (int k = 0; k < step->span_count; k++)
        if (t->spans[step->span_first + k].start_ps < first)
            first = t->spans[step->span_first + k].start_ps;
    double turn = first > step->start_ps ? (double)(first - step->start_ps) : 0;
    double gap = duration * (1 - timeline_coverage(t, step)) - turn;
    *turn_ps = turn;
    *rest_ps = gap > 0 ? gap : 0;
}

static void median_gaps(const Samples *s, int64_t *turn_ps, int64_t *rest_ps) {
    for (int part = 0; part < 2; part++) {
        for (int i = 0; i < s->step_count; i++) {
            double gaps[2];
            find_gaps(s->timeline, &s->timeline->steps[s->steps[i]], &gaps[0], &gaps[1]);
            s->values[i] = gaps[part];
        }
        *(part == 0 ? turn_ps : rest_ps) =
            s->step_count ? (int64_t)statistics_spread(s->values, s->step_count).median : 0;
    }
}

static void take_plan(Costs *c, const Samples *s, int plan, bool cpu_time) {
    const Plan *p = &c->program->plans[plan];
    for (int i = 0; i < p->op_count; i++) {
        int64_t ps = median_of_op(s, i, cpu_time || op_communicates(c->program, &p->ops[i]));
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
        Samples s = {t, steps, costs_steps(t, k, steps), values};
        take_plan(c, &s, k, cpu_time);
        int ops = c->program->plans[k].op_count;
        if (s.step_count > longest &&
            ops) {  // the plan that ran most often says what dispatching costs
            int64_t rest_ps;
            longest = s.step_count;
            median_gaps(&s, &c->turn_ps, &rest_ps);
            c->dispatch_ps = rest_ps / ops;
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
            uint64_t key = op_work(c->program, op)->cost_key;
            if (c->ops[k][i].known || op_communicates(c->program, op)) continue;
            for (int m = 0; m < from->program->plan_count && !c->ops[k][i].known; m++)
                for (int n = 0; n < from->program->plans[m].op_count; n++) {
                    const Op *other = &from->program->plans[m].ops[n];
                    if (op_work(from->program, other)->cost_key != key || !from->ops[m][n].known)
                        continue;
                    c->ops[k][i] = from->ops[m][n];
                    break;
                }
        }
    if (!c->dispatch_ps) c->dispatch_ps = from->dispatch_ps;
    if (!c->turn_ps) c->turn_ps = from->turn_ps;
}

void costs_from_calibration(Costs *c, const Calibration *m) {
    for (int k = 0; k < c->program->plan_count; k++)
        for (int i = 0; i < c->program->plans[k].op_count; i++) {
            const Work *w = op_work(c->program, &c->program->plans[k].ops[i]);
            const OperationTime *t = calibration_find(m, w->cost_key);
            if (!c->ops[k][i].known && t && t->solo_ps.known)
                c->ops[k][i] = (OpCost){t->solo_ps.median, SOURCE_CALIBRATED, true};
        }
}

static const OperationTime *find_like(const Calibration *m, const Program *p, const Op *op) {
    const Work *w = op_work(p, op);
    return calibration_find_like(m, op_name(p, op), w->flops, w->read_bytes + w->write_bytes);
}

void costs_from_sizes(Costs *c, const Calibration *m) {
    for (int k = 0; k < c->program->plan_count; k++)
        for (int i = 0; i < c->program->plans[k].op_count; i++) {
            const Op *op = &c->program->plans[k].ops[i];
            const Work *w = op_work(c->program, op);
            if (c->ops[k][i].known || op_communicates(c->program, op)) continue;
            const OperationTime *t = find_like(m, c->program, op);
            if (!t) continue;
            int64_t permille =
                calibration_work_permille(t, w->flops, w->read_bytes + w->write_bytes);
            c->ops[k][i] =
                (OpCost){clamp((__int128)t->solo_ps.median * permille / 1000), SOURCE_SCALED, true};
        }
}

void costs_co_run(Costs *c, const HostModel *h, const Calibration *m, bool oversubscribed) {
    int32_t permille = oversubscribed ? h->oversubscribed_permille : h->co_run_permille;
    for (int k = 0; k < c->program->plan_count; k++)
        for (int i = 0; i < c->program->plans[k].op_count; i++) {
            const Op *op = &c->program->plans[k].ops[i];
            if (op_communicates(c->program, op)) continue;
            const OperationTime *t =
                m ? calibration_find(m, op_work(c->program, op)->cost_key) : NULL;
            if (m && !t && c->ops[k][i].source == SOURCE_SCALED) t = find_like(m, c->program, op);
            Measured busy = {0};
            if (t) busy = oversubscribed ? t->oversubscribed_ps : t->co_run_ps;
            bool both = t && t->solo_ps.known && busy.known && t->solo_ps.median > 0;
            __int128 ps = c->ops[k][i].ps;
            ps = both ? ps * busy.median / t->solo_ps.median : ps * permille / 1000;
            c->ops[k][i].ps = clamp(ps);
        }
}

// priced: per work the last operation that does it and has its roofline, or NONE. Another of
// operands of the same shapes, which adds to them or does not as that, takes as long.
static Status price_plan(Costs *c, const DeviceModel *d, int k, int32_t *priced) {
    const Plan *plan = &c->program->plans[k];
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const Work *w = op_work(c->program, op);
        if (c->ops[k][i].known || work_communicates(w)) continue;
        int before = priced[op->work];
        if (before != NONE && plan->ops[before].flags == op->flags &&
            op_same_shapes(c->program, plan, &plan->ops[before], op)) {
            c->ops[k][i] = c->ops[k][before];
            continue;
        }
        if (!device_model_knows(d, w)) return device_model_check(d, c->program);
        c->ops[k][i] = (OpCost){device_model_ps(d, c->program, plan, op), SOURCE_ROOFLINE, true};
        priced[op->work] = i;
    }
    return OK;
}

Status costs_from_roofline(Costs *c, const DeviceModel *d) {
    const Program *p = c->program;
    int32_t *priced = malloc(((size_t)p->work_count + 1) * sizeof *priced);
    if (!priced) FAIL(ERR_MEMORY, "out of memory for the costs of %d works", p->work_count);
    Status s = OK;
    for (int k = 0; k < p->plan_count && s == OK; k++) {
        for (int w = 0; w < p->work_count; w++) priced[w] = NONE;
        s = price_plan(c, d, k, priced);
    }
    free(priced);
    return s;
}

void costs_of_network(Costs *c) {
    for (int k = 0; k < c->program->plan_count; k++)
        for (int i = 0; i < c->program->plans[k].op_count; i++)
            if (op_communicates(c->program, &c->program->plans[k].ops[i]))
                c->ops[k][i] = (OpCost){0, SOURCE_ROOFLINE, true};
}

// How long before a device has done a step its host has issued that step and begins with the next,
// when nothing makes it wait: then a step takes as long as the slower of the two does alone. On
// a device that computes on one lane, whose messages the host does not wait for.
static int64_t lead_ps(const Costs *c, int plan) {
    const Plan *p = &c->program->plans[plan];
    __int128 end = 0, busy = 0, host = 0;
    for (int i = 0; i < p->op_count; i++) {
        host = c->issued_ps[i];
        if (c->program->lanes[p->ops[i].lane].kind != LANE_COMPUTE) continue;
        end = (end > host ? end : host) + c->ops[plan][i].ps;
        busy += c->ops[plan][i].ps;
    }
    __int128 slower = busy > host ? busy : host;
    return clamp(end > slower ? end - slower : 0);
}

Status costs_issue(Costs *c, Arena *a, int plan, const DeviceModel *d) {
    int count = c->program->plans[plan].op_count;
    if (!d->issue_ps) return OK;
    c->issued_ps = ARENA_NEW(a, int64_t, count + 1);
    if (!c->issued_ps) FAIL(ERR_MEMORY, "out of memory for %d operations", count);
    for (int i = 0; i < count; i++)
        c->issued_ps[i] = clamp((__int128)d->issue_ps * (d->graph ? 1 : i + 1));
    c->issued = count;
    c->waits = d->waits;
    int64_t lead = d->ahead ? lead_ps(c, plan) : 0;
    for (int i = 0; i < count; i++)
        c->issued_ps[i] = c->issued_ps[i] > lead ? c->issued_ps[i] - lead : 0;
    return OK;
}

void costs_slow_down(Costs *c, int64_t thousandths) {
    for (int k = 0; k < c->program->plan_count; k++)
        for (int i = 0; i < c->program->plans[k].op_count; i++)
            c->ops[k][i].ps = clamp((__int128)c->ops[k][i].ps * thousandths / 1000);
    for (int i = 0; i < c->issued; i++)
        c->issued_ps[i] = clamp((__int128)c->issued_ps[i] * thousandths / 1000);
}

// The rate for pieces of a size: linear between the two sizes around it.
static int64_t rate_at(const MemoryRate *rates, int count, int64_t bytes) {
    int i = 0;
    while (i < count && rates[i].bytes < bytes) i++;
    if (i == 0) return rates[0].peer.median;
    if (i == count) return rates[count - 1].peer.median;
    const MemoryRate *a = &rates[i - 1], *b = &rates[i];
    __int128 rise = (__int128)(b->peer.median - a->peer.median) * (bytes - a->bytes);
    return a->peer.median + (int64_t)(rise / (b->bytes - a->bytes));
}

// Directly in shared memory a rank reads its piece of every member's parts and writes it to every
// member; along a chain or around a ring about as much goes through every rank.
static int64_t share_ps(const Program *p, const Work *w, const HostModel *h, const Calibration *m) {
    __int128 bytes = (__int128)w->payload_bytes * (w->parts + 1);
    bool table = m && m->reduce_count && m->reduce[0].peer.known;
    int64_t rate =
        table ? rate_at(m->reduce, m->reduce_count, w->payload_bytes / p->groups[w->group].size)
              : h->fold_bytes_per_s;
    int64_t fixed = m && m->collective_ps.known ? m->collective_ps.median : h->dispatch_ps;
    int64_t moving = units_ps_at(bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes, rate, 1000);
    return moving > INT64_MAX - fixed ? INT64_MAX : fixed + moving;
}

void costs_from_host(Costs *c, const HostModel *h, const Calibration *m) {
    for (int k = 0; k < c->program->plan_count; k++)
        for (int i = 0; i < c->program->plans[k].op_count; i++) {
            const Op *op = &c->program->plans[k].ops[i];
            const Work *w = op_work(c->program, op);
            if (c->ops[k][i].known || !op_communicates(c->program, op)) continue;
            c->ops[k][i] = (OpCost){share_ps(c->program, w, h, m), SOURCE_CALIBRATED, true};
        }
    if (!c->dispatch_ps) c->dispatch_ps = h->dispatch_ps;
    if (!c->turn_ps) c->turn_ps = h->turn_ps;
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
