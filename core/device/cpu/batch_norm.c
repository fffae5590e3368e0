// SPDX-License-Identifier: MIT
// Batch normalisation in the order of memory: all channels of a row, then those of the next. The
// reference (core/device/reference/batch_norm.c) has the formulas and the order of the sums, and
// these give its bits. Read cpu_batch_norm_statistics() first.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/moments.h"

#include <string.h>

// Rows in use, channels, elements of a channel in a row.
typedef struct {
    int64_t B, C, plane;
} Sizes;

static Sizes sizes_of(const Operand *x) {
    Sizes s = {.B = operand_rows(x), .C = x->shape[1], .plane = 1};
    for (int i = 2; i < x->dims; i++) s.plane *= x->shape[i];
    return s;
}

// Four of the running sums, and what is added to them. Compilers find these vectors in loops over
// f64 numbers, but not where f32 ones are converted.
enum { PIECE = 4, PIECES = RUNNING_SUMS / PIECE };
typedef double Sums __attribute__((vector_size(PIECE * sizeof(double))));
typedef real Piece __attribute__((vector_size(PIECE * sizeof(real)), aligned(sizeof(real))));
#define PIECE_AT(x, p) __builtin_convertvector(((const Piece *)(x))[p], Sums)

static inline Moments moments_of_plane(const real *restrict x, int64_t n) {
    double sum[RUNNING_SUMS], squares[RUNNING_SUMS];
    Sums sums[PIECES] = {0}, square_sums[PIECES] = {0};
    int64_t i = 0;
    for (; i + RUNNING_SUMS <= n; i += RUNNING_SUMS)
        for (int p = 0; p < PIECES; p++) sums[p] += PIECE_AT(x + i, p);
    memcpy(sum, sums, sizeof sum);
    for (int e = 0; i < n; i++, e++) sum[e] += (double)x[i];
    double mean = fold_running_sums(sum) / (double)n;
    i = 0;
    for (; i + RUNNING_SUMS <= n; i += RUNNING_SUMS)
        for (int p = 0; p < PIECES; p++) {
            Sums apart = PIECE_AT(x + i, p) - mean;
            square_sums[p] += apart * apart;
        }
    memcpy(squares, square_sums, sizeof squares);
    for (int e = 0; i < n; i++, e++) {
        double apart = (double)x[i] - mean;
        squares[e] += apart * apart;
    }
    return (Moments){(double)n, mean, fold_running_sums(squares)};
}

// One of the pieces of scratch, with a number for each channel.
static inline void *piece(const KernelCall *call, int i, int64_t C) {
    return scratch_at(call, batch_norm_scratch(C, i));
}

// Row b, whose channels have one element each, joins the statistics of the rows before it.
static inline void join_elements(int64_t C, int64_t b, const real *restrict x,
                                 double *restrict mean, double *restrict squares) {
    double count = (double)(b + 1), share = 1 / count, weight = (double)b / count;
    for (int64_t c = 0; c < C; c++) {
        double apart = (double)x[c] - mean[c];
        mean[c] += apart * share;
        squares[c] += apart * apart * weight;
    }
}

static inline void join_planes(const Sizes *s, int64_t b, const real *x, double *restrict mean,
                               double *restrict squares) {
    for (int64_t c = 0; c < s->C; c++) {
        Moments before = {(double)(b * s->plane), mean[c], squares[c]};
        Moments all = moments_join(before, moments_of_plane(x + c * s->plane, s->plane));
        mean[c] = all.mean;
        squares[c] = all.squares;
    }
}

void NAME(cpu_batch_norm_statistics)(const KernelCall *call) {
    double *statistics = output_data(call, 0);
    const real *x = input_data(call, 0);
    Sizes s = sizes_of(input(call, 0));
    double *mean = statistics + MOMENT_MEAN * s.C, *squares = statistics + MOMENT_SQUARES * s.C;
    for (int64_t c = 0; c < s.C; c++) {
        statistics[c] = (double)(s.B * s.plane);
        mean[c] = squares[c] = 0;
    }
    for (int64_t b = 0; b < s.B; b++, x += s.C * s.plane)
        if (s.plane == 1)
            join_elements(s.C, b, x, mean, squares);
        else
            join_planes(&s, b, x, mean, squares);
}

