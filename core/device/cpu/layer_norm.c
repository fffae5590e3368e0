// SPDX-License-Identifier: MIT
// Layer normalisation, some positions at a time; core/device/reference/layer_norm.c has the
// formulas. Sums over channels are those of core/device/cpu/lanes.h; read cpu_layer_norm() first.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/cpu/lanes.h"

// Of each position: the mean of its channels, and 1 / sqrt(variance + eps).
typedef struct {
    real mean[LANES_ROWS], root[LANES_ROWS];
} Norms;

// sum[r] = the sum of squared deviations of row r from its mean.
static inline void add_squares(int rows, int64_t C, const real *x, const real *mean, real *sum) {
    Lanes lanes = {0};
    real part[LANES_ROWS][LANES];
    int64_t whole = C - C % LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int r = 0; r < rows; r++)
            for (int p = 0; p < LANES_PIECES; p++) {
                LanesVector apart = lanes_at(&x[r * C + i])[p] - mean[r];
                lanes.of[r][p] += apart * apart;
            }
    memcpy(part, lanes.of, sizeof part);
    for (int r = 0; r < rows; r++)
        for (int64_t i = whole; i < C; i++) {
            real apart = x[r * C + i] - mean[r];
            part[r][i - whole] += apart * apart;
        }
    lanes_fold(rows, part, sum);
}

static inline Norms norms_of(const KernelCall *call, int rows, int64_t C, const real *x) {
    Norms m;
    real squares[LANES_ROWS];
    double eps = attr_as_real(call, 0);
    lanes_products(rows, C, C, x, NULL, NULL, m.mean);
    for (int r = 0; r < rows; r++) m.mean[r] /= (real)C;
    add_squares(rows, C, x, m.mean, squares);
    for (int r = 0; r < rows; r++)
        m.root[r] = (real)(1 / sqrt((double)squares[r] / (double)C + eps));
    return m;
}

static int64_t positions(const Operand *x) { return operand_rows(x) * x->shape[1]; }

static inline void normalise(const KernelCall *call, int rows, int64_t C, const real *x,
                             const real *restrict weight, const real *restrict bias, real *y) {
    const Norms m = norms_of(call, rows, C, x);
    for (int r = 0; r < rows; r++) {
        const real *restrict from = x + r * C;
        real *restrict to = y + r * C, mean = m.mean[r], root = m.root[r];
        if (bias)
            for (int64_t c = 0; c < C; c++) to[c] = (from[c] - mean) * root * weight[c] + bias[c];
        else
            for (int64_t c = 0; c < C; c++) to[c] = (from[c] - mean) * root * weight[c];
    }
}

void NAME(cpu_layer_norm)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1), *bias = input_data(call, 2);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0)), i = 0;
    for (; i + LANES_ROWS <= n; i += LANES_ROWS)
        normalise(call, LANES_ROWS, C, x + i * C, weight, bias, y + i * C);
    for (; i < n; i++) normalise(call, 1, C, x + i * C, weight, bias, y + i * C);
}

// Means over the channels of g = dy weight, and of g h.
static inline void means(int rows, int64_t C, const real *mean, const real *root, const real *dy,
                         const real *x, const real *weight, real *g, real *gh) {
    Lanes sums = {0}, products = {0};
    real sum[LANES_ROWS][LANES], product[LANES_ROWS][LANES];
    int64_t whole = C - C % LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int r = 0; r < rows; r++)
            for (int p = 0; p < LANES_PIECES; p++) {
                LanesVector one = lanes_at(&dy[r * C + i])[p] * lanes_at(&weight[i])[p];
                sums.of[r][p] += one;
                products.of[r][p] += one * ((lanes_at(&x[r * C + i])[p] - mean[r]) * root[r]);
            }
    memcpy(sum, sums.of, sizeof sum);
    memcpy(product, products.of, sizeof product);
    for (int r = 0; r < rows; r++)
        for (int64_t i = whole; i < C; i++) {
            real one = dy[r * C + i] * weight[i];
            sum[r][i - whole] += one;
            product[r][i - whole] += one * ((x[r * C + i] - mean[r]) * root[r]);
        }
    lanes_fold(rows, sum, g);
    lanes_fold(rows, product, gh);
    for (int r = 0; r < rows; r++) g[r] /= (real)C;
    for (int r = 0; r < rows; r++) gh[r] /= (real)C;
}

