// SPDX-License-Identifier: MIT
// What lesson 4 draws and computes; its texts and questions are in descent.c.
#ifndef LESSONS_04_DESCENT_DESCENT_H
#define LESSONS_04_DESCENT_DESCENT_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum { DIRECTIONS = 4, LOOK_STEPS = 60, DESCENT_STEPS = 1000 };

// L(w) = w' A w / 2, where A has these eigenvalues in directions that are drawn, and w begins with
// 1 in each of them.
typedef struct {
    double curvature[DIRECTIONS];              // eigenvalues, the largest first
    double a[DIRECTIONS][DIRECTIONS];          // A
    double direction[DIRECTIONS][DIRECTIONS];  // [k]: the unit vector of curvature k
    double momentum;
    // By running the iteration:
    double limit, momentum_limit;             // largest rate that converges; 0: not yet
    double found_curvature;                   // the largest, by power iteration
    int steps, momentum_steps;                // until all directions are below 1/1000
    double left[DIRECTIONS];                  // of each direction after LOOK_STEPS
    double *loss, *momentum_loss;             // [DESCENT_STEPS + 1], in the arena
    double network_curvature, network_limit;  // of a trained network: the same two
    bool network_known;
} Descent;

double descent_condition(const Descent *d);

// The rate and the momentum at which the slowest direction shrinks fastest (Polyak, 1964).
double descent_best_rate(const Descent *d);
double descent_best_momentum(const Descent *d);

// Steps at that rate and momentum until every direction is below 1/1000, DESCENT_STEPS at most; the
// loss before each goes to `loss` unless it is NULL.
int descent_count(const Descent *d, double rate, double momentum, double *loss);

Status descent_draw(const LessonRun *run, void *state) MUST_USE;

// Bisection and power iteration on the quadratic; descents on it; both on a network.
Status descent_run_limit(const LessonRun *run, void *state) MUST_USE;
Status descent_run_steps(const LessonRun *run, void *state) MUST_USE;
Status descent_run_network(const LessonRun *run, void *state) MUST_USE;

#endif
