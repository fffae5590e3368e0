// SPDX-License-Identifier: MIT
// PowerSGD (Vogels, Karimireddy and Jaggi, 2019): a matrix x (N,M), whose rows may have several
// dimensions, as a product of factors p (N,R) and q (M,R).
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

#include <float.h>

// The attribute `matrices`: so many lie one below the other in x, p and q, each with factors of its
// own; 0: one.
static int64_t matrices(const KernelCall *call) { return call->attr[0] ? call->attr[0] : 1; }

// p = x q
void NAME(reference_low_rank_left)(const KernelCall *call) {
    int64_t B = matrices(call), N = output(call, 0)->shape[0] / B, R = output(call, 0)->shape[1],
            M = input(call, 1)->shape[0] / B;
    const real *x = input_data(call, 0), *q = input_data(call, 1);
    real *p = output_data(call, 0);
    for (int64_t b = 0; b < B; b++, x += N * M, q += M * R, p += N * R)
        for (int64_t n = 0; n < N; n++)
            for (int64_t r = 0; r < R; r++) {
                real sum = 0;
                for (int64_t m = 0; m < M; m++) sum += x[n * M + m] * q[m * R + r];
                p[n * R + r] = sum;
            }
}

// q = x' p
void NAME(reference_low_rank_right)(const KernelCall *call) {
    int64_t B = matrices(call), M = output(call, 0)->shape[0] / B, R = output(call, 0)->shape[1],
            N = input(call, 1)->shape[0] / B;
    const real *x = input_data(call, 0), *p = input_data(call, 1);
    real *q = output_data(call, 0);
    for (int64_t b = 0; b < B; b++, x += N * M, q += M * R, p += N * R)
        for (int64_t m = 0; m < M; m++)
            for (int64_t r = 0; r < R; r++) {
                real sum = 0;
                for (int64_t n = 0; n < N; n++) sum += x[n * M + m] * p[n * R + r];
                q[m * R + r] = sum;
            }
}

// An element of p q', from a row of each.
static real element(const real *p, const real *q, int64_t R) {
    real sum = 0;
    for (int64_t r = 0; r < R; r++) sum += p[r] * q[r];
    return sum;
}

// rest = x - p q'
void NAME(reference_low_rank_rest)(const KernelCall *call) {
    int64_t B = matrices(call), N = input(call, 1)->shape[0] / B, R = input(call, 1)->shape[1],
            M = input(call, 2)->shape[0] / B;
    const real *x = input_data(call, 0), *p = input_data(call, 1), *q = input_data(call, 2);
    real *rest = output_data(call, 0);
    for (int64_t b = 0; b < B; b++, x += N * M, rest += N * M, q += M * R, p += N * R)
        for (int64_t n = 0; n < N; n++)
            for (int64_t m = 0; m < M; m++)
                rest[n * M + m] = x[n * M + m] - element(&p[n * R], &q[m * R], R);
}

// x = p q'
void NAME(reference_low_rank_whole)(const KernelCall *call) {
    int64_t B = matrices(call), N = input(call, 0)->shape[0] / B, R = input(call, 0)->shape[1],
            M = input(call, 1)->shape[0] / B;
    const real *p = input_data(call, 0), *q = input_data(call, 1);
    real *x = output_data(call, 0);
    for (int64_t b = 0; b < B; b++, x += N * M, q += M * R, p += N * R)
        for (int64_t n = 0; n < N; n++)
            for (int64_t m = 0; m < M; m++) x[n * M + m] = element(&p[n * R], &q[m * R], R);
}

// --- Gram and Schmidt; columns of y (N,R), sums in f64

static double dot(const real *y, int64_t N, int64_t R, int64_t a, int64_t b) {
    double sum = 0;
    for (int64_t n = 0; n < N; n++) sum += (double)y[n * R + a] * (double)y[n * R + b];
    return sum;
}

static void divide(real *y, int64_t N, int64_t R, int64_t column, double by) {
    for (int64_t n = 0; n < N; n++) y[n * R + column] = (real)((double)y[n * R + column] / by);
}

// So that neither squares nor what is left of them vanish, however small the column is.
static void scale(real *y, int64_t N, int64_t R, int64_t column) {
    double most = 0;
    for (int64_t n = 0; n < N; n++) most = fmax(most, fabs((double)y[n * R + column]));
    if (most > 0) divide(y, N, R, column, most);
}

// Take the columns before it away, and once more what rounding has left of them. Returns the square
// of its length; 0 where nothing but rounding was left.
static double project(real *y, int64_t N, int64_t R, int64_t column) {
    double left = dot(y, N, R, column, column);
    double rounding = 64 * (sizeof(real) == sizeof(double) ? DBL_EPSILON : (double)FLT_EPSILON),
           least = rounding * rounding * left;
    for (int time = 0; time < 2; time++) {
        for (int64_t before = 0; before < column; before++) {
            double part = dot(y, N, R, before, column);
            for (int64_t n = 0; n < N; n++)
                y[n * R + column] -= (real)(part * (double)y[n * R + before]);
        }
        left = dot(y, N, R, column, column);
        if (left <= least) return 0;
    }
    return left;
}

// Instead of a column that is made of those before it: the first unit vector of which they leave
// half as much as of all on average.
static double replace(real *y, int64_t N, int64_t R, int64_t column) {
    double square = 0, least = (double)(N - column) / (2 * (double)N);
    for (int64_t unit = 0; unit < N && square < least; unit++) {
        for (int64_t n = 0; n < N; n++) y[n * R + column] = n == unit;
        square = project(y, N, R, column);
    }
    return square;
}

// Columns of length 1, each at right angles to those before it; R <= N. A factor that has lost a
// column gets a new one, so that it never loses rank for good.
static void orthogonalise(real *y, int64_t N, int64_t R) {
    for (int64_t r = 0; r < R; r++) {
        scale(y, N, R, r);
        double square = project(y, N, R, r);
        if (square == 0) square = replace(y, N, R, r);
        if (square > 0 || isnan(square)) divide(y, N, R, r, sqrt(square));
    }
}

// y = x with such columns, of each matrix.
void NAME(reference_orthogonalise)(const KernelCall *call) {
    int64_t B = matrices(call), rows = output(call, 0)->shape[0], R = output(call, 0)->shape[1];
    real *y = output_data(call, 0);
    memmove(y, input_data(call, 0), (size_t)(rows * R) * sizeof *y);
    for (int64_t b = 0; b < B; b++) orthogonalise(&y[b * (rows / B) * R], rows / B, R);
}
