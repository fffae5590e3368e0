// SPDX-License-Identifier: MIT
// Exercise 1: the backward pass of softmax and cross-entropy.
#include "core/base/clock.h"
#include "lessons/build/exercises.h"
#include "lessons/engine/translate.h"

typedef void Softmax(float *dlogits, const float *logits, const int *labels, int rows, int classes);

typedef struct {
    int rows, classes;
    float *logits, *probability, *expected;
    int32_t *labels;
} Case;

static void draw(Case *x, BuildCheck *c, double scale) {
    x->logits = exercise_draw_floats(c, (int64_t)x->rows * x->classes, scale);
    x->probability = exercise_draw_floats(c, (int64_t)x->rows * x->classes, 0);
    x->expected = exercise_draw_floats(c, (int64_t)x->rows * x->classes, 0);
    x->labels = ARENA_NEW(c->arena, int32_t, x->rows);
    for (int r = 0; x->labels && r < x->rows; r++)
        x->labels[r] = exercise_draw(c, 0, x->classes - 1);
}

static void solve(const Case *x) {
    double loss[2], inverse = 1.0 / x->rows;
    Operand labels = exercise_operand(x->labels, x->rows, 0),
            one = exercise_operand(&inverse, 1, 0);
    Operand p = exercise_operand(x->probability, x->rows, x->classes);
    exercise_kernel(KIND_CROSS_ENTROPY, 2, 3,
                    (Operand[]){exercise_operand(loss, 2, 0), p,
                                exercise_operand(x->logits, x->rows, x->classes), labels, one});
    exercise_kernel(
        KIND_CROSS_ENTROPY_BACKWARD, 1, 3,
        (Operand[]){exercise_operand(x->expected, x->rows, x->classes), p, labels, one});
}

static Status check_softmax(BuildCheck *c) {
    enum { CASES = 6, RUNS = 5 };
    for (int i = 0; i <= CASES; i++) {
        bool large = i == CASES - 1, timed = i == CASES;
        Case x = {.rows = i == 0 ? 1 : exercise_draw(c, 2, 9), .classes = exercise_draw(c, 2, 12)};
        if (timed) x.rows = x.classes = 256;
        int count = x.rows * x.classes;
        exercise_case(
            c, large ? _("rows: %d, classes: %d, logits up to 1000") : _("rows: %d, classes: %d"),
            x.rows, x.classes);
        draw(&x, c, large ? 1000 : 3);
        if (!x.labels) FAIL(ERR_MEMORY, "out of memory for a case");
        const float *logits = exercise_input(c, "logits", x.logits, count, sizeof *logits);
        const int *labels = exercise_input(c, "labels", x.labels, x.rows, sizeof *labels);
        float *dlogits = exercise_output(c, "dlogits", count, sizeof *dlogits);
        int64_t yours = INT64_MAX, ours = INT64_MAX;
        for (int k = 0; k < (timed ? RUNS : 1); k++) {
            int64_t begin = clock_ns();
            ((Softmax *)c->function)(dlogits, logits, labels, x.rows, x.classes);
            int64_t middle = clock_ns();
            solve(&x);
            int64_t end = clock_ns();
            if (middle - begin < yours) yours = middle - begin;
            if (end - middle < ours) ours = end - middle;
        }
        TRY(exercise_near(c, "dlogits", dlogits, x.expected, count, 1e-5));
        if (timed) exercise_score(c, N_("time"), "us", (double)yours / 1e3, (double)ours / 1e3);
    }
    return OK;
}

const Exercise exercise_softmax = {
    .number = 1,
    .name = "softmax",
    .title = N_("Softmax and cross-entropy, backward"),
    .function = "softmax_backward",
    .task = N_("The gradient of softmax and cross-entropy by the logits.\n"
               "\n"
               "logits has rows x classes numbers, row after row; labels[r] is the class\n"
               "of row r. With\n"
               "  p[r][c] = exp(logits[r][c]) / sum over k of exp(logits[r][k])\n"
               "the loss is the mean over the rows of -log p[r][labels[r]].\n"
               "Write its derivative by each logit to dlogits. Logits may be as large\n"
               "as 1000, whose exp() is infinite.\n"),
    .hints = {N_("Derive the loss of one row by one logit: two terms, of which one is there only "
                 "for the label's class."),
              N_("dlogits[r][c] = (p[r][c] - (c == labels[r])) / rows."),
              N_("exp(z - m) / sum of exp(z - m) is the same p for every m: with the largest logit "
                 "of the row as m, no exp() is above 1.")},
    .check = check_softmax,
};
