// SPDX-License-Identifier: MIT
// Rounds are of a fixed size, so that threads change nothing. Read advise_search() at the end.
#include "sim/advise_internal.h"

#include <math.h>
#include <string.h>

// FINALISTS of the fastest, and WHOLE_MOST in all, are simulated by their whole plans at the end.
enum { FIRST = 16, OF_A_MESH = 2, FINALISTS = 4, WHOLE_AT_ONCE = 2, WHOLE_MOST = 12 };

void advise_hold(const Search *search) {
    if (search->ask->lock) pthread_mutex_lock(search->ask->lock);
}

void advise_let_go(const Search *search) {
    if (search->ask->lock) pthread_mutex_unlock(search->ask->lock);
}

// --- simulating

// The job as it is, which all others are compared with, has its whole plan at once.
static Status measure(void *context, Point *out, Arena *a, int i, const SimulateWatch *watch) {
    const Search *search = context;
    const Advice *v = search->out;
    int candidate = search->finalists ? search->finalists[i] : v->of_point[search->first + i];
    SimJob job = *search->ask->job;
    SimSetting setting = *search->ask->setting;
    ShortPlan plan;
    Prediction p;
    setting.watch = watch;
    setting.unkept = setting.brief = true;
    advise_job(&job.spec, v, candidate);
    TRY(short_plan_init(&plan, a, &job, &setting, &search->blocks));
    if (!search->finalists && candidate != advise_plain(v) && !short_plan_is_whole(&plan)) {
        TRY(short_plan_point(out, &plan, v->memory_bytes));
        out->is_short = true;
        return OK;
    }
    TRY(predict_job(&p, a, &job, &setting));
    point_take(out, &p);
    return OK;
}

static bool fits(const Advice *v, const Point *p) {
    return !v->memory_bytes || p->memory_bytes <= v->memory_bytes;
}

static bool same_value(const AdviseCandidate *a, const AdviseCandidate *b, AdviseOption option) {
    return a->at[option] == b->at[option];
}

static bool is_pipeline(const Advice *v, const AdviseCandidate *c) {
    return v->space.values[ADVISE_PIPE][c->at[ADVISE_PIPE]] > 1;
}

// One took so many times what was expected: others that are cut and scheduled alike will, too.
static void learn_memory(Advice *v, const AdviseCandidate *of, double times) {
    if (!(times > 1)) return;
    for (int i = 0; i < v->count; i++) {
        AdviseCandidate *c = &v->candidates[i];
        if (c->fate == ADVISE_OPEN && same_value(c, of, ADVISE_TENSOR) &&
            same_value(c, of, ADVISE_CONTEXT) && same_value(c, of, ADVISE_EXPERT) &&
            same_value(c, of, ADVISE_SCHEDULE) && is_pipeline(v, c) == is_pipeline(v, of))
            c->likely_bytes *= times;
    }
}

static void lengthen(Point *p, double times) {
    p->step_ms *= times;
    p->comm_ms *= times;
    for (int part = 0; part < REPORT_PARTS; part++) p->parts_ms[part] *= times;
    p->mfu /= times;
    p->tokens_per_s /= times;
    p->samples_per_s /= times;
}

// One took so many times as long as its short plans say: those of others that are cut and scheduled
// alike are as wrong.
static void learn_time(Advice *v, const AdviseCandidate *of, double times) {
    if (!(times > 1)) return;
    for (int i = 0; i < v->simulated; i++) {
        const AdviseCandidate *c = &v->candidates[v->of_point[i]];
        if (v->points[i].is_short && same_value(c, of, ADVISE_TENSOR) &&
            same_value(c, of, ADVISE_CONTEXT) && same_value(c, of, ADVISE_PIPE) &&
            same_value(c, of, ADVISE_EXPERT) && same_value(c, of, ADVISE_SCHEDULE))
            lengthen(&v->points[i], times);
    }
}

static bool is_ranked(const AdviseCandidate *c) {
    return c->fate == ADVISE_SIMULATED || c->fate == ADVISE_SHORT;
}

