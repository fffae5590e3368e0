// SPDX-License-Identifier: MIT
// Exercise 2: the backward pass of a network of two linear layers.
#include "core/base/clock.h"
#include "lessons/build/exercises.h"
#include "lessons/engine/translate.h"

typedef void MlpBackward(float *dweight1, float *dbias1, float *dweight2, float *dbias2,
                         float *dhidden, const float *dy, const float *x, const float *hidden,
                         const float *weight2, int rows, int in, int width, int out);

typedef struct {
    int rows, in, width, out;
    float *dweight1, *dbias1, *dweight2, *dbias2, *dhidden, *dy, *x, *hidden, *weight2;
} Case;

static void draw(Case *k, BuildCheck *c) {
    int64_t hidden = (int64_t)k->rows * k->width;
    k->dweight1 = exercise_draw_floats(c, (int64_t)k->width * k->in, 0);
    k->dbias1 = exercise_draw_floats(c, k->width, 0);
    k->dweight2 = exercise_draw_floats(c, (int64_t)k->out * k->width, 0);
    k->dbias2 = exercise_draw_floats(c, k->out, 0);
    k->dhidden = exercise_draw_floats(c, hidden, 0);
    k->dy = exercise_draw_floats(c, (int64_t)k->rows * k->out, 1);
    k->x = exercise_draw_floats(c, (int64_t)k->rows * k->in, 1);
    k->hidden = exercise_draw_floats(c, hidden, 1);
    k->weight2 = exercise_draw_floats(c, (int64_t)k->out * k->width, 1);
    Operand h = exercise_operand(k->hidden, k->rows, k->width);
    exercise_kernel(KIND_RELU, 1, 1, (Operand[]){h, h});
}

static void solve(const Case *k) {
    Operand dy = exercise_operand(k->dy, k->rows, k->out);
    Operand hidden = exercise_operand(k->hidden, k->rows, k->width);
    Operand dhidden = exercise_operand(k->dhidden, k->rows, k->width);
    exercise_kernel(KIND_LINEAR_BACKWARD_WEIGHT, 2, 2,
                    (Operand[]){exercise_operand(k->dweight2, k->out, k->width),
                                exercise_operand(k->dbias2, k->out, 0), hidden, dy});
    exercise_kernel(KIND_LINEAR_BACKWARD_INPUT, 1, 2,
                    (Operand[]){dhidden, dy, exercise_operand(k->weight2, k->out, k->width)});
    exercise_kernel(KIND_RELU_BACKWARD, 1, 2, (Operand[]){dhidden, dhidden, hidden});
    exercise_kernel(KIND_LINEAR_BACKWARD_WEIGHT, 2, 2,
                    (Operand[]){exercise_operand(k->dweight1, k->width, k->in),
                                exercise_operand(k->dbias1, k->width, 0),
                                exercise_operand(k->x, k->rows, k->in), dhidden});
}

static Status one_case(BuildCheck *c, Case *k, bool timed) {
    const size_t size = sizeof(float);
    int hidden = k->rows * k->width, first = k->width * k->in, second = k->out * k->width;
    exercise_case(c, _("rows: %d, in: %d, width: %d, out: %d"), k->rows, k->in, k->width, k->out);
    draw(k, c);
    float *dweight1 = exercise_output(c, "dweight1", first, size);
    float *dbias1 = exercise_output(c, "dbias1", k->width, size);
    float *dweight2 = exercise_output(c, "dweight2", second, size);
    float *dbias2 = exercise_output(c, "dbias2", k->out, size);
    float *dhidden = exercise_output(c, "dhidden", hidden, size);
    const float *dy = exercise_input(c, "dy", k->dy, k->rows * k->out, size);
    const float *x = exercise_input(c, "x", k->x, k->rows * k->in, size);
    const float *h = exercise_input(c, "hidden", k->hidden, hidden, size);
    const float *weight2 = exercise_input(c, "weight2", k->weight2, second, size);
    int64_t begin = clock_ns();
    ((MlpBackward *)c->function)(dweight1, dbias1, dweight2, dbias2, dhidden, dy, x, h, weight2,
                                 k->rows, k->in, k->width, k->out);
    int64_t middle = clock_ns();
    solve(k);
    int64_t end = clock_ns();
    TRY(exercise_near(c, "dweight2", dweight2, k->dweight2, second, 1e-4));
    TRY(exercise_near(c, "dbias2", dbias2, k->dbias2, k->out, 1e-4));
    TRY(exercise_near(c, "dhidden", dhidden, k->dhidden, hidden, 1e-4));
    TRY(exercise_near(c, "dweight1", dweight1, k->dweight1, first, 1e-4));
    TRY(exercise_near(c, "dbias1", dbias1, k->dbias1, k->width, 1e-4));
    if (timed)
        exercise_score(c, N_("time"), "us", (double)(middle - begin) / 1e3,
                       (double)(end - middle) / 1e3);
    return OK;
}

static Status check_mlp(BuildCheck *c) {
    TRY(one_case(c, &(Case){1, 2, 3, 2}, false));
    for (int i = 0; i < 4; i++)
        TRY(one_case(c,
                     &(Case){.rows = exercise_draw(c, 2, 7),
                             .in = exercise_draw(c, 1, 8),
                             .width = exercise_draw(c, 2, 9),
                             .out = exercise_draw(c, 1, 6)},
                     false));
    return one_case(c, &(Case){64, 96, 96, 64}, true);
}

const Exercise exercise_mlp = {
    .number = 2,
    .name = "mlp",
    .title = N_("Backpropagation through two linear layers"),
    .function = "mlp_backward",
    .task = N_("The backward pass of two linear layers with a relu between them.\n"
               "\n"
               "Forward:  hidden = relu(x weight1^T + bias1),  y = hidden weight2^T + bias2,\n"
               "with x rows x in, weight1 width x in, hidden rows x width, weight2 out x\n"
               "width, all row after row. dy (rows x out) is the derivative of the loss by\n"
               "each y, in which the mean over the rows is already contained. Write the\n"
               "derivatives by both weights and both biases, and to dhidden (rows x width)\n"
               "that by x weight1^T + bias1, the input of relu.\n"),
    .hints = {N_("From the end to the beginning: dweight2 and dbias2 from dy and hidden; dhidden "
                 "from dy and weight2; dweight1 and dbias1 from dhidden and x. Outputs hold NaN "
                 "before: set sums to 0."),
              N_("dweight2[o][h] = sum over r of dy[r][o] hidden[r][h];  dbias2[o] = sum over r "
                 "of dy[r][o];  the same for the first layer with dhidden and x."),
              N_("dhidden[r][h] = sum over o of dy[r][o] weight2[o][h] where hidden[r][h] > 0, and "
                 "0 elsewhere: relu passes nothing on where it was 0.")},
    .check = check_mlp,
};
