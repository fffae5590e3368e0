// SPDX-License-Identifier: MIT
// Branch and bound. Rounds are of a fixed size, so that threads change nothing. Read
// advise_search() at the end.
#include "sim/advise_internal.h"

#include "parallel/strategy/pipeline_schedule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRICED_AT_ONCE = 16, SIMULATED_AT_ONCE = 2, UNIT_PASSES = 4 };

void advise_hold(const Search *search) {
    if (search->ask->lock) pthread_mutex_lock(search->ask->lock);
}

void advise_let_go(const Search *search) {
    if (search->ask->lock) pthread_mutex_unlock(search->ask->lock);
}

static void show(const Search *search, const char *what, int done, int all) {
    const Advice *v = search->out;
    double best = v->best == NONE ? (double)NAN : v->points[v->candidates[v->best].point].step_ms;
    const AdviseProgress progress = {what, done, all, best};
    if (search->ask->progress) search->ask->progress(search->ask->context, &progress);
}

// --- a pass of the whole model

// One way to cut the model, and how much each rank has of a micro-batch.
typedef struct AdviseUnit {
    int tensor, context, experts;
    bool wide;  // ranks along context share experts
    Recompute recompute;
    int64_t rows;
} Unit;

static Unit unit_of(const JobSpec *s) {
    Mesh mesh;
    return (Unit){.tensor = mesh_size(&s->mesh, MESH_TENSOR),
                  .context = mesh_size(&s->mesh, MESH_CONTEXT),
                  .experts = s->strategy.experts,
                  .wide = job_spec_mesh(&mesh, s) == OK && mesh.wide_experts,
                  .recompute = s->strategy.recompute,
                  .rows = s->batch / job_spec_shards(s) / s->micro_batches};
}

static bool are_equal(const Unit *a, const Unit *b) {
    return a->tensor == b->tensor && a->context == b->context && a->experts == b->experts &&
           a->wide == b->wide && a->recompute == b->recompute && a->rows == b->rows;
}

// The job on as few ranks as the cut needs, without a pipeline.
static JobSpec unit_job(const JobSpec *job, const Unit *u) {
    JobSpec s = *job;
    int sharers = u->experts > 1 ? u->experts : 1;
    s.mesh = (Mesh){.tensor = u->tensor,
                    .context = u->context,
                    .data = u->wide ? sharers / u->context : sharers};
    s.ranks = (int)mesh_ranks(&s.mesh);
    s.batch = s.mesh.data * u->rows * UNIT_PASSES;
    s.shards = s.strategy.zero = 0;
    s.micro_batches = UNIT_PASSES;
    s.strategy.stages = NULL;
    s.strategy.experts = u->experts;
    s.strategy.recompute = u->recompute;
    return s;
}

static Status measure_unit(void *context, Point *out, Arena *a, int i, const SimulateWatch *watch) {
    const Search *search = context;
    const Unit *u = &search->units[i];
    SimJob job = *search->ask->job;
    SimSetting setting = *search->ask->setting;
    ShortPlan plan;
    setting.watch = watch;
    setting.unkept = setting.brief = true;
    job.spec = unit_job(&search->ask->job->spec, u);
    TRY(job_spec_check(&job.spec));
    TRY(short_plan_init(&plan, a, &job, &setting, &search->blocks));
    ShortPass pass;
    TRY(short_plan_pass(&pass, &plan));
    out->step_ms = pass.pass_ms;
    out->memory_bytes = (int64_t)pass.kept_bytes;
    return OK;
}

static void follow_units(void *context, int ended, int all_ended) {
    (void)ended;
    show(context, "bounds", all_ended, 0);
}

static Status find_bounds(Search *search) {
    Advice *v = search->out;
    int count = 0, *of = ARENA_NEW(search->arena, int, v->count);
    search->units = ARENA_NEW(search->arena, Unit, v->count);
    Point *passes = ARENA_NEW(search->arena, Point, v->count);
    if (!of || !search->units || !passes) FAIL(ERR_MEMORY, "out of memory for %d bounds", v->count);
    JobSpec s;
    for (int c = 0; c < v->count; c++) {
        if (v->candidates[c].fate != ADVISE_OPEN) continue;
        advise_job(&s, v, c);
        const Unit u = unit_of(&s);
        for (of[c] = 0; of[c] < count && !are_equal(&search->units[of[c]], &u);) of[c]++;
        if (of[c] == count) search->units[count++] = u;
    }
    const PointWork work = {.context = search, .measure = measure_unit, .follow = follow_units};
    TRY(points_run(passes, count, search->ask->threads, &work));
    for (int c = 0; c < v->count; c++) {
        AdviseCandidate *it = &v->candidates[c];
        if (it->fate != ADVISE_OPEN) continue;
        if (passes[of[c]].state == POINT_REFUSED) {
            it->fate = ADVISE_MODEL;
            advise_note_why(v, ADVISE_MODEL, passes[of[c]].why);
            continue;
        }
        advise_job(&s, v, c);
        it->bound_ms = estimate_model_least_step(&s, passes[of[c]].step_ms);
        double kept = (double)passes[of[c]].memory_bytes;
        it->least_bytes = (int64_t)estimate_model_least_kept(&search->model, &s, kept);
        it->large = estimate_model_kept(&search->model, &s, kept) > (double)v->memory_bytes;
        if (v->memory_bytes && it->least_bytes > v->memory_bytes) it->fate = ADVISE_LEAST;
    }
    return OK;
}

