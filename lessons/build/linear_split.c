// SPDX-License-Identifier: MIT
// Exercise 8: the two ways to cut a linear layer for tensor-parallel ranks. What a learner's ranks
// compute is put together by our sums and compared with the uncut layers of the reference device.
#include "core/base/clock.h"
#include "lessons/build/exercises.h"
#include "lessons/engine/translate.h"

#include <string.h>

typedef void MlpShard(float *y, float *hidden, const float *x, const float *weight1,
                      const float *bias1, const float *weight2, const float *bias2, int rows,
                      int in, int width, int out, int rank, int ranks);

typedef struct {
    int rows, in, width, out, ranks;
    float *x, *weight1, *bias1, *weight2, *bias2, *hidden, *y;
    int64_t yours_ns, ours_ns;
} Case;

static void linear(float *y, const float *x, const float *weight, const float *bias, int rows,
                   int in, int out) {
    exercise_kernel(KIND_LINEAR, 1, 3,
                    (Operand[]){exercise_operand(y, rows, out), exercise_operand(x, rows, in),
                                exercise_operand(weight, out, in), exercise_operand(bias, out, 0)});
}

static void solve(Case *k, BuildCheck *c) {
    k->x = exercise_draw_floats(c, (int64_t)k->rows * k->in, 1);
    k->weight1 = exercise_draw_floats(c, (int64_t)k->in * k->width, 1);
    k->bias1 = exercise_draw_floats(c, k->width, 1);
    k->weight2 = exercise_draw_floats(c, (int64_t)k->width * k->out, 1);
    k->bias2 = exercise_draw_floats(c, k->out, 1);
    k->hidden = exercise_draw_floats(c, (int64_t)k->rows * k->width, 0);
    k->y = exercise_draw_floats(c, (int64_t)k->rows * k->out, 0);
    int64_t begin = clock_ns();
    linear(k->hidden, k->x, k->weight1, k->bias1, k->rows, k->in, k->width);
    Operand hidden = exercise_operand(k->hidden, k->rows, k->width);
    exercise_kernel(KIND_RELU, 1, 1, (Operand[]){hidden, hidden});
    linear(k->y, k->hidden, k->weight2, k->bias2, k->rows, k->width, k->out);
    k->ours_ns = clock_ns() - begin;
}

// Rank's share of the hidden units: a row of weight1 each, a column of weight2.
static Status one_rank(Case *k, BuildCheck *c, int rank, float *sum) {
    int width = k->width / k->ranks, first = rank * width;
    float *columns = exercise_draw_floats(c, (int64_t)k->out * width, 0);
    for (int o = 0; o < k->out; o++)
        memcpy(columns + (int64_t)o * width, k->weight2 + (int64_t)o * k->width + first,
               (size_t)width * sizeof *columns);
    const size_t size = sizeof(float);
    const float *x = exercise_input(c, "x", k->x, (int64_t)k->rows * k->in, size);
    const float *weight1 = exercise_input(c, "weight1", k->weight1 + (int64_t)first * k->in,
                                          (int64_t)width * k->in, size);
    const float *bias1 = exercise_input(c, "bias1", k->bias1 + first, width, size);
    const float *weight2 = exercise_input(c, "weight2", columns, (int64_t)k->out * width, size);
    const float *bias2 = exercise_input(c, "bias2", k->bias2, k->out, size);
    float *hidden = exercise_output(c, "hidden", (int64_t)k->rows * width, size);
    float *y = exercise_output(c, "y", (int64_t)k->rows * k->out, size);
    int64_t begin = clock_ns();
    ((MlpShard *)c->function)(y, hidden, x, weight1, bias1, weight2, bias2, k->rows, k->in, width,
                              k->out, rank, k->ranks);
    k->yours_ns += clock_ns() - begin;
    TRY(exercise_intact(c));
    Operand total = exercise_operand(sum, k->rows, k->out);
    exercise_kernel(KIND_ADD, 1, 2,
                    (Operand[]){total, total, exercise_operand(y, k->rows, k->out)});
    return OK;
}

static Status one_case(BuildCheck *c, int ranks, int width, bool timed) {
    Case k = {.rows = timed ? 64 : exercise_draw(c, 1, 6),
              .in = timed ? 64 : exercise_draw(c, 1, 8),
              .width = ranks * width,
              .out = timed ? 64 : exercise_draw(c, 1, 7),
              .ranks = ranks};
    exercise_case(c, _("ranks: %d, rows: %d, hidden units of a rank: %d"), ranks, k.rows, width);
    solve(&k, c);
    float *sum = exercise_draw_floats(c, (int64_t)k.rows * k.out, 0);
    for (int r = 0; r < ranks; r++) TRY(one_rank(&k, c, r, sum));
    TRY(exercise_near(c, _("sum over the ranks of y"), sum, k.y, (int64_t)k.rows * k.out, 1e-4));
    if (timed)
        exercise_score(c, N_("time of all ranks"), "us", (double)k.yours_ns / 1e3,
                       (double)k.ours_ns / 1e3);
    return OK;
}

static Status check_linear_split(BuildCheck *c) {
    TRY(one_case(c, 1, exercise_draw(c, 1, 6), false));
    for (int i = 0; i < 4; i++)
        TRY(one_case(c, exercise_draw(c, 2, 4), exercise_draw(c, 1, 6), false));
    return one_case(c, 4, 64, true);
}

const Exercise exercise_linear_split = {
    .number = 8,
    .name = "linear_split",
    .title = N_("Column and row linear layers"),
    .function = "mlp_shard",
    .task = N_("Two linear layers cut for tensor-parallel ranks: what one rank computes.\n"
               "\n"
               "Uncut:  hidden = relu(x weight1^T + bias1),  y = hidden weight2^T + bias2,\n"
               "x being rows x in. A rank has `width` of the hidden units: their rows of\n"
               "weight1 (width x in) and of bias1 (the column-parallel layer), and their\n"
               "columns of weight2 (out x width; the row-parallel layer). bias2 (out) is\n"
               "whole on every rank. All arrays lie row after row. Write the rank's hidden\n"
               "(rows x width) and its y (rows x out), so that the sum of y over all ranks,\n"
               "one all-reduce, is the y of the uncut layers.\n"),
    .hints = {N_("Each hidden unit is whole on one rank, so relu needs nobody else. Each y is a "
                 "sum over hidden units, and a rank has the terms of its own."),
              N_("hidden[r][h] = relu(bias1[h] + sum over i of x[r][i] weight1[h][i]);  y[r][o] = "
                 "sum over h of hidden[r][h] weight2[o][h]."),
              N_("The sum over the ranks adds whatever each of them adds: bias2 must come from one "
                 "rank alone, such as rank 0.")},
    .check = check_linear_split,
};
