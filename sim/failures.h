// SPDX-License-Identifier: MIT
// Failures and checkpoints: what share of its time a long run makes progress (goodput). Devices
// fail at random, all alike, so that the time between two failures of the run is exponential with
// mean M, a device's over their number. The run then restarts, for R, from its last checkpoint; one
// is saved, for C, after each interval of work, t; failures may strike at any time, also while it
// restarts or saves. Of the whole time the share
//
//     t exp(-R / M) / (M (exp((t + C) / M) - 1))
//
// is work that is kept (Daly, "A higher order estimate of the optimum checkpoint interval for
// restart dumps", 2006: its expected time, inverted). The simulation draws failures from a
// counter-based stream, and follows a run from failure to failure, whatever the steps between.
#ifndef SIM_FAILURES_H
#define SIM_FAILURES_H

#include <stdint.h>

typedef struct {
    double mtbf_s;                           // M, of the run: of all devices together; above 0
    double checkpoint_s, restart_s, step_s;  // C above 0, R from 0 on, and a step, above 0
    uint64_t seed;
    int failures;  // to simulate, at least 2
} FailureModel;

// A simulated run with a checkpoint after so many steps. Shares of its time; they sum to 1.
typedef struct {
    int64_t steps;
    double goodput, checkpoint, redo, restart;  // redo: lost, work and checkpoints that did not end
    double goodput_error;                       // standard error of goodput
} FailureRun;

// `steps` from 1 on.
FailureRun failures_simulate(const FailureModel *m, int64_t steps);

// The share that the formula above has.
double failures_expected(const FailureModel *m, double interval_s);

// Intervals of work for the most goodput: Young's (CACM, 1974), sqrt(2 C M), and Daly's (2006),
// which holds also where C is not small against M.
double failures_young_s(const FailureModel *m);
double failures_daly_s(const FailureModel *m);

// An interval in whole steps, the nearest, from 1 on.
int64_t failures_steps(const FailureModel *m, double interval_s);

// The best of simulated runs with intervals from a quarter of Young's to four times it, 5 % apart,
// Young's and Daly's among them, all with the same failures.
FailureRun failures_best(const FailureModel *m);

#endif
