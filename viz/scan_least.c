// SPDX-License-Identifier: MIT
// The least of a sweep. Its interval is one of positions, since a sweep has no values in between.
#include "viz/scan_least.h"

#include "core/base/arena.h"
#include "core/base/rng.h"
#include "core/base/statistics.h"
#include "core/plan/program.h"

#include <math.h>
#include <string.h>

enum { RESAMPLES = 2000 };

static int position_of_least(const double *values, int count) {
    int at = NONE;
    for (int i = 0; i < count; i++)
        if (!isnan(values[i]) && (at == NONE || values[i] < values[at])) at = i;
    return at;
}

ScanLeast scan_least_flat(const double *values, int count, double share) {
    ScanLeast least = {position_of_least(values, count), NONE, NONE};
    if (least.at == NONE) return least;
    double most = values[least.at] * (1 + share);
    least.low = least.high = least.at;
    while (least.low > 0 && values[least.low - 1] <= most) least.low--;
    while (least.high + 1 < count && values[least.high + 1] <= most) least.high++;
    return least;
}

typedef struct {
    const double *const *repeats;
    const int *counts;
    int count;
    double *sample, *medians, *positions;  // scratch: of the most repeats, of count, of RESAMPLES
} Resampling;

static double median_of(Resampling *r, int i, Rng *rng) {
    int n = r->counts[i];
    if (!n) return (double)NAN;
    for (int k = 0; k < n; k++)
        r->sample[k] = r->repeats[i][rng ? rng_below(rng, (uint32_t)n) : (uint32_t)k];
    return statistics_spread(r->sample, n).median;
}

static int draw(Resampling *r, Rng *rng) {
    for (int i = 0; i < r->count; i++) r->medians[i] = median_of(r, i, rng);
    return position_of_least(r->medians, r->count);
}

static Status make_scratch(Resampling *r, Arena *a) {
    int most = 1;
    for (int i = 0; i < r->count; i++)
        if (r->counts[i] > most) most = r->counts[i];
    r->sample = ARENA_NEW(a, double, most);
    r->medians = ARENA_NEW(a, double, r->count);
    r->positions = ARENA_NEW(a, double, RESAMPLES);
    if (!r->sample || !r->medians || !r->positions)
        FAIL(ERR_MEMORY, "no memory for an interval of %d values", r->count);
    return OK;
}

Status scan_least_bootstrap(ScanLeast *out, const double *const *repeats, const int *counts,
                            int count) {
    Arena a = {0};
    Rng rng;
    Resampling r = {.repeats = repeats, .counts = counts, .count = count};
    *out = (ScanLeast){NONE, NONE, NONE};
    Status s = make_scratch(&r, &a);
    if (s == OK && (out->at = draw(&r, NULL)) != NONE) {
        rng_init(&rng, 1, RNG_BOOTSTRAP, (uint32_t)count, 1);
        for (int i = 0; i < RESAMPLES; i++) r.positions[i] = draw(&r, &rng);
        statistics_spread(r.positions, RESAMPLES);  // sorted
        out->low = (int)r.positions[RESAMPLES / 40];
        out->high = (int)r.positions[RESAMPLES - 1 - RESAMPLES / 40];
    }
    arena_finish(&a);
    return s;
}
