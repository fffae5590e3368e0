// SPDX-License-Identifier: MIT
// Each law is a sum of known terms times unknown factors that are not negative:
//
//     Amdahl      1 / X = f0 + f1 / N                       L = 1 / (f0 + f1), s = f0 L
//     Gustafson   X     = f0 + f1 N                         L = f0 + f1,       s = f0 / L
//     USL         N / X = f0 + f1 (N - 1) + f2 N (N - 1)    L = 1 / f0, c = f1 L, k = f2 L
//
// Divided by the left side, the errors are relative. Which factors are 0 is tried out: there are at
// most seven ways.
#include "viz/law.h"

#include "core/base/arena.h"
#include "core/base/rng.h"
#include "core/base/statistics.h"

#include <math.h>

enum { TERMS = 3, RESAMPLES = 2000 };

static const int term_counts[LAWS] = {2, 2, 3};

const char *law_name(LawKind k) {
    static const char *const names[LAWS] = {"Amdahl", "Gustafson", "USL"};
    return names[k];
}

// The terms at N, over the left side at X.
static void terms_at(double out[TERMS], LawKind kind, double n, double x) {
    const double of[LAWS][TERMS] = {
        {x, x / n, 0}, {1 / x, n / x, 0}, {x / n, x / n * (n - 1), x * (n - 1)}};
    for (int k = 0; k < TERMS; k++) out[k] = of[kind][k];
}

double law_at(const Law *l, double n) {
    double s = l->share.value, rate = l->rate.value;
    switch (l->kind) {
    case LAW_AMDAHL: return rate / (s + (1 - s) / n);
    case LAW_GUSTAFSON: return rate * (s + (1 - s) * n);
    default: return rate * n / (1 + s * (n - 1) + l->coherency.value * n * (n - 1));
    }
}

// dX/dN = 0: 1 - c = k N^2.
double law_peak(const Law *l) {
    if (!(l->coherency.value > 0)) return HUGE_VAL;
    return sqrt(fmax(1 - l->share.value, 0) / l->coherency.value);
}

// --- least squares

typedef struct {
    double of[TERMS][TERMS], with_one[TERMS];  // sums of products of terms, and of terms
} Normal;

static void add_value(Normal *m, LawKind kind, double n, double x) {
    double t[TERMS];
    terms_at(t, kind, n, x);
    for (int i = 0; i < TERMS; i++) {
        m->with_one[i] += t[i];
        for (int k = 0; k < TERMS; k++) m->of[i][k] += t[i] * t[k];
    }
}

// The factors of the terms in `used`, by elimination; the others are 0. False: it is singular.
static bool solve(double out[TERMS], const Normal *m, const bool used[TERMS]) {
    double a[TERMS][TERMS + 1];
    int index[TERMS], count = 0;
    for (int i = 0; i < TERMS; i++)
        if (used[i]) index[count++] = i;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++) a[i][k] = m->of[index[i]][index[k]];
        a[i][count] = m->with_one[index[i]];
    }
    for (int i = 0; i < count; i++) {
        double diagonal = m->of[index[i]][index[i]];
        if (!(fabs(a[i][i]) > 1e-11 * diagonal)) return false;
        for (int r = i + 1; r < count; r++)
            for (int k = count; k >= i; k--) a[r][k] -= a[r][i] / a[i][i] * a[i][k];
    }
    for (int i = 0; i < TERMS; i++) out[i] = 0;
    for (int i = count - 1; i >= 0; i--) {
        double sum = a[i][count];
        for (int k = i + 1; k < count; k++) sum -= a[i][k] * out[index[k]];
        out[index[i]] = sum / a[i][i];
    }
    return true;
}

// The sum of squares, less what does not depend on the factors.
static double cost_of(const Normal *m, const double f[TERMS]) {
    double cost = 0;
    for (int i = 0; i < TERMS; i++) {
        cost -= 2 * f[i] * m->with_one[i];
        for (int k = 0; k < TERMS; k++) cost += f[i] * f[k] * m->of[i][k];
    }
    return cost;
}

static bool not_negative(const double f[TERMS]) { return f[0] >= 0 && f[1] >= 0 && f[2] >= 0; }