// --- simulating

static Status measure(void *context, Point *out, Arena *a, int i, const SimulateWatch *watch) {
    const Search *search = context;
    SimJob job = *search->ask->job;
    SimSetting setting = *search->ask->setting;
    ShortPlan plan;
    Prediction p;
    setting.watch = watch;
    setting.unkept = setting.brief = true;
    advise_job(&job.spec, search->out, search->round[i]);
    if (search->whole) {
        TRY(predict_job(&p, a, &job, &setting));
        point_take(out, &p);
        return OK;
    }
    TRY(short_plan_init(&plan, a, &job, &setting, &search->blocks));
    TRY(short_plan_point(out, &plan, search->out->memory_bytes));
    out->estimated_plan = !short_plan_is_whole(&plan);
    return OK;
}

static bool fits(const Advice *v, const Point *p) {
    return !v->memory_bytes || p->memory_bytes <= v->memory_bytes;
}

// Below what the long plan takes, since the short plans may be so far from it.
static double least_ms(const Advice *v, int point) {
    const Point *p = &v->points[point];
    bool cut = advise_value(v, v->of_point[point], ADVISE_CONTEXT) > 1;
    double error = cut ? ADVISE_RING_ERROR : ADVISE_SHORT_ERROR;
    return p->estimated_plan ? p->step_ms * (1 - error) : p->step_ms;
}

static bool may_fit(const Advice *v, const Point *p) {
    double error = p->estimated_plan ? ADVISE_SHORT_ERROR : 0;
    return !v->memory_bytes || (double)p->memory_bytes * (1 - error) <= (double)v->memory_bytes;
}

static AdviseFate fate_of(const Advice *v, const Point *p) {
    if (p->state == POINT_REFUSED) return ADVISE_MODEL;
    if (!may_fit(v, p)) return ADVISE_MEMORY;
    if (p->estimated_plan) return ADVISE_SHORT;
    return fits(v, p) ? ADVISE_SIMULATED : ADVISE_MEMORY;
}

static void take(Advice *v, int candidate, const Point *p) {
    AdviseCandidate *c = &v->candidates[candidate];
    if (c->point == NONE) c->point = v->point_count++;
    v->points[c->point] = *p;
    v->of_point[c->point] = candidate;
    c->fate = (uint8_t)fate_of(v, p);
    v->simulated += !p->estimated_plan;
    if (c->fate == ADVISE_MODEL) advise_note_why(v, ADVISE_MODEL, p->why);
    if (c->fate != ADVISE_SIMULATED) return;
    if (v->best == NONE || p->step_ms < v->points[v->candidates[v->best].point].step_ms)
        v->best = candidate;
}

// Candidates of a round, in their order whatever the threads do.
static Status simulate(Search *search, const int *round, int count, bool whole) {
    Point points[PRICED_AT_ONCE];
    const PointWork work = {.context = search, .measure = measure};
    search->round = round;
    search->whole = whole;
    Status status = points_run(points, count, search->ask->threads, &work);
    advise_hold(search);
    for (int i = 0; i < count; i++)
        if (points[i].state != POINT_OPEN) take(search->out, round[i], &points[i]);
    advise_let_go(search);
    return status;
}

// --- which

typedef struct {
    bool large;
    double bound;
    int candidate;
} Ranked;

static int compare_orders(const void *left, const void *right) {
    const Ranked *a = left, *b = right;
    if (a->large != b->large) return a->large ? 1 : -1;
    if (a->bound != b->bound) return a->bound < b->bound ? -1 : 1;
    return (a->candidate > b->candidate) - (a->candidate < b->candidate);
}

// The shortest step, by short plans too, of what fits; infinite without any.
static double shortest(const Advice *v) {
    double ms = HUGE_VAL;
    for (int i = 0; i < v->point_count; i++) {
        AdviseFate fate = (AdviseFate)v->candidates[v->of_point[i]].fate;
        if ((fate == ADVISE_SIMULATED || fate == ADVISE_SHORT) && fits(v, &v->points[i]))
            ms = fmin(ms, v->points[i].step_ms);
    }
    return ms;
}