static inline void differentiate(const Norms *m, int rows, int64_t C, const real *dy, const real *x,
                                 const real *restrict weight, real *dx) {
    real g[LANES_ROWS], gh[LANES_ROWS];
    // Two positions at a time: the registers hold no more running sums.
    for (int r = 0; r < rows; r += 2)
        means(rows > 1 ? 2 : 1, C, &m->mean[r], &m->root[r], dy + r * C, x + r * C, weight, &g[r],
              &gh[r]);
    for (int r = 0; r < rows; r++) {
        const real *restrict from = x + r * C, *restrict back = dy + r * C;
        real *restrict to = dx + r * C;
        real mean = m->mean[r], root = m->root[r], all = g[r], along = gh[r];
        for (int64_t c = 0; c < C; c++)
            to[c] = root * (back[c] * weight[c] - all - (from[c] - mean) * root * along);
    }
}

static inline void add_rows(const Norms *m, int rows, int64_t C, const real *restrict dy,
                            const real *restrict x, real *restrict sum, real *restrict sum_dy) {
    for (int64_t c = 0; c < C; c++) {
        real all = sum[c], all_dy = sum_dy[c];
        for (int r = 0; r < rows; r++) {
            all += dy[r * C + c] * ((x[r * C + c] - m->mean[r]) * m->root[r]);
            all_dy += dy[r * C + c];
        }
        sum[c] = all;
        sum_dy[c] = all_dy;
    }
}

// What a backward call reads and writes: dx or the sums over positions may be NULL.
typedef struct {
    int64_t C, n;
    const real *dy, *x, *weight;
    real *dx, *sum, *sum_dy;
} Backward;

// From position i on. Both halves read the same rows while they are in the cache.
static inline void back(const KernelCall *norm, const Backward *k, int rows, int64_t i) {
    const real *dy = k->dy + i * k->C, *x = k->x + i * k->C;
    const Norms m = norms_of(norm, rows, k->C, x);
    if (k->sum) add_rows(&m, rows, k->C, dy, x, k->sum, k->sum_dy);
    if (k->dx) differentiate(&m, rows, k->C, dy, x, k->weight, k->dx + i * k->C);
}

// `weights` and `inputs`, each the call or a member of it, or NULL, are the halves. The sums are
// complete before they are added to what others left.
static void backward(const KernelCall *call, const KernelCall *weights, const KernelCall *inputs) {
    const KernelCall *any = weights ? weights : inputs;
    Backward k = {.C = input(any, 0)->shape[2],
                  .n = positions(input(any, 0)),
                  .dy = input_data(any, 0),
                  .x = input_data(any, 1)};
    int64_t i = 0;
    if (inputs) {
        k.weight = input_data(inputs, 2);
        k.dx = output_data(inputs, 0);
    }
    if (weights) {
        k.sum = call->scratch;
        k.sum_dy = k.sum + k.C;
        memset(k.sum, 0, (size_t)(2 * k.C) * sizeof *k.sum);
    }
    for (; i + LANES_ROWS <= k.n; i += LANES_ROWS) back(any, &k, LANES_ROWS, i);
    for (; i < k.n; i++) back(any, &k, 1, i);
    if (!weights) return;
    real *dbias = output_data(weights, 1);
    NAME(cpu_deliver)(k.C, k.sum, weights->accumulate, output_data(weights, 0));
    if (dbias) NAME(cpu_deliver)(k.C, k.sum_dy, weights->accumulate, dbias);
}

void NAME(cpu_layer_norm_backward_input)(const KernelCall *call) { backward(call, NULL, call); }
void NAME(cpu_layer_norm_backward_weight)(const KernelCall *call) { backward(call, call, NULL); }

// Members: layer_norm_backward_weight, layer_norm_backward_input.
void NAME(cpu_layer_norm_backward)(const KernelCall *call) {
    backward(call, &call->members[0], &call->members[1]);
}