static inline void normalise_plane(int64_t n, const real *restrict x, real mean, real factor,
                                   real bias, real *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor + bias;
}

static inline void normalise_elements(int64_t C, const real *restrict x, const real *restrict mean,
                                      const real *restrict factor, const real *restrict bias,
                                      real *restrict y) {
    for (int64_t c = 0; c < C; c++) y[c] = (x[c] - mean[c]) * factor[c] + bias[c];
}

static void normalise(const KernelCall *call, const real *mean, const real *factor,
                      const real *bias) {
    const real *x = input_data(call, 0);
    real *y = output_data(call, 0);
    Sizes s = sizes_of(input(call, 0));
    for (int64_t b = 0; b < s.B; b++, x += s.C * s.plane, y += s.C * s.plane) {
        if (s.plane == 1) normalise_elements(s.C, x, mean, factor, bias, y);
        for (int64_t c = 0; s.plane > 1 && c < s.C; c++)
            normalise_plane(s.plane, x + c * s.plane, mean[c], factor[c], bias[c], y + c * s.plane);
    }
}

void NAME(cpu_batch_norm)(const KernelCall *call) {
    const double *statistics = input_data(call, 1);
    const real *weight = input_data(call, 2);
    int64_t P = input(call, 1)->shape[0], C = input(call, 0)->shape[1];
    real *mean = piece(call, 0, C), *factor = piece(call, 1, C);
    for (int64_t c = 0; c < C; c++) {
        Moments m = moments_of_channel(statistics, P, C, c);
        mean[c] = (real)m.mean;
        factor[c] = (real)(moments_inverse_deviation(m, attr_as_real(call, 0)) * (double)weight[c]);
    }
    normalise(call, mean, factor, input_data(call, 3));
}

void NAME(cpu_batch_norm_inference)(const KernelCall *call) {
    const real *variance = input_data(call, 2), *weight = input_data(call, 3);
    int64_t C = input(call, 0)->shape[1];
    real *factor = piece(call, 1, C);
    for (int64_t c = 0; c < C; c++)
        factor[c] =
            (real)(1 / sqrt((double)variance[c] + attr_as_real(call, 0)) * (double)weight[c]);
    normalise(call, input_data(call, 1), factor, input_data(call, 4));
}

static inline void reduce_plane(int64_t n, const real *restrict dy, const real *restrict x,
                                double mean, double *all, double *along) {
    double sum[RUNNING_SUMS], product[RUNNING_SUMS];
    Sums sums[PIECES] = {0}, products[PIECES] = {0};
    int64_t i = 0;
    for (; i + RUNNING_SUMS <= n; i += RUNNING_SUMS)
        for (int p = 0; p < PIECES; p++) {
            Sums d = PIECE_AT(dy + i, p);
            sums[p] += d;
            products[p] += d * (PIECE_AT(x + i, p) - mean);
        }
    memcpy(sum, sums, sizeof sum);
    memcpy(product, products, sizeof product);
    for (int e = 0; i < n; i++, e++) {
        sum[e] += (double)dy[i];
        product[e] += (double)dy[i] * ((double)x[i] - mean);
    }
    *all += fold_running_sums(sum);
    *along += fold_running_sums(product);
}

static inline void reduce_elements(int64_t C, const real *restrict dy, const real *restrict x,
                                   const double *restrict mean, double *restrict all,
                                   double *restrict along) {
    for (int64_t c = 0; c < C; c++) {
        all[c] += (double)dy[c];
        along[c] += (double)dy[c] * ((double)x[c] - mean[c]);
    }
}