// The fastest that fits, the first of equal ones.
static int find_best(const Advice *v, bool with_short) {
    int best = NONE;
    for (int i = 0; i < v->simulated; i++) {
        const AdviseCandidate *c = &v->candidates[v->of_point[i]];
        if (!is_ranked(c) || (c->fate == ADVISE_SHORT && !with_short)) continue;
        if (best == NONE || v->points[i].step_ms < v->points[best].step_ms) best = i;
    }
    return best == NONE ? NONE : v->of_point[best];
}

static void take_point(Advice *v, int i) {
    AdviseCandidate *c = &v->candidates[v->of_point[i]];
    const Point *p = &v->points[i];
    c->point = i;
    if (p->state != POINT_REFUSED) learn_memory(v, c, (double)p->memory_bytes / c->likely_bytes);
    c->fate = p->state == POINT_REFUSED ? ADVISE_MODEL
              : !fits(v, p)             ? ADVISE_MEMORY
              : p->is_short             ? ADVISE_SHORT
                                        : ADVISE_SIMULATED;
    if (c->fate == ADVISE_MODEL) advise_note_why(v, ADVISE_MODEL, p->why);
    v->best = find_best(v, true);
}

static void show(const Search *search, const char *what, int done) {
    const Advice *v = search->out;
    double best = v->best == NONE ? (double)NAN : v->points[v->candidates[v->best].point].step_ms;
    const AdviseProgress p = {what, done, 0, best};
    if (search->ask->progress) search->ask->progress(search->ask->context, &p);
}

// From the thread that called points_run(): in their order, whatever the threads do.
static void follow(void *context, int ended, int all_ended) {
    Search *search = context;
    Advice *v = search->out;
    advise_hold(search);
    while (v->simulated < search->first + ended) {
        v->simulated++;
        take_point(v, v->simulated - 1);
    }
    show(search, "simulations", search->first + all_ended);
    advise_let_go(search);
}

static Status simulate(Search *search, int count) {
    Advice *v = search->out;
    const PointWork work = {.context = search, .follow = follow, .measure = measure};
    search->first = v->simulated;
    return points_run(&v->points[v->simulated], count, search->ask->threads, &work);
}

// --- which

// Are enough of its mesh chosen, or one that is estimated to be as fast?
static bool is_crowded(const Advice *v, int first, int count, int candidate) {
    const AdviseCandidate *c = &v->candidates[candidate];
    int same = 0;
    for (int i = first; i < first + count; i++) {
        const AdviseCandidate *other = &v->candidates[v->of_point[i]];
        if (!same_value(c, other, ADVISE_TENSOR) || !same_value(c, other, ADVISE_CONTEXT) ||
            !same_value(c, other, ADVISE_PIPE) || !same_value(c, other, ADVISE_EXPERT))
            continue;
        if (++same == OF_A_MESH || other->estimate_ms == c->estimate_ms) return true;
    }
    return false;
}

static bool is_chosen(const Advice *v, int first, int count, int candidate) {
    for (int i = first; i < first + count; i++)
        if (v->of_point[i] == candidate) return true;
    return false;
}

// An estimate of memory may be a little too high.
static bool may_fit(const Advice *v, const AdviseCandidate *c) {
    return !v->memory_bytes || c->likely_bytes <= 1.05 * (double)v->memory_bytes;
}

// Is it more promising? What may fit is, and of that what is estimated to be faster; of the rest
// what needs less memory.
static bool is_before(const Advice *v, const AdviseCandidate *c, const AdviseCandidate *than) {
    bool fit = may_fit(v, c);
    if (fit != may_fit(v, than)) return fit;
    return fit ? c->estimate_ms < than->estimate_ms : c->likely_bytes < than->likely_bytes;
}

// The most promising open candidate, the first of equal ones.
static int next_best(const Advice *v, int first, int count) {
    int best = NONE;
    for (int c = 0; c < v->count; c++) {
        const AdviseCandidate *next = &v->candidates[c];
        if (next->fate != ADVISE_OPEN || is_chosen(v, first, count, c)) continue;
        if (next->at[ADVISE_BUCKET]) continue;  // of which no estimate knows
        if (best != NONE && !is_before(v, next, &v->candidates[best])) continue;
        if (!is_crowded(v, first, count, c)) best = c;
    }
    return best;
}