static bool find_factors(double best[TERMS], const Normal *m, int terms) {
    double least = HUGE_VAL, f[TERMS];
    for (int set = 1; set < 1 << terms; set++) {
        const bool used[TERMS] = {set & 1, (set >> 1) & 1, (set >> 2) & 1};
        if (!solve(f, m, used) || !not_negative(f)) continue;
        double cost = cost_of(m, f);
        if (!(cost < least)) continue;
        least = cost;
        for (int i = 0; i < TERMS; i++) best[i] = f[i];
    }
    return isfinite(least);
}

static bool take_numbers(Law *l, const double f[TERMS]) {
    double rate = l->kind == LAW_USL      ? 1 / f[0]
                  : l->kind == LAW_AMDAHL ? 1 / (f[0] + f[1])
                                          : f[0] + f[1];
    l->rate.value = rate;
    l->share.value = l->kind == LAW_USL      ? f[1] * rate
                     : l->kind == LAW_AMDAHL ? f[0] * rate
                                             : f[0] / rate;
    l->coherency.value = f[2] * rate;
    return isfinite(rate) && rate > 0;
}

static bool fit_once(Law *l, const double *n, const double *x, int count) {
    Normal m = {0};
    double f[TERMS] = {0};
    for (int i = 0; i < count; i++) add_value(&m, l->kind, n[i], x[i]);
    return find_factors(f, &m, term_counts[l->kind]) && take_numbers(l, f);
}

// --- intervals

static void set_interval(LawNumber *n, double *values, int count) {
    statistics_spread(values, count);  // sorted
    n->low = statistics_quantile(values, count, 0.025);
    n->high = statistics_quantile(values, count, 0.975);
}

// The errors of the values, larger by as much as the fit made them smaller, are drawn with
// replacement and put on the law, which is fitted again.
static Status add_intervals(Law *l, Arena *a, const double *n, const double *x, int count) {
    double *numbers[TERMS], *errors = ARENA_NEW(a, double, count),
                            *again = ARENA_NEW(a, double, count);
    double larger = sqrt(count / (double)(count - term_counts[l->kind]));
    int made = 0;
    Rng rng;
    for (int i = 0; i < TERMS; i++) numbers[i] = ARENA_NEW(a, double, RESAMPLES);
    if (!errors || !again || !numbers[0] || !numbers[1] || !numbers[2])
        FAIL(ERR_MEMORY, "no memory for a law through %d values", count);
    for (int i = 0; i < count; i++) errors[i] = larger * log(x[i] / law_at(l, n[i]));
    rng_init(&rng, 1, RNG_BOOTSTRAP, (uint32_t)count, 3 + (uint32_t)l->kind);
    for (int k = 0; k < RESAMPLES; k++) {
        Law drawn = {.kind = l->kind};
        for (int i = 0; i < count; i++)
            again[i] = law_at(l, n[i]) * exp(errors[rng_below(&rng, (uint32_t)count)]);
        if (!fit_once(&drawn, n, again, count)) continue;
        numbers[0][made] = drawn.rate.value;
        numbers[1][made] = drawn.share.value;
        numbers[2][made++] = drawn.coherency.value;
    }
    set_interval(&l->rate, numbers[0], made);
    set_interval(&l->share, numbers[1], made);
    set_interval(&l->coherency, numbers[2], made);
    l->has_intervals = made > 0;
    return OK;
}

static int different(const double *n, int count) {
    int found = 0;
    for (int i = 0; i < count; i++) {
        int k = 0;
        while (k < i && n[k] != n[i]) k++;
        found += k == i;
    }
    return found;
}

Status law_fit(Law *out, LawKind kind, const double *n, const double *x, int count) {
    Arena a = {0};
    *out = (Law){.kind = kind};
    for (int i = 0; i < count; i++)
        if (!(x[i] > 0) || !isfinite(x[i])) FAIL(ERR_USAGE, "a throughput is not above 0");
    if (different(n, count) < term_counts[kind])
        FAIL(ERR_USAGE, "%s needs %d different sizes, and there %s %d", law_name(kind),
             term_counts[kind], different(n, count) == 1 ? "is" : "are", different(n, count));
    if (!fit_once(out, n, x, count)) FAIL(ERR_USAGE, "%s has no fit", law_name(kind));
    for (int i = 0; i < count; i++) {
        double error = fabs(law_at(out, n[i]) / x[i] - 1);
        out->mean_error += error / count;
        out->worst_error = fmax(out->worst_error, error);
    }
    Status s = count > term_counts[kind] ? add_intervals(out, &a, n, x, count) : OK;
    arena_finish(&a);
    return s;
}
