// SPDX-License-Identifier: MIT
// Reports of one world size put together: one alone has the spread of its steps, repeats have the
// median of their medians with the range, and from five on an interval by bootstrap.
#include "core/base/rng.h"
#include "viz/figures_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BOOTSTRAP_LEAST = 5, RESAMPLES = 2000 };

Status series_bootstrap_median(double *low, double *high, double *values, int count) {
    Arena scratch = {0};
    Rng rng;
    double *medians = ARENA_NEW(&scratch, double, RESAMPLES);
    double *sample = ARENA_NEW(&scratch, double, count);
    if (!medians || !sample) {
        arena_finish(&scratch);
        FAIL(ERR_MEMORY, "no memory for an interval of %d values", count);
    }
    statistics_spread(values, count);  // sorted: the order in which they came must not matter
    rng_init(&rng, 1, RNG_BOOTSTRAP, (uint32_t)count, 0);
    for (int i = 0; i < RESAMPLES; i++) {
        for (int k = 0; k < count; k++) sample[k] = values[rng_below(&rng, (uint32_t)count)];
        medians[i] = statistics_spread(sample, count).median;
    }
    statistics_spread(medians, RESAMPLES);
    *low = statistics_quantile(medians, RESAMPLES, 0.025);
    *high = statistics_quantile(medians, RESAMPLES, 0.975);
    arena_finish(&scratch);
    return OK;
}

static int by_ranks(const void *left, const void *right) {
    const SizePoint *a = left, *b = right;
    return (a->ranks > b->ranks) - (a->ranks < b->ranks);
}

// What a figure says of one report must hold for all.
static Status check_alike(const Report *first, const Report *r, FigureNotes *notes) {
    const char *const words[][3] = {{"models", first->run.model, r->run.model},
                                    {"devices", first->run.device, r->run.device},
                                    {"types", first->run.dtype, r->run.dtype}};
    for (int i = 0; i < 3; i++)
        if (strcmp(words[i][1], words[i][2]))
            FAIL(ERR_USAGE, "reports of the %s %s and %s cannot share a figure; give those of one",
                 words[i][0], words[i][1], words[i][2]);
    if (strcmp(first->machine.cpu, r->machine.cpu) || first->machine.cores != r->machine.cores)
        figure_note(notes, "reports are of several machines; captions name the first only");
    return OK;
}

static bool has_speed(const Report *r) {
    return r->steps > 0 && isfinite(r->samples_per_s.median) && r->samples_per_s.median > 0;
}

// The point of a world size, new when there is none yet.
static SizePoint *point_of(Series *s, int ranks) {
    for (int i = 0; i < s->count; i++)
        if (s->points[i].ranks == ranks) return &s->points[i];
    s->points[s->count].ranks = ranks;
    return &s->points[s->count++];
}

static void add_breakdown(SizePoint *p) {
    for (int i = 0; i < p->repeats; i++) p->breakdown_steps += p->reports[i]->breakdown_steps;
    for (int i = 0; i < p->repeats; i++) {
        const Report *r = p->reports[i];
        double share = p->breakdown_steps ? (double)r->breakdown_steps / p->breakdown_steps : 0;
        for (int b = 0; b < BILL_COUNT && r->breakdown_steps; b++)
            p->breakdown_ms[b] += share * r->breakdown_ms[b];
    }
    for (int b = 0; b < BILL_COUNT; b++) p->total_ms += p->breakdown_ms[b];
}

static Status summarise(SizePoint *p) {
    Arena scratch = {0};
    const Spread *only = &p->reports[0]->samples_per_s;
    double *rates = ARENA_NEW(&scratch, double, p->repeats);
    double *steps = ARENA_NEW(&scratch, double, p->repeats);
    if (!rates || !steps) {
        arena_finish(&scratch);
        FAIL(ERR_MEMORY, "no memory for %d reports", p->repeats);
    }
    for (int i = 0; i < p->repeats; i++) {
        rates[i] = p->reports[i]->samples_per_s.median;
        steps[i] = p->reports[i]->step_ms.median;
    }
    Status s = OK;
    p->rate = statistics_spread(rates, p->repeats).median;
    p->step_ms = statistics_spread(steps, p->repeats).median;
    p->low = p->repeats == 1 ? only->p10 : rates[0];
    p->high = p->repeats == 1 ? only->p90 : rates[p->repeats - 1];
    if (p->repeats >= BOOTSTRAP_LEAST)
        s = series_bootstrap_median(&p->low, &p->high, rates, p->repeats);
    arena_finish(&scratch);
    add_breakdown(p);
    return s;
}

Status series_make(Series *s, Arena *a, const ReportList *list, FigureNotes *notes) {
    *s = (Series){.points = ARENA_NEW(a, SizePoint, list->count)};
    if (!s->points) FAIL(ERR_MEMORY, "no memory for %d reports", list->count);
    for (int i = 0; i < list->count; i++) {
        const Report *r = list->reports[i];
        TRY(check_alike(list->reports[0], r, notes));
        if (!has_speed(r)) {
            figure_note(notes, "a report of %d rank%s has no speed and is left out", r->run.ranks,
                        r->run.ranks == 1 ? "" : "s");
            continue;
        }
        SizePoint *p = point_of(s, r->run.ranks);
        if (!p->reports) p->reports = ARENA_NEW(a, const Report *, list->count);
        if (!p->reports) FAIL(ERR_MEMORY, "no memory for %d reports", list->count);
        p->reports[p->repeats++] = r;
        if (p->repeats > s->most_repeats) s->most_repeats = p->repeats;
    }
    qsort(s->points, (size_t)s->count, sizeof *s->points, by_ranks);
    for (int i = 0; i < s->count; i++) TRY(summarise(&s->points[i]));
    return OK;
}

const SizePoint *series_at(const Series *s, int ranks) {
    for (int i = 0; i < s->count; i++)
        if (s->points[i].ranks == ranks) return &s->points[i];
    return NULL;
}

const char *series_interval(const Series *s) {
    bool one = false, some = false, many = false;
    for (int i = 0; i < s->count; i++) {
        one |= s->points[i].repeats == 1;
        some |= s->points[i].repeats > 1 && s->points[i].repeats < BOOTSTRAP_LEAST;
        many |= s->points[i].repeats >= BOOTSTRAP_LEAST;
    }
    if (one + some + many > 1)
        return "of one run 8 of 10 steps; of several the range, from 5 runs on the 95 % "
               "bootstrap interval, of their medians";
    if (many) return "95 % bootstrap interval of the median of runs";
    return some ? "range of the runs' medians" : "8 of 10 steps";
}
