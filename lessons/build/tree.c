// SPDX-License-Identifier: MIT
// Exercise 4: a sum over ranks as a tree whose order is fixed, compared bit by bit. Ours adds each
// level with the reference device's kernel.
#include "core/base/clock.h"
#include "lessons/build/exercises.h"
#include "lessons/engine/translate.h"

#include <string.h>

enum { RUNS = 5 };

typedef void TreeSum(float *parts, int ranks, int elements);

static float *row(float *parts, int rank, int elements) { return parts + (int64_t)rank * elements; }

static void solve(float *parts, int ranks, int elements) {
    for (int width = ranks; width > 1; width = (width + 1) / 2)
        for (int i = 0; i < (width + 1) / 2; i++) {
            float *to = row(parts, i, elements), *left = row(parts, 2 * i, elements);
            if (2 * i + 1 == width)
                memmove(to, left, (size_t)elements * sizeof *to);
            else
                exercise_kernel(KIND_ADD, 1, 2,
                                (Operand[]){exercise_operand(to, elements, 0),
                                            exercise_operand(left, elements, 0),
                                            exercise_operand(left + elements, elements, 0)});
        }
}

static Status one_case(BuildCheck *c, int ranks, int elements, bool timed) {
    int count = ranks * elements;
    exercise_case(c, _("ranks: %d, elements: %d"), ranks, elements);
    float *values = exercise_draw_floats(c, count, 1);
    for (int i = 0; i < count; i += 3) values[i] *= 1e4F;  // so that the order shows
    float *parts = exercise_inout(c, "parts", values, count, sizeof *parts);
    float *sum = exercise_draw_floats(c, count, 0);
    int64_t yours = INT64_MAX, ours = INT64_MAX;
    for (int k = 0; k < (timed ? RUNS : 1); k++) {
        memcpy(parts, values, (size_t)count * sizeof *parts);
        memcpy(sum, values, (size_t)count * sizeof *sum);
        int64_t begin = clock_ns();
        ((TreeSum *)c->function)(parts, ranks, elements);
        int64_t middle = clock_ns();
        solve(sum, ranks, elements);
        int64_t end = clock_ns();
        if (middle - begin < yours) yours = middle - begin;
        if (end - middle < ours) ours = end - middle;
    }
    TRY(exercise_near(c, "parts", parts, sum, elements, 0));
    if (timed) exercise_score(c, N_("time"), "us", (double)yours / 1e3, (double)ours / 1e3);
    return OK;
}

static Status check_tree(BuildCheck *c) {
    TRY(one_case(c, 1, exercise_draw(c, 1, 5), false));
    TRY(one_case(c, 2, exercise_draw(c, 5, 20), false));
    TRY(one_case(c, 8, exercise_draw(c, 20, 40), false));
    TRY(one_case(c, 5, exercise_draw(c, 40, 80), false));
    for (int i = 0; i < 3; i++)
        TRY(one_case(c, exercise_draw(c, 6, 40), exercise_draw(c, 40, 80), false));
    return one_case(c, 64, 4096, true);
}

const Exercise exercise_tree = {
    .number = 4,
    .name = "tree",
    .title = N_("A sum over ranks as a tree of fixed order"),
    .function = "tree_sum",
    .task = N_("Add up the gradients of all ranks as a tree whose order is always the same.\n"
               "\n"
               "parts has ranks rows of elements numbers: row r is what rank r brings. At\n"
               "each level of the tree, neighbours are added: row 2i + row 2i + 1 becomes\n"
               "row i of the next level; a last row without a neighbour goes up as it is.\n"
               "When one row is left, it is the sum, and stands in row 0. The other rows\n"
               "may hold anything then. Floating-point addition depends on the order, and\n"
               "the result is compared bit by bit.\n"),
    .hints = {N_("Write each level over the one before: row i of the next level is not read again "
                 "once it is written, if you go from i = 0 up."),
              N_("A level of n rows is followed by one of (n + 1) / 2 rows."),
              N_("While n > 1: for i from 0 to (n + 1) / 2 - 1, row i = row 2i + row 2i + 1, or "
                 "row 2i alone where 2i + 1 is n.")},
    .check = check_tree,
};