// The job as it is, whatever its estimate, since no advice may be slower; then the best estimates.
static int choose_estimated(Advice *v, int most) {
    int count = 0, next, plain = advise_plain(v);
    if (most && plain != NONE && v->candidates[plain].fate == ADVISE_OPEN)
        v->of_point[v->simulated + count++] = plain;
    while (count < most && (next = next_best(v, v->simulated, count)) != NONE)
        v->of_point[v->simulated + count++] = next;
    return count;
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

// What differs from the best by one option, one value on where values are numbers.
static int choose_neighbours(Advice *v, int most) {
    int count = 0;
    AdviseOption option;
    for (int c = 0; c < v->count && count < most; c++)
        if (v->candidates[c].fate == ADVISE_OPEN && advise_differs_only(v, v->best, c, &option) &&
            is_next_value(v, v->best, c, option))
            v->of_point[v->simulated + count++] = c;
    return count;
}

static int count_fitting(const Advice *v) {
    int count = 0;
    for (int i = 0; i < v->simulated; i++)
        count += is_ranked(&v->candidates[v->of_point[i]]);
    return count;
}

// Two rounds of estimated candidates do, unless memory is so scarce that few of them fit.
static Status explore(Search *search) {
    Advice *v = search->out;
    while (v->simulated < search->most) {
        int left = search->most - v->simulated, count = 0;
        bool around = v->best != NONE && v->best != search->improved;
        if (around) {
            search->improved = v->best;
            count = choose_neighbours(v, left);
        } else if (search->rounds < 2 || count_fitting(v) < FIRST) {
            count = choose_estimated(v, left < FIRST ? left : FIRST);
            search->rounds++;
            if (!count) return OK;
        } else
            return OK;
        if (count) TRY(simulate(search, count));
    }
    return OK;
}

// --- whole plans

// Of the fastest FINALISTS those that have short plans alone, at most `most`.
static int choose_finalists(const Advice *v, int *out, int most) {
    int order[FINALISTS], known = 0, count = 0;
    for (int i = 0; i < v->simulated; i++) {
        if (!is_ranked(&v->candidates[v->of_point[i]])) continue;
        int at = known;
        for (; at && v->points[order[at - 1]].step_ms > v->points[i].step_ms; at--)
            if (at < FINALISTS) order[at] = order[at - 1];
        if (at < FINALISTS) order[at] = i;
        if (known < FINALISTS) known++;
    }
    for (int i = 0; i < known && count < most; i++)
        if (v->points[order[i]].is_short) out[count++] = v->of_point[order[i]];
    return count;
}

static Status confirm(Search *search) {
    Advice *v = search->out;
    int finalists[WHOLE_AT_ONCE], count;
    Point points[WHOLE_AT_ONCE];
    const PointWork work = {.context = search, .measure = measure};
    while (search->confirmed < WHOLE_MOST &&
           (count = choose_finalists(v, finalists, WHOLE_AT_ONCE))) {
        search->finalists = finalists;
        Status status = points_run(points, count, search->ask->threads, &work);
        search->finalists = NULL;
        TRY(status);
        advise_hold(search);
        for (int i = 0; i < count; i++) {
            int at = v->candidates[finalists[i]].point;
            double before = v->points[at].step_ms;
            v->points[at] = points[i];
            if (points[i].state == POINT_DONE)
                learn_time(v, &v->candidates[finalists[i]], points[i].step_ms / before);
            take_point(v, at);
        }
        search->confirmed += count;
        show(search, "whole plans", search->confirmed);
        advise_let_go(search);
    }
    return OK;
}

Status advise_search(Search *search) {
    Advice *v = search->out;
    search->improved = NONE;
    do {
        TRY(explore(search));
        TRY(confirm(search));
    } while (v->best != search->improved && v->simulated < search->most &&
             search->confirmed < WHOLE_MOST);
    advise_hold(search);
    v->best = find_best(v, false);
    advise_let_go(search);
    return OK;
}
