// SPDX-License-Identifier: MIT
// A prediction for ranks of a host whose operations vary as they did in a recorded run: what an
// operation costs is scaled, in each simulated step, by what an operation of the same cost key took
// in the drawn recorded step over its median there; the executor's own time likewise, by that of
// the step. Communication has no such factor, since its shares depend on the number of ranks. Read
// predict_draws() first.
#include "core/base/statistics.h"
#include "sim/predict_internal.h"
#include "sim/step_draws.h"

// The steps of a recorded rank, and room for one value of each.
typedef struct {
    const Program *program;
    const Plan *plan;
    const StepCosts *steps;
    double *values;
} Record;

// Without the first step, which warms up, unless it is the only one.
static double median_of(const Record *r) {
    int first = r->steps->count > 1;
    return statistics_quantile_of(r->values + first, r->steps->count - first, 0.5);
}

static int64_t scaled(int64_t ps, int64_t took_ps, double median_ps) {
    if (!(median_ps > 0)) return ps;
    double out = (double)ps * ((double)took_ps / median_ps);
    return out < (double)(INT64_MAX / 4) ? (int64_t)out : INT64_MAX / 4;
}

static uint64_t key_of(const Program *p, const Plan *plan, int op) {
    return op_work(p, &plan->ops[op])->cost_key;
}

// The recorded operation that stands for one of the predicted plan: of the same key, the same in
// order among those, around again where fewer were recorded; NONE: there is none.
static int recorded_op(const Record *r, const Program *p, const Plan *plan, int op) {
    uint64_t key = key_of(p, plan, op);
    int before = 0, all = 0;
    if (op_communicates(p, &plan->ops[op])) return NONE;
    for (int i = 0; i < op; i++) before += key_of(p, plan, i) == key;
    for (int i = 0; i < r->plan->op_count; i++) all += key_of(r->program, r->plan, i) == key;
    if (!all) return NONE;
    for (int i = 0, seen = 0; i < r->plan->op_count; i++)
        if (key_of(r->program, r->plan, i) == key && seen++ == before % all) return i;
    return NONE;
}

static void scale_operation(int64_t *ps, const Record *r, const Costs *c, int plan, int op) {
    const Program *p = c->program;
    int from = recorded_op(r, p, &p->plans[plan], op), ops = p->plans[plan].op_count;
    const StepCosts *s = r->steps;
    for (int i = 0; i < s->count && from != NONE; i++)
        r->values[i] = (double)s->ps[step_costs_at(s, from, i)];
    double median = from == NONE ? 0 : median_of(r);
    for (int i = 0; i < s->count; i++) {
        int64_t took = from == NONE ? 0 : s->ps[step_costs_at(s, from, i)];
        ps[(size_t)i * (size_t)ops + (size_t)op] = scaled(c->ops[plan][op].ps, took, median);
    }
}

static int64_t all_gaps(const StepCosts *s, int step) {
    int64_t ps = 0;
    for (int op = 0; op < s->ops; op++) ps += s->gap_ps[step_costs_at(s, op, step)];
    return ps;
}

// The executor's own time before each operation, and a rank's before all. Communications of a
// prediction have none of the first.
static void scale_gaps(int64_t *gap_ps, int64_t *turn_ps, const Record *r, const Costs *c,
                       int plan) {
    const Plan *to = &c->program->plans[plan];
    const StepCosts *s = r->steps;
    for (int i = 0; i < s->count; i++) r->values[i] = (double)all_gaps(s, i);
    double gaps = median_of(r);
    for (int i = 0; i < s->count; i++) r->values[i] = (double)s->turn_ps[i];
    double turns = median_of(r);
    for (int i = 0; i < s->count; i++) {
        turn_ps[i] = scaled(c->turn_ps, s->turn_ps[i], turns);
        int64_t gap = scaled(c->dispatch_ps, all_gaps(s, i), gaps);
        for (int op = 0; op < to->op_count; op++)
            if (!op_communicates(c->program, &to->ops[op]))
                gap_ps[(size_t)i * (size_t)to->op_count + (size_t)op] = gap;
    }
}

static Status make_steps(StepCosts *out, Arena *a, const Record *r, const Costs *c, int plan) {
    const size_t ops = (size_t)c->program->plans[plan].op_count, count = (size_t)r->steps->count;
    int64_t *ps = ARENA_NEW(a, int64_t, count * ops), *gap_ps = ARENA_NEW(a, int64_t, count * ops);
    int64_t *turn_ps = ARENA_NEW(a, int64_t, count);
    if (!ps || !gap_ps || !turn_ps) FAIL(ERR_MEMORY, "out of memory for %d steps", (int)count);
    for (int op = 0; op < (int)ops; op++) scale_operation(ps, r, c, plan, op);
    scale_gaps(gap_ps, turn_ps, r, c, plan);
    *out = (StepCosts){.count = (int)count,
                       .ops = (int)ops,
                       .ps = ps,
                       .busy_ps = ps,
                       .gap_ps = gap_ps,
                       .turn_ps = turn_ps};
    return OK;
}

static Status draw_rank(Costs *out, Arena *a, const Run *run, const SimSetting *s, int rank) {
    const Recording *known = s->recording;
    int from = rank % known->ranks;
    Record r = {.program = known->costs[from].program,
                .plan = &known->costs[from].program->plans[known->plan],
                .steps = &known->costs[from].steps,
                .values = ARENA_NEW(a, double, known->costs[from].steps.count)};
    if (!r.values) FAIL(ERR_MEMORY, "out of memory for recorded steps");
    *out = *run->costs[rank];
    for (int k = 0; k < rank; k++)  // ranks of one class that vary as one recorded rank share steps
        if (run->costs[k] == run->costs[rank] && k % known->ranks == from) {
            out->steps = out[k - rank].steps;
            return OK;
        }
    return make_steps(&out->steps, a, &r, out, run->plan);
}

Status predict_draws(Run *run, Arena *a, const SimSetting *s) {
    const Recording *known = s->recording;
    Costs *own = ARENA_NEW(a, Costs, run->ranks);
    const Costs **costs = ARENA_NEW(a, const Costs *, run->ranks);
    RunClass *classes = ARENA_NEW(a, RunClass, run->ranks);
    int64_t ops = 0;
    if (!own || !costs || !classes) FAIL(ERR_MEMORY, "out of memory for %d ranks", run->ranks);
    if (!known || !known->costs[0].steps.count)
        FAIL(ERR_INPUT, "--jitter recorded: no recorded step has the durations of all operations, "
                        "so that none can be drawn");
    run->steps = 1 + (s->draws->steps ? s->draws->steps : known->steps);
    run->differ = true;
    for (int r = 0; r < run->ranks; r++) ops += run->costs[r]->program->plans[run->plan].op_count;
    TRY(run_check_room(run->ranks, ops, run->steps));
    for (int r = 0; r < run->ranks; r++) TRY(draw_rank(&own[r], a, run, s, r));
    for (int r = 0; r < run->ranks; r++) {
        TRY(step_draws_make(&own[r].steps, a, s->draws->seed, s->draws->apart ? r : 0, run->steps));
        costs[r] = &own[r];
        classes[r] = (RunClass){&own[r], 1};
    }
    run->costs = costs;
    run->classes = classes;
    run->class_count = run->ranks;
    return OK;
}