// In their order, without those whose bound is above the shortest. When ADVISE_PATIENCE in a row
// were no better, the others are passed by.
static Status price(Search *search, const Ranked *order, int count) {
    Advice *v = search->out;
    double best = HUGE_VAL;
    int at = 0, in_vain = 0;
    while (at < count && in_vain < ADVISE_PATIENCE) {
        int round[PRICED_AT_ONCE], taken = 0;
        for (; at < count && taken < PRICED_AT_ONCE; at++)
            if (order[at].bound < best * (1 + ADVISE_RING_ERROR))
                round[taken++] = order[at].candidate;
        show(search, "short plans", at, count);
        TRY(simulate(search, round, taken, false));
        in_vain = shortest(v) < best || best == HUGE_VAL ? 0 : in_vain + taken;
        best = shortest(v);
    }
    for (; at < count; at++)
        if (order[at].bound < best) v->candidates[order[at].candidate].fate = ADVISE_PASSED_BY;
    return OK;
}

static Status price_by_bound(Search *search) {
    const Advice *v = search->out;
    Ranked *order = ARENA_NEW(search->arena, Ranked, v->count);
    int count = 0;
    if (!order) FAIL(ERR_MEMORY, "out of memory for an order");
    for (int c = 0; c < v->count; c++)
        if (v->candidates[c].fate == ADVISE_OPEN)
            order[count++] = (Ranked){v->candidates[c].large, v->candidates[c].bound_ms, c};
    qsort(order, (size_t)count, sizeof *order, compare_orders);
    return price(search, order, count);
}

// Of those with short plans alone the fastest that may be better than the best.
static Status simulate_contenders(Search *search) {
    Advice *v = search->out;
    Ranked *order = ARENA_NEW(search->arena, Ranked, v->point_count + 1);
    if (!order) FAIL(ERR_MEMORY, "out of memory for an order");
    for (;;) {
        int count = 0, round[SIMULATED_AT_ONCE], taken = 0;
        double limit = HUGE_VAL;
        if (v->best != NONE) limit = v->points[v->candidates[v->best].point].step_ms;
        for (int i = 0; i < v->point_count; i++)
            if (v->candidates[v->of_point[i]].fate == ADVISE_SHORT && least_ms(v, i) < limit)
                order[count++] = (Ranked){false, v->points[i].step_ms, v->of_point[i]};
        qsort(order, (size_t)count, sizeof *order, compare_orders);
        for (; taken < count && taken < SIMULATED_AT_ONCE; taken++)
            round[taken] = order[taken].candidate;
        if (search->ask->most && taken > search->ask->most - v->simulated)
            taken = search->ask->most - v->simulated;
        if (taken <= 0) return OK;
        show(search, "whole plans", v->simulated, v->simulated + taken);
        TRY(simulate(search, round, taken, true));
    }
}

static bool is_next_value(const Advice *v, int a, int b, AdviseOption option) {
    if (option == ADVISE_ZERO || option == ADVISE_RECOMPUTE || option == ADVISE_SCHEDULE)
        return true;
    int one = v->space.values[option][v->candidates[a].at[option]];
    int other = v->space.values[option][v->candidates[b].at[option]];
    for (int i = 0; i < v->space.counts[option]; i++) {
        int between = v->space.values[option][i];
        if ((between > one && between < other) || (between < one && between > other)) return false;
    }
    return true;
}

// The job as it is, and what differs from the best by one option, one value on where values are
// numbers: so that each of them can be told beside the best.
static Status price_neighbours(Search *search) {
    Advice *v = search->out;
    int round[PRICED_AT_ONCE], count = 0, plain = advise_plain(v);
    AdviseOption option;
    for (int c = 0; c < v->count; c++) {
        bool near =
            advise_differs_only(v, v->best, c, &option) && is_next_value(v, v->best, c, option);
        bool open =
            v->candidates[c].fate == ADVISE_OPEN || v->candidates[c].fate == ADVISE_PASSED_BY;
        if (!open || (c != plain && !near)) continue;
        round[count++] = c;
        if (count < PRICED_AT_ONCE) continue;
        TRY(simulate(search, round, count, false));
        count = 0;
    }
    return count ? simulate(search, round, count, false) : OK;
}

Status advise_search(Search *search) {
    TRY(find_bounds(search));
    TRY(price_by_bound(search));
    TRY(simulate_contenders(search));
    if (search->out->best == NONE) return OK;
    TRY(price_neighbours(search));
    return simulate_contenders(search);
}