void NAME(cpu_batch_norm_reduce)(const KernelCall *call) {
    double *all = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1);
    const double *statistics = input_data(call, 2);
    int64_t P = input(call, 2)->shape[0];
    Sizes s = sizes_of(input(call, 0));
    double *along = all + s.C, *mean = piece(call, 4, s.C), *deviation = piece(call, 5, s.C);
    for (int64_t c = 0; c < s.C; c++) {
        Moments m = moments_of_channel(statistics, P, s.C, c);
        mean[c] = m.mean;
        deviation[c] = moments_inverse_deviation(m, attr_as_real(call, 0));
        all[c] = along[c] = 0;
    }
    for (int64_t b = 0; b < s.B; b++, dy += s.C * s.plane, x += s.C * s.plane) {
        if (s.plane == 1) reduce_elements(s.C, dy, x, mean, all, along);
        for (int64_t c = 0; s.plane > 1 && c < s.C; c++)
            reduce_plane(s.plane, dy + c * s.plane, x + c * s.plane, mean[c], &all[c], &along[c]);
    }
    for (int64_t c = 0; c < s.C; c++) along[c] *= deviation[c];
}

void NAME(cpu_batch_norm_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0), *dbias = output_data(call, 1);
    const double *sums = input_data(call, 0);
    int64_t C = input(call, 0)->shape[1];
    for (int64_t c = 0; c < C; c++) {
        dweight[c] = (call->accumulate ? dweight[c] : 0) + (real)sums[C + c];
        if (dbias) dbias[c] = (call->accumulate ? dbias[c] : 0) + (real)sums[c];
    }
}

typedef struct {
    const real *mean, *constant, *slope, *factor;  // (C)
} Backward;

static inline void backward_plane(int64_t n, const real *restrict dy, const real *restrict x,
                                  const Backward *k, int64_t c, real *restrict dx) {
    real mean = k->mean[c], constant = k->constant[c], slope = k->slope[c], factor = k->factor[c];
    for (int64_t i = 0; i < n; i++) dx[i] = (dy[i] - constant - (x[i] - mean) * slope) * factor;
}

static inline void backward_elements(int64_t C, const real *restrict dy, const real *restrict x,
                                     const Backward *k, real *restrict dx) {
    const real *restrict mean = k->mean, *restrict constant = k->constant,
                         *restrict slope = k->slope, *restrict factor = k->factor;
    for (int64_t c = 0; c < C; c++)
        dx[c] = (dy[c] - constant[c] - (x[c] - mean[c]) * slope[c]) * factor[c];
}

void NAME(cpu_batch_norm_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1), *weight = input_data(call, 4);
    const double *statistics = input_data(call, 2), *sums = input_data(call, 3);
    int64_t P = input(call, 2)->shape[0];
    Sizes s = sizes_of(input(call, 0));
    real *mean = piece(call, 0, s.C), *factor = piece(call, 1, s.C),
         *constant = piece(call, 2, s.C), *slope = piece(call, 3, s.C);
    for (int64_t c = 0; c < s.C; c++) {
        Moments m = moments_of_channel(statistics, P, s.C, c);
        double r = moments_inverse_deviation(m, attr_as_real(call, 0));
        mean[c] = (real)m.mean;
        factor[c] = (real)(r * (double)weight[c]);
        constant[c] = (real)(sums[c] / m.count);
        slope[c] = (real)(sums[s.C + c] * r / m.count);
    }
    const Backward k = {mean, constant, slope, factor};
    for (int64_t b = 0; b < s.B; b++) {
        int64_t row = b * s.C * s.plane;
        if (s.plane == 1) backward_elements(s.C, dy + row, x + row, &k, dx + row);
        for (int64_t c = 0; s.plane > 1 && c < s.C; c++)
            backward_plane(s.plane, dy + row + c * s.plane, x + row + c * s.plane, &k, c,
                           dx + row + c * s.plane);
    }
}

void NAME(cpu_batch_norm_update)(const KernelCall *call) {
    real *mean = output_data(call, 0), *variance = output_data(call, 1);
    const real *old_mean = input_data(call, 0), *old_variance = input_data(call, 1);
    const double *statistics = input_data(call, 2);
    int64_t P = input(call, 2)->shape[0], C = input(call, 2)->shape[2];
    double momentum = attr_as_real(call, 0);
    for (int64_t c = 0; c < C; c++) {
        Moments m = moments_of_channel(statistics, P, C, c);
        double part = m.count > 1 ? momentum : 0;
        double unbiased = m.count > 1 ? m.squares / (m.count - 1) : 0;
        mean[c] = (real)((1 - part) * (double)old_mean[c] + part * m.mean);
        variance[c] = (real)((1 - part) * (double)old_variance[c] + part * unbiased);
    }
}
