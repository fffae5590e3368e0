// SPDX-License-Identifier: MIT
// Batch normalisation (Ioffe and Szegedy 2015) of x (B,C,...), channel by channel, in kinds between
// which ranks can exchange what they know of the whole batch:
//   statistics       N, m, q: of a channel's elements in all rows how many, their mean, and the sum
//                    of (x - m)^2
//   y                = (x - m) r w + b         r = 1 / sqrt(q / N + eps), the biased variance
//   sums             s = sum dy,  t = sum dy (x - m) r
//   dweight, dbias   = t, s
//   dx               = (dy - s / N - (x - m) r t / N) r w
//   running_mean     = (1 - momentum) running_mean + momentum m
//   running_var      = (1 - momentum) running_var + momentum q / (N - 1), the unbiased variance
// In evaluation the running statistics take the place of m and q / N.
//
// The statistics may be of several sets of rows, P of them, which are joined in their order; `sums`
// are then those of all of these rows. All sums are in f64, and their order is fixed: element i of
// a row's channel goes to running sum i modulo 16, these are folded (moments.h), and rows are
// joined in their order. Without rows in use the statistics are 0. Running statistics stay as they
// were if a channel has fewer than two elements, which have no unbiased variance.
#include "core/device/kernel.h"
#include "core/device/moments.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

// Rows in use, channels, elements of a channel in a row.
typedef struct {
    int64_t B, C, plane;
} Sizes;

static Sizes sizes_of(const Operand *x) {
    Sizes s = {.B = operand_rows(x), .C = x->shape[1], .plane = 1};
    for (int i = 2; i < x->dims; i++) s.plane *= x->shape[i];
    return s;
}

static Moments moments_of_input(const KernelCall *call, int i, int64_t c) {
    const Operand *statistics = input(call, i);
    return moments_of_channel(statistics->data, statistics->shape[0], statistics->shape[2], c);
}

static Moments moments_of_plane(const real *x, int64_t n) {
    double sum[RUNNING_SUMS] = {0}, squares[RUNNING_SUMS] = {0};
    for (int64_t i = 0; i < n; i++) sum[i % RUNNING_SUMS] += (double)x[i];
    double mean = fold_running_sums(sum) / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double apart = (double)x[i] - mean;
        squares[i % RUNNING_SUMS] += apart * apart;
    }
    return (Moments){(double)n, mean, fold_running_sums(squares)};
}

void NAME(reference_batch_norm_statistics)(const KernelCall *call) {
    double *statistics = output_data(call, 0);
    const real *x = input_data(call, 0);
    Sizes s = sizes_of(input(call, 0));
    for (int64_t c = 0; c < s.C; c++) {
        Moments all = {0, 0, 0};
        for (int64_t b = 0; b < s.B; b++)
            all = moments_join(all, moments_of_plane(x + (b * s.C + c) * s.plane, s.plane));
        statistics[MOMENT_COUNT * s.C + c] = all.count;
        statistics[MOMENT_MEAN * s.C + c] = all.mean;
        statistics[MOMENT_SQUARES * s.C + c] = all.squares;
    }
}

static void normalise(const KernelCall *call, int64_t c, double mean, double factor, real bias) {
    const real *x = input_data(call, 0);
    real *y = output_data(call, 0), m = (real)mean, f = (real)factor;
    Sizes s = sizes_of(input(call, 0));
    for (int64_t b = 0; b < s.B; b++)
        for (int64_t i = 0; i < s.plane; i++) {
            int64_t at = (b * s.C + c) * s.plane + i;
            y[at] = (x[at] - m) * f + bias;
        }
}

void NAME(reference_batch_norm)(const KernelCall *call) {
    const real *weight = input_data(call, 2), *bias = input_data(call, 3);
    for (int64_t c = 0; c < input(call, 0)->shape[1]; c++) {
        Moments m = moments_of_input(call, 1, c);
        double r = moments_inverse_deviation(m, attr_as_real(call, 0));
        normalise(call, c, m.mean, r * (double)weight[c], bias[c]);
    }
}

void NAME(reference_batch_norm_inference)(const KernelCall *call) {
    const real *mean = input_data(call, 1), *variance = input_data(call, 2),
               *weight = input_data(call, 3), *bias = input_data(call, 4);
    for (int64_t c = 0; c < input(call, 0)->shape[1]; c++) {
        double r = 1 / sqrt((double)variance[c] + attr_as_real(call, 0));
        normalise(call, c, (double)mean[c], r * (double)weight[c], bias[c]);
    }
}

void NAME(reference_batch_norm_reduce)(const KernelCall *call) {
    double *sums = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1);
    Sizes s = sizes_of(input(call, 0));
    for (int64_t c = 0; c < s.C; c++) {
        Moments m = moments_of_input(call, 2, c);
        double all = 0, along = 0;
        for (int64_t b = 0; b < s.B; b++) {
            double sum[RUNNING_SUMS] = {0}, product[RUNNING_SUMS] = {0};
            for (int64_t i = 0; i < s.plane; i++) {
                int64_t at = (b * s.C + c) * s.plane + i;
                sum[i % RUNNING_SUMS] += (double)dy[at];
                product[i % RUNNING_SUMS] += (double)dy[at] * ((double)x[at] - m.mean);
            }
            all += fold_running_sums(sum);
            along += fold_running_sums(product);
        }
        sums[c] = all;
        sums[s.C + c] = along * moments_inverse_deviation(m, attr_as_real(call, 0));
    }
}

void NAME(reference_batch_norm_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0), *dbias = output_data(call, 1);
    const double *sums = input_data(call, 0);
    int64_t C = input(call, 0)->shape[1];
    for (int64_t c = 0; c < C; c++) {
        dweight[c] = (call->accumulate ? dweight[c] : 0) + (real)sums[C + c];
        if (dbias) dbias[c] = (call->accumulate ? dbias[c] : 0) + (real)sums[c];
    }
}

void NAME(reference_batch_norm_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1), *weight = input_data(call, 4);
    const double *sums = input_data(call, 3);
    Sizes s = sizes_of(input(call, 0));
    for (int64_t c = 0; c < s.C; c++) {
        Moments m = moments_of_input(call, 2, c);
        double r = moments_inverse_deviation(m, attr_as_real(call, 0));
        real mean = (real)m.mean, factor = (real)(r * (double)weight[c]);
        real constant = (real)(sums[c] / m.count), slope = (real)(sums[s.C + c] * r / m.count);
        for (int64_t b = 0; b < s.B; b++)
            for (int64_t i = 0; i < s.plane; i++) {
                int64_t at = (b * s.C + c) * s.plane + i;
                dx[at] = (dy[at] - constant - (x[at] - mean) * slope) * factor;
            }
    }
}

void NAME(reference_batch_norm_update)(const KernelCall *call) {
    real *mean = output_data(call, 0), *variance = output_data(call, 1);
    const real *old_mean = input_data(call, 0), *old_variance = input_data(call, 1);
    double momentum = attr_as_real(call, 0);
    for (int64_t c = 0; c < output(call, 0)->shape[0]; c++) {
        Moments m = moments_of_input(call, 2, c);
        double part = m.count > 1 ? momentum : 0;
        double unbiased = m.count > 1 ? m.squares / (m.count - 1) : 0;
        mean[c] = (real)((1 - part) * (double)old_mean[c] + part * m.mean);
        variance[c] = (real)((1 - part) * (double)old_variance[c] + part * unbiased);
    }
}
