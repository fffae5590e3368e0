// SPDX-License-Identifier: MIT
// Weighted least squares of a line, whose weights 1 / time^2 make its errors relative ones.
#include "viz/alpha_beta.h"

#include "core/base/arena.h"
#include "core/base/rng.h"
#include "core/base/statistics.h"

#include <math.h>
#include <stdbool.h>

enum { RESAMPLES = 2000 };

// Alpha and 1 / beta. With u = 1 / t and v = x / t the errors are alpha u + v / beta - 1: a
// regression of 1 on u and v. False where all sizes are the same.
static bool fit_line(double *alpha, double *inverse, const double *x, const double *t, int count) {
    double uu = 0, uv = 0, vv = 0, u1 = 0, v1 = 0;
    for (int i = 0; i < count; i++) {
        double u = 1 / t[i], v = x[i] / t[i];
        uu += u * u;
        uv += u * v;
        vv += v * v;
        u1 += u;
        v1 += v;
    }
    double determinant = uu * vv - uv * uv;
    if (!(determinant > 1e-12 * uu * vv)) return false;
    *alpha = (u1 * vv - v1 * uv) / determinant;
    *inverse = (v1 * uu - u1 * uv) / determinant;
    if (*alpha < 0) {
        *alpha = 0;
        *inverse = v1 / vv;
    }
    if (*inverse < 0) {
        *inverse = 0;
        *alpha = u1 / uu;
    }
    return true;
}

// The times of sizes that are drawn again, with replacement; draws of one size alone are left out.
static int resample(double *alphas, double *betas, const double *x, const double *t, int count,
                    double *scratch) {
    Rng rng;
    int made = 0;
    rng_init(&rng, 1, RNG_BOOTSTRAP, (uint32_t)count, 2);
    for (int i = 0; i < RESAMPLES; i++) {
        double inverse;
        for (int k = 0; k < count; k++) {
            uint32_t from = rng_below(&rng, (uint32_t)count);
            scratch[k] = x[from];
            scratch[count + k] = t[from];
        }
        if (!fit_line(&alphas[made], &inverse, scratch, scratch + count, count)) continue;
        betas[made++] = 1 / inverse;
    }
    return made;
}

static void judge(AlphaBeta *f, const double *x, const double *t, int count) {
    for (int i = 0; i < count; i++) {
        double error = fabs((f->alpha_us + x[i] / f->beta) / t[i] - 1);
        f->mean_error += error / count;
        f->worst_error = fmax(f->worst_error, error);
    }
}

static Status add_intervals(AlphaBeta *f, Arena *a, const double *x, const double *t, int count) {
    double *alphas = ARENA_NEW(a, double, RESAMPLES), *betas = ARENA_NEW(a, double, RESAMPLES),
           *scratch = ARENA_NEW(a, double, 2 * count);
    if (!alphas || !betas || !scratch) FAIL(ERR_MEMORY, "no memory for a fit of %d sizes", count);
    int made = resample(alphas, betas, x, t, count, scratch);
    statistics_spread(alphas, made);  // sorted
    statistics_spread(betas, made);
    f->alpha_low = statistics_quantile(alphas, made, 0.025);
    f->alpha_high = statistics_quantile(alphas, made, 0.975);
    f->beta_low = statistics_quantile(betas, made, 0.025);
    f->beta_high = statistics_quantile(betas, made, 0.975);
    // between two infinite ones a quantile is no number
    if (isnan(f->beta_low)) f->beta_low = HUGE_VAL;
    if (isnan(f->beta_high)) f->beta_high = HUGE_VAL;
    return OK;
}

Status alpha_beta_fit(AlphaBeta *out, const double *bytes, const double *us, int count) {
    Arena a = {0};
    double inverse;
    *out = (AlphaBeta){0};
    for (int i = 0; i < count; i++)
        if (!(us[i] > 0) || !isfinite(us[i])) FAIL(ERR_USAGE, "a time is not above 0");
    if (!fit_line(&out->alpha_us, &inverse, bytes, us, count))
        FAIL(ERR_USAGE, "a line through times needs two sizes, and there is one");
    out->beta = 1 / inverse;
    judge(out, bytes, us, count);
    Status s = add_intervals(out, &a, bytes, us, count);
    arena_finish(&a);
    return s;
}
