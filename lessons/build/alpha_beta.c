// SPDX-License-Identifier: MIT
// Exercise 10: the line through times of messages, as viz/alpha_beta.h fits it.
#include "viz/alpha_beta.h"
#include "lessons/build/exercises.h"
#include "lessons/engine/translate.h"

#include <math.h>

typedef void FitAlphaBeta(double *alpha_us, double *bytes_per_us, const double *bytes,
                          const double *us, int count);

enum { MOST_SIZES = 12 };

// The mean of the relative errors that a line has.
static double error_of(double alpha, double beta, const double *bytes, const double *us,
                       int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += fabs((alpha + bytes[i] / beta) / us[i] - 1);
    return sum / count;
}

static Status one_case(BuildCheck *c, int count, double noise, bool last) {
    double bytes[MOST_SIZES], us[MOST_SIZES];
    double alpha = exercise_draw(c, 5, 80), beta = 1000.0 * exercise_draw(c, 1, 20);
    for (int i = 0; i < count; i++) {
        bytes[i] = 1024 * pow(4, i);
        us[i] = alpha + bytes[i] / beta;
        us[i] *= 1 + noise * (2 * (double)rng_float(&c->rng) - 1);
    }
    exercise_case(c, _("messages: %d, from 1 KiB on, noise %.0f %%"), count, 100 * noise);
    AlphaBeta line;
    TRY(alpha_beta_fit(&line, bytes, us, count));
    double *got = exercise_output(c, "alpha_us", 1, sizeof *got);
    double *rate = exercise_output(c, "bytes_per_us", 1, sizeof *rate);
    const double *x = exercise_input(c, "bytes", bytes, count, sizeof *x);
    const double *y = exercise_input(c, "us", us, count, sizeof *y);
    ((FitAlphaBeta *)c->function)(got, rate, x, y, count);
    TRY(exercise_near(c, "alpha_us", &(float){(float)*got}, &(float){(float)line.alpha_us}, 1,
                      1e-4));
    TRY(exercise_near(c, "bytes_per_us", &(float){(float)*rate}, &(float){(float)line.beta}, 1,
                      1e-4));
    if (last)
        exercise_score(c, N_("mean error"), "%", 100 * error_of(*got, *rate, bytes, us, count),
                       100 * error_of(line.alpha_us, line.beta, bytes, us, count));
    return OK;
}

static Status check_alpha_beta(BuildCheck *c) {
    TRY(one_case(c, 2, 0, false));
    TRY(one_case(c, exercise_draw(c, 3, 6), 0, false));
    for (int i = 0; i < 4; i++) TRY(one_case(c, exercise_draw(c, 5, MOST_SIZES), 0.1, i == 3));
    return OK;
}

const Exercise exercise_alpha_beta = {
    .number = 10,
    .name = "alpha_beta",
    .title = N_("Latency and bandwidth from measured times"),
    .function = "fit_alpha_beta",
    .task = N_("The line us = alpha_us + bytes / bytes_per_us through measured times.\n"
               "\n"
               "bytes[i] and us[i] are the size and the time of message i, in bytes and\n"
               "microseconds; sizes go from a kilobyte to gigabytes. Find the two numbers\n"
               "that make the sum over i of ((line at bytes[i] - us[i]) / us[i])^2 least:\n"
               "the squares of relative errors, so that a small message counts as much\n"
               "as a large one. There are at least two sizes.\n"),
    .hints = {N_("The line is linear in alpha and in g = 1 / bytes_per_us: weighted least squares, "
                 "each message with the weight w = 1 / us^2."),
              N_("Both derivatives are 0 where  alpha sum(w) + g sum(w x) = sum(w y)  and  "
                 "alpha sum(w x) + g sum(w x x) = sum(w x y), with x the bytes and y the times."),
              N_("With the determinant D = sum(w) sum(w x x) - sum(w x)^2:  "
                 "g = (sum(w) sum(w x y) - sum(w x) sum(w y)) / D  and  "
                 "alpha = (sum(w y) - g sum(w x)) / sum(w).")},
    .check = check_alpha_beta,
};
