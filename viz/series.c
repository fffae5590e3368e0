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

// A caption names model, device and type once: all reports must share them.
static Status check_alike(const Report *first, const Report *r, FigureNotes *notes) {
    const char *const words[][3] = {{"models", first->run.model, r->run.model},
                                    {"devices", first->run.device, r->run.device},
                                    {"types", first->run.dtype, r->run.dtype}};
    for (int i = 0; i < 3; i++)
        if (strcmp(words[i][1], words[i][2]))
            FAIL(ERR_USAGE, "reports of the %s %s and %s cannot share a figure; give those of one",
                 words[i][0], words[i][1], words[i][2]);
    bool simulated = !strcmp(r->run.kind, "sim");  // whose ranks may be devices, not cores
    if (strcmp(first->machine.cpu, r->machine.cpu) ||
        (!simulated && first->machine.cores != r->machine.cores))
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
        for (int b = 0; b < TIME_COUNT && r->breakdown_steps; b++)
            p->breakdown_ms[b] += share * r->breakdown_ms[b];
    }
    for (int b = 0; b < TIME_COUNT; b++) p->total_ms += p->breakdown_ms[b];
}

static int measured_steps(const Report *r) { return r->steps - r->warm_up_steps; }

// Whether there is anything to take an interval of: what is simulated comes out the same every time
// that it is run.
static bool has_interval(const SizePoint *p) {
    if (!strcmp(p->reports[0]->run.kind, "sim")) return false;
    return p->repeats > 1 || measured_steps(p->reports[0]) > 1;
}

// The median of runs in `values`, which get sorted, and an interval: of one run that of its steps.
static Status summarise_values(double *median, double *low, double *high, double *values, int count,
                               const Spread *only) {
    *median = statistics_spread(values, count).median;
    *low = count == 1 ? only->p10 : values[0];
    *high = count == 1 ? only->p90 : values[count - 1];
    return count < BOOTSTRAP_LEAST ? OK : series_bootstrap_median(low, high, values, count);
}

static Status summarise(SizePoint *p) {
    Arena scratch = {0};
    const Report *only = p->reports[0];
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
    Status s =
        summarise_values(&p->rate, &p->low, &p->high, rates, p->repeats, &only->samples_per_s);
    if (s == OK)
        s = summarise_values(&p->step_ms, &p->step_low, &p->step_high, steps, p->repeats,
                             &only->step_ms);
    if (!has_interval(p)) {
        p->low = p->high = p->rate;
        p->step_low = p->step_high = p->step_ms;
    }
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
    for (int i = 0; i < s->count; i++) {
        TRY(summarise(&s->points[i]));
        s->has_intervals |= has_interval(&s->points[i]);
    }
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
        if (!has_interval(&s->points[i])) continue;
        one |= s->points[i].repeats == 1;
        some |= s->points[i].repeats > 1 && s->points[i].repeats < BOOTSTRAP_LEAST;
        many |= s->points[i].repeats >= BOOTSTRAP_LEAST;
    }
    if (one + some + many > 1)
        return "of one run 8 of 10 steps; of several the range, from 5 runs on the 95 % "
               "bootstrap interval, of their medians";
    if (many) return "95 % bootstrap interval of the median of runs";
    return some ? "range of the runs' medians" : one ? "8 of 10 steps" : "";
}
